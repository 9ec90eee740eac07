"""Sort, join, group and repartition mean what Python would do, on any table, however its rows are cut."""

from __future__ import annotations

import math
import statistics
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction
from typing import Any, get_args

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.blocks.groups import FUNCTIONS, plan_groups
from raypipe.blocks.joins import How, common_type, plan_join
from raypipe.blocks.order import Order
from raypipe.engine.frame import Frame
from raypipe.engine.localframe import as_frame
from raypipe.engine.operations import GroupRows, JoinRows, SortRows
from raypipe.errors import ConfigError, MissingColumnsError, SchemaError
from tests.engine.exchanges import (
    by_ranges,
    key_of,
    pairs_of,
    pieces,
    plain,
    rank_of,
    sorted_as_python_does,
)
from tests.hostile import KINDS, columns, tables

ORDERED = tuple(kind for kind in KINDS if kind not in ("list", "null"))
HOWS = get_args(How)
many = settings(max_examples=40, deadline=None)


@st.composite
def cut_tables(
    draw: st.DrawFn, kinds: tuple[str, ...] = ORDERED, max_rows: int = 16
) -> tuple[pa.Table, list[pa.Table]]:
    """A table, and the same in pieces."""
    table = as_frame(draw(tables(kinds, max_rows))).to_arrow()
    inner = sorted(draw(st.lists(st.integers(0, table.num_rows), max_size=4)))
    return table, pieces(table, [0, *inner, table.num_rows])


# ---- sort -----------------------------------------------------------------------------------------------------------


@many
@given(data=st.data(), cut=cut_tables())
def test_sort_is_that_of_python_and_stable_whatever_the_cut(data: st.DataObject, cut: tuple[Any, Any]) -> None:
    table, blocks = cut
    by = data.draw(st.lists(st.sampled_from(table.column_names), min_size=1, unique=True))
    descending = data.draw(st.lists(st.booleans(), min_size=len(by), max_size=len(by)))
    nulls_last = data.draw(st.booleans())
    made = as_frame(table).sort(by, descending, nulls_last)
    numbered = [dict(zip(table.column_names, row)) for row in zip(*(column.to_pylist() for column in table.columns))]
    wanted = sorted_as_python_does(numbered, by, descending, nulls_last)
    names = table.column_names
    assert plain(made.to_arrow()) == [tuple(key_of(row[name]) for name in names) for row in wanted]
    assert made.schema == table.schema
    operation = SortRows(table.schema, tuple(by), Order(tuple(descending), nulls_last))
    assert plain(by_ranges(operation, [blocks], data.draw(st.integers(2, 6)))) == plain(made.to_arrow())


def test_rows_with_one_key_are_spread_over_ranges_and_keep_their_order() -> None:
    table = as_frame(pa.table({"k": ["same"] * 1000, "n": list(range(1000))})).to_arrow()
    operation = SortRows(table.schema, ("k",), Order((True,)))
    made = by_ranges(operation, [pieces(table, [0, 300, 300, 1000])], ranges=5, sample=50)
    assert made["n"].to_pylist() == list(range(1000))


# ---- join -----------------------------------------------------------------------------------------------------------


def keyed(draw: st.DrawFn, kinds: list[str], extra: str) -> pa.Table:
    rows = draw(st.integers(0, 8))
    keys = {f"^k{number}$": draw(columns(kind, rows)) for number, kind in enumerate(kinds)}
    return as_frame(pa.table({**keys, "*": pa.array([f"{extra}{row}" for row in range(rows)])})).to_arrow()


@st.composite
def two_sides(draw: st.DrawFn) -> tuple[pa.Table, pa.Table, list[str]]:
    """Two tables with the same keys, mostly of few values, and a column of one name."""
    kinds = draw(st.lists(st.sampled_from(ORDERED), min_size=1, max_size=2))
    left, right = keyed(draw, kinds, "l"), keyed(draw, kinds, "r")
    return left, right, [f"^k{number}$" for number in range(len(kinds))]


