"""Laws of the summary of a table: cuts and order do not matter, nothing is neutral, flags of exactness are right."""

from __future__ import annotations

import datetime as dt
import decimal
import itertools
import math
import pickle
from functools import reduce

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.blocks.frames import ROW
from raypipe.blocks.spec import SummarySpec
from raypipe.blocks.table import finish, merge, summarise
from raypipe.errors import SchemaError
from tests.laws import examples

SPEC = SummarySpec(exact_values=64, quantile_k=200, frequent_values=64, row_hashes=64)
D = decimal.Decimal

COLUMNS = {
    "int": (pa.int64(), st.one_of(st.integers(-3, 3), st.integers(-(2**63), 2**63 - 1))),
    "uint": (pa.uint64(), st.one_of(st.integers(0, 3), st.integers(0, 2**64 - 1))),
    "float": (pa.float64(), st.one_of(st.sampled_from([0.0, -0.0, math.nan, math.inf, -math.inf]), st.floats())),
    "narrow": (pa.float32(), st.floats(width=32)),
    "decimal": (pa.decimal128(15, 2), st.decimals(-1000, 1000, places=2)),
    "wide": (pa.decimal128(38, 5), st.decimals(D(-(10**30)), D(10**30), places=5)),
    "text": (pa.large_string(), st.one_of(st.sampled_from(["", " ", "a ", "<b>\n"]), st.text(max_size=4))),
    "category": (pa.dictionary(pa.int32(), pa.large_string()), st.sampled_from(["x", "y", ""])),
    "flag": (pa.bool_(), st.booleans()),
    "day": (pa.date32(), st.dates()),
    "time": (pa.timestamp("us", "UTC"), st.datetimes(timezones=st.just(dt.UTC))),
    "clock": (pa.time64("us"), st.times()),
    "span": (pa.duration("us"), st.timedeltas(dt.timedelta(-9999), dt.timedelta(9999))),
    "bytes": (pa.binary(), st.binary(max_size=3)),
    "list": (pa.list_(pa.int64()), st.lists(st.integers(0, 3), max_size=2)),
    "none": (pa.null(), st.none()),
    '__len__"<x>\n': (pa.int8(), st.integers(-128, 127)),
    "": (pa.int64(), st.integers(0, 1)),
    "count": (pa.int16(), st.integers(0, 9)),
}
ROWS = st.integers(0, 130)


@st.composite
def tables(draw, rows=ROWS):
    n = draw(rows)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    names = draw(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=4, unique=True))
    columns = {}
    for name in names:
        kind, values = COLUMNS[name]
        pool = draw(st.lists(st.one_of(st.none(), values), min_size=1, max_size=130))
        picks = rng.integers(0, len(pool), n) if draw(st.booleans()) else np.arange(n) % len(pool)
        columns[name] = pa.array([pool[i] for i in picks], kind)
    return pa.table(columns)


def cut(table, cuts):
    edges = [0, *sorted(min(c, table.num_rows) for c in cuts), table.num_rows]
    return [table.slice(a, b - a) for a, b in itertools.pairwise(edges)]


def close(a, b, scale):
    return a == b or (a is not None and b is not None and a == pytest.approx(b, rel=1e-7, abs=1e-9 * scale))


def assert_same_profile(a, b):
    """Equal but for rounding where exact, and in every exact part where not."""
    assert (a.rows, a.missingness) == (b.rows, b.missingness)
    for x, y in zip(a.columns, b.columns, strict=True):
        assert (x.name, x.dtype, x.kind, x.rows, x.nulls, x.distinct) == (
            y.name,
            y.dtype,
            y.kind,
            y.rows,
            y.nulls,
            y.distinct,
        )
        assert (x.min, x.max, x.true_count, x.text, x.top_exact) == (y.min, y.max, y.true_count, y.text, y.top_exact)
        if x.top_exact:
            assert (x.top, x.notes) == (y.top, y.notes)
        if x.number is None:
            assert y.number is None
            continue
        p, q = x.number, y.number
        for name in ("finite", "nan", "positive_infinite", "negative_infinite", "zeros", "negatives", "min", "max"):
            assert getattr(p, name) == getattr(q, name)
        scale = max(abs(p.min or 0), abs(p.max or 0))
        assert close(p.mean, q.mean, scale)
        assert close(p.std, q.std, scale) or scale > 1e300
        if x.top_exact:
            assert (p.quantiles, p.histogram, p.iqr_outliers) == (q.quantiles, q.histogram, q.iqr_outliers)
    assert a.duplicates == b.duplicates
    assert a.correlation.pairs == b.correlation.pairs


