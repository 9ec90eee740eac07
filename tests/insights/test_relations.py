"""Relations of every column to the target."""

import pickle

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.blocks.frames import from_polars
from raypipe.errors import MissingColumnsError
from raypipe.insights.models import TargetRelation, TargetReport
from raypipe.insights.relation_sums import MAX_TRACKED, encode
from raypipe.insights.relations import MAX_CLASSES, plan_relations
from tests.hostile import tables
from tests.insights.tables import as_table, close, profile_of, relate
from tests.laws import assert_reduce_laws

RNG = np.random.default_rng(11)


def of(report: TargetReport, column: str) -> TargetRelation:
    return next(relation for relation in report.relations if relation.column == column)


def mixed(rows: int = 400, seed: int = 1) -> pa.Table:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    group = rng.choice(["a", "b", "c"], rows)
    frame = pl.DataFrame(
        {
            "x": x,
            "group": group,
            "flag": rng.random(rows) < 0.3,
            "count": rng.integers(0, 6, rows),
            "when": pl.Series(rng.integers(0, 3 * 365, rows)).cast(pl.Date),
            "y": 2 * x + (group == "a") * 3 + rng.normal(size=rows),
            "class": np.where(x > 0.5, "high", np.where(x < -0.5, "low", "middle")),
        }
    )
    holes = [
        pl.when(pl.Series(rng.random(rows) < 0.1)).then(None).otherwise(pl.col(name)).alias(name)
        for name in frame.columns
    ]
    return from_polars(frame.with_columns(holes))


@pytest.mark.parametrize("target", ["y", "class", "flag", "count", "x"])
def test_the_result_depends_neither_on_cuts_nor_on_the_grouping_of_merges(target):
    table = mixed(120)
    assert_reduce_laws(plan_relations(profile_of(table), table.schema, target), table, same=close)


@settings(max_examples=80, deadline=None)
@given(table=tables(), data=st.data())
def test_any_table_and_any_target_give_a_report(table, data):
    target = data.draw(st.sampled_from(table.column_names))
    stage = plan_relations(profile_of(table), table.schema, target)
    report = stage.finish(stage.partial(table, "0"))
    told = {relation.column for relation in report.relations} | set(report.skipped)
    assert told <= set(table.column_names)
    if target not in report.skipped:
        assert told == set(table.column_names) - {target}
    for relation in report.relations:
        assert 0 <= relation.strength <= 1
        assert sum(level.rows for level in relation.levels) == relation.rows <= table.num_rows
    halves = [stage.partial(table.slice(0, 3), "0"), stage.partial(table.slice(3), "0")]
    assert close(stage.finish(stage.merge(*halves)), report, 1e-6)


def test_pearson_r_equals_numpy_over_pairwise_complete_rows():
    table = mixed(2000)
    frame = pl.from_arrow(table).drop_nulls(["x", "y"])
    relation = of(relate(table, "y"), "x")
    assert relation.measure == "pearson_r"
    assert relation.value == pytest.approx(np.corrcoef(frame["x"], frame["y"])[0, 1], abs=1e-12)
    assert relation.rows == frame.height


def test_r_survives_a_huge_offset_and_tiny_spread():
    x = RNG.normal(size=1000)
    y = x + RNG.normal(size=1000)
    table = as_table(x=x * 1e-3 + 1e9, y=y * 1e-3 - 1e9)
    shifted = np.corrcoef((x * 1e-3 + 1e9) - 1e9, (y * 1e-3 - 1e9) + 1e9)[0, 1]
    assert of(relate(table, "y"), "x").value == pytest.approx(shifted, abs=1e-9)


def test_numbers_near_the_limit_of_floats_do_not_overflow():
    x = RNG.uniform(-1.7, 1.7, 200) * 1e308
    relation = of(relate(as_table(x=x, y=-x), "y"), "x")
    assert relation.value == pytest.approx(-1.0)


def test_nan_and_infinity_count_as_unknown():
    x = [1.0, 2.0, 3.0, float("nan"), float("inf"), None, 4.0] * 10
    y = [0.5 + value if value is not None and np.isfinite(value) else 1.0 for value in x]
    y[0] = float("nan")
    report = relate(as_table(x=x, y=y, z=range(70)), "y")
    assert of(report, "x").rows == 39
    assert of(report, "x").value == pytest.approx(1.0)


def test_levels_hold_mean_and_standard_deviation_of_the_target():
    table = mixed(3000)
    relation = of(relate(table, "y"), "group")
    frame = pl.from_arrow(table).drop_nulls(["group", "y"]).group_by("group").agg(pl.len(), pl.mean("y"), s=pl.std("y"))
    for name, rows, mean, std in frame.iter_rows():
        level = next(level for level in relation.levels if level.label == name)
        assert level.rows == rows
        assert (level.mean, level.std) == pytest.approx((mean, std))


def test_eta_squared_is_corrected_for_many_levels():
    rows = 300
    table = as_table(g=[f"g{i}" for i in RNG.integers(0, 150, rows)], y=RNG.normal(size=rows))
    relation = of(relate(table, "y"), "g")
    assert relation.measure == "eta_squared"
    assert relation.strength < 0.35, "uncorrected, it would be about 0.7"
    assert relation.score < 3.5
    assert len(relation.levels) == 21
    assert relation.levels[-1].label == "(other)"
    assert relation.groups > 100


