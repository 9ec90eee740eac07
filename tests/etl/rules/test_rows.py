import datetime as dt
import json
import math
import re
import time
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.etl.rules import CheckRows, ColumnSchema, DataSchema, RowCheck
from tests.hostile import NAMES, tables
from tests.laws import assert_stage_laws, numbered

PATTERNS = (r"[a-z]", r"\d+", r"a|b", r"", r".*")


def bound_for(value: object) -> object:
    return value.isoformat() if isinstance(value, dt.date) else str(value) if isinstance(value, Decimal) else value


def possible_checks(name: str, cells: list[object]) -> st.SearchStrategy[RowCheck]:
    known = [value for value in cells if isinstance(value, int | float | str | Decimal | dt.date)]
    plain = [bound_for(v) for v in known if not (isinstance(v, float) and not math.isfinite(v))]
    options = [st.just(RowCheck(rule="not_null", column=name)), st.just(RowCheck(rule="primary_key_null", column=name))]
    if plain:
        one = st.sampled_from(plain)
        options += [
            one.map(lambda v: RowCheck(rule="min_value", column=name, bound=v)),
            one.map(lambda v: RowCheck(rule="max_value", column=name, bound=v)),
            st.lists(one, min_size=1, max_size=3).map(
                lambda vs: RowCheck(rule="allowed_values", column=name, values=tuple(vs))
            ),
        ]
    options.append(st.sampled_from(PATTERNS).map(lambda p: RowCheck(rule="regex_pattern", column=name, pattern=p)))
    return st.one_of(options)


def breaks(check: RowCheck, value: object) -> bool:
    """The rule, told in plain Python."""
    if value is None:
        return check.rule in ("not_null", "primary_key_null")
    match check.rule:
        case "not_null" | "primary_key_null":
            return False
        case "regex_pattern":
            return re.fullmatch(check.pattern, value) is None
        case "allowed_values":
            return all(not same(value, allowed) for allowed in check.values)
    bound = of_type(check.bound, value)
    if isinstance(value, float) and math.isnan(value):
        return True
    return value < bound if check.rule == "min_value" else value > bound


def of_type(word: object, like: object) -> object:
    if isinstance(like, dt.datetime):
        moment = dt.datetime.fromisoformat(word)
        return moment.replace(tzinfo=moment.tzinfo or like.tzinfo)
    if isinstance(like, dt.date):
        return dt.date.fromisoformat(word)
    return Decimal(word) if isinstance(like, Decimal) else word


def same(value: object, allowed: object) -> bool:
    return value == of_type(allowed, value)


@st.composite
def checked_tables(draw):
    table = draw(tables())
    checks = [
        draw(possible_checks(name, table[name].to_pylist()))
        for name in draw(st.lists(st.sampled_from(table.column_names), min_size=1, max_size=4))
    ]
    return table, tuple({check.key: check for check in checks}.values())


@given(checked=checked_tables())
@settings(max_examples=100, deadline=None)
def test_rows_are_set_aside_exactly_where_a_rule_is_broken_and_under_the_first(checked):
    table, checks = checked
    stage = CheckRows(checks=checks)
    sifted = stage.apply(numbered(table))
    live = stage.live(table.schema)
    first = {}
    for row, values in enumerate(table.to_pylist()):
        broken = [check for check in live if breaks(check, values[check.column])]
        if broken:
            first[row] = (broken[0].column, broken[0].reason)
    told = {row["row"]: (row["column"], row["reason"]) for row in sifted.aside.to_pylist()}
    assert told == first
    assert sifted.block["__row__"].to_pylist() == [row for row in range(table.num_rows) if row not in first]
    for check in live if table.num_rows else ():
        assert sifted.counts[check.key] == sum(breaks(check, cell) for cell in table[check.column].to_pylist())


@given(checked=checked_tables(), quarantine=st.booleans())
@settings(max_examples=30, deadline=None)
def test_check_rows_keeps_the_laws_of_a_stage(checked, quarantine):
    table, checks = checked
    assert_stage_laws(CheckRows(checks=checks, quarantine=quarantine), table)


def test_without_quarantine_rows_stay_and_are_still_counted():
    stage = CheckRows(checks=(RowCheck(rule="min_value", column="a", bound=0),), quarantine=False)
    sifted = stage.apply(pa.table({"a": [1, -1, None]}))
    assert sifted.block.num_rows == 3
    assert sifted.aside.num_rows == 0
    assert dict(sifted.counts) == {"rows:checked": 3, "failed:min_value:a": 1}


def test_a_row_at_fault_is_told_with_column_value_reason_and_whole():
    stage = CheckRows(checks=(RowCheck(rule="max_value", column="a:b", bound=10),))
    (row,) = stage.apply(numbered(pa.table({"a:b": [5, 11], "c": ["x", "y"]}), start=7)).aside.to_pylist()
    assert (row["row"], row["column"], row["value"], row["reason"]) == (8, "a:b", "11", "wanted at most 10")
    assert json.loads(row["raw"]) == {"a:b": 11, "c": "y"}


