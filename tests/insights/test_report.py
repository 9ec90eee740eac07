"""The report as Markdown."""

import re

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.blocks.frames import from_polars, to_polars
from raypipe.insights.generator import InsightGenerator
from raypipe.insights.quality import quality_score
from raypipe.insights.report import Overview, escape, write_report
from raypipe.insights.words import figure, name, names, percent, plain
from raypipe.results import Insight, StepReport, ValidationResult
from tests.hostile import NAMES, tables
from tests.insights.tables import as_table, follow, profile_of, relate

HOSTILE = [
    "a|b",
    "**bold**",
    "`code`",
    "<script>alert(1)</script>",
    "[x](javascript:alert(1))",
    "![i](http://evil/x.png)",
    "line\nbreak\r\n# heading",
    "www.evil.example",
    "\u202egnp.exe",
    "&lt;b&gt;",
    "@everyone",
    "$x$",
    "~~gone~~",
    "\\",
    "",
]


@given(st.text() | st.sampled_from(HOSTILE))
def test_escaped_text_is_one_line_without_mark_up(text):
    shown = escape(text)
    assert len(shown.splitlines()) <= 1
    bare = re.sub(r"\\.", "", shown)
    assert not re.search(r"[`*_\[\]|~$@<>]", bare)
    assert not re.search(r"&(?!amp;|lt;|gt;)", bare)
    assert "://" not in bare


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("1. one", "1\\. one"),
        ("0.5", "0.5"),
        ("- item", "\\- item"),
        ("-3", "-3"),
        ("# head", "\\# head"),
        ("https://x.y", "https\\://x.y"),
        ("a & b", "a &amp; b"),
    ],
)
def test_what_begins_a_list_a_heading_or_a_link_is_escaped_and_numbers_are_not(text, shown):
    assert escape(text) == shown


def overview(**changes) -> Overview:
    table = as_table(**{text or "empty": range(60) for text in HOSTILE}, y=[1.5 * i for i in range(60)])
    return Overview(profile=profile_of(table), title="Report on <b>", **changes)


def test_hostile_column_names_break_neither_table_nor_page():
    report = write_report(overview())
    assert "<script>" not in report
    assert not re.search(r"(?<!\\)\]\(", report)
    rows = [line for line in report.splitlines() if line.startswith("| ") and "int64" in line]
    assert len(rows) == len(HOSTILE)
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 7 for row in rows)
    assert report.startswith("# Report on &lt;b&gt;\n")


@settings(max_examples=40, deadline=None)
@given(table=tables())
def test_any_table_gets_a_report_with_every_section(table):
    profile = profile_of(table)
    insights = InsightGenerator().generate(profile)
    report = write_report(Overview(profile, insights=insights, quality=quality_score(profile)))
    heads = re.findall(r"^## (.*)$", report, re.MULTILINE)
    assert heads == [
        "Dataset",
        "Quality score",
        "Key insights",
        "Further insights",
        "Business context",
        "Recommendations",
        "Next steps",
        "Target",
        "Course over time",
        "Validation",
        "Processing steps",
        "Not computed",
        "Provenance",
    ]
    assert report.endswith("\n")
    assert not report.endswith("\n\n")


def insight(priority: int, **changes) -> Insight:
    base = {"type": "t", "category": "data_quality", "title": f"finding {priority}", "description": "d", "impact": "i"}
    return Insight(**base, priority_score=priority, **changes)


def test_key_insights_stand_apart_and_equal_recommendations_are_told_once():
    insights = (
        insight(9, recommendation="Do it.", columns_affected=("a",), evidence={"share": 0.25, "threshold": 0.05}),
        insight(5, recommendation="Do it.", columns_affected=("b",)),
    )
    report = write_report(overview(insights=insights))
    key, further = report.split("## Further insights")
    assert "finding 9" in key
    assert "finding 5" not in key
    assert "finding 5" in further
    assert "1. Do it. (for “a”, “b”)" in report
    assert "2. " not in report.split("## Recommendations")[1].split("## Next steps")[0]
    assert "*Evidence:* share 0.25; threshold 0.05" in report


def test_everything_that_was_measured_is_told():
    table = as_table(
        d=[f"2024-{1 + i % 12:02}-01" for i in range(120)],
        x=range(120),
        y=[2.0 * i for i in range(120)],
        one=["k"] * 120,
    )
    table = from_polars(to_polars(table).with_columns(pl.col("d").str.to_date()))
    profile = profile_of(table)
    report = write_report(
        Overview(
            profile,
            quality=quality_score(profile),
            target=relate(table, "y"),
            timeline=follow(table, "d", "y"),
            validation=ValidationResult(is_valid=False, errors=("y | must be positive",), warnings=("w",)),
            steps=(
                StepReport(step="impute", columns=("x",), cells_changed=1234, rows_dropped=5, columns_dropped=("z",)),
            ),
            not_computed={"forecast": "needs 3 years"},
            provenance={"run_id": "r_1", "rows_in": 1_000_000, "seed": 1234},
        )
    )
    for text in (
        "95.0 of 100: Excellent",
        "5.0 | 1 column with a single value: “one” | 5 points a column, at most 15",
        "Target “y”, regression, 120 rows",
        "| x | pearson r | 1 | 1 | 120 | suspected |",
        "“one” was not measured: it has the same value",
        "Time column “d”, by day from 2024-01-01 to 2024-12-01",
        "not valid: 1 error, 1 warning",
        "Error: y \\| must be positive",
        "| impute | “x” | 1,234 | 5 | “z” |",
        "- forecast: needs 3 years",
        "- run id: r\\_1",
        "- rows in: 1,000,000",
        "- seed: 1234",
    ):
        assert text in report, text


def test_reasons_for_what_is_absent_are_told_in_its_place():
    report = write_report(overview(not_computed={"target": "no target was named", "timeline": "no time was named"}))
    assert report.count("no target was named") == 2
    assert report.count("no time was named") == 2


def test_names_are_quoted_cut_and_counted():
    assert name("a\nb") == "“a␦b”"
    assert len(plain("x" * 500)) == 80
    assert names(list("abcdefg"), 3) == "“a”, “b”, “c” and 4 more"
    assert all("\n" not in name(text) for text in NAMES)


@given(st.floats())
def test_any_figure_is_short(value):
    assert len(figure(value)) < 25


@given(st.floats(0, 1))
def test_shares_never_round_to_all_or_nothing(share):
    shown = percent(share)
    assert (shown == "0 %") == (share == 0)
    assert (shown == "100 %") == (share == 1)