def test_a_curve_is_found_where_no_line_fits():
    x = RNG.uniform(-1, 1, 3000)
    relation = of(relate(as_table(x=x, y=x**2 + 0.05 * RNG.normal(size=3000)), "y"), "x")
    assert relation.measure == "eta_squared"
    assert relation.strength > 0.9


def test_few_values_of_a_number_become_bins_of_their_own():
    table = as_table(n=RNG.integers(1, 5, 500), y=RNG.normal(size=500))
    assert [level.label for level in of(relate(table, "y"), "n").levels] == ["1", "2", "3", "4"]


def test_bins_of_a_number_hold_about_a_tenth_each():
    table = as_table(x=RNG.exponential(size=5000), y=RNG.normal(size=5000))
    rows = [level.rows for level in of(relate(table, "y"), "x").levels]
    assert len(rows) == 10
    assert min(rows) > 250
    assert max(rows) < 1000


def test_times_are_measured_by_calendar_bins():
    days = np.arange(730)
    table = as_table(t=pl.Series(days).cast(pl.Date), y=np.where(days < 365, 0.0, 5.0) + RNG.normal(size=730))
    relation = of(relate(table, "y"), "t")
    assert (relation.kind, relation.measure) == ("time", "eta_squared")
    assert relation.levels[0].label == "1970-01-01"
    assert relation.strength > 0.8


def test_classes_are_related_by_shift_and_by_association():
    report = relate(mixed(3000), "class")
    assert report.task == "classification"
    assert of(report, "x").strength > 0.7
    assert of(report, "group").measure == "cramers_v"
    assert of(report, "group").strength < 0.1
    level = of(report, "x").levels[0]
    assert level.shares["low"] == pytest.approx(1.0)
    assert sum(report.classes.values()) == report.rows
    assert list(report.classes) == sorted(report.classes, key=lambda name: -report.classes[name])


def test_classes_with_equal_means_but_other_spread_are_told_apart():
    y = np.repeat(["calm", "wild"], 1000)
    x = np.concatenate([RNG.normal(scale=0.1, size=1000), RNG.normal(scale=3, size=1000)])
    relation = of(relate(as_table(x=x, y=y), "y"), "x")
    assert relation.measure == "cramers_v"
    assert relation.strength > 0.6


@pytest.mark.parametrize("target", [[True, False], [0, 1], ["no", "yes"], [0.0, 1.0]])
def test_two_valued_targets_are_classes_whatever_their_type(target):
    y = np.array(target * 100)
    report = relate(as_table(x=[1.0, 5.0] * 100, y=y, n=range(200)), "y")
    assert report.task == "classification"
    assert len(report.classes) == 2
    assert of(report, "x").strength == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (range(19), "classification"),
        (range(20), "regression"),
        ([0.5, 1.0], "regression"),
        ([1.0, 2.0], "classification"),
    ],
)
def test_numbers_are_classes_only_if_they_are_few_and_whole(values, task):
    values = list(values) * 20
    assert relate(as_table(y=values, x=range(len(values))), "y").task == task


def test_a_copy_of_the_target_is_suspected_of_leakage_and_dep_delay_like_strength_is_not():
    y = RNG.normal(size=1000)
    report = relate(as_table(copy=y + 0.1 * RNG.normal(size=1000), near=y + 0.44 * RNG.normal(size=1000), y=y), "y")
    assert of(report, "copy").leakage_suspected
    assert 0.85 < of(report, "near").strength < 0.95
    assert not of(report, "near").leakage_suspected
    assert report.relations[0].column == "copy"


def test_a_handful_of_rows_suspects_no_leakage():
    assert not relate(as_table(x=range(25), y=[1.5 * i for i in range(25)]), "y").relations[0].leakage_suspected


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ([None] * 30, "no known value"),
        ([float("nan")] * 30, "no known value"),
        ([5.0] * 30, "same value"),
        (["a"] * 30, "same value"),
        ([b"x", b"y"] * 15, "a target is a number, a boolean or text"),
        ([f"v{i}" for i in range(MAX_CLASSES + 1)], "201 classes"),
        (["x" * 2000, "y"] * 15, "free text"),
    ],
)
def test_a_target_that_cannot_be_related_says_why(target, reason):
    report = relate(as_table(y=target, x=range(len(target))), "y")
    assert report.relations == ()
    assert reason in report.skipped["y"]


def test_two_hundred_classes_are_still_related():
    y = [f"v{i % MAX_CLASSES}" for i in range(4000)]
    report = relate(as_table(y=y, x=[float(i % MAX_CLASSES) for i in range(4000)]), "y")
    assert len(report.classes) == MAX_CLASSES
    assert of(report, "x").strength > 0.9
    assert all(len(level.shares) <= 10 for level in of(report, "x").levels)


