import datetime as dt
import math
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings

from raypipe.blocks.profile import ColumnProfile, DistinctCount, NumberSummary, Profile, Quantiles, ValueCount
from raypipe.blocks.table import finish, summarise
from raypipe.config import ProcessingConfig
from raypipe.errors import ConfigError, MissingColumnsError
from raypipe.etl.steps import DateWriting, Fill, Impute
from raypipe.etl.steps.impute import check_impute, fit_impute
from raypipe.etl.steps.step import Evidence
from tests.hostile import NAMES, tables
from tests.laws import assert_stage_laws


def fit(table: pa.Table, impute, target=None, time_column=None, profile=None, **config) -> Impute | None:
    settings_ = ProcessingConfig(impute=impute, **config)
    check_impute(settings_, table.schema, time_column)
    evidence = Evidence(settings_, profile or finish(summarise(table)), target, time_column)
    return fit_impute(table.schema, evidence, {})


def filled(table: pa.Table, impute) -> pa.Table:
    step = fit(table, impute)
    return step.apply(table).block if step else table


@given(table=tables(kinds=("int64", "int8", "uint64", "float64", "float32", "bool", "text", "decimal", "null")))
@settings(max_examples=60, deadline=None)
def test_auto_leaves_no_gap_but_where_it_says_why(table):
    step = fit(table, "auto", trim_text=False)
    if step is None:
        assert all(gaps(table[name]) == 0 for name in table.column_names if not pa.types.is_null(table[name].type))
        return
    assert_stage_laws(step, table)
    after = step.apply(table).block
    for name in table.column_names:
        if name not in step.skipped and not pa.types.is_null(table[name].type):
            assert gaps(after[name]) == 0
        before, now = table[name].to_pylist(), after[name].to_pylist()
        kept = [(a, b) for a, b in zip(before, now, strict=True) if not is_gap(a)]
        assert all(a == b for a, b in kept)


def is_gap(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def gaps(column: pa.ChunkedArray) -> int:
    return sum(map(is_gap, column.to_pylist()))


def test_numbers_get_the_median_and_text_and_booleans_the_most_frequent_value():
    table = pa.table(
        {
            "n": [1, None, 2, 9],
            "f": [1.0, float("nan"), 2.0, None],
            "t": pa.array(["a", "b", "b", None], pa.large_string()),
            "b": [True, True, False, None],
        }
    )
    assert filled(table, "auto").to_pydict() == {
        "n": [1, 2, 2, 9],
        "f": [1.0, 1.5, 2.0, 1.5],
        "t": ["a", "b", "b", "b"],
        "b": [True, True, False, True],
    }


def test_a_median_between_whole_numbers_is_rounded_half_to_even_and_said_so():
    step = fit(pa.table({"a": [1, 2, None], "b": [3, 4, None]}), "auto")
    assert [fill.value for fill in step.fills] == [2, 4]
    assert step.fills[0].note == "median 1.5 rounded to the nearest whole number, half to even"
    assert step.describe({"cells:a": 1, "cells:b": 1}, 0).detail["a"] == {
        "fill": 2,
        "strategy": "median",
        "cells": 1,
        "note": "median 1.5 rounded to the nearest whole number, half to even",
    }


def test_the_target_is_filled_only_by_name_and_the_time_column_never():
    table = pa.table({"y": [1, None, 1], "t": [1, None, 1], "x": [1, None, 1]})
    step = fit(table, "auto", target="y", time_column="t")
    assert [fill.column for fill in step.fills] == ["x"]
    assert [fill.column for fill in fit(table, {"y": "mode"}, target="y").fills] == ["y"]
    with pytest.raises(ConfigError, match="'t' is the time column, whose gaps are never filled"):
        fit(table, {"t": "median"}, time_column="t")


def test_times_are_left_alone_by_auto_and_filled_by_name():
    table = pa.table({"d": pa.array([dt.date(2024, 1, 1), dt.date(2024, 1, 3), None, dt.date(2024, 1, 3)])})
    assert fit(table, "auto") is None
    assert filled(table, {"d": "median"})["d"][2].as_py() == dt.date(2024, 1, 3)
    assert filled(table, {"d": "mode"})["d"][2].as_py() == dt.date(2024, 1, 3)
    assert filled(table, {"d": "mean"})["d"][2].as_py() == dt.date(2024, 1, 2)
    assert filled(table, {"d": "constant:2020-02-02"})["d"][2].as_py() == dt.date(2020, 2, 2)
    moments = pa.table({"m": pa.array([dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 2), None])})
    assert filled(moments, {"m": "mean"})["m"][2].as_py() == dt.datetime(2024, 1, 1, 12)
    zoned = pa.table({"m": pa.array([dt.datetime(2024, 1, 1), None], pa.timestamp("us", "Asia/Tokyo"))})
    assert filled(zoned, {"m": "median"})["m"].to_pylist()[1] == dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("kind", "word", "value"),
    [
        (pa.int64(), "7", 7),
        (pa.float64(), "0.5", 0.5),
        (pa.bool_(), "True", True),
        (pa.large_string(), "", ""),
        (pa.large_string(), " a:b ", " a:b "),
        (pa.decimal128(10, 2), "1.50", Decimal("1.50")),
        (pa.date32(), "2024-02-29", dt.date(2024, 2, 29)),
        (pa.timestamp("us"), "2024-02-29T10:00", dt.datetime(2024, 2, 29, 10)),
    ],
)
def test_a_constant_is_read_as_the_columns_type(kind, word, value):
    table = pa.table({"a": pa.array([None], kind)})
    assert filled(table, {"a": f"constant:{word}"})["a"].to_pylist() == [value]