@settings(max_examples=examples(60), deadline=None)
@given(tables(), st.lists(st.integers(0, 130), max_size=5))
def test_one_block_equals_many(table, cuts):
    parts = [summarise(block, SPEC) for block in cut(table, cuts)]
    assert_same_profile(finish(reduce(merge, parts)), finish(summarise(table, SPEC)))


@settings(max_examples=60, deadline=None)
@given(tables(), st.lists(st.integers(0, 130), min_size=2, max_size=4))
def test_neither_the_order_of_merging_nor_of_blocks_matters(table, cuts):
    parts = [pickle.loads(pickle.dumps(summarise(block, SPEC))) for block in cut(table, cuts)]
    left = reduce(merge, parts)
    right = reduce(lambda done, part: merge(part, done), reversed(parts))
    backwards = reduce(merge, parts[::-1])
    for other in (right, backwards):
        assert_same_profile(finish(left), finish(other))


@settings(max_examples=60, deadline=None)
@given(tables())
def test_an_empty_block_is_neutral_and_summarising_leaves_the_table_alone(table):
    before = table.slice(0)
    state, empty = summarise(table, SPEC), summarise(table.slice(0, 0), SPEC)
    whole = finish(state)
    assert_same_profile(finish(merge(state, empty)), whole)
    assert_same_profile(finish(merge(empty, state)), whole)
    assert table.schema == before.schema
    assert table.num_rows == before.num_rows


@settings(max_examples=100, deadline=None)
@given(tables(st.integers(1, 130)))
def test_exact_flags_tell_the_truth(table):
    for column, data in zip(finish(summarise(table, SPEC)).columns, table.columns, strict=True):
        values = [v for v in data.to_pylist() if v is not None]
        keys = {
            ("nan",) if isinstance(v, float) and math.isnan(v) else v if not isinstance(v, list) else tuple(v)
            for v in values
        }
        plain = {k for k in keys if not (k == ("nan",) or (isinstance(k, float) and math.isinf(k)))}
        assert column.nulls == data.null_count
        assert column.distinct.exact == (len(plain) <= SPEC.exact_values)
        if column.distinct.exact:
            assert column.distinct.count == len(keys)
        else:
            assert column.distinct.count == pytest.approx(len(keys), rel=0.2)
        if column.kind == "number" and column.distinct.exact:
            finite = np.array([v for v in values if math.isfinite(v)], dtype=object)
            assert column.number.finite == len(finite)
            if len(finite):
                assert (column.number.min, column.number.max) == (float(min(finite)), float(max(finite)))
                assert sum(column.number.histogram.counts) == len(finite)


@pytest.mark.parametrize("name", [name for name in COLUMNS if name != "none"])
def test_an_empty_table_and_an_all_null_one_have_a_profile(name):
    kind = COLUMNS[name][0]
    for rows in (0, 5):
        found = finish(summarise(pa.table({name: pa.array([None] * rows, kind)})))
        column = found.column(name)
        assert (found.rows, column.nulls, column.distinct.count) == (rows, rows, 0)
        assert (column.min, column.max, column.top) == (None, None, ())
        if column.number:
            assert column.number.mean is None
            assert column.number.histogram is None


