"""What a run leaves for programs, what it advises, and in which words."""

import json
import re
import shlex

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings

from raypipe import InsightGenerator
from raypipe.config.insights.report import ReportConfig
from raypipe.errors import ConfigError, MissingColumnsError, ReadError
from raypipe.insights.actions import Run, next_steps, recommendations
from raypipe.insights.areas import ADVICE, AREAS, QUESTIONS
from raypipe.insights.business import business_insights
from raypipe.insights.document import document, read_document
from raypipe.insights.facts import InsightContext
from raypipe.insights.measured import KINDS
from raypipe.insights.merging import kinds_of, merged
from raypipe.insights.overview import Overview
from raypipe.insights.quality import FORMULA, quality_score
from raypipe.insights.report import check_report, write_report
from raypipe.insights.wording.catalogue import catalogue_of, languages, shipped
from raypipe.results import Insight
from tests.hostile import tables
from tests.insights.tables import alone, as_table, findings, profile_of
from tests.insights.test_generator import rich_table
from tests.insights.test_report import HOSTILE

SECTIONS = {
    "version", "dataset_overview", "key_insights", "detailed_insights", "additional_insights",
    "actionable_recommendations", "data_quality_assessment", "business_insights", "next_steps", "target", "metadata",
}  # fmt: skip


def insight(kind: str, *columns: str, priority: int = 5, **more) -> Insight:
    return Insight(
        type=kind,
        category=more.pop("category", "data_quality"),
        title=more.pop("title", f"{kind} of {columns}"),
        description="d",
        impact="i",
        columns_affected=columns,
        priority_score=priority,
        **more,
    )


# ── measured ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=40, deadline=None)
@given(table=tables(kinds=("int64", "float64", "bool", "text", "datetime", "null")))
def test_every_finding_has_an_effect_a_confidence_a_chart_and_an_origin(table):
    for one in alone(table, table.column_names[-1]):
        assert one.type in KINDS
        assert one.effect_measure
        assert one.confidence is not None
        assert one.chart
        assert one.evidence["read_from"]
        assert one.recommendation


def test_tests_tell_their_corrected_p_value_and_estimates_their_interval():
    told = {one.type: one for one in alone(rich_table(), "y", "t")}
    driver, strong = told["target_driver"], told["strong_correlation"]
    assert driver.p_value < 1e-6
    assert driver.interval[0] < driver.effect_size < driver.interval[1]
    assert driver.confidence == 0.999
    assert strong.effect_measure == "pearson_r"
    assert told["missing_values"].confidence == 1
    assert told["missing_values"].p_value is None


# ── joined ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_shape_of_a_column_is_told_once_with_the_evidence_of_all():
    rng = np.random.default_rng(3)
    told = [one for one in findings(as_table(x=rng.lognormal(0, 2, 2000))) if "x" in one.columns_affected]
    shapes = [one for one in told if {"skewed", "heavy_tails", "outliers"} & set(kinds_of(one))]
    assert len(shapes) == 1
    assert set(kinds_of(shapes[0])) == {"skewed", "heavy_tails", "outliers"}
    assert {"skewed", "heavy_tails", "outliers"} == {
        shapes[0].type,
        *(one["type"] for one in shapes[0].evidence["also"]),
    }


def test_columns_that_hang_together_go_with_the_target_in_one_finding():
    rng = np.random.default_rng(3)
    x = rng.normal(size=2000)
    table = as_table(x=x, twin=x + 0.1 * rng.normal(size=2000), z=rng.normal(size=2000), y=x + rng.normal(size=2000))
    drivers = [one for one in findings(table, "y") if one.type == "target_driver"]
    assert len(drivers) == 1
    assert set(drivers[0].columns_affected) == {"x", "twin", "y"}
    assert "tell much the same" in drivers[0].description


def test_pairs_that_differ_in_columns_which_hang_together_are_one_finding():
    group = insight("redundant_group", "a", "b", "c", category="correlation")
    pairs = [insight("group_difference", column, "city", effect_size=0.5, effect_measure="e") for column in "abx"]
    inside = [insight("curved_relation", "a", other) for other in "bc"]
    told = merged([group, *pairs, *inside])
    assert [(one.type, one.columns_affected) for one in told] == [
        ("redundant_group", ("a", "b", "c")),
        ("group_difference", ("a", "city", "b")),
        ("group_difference", ("x", "city")),
        ("curved_relation", ("a", "b", "c")),
    ]
    assert "show it, too: “b” and “city” (e 0.5)" in told[1].description


def test_findings_of_one_type_about_one_column_are_two_facts_unless_they_say_the_same():
    one, two = insight("change_point", "x", title="at noon"), insight("change_point", "x", title="at midnight")
    assert merged([one, two]) == [one, two]
    assert len(merged([one, one])) == 1


