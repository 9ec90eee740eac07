"""Words of findings and of the report: every language says all, with the same figures, in its own marks."""

import ast
import re
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import raypipe.insights
from raypipe.blocks.frames import from_polars
from raypipe.config import PipelineConfig
from raypipe.config.insights.series import SeriesConfig
from raypipe.insights import actions, areas, sections
from raypipe.insights.facts import Facts, InsightContext
from raypipe.insights.generator import InsightGenerator, gather
from raypipe.insights.measured import KINDS
from raypipe.insights.overview import Overview
from raypipe.insights.patterns.detector import PatternDetector
from raypipe.insights.quality import formula, quality_score
from raypipe.insights.report import write_report
from raypipe.insights.series.measure import measure_series
from raypipe.insights.series.rows import HEADS
from raypipe.insights.statistics.engine import StatisticsEngine
from raypipe.insights.target.analysis import analyse_target
from raypipe.insights.wording.catalogue import SENTENCES, Catalogue, catalogue_of, fill, shipped
from raypipe.results import Insight, StepReport
from tests.insights.tables import alone, as_table, follow, profile_of, relate
from tests.insights.test_generator import rich_table

SOURCES = sorted(Path(raypipe.insights.__file__).parent.rglob("*.py"))
FINDERS = [path for path in SOURCES if path.parent.name == "findings"]
GERMAN = shipped("de")


def told_types() -> set[str]:
    """Types that any finder gives."""
    found: set[str] = set()
    for path in FINDERS:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "type":
                found |= {leaf.value for leaf in ast.walk(node.value) if isinstance(leaf, ast.Constant)}
    return {str(kind) for kind in found}


def said_phrases() -> set[str]:
    """Phrases that code asks for by their text."""
    found: set[str] = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "say":
                first = node.args[0] if node.args else None
                found |= {first.value} if isinstance(first, ast.Constant) else set()
    template = (Path(raypipe.insights.__file__).parent / "wording" / "report.md.j2").read_text(encoding="utf-8")
    return {str(one) for one in found} | set(re.findall(r'_\("([^"]+)"\)', template))


def test_every_type_of_finding_has_its_four_sentences_in_german():
    types = told_types()
    assert set(KINDS) == types
    assert types == set(GERMAN.findings)
    for kind, sentences in GERMAN.findings.items():
        assert all(getattr(sentences, name) for name in SENTENCES), kind
        assert kind.replace("_", " ") in GERMAN.report


def test_every_phrase_of_the_report_is_there_in_both_languages_with_the_same_fields():
    english = shipped("en").report
    assert set(english) == set(GERMAN.report)
    assert all(english[phrase] == phrase for phrase in english)
    for phrase, said in GERMAN.report.items():
        assert set(re.findall(r"\{\w+\}", phrase)) == set(re.findall(r"\{\w+\}", said)), phrase
        assert said.strip()


def test_what_code_says_is_a_phrase():
    tables = [*dict(sections.HEADINGS).values(), *HEADS, *actions.HEADINGS.values(), *areas.AREAS]
    tables += [*areas.QUESTIONS.values(), *areas.ADVICE.values(), *(kind.replace("_", " ") for kind in told_types())]
    tables += [kind.measure.replace("_", " ") for kind in KINDS.values()]
    assert (said_phrases() | set(tables)) - set(shipped("en").report) == set()


def test_figures_names_and_times_are_written_as_the_language_writes_them():
    assert GERMAN.figure(1234.56) == "1.235"
    assert GERMAN.figure(0.91480) == "0,9148"
    assert GERMAN.percent(0.0257) == "2,57 %"
    assert GERMAN.count(1, "row") == "1 Zeile"
    assert GERMAN.count(12_345, "row") == "12.345 Zeilen"
    assert GERMAN.named("abcd", 2) == "„a“, „b“ und 2 weitere"
    assert GERMAN.moment("2024-01-18T08:00:00") == "18.01.2024 08:00"
    assert Catalogue().moment("2024-01-18T08:00:00") == "2024-01-18 08:00"
    assert formula(GERMAN).startswith("100 - min(2 x fehlend %; 40)")


def test_a_phrase_looks_at_nothing_but_the_names_of_its_fields():
    assert fill("{a} {b.__class__} {a!r} {c}", {"a": 1, "b": 2}) == "1 {b.__class__} {a!r} {c}"


