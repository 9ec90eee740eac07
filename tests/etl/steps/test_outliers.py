from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.blocks.profile import ColumnProfile, DistinctCount, NumberSummary, Profile, Quantiles
from raypipe.blocks.table import finish, summarise
from raypipe.config import ProcessingConfig
from raypipe.errors import ConfigError, MissingColumnsError
from raypipe.etl.steps import CapOutliers, Fence
from raypipe.etl.steps.outliers import check_cap_outliers, fit_cap_outliers
from raypipe.etl.steps.step import Evidence
from tests.hostile import tables
from tests.laws import assert_stage_laws


def fit(table: pa.Table, cap, target=None, **config) -> CapOutliers | None:
    settings_ = ProcessingConfig(cap_outliers=cap, **config)
    check_cap_outliers(settings_, table.schema)
    return fit_cap_outliers(table.schema, Evidence(settings_, finish(summarise(table)), target))


@given(table=tables(kinds=("int64", "int8", "uint64", "float64", "float32", "decimal")))
@settings(max_examples=60, deadline=None)
def test_values_within_the_fence_stay_and_others_come_to_its_edge(table):
    step = fit(table, tuple(table.column_names))
    assert {fence.column for fence in step.fences} | set(step.skipped) == set(table.column_names)
    assert_stage_laws(step, table)
    after = step.apply(table).block
    for fence in step.fences:
        for before, now in zip(table[fence.column].to_pylist(), after[fence.column].to_pylist(), strict=True):
            if before is None or before != before:
                assert now is None or now != now
            elif pa.types.is_float32(table[fence.column].type):
                assert now == pytest.approx(min(max(before, fence.low), fence.high), rel=1e-6)
            else:
                assert now == min(max(before, fence.low), fence.high)


@given(cells=st.lists(st.integers(-50, 50), min_size=12, max_size=40, unique=True), factor=st.floats(0.1, 3))
@settings(max_examples=40, deadline=None)
def test_fences_stand_at_the_quartiles_and_whole_numbers_stay_whole(cells, factor):
    table = pa.table({"a": [*cells, 10_000]})
    step = fit(table, True, outlier_iqr_factor=factor)
    (fence,) = step.fences
    quantiles = finish(summarise(table)).column("a").number.quantiles
    q25, q75 = quantiles.at(0.25), quantiles.at(0.75)
    assert fence.high <= q75 + factor * (q75 - q25) < fence.high + 1
    assert fence.low - 1 < q25 - factor * (q75 - q25) <= fence.low
    sifted = step.apply(table)
    assert sifted.block.schema == table.schema
    assert sifted.counts["cells:a"] == sum(not fence.low <= cell <= fence.high for cell in [*cells, 10_000])


def test_true_takes_every_number_column_but_the_target_constants_and_codes():
    many = list(range(20))
    table = pa.table(
        {
            "x": many,
            "y": many,
            "code": [n % 5 for n in many],
            "one": [1] * 20,
            "mostly": [0] * 15 + [1, 2, 3, 4, 5],
            "flag": [True, False] * 10,
            "none": pa.nulls(20, pa.float64()),
            "few": [0] * 11 + list(range(1, 10)),
        }
    )
    step = fit(table, True, target="y")
    assert [fence.column for fence in step.fences] == ["x", "few"]
    assert step.skipped == {
        "code": "it has only 5 different values; name it to cap it",
        "one": "it is constant",
        "mostly": "it has only 6 different values; name it to cap it",
        "none": "it has no finite value",
    }


def test_named_columns_are_capped_also_the_target_and_codes_but_not_where_quartiles_are_equal():
    table = pa.table({"y": list(range(5)), "mostly": [0, 0, 0, 0, 9]})
    step = fit(table, ("y", "mostly"), target="y")
    assert [fence.column for fence in step.fences] == ["y"]
    assert step.skipped == {"mostly": "half of its values are 0, so that its quartiles are no measure of spread"}


def test_names_are_checked_before_anything_is_read():
    schema = pa.schema([("price", pa.int64()), ("t", pa.large_string())])
    with pytest.raises(MissingColumnsError, match=r"processing.cap_outliers: .*'prise'.*Did you mean 'price'"):
        check_cap_outliers(ProcessingConfig(cap_outliers=("prise",)), schema)
    with pytest.raises(ConfigError, match="processing.cap_outliers: 't' holds text, not numbers"):
        check_cap_outliers(ProcessingConfig(cap_outliers=("t",)), schema)


def test_infinities_come_to_the_fence_and_nan_and_null_stay():
    step = CapOutliers(fences=(Fence(column="a", low=0.0, high=1.0),))
    sifted = step.apply(pa.table({"a": [float("inf"), float("-inf"), float("nan"), None, 0.5]}))
    assert str(sifted.block["a"].to_pylist()) == "[1.0, 0.0, nan, None, 0.5]"
    assert dict(sifted.counts) == {"cells:a": 2}


def test_estimated_quartiles_are_told_as_such_and_decimals_keep_their_scale():
    quantiles = Quantiles(exact=False, rank_error=0.01, values={"0.25": 1.0, "0.75": 2.111})
    column = ColumnProfile(
        name="a",
        dtype="decimal128(10, 2)",
        kind="number",
        rows=50,
        nulls=0,
        distinct=DistinctCount(count=50, exact=True),
        number=NumberSummary(finite=50, min=0.0, max=9.0, quantiles=quantiles),
    )
    evidence = Evidence(ProcessingConfig(cap_outliers=True), Profile(rows=50, columns=(column,)))
    step = fit_cap_outliers(pa.schema([("a", pa.decimal128(10, 2))]), evidence)
    assert step.fences[0].low == Decimal("-0.66")
    assert step.fences[0].high == Decimal("3.77")
    assert step.fences[0].note == "from estimated quartiles, rank error 1 %"
    report = step.describe({"cells:a": 3}, 0)
    assert report.detail["a"] == {"low": -0.66, "high": 3.77, "cells": 3, "note": step.fences[0].note}


def test_without_the_setting_there_is_no_step():
    assert fit(pa.table({"a": [1, 2]}), False) is None