def test_an_empty_table_gives_a_report_without_relations():
    table = as_table(x=pl.Series([], dtype=pl.Float64), y=pl.Series([], dtype=pl.Float64))
    stage = plan_relations(profile_of(table), table.schema, "y")
    for state in (None, stage.partial(table, "0")):
        report = stage.finish(state)
        assert report.relations == ()
        assert "no known value" in report.skipped["y"]


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ([f"id{i}" for i in range(400)], "400 distinct values"),
        (["same"] * 400, "same value"),
        ([1.0] * 400, "same value"),
        ([None] * 400, "no known value"),
        (["x" * 1500 + str(i % 3) for i in range(400)], "free text"),
        ([[1], [2]] * 200, "not measured"),
        ([float("inf"), float("nan")] * 200, "no finite value"),
        ([1.0] + [None] * 398 + [2.0], "too few rows"),
    ],
)
def test_columns_that_cannot_be_measured_say_why(column, reason):
    report = relate(as_table(c=column, y=RNG.normal(size=400), z=range(400)), "y")
    assert reason in report.skipped["c"]
    assert [relation.column for relation in report.relations] == ["z"]


def test_frequent_values_of_a_long_tailed_category_are_measured_and_the_rest_pooled():
    rare = [f"rare{i}" for i in range(300)]
    values = ["big", "bigger"] * 500 + rare
    y = np.array([1.0 if value == "big" else 2.0 if value == "bigger" else 9.0 for value in values])
    report = relate(as_table(c=values, y=y + 0.01 * RNG.normal(size=len(values))), "y")
    levels = {level.label: level for level in of(report, "c").levels}
    assert levels["(other)"].rows > 250
    assert levels["big"].rows == 500
    assert levels["(other)"].mean == pytest.approx(9.0, abs=0.1)


def test_a_real_value_called_other_is_pooled_not_doubled():
    values = ["(other)"] * 50 + [f"v{i % 30}" for i in range(300)]
    relation = of(relate(as_table(c=values, y=RNG.normal(size=350)), "y"), "c")
    assert [level.label for level in relation.levels].count("(other)") == 1
    assert sum(level.rows for level in relation.levels) == 350


def test_more_levels_than_the_profile_promised_skip_the_column_whatever_the_order_of_merges():
    small = as_table(c=["a", "b"] * 50, y=RNG.normal(size=100))
    stage = plan_relations(profile_of(small), small.schema, "y")
    many = as_table(c=[f"v{i}" for i in range(MAX_TRACKED)], y=RNG.normal(size=MAX_TRACKED))
    partials = [stage.partial(small, "0"), stage.partial(many, "1"), stage.partial(small, "2")]
    left = stage.finish(stage.merge(stage.merge(*partials[:2]), partials[2]))
    right = stage.finish(stage.merge(partials[0], stage.merge(*partials[1:])))
    assert left == right
    assert "more distinct values" in left.skipped["c"]


def test_more_classes_than_can_be_tracked_end_in_a_reason():
    small = as_table(x=range(100), y=["a", "b"] * 50)
    stage = plan_relations(profile_of(small), small.schema, "y")
    many = as_table(x=range(MAX_TRACKED + 1), y=[f"v{i}" for i in range(MAX_TRACKED + 1)])
    state = stage.merge(stage.partial(small, "0"), stage.partial(many, "1"))
    assert "more than 200 classes" in stage.finish(state).skipped["y"]


def test_partials_are_small():
    table = mixed(20_000)
    for target in ("y", "class"):
        stage = plan_relations(profile_of(table), table.schema, target)
        assert len(pickle.dumps(stage.partial(table, "0"))) < 20_000


def test_a_misspelt_target_is_reported_with_a_guess():
    table = mixed(50)
    with pytest.raises(MissingColumnsError, match="no column 'grop'.*Did you mean 'group'"):
        plan_relations(profile_of(table), table.schema, "grop")


def test_a_stage_whose_columns_are_gone_says_so_before_it_runs():
    table = mixed(50)
    stage = plan_relations(profile_of(table), table.schema, "y")
    with pytest.raises(MissingColumnsError, match="RelateTarget: input has no column 'x'"):
        stage.output_schema(table.schema.remove(table.schema.get_field_index("x")))


def test_dictionary_columns_are_categories():
    plain = as_table(c=["a", "b"] * 100, y=RNG.normal(size=200))
    table = plain.set_column(0, "c", plain["c"].dictionary_encode())
    stage = plan_relations(profile_of(plain), table.schema, "y")
    assert close(stage.finish(stage.partial(table, "0")), relate(plain, "y"))


@pytest.mark.parametrize("late", [(), ("new",), (None,)], ids=["few", "a new one late", "a null late"])
@pytest.mark.parametrize("distinct", [1, 3, 16, 17])
def test_texts_are_encoded_alike_however_many_there_are(distinct, late):
    rows = np.random.default_rng(distinct).integers(0, distinct, 20_000)
    values = [*(f"text {row}" for row in rows), *late]
    text = pa.array(values, pa.large_string())
    codes, names = encode(text)
    assert [names[code] if code >= 0 else None for code in codes.tolist()] == values
    assert names == list(dict.fromkeys(value for value in values if value is not None))