def several_findings() -> list[Insight]:
    rng = np.random.default_rng(8)
    n = 600
    found = alone(rich_table(), "y", "t", steps=(StepReport(step="Trim", columns=("x",), cells_changed=900),))
    label = np.where(rng.random(n) < 0.97, "no", "yes")
    odd = pl.DataFrame(
        {
            "label": label,
            "flat": rng.integers(0, 2, n) * 1e6 + rng.normal(size=n),
            "as text": [str(i % 50) if i % 9 else "x" for i in range(n)],
            "key id": [*range(n - 5), *range(5)],
            "nan": [float("nan") if i % 20 == 0 else float(i % 77) for i in range(n)],
            "wild": [*rng.normal(50, 5, n - 1), 99999.0],
            "mostly": ["k" if i % 50 else "z" for i in range(n)],
            "names": [f"name {i % 400}" for i in range(n)],
            "void": [None] * n,
        }
    )
    context = InsightContext(rows_read=700, rows_quarantined=100, type_changes={"as text": "row 3 holds x"})
    found += alone(as_table(**odd.to_dict()), "label", context=context)
    return [*found, *alone(as_table(a=[])), *related_findings()]


def related_findings() -> list[Insight]:
    """Of columns that hang together, follow a calendar, shift, have gaps, and explain a target."""
    rng = np.random.default_rng(4)
    n = 1_000
    days = [datetime(2022, 1, 1) + timedelta(days=i) for i in range(n + 30) if not 400 <= i < 430]
    kind = rng.choice(["red", "green", "blue"], n)
    u, x = rng.normal(size=n), rng.normal(size=n)
    size = 10.0 * (kind == "red") + rng.normal(size=n)
    target = 3 * ((x > 0) & (kind == "red")) + x + rng.normal(size=n) + 0.002 * np.arange(n)
    frame = pl.DataFrame(
        {
            "at": days,
            "kind": kind,
            "code of kind": [{"red": "r", "green": "g", "blue": "b"}[one] for one in kind],
            "coarse": np.where(kind == "red", "warm", "cold"),
            "other": np.where(rng.random(n) < 0.8, kind, rng.choice(["red", "green", "blue"], n)),
            "size": size,
            "u": u,
            "bowl": u * u + 0.1 * rng.normal(size=n),
            "x": x,
            "gone": [None if one == "red" and rng.random() < 0.9 else 1.5 * i for i, one in enumerate(kind)],
            "week": [3.0 * (day.weekday() == 6) for day in days] + rng.normal(size=n),
            "shifted": 4.0 * (np.arange(n) > 600) + rng.normal(size=n),
            "spiked": 30.0 * np.isin(np.arange(n), (120, 777)) + rng.normal(size=n),
            "twice": 2 * target + 1,
            "target": target,
        },
        strict=False,
    )
    table = from_polars(frame)
    measured = StatisticsEngine().analyze_dataset(table)
    profile = measured.profile
    line = follow(table, "at", "target", profile)
    report = analyse_target(relate(table, "target", profile), table, time="at")
    series = measure_series(line.course, SeriesConfig())
    patterns = PatternDetector().detect(table)
    facts = Facts(
        profile, target=report, timeline=line, statistics=measured.statistics, patterns=patterns, series=series
    )
    return gather(facts)


def test_every_german_sentence_fits_the_figures_of_its_finding_and_repeats_no_english():
    found = several_findings()
    assert len({one.type for one in found}) >= 36
    for one in found:
        told = GERMAN.reworded(one)
        assert "told_in" not in told.evidence, one.type
        for name in SENTENCES:
            assert getattr(told, name) != getattr(one, name), (one.type, name)
        assert not re.search(r"\b(the|and|rows|values|columns)\b", f"{told.title} {told.impact} {told.recommendation}")


def test_a_german_report_holds_no_english_phrase():
    generator = InsightGenerator()
    words = catalogue_of("de")
    generator._words = words
    table = rich_table()
    profile = profile_of(table)
    told = generator.generate(profile, context="sales")
    made = Overview(profile, insights=told, quality=quality_score(profile), words=words)
    report = write_report(made)
    assert "Language de lacks words" not in report
    for phrase in shipped("en").report:
        if len(phrase) > 15 and "{" not in phrase:
            assert phrase not in report, phrase


@pytest.mark.parametrize("path", [*FINDERS, Path(raypipe.insights.__file__).parent / "wording" / "de.yaml"], ids=str)
def test_settings_that_findings_recommend_are_there(path):
    for place in re.findall(
        r"\b((?:processing|read_options|analysis)(?:\.[a-z_]+)+)", path.read_text(encoding="utf-8")
    ):
        held: object = PipelineConfig
        for part in place.split(".")[:2]:
            fields = getattr(held, "model_fields", {})
            assert part in fields, place
            held = fields[part].annotation
