"""What is said of a table, and what is not."""

import json
from collections import Counter
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.blocks.frames import from_polars
from raypipe.blocks.profile import DuplicateRows, Profile
from raypipe.config.insights.report import ReportConfig
from raypipe.insights.calendar import is_calendar
from raypipe.insights.facts import Facts, InsightContext, looks_like_id
from raypipe.insights.findings import course
from raypipe.insights.generator import FINDERS, InsightGenerator, stress
from raypipe.insights.models import Timeline, TimePoint
from raypipe.results import Insight, RuleOutcome, StepReport, ValidationResult
from tests.hostile import tables
from tests.insights.tables import alone, as_table, findings, noise, profile_of

RNG = np.random.default_rng(23)
N = 1000

CHANCE = {
    "target_driver",
    "leakage",
    "strong_correlation",
    "redundant_group",
    "missing_together",
    "trend",
    "volume_trend",
}
CHANCE |= {"seasonality", "time_gaps", "unusual_period", "class_imbalance"}
"""Findings that claim more than chance."""


def found(kind: str, *args, **more) -> list[Insight]:
    return [insight for insight in alone(*args, **more) if insight.type == kind]


def only(kind: str, *args, **more) -> Insight:
    matches = found(kind, *args, **more)
    assert len(matches) == 1, f"{len(matches)} findings of type {kind}"
    return matches[0]


def days(count: int) -> list[date]:
    return [date(2024, 1, 1) + timedelta(days=i) for i in range(count)]


# ── control of false alarms ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("rows", "tables"),
    [(200, 10), *(pytest.param(rows, 25, marks=pytest.mark.slow) for rows in (200, 1000, 5000))],
)
def test_noise_gives_hardly_any_finding_that_claims_more_than_chance(rows, tables):
    alarms = Counter()
    for seed in range(tables):
        alarms.update(insight.type for insight in findings(noise(rows, seed), "y", "t") if insight.type in CHANCE)
    assert alarms.total() <= 1, alarms


@pytest.mark.parametrize("tables", [6, pytest.param(25, marks=pytest.mark.slow)])
def test_noise_with_classes_for_a_target_gives_hardly_any_driver(tables):
    alarms = 0
    for seed in range(tables):
        table = noise(500, seed)
        labels = np.random.default_rng(seed + 1000).choice(["a", "b", "c"], 500)
        table = table.set_column(0, "y", as_table(y=labels)["y"])
        alarms += sum(insight.type in CHANCE for insight in findings(table, "y", "t"))
    assert alarms <= 1


@pytest.mark.parametrize("rows", [0, 1, 2, 5])
def test_tiny_tables_give_no_statistical_claims(rows):
    when = pl.Series([datetime(2024, 1, 1) + timedelta(days=3 * i) for i in range(rows)], dtype=pl.Datetime("us"))
    grow = pl.Series([1.5 * i for i in range(rows)], dtype=pl.Float64)
    text = pl.Series([f"name {i}" for i in range(rows)], dtype=pl.String)
    table = as_table(t=when, y=grow, copy=grow * 2, text=text)
    said = {insight.type for insight in findings(table, "y", "t")}
    assert said <= {"empty_table", "target_unusable"}


def test_a_tiny_table_still_gets_plain_facts():
    table = as_table(a=["x", "x", "y", "y", "z"], b=[None] * 5)
    assert {insight.type for insight in findings(table)} == {"empty_column"}


# ── hostile input ────────────────────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=60, deadline=None)
@given(table=tables(kinds=("int64", "float64", "bool", "text", "datetime", "null")), data=st.data())
def test_any_table_gives_findings_that_hold_together(table, data):
    times = [field.name for field in table.schema if is_calendar(field.type)]
    target = data.draw(st.none() | st.sampled_from(table.column_names))
    insights = findings(table, target, times[0] if times else None, context="sales of a b")
    assert [i.priority_score for i in insights] == sorted((i.priority_score for i in insights), reverse=True)
    for insight in insights:
        assert set(insight.columns_affected) <= set(table.column_names)
        assert "threshold" in insight.evidence
        assert insight.recommendation
        assert "\n" not in insight.title + insight.description + insight.impact + insight.recommendation
        json.dumps(insight.model_dump())