# ── insights.json ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_table_in_memory_gets_the_sections_of_the_older_platform():
    rng = np.random.default_rng(1)
    frame = pl.DataFrame({"revenue": rng.lognormal(0, 1, 400), "one": ["k"] * 400, "y": rng.normal(size=400)})
    generator = InsightGenerator()
    told = generator.generate_comprehensive_insights(frame, target_column="y", business_context="revenue")
    assert set(told) == SECTIONS
    json.dumps(told, allow_nan=False)
    assert told == generator.generate_comprehensive_insights(frame.to_pandas(), "y", None, "revenue")
    assert {one["type"] for one in told["additional_insights"]} >= {"constant_column"}
    ranks = {"key_insights": (8, 10), "detailed_insights": (5, 7), "additional_insights": (1, 4)}
    for section, (least, most) in ranks.items():
        assert all(least <= one["priority_score"] <= most for one in told[section])
    assert told["data_quality_assessment"]["formula"] == FORMULA
    assert told["data_quality_assessment"]["deductions"][0]["rule"] == "5 points a column, at most 15"
    assert told["business_insights"][0]["question"] == QUESTIONS["revenue"]
    assert told["target"]["column"] == "y"


def test_the_columns_that_are_named_must_be_there():
    with pytest.raises(MissingColumnsError, match="no column 'z'"):
        InsightGenerator().generate_comprehensive_insights(pl.DataFrame({"x": [1.0]}), target_column="z")


def test_what_was_written_is_read_again_and_a_damaged_file_is_told():
    overview = Overview(profile_of(rich_table()), insights=findings(rich_table()), context=InsightContext())
    text = json.dumps(document(overview))
    assert read_document(text, "f").insights == overview.insights
    assert read_document(text.replace('"version": 1', '"version": 99', 1), "f").insights is None
    for damaged in (text[:-20], "[]", "{}", '{"version": 1}'):
        with pytest.raises(ReadError, match="f holds no findings of a run"):
            read_document(damaged, "f")


def test_the_quality_score_is_what_its_formula_says():
    table = as_table(a=[None] * 10 + [1.0] * 190, b=[" x"] * 200, c=["k"] * 200)
    score = quality_score(profile_of(table))
    assert score.score == pytest.approx(100 - sum(part.points for part in score.deductions))
    assert all(part.rule for part in score.deductions)
    for points, cap in re.findall(r"min\(([\d.]+) x [^,]+, (\d+)\)", FORMULA):
        assert float(points) < float(cap)


# ── advice ───────────────────────────────────────────────────────────────────────────────────────────────────────────

RUN = Run("my data.csv", "r1", "out", "y", "t")


def test_a_recommendation_comes_with_the_command_that_does_it():
    told = recommendations(
        (
            insight("missing_values", "a", recommendation="Fill it.", evidence={"fill": "median"}),
            insight("missing_values", "b", recommendation="Fill it.", evidence={"fill": "mode"}, priority=9),
        ),
        RUN,
    )
    assert len(told) == 1
    assert (told[0].priority, told[0].columns) == (9, ("a", "b"))
    assert shlex.split(told[0].actions[0]) == [
        "raypipe", "run", "my data.csv", "--target", "y", "--time", "t",
        "--set", "processing.impute.a=median", "--set", "processing.impute.b=mode",
    ]  # fmt: skip


@pytest.mark.parametrize("hostile", ["a; rm -rf /", "a\n```\n# x", "$(x)", "a b", "a.b", *HOSTILE])
def test_no_name_of_a_column_or_file_gets_into_a_command_unquoted(hostile):
    one = insight("missing_values", hostile, recommendation="Fill it.", evidence={"fill": "median"})
    run = Run(hostile, hostile, hostile, hostile, hostile)
    commands = [*recommendations((one,), run)[0].actions]
    commands += [step.command for step in next_steps((one,), run, InsightContext(target="y")) if step.command]
    for command in commands:
        assert "\n" not in command
        assert hostile == "" or hostile in shlex.split(command) or " . " in f"{command} "
        assert f"impute.{hostile}" not in command
    report = write_report(Overview(profile_of(as_table(x=[1.0])), insights=(one,), run=run))
    assert "\n# x" not in report


def test_next_steps_follow_from_what_was_found():
    context = InsightContext(rows_quarantined=3)
    steps = next_steps((insight("duplicate_rows"),), Run("d.csv", "r1"), context)
    commands = [step.command for step in steps]
    assert commands[0] == "raypipe quarantine show ."
    assert commands[1] == "raypipe run d.csv --set processing.drop_duplicates=true"
    assert commands[2] == "raypipe run d.csv --target COLUMN"
    assert commands[-1] == "raypipe compare . latest --output .."
    assert next_steps((), Run(), InsightContext(target="y"))[-1].text.startswith("Have rules drafted")