@pytest.mark.parametrize(
    ("kind", "strategy", "match"),
    [
        (pa.int64(), "constant:x", "'a': 'x' is no value of type int64"),
        (pa.int64(), "constant:1.5", "'a': '1.5' is no value of type int64"),
        (pa.int8(), "constant:300", "'a': '300' is no value of type int8"),
        (pa.float64(), "constant:nan", "'a': 'nan' is no value of type float64"),
        (pa.bool_(), "constant:yes", "'yes' is neither true nor false"),
        (pa.date32(), "constant:soon", "'soon' is no date"),
        (pa.decimal128(4, 2), "constant:1.234", "more digits after the point"),
        (pa.decimal128(4, 2), "constant:12345", "'a'"),
        (pa.large_string(), "median", "wanted its median, but a column of text has none; use mode"),
        (pa.bool_(), "mean", "wanted its mean, but a column of boolean has none"),
        (pa.int64(), "medan", "no strategy 'medan'; wanted one of mean, median, mode, constant:VALUE"),
        (pa.int64(), "constant", "no strategy 'constant'"),
    ],
)
def test_a_strategy_that_does_not_suit_its_column_is_known_before_reading(kind, strategy, match):
    with pytest.raises(ConfigError, match=match):
        check_impute(
            ProcessingConfig(impute={"a": strategy}, parse_dates=False), pa.schema([("a", kind)]), time_column=None
        )


def test_a_misspelt_column_is_known_before_reading():
    with pytest.raises(MissingColumnsError, match=r"processing.impute: input has no column 'agee'.*mean 'age'"):
        check_impute(ProcessingConfig(impute={"agee": "mode"}), pa.schema([("age", pa.int64())]), None)


def test_what_cannot_be_filled_says_why():
    table = pa.table(
        {
            "empty": pa.nulls(3, pa.int64()),
            "untyped": pa.nulls(3),
            "id": pa.array(["a", "b", None], pa.large_string()),
            "inf": [float("inf"), float("nan"), None],
        }
    )
    step = fit(table, "auto")
    assert step.fills == ()
    assert step.idle
    assert step.skipped == {
        "empty": "the column is empty, so that there is nothing to take a value from",
        "id": "no value is seen to occur twice, so that none is the most frequent",
        "inf": "it has no finite value",
    }
    constants = fit(table, {"untyped": "constant:1", "empty": "constant:1"})
    assert "has no type" in constants.skipped["untyped"]
    assert constants.fills == (Fill(column="empty", strategy="constant", value=1),)


def test_a_column_that_was_dropped_before_says_so():
    table = pa.table({"a": [1]})
    evidence = Evidence(ProcessingConfig(impute={"gone": "mode"}), finish(summarise(table)))
    assert fit_impute(table.schema, evidence, {}).skipped == {"gone": "the column is empty, and was dropped"}


def profile_with(column: ColumnProfile) -> Profile:
    return Profile(rows=column.rows, columns=(column,))


def test_estimates_are_told_as_such():
    quantiles = Quantiles(exact=False, rank_error=0.013, values={"0.5": 4.0})
    number = ColumnProfile(
        name="a", dtype="int64", kind="number", rows=9, nulls=1, number=NumberSummary(finite=8, quantiles=quantiles)
    )
    table = pa.table({"a": [1, None]})
    assert fit(table, "auto", profile=profile_with(number)).fills[0].note == "estimated, rank error 1.3 %"
    text = ColumnProfile(
        name="a",
        dtype="large_string",
        kind="text",
        rows=9,
        nulls=1,
        distinct=DistinctCount(count=5, exact=True),
        top=(ValueCount(value="x", count=3, count_upper=4),),
        top_exact=False,
    )
    texts = pa.table({"a": pa.array(["x", None], pa.large_string())})
    assert fit(texts, "auto", profile=profile_with(text)).fills[0].note == "estimated: 'x' occurs at least 3 times"


def test_spellings_that_differ_by_white_space_count_as_one_where_text_is_trimmed():
    cells = ["b", "b", " a", "a ", "a", None, " "]
    table = pa.table({"t": pa.array(cells, pa.large_string())})
    assert fit(table, "auto").fills[0].value == "a"
    assert fit(table, "auto", trim_text=False).fills[0].value == "b"


def test_text_that_became_a_date_is_filled_with_its_most_frequent_date():
    table = pa.table({"d": pa.array(["31/12/2024", "31/12/2024", "01/01/2024", None], pa.large_string())})
    writing = DateWriting(column="d", layout="DD/MM/YYYY", kind="date")
    schema = pa.schema([("d", pa.date32())])
    profile = finish(summarise(table))
    step = fit_impute(schema, Evidence(ProcessingConfig(impute={"d": "mode"}), profile), {"d": writing})
    assert step.fills[0].value == dt.date(2024, 12, 31)
    with pytest.raises(ConfigError, match="'d': wanted its median, but a column of date was text; use mode"):
        fit_impute(schema, Evidence(ProcessingConfig(impute={"d": "median"}), profile), {"d": writing})
    assert fit_impute(schema, Evidence(ProcessingConfig(impute="auto"), profile), {"d": writing}) is None


@pytest.mark.parametrize("name", NAMES)
def test_no_name_is_taken_for_a_pattern(name):
    table = pa.table([pa.array([1, None, 1]), pa.array([2, None, 2])], names=[name, "other"])
    after = filled(table, {name: "mode"})
    assert after[name].to_pylist() == [1, 1, 1]
    assert after["other"].null_count == 1


def test_the_mean_of_huge_whole_numbers_stays_within_their_type():
    table = pa.table({"a": pa.array([2**63 - 1, 2**63 - 1, None], pa.int64())})
    assert filled(table, {"a": "mean"})["a"].to_pylist() == [2**63 - 1] * 3