def test_evidence_of_every_real_finding_is_plain_json_with_a_threshold():
    table = rich_table()
    insights = findings(table, "y", "t", context=InsightContext(rows_read=1100, rows_quarantined=100))
    assert len({insight.type for insight in insights}) > 10
    for insight in insights:
        json.dumps(insight.evidence)
        assert "threshold" in insight.evidence
        assert 1 <= insight.priority_score <= 10


def rich_table():
    x = RNG.normal(size=N)
    gone = RNG.random(N) < 0.2
    frame = pl.DataFrame(
        {
            "t": [datetime(2024, 1, 1) + timedelta(hours=2 * i) for i in range(N)],
            "x": x,
            "twin": x + 0.05 * RNG.normal(size=N),
            "money": RNG.lognormal(0, 2, N),
            "rarely": np.where(RNG.random(N) < 0.7, 0, RNG.normal(size=N)),
            "grade": RNG.integers(1, 6, N),
            "one": ["same"] * N,
            "user id": [f"u{i:05}" for i in range(N)],
            "padded": RNG.choice([" a", "b ", "c"], N),
            "p": np.where(gone, None, x),
            "q": np.where(gone, None, RNG.normal(size=N)),
            "y": x + RNG.normal(size=N),
        },
        strict=False,
    )
    return from_polars(frame)


# ── quality ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_missing_share_decides_priority():
    low, high = (found("missing_values", as_table(a=[None] * n + [1.5] * (100 - n)))[0] for n in (10, 70))
    assert low.priority_score < high.priority_score
    assert low.evidence["null_share"] == 0.1
    assert "processing.impute: {a: median}" in low.recommendation
    assert not found("missing_values", as_table(a=[None] * 4 + [1.5] * 96))


def test_estimated_repeats_are_told_only_beyond_their_error_and_say_about():
    base = profile_of(as_table(a=range(100)))

    def said(share: float, upper: float) -> list[Insight]:
        profile = base.replace(duplicates=DuplicateRows(rows=5, share=share, exact=False, share_upper=upper))
        return [insight for insight in InsightGenerator().generate(profile) if insight.type == "duplicate_rows"]

    assert said(0.05, 0.2) == []
    assert said(0.05, 0.06)[0].title.startswith("About 5 %")


def test_constant_near_constant_and_empty_columns_are_told_apart():
    table = as_table(one=["k"] * 200, nearly=["k"] * 195 + ["o"] * 5, none=[None] * 200, fair=["k", "o"] * 100)
    kinds = {
        insight.columns_affected[0]: insight.type for insight in findings(table) if len(insight.columns_affected) == 1
    }
    assert kinds["one"] == "constant_column"
    assert kinds["nearly"] == "near_constant"
    assert kinds["none"] == "empty_column"
    assert "fair" not in kinds


def test_many_columns_with_one_value_are_one_finding():
    def told(count: int) -> list[Insight]:
        constant = {f"c{i}": [f"v{i}"] * 200 for i in range(count)}
        table = as_table(**constant, fair=["k", "o"] * 100, nearly=["k"] * 195 + ["o"] * 5)
        found = findings(table)
        assert [one.columns_affected for one in found if one.type == "near_constant"] == [("nearly",)]
        return [one for one in found if one.type.startswith("constant")]

    assert [one.type for one in told(2)] == ["constant_column"] * 2
    assert [one.type for one in told(3)] == ["constant_columns"]
    [one] = told(12)
    assert one.type == "constant_columns"
    assert one.columns_affected == tuple(f"c{i}" for i in range(12))
    assert one.title == "12 columns always have the same value: “c0”, “c1”, “c2” and 9 more"


