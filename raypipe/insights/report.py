"""The report as Markdown: what was found, how sure it is, what was done to the data, and what could not be computed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from raypipe.blocks.profile import ColumnProfile, Profile
from raypipe.insights.facts import KEY_PRIORITY, about
from raypipe.insights.models import TargetRelation, TargetReport, Timeline, TimeTrend
from raypipe.insights.quality import QualityScore
from raypipe.insights.series.models import SeriesReport
from raypipe.insights.series.rows import HEADS, course_rows
from raypipe.insights.words import count, figure, names, percent, plain
from raypipe.results import Insight, StepReport, ValidationResult

MAX_TEXT_CHARS = 2_000
MAX_TABLE_ROWS = 20
MAX_COLUMNS = 200

_SPECIAL = re.compile(r"[\\`*_\[\]|~$@]|:(?=//)|(?<=[wW]{3})\.|^[-+#=](?=[-+#=\s]|$)|(?<=^\d)[.)](?=\s|$)")
"""Characters that begin mark-up anywhere, links without mark-up, and what begins a list, a heading or a rule."""


@dataclass(frozen=True)
class Overview:
    """Everything that the report tells. Only the profile must be there."""

    profile: Profile
    title: str = "Insights report"
    insights: tuple[Insight, ...] = ()
    quality: QualityScore | None = None
    validation: ValidationResult | None = None
    target: TargetReport | None = None
    timeline: Timeline | None = None
    series: SeriesReport | None = None
    steps: tuple[StepReport, ...] = ()
    not_computed: Mapping[str, str] = field(default_factory=dict)
    """What -> why not."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Run id, rows in and out, seed, versions: shown as they are."""


def escape(text: str) -> str:
    """`text` as Markdown that shows just it: one line, no mark-up, no HTML, no link.

    Examples
    --------
    >>> print(escape("a|b *c* <img src=x>"))
    a\\|b \\*c\\* &lt;img src=x&gt;
    """
    one_line = plain(text, MAX_TEXT_CHARS)
    html = one_line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(lambda match: "\\" + match.group(), html)


def write_report(overview: Overview) -> str:
    """The whole report; sections without content say why they have none."""
    sections: tuple[tuple[str, Callable[[Overview], Iterator[str]]], ...] = (
        ("Dataset", _dataset),
        ("Quality score", _quality),
        ("Key insights", lambda o: _insights(o, key=True)),
        ("Further insights", lambda o: _insights(o, key=False)),
        ("Recommendations", _recommendations),
        ("Target", _target),
        ("Course over time", _time),
        ("Validation", _validation),
        ("Processing steps", _steps),
        ("Not computed", _not_computed),
        ("Provenance", _provenance),
    )
    lines = [f"# {escape(overview.title)}", ""]
    for heading, section in sections:
        lines += [f"## {heading}", "", *section(overview), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    cells = list(heads)
    yield f"| {' | '.join(cells)} |"
    yield f"|{'---|' * len(cells)}"
    for row in rows:
        yield f"| {' | '.join(escape(cell) for cell in row)} |"


def _dataset(overview: Overview) -> Iterator[str]:
    profile = overview.profile
    kinds: dict[str, int] = {}
    for column in profile.columns:
        kinds[column.kind] = kinds.get(column.kind, 0) + 1
    told = ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items()))
    yield f"- {count(profile.rows, 'row')}, {count(len(profile.columns), 'column')}" + (f" ({told})" if told else "")
    yield f"- {percent(profile.missing_share)} of cells are missing"
    repeats = profile.duplicates
    if repeats:
        bound = "" if repeats.exact else f" (at most {percent(repeats.share_upper)})"
        yield f"- {about(repeats.exact)}{percent(repeats.share)} of rows repeat an earlier row{bound}"
    if not profile.columns:
        return
    yield ""
    heads = ("Column", "Type", "Missing", "Distinct", "Smallest", "Largest")
    yield from _table(heads, (_column_row(column) for column in profile.columns[:MAX_COLUMNS]))
    if len(profile.columns) > MAX_COLUMNS:
        yield f"\n{len(profile.columns) - MAX_COLUMNS:,} further columns stand in profile.json."