@pytest.mark.parametrize("how", HOWS)
@many
@given(data=st.data(), sides=two_sides())
def test_join_pairs_the_rows_that_loops_would_pair_in_their_order(how: Any, data: st.DataObject, sides: Any) -> None:
    left, right, on = sides
    made = as_frame(left).join(right, on, how)
    lefts, rights = left.to_pylist(), right.to_pylist()
    wanted = []
    for i, j in pairs_of(lefts, rights, on, how):
        keys = (lefts[i] if i >= 0 and how != "right" else rights[j]) if how in ("right", "full") else lefts[i]
        row = [key_of(keys[name]) for name in on] + [lefts[i]["*"] if i >= 0 else None]
        wanted.append(tuple(row if how in ("semi", "anti") else [*row, rights[j]["*"] if j >= 0 else None]))
    assert plain(made.to_arrow()) == wanted
    assert made.schema.names == [*on, "*"] + ([] if how in ("semi", "anti") else ["*_right"])
    spec = plan_join(left.schema, right.schema, on, how, "_right")
    cuts = [pieces(side, [0, side.num_rows // 3, side.num_rows]) for side in (left, right)]
    ranged = by_ranges(JoinRows(spec), cuts, data.draw(st.integers(2, 5)))
    assert plain(ranged) == wanted
    assert ranged.schema == made.schema


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("rows", [1, 2])
def test_not_a_number_meets_itself_in_sides_of_any_height(how: Any, rows: int) -> None:
    keys = pa.array([float("nan"), 1.0][:rows])
    left, right = pa.table({"k": keys, "a": pa.array(range(rows))}), pa.table({"k": keys, "b": pa.array(range(rows))})
    made = as_frame(left).join(right, ["k"], how).to_arrow()
    assert made.num_rows == (0 if how == "anti" else rows)
    if "b" in made.column_names:
        assert made["a"].to_pylist() == made["b"].to_pylist() == list(range(rows))


@pytest.mark.parametrize(
    ("left", "right", "kind"),
    [
        (pa.int32(), pa.int64(), pa.int64()),
        (pa.uint8(), pa.int8(), pa.int16()),
        (pa.float32(), pa.float64(), pa.float64()),
        (pa.decimal128(10, 2), pa.decimal128(12, 1), pa.decimal128(13, 2)),
        (pa.timestamp("ms"), pa.timestamp("us"), pa.timestamp("us")),
        (pa.dictionary(pa.int8(), pa.string()), pa.string(), pa.large_string()),
        (pa.null(), pa.int64(), pa.int64()),
    ],
)
def test_keys_of_kindred_types_meet_in_the_wider_one(left: pa.DataType, right: pa.DataType, kind: pa.DataType) -> None:
    values = ["1"] if pa.types.is_dictionary(left) else [1]
    ours = pa.table({"k": pa.array(values, pa.string()).cast(left) if pa.types.is_dictionary(left) else zero_of(left)})
    theirs = pa.table({"k": pa.array(["1"]) if pa.types.is_string(right) else zero_of(right)})
    made = as_frame(ours).join(theirs, "k", "left")
    assert made.schema.field("k").type == kind
    matched = as_frame(ours).join(theirs, "k", "semi")
    assert len(matched) == (0 if pa.types.is_null(left) else 1)
    assert len(as_frame(theirs).join(ours, "k", "full")) == (2 if pa.types.is_null(left) else 1)


def zero_of(kind: pa.DataType) -> pa.Array:
    """The value zero, or a null where the type has no values."""
    if pa.types.is_null(kind):
        return pa.nulls(1)
    return pa.array([Decimal(0)], kind) if pa.types.is_decimal(kind) else pa.array([0]).cast(kind)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (pa.int64(), pa.float64()),
        (pa.uint64(), pa.int64()),
        (pa.date32(), pa.timestamp("us")),
        (pa.timestamp("us", "Europe/Berlin"), pa.timestamp("us")),
        (pa.large_string(), pa.int64()),
        (pa.decimal128(38, 0), pa.decimal128(38, 38)),
    ],
)
def test_keys_whose_types_have_no_common_one_are_refused(left: pa.DataType, right: pa.DataType) -> None:
    frame = as_frame(pa.table({"^k$": pa.array([], left)}))
    with pytest.raises(SchemaError, match=r"join: key '\^k\$' is .* on the left and .* on the right; cast one"):
        frame.join(pa.table({"^k$": pa.array([], right)}), "^k$")


def test_a_time_that_has_no_place_in_the_common_type_is_an_error_and_no_other_time() -> None:
    far = as_frame(pa.table({"t": pa.array([2**52], pa.timestamp("ms"))}))
    near = pa.table({"t": pa.array([1], pa.timestamp("ns"))})
    with pytest.raises(SchemaError, match="join: key 't' has a time that does not fit"):
        far.join(near, "t")


def test_no_common_type_is_ever_narrower() -> None:
    assert common_type(pl.UInt32(), pl.Int8()) == pl.Int64()
    assert common_type(pl.Enum(["a"]), pl.Categorical()) == pl.String()
    assert common_type(pl.Boolean(), pl.Int8()) is None


# ---- group ----------------------------------------------------------------------------------------------------------


def expected(function: str, values: list[Any]) -> Any:
    """What Python makes of the values of one group, or "?" where it is not told apart here."""
    known = [value for value in values if value is not None]
    match function:
        case "count":
            return len(known)
        case "n_unique":
            return len({key_of(value) for value in known})
        case "first":
            return key_of(values[0])
        case "last":
            return key_of(values[-1])
    if not known:
        return None
    numbers = [value for value in known if not (isinstance(value, float) and math.isnan(value))] or known
    match function:
        case "min":
            return key_of(min(numbers, key=rank_of))
        case "max":
            return key_of(max(numbers, key=rank_of))
        case "sum" if not isinstance(known[0], float):
            return sum(known)
        case "mean" if not isinstance(known[0], (float, Decimal)):
            return float(Fraction(sum(known), len(known)))
    return "?"


@many
@given(data=st.data(), cut=cut_tables(("int8", "float32", "bool", "text", "decimal", "zoned", "binary")))
def test_groups_hold_what_python_counts_whatever_the_cut(data: st.DataObject, cut: tuple[Any, Any]) -> None:
    table, blocks = cut
    keys = data.draw(st.lists(st.sampled_from(table.column_names), min_size=1, max_size=2, unique=True))
    wanted: dict[str, Any] = {"how many rows": "rows"}
    for name in table.column_names:
        kind = as_frame(table).to_polars().schema[name]
        countable = kind.is_numeric() or kind == pl.Boolean
        fitting = FUNCTIONS if countable else ("count", "n_unique", "min", "max", "first", "last")
        wanted |= {f"{function} of {name}": (name, function) for function in fitting if function != "quantile"}
    made = as_frame(table).group_by(keys).agg(wanted)
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in zip(*(column.to_pylist() for column in table.columns), strict=True):
        named = dict(zip(table.column_names, row, strict=True))
        groups.setdefault(tuple(key_of(named[key]) for key in keys), []).append(named)
    result = made.to_polars().rows(named=True)
    assert {tuple(key_of(row[key]) for key in keys) for row in result} == set(groups)
    for row in result:
        rows = groups[tuple(key_of(row[key]) for key in keys)]
        assert row["how many rows"] == len(rows)
        for name, (column, function) in ((name, one) for name, one in wanted.items() if one != "rows"):
            value = expected(function, [one[column] for one in rows])
            assert value in ("?", key_of(row[name])), (name, rows)
    spec = plan_groups(table.schema, keys, wanted)
    assert_close(by_ranges(GroupRows(spec), [blocks], data.draw(st.integers(2, 5))), made.to_arrow())


def assert_close(got: pa.Table, wanted: pa.Table) -> None:
    """Equal, but for the last digits of floats."""
    assert got.schema == wanted.schema
    for mine, theirs in zip(plain(got), plain(wanted), strict=True):
        for a, b in zip(mine, theirs, strict=True):
            close = isinstance(a, float) and isinstance(b, float) and math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)
            assert close or a == b


