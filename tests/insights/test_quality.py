"""The quality score."""

import pytest
from hypothesis import given, settings

from raypipe.blocks.profile import DuplicateRows
from raypipe.insights.quality import grade, quality_score
from raypipe.results import RuleOutcome, ValidationResult
from tests.hostile import tables
from tests.insights.tables import as_table, profile_of


def reasons(score) -> str:
    return " ".join(part.reason for part in score.parts)


@settings(max_examples=60, deadline=None)
@given(table=tables())
def test_any_table_scores_within_0_and_100_and_parts_account_for_the_loss(table):
    score = quality_score(profile_of(table))
    assert 0 <= score.score <= 100
    assert score.score == pytest.approx(max(100 - sum(part.points for part in score.deductions), 0))
    assert all(part.points > 0 and part.reason for part in score.deductions)


def test_a_clean_table_scores_100_and_an_id_column_costs_nothing():
    score = quality_score(profile_of(as_table(id=[f"u{i}" for i in range(100)], n=range(100), c=["a", "b"] * 50)))
    assert (score.score, score.grade, score.deductions) == (100.0, "Excellent", ())


def test_a_table_without_rows_scores_nothing_and_says_so():
    score = quality_score(profile_of(as_table(a=[])))
    assert (score.score, score.grade) == (0.0, "Poor")
    assert "no data" in reasons(score)


@pytest.mark.parametrize(
    ("score", "word"),
    [(100, "Excellent"), (85, "Excellent"), (84.9, "Good"), (70, "Good"), (50, "Fair"), (49, "Poor"), (0, "Poor")],
)
def test_bands(score, word):
    assert grade(score) == word


def test_missing_cells_cost_two_points_a_percent_up_to_forty():
    few, most = (as_table(id=range(100), a=[None] * n + list(range(100 - n))) for n in (10, 90))
    assert quality_score(profile_of(few)).score == pytest.approx(90)
    assert quality_score(profile_of(most)).score == pytest.approx(60)


def test_repeated_rows_cost_three_points_a_percent():
    profile = profile_of(as_table(a=range(100)))
    repeats = DuplicateRows(rows=5, share=0.05, exact=False, share_upper=0.06)
    score = quality_score(profile.replace(duplicates=repeats))
    assert score.score == pytest.approx(85)
    assert "about 5 %" in reasons(score)


def test_constants_cost_five_points_each_but_never_sink_a_wide_table():
    one = as_table(a=range(100), b=["k"] * 100)
    many = as_table(a=range(100), **{f"c{i}": ["k"] * 100 for i in range(200)})
    assert quality_score(profile_of(one)).score == pytest.approx(95)
    assert quality_score(profile_of(many)).score == pytest.approx(85)


def test_varied_text_costs_and_prose_does_not():
    words = [f"v{i % 70}" for i in range(100)]
    prose = [f"{'lorem ipsum dolor sit amet ' * 4}{i % 70}" for i in range(100)]
    assert quality_score(profile_of(as_table(a=words, n=range(100)))).score == pytest.approx(98)
    assert quality_score(profile_of(as_table(a=prose, n=range(100)))).score == 100


def test_rows_set_aside_broken_rules_and_dirty_cells_cost():
    profile = profile_of(as_table(a=[" x", "y"] * 50, n=[float("nan")] * 2 + [0.5 * i for i in range(98)]))
    broken = RuleOutcome(rule="min_value", column="n", severity="error", passed=False, message="")
    twice = RuleOutcome(rule="missing_values", column="n", severity="error", passed=False, message="")
    validation = ValidationResult(is_valid=False, outcomes=(broken, twice))
    score = quality_score(profile, validation, quarantined_rows=5)
    assert all(word in reasons(score) for word in ("set aside", "1 rule of the schema", "NaN", "white space"))
    assert score.score == pytest.approx(100 - 2 * 100 * 5 / 105 - 5 - 4 - 5)
