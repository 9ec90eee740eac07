"""Keys, dependencies and references: found where they hold, refuted by a single row, and bounded in cost."""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.etl.infer import SchemaInferrer
from raypipe.etl.infer.evidence import GatherEvidence, InferLimits
from tests.laws import cuts_of


def keys_of(found):
    return [key.columns for key in found.candidate_keys]


def pairs_of(found):
    return {(one.determinant, one.dependent) for one in found.dependencies}


def lines(orders=2_000, seed=1):
    """Lines of orders: (order, line) is the key, product decides price and group, city decides country."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 6, orders)
    order = np.repeat(np.arange(orders) + 1000, counts)
    line = np.concatenate([np.arange(1, n + 1) for n in counts])
    product = rng.integers(0, 60, len(order))
    city = rng.integers(0, 30, len(order))
    return pl.DataFrame(
        {
            "order": order,
            "line": line,
            "product": [f"p{n}" for n in product],
            "group": [f"g{n % 7}" for n in product],
            "city": [f"c{n}" for n in city],
            "country": [f"l{n % 5}" for n in city],
            "amount": rng.normal(size=len(order)).round(3),
            "fixed": ["EUR"] * len(order),
        }
    )


def test_a_composite_key_and_the_dependencies_of_a_table_are_found():
    found = SchemaInferrer().infer(lines())
    assert keys_of(found) == [("order", "line")]
    assert found.primary_key == ("order", "line")
    assert pairs_of(found) == {(("product",), "group"), (("city",), "country")}
    assert all(one.holds and one.share == 1.0 for one in found.dependencies)
    assert found.column("fixed").constant


def test_one_row_refutes_a_key_and_makes_a_dependency_approximate():
    table = lines()
    again = pl.concat([table, table.head(1).with_columns(group=pl.lit("other"), amount=pl.lit(9.5))])
    found = SchemaInferrer().infer(again)
    assert ("order", "line") not in keys_of(found)
    (group,) = [one for one in found.dependencies if one.dependent == "group"]
    assert group.error == pytest.approx(1 / len(again))
    assert not group.holds
    assert "in all but" in group.reason


def test_keys_of_three_columns_are_found_where_no_shorter_one_is():
    cells = np.array(list(itertools.product(range(20), range(15), range(11))))
    rng = np.random.default_rng(3)
    table = pa.table({**{name: cells[:, n] for n, name in enumerate("abc")}, "z": rng.integers(0, 9, len(cells))})
    found = SchemaInferrer().infer(table)
    assert keys_of(found) == [("a", "b", "c")]
    assert found.dependencies == ()


def test_a_column_that_hardly_ever_repeats_is_part_of_a_key_where_it_is_none():
    order = [*range(20_000), *range(0, 20_000, 2_000)]
    line = [1] * 20_000 + [2] * 10
    table = pa.table({"order": order, "line": line, "shop": [f"s{n % 40}" for n in order]})
    found = SchemaInferrer(limits=InferLimits(rows=256, values=256)).infer(table)
    assert keys_of(found) == [("order", "line")]


def test_two_columns_may_decide_what_neither_does():
    rng = np.random.default_rng(4)
    a, b = rng.integers(0, 12, 8_000), rng.integers(0, 12, 8_000)
    found = SchemaInferrer().infer(pa.table({"a": a, "b": b, "mix": [f"m{n}" for n in (a * 7 + b * 5) % 23]}))
    assert (("a", "b"), "mix") in pairs_of(found)
    assert not [one for one in found.dependencies if len(one.determinant) == 1]


def test_noise_has_neither_keys_nor_dependencies():
    rng = np.random.default_rng(5)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        table = pa.table({f"c{n}": rng.integers(0, n * 3 + 2, 3_000) for n in range(8)})
        found = SchemaInferrer().infer(table)
        assert (found.dependencies, [key for key in keys_of(found) if len(key) < 3]) == ((), [])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 2)), min_size=1, max_size=30))
def test_what_is_called_a_key_is_one_and_what_depends_depends(rows):
    columns = list(zip(*rows, strict=True))
    table = pa.table({name: list(columns[n]) for n, name in enumerate("abc")})
    found = SchemaInferrer().infer(table)
    for key in found.candidate_keys:
        assert table.group_by(list(key.columns)).aggregate([]).num_rows == table.num_rows
    for one in found.dependencies:
        left = table.group_by(list(one.determinant)).aggregate([]).num_rows
        both = table.group_by([*one.determinant, one.dependent]).aggregate([]).num_rows
        assert (left == both) == one.holds


def test_a_check_past_its_memory_says_which_share_it_saw_and_still_finds_gross_repeats():
    limits = InferLimits(check_mib=1)
    rows = 500_000
    found = SchemaInferrer(limits=limits).infer(pa.table({"id": np.arange(rows)}))
    (key,) = found.candidate_keys
    assert 0.1 < key.share < 0.5
    assert not key.exact
    assert "with 99 % certainty at most" in key.reason
    assert found.primary_key == ()
    assert found.to_schema().columns[0].unique is False
    doubled = np.concatenate([np.arange(rows - 5_000), np.arange(5_000)])
    assert SchemaInferrer(limits=limits).infer(pa.table({"id": doubled})).candidate_keys == ()


def test_nulls_are_no_key_and_take_no_part_in_dependencies():
    table = lines().with_columns(
        pl.when(pl.int_range(pl.len()) % 50 == 0).then(None).otherwise("order").alias("order"),
        pl.when(pl.int_range(pl.len()) % 40 == 0).then(None).otherwise("product").alias("product"),
    )
    found = SchemaInferrer().infer(table)
    assert keys_of(found) == []
    assert (("product",), "group") in pairs_of(found)


def test_thousands_of_columns_stay_within_stated_bounds():
    rng = np.random.default_rng(6)
    columns = {f"n{n}": rng.integers(0, 100, 400) for n in range(150)}
    columns |= {f"t{n}": [f"v{m}" for m in rng.integers(0, 90, 400)] for n in range(50)}
    columns |= {f"u{n}": rng.permutation(400) for n in range(150)}
    found = SchemaInferrer().infer(pa.table(columns))
    told = "\n".join(found.notes)
    assert "150 columns that may be keys, of which the 96 likeliest were tried" in told
    assert "columns for dependencies, of which the 40 likeliest were tried" in told
    assert len(found.candidate_keys) == 96


@pytest.mark.slow
def test_what_is_kept_of_two_thousand_columns_is_bounded():
    rng = np.random.default_rng(8)
    text = pl.Series([f"{n:01000d}" for n in range(3_000)])
    table = pa.table(
        {f"c{n}": text.shuffle(n).to_arrow() if n % 100 == 0 else rng.normal(size=3_000) for n in range(2_000)}
    )
    stage = GatherEvidence()
    one = stage.partial(table.slice(0, 1_500), "p")
    both = stage.merge(one, stage.partial(table.slice(1_500), "p"))
    assert len(pickle.dumps(both)) < 64 << 20
    assert len(pickle.dumps(both)) < 1.1 * len(pickle.dumps(one))


def test_references_between_tables_are_found_by_their_values():
    rng = np.random.default_rng(7)
    customers = pl.DataFrame(
        {"id": np.arange(100, 5_100), "code": [f"K{n}" for n in range(5_000)], "age": rng.integers(0, 99, 5_000)}
    )
    orders = pl.DataFrame(
        {
            "order_id": np.arange(9_000),
            "customer_id": rng.integers(100, 5_100, 9_000),
            "bought_by": [f"K{n}" for n in rng.integers(0, 5_000, 9_000)],
            "units": rng.integers(100, 900, 9_000),
            "stranger": [f"S{n}" for n in rng.integers(0, 5_000, 9_000)],
        }
    )
    found = SchemaInferrer().infer_related({"customers": customers, "orders": orders})
    assert [(one.column, one.to_table, one.to_column) for one in found.references] == [
        ("customer_id", "customers", "id"),
        ("bought_by", "customers", "code"),
    ]
    sure, less = found.references
    assert sure.confidence > 0.95 > less.confidence
    assert "and the names fit" in sure.reason
    assert found.schemas["orders"].primary_key == ("order_id",)


def test_the_cut_of_a_table_changes_no_key_and_no_dependency(monkeypatch):
    table = lines(orders=150).to_arrow()
    whole = SchemaInferrer().infer(table)
    for cut in cuts_of(table.num_rows)[2:5]:
        pieces = pa.concat_tables([table.slice(a, b - a) for a, b in itertools.pairwise(cut)])
        monkeypatch.setattr("raypipe.etl.infer.passes._BLOCK_ROWS", 97)
        assert SchemaInferrer().infer(pieces) == whole