@many
@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), cut=st.integers(0, 20), share=st.floats(0, 1))
def test_moments_and_quantiles_are_those_of_the_statistics_module(values: list[float], cut: int, share: float) -> None:
    table = as_frame(pa.table({"g": [1] * len(values), "x": values})).to_arrow()
    asked: Any = {"mean": ("x", "mean"), "std": ("x", "std"), "var": ("x", "var"), "median": ("x", "median")}
    asked["sum"], asked["q"] = ("x", "sum"), ("x", "quantile", share)
    spec = plan_groups(table.schema, ["g"], asked)
    made = by_ranges(GroupRows(spec), [pieces(table, [0, min(cut, len(values)), len(values)])], 3).to_pylist()[0]
    assert made["mean"] == pytest.approx(statistics.fmean(values), abs=1e-6)
    assert made["sum"] == pytest.approx(math.fsum(values), abs=1e-6)
    assert made["median"] == pytest.approx(statistics.median(values), abs=1e-9)
    ordered, place = sorted(values), share * (len(values) - 1)
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    assert made["q"] == pytest.approx(low + (high - low) * (place - math.floor(place)), abs=1e-6)
    if len(values) == 1:
        assert made["std"] is None
        assert made["var"] is None
    else:
        assert made["std"] == pytest.approx(statistics.stdev(values), rel=1e-6, abs=1e-6)