def _column_row(column: ColumnProfile) -> tuple[str, ...]:
    distinct = "not available"
    if column.distinct:
        bound = "" if column.distinct.exact else f" ± {percent(column.distinct.relative_error)}"
        distinct = f"{about(column.distinct.exact)}{column.distinct.count:,}{bound}"
    cells = (column.name, column.dtype, percent(column.null_share), distinct, column.min or "", column.max or "")
    return tuple(plain(cell, 60) for cell in cells)


def _quality(overview: Overview) -> Iterator[str]:
    quality = overview.quality
    if quality is None:
        yield "Not computed."
        return
    yield f"**{quality.score:.1f} of 100: {quality.grade}** (Excellent from 85, Good from 70, Fair from 50)"
    yield ""
    if not quality.deductions:
        yield "Nothing was taken off."
    else:
        yield from _table(
            ("Points off", "Reason"), ((f"{part.points:.1f}", part.reason) for part in quality.deductions)
        )


def _insights(overview: Overview, *, key: bool) -> Iterator[str]:
    chosen = [insight for insight in overview.insights if (insight.priority_score >= KEY_PRIORITY) == key]
    if not chosen:
        yield f"None{' of priority 8 or more' if key else ''}."
    for insight in chosen:
        yield f"### {escape(insight.title)}"
        yield ""
        yield f"Priority {insight.priority_score} of 10, {escape(insight.category.replace('_', ' '))}."
        yield f"{escape(insight.description)} {escape(insight.impact)}"
        yield ""
        if insight.recommendation:
            yield f"**Do:** {escape(insight.recommendation)}"
            yield ""
        if insight.evidence:
            yield f"*Evidence:* {escape(_figures(insight.evidence))}"
            yield ""


def _figures(value: Any) -> str:
    """Evidence in one line."""
    if isinstance(value, Mapping):
        return "; ".join(
            f"{str(key).replace('_', ' ')} {_figures(item)}" for key, item in value.items() if item is not None
        )
    if isinstance(value, list | tuple):
        shown = ", ".join(_figures(item) for item in value[:MAX_TABLE_ROWS])
        return f"[{shown}{', …' if len(value) > MAX_TABLE_ROWS else ''}]"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return plain(str(value), 200)
    return figure(value)


def _recommendations(overview: Overview) -> Iterator[str]:
    told: dict[str, list[Insight]] = {}
    for insight in overview.insights:
        if insight.recommendation:
            told.setdefault(insight.recommendation, []).append(insight)
    if not told:
        yield "None."
    for number, (recommendation, insights) in enumerate(told.items(), 1):
        columns = list(dict.fromkeys(column for insight in insights for column in insight.columns_affected))
        concerned = f" (for {names(columns)})" if columns else ""
        yield f"{number}. {escape(recommendation)}{escape(concerned)}"


def _target(overview: Overview) -> Iterator[str]:
    report = overview.target
    if report is None:
        yield escape(overview.not_computed.get("target", "No target column was named."))
        return
    yield f"Target {escape(_quoted(report.column))}, {report.task}, {count(report.rows, 'row')} with a known value."
    yield ""
    if report.classes:
        shown = list(report.classes.items())[:MAX_TABLE_ROWS]
        yield from _table(("Class", "Rows", "Share"), ((k, f"{n:,}", percent(n / report.rows)) for k, n in shown))
        yield ""
    if report.relations:
        rows = (
            (r.column, r.measure.replace("_", " "), figure(r.value), figure(r.strength), f"{r.rows:,}", _suspicion(r))
            for r in report.relations[:MAX_TABLE_ROWS]
        )
        yield from _table(("Column", "Measure", "Value", "Strength", "Rows", "Leakage"), rows)
        yield ""
        yield "Strength is |r|, the square root of eta squared, or Cramér's V: 0 none, 1 perfect."
    for column, reason in report.skipped.items():
        yield f"- {escape(_quoted(column))} was not measured: it {escape(reason)}"


