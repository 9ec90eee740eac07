import pytest

from raypipe.blocks.profile import (
    ColumnProfile,
    DistinctCount,
    DuplicateRows,
    NumberSummary,
    Profile,
    Quantiles,
    TextSummary,
    ValueCount,
)
from raypipe.config import ValidationConfig
from raypipe.etl.rules import quality_findings

DEFAULTS = ValidationConfig()


def text(name="t", rows=100, nulls=0, blank=0, distinct=50, exact=True, error=0.0, **more):
    return ColumnProfile(
        name=name,
        dtype="large_string",
        kind="text",
        rows=rows,
        nulls=nulls,
        distinct=DistinctCount(count=distinct, exact=exact, relative_error=error),
        text=TextSummary(empty=0, blank=blank, padded=0),
        **more,
    )


def number(name="n", rows=100, nulls=0, outliers=0, exact=True, rank_error=0.0):
    return ColumnProfile(
        name=name,
        dtype="int64",
        kind="number",
        rows=rows,
        nulls=nulls,
        number=NumberSummary(
            finite=rows - nulls,
            iqr_outliers=outliers,
            quantiles=Quantiles(exact=exact, rank_error=rank_error, values={"0.25": 1.0, "0.75": 2.0}),
        ),
    )


def judged(*columns, config=DEFAULTS, duplicates=None, rows=100):
    found = quality_findings(Profile(rows=rows, columns=columns, duplicates=duplicates), config)
    return {(o.rule, o.column): o for o in found.outcomes}, dict(found.not_measured)


def test_repeated_rows_are_a_warning_past_the_threshold_and_not_at_it():
    at = DuplicateRows(rows=10, share=0.10, exact=True, share_upper=0.10)
    past = DuplicateRows(rows=11, share=0.11, exact=True, share_upper=0.11)
    assert judged(duplicates=at)[0]["duplicate_rows", None].passed
    outcome = judged(duplicates=past)[0]["duplicate_rows", None]
    assert (outcome.passed, outcome.severity, outcome.failing_rows) == (False, "warning", 11)
    assert outcome.message == "11 % of 100 rows repeat an earlier row (11); wanted at most 10 %"


@pytest.mark.parametrize(
    ("share", "upper", "words"),
    [
        (0.099, 0.12, "about 9.9 % (between 7.8 % and 12 %)"),
        (0.11, 0.13, "about 11 % (between 9 % and 13 %)"),
        (0.30, 0.31, "30 % (± 1 %)"),
        (0.02, 0.03, "2 % (± 1 %)"),
    ],
)
def test_an_estimate_says_about_only_where_the_threshold_lies_within_its_error(share, upper, words):
    found = DuplicateRows(rows=1, share=share, exact=False, share_upper=upper)
    assert judged(duplicates=found)[0]["duplicate_rows", None].message.startswith(words + " of")


def test_what_was_not_counted_is_told_and_not_judged():
    bare = ColumnProfile(name="t", dtype="large_string", kind="text", rows=5, nulls=0)
    outcomes, unknown = judged(bare, rows=5)
    assert ("duplicate_rows", None) not in outcomes
    assert unknown["duplicate_rows"] == "repeated rows were not counted"
    assert unknown["unique_text:t"] == "distinct values were not counted"


def test_an_empty_column_is_an_error_and_is_not_reported_as_missing_too():
    outcomes, _ = judged(number(nulls=100), text(nulls=40, blank=60, distinct=2), number(name="ok"))
    for name in ("n", "t"):
        outcome = outcomes["empty_column", name]
        assert (outcome.passed, outcome.severity) == (False, "error")
        assert ("missing_values", name) not in outcomes
    assert outcomes["empty_column", "n"].message == "'n': no value in 100 rows; wanted at least one"
    assert outcomes["empty_column", "ok"].passed
    assert ("few_categories", "t") not in outcomes