def test_groups_come_in_order_of_their_keys_and_null_is_one() -> None:
    frame = as_frame(pa.table({"k": [2.0, None, float("nan"), -0.0, 0.0, None], "n": [1, 2, 3, 4, 5, 6]}))
    made = frame.group_by("k").agg(n=("n", "sum"), rows="rows").to_arrow()
    assert plain(made) == [(0.0, 9, 2), (2.0, 1, 1), ("NaN", 3, 1), (None, 8, 2)]


def test_a_sum_that_does_not_fit_is_an_error_and_no_other_number() -> None:
    huge = as_frame(pa.table({"g": [1, 1], "^n$": [2**63 - 1, 1], "d": [Decimal(9 * 10**37)] * 2}))
    with pytest.raises(SchemaError, match=r"the sum of '\^n\$' does not fit into Int64; make floats of it first"):
        huge.group_by("g").agg(n=("^n$", "sum"))
    with pytest.raises(SchemaError, match="the sum of 'd' does not fit into a decimal with 0 digits after the point"):
        huge.group_by("g").agg(n=("d", "sum"))
    assert huge.group_by("g").agg(n=("^n$", "mean")).to_arrow()["n"].to_pylist() == [2.0**62]


# ---- repartition, and what all of them refuse -----------------------------------------------------------------------


@many
@given(table=tables(max_rows=20), number=st.integers(1, 25), by_rows=st.booleans())
def test_repartition_keeps_the_rows_and_their_order(table: pa.Table, number: int, by_rows: bool) -> None:
    frame = as_frame(table)
    made = frame.repartition(rows=number) if by_rows else frame.repartition(blocks=number)
    sizes = [block.num_rows for block in made.iter_blocks()]
    assert plain(made.to_arrow()) == plain(frame.to_arrow())
    assert made.schema == frame.schema
    if by_rows:
        assert all(size == number for size in sizes[:-1])
        assert all(0 < size <= number for size in sizes)
    else:
        assert len(sizes) == min(number, table.num_rows)
        assert not sizes or max(sizes) - min(sizes) <= 1


FRAME = as_frame(
    pa.table(
        {"city": ["Ulm", None], "price": [1.0, 2.0], "day": pa.array([1, 2], pa.timestamp("us")), "list": [[1], []]}
    )
)