def test_the_business_context_gathers_findings_by_area_with_advice():
    told = [insight("trend", "dep_delay", category="trends", evidence={"stressed_for": "operations"})]
    (found,) = business_insights(tuple(told), "operations")
    assert found.question == QUESTIONS["operations"]
    assert found.advice == (f"{ADVICE['trends']} (“dep_delay”)",)
    assert business_insights((), "operations")[0].findings == ()
    assert business_insights((), "weather") == ()
    assert set(QUESTIONS) == set(AREAS)


# ── words ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def overview(language: str = "en", **more) -> Overview:
    settings = ReportConfig(language=language, catalogue=more.pop("catalogue", None))
    generator = InsightGenerator(settings)
    table = as_table(**{"a|b": [None] * 30 + [1.5] * 70, "one": ["k"] * 100, "z": range(100)})
    profile = profile_of(table)
    insights = generator.generate(profile)
    return Overview(profile, insights=insights, quality=quality_score(profile), words=generator.words, **more)


def test_german_words_the_core_findings_and_says_what_is_told_in_english():
    report = write_report(overview("de"))
    assert "## Wichtigste Erkenntnisse" in report
    assert "### „a\\|b“ fehlt in 30 % der Zeilen" in report
    assert "Language de lacks words" not in report
    assert catalogue_of("de").localised("1,234.5") == "1.234,5"
    lacking = catalogue_of("de").missing((insight("new_kind", "x"), insight("trend", "x")))
    assert lacking == ("new_kind",)


def test_every_language_has_the_phrases_of_the_report_and_sentences_of_known_types():
    assert languages() == ("de", "en")
    for language in languages():
        words = shipped(language).checked()
        assert set(words.report) == set(shipped("en").report)
        assert set(words.findings) <= set(KINDS)


def test_every_german_sentence_fits_the_figures_of_its_finding():
    told = [catalogue_of("de").reworded(one) for one in alone(rich_table(), "y", "t")]
    assert len({one.type for one in told}) > 10
    assert not [one for one in told if "told_in" in one.evidence]


def test_words_of_a_user_win_and_a_missing_figure_falls_back_to_english(tmp_path):
    own = tmp_path / "words.yaml"
    own.write_text(
        "findings:\n  constant_column:\n    title: '{{ column | upper }} never moves'\n"
        "  missing_values:\n    title: '{{ no_such_figure }}'\nreport:\n  Target: Goal\n",
        encoding="utf-8",
    )
    made = overview(catalogue=own)
    titles = {one.type: one.title for one in made.insights}
    assert titles["constant_column"] == "ONE never moves"
    assert titles["missing_values"] == "“a|b” is missing in 30 % of rows"
    assert "## Goal" in write_report(made)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("findings: [", "is no YAML"),
        ("just words", "holds no mapping"),
        ("finding: {}", "finding: Extra inputs are not permitted"),
        ("findings: {trend: {title: '{{ x '}}", "findings.trend.title: unexpected end"),
        ("findings: {trend: {name: x}}", "findings.trend.name: Extra inputs"),
    ],
)
def test_a_catalogue_that_cannot_be_used_is_told(text, message, tmp_path):
    own = tmp_path / "words.yaml"
    own.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        check_report(ReportConfig(catalogue=own))


def test_an_unknown_language_is_told_with_those_that_are_known():
    with pytest.raises(ConfigError, match="got 'xx'; wanted one of: de, en"):
        InsightGenerator(ReportConfig(language="xx"))


# ── templates ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_template_of_the_user_gets_values_that_are_escaped(tmp_path):
    template = tmp_path / "mine.j2"
    template.write_text(
        "{% for one in insights %}- {{ one.title }} ({{ 'x|' ~ one.columns[0] }})\n{% endfor %}"
        "{{ sections.dataset }}\n{{ report.data_quality_assessment.score | figure }}",
        encoding="utf-8",
    )
    report = write_report(overview(), template)
    assert "- “a\\|b” is missing in 30 % of rows (x\\|a\\|b)" in report
    assert "| Column | Type |" in report


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ title ", "line 1: unexpected end"),
        ("{{ nothing }}", "'nothing' is undefined"),
        ("{{ title.__class__ }}", "__class__"),
        ("{{ title.__class__.__mro__[1].__subclasses__() }}", "__class__"),
        ("{{ insights.append(1) }}", "access to attribute 'append' of 'list' object is unsafe"),
        ("{{ ''.format.__globals__ }}", "__globals__"),
        ("{% include '/etc/passwd' %}", "no loader"),
        ("{% for n in range(99999999) %}{% endfor %}", "OverflowError"),
        ("{{ title | safe }}", "No filter named 'safe'"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
    ],
)
def test_a_template_that_is_wrong_or_reaches_for_more_is_refused(text, message, tmp_path):
    template = tmp_path / "bad.j2"
    template.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(message)):
        write_report(overview(), template)


def test_a_template_that_is_not_there_is_told_before_anything_runs(tmp_path):
    with pytest.raises(ConfigError, match="none.j2 cannot be read as text"):
        check_report(ReportConfig(template=tmp_path / "none.j2"))