def _suspicion(relation: TargetRelation) -> str:
    return "suspected" if relation.leakage_suspected else ""


def _quoted(column: str) -> str:
    return f"“{plain(column)}”"


def _time(overview: Overview) -> Iterator[str]:
    line = overview.timeline
    if line is None:
        yield escape(overview.not_computed.get("timeline", "No time column was named."))
        return
    if not line.points:
        yield f"Time column {escape(_quoted(line.column))} has no usable time in any row."
        return
    yield (
        f"Time column {escape(_quoted(line.column))}, by {line.bucket} (UTC) from {line.first} to {line.last}:"
        f" {count(len(line.points), 'bucket')}, {line.gaps:,} of them empty."
    )
    if line.unknown or line.outside:
        yield f"{count(line.unknown, 'row')} without a time and {count(line.outside, 'row')} far outside are left out."
    if overview.series is not None:
        yield ""
        yield from _table(HEADS, course_rows(overview.series))
    elif line.trends:
        yield ""
        rows = (
            (
                t.column,
                figure(t.slope_per_day),
                f"{t.r_squared:.3f}",
                "" if t.change_share is None else percent(t.change_share),
            )
            for t in line.trends
        )
        yield from _table(("Column", "Slope a day", "R²", "Change over the span, of its mean"), rows)


def _trend_row(trend: TimeTrend) -> tuple[str, ...]:
    change = "not available" if trend.change_share is None else percent(trend.change_share)
    return trend.column, figure(trend.slope_per_day), f"{trend.r_squared:.3f}", change


def _validation(overview: Overview) -> Iterator[str]:
    result = overview.validation
    if result is None:
        yield escape(overview.not_computed.get("validation", "Validation did not run."))
        return
    verdict = "valid" if result.is_valid else "not valid"
    yield f"The data is {verdict}: {count(len(result.errors), 'error')}, {count(len(result.warnings), 'warning')}."
    yield ""
    for word, texts in (("Error", result.errors), ("Warning", result.warnings)):
        yield from (f"- {word}: {escape(text)}" for text in texts[:MAX_TABLE_ROWS])
        if len(texts) > MAX_TABLE_ROWS:
            yield f"- {len(texts) - MAX_TABLE_ROWS:,} more stand in validation.json"


def _steps(overview: Overview) -> Iterator[str]:
    if not overview.steps:
        yield "No step changed the data."
        return
    rows = (
        (
            step.step,
            names(step.columns) if step.columns else "",
            f"{step.cells_changed:,}",
            f"{step.rows_dropped:,}",
            names(step.columns_dropped) if step.columns_dropped else "",
        )
        for step in overview.steps
    )
    yield from _table(("Step", "Columns", "Cells changed", "Rows dropped", "Columns dropped"), rows)


def _not_computed(overview: Overview) -> Iterator[str]:
    reasons = list(overview.not_computed.items())
    notes = [(column.name, note) for column in overview.profile.columns for note in column.notes]
    if not reasons and not notes:
        yield "Everything that was asked for was computed."
    yield from (f"- {escape(plain(what))}: {escape(why)}" for what, why in reasons)
    yield from (f"- Column {escape(_quoted(column))}: {escape(note)}" for column, note in notes[:MAX_COLUMNS])
    if len(notes) > MAX_COLUMNS:
        yield f"- {len(notes) - MAX_COLUMNS:,} more stand in profile.json"


def _provenance(overview: Overview) -> Iterator[str]:
    if not overview.provenance:
        yield "Not recorded."
    for key, value in overview.provenance.items():
        shown = str(value) if "seed" in key else _figures(value)
        yield f"- {escape(str(key).replace('_', ' '))}: {escape(shown)}"