@pytest.mark.parametrize(
    ("act", "kind", "text"),
    [
        (lambda f: f.sort("citty"), MissingColumnsError, "sort: input has no column 'citty'.*Did you mean 'city'"),
        (lambda f: f.sort("*"), MissingColumnsError, r"no column '\*'"),
        (lambda f: f.sort("^c.*$"), MissingColumnsError, r"no column '\^c"),
        (lambda f: f.sort("__row__"), MissingColumnsError, "no column '__row__'"),
        (lambda f: f.sort([]), SchemaError, "name at least one"),
        (lambda f: f.sort(["city", "city"]), SchemaError, "each once"),
        (lambda f: f.sort([1]), SchemaError, "wanted the name of a column"),
        (lambda f: f.sort("list"), SchemaError, "column 'list' is .*list.*, which has no order"),
        (lambda f: f.sort(["city", "price"], [True]), ConfigError, "got 1 values of descending for 2 columns"),
        (lambda f: f.group_by("prise"), MissingColumnsError, "group_by: .*Did you mean 'price'"),
        (lambda f: f.group_by("city").agg(), ConfigError, "asked for nothing"),
        (lambda f: f.group_by("city").agg(x=("prise", "sum")), MissingColumnsError, "Did you mean 'price'"),
        (lambda f: f.group_by("city").agg(x=("price", "avg")), ConfigError, "got x=.*'avg'.*wanted .*quantile"),
        (lambda f: f.group_by("city").agg(x=("price", "quantile")), ConfigError, "share from 0 to 1"),
        (lambda f: f.group_by("city").agg(x=("price", "quantile", 7)), ConfigError, "share from 0 to 1"),
        (lambda f: f.group_by("city").agg(x=("city", "mean")), SchemaError, "mean wants numbers, and column 'city'"),
        (lambda f: f.group_by("city").agg(x=("day", "sum")), SchemaError, "sum wants numbers"),
        (lambda f: f.group_by("price").agg(x=("list", "max")), SchemaError, "max wants values that can be compared"),
        (lambda f: f.group_by("city").agg(city="rows"), SchemaError, "'city' is the name of a key"),
        (lambda f: f.join(FRAME, "cty"), MissingColumnsError, "join, left side.*Did you mean 'city'"),
        (lambda f: f.join(pa.table({"x": [1]}), "city"), MissingColumnsError, "join, right side"),
        (lambda f: f.join(FRAME, "city", "outer"), ConfigError, "how='outer'; wanted one of inner, left, right, full"),
        (lambda f: f.join(FRAME, "city", suffix=""), SchemaError, "'day' twice; take another suffix than ''"),
        (lambda f: f.join(3, "city"), SchemaError, "frame: got int; wanted a raypipe Frame"),
        (lambda f: f.repartition(), ConfigError, "give one of them, 1 or more"),
        (lambda f: f.repartition(blocks=0), ConfigError, "give one of them, 1 or more"),
        (lambda f: f.repartition(blocks=1, rows=1), ConfigError, "give one of them"),
    ],
)
def test_what_cannot_be_done_is_said_before_it_is_tried(act: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        act(FRAME)


def test_frames_of_this_process_are_exchanged_without_ray() -> None:
    code = (
        "import sys, pyarrow as pa; from raypipe.engine.localframe import as_frame\n"
        "f = as_frame(pa.table({'k': [2, 1], 'v': [1, 2]}))\n"
        "f.sort('k').join(f, 'k', 'full').group_by('k').agg(n='rows').repartition(blocks=2).to_arrow()\n"
        "sys.exit(any(name.split('.')[0] in ('ray', 'modin') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_an_exchange_of_no_rows_has_the_schema_of_one_with_rows() -> None:
    nothing: Frame = as_frame(FRAME.schema.empty_table())
    for act in (
        lambda f: f.sort("city"),
        lambda f: f.join(f, "city", "full"),
        lambda f: f.group_by("city").agg(a=("price", "sum"), b=("day", "max"), c=("list", "first"), d="rows"),
        lambda f: f.repartition(blocks=3),
    ):
        assert act(nothing).to_arrow().schema == act(FRAME).to_arrow().schema
        assert len(act(nothing)) == 0
