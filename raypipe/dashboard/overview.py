"""The first screen: the verdict, the cards, and the findings in order of weight."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from raypipe.dashboard import numbers
from raypipe.dashboard.anchors import PLACES, place_of
from raypipe.dashboard.inputs import DashboardInput, Provenance
from raypipe.insights.quality import QualityScore
from raypipe.results import Insight, RuleOutcome

Level = Literal["critical", "high", "medium", "low", "good"]
FINDINGS_SHOWN = 60
TOP_SHOWN = 4
_WORDS: dict[Level, str] = {"critical": "Critical", "high": "High", "medium": "Medium", "low": "Low", "good": "Good"}
_BROKEN_RULE = "broken_rule"
"""Type of insight that repeats a failed rule, which stands in the list already."""
_FAULTS = ("validation", "data quality", "outliers", "data distribution")
_DOUBTS = ("data_quality", "outliers")
_THRESHOLD_WORDS = ("threshold", "bound", "limit", "cutoff")


@dataclass(frozen=True)
class Fact:
    """One figure of evidence."""

    name: str
    value: str
    threshold: bool = False


@dataclass(frozen=True)
class Finding:
    """One thing that the reader should know."""

    level: Level
    title: str
    text: str
    impact: str = ""
    advice: str = ""
    columns: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    kind: str = ""
    chart: str = ""
    """Id of the place on the page that shows it."""
    doubt: bool = False
    """Whether it speaks against trusting the data, rather than about what the data says."""

    @property
    def word(self) -> str:
        """The severity in words."""
        return _WORDS[self.level]

    @property
    def shown_in(self) -> str:
        """What the place is called."""
        return PLACES[self.chart]

    @property
    def tone(self) -> Level:
        """Its colour and icon: a warning only where it is about faults of the data, not about what the data says."""
        return self.level if self.doubt or self.level == "critical" or self.kind in _FAULTS else "low"


@dataclass(frozen=True)
class Verdict:
    """The answer to "is my data OK?"."""

    level: Level
    word: str
    text: str


@dataclass(frozen=True)
class Card:
    """One key figure."""

    key: str
    title: str
    value: str
    unit: str = ""
    text: str = ""
    lines: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Flow:
    """Where the rows went, as shares of the rows read."""

    parts: tuple[tuple[str, str, float], ...]
    """Word, count, share."""
    equation: str
    conserved: bool | None


def findings_of(given: DashboardInput) -> list[Finding]:
    """Failed rules and insights, heaviest first; equal weights keep their order."""
    failed = [
        _from_rule(outcome) for outcome in (given.validation.outcomes if given.validation else ()) if not outcome.passed
    ]
    said = {finding.text for finding in failed}
    loose = [
        Finding("critical", "Validation error", text, chart="validation")
        for text in (given.validation.errors if given.validation else ())
        if text not in said
    ]
    told = [insight for insight in given.insights if not (failed and insight.type == _BROKEN_RULE)]
    ranked = sorted(told, key=lambda insight: -insight.priority_score)
    order = {"critical": 0, "high": 1, "medium": 2, "low": 3, "good": 4}
    target = given.target.column if given.target else None
    insights = [_from_insight(insight, target) for insight in ranked]
    return sorted([*loose, *failed, *insights], key=lambda finding: order[finding.level])


def first_look(findings: list[Finding]) -> list[tuple[int, Finding]]:
    """The findings for the first screen with their places in the list: what decided the verdict, then by weight."""
    placed = list(enumerate(findings[:FINDINGS_SHOWN], start=1))
    return sorted(placed, key=lambda entry: (entry[1].level != "critical", not entry[1].doubt))[:TOP_SHOWN]


def verdict_of(given: DashboardInput, findings: list[Finding]) -> Verdict:
    """Not OK with a failed error rule, usable with care where a finding speaks against the data, else OK."""
    if not given.profile.rows:
        return Verdict("critical", "No rows", "The table has no rows, so there is nothing to judge.")
    critical = sum(f.level == "critical" for f in findings)
    doubts = sum(f.doubt for f in findings)
    unchecked = "" if given.validation else " It was not validated."
    if critical:
        return Verdict(
            "critical",
            "Not OK yet",
            f"{_n(critical, 'rule')} failed: mend {'it' if critical == 1 else 'them'} before you rely on this data.",
        )
    if doubts:
        text = f"No rule failed with an error, but {_n(doubts, 'finding')} can mislead an analysis.{unchecked}"
        return Verdict("medium", "Usable, with care", text)
    if given.validation is None:
        return Verdict(
            "low",
            "Not validated",
            f"No rule was checked; {_n(len(findings), 'finding')} from the profile, none against using it.",
        )
    return Verdict("good", "OK", "Every rule passed, and no finding speaks against using this data.")


def cards_of(given: DashboardInput, findings: list[Finding]) -> list[Card]:
    """The key figures in reading order."""
    profile, origin = given.profile, given.origin()
    cells = profile.rows * len(profile.columns)
    nulls = sum(column.nulls for column in profile.columns)
    worst = max(profile.columns, key=lambda column: column.null_share, default=None)
    heavy = sum(f.level in ("critical", "high") for f in findings)
    missing_text = f"{nulls:,} of {cells:,} cells" if cells else "the table has no cells"
    lines = (
        ((numbers.clip(worst.name, 24), numbers.share(worst.null_share)),) if worst is not None and worst.nulls else ()
    )
    return [
        Card(
            "size",
            "Dataset size",
            numbers.compact(profile.rows),
            "rows",
            f"{profile.rows:,} × {_n(len(profile.columns), 'column')}",
            (("In memory", numbers.size(profile.bytes)),) if profile.bytes else (),
        ),
        _quality_card(given),
        Card(
            "insights",
            "Key insights",
            str(len(findings)),
            "findings" if len(findings) != 1 else "finding",
            f"{heavy} of them {'weigh' if heavy != 1 else 'weighs'} heavily" if findings else "nothing stands out",
        ),
        Card(
            "missing",
            "Missing cells",
            numbers.share(profile.missing_share if cells else None),
            "",
            missing_text,
            tuple((f"Most: {name}", value) for name, value in lines),
        ),
        _rows_card(profile.rows, origin),
        Card("duration", "Duration", numbers.seconds(origin.seconds), "", *_pace(origin)),
    ]


def flow_of(given: DashboardInput) -> Flow | None:
    """The conservation line; None where the counts are not known."""
    origin = given.origin()
    if not origin.rows_read or origin.conserved is None:
        return None
    named = (("kept", origin.rows_kept), ("quarantined", origin.rows_quarantined), ("dropped", origin.rows_dropped))
    parts = tuple((word, numbers.count(rows), (rows or 0) / origin.rows_read) for word, rows in named)
    equation = f"{origin.rows_read:,} read = " + " + ".join(f"{rows} {word}" for word, rows, _ in parts)
    return Flow(parts, equation, origin.conserved)


def deductions_of(quality: QualityScore) -> list[tuple[str, float]]:
    """Reasons and points taken off."""
    return [(deduction.reason, deduction.points) for deduction in quality.deductions]


def _quality_card(given: DashboardInput) -> Card:
    if given.quality is None:
        return Card(
            "quality",
            "Data quality",
            numbers.NOT_AVAILABLE,
            "",
            "not available, because " + given.why_not("quality", "no score was computed"),
        )
    taken = sorted(deductions_of(given.quality), key=lambda pair: -abs(pair[1]))
    lines = tuple((reason, f"−{numbers.number(abs(points), 3)}") for reason, points in taken if points)
    return Card(
        "quality",
        "Data quality",
        numbers.number(given.quality.score, 3),
        "of 100",
        f"Grade: {given.quality.grade}",
        lines[:3],
    )


def _rows_card(rows: int, origin: Provenance) -> Card:
    lost = [
        (word, value)
        for word, value in (("Quarantined", origin.rows_quarantined), ("Dropped", origin.rows_dropped))
        if value is not None
    ]
    kept = origin.rows_kept if origin.rows_kept is not None else rows
    part = (
        f"{numbers.share(kept / origin.rows_read)} of {origin.rows_read:,} read"
        if origin.rows_read
        else "rows read: not available"
    )
    return Card(
        "rows",
        "Rows kept",
        numbers.compact(kept),
        "",
        part,
        tuple((word, numbers.count(value)) for word, value in lost),
    )


def _pace(origin: Provenance) -> tuple[str, tuple[tuple[str, str], ...]]:
    engine = (("Engine", origin.engine.partition(" (")[0]),) if origin.engine else ()
    if origin.seconds is None:
        return "not available, because the run was not timed", engine
    if not origin.rows_read or origin.seconds <= 0:
        return "", engine
    return f"{numbers.compact(origin.rows_read / origin.seconds)} rows a second", engine


def _from_rule(outcome: RuleOutcome) -> Finding:
    facts = []
    if outcome.share is not None:
        facts.append(Fact("Found", numbers.share(outcome.share)))
    if outcome.failing_rows is not None:
        facts.append(Fact("Rows at fault", numbers.count(outcome.failing_rows)))
    if outcome.bound:
        facts.append(Fact("Threshold", outcome.bound, True))
    if outcome.examples:
        facts.append(Fact("Examples", ", ".join(numbers.clip(text, 40) or '""' for text in outcome.examples[:3])))
    level: Level = "critical" if outcome.is_error else "low" if outcome.severity == "info" else "medium"
    if outcome.segments:
        worst = [" + ".join(value or "null" for value in one.values) for one in outcome.segments if not one.passed]
        facts.append(Fact("Segments at fault", ", ".join(numbers.clip(text, 40) for text in worst[:3]) or "none"))
    columns = (outcome.column,) if outcome.column is not None else outcome.columns
    words = outcome.rule.replace("_", " ")
    title = words[:1].upper() + words[1:] + (f": {outcome.column}" if outcome.column is not None else "")
    return Finding(
        level,
        title,
        outcome.message,
        columns=columns,
        facts=tuple(facts),
        kind="validation",
        chart="validation",
        doubt=level != "low",
    )


def _from_insight(insight: Insight, target: str | None) -> Finding:
    level: Level = "high" if insight.priority_score >= 8 else "medium" if insight.priority_score >= 5 else "low"
    facts = tuple(
        Fact(name.replace("_", " "), text, any(word in name.lower() for word in _THRESHOLD_WORDS))
        for name, value in list(insight.evidence.items())[:10]
        if (text := evidence_text(name, value))
    )
    return Finding(
        level,
        insight.title,
        insight.description,
        insight.impact,
        insight.recommendation or "",
        insight.columns_affected,
        facts,
        insight.category.replace("_", " "),
        place_of(insight, target),
        level == "high" and (insight.category in _DOUBTS or insight.type == "leakage"),
    )


MOST_ENTRIES = 50
SAID_IN_WORDS = ("how", "kinds")
"""Figures of evidence whose values are names of ours, not of the data."""


def evidence_text(name: str, value: Any) -> str:
    """One figure of evidence as text; shares become percentages, nested values are left to the JSON."""
    if value is None or isinstance(value, (Mapping, bytes)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        is_share = "share" in name.lower() and math.isfinite(value) and 0 <= value <= 1
        return (
            numbers.share(float(value))
            if is_share
            else numbers.count(value)
            if isinstance(value, int)
            else numbers.number(value)
        )
    if isinstance(value, (list, tuple, set, frozenset)):
        told = [text for entry in list(value)[:MOST_ENTRIES] if (text := evidence_text(name, entry))]
        texts = list(dict.fromkeys(told))  # what many columns share is said once
        return ", ".join(texts[:5]) + (" …" if len(texts) > 5 or len(value) > MOST_ENTRIES else "")
    return numbers.clip(str(value).replace("_", " ") if name in SAID_IN_WORDS else str(value), 80)


def _n(amount: int, noun: str) -> str:
    return f"{amount:,} {noun}{'' if amount == 1 else 's'}"