def test_text_forms_are_exact_and_short():
    table = pa.table(
        {
            "u": pa.array([2**64 - 1, 0], pa.uint64()),
            "f": pa.array([0.1, 1e300], pa.float64()),
            "h": pa.array([0.1, 3.0], pa.float32()),
            "d": pa.array([D("1.50"), D("-2.00")], pa.decimal128(15, 2)),
            "w": pa.array([D("12345678901234567890123456789012.125"), D("0.000")], pa.decimal128(38, 3)),
            "t": pa.array([0, 1], pa.timestamp("ms", "Europe/Berlin")),
            "far": pa.array([-(2**63), 2**63 - 1], pa.timestamp("us")),
            "s": pa.array([-90, 90], pa.duration("s")),
            "b": [True, False],
        }
    )
    found = {c.name: (c.min, c.max) for c in finish(summarise(table)).columns}
    assert found == {
        "u": ("0", "18446744073709551615"),
        "f": ("0.1", "1e+300"),
        "h": ("0.1", "3.0"),
        "d": ("-2.00", "1.50"),
        "w": ("0.000", "12345678901234567890123456789012.125"),
        "t": ("1970-01-01T01:00:00.000+01:00", "1970-01-01T01:00:00.001+01:00"),
        "far": ("-9223372036854775808 us since 1970-01-01", "9223372036854775807 us since 1970-01-01"),
        "s": ("-PT1M30S", "PT1M30S"),
        "b": ("false", "true"),
    }


def test_types_without_an_order_or_a_hash_say_so():
    table = pa.table(
        {
            "struct": pa.array([{"a": 1}, {"a": 1}, None]),
            "interval": pa.array([None, None, None], pa.month_day_nano_interval()),
            "decimal256": pa.array([D(1), None, D(3)], pa.decimal256(60, 2)),
        }
    )
    found = finish(summarise(table))
    assert [c.kind for c in found.columns] == ["other", "other", "number"]
    assert found.column("struct").distinct.count == 1
    assert found.column("interval").distinct is None
    assert "not compared" in found.column("interval").notes[0]
    assert found.duplicates is None
    assert found.column("decimal256").number.mean == 2.0


HARD = {
    "fixed lists": pa.array([[1.0, 2.0], None, [0.0, math.nan]], pa.list_(pa.float64(), 2)),
    "lists of nothing": pa.array([[], None, []], pa.list_(pa.float64(), 0)),
    "list view": pa.array([[1], None, []], pa.list_view(pa.int64())),
    "no fields": pa.array([{}, None, {}], pa.struct([])),
    "uuid": pa.array([b"0" * 16, None, b"1" * 16], pa.uuid()),
    "run ends": pa.RunEndEncodedArray.from_arrays(pa.array([1, 2, 3], pa.int32()), pa.array([5, None, 7])),
    "union": pa.UnionArray.from_sparse(
        pa.array([0, 1, 0], pa.int8()), [pa.array([1, 2, 3]), pa.array(["a", "b", "c"])]
    ),
    "unknown zone": pa.array([1, None, 2], pa.timestamp("s", "Nowhere/Town")),
    "fixed zone": pa.array([1, None, 2], pa.timestamp("s", "+02:00")),
    "negative scale": pa.array([D(100), None, D(200)], pa.decimal128(10, -2)),
    "decimal dictionary": pa.array([D("1.5"), None, D(2)], pa.decimal128(5, 2)).dictionary_encode(),
    "date dictionary": pa.array([dt.date(2020, 1, 1), None, dt.date(2021, 1, 1)]).dictionary_encode(),
    "null in a dictionary": pa.DictionaryArray.from_arrays(pa.array([0, 1, 0]), pa.array(["a", None])),
    "wide decimals in lists": pa.array([[D(1)], None, [D(2)]], pa.list_(pa.decimal256(50, 1))),
    "intervals in structs": pa.array([None, None, None], pa.struct([("a", pa.month_day_nano_interval())])),
}


@pytest.mark.parametrize("name", HARD)
def test_rare_types_are_summarised_and_merge(name):
    table = pa.table({name: HARD[name]})
    parts = [summarise(table.slice(i, 1)) for i in range(3)]
    found, whole = finish(reduce(merge, parts)), finish(summarise(table))
    assert_same_profile(found, whole)
    assert whole.columns[0].nulls == (0 if name == "union" else 3 if name.startswith("intervals") else 1)


def test_the_hidden_row_number_column_is_left_out():
    table = pa.table({"a": [1, 2]}).append_column(ROW, pa.array([0, 1]))
    assert [c.name for c in finish(summarise(table)).columns] == ["a"]


