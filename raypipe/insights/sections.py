"""The sections of the report as Markdown, in the words of its catalogue; those without content say why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from raypipe.blocks.profile import ColumnProfile, DuplicateRows
from raypipe.insights.actions import next_steps, recommendations
from raypipe.insights.areas import AREAS
from raypipe.insights.business import business_insights
from raypipe.insights.facts import about
from raypipe.insights.markdown import escape, table
from raypipe.insights.models import TargetRelation
from raypipe.insights.overview import Overview
from raypipe.insights.quality import FORMULA
from raypipe.insights.series.rows import HEADS, course_rows
from raypipe.insights.wording.sandbox import Markdown
from raypipe.insights.words import count, figure, names, percent, plain

MAX_TABLE_ROWS = 20
MAX_COLUMNS = 200

HEADINGS: tuple[tuple[str, str], ...] = (
    ("dataset", "Dataset"),
    ("quality", "Quality score"),
    ("business", "Business context"),
    ("recommendations", "Recommendations"),
    ("next_steps", "Next steps"),
    ("target", "Target"),
    ("time", "Course over time"),
    ("validation", "Validation"),
    ("steps", "Processing steps"),
    ("not_computed", "Not computed"),
    ("provenance", "Provenance"),
)
"""Name of a section in templates -> its heading."""


def sections_of(overview: Overview) -> dict[str, Markdown]:
    """Every section by its name, ready for a template."""
    makers: dict[str, Callable[[Overview], Iterator[str]]] = {
        "dataset": _dataset,
        "quality": _quality,
        "business": _business,
        "recommendations": _recommendations,
        "next_steps": _next_steps,
        "target": _target,
        "time": _time,
        "validation": _validation,
        "steps": _steps,
        "not_computed": _not_computed,
        "provenance": _provenance,
    }
    return {name: Markdown("\n".join(maker(overview))) for name, maker in makers.items()}


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
        yield f"- {_repeated(repeats)}"
    if not profile.columns:
        return
    yield ""
    heads = ("Column", "Type", "Missing", "Distinct", "Smallest", "Largest")
    yield from table(heads, (_column_row(column) for column in profile.columns[:MAX_COLUMNS]))
    if len(profile.columns) > MAX_COLUMNS:
        yield f"\n{len(profile.columns) - MAX_COLUMNS:,} further columns stand in profile.json."


def _column_row(column: ColumnProfile) -> tuple[str, ...]:
    distinct = "not available"
    if column.distinct:
        bound = "" if column.distinct.exact else f" ± {percent(column.distinct.relative_error)}"
        distinct = f"{about(column.distinct.exact)}{column.distinct.count:,}{bound}"
    cells = (column.name, column.dtype, percent(column.null_share), distinct, column.min or "", column.max or "")
    return tuple(plain(cell, 60) for cell in cells)


def _repeated(repeats: DuplicateRows) -> str:
    if repeats.exact:
        return f"{percent(repeats.share)} of rows repeat an earlier row"
    if not repeats.rows:
        return f"no row was seen to repeat an earlier one; at most {percent(repeats.share_upper)} do"
    return f"about {percent(repeats.share)} of rows repeat an earlier row (at most {percent(repeats.share_upper)})"


def _quality(overview: Overview) -> Iterator[str]:
    quality, say = overview.quality, overview.words.say
    if quality is None:
        yield say("Not computed.")
        return
    grade = say(quality.grade)
    yield f"**{quality.score:.1f} {say('of 100')}: {grade}** ({say('Excellent from 85, Good from 70, Fair from 50')})"
    yield ""
    if not quality.deductions:
        yield say("Nothing was taken off.")
    else:
        heads = (say("Points off"), say("Reason"), say("Rule"))
        yield from table(heads, ((f"{part.points:.1f}", part.reason, part.rule) for part in quality.deductions))
    yield ""
    yield f"{say('The score is')} {escape(FORMULA)}."


def _business(overview: Overview) -> Iterator[str]:
    say = overview.words.say
    if not overview.business:
        yield say("No business context was given (--context).")
        return
    found = business_insights(overview.insights, overview.business)
    if not found:
        known = ", ".join(AREAS)
        yield escape(f"{say('It names no area that raypipe knows, and no column. Areas are')}: {known}.")
    for one in found:
        question = f": {one.question}" if one.question else ""
        yield f"**{escape(one.area.capitalize() + question)}**"
        yield ""
        if not one.findings:
            yield f"- {say('No finding bears on it.')}"
        else:
            told = f"{count(len(one.findings), 'finding')} about {names(one.columns)}, told one point higher"
            yield f"- {escape(told)}"
        yield from (f"- {escape(advice)}" for advice in one.advice)
        yield ""


def figures(value: Any) -> str:
    """Evidence in one line."""
    if isinstance(value, Mapping):
        return "; ".join(
            f"{str(key).replace('_', ' ')} {figures(item)}" for key, item in value.items() if item is not None
        )
    if isinstance(value, list | tuple):
        shown = ", ".join(figures(item) for item in value[:MAX_TABLE_ROWS])
        return f"[{shown}{', …' if len(value) > MAX_TABLE_ROWS else ''}]"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return plain(str(value), 200)
    return figure(value)


def _recommendations(overview: Overview) -> Iterator[str]:
    found = recommendations(overview.insights, overview.run)
    if not found:
        yield overview.words.say("None.")
    for number, one in enumerate(found, 1):
        concerned = f" ({overview.words.say('for')} {names(one.columns)})" if one.columns else ""
        yield f"{number}. {escape(one.description)}{escape(concerned)}"
        yield from _typed(one.actions, number)


def _next_steps(overview: Overview) -> Iterator[str]:
    for number, step in enumerate(next_steps(overview.insights, overview.run, overview.context), 1):
        yield f"{number}. {escape(overview.words.say(step.text))}"
        yield from _typed((step.command,) if step.command else (), number)


def _typed(commands: tuple[str, ...], number: int) -> Iterator[str]:
    """Commands as code below an entry of a list; each is one line, so that none can end the block."""
    if commands:
        indent = " " * (len(str(number)) + 2)
        yield ""
        yield f"{indent}```console"
        yield from (f"{indent}$ {command}" for command in commands)
        yield f"{indent}```"
        yield ""


def _target(overview: Overview) -> Iterator[str]:
    report = overview.target
    if report is None:
        yield escape(overview.not_computed.get("target", "No target column was named."))
        return
    yield f"Target {escape(_quoted(report.column))}, {report.task}, {count(report.rows, 'row')} with a known value."
    yield ""
    if report.classes:
        shown = list(report.classes.items())[:MAX_TABLE_ROWS]
        yield from table(("Class", "Rows", "Share"), ((k, f"{n:,}", percent(n / report.rows)) for k, n in shown))
        yield ""
    if report.relations:
        rows = (
            (r.column, r.measure.replace("_", " "), figure(r.value), figure(r.strength), f"{r.rows:,}", _suspicion(r))
            for r in report.relations[:MAX_TABLE_ROWS]
        )
        yield from table(("Column", "Measure", "Value", "Strength", "Rows", "Leakage"), rows)
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
    span = f"{line.bucket}{_zone(overview)} from {line.first} to {line.last}"
    yield (
        f"Time column {escape(_quoted(line.column))}, by {span}:"
        f" {count(len(line.points), 'bucket')}, {line.gaps:,} of them empty."
    )
    if line.unknown or line.outside:
        yield f"{count(line.unknown, 'row')} without a time and {count(line.outside, 'row')} far outside are left out."
    if overview.series is not None:
        yield ""
        yield from table(HEADS, course_rows(overview.series))
    elif why := overview.not_computed.get("time series"):
        yield escape(f"The course was not taken apart: {why}")


def _zone(overview: Overview) -> str:
    """Times of a column with a zone are told in UTC; others as they are written."""
    assert overview.timeline is not None
    known = [column for column in overview.profile.columns if column.name == overview.timeline.column]
    return " (UTC)" if known and "tz=" in known[0].dtype else ""


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
    yield from table(("Step", "Columns", "Cells changed", "Rows dropped", "Columns dropped"), rows)


def _not_computed(overview: Overview) -> Iterator[str]:
    reasons = list(overview.not_computed.items())
    notes = [(column.name, note) for column in overview.profile.columns for note in column.notes]
    english = overview.words.missing(overview.insights)
    if not reasons and not notes and not english:
        yield "Everything that was asked for was computed."
    yield from (f"- {escape(plain(what))}: {escape(why)}" for what, why in reasons)
    yield from (f"- Column {escape(_quoted(column))}: {escape(note)}" for column, note in notes[:MAX_COLUMNS])
    if len(notes) > MAX_COLUMNS:
        yield f"- {len(notes) - MAX_COLUMNS:,} more stand in profile.json"
    if english:
        told = ", ".join(english[:MAX_TABLE_ROWS])
        why = f"Language {overview.words.language} lacks words, so that these are told in English"
        yield f"- {escape(f'{why}: {told}')}"


def _provenance(overview: Overview) -> Iterator[str]:
    if not overview.provenance:
        yield "Not recorded."
    for key, value in overview.provenance.items():
        shown = str(value) if "seed" in key else figures(value)
        yield f"- {escape(str(key).replace('_', ' '))}: {escape(shown)}"