def test_missing_counts_null_and_blank_text_and_names_both():
    outcomes, _ = judged(number(nulls=50), text(nulls=30, blank=21))
    assert outcomes["missing_values", "n"].passed
    outcome = outcomes["missing_values", "t"]
    assert not outcome.passed
    assert outcome.message == "'t': 51 % missing (51 of 100 rows, 21 of them blank); wanted at most 50 %"


def test_a_table_without_rows_is_judged_by_no_share():
    outcomes, unknown = judged(number(rows=0), text(rows=0, distinct=0), rows=0)
    assert not outcomes
    assert unknown["empty_column"] == "the table has no rows"


def test_text_of_which_most_values_differ_is_a_warning_and_no_category():
    outcomes, _ = judged(text("id", distinct=81), text("name", rows=5, distinct=5), text("city", distinct=80))
    assert not outcomes["unique_text", "id"].passed
    assert not outcomes["unique_text", "name"].passed
    assert ("few_categories", "name") not in outcomes
    assert outcomes["unique_text", "city"].passed


def test_the_distinct_share_respects_its_error():
    outcomes, _ = judged(text(distinct=79, exact=False, error=0.02))
    outcome = outcomes["unique_text", "t"]
    assert outcome.passed
    assert outcome.message.startswith("'t': about 79 % (between 74.93 % and 83.07 %) of 100 text values")


def test_text_with_few_values_is_suggested_as_a_category_with_examples():
    top = (ValueCount(value="<b>", count=60, count_upper=60), ValueCount(value="y" * 500, count=40, count_upper=40))
    outcomes, _ = judged(text(distinct=2, top=top), text("u", distinct=10))
    outcome = outcomes["few_categories", "t"]
    assert outcome.message == "'t': 2 different values, fewer than 10; make it a category"
    assert outcome.examples[0] == "'<b>'"
    assert len(outcome.examples[1]) < 70
    assert outcomes["few_categories", "u"].passed


def test_outliers_past_the_threshold_are_a_warning_and_can_be_switched_off():
    outcomes, _ = judged(number(outliers=6), number("m", outliers=5))
    assert not outcomes["outliers", "n"].passed
    assert outcomes["outliers", "m"].passed
    assert ("outliers", "n") not in judged(number(outliers=6), config=ValidationConfig(check_outliers=False))[0]
    estimate = judged(number(outliers=6, exact=False, rank_error=0.01))[0]["outliers", "n"]
    assert "about 6 % (between 4 % and 8 %)" in estimate.message


def test_outliers_of_times_are_not_judged():
    times = number().replace(kind="temporal", dtype="timestamp[us]")
    assert not [key for key in judged(times)[0] if key[0] == "outliers"]


@pytest.mark.parametrize(
    ("setting", "rule"),
    [
        ({"max_duplicate_share": 1.0}, "duplicate_rows"),
        ({"max_null_share": 1.0}, "missing_values"),
        ({"max_unique_text_share": 1.0}, "unique_text"),
        ({"min_categories": 1}, "few_categories"),
        ({"max_outlier_share": 1.0}, "outliers"),
    ],
)
def test_every_threshold_is_a_setting(setting, rule):
    columns = (number(nulls=60, outliers=30), text("id", distinct=100), text("c", distinct=2))
    duplicates = DuplicateRows(rows=50, share=0.5, exact=True, share_upper=0.5)
    failed = [o for o in judged(*columns, duplicates=duplicates)[0].values() if not o.passed and o.rule == rule]
    assert failed
    mild = judged(*columns, duplicates=duplicates, config=ValidationConfig(**setting))[0].values()
    assert not [o for o in mild if not o.passed and o.rule == rule]


def test_a_hostile_name_stands_quoted_and_short_on_one_line():
    outcomes, _ = judged(text("a\nb" * 200, distinct=1))
    message = outcomes["few_categories", "a\nb" * 200].message
    assert "\n" not in message
    assert len(message) < 200