def test_different_columns_do_not_merge():
    with pytest.raises(SchemaError, match=r"column 0 is 'a' \(int64\) in one and 'b' \(int64\)"):
        merge(summarise(pa.table({"a": [1]})), summarise(pa.table({"b": [1]})))
    with pytest.raises(SchemaError, match="one has 1 columns and the other 2"):
        merge(summarise(pa.table({"a": [1]})), summarise(pa.table({"a": [1], "b": [1]})))


@pytest.fixture(scope="module")
def large():
    rng = np.random.default_rng(0)
    n = 200_000
    return pl.DataFrame(
        {
            "unique": rng.permutation(n) * 1_000_003,
            "giant": np.where(rng.random(n) < 0.4, 7.5, rng.normal(size=n)),
            "heavy": rng.pareto(0.7, n),
            "sorted": np.arange(n) / 8,
            "holes": np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n)),
            "text": [f"row {i} " if i % 3 else "same" for i in range(n)],
            "huge": 2**61 + rng.integers(0, 10**6, n),
        }
    ).to_arrow()


@pytest.mark.parametrize("blocks", [1, 2, 37])
def test_estimates_stay_within_their_stated_bounds(large, blocks):
    step = -(-large.num_rows // blocks)
    parts = [summarise(large.slice(i * step, step)) for i in range(blocks)]
    found = finish(reduce(merge, parts))
    frame = pl.DataFrame(large)
    for column in found.columns:
        data = frame[column.name]
        if column.kind == "number":
            data = data.filter(data.is_finite()) if data.dtype.is_float() else data
        assert abs(column.distinct.count - data.n_unique()) <= 4 * column.distinct.relative_error * data.n_unique() + 1
        truth = dict(data.value_counts(sort=True).head(200).iter_rows())
        for item in column.top:
            key = item.value if column.kind == "text" else float(item.value)
            if key in truth:
                assert item.count <= truth[key] <= item.count_upper
        if column.number is None:
            continue
        ordered = np.sort(data.to_numpy())
        for name, value in column.number.quantiles.values.items():
            low, high = np.searchsorted(ordered, value, "left"), np.searchsorted(ordered, value, "right")
            slack = 1.5 * column.number.quantiles.rank_error * len(ordered) + 1
            assert low - slack <= float(name) * len(ordered) <= high + slack
        exact = data.cast(pl.Float64) if column.name != "huge" else (data - 2**61).cast(pl.Float64)
        assert column.number.variance == pytest.approx(exact.var(), rel=1e-9)
        assert sum(column.number.histogram.counts) == column.number.finite
    assert found.column("giant").top[0].value == "7.5"
    assert found.column("text").top[0].count == found.column("text").top[0].count_upper == 66_667
    assert found.column("text").text.padded == large.num_rows - 66_667
    assert found.duplicates.share == 0.0


def test_sorted_blocks_each_exact_become_sketches_together():
    blocks = [pa.table({"x": np.repeat(np.arange(i * 1000, i * 1000 + 1000), 20)}) for i in range(30)]
    found = finish(reduce(merge, [summarise(block) for block in blocks])).column("x")
    assert not found.distinct.exact
    assert found.distinct.count == pytest.approx(30_000, rel=0.04)
    assert found.number.mean == pytest.approx(14_999.5, rel=1e-12)
    assert found.number.quantiles.at(0.5) == pytest.approx(15_000, abs=30_000 * 0.012)


def test_a_summary_pickles_small(large):
    assert len(pickle.dumps(summarise(large))) < 1_200_000


def test_thousands_of_columns_stay_within_limits():
    rng = np.random.default_rng(0)
    wide = pa.table({f"c{i}": rng.integers(0, 50, 100) if i % 2 else rng.normal(size=100) for i in range(1200)})
    state = summarise(wide)
    found = finish(merge(state, state))
    assert len(found.columns) == 1200
    assert len(found.correlation.columns) == 60
    assert len(found.correlation.skipped) == 1140
    assert len(pickle.dumps(state)) < 8 << 20