@pytest.mark.parametrize(
    ("name", "values", "is_id"),
    [
        ("x", [f"u{i}" for i in range(200)], True),
        ("x", list(range(1000, 1200)), True),
        ("orderId", [i * 7919 for i in range(200)], True),
        ("revenue", [i * 7919 for i in range(200)], False),
        ("x", [i * 0.5 for i in range(200)], False),
        ("x", ["word " * 30 + str(i) for i in range(200)], False),
        ("id", [i // 2 for i in range(200)], False),
        ("id", list(range(10)), False),
    ],
)
def test_identifiers_are_short_unique_texts_and_unique_counts_or_numbers_called_so(name, values, is_id):
    assert looks_like_id(profile_of(as_table(**{name: values})).columns[0]) == is_id


def test_an_identifier_as_target_is_a_grave_finding():
    table = as_table(id=range(200), x=RNG.normal(size=200))
    assert only("identifier", table, "id").priority_score == 9
    assert only("identifier", table).priority_score <= 3


def test_varied_text_that_is_no_identifier_is_high_cardinality():
    values = [f"v{i}" for i in RNG.integers(0, 300, 400)]
    assert only("high_cardinality", as_table(a=values)).evidence["distinct"] == len(set(values))


def test_numbers_and_mixed_values_in_text_are_found_and_codes_are_not():
    table = as_table(
        number=["1", "2,5", "3"] * 40,
        mixed=["1", "2", "oops"] * 40,
        zip=["01067", "80331", "10115"] * 40,
        word=["a", "b", "c"] * 40,
    )
    shares = {
        insight.columns_affected[0]: insight.evidence["number_share"] for insight in found("numbers_as_text", table)
    }
    assert shares == {"number": 1.0, "mixed": pytest.approx(2 / 3)}


def test_a_widened_type_is_told_with_its_reason():
    context = InsightContext(type_changes={"a": "part 7 holds “abc” in an integer column"})
    insight = only("mixed_types", as_table(a=["1", "abc"] * 20), context=context)
    assert "part 7 holds" in insight.description


def test_padding_non_finite_values_and_quarantine_are_told():
    table = as_table(a=[" x", "y"] * 50, b=[float("inf"), float("nan"), 1.0, 2.0] * 25)
    context = InsightContext(rows_read=200, rows_quarantined=100)
    said = {insight.type: insight for insight in findings(table, context=context)}
    assert said["padded_text"].evidence["padded"] == 50
    assert (said["non_finite"].evidence["nan"], said["non_finite"].evidence["infinite"]) == (25, 25)
    assert said["quarantined_rows"].evidence["share"] == 0.5
    assert said["quarantined_rows"].priority_score == 9


def test_broken_rules_of_the_schema_are_told_and_those_of_the_profile_not_twice():
    outcomes = (
        RuleOutcome(rule="min_value", column="a", severity="error", passed=False, failing_rows=3, message="a < 0"),
        RuleOutcome(rule="missing_values", column="a", severity="error", passed=False, message="a is null"),
        RuleOutcome(rule="max_value", column="a", severity="warning", passed=False, message="a > 9"),
        RuleOutcome(rule="dtype", column="a", severity="error", passed=True, message="fine"),
    )
    validation = ValidationResult(is_valid=False, outcomes=outcomes, rows_validated=100)
    assert only("broken_rule", as_table(a=range(100)), validation=validation).evidence["rule"] == "min_value"


def test_a_step_that_changed_much_is_told():
    steps = [
        StepReport(step="impute", columns=("a",), cells_changed=60),
        StepReport(step="trim_text", columns=("a",), cells_changed=1),
        StepReport(step="drop_duplicates", rows_dropped=100),
    ]
    told = found("heavy_cleaning", as_table(a=range(100)), steps=steps)
    assert {insight.evidence["cells_share"] for insight in told} == {0.6, 0.0}


# ── shape ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_skew_needs_more_than_one_wild_value():
    normal = RNG.normal(size=N)
    assert found("skewed", as_table(a=RNG.exponential(size=N)))
    assert found("skewed", as_table(a=-RNG.exponential(size=N)))[0].title.endswith("left")
    wild = as_table(a=np.append(normal, 1e6))
    assert not found("skewed", wild)
    assert found("extreme_value", wild)


def test_heavy_tails_and_outliers_are_found_in_a_cauchy_and_not_in_a_normal_or_uniform_column():
    table = as_table(c=RNG.standard_cauchy(size=N), n=RNG.normal(size=N), u=RNG.uniform(size=N))
    for kind in ("heavy_tails", "outliers"):
        assert [insight.columns_affected for insight in found(kind, table)] == [("c",)]


def test_a_code_for_unknown_is_named_as_such():
    insight = only("extreme_value", as_table(a=[*RNG.normal(50, 5, size=N), 99999.0]))
    assert "99999 to read_options.null_values" in insight.recommendation


def test_zeros_and_codes_are_told():
    table = as_table(z=np.where(RNG.random(N) < 0.6, 0.0, RNG.normal(size=N)), grade=RNG.integers(1, 6, N))
    assert only("zero_inflated", table).evidence["share"] == pytest.approx(0.6, abs=0.06)
    assert only("coded_category", table).columns_affected == ("grade",)


# ── pairs ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_strong_pair_comes_with_its_interval_and_rows():
    x = RNG.normal(size=200)
    insight = only("strong_correlation", as_table(a=x, b=-x + 0.5 * RNG.normal(size=200)))
    assert insight.evidence["r"] < -0.8
    low, high = insight.evidence["interval_95"]
    assert low < insight.evidence["r"] < high
    assert "against each other" in insight.title
    assert "200 rows" in insight.description


def test_columns_that_hang_together_are_one_finding():
    x = RNG.normal(size=N)
    table = as_table(**{f"c{i}": x + 0.1 * RNG.normal(size=N) for i in range(12)})
    insight = only("redundant_group", table)
    assert len(insight.columns_affected) == 12
    assert insight.evidence["pairs_past_threshold"] == 66
    assert not found("strong_correlation", table)


def test_a_strong_correlation_of_a_dozen_rows_is_not_told():
    x = RNG.normal(size=12)
    assert not found("strong_correlation", as_table(a=x, b=x + 0.3 * RNG.normal(size=12)))


def test_columns_missing_together_are_told_with_their_overlap():
    gone = RNG.random(N) < 0.1
    a, b, c = (np.where(mask, None, 1.5 * np.arange(N)) for mask in (gone, gone, RNG.random(N) < 0.1))
    insight = only("missing_together", as_table(a=a, b=b, c=c))
    assert set(insight.columns_affected) == {"a", "b"}
    assert "always" in insight.title
    assert insight.evidence["pairs"][0]["jaccard"] == 1.0
    assert insight.evidence["pairs"][0]["phi"] == pytest.approx(1.0)


# ── target ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_drivers_come_with_effect_sizes_in_words_and_figures():
    x = RNG.normal(size=N)
    strong, weak = found(
        "target_driver",
        as_table(x=x, z=RNG.normal(size=N), w=x + 3 * RNG.normal(size=N), y=x + 0.7 * RNG.normal(size=N)),
        "y",
    )
    assert strong.columns_affected == ("x", "y")
    assert "very strong" in strong.title
    assert "a straight line explains" in strong.description
    assert strong.priority_score > weak.priority_score


def test_leakage_replaces_the_driver():
    y = RNG.normal(size=N)
    table = as_table(copy=y * 2 + 1, y=y)
    assert only("leakage", table, "y").priority_score == 10
    assert not found("target_driver", table, "y")


def test_class_drivers_say_which_share_moves():
    group = RNG.choice(["a", "b"], N)
    y = np.where(RNG.random(N) < np.where(group == "a", 0.9, 0.2), "yes", "no")
    insight = only("target_driver", as_table(group=group, y=y), "y")
    assert "Cramér's V" in insight.description
    assert "share of “" in insight.description


def test_imbalance_is_told_by_the_classes_of_the_target():
    assert only("class_imbalance", as_table(x=range(N), y=["no"] * 980 + ["yes"] * 20), "y").priority_score >= 8
    assert not found("class_imbalance", as_table(x=range(N), y=["no", "yes"] * 500), "y")


def test_an_unusable_target_says_why():
    insight = only("target_unusable", as_table(x=range(N), y=[1.0] * N), "y")
    assert "same value in every row" in insight.description


# ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_trend_is_told_with_its_size():
    table = as_table(d=np.repeat(days(100), 5).tolist(), y=np.repeat(np.arange(100) * 0.05, 5) + RNG.normal(size=500))
    insight = only("trend", table, "y", "d")
    assert insight.evidence["change"] == pytest.approx(4.95, rel=0.2)
    assert "95 % interval" in insight.description
    assert insight.interval[0] < insight.effect_size < insight.interval[1]
    assert insight.columns_affected == ("y", "d")


def test_a_growing_number_of_rows_is_told():
    stamps = [day for i, day in enumerate(days(120)) for _ in range(10 + i)]
    assert only("volume_trend", as_table(d=stamps), None, "d").evidence["change_share"] > 0.5


def test_weekly_cycles_of_rows_and_target_are_told():
    stamps = [day for day in days(140) for _ in range(10 if day.weekday() >= 5 else 30)]
    y = np.array([day.weekday() == 0 for day in stamps]) * 2.0 + RNG.normal(size=len(stamps))
    told = found("seasonality", as_table(d=stamps, y=y), "y", "d")
    assert {insight.columns_affected for insight in told} == {("d",), ("y", "d")}
    assert any("Monday" in insight.evidence["high"] for insight in told)


def test_gaps_are_told_and_closed_weekends_are_not():
    week = [day for day in days(200) if day.weekday() < 5]
    assert not found("time_gaps", as_table(d=np.repeat(week, 10).tolist()), None, "d")
    lost = [day for day in week if not date(2024, 3, 4) <= day <= date(2024, 3, 15)]
    insight = only("time_gaps", as_table(d=np.repeat(lost, 10).tolist()), None, "d")
    assert insight.evidence["longest"] == 10
    assert insight.evidence["longest_from"] == "2024-03-04"


def test_an_unusual_day_is_named_even_under_a_trend_and_a_weekly_cycle():
    stamps = np.repeat(days(140), 40)
    y = RNG.normal(size=len(stamps)) + np.arange(len(stamps)) / 1000 + np.array([d.weekday() for d in stamps]) * 2.0
    y = y + np.array([day == date(2024, 3, 13) for day in stamps]) * 5
    insight = only("unusual_period", as_table(d=stamps.tolist(), y=y), "y", "d")
    assert [entry["start"] for entry in insight.evidence["most_unusual"]] == ["2024-03-13"]


def test_a_day_with_far_more_rows_is_named():
    stamps = [day for day in days(100) for _ in range(200 if day == date(2024, 2, 2) else 20)]
    insight = only("unusual_period", as_table(d=stamps), None, "d")
    assert insight.evidence["most_unusual"][0]["start"] == "2024-02-02"
    assert insight.evidence["most_unusual"][0]["column"] == "number of rows"


def test_missing_and_far_off_times_are_told():
    stamps = [*np.repeat(days(50), 10).tolist(), *[None] * 100, date(9999, 12, 31)]
    said = {insight.type for insight in findings(as_table(d=stamps), None, "d")}
    assert {"missing_times", "far_off_times"} <= said


def test_a_timeline_by_hand_without_rows_is_no_reason_to_fail():
    points = tuple(TimePoint(start=day.isoformat(), rows=0) for day in days(30))
    line = Timeline(column="d", bucket="day", first="2024-01-01", last="2024-01-30", points=points, gaps=30)
    assert list(course.gaps(Facts(Profile(rows=0, columns=()), timeline=line))) == []


# ── ranking ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_many_findings_of_a_type_are_told_in_one():
    table = as_table(**{f"c{i}": [None] * 50 + [1.5] * 50 for i in range(30)})
    told = [insight for insight in findings(table) if insight.type == "missing_values"]
    assert len(told) == ReportConfig().max_per_type + 1
    assert "20 further" in told[-1].title
    assert len({column for insight in told for column in insight.columns_affected}) == 30


@pytest.mark.parametrize(
    ("business", "column", "stressed"),
    [
        ("our Sales figures", "netRevenue", True),
        ("marketing", "ad_spend", True),
        ("operations", "dep_delay", True),
        ("production line 4", "defect rate", True),
        ("weather", "weather_index", True),
        ("sales", "colour", False),
        ("", "revenue", False),
        (None, "revenue", False),
    ],
)
def test_business_words_raise_what_bears_on_them(business, column, stressed):
    plain = Insight(
        type="skewed",
        category="data_distribution",
        title="t",
        description="d",
        impact="i.",
        columns_affected=(column,),
        priority_score=5,
    )
    raised = stress(plain, business)
    assert raised.priority_score == 5 + stressed
    assert ("stressed_for" in raised.evidence) == stressed
    assert raised.impact == plain.impact


def test_the_target_alone_does_not_stress_every_relation_to_it():
    plain = Insight(
        type="x",
        category="c",
        title="t",
        description="d",
        impact="i.",
        columns_affected=("colour", "revenue"),
        priority_score=5,
    )
    assert stress(plain, "sales", target="revenue") == plain
    assert stress(plain, "sales").priority_score == 6


def test_a_context_may_be_a_plain_text_and_every_finder_is_a_sentence():
    table = as_table(revenue=[None] * 50 + [1.5] * 50)
    told = [one for one in findings(table, context="revenue") if one.type == "missing_values"]
    assert told[0].evidence["stressed_for"] == "revenue"
    assert all(finder.__doc__ for finder in FINDERS)