def test_every_broken_rule_of_a_row_is_counted_though_it_goes_aside_once():
    checks = (
        RowCheck(rule="min_value", column="a", bound=0),
        RowCheck(rule="allowed_values", column="a", values=(1, 2)),
    )
    sifted = CheckRows(checks=checks).apply(pa.table({"a": [-5]}))
    assert sifted.aside.num_rows == 1
    assert sifted.counts["failed:min_value:a"] == sifted.counts["failed:allowed_values:a"] == 1
    assert sifted.counts["rows:set_aside"] == 1


@pytest.mark.parametrize(
    ("kind", "rule", "bound", "value", "broken"),
    [
        (pa.int64(), "max_value", 2**53, 2**53 + 1, True),
        (pa.int64(), "max_value", 2.5, 2, False),
        (pa.int64(), "max_value", 2.5, 3, True),
        (pa.int64(), "min_value", -0.5, 0, False),
        (pa.int64(), "min_value", -0.5, -1, True),
        (pa.int8(), "max_value", 300, 127, False),
        (pa.int8(), "min_value", 300, 127, True),
        (pa.int8(), "max_value", -300, -128, True),
        (pa.uint64(), "min_value", -1, 0, False),
        (pa.uint64(), "max_value", 2**64 - 2, 2**64 - 1, True),
        (pa.float64(), "max_value", 1, float("inf"), True),
        (pa.float64(), "max_value", 1, float("nan"), True),
        (pa.float64(), "min_value", 1, float("nan"), True),
        (pa.decimal128(10, 2), "max_value", "1.105", Decimal("1.11"), True),
        (pa.decimal128(10, 2), "max_value", "1.105", Decimal("1.10"), False),
        (pa.date32(), "max_value", "2024-01-01", dt.date(2024, 1, 2), True),
        (pa.date32(), "min_value", "2024-01-01T12:00", dt.date(2024, 1, 1), True),
        (pa.timestamp("us"), "max_value", "2024-01-01", dt.datetime(2024, 1, 1, 0, 0, 1), True),
        (pa.timestamp("us", "Asia/Tokyo"), "max_value", "2024-01-01T00:00+09:00", dt.datetime(2023, 12, 31, 15), False),
        (pa.timestamp("us", "Asia/Tokyo"), "max_value", "2024-01-01T00:00+09:00", dt.datetime(2023, 12, 31, 16), True),
    ],
)
def test_bounds_are_exact_at_the_edges_of_every_type(kind, rule, bound, value, broken):
    stage = CheckRows(checks=(RowCheck(rule=rule, column="a", bound=bound),))
    assert stage.apply(pa.table({"a": pa.array([value], kind)})).aside.num_rows == int(broken)


def test_a_pattern_must_match_the_whole_value_also_across_lines():
    stage = CheckRows(checks=(RowCheck(rule="regex_pattern", column="a", pattern="a|bc"),))
    sifted = stage.apply(pa.table({"a": pa.array(["a", "bc", "ab", "a\n", "\na", "b", None, ""], pa.large_string())}))
    assert sifted.block["a"].to_pylist() == ["a", "bc", None]


def test_checks_on_columns_that_are_absent_or_unfit_are_passed_over():
    checks = (RowCheck(rule="not_null", column="gone"), RowCheck(rule="regex_pattern", column="a", pattern="x"))
    sifted = CheckRows(checks=checks).apply(pa.table({"a": [1]}))
    assert dict(sifted.counts) == {"rows:checked": 1}


def test_the_rules_of_a_schema_come_column_by_column_and_key_columns_are_never_null():
    schema = DataSchema(
        name="p",
        primary_key=("id",),
        columns=(ColumnSchema(name="a", nullable=False, max_value=1), ColumnSchema(name="id", nullable=False)),
    )
    stage = CheckRows.of(schema)
    assert [check.key for check in stage.checks] == [
        "failed:not_null:a",
        "failed:max_value:a",
        "failed:primary_key_null:id",
    ]
    assert CheckRows.of(DataSchema(name="p", columns=(ColumnSchema(name="a"),))) is None


def test_reasons_are_short_however_long_the_pattern_or_the_list():
    assert len(RowCheck(rule="regex_pattern", column="a", pattern="x" * 9000).reason) < 100
    assert RowCheck(rule="allowed_values", column="a", values=tuple(range(1000))).reason.endswith("and 995 more")


@pytest.mark.parametrize("name", NAMES)
def test_no_name_is_taken_for_a_pattern(name):
    other = "another"
    block = pa.table([pa.array([1, None]), pa.array([None, None], pa.int64())], names=[name, other])
    sifted = CheckRows(checks=(RowCheck(rule="not_null", column=name),)).apply(block)
    assert sifted.counts[f"failed:not_null:{name}"] == 1
    assert sifted.aside["column"].to_pylist() == [name]


def test_counting_costs_the_same_when_every_row_fails():
    good, bad = (pa.table({"a": np.full(2_000_000, value)}) for value in (1.0, -1.0))
    stage = CheckRows(checks=(RowCheck(rule="min_value", column="a", bound=0),), quarantine=False)

    def seconds(block: pa.Table) -> float:
        best = math.inf
        for _ in range(5):
            started = time.perf_counter()
            stage.apply(block)
            best = min(best, time.perf_counter() - started)
        return best

    seconds(good)
    assert seconds(bad) < 4 * seconds(good) + 0.01
