"""The sections of the report as Markdown, in the words of its catalogue; those without content say why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from raypipe.blocks.profile import ColumnProfile, DuplicateRows
from raypipe.insights.actions import next_steps, recommendations
from raypipe.insights.areas import AREAS
from raypipe.insights.business import business_insights
from raypipe.insights.facts import repeats_matter
from raypipe.insights.markdown import escape, table
from raypipe.insights.models import TargetRelation
from raypipe.insights.overview import Overview
from raypipe.insights.quality import formula
from raypipe.insights.series.rows import HEADS, course_rows
from raypipe.insights.wording.catalogue import Catalogue
from raypipe.insights.wording.sandbox import Markdown
from raypipe.insights.words import plain

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
    profile, words = overview.profile, overview.words
    kinds: dict[str, int] = {}
    for column in profile.columns:
        kinds[column.kind] = kinds.get(column.kind, 0) + 1
    told = ", ".join(f"{words.whole(n)} {words.say(kind)}" for kind, n in sorted(kinds.items()))
    size = f"{words.count(profile.rows, 'row')}, {words.count(len(profile.columns), 'column')}"
    yield f"- {size}" + (f" ({told})" if told else "")
    yield f"- {words.say('{share} of cells are missing', share=words.percent(profile.missing_share))}"
    if profile.duplicates:
        by_chance = profile.duplicates.rows and not repeats_matter(profile)
        more = f" ({words.say('no more than chance makes of such values')})" if by_chance else ""
        yield f"- {_repeated(profile.duplicates, words)}{more}"
    if not profile.columns:
        return
    yield ""
    heads = map(words.say, ("Column", "Type", "Missing", "Distinct", "Smallest", "Largest"))
    yield from table(heads, (_column_row(column, words) for column in profile.columns[:MAX_COLUMNS]))
    if len(profile.columns) > MAX_COLUMNS:
        left = words.whole(len(profile.columns) - MAX_COLUMNS)
        yield f"\n{words.say('{number} further columns stand in profile.json.', number=left)}"


def _column_row(column: ColumnProfile, words: Catalogue) -> tuple[str, ...]:
    distinct = words.say("not available")
    if column.distinct:
        bound = "" if column.distinct.exact else f" ± {words.percent(column.distinct.relative_error)}"
        about = "" if column.distinct.exact else f"{words.say('about')} "
        distinct = f"{about}{words.whole(column.distinct.count)}{bound}"
    ends = (_end(end, column, words) for end in (column.min, column.max))
    cells = (column.name, column.dtype.removeprefix("large_"), words.percent(column.null_share), distinct, *ends)
    return tuple(plain(cell, 60) for cell in cells)


def _end(value: str | None, column: ColumnProfile, words: Catalogue) -> str:
    """The smallest or largest value; texts stand as they are."""
    if value is None:
        return ""
    return words.moment(value) if column.kind == "temporal" else value


def _repeated(repeats: DuplicateRows, words: Catalogue) -> str:
    share, most = words.percent(repeats.share), words.percent(repeats.share_upper)
    if repeats.exact:
        return words.say("{share} of rows repeat an earlier row", share=share)
    if not repeats.rows:
        return words.say("no row was seen to repeat an earlier one; at most {most} do", most=most)
    return words.say("about {share} of rows repeat an earlier row (at most {most})", share=share, most=most)


def _quality(overview: Overview) -> Iterator[str]:
    quality, words = overview.quality, overview.words
    say = words.say
    if quality is None:
        yield say("Not computed.")
        return
    grade, score = say(quality.grade), words.localised(f"{quality.score:.1f}")
    yield f"**{score} {say('of 100')}: {grade}** ({say('Excellent from 85, Good from 70, Fair from 50')})"
    yield ""
    if not quality.deductions:
        yield say("Nothing was taken off.")
    else:
        heads = (say("Points off"), say("Reason"), say("Rule"))
        told = (part.told(words) for part in quality.deductions)
        yield from table(heads, ((words.localised(f"{part.points:.1f}"), part.reason, part.rule) for part in told))
    yield ""
    yield escape(say("The score is {formula}, and at least 0.", formula=formula(words)))


def _business(overview: Overview) -> Iterator[str]:
    words = overview.words
    say = words.say
    if not overview.business:
        yield say("No business context was given (--context).")
        return
    found = business_insights(overview.insights, overview.business, words)
    if not found:
        known = ", ".join(AREAS)
        yield escape(f"{say('It names no area that raypipe knows, and no column. Areas are')}: {known}.")
    for one in found:
        question = f": {one.question}" if one.question else ""
        yield f"**{escape(say(one.area).capitalize() + question)}**"
        yield ""
        if not one.findings:
            yield f"- {say('No finding bears on it.')}"
        else:
            told = words.count(len(one.findings), "finding")
            phrase = "{findings} about {columns}, told one point higher"
            yield f"- {escape(say(phrase, findings=told, columns=words.named(one.columns)))}"
        yield from (f"- {escape(advice)}" for advice in one.advice)
        yield ""


def figures(value: Any, words: Catalogue | None = None) -> str:
    """Evidence in one line."""
    words = words or Catalogue()
    if isinstance(value, Mapping):
        return "; ".join(
            f"{str(key).replace('_', ' ')} {figures(item, words)}" for key, item in value.items() if item is not None
        )
    if isinstance(value, list | tuple):
        shown = ", ".join(figures(item, words) for item in value[:MAX_TABLE_ROWS])
        return f"[{shown}{', …' if len(value) > MAX_TABLE_ROWS else ''}]"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return plain(str(value), 200)
    return words.figure(value)


def _recommendations(overview: Overview) -> Iterator[str]:
    words = overview.words
    found = recommendations(overview.insights, overview.run, words)
    if not found:
        yield words.say("None.")
    for number, one in enumerate(found, 1):
        concerned = f" ({words.say('for')} {words.named(one.columns)})" if one.columns else ""
        yield f"{number}. {escape(one.description)}{escape(concerned)}"
        yield from _typed(one.actions, number)


def _next_steps(overview: Overview) -> Iterator[str]:
    steps = next_steps(overview.insights, overview.run, overview.context, overview.words)
    for number, step in enumerate(steps, 1):
        yield f"{number}. {escape(step.text)}"
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
    report, words = overview.target, overview.words
    say = words.say
    if report is None:
        yield escape(overview.not_computed.get("target", say("No target column was named.")))
        return
    rows = words.count(report.rows, "row")
    phrase = "Target {column}, {task}, {rows} with a known value."
    yield escape(say(phrase, column=words.quoted(report.column), task=say(report.task), rows=rows))
    yield ""
    if report.classes:
        shown = list(report.classes.items())[:MAX_TABLE_ROWS]
        classes = ((k, words.whole(n), words.percent(n / report.rows)) for k, n in shown)
        yield from table(map(say, ("Class", "Rows", "Share")), classes)
        yield ""
    if report.relations:
        heads = map(say, ("Column", "Measure", "Value", "Strength", "Rows", "Leakage"))
        yield from table(heads, (_relation_row(r, words) for r in report.relations[:MAX_TABLE_ROWS]))
        yield ""
        yield escape(say("Strength is |r|, the square root of eta squared, or Cramér's V: 0 none, 1 perfect."))
    for column, reason in report.skipped.items():
        told = say("{column} was not measured: it {reason}", column=words.quoted(column), reason=say(reason))
        yield f"- {escape(told)}"


def _relation_row(one: TargetRelation, words: Catalogue) -> tuple[str, ...]:
    suspicion = words.say("suspected") if one.leakage_suspected else ""
    measure = words.say(one.measure.replace("_", " "))
    value, strength = words.figure(one.value), words.figure(one.strength)
    return one.column, measure, value, strength, words.whole(one.rows), suspicion


def _time(overview: Overview) -> Iterator[str]:
    line, words = overview.timeline, overview.words
    say = words.say
    if line is None:
        yield escape(overview.not_computed.get("timeline", say("No time column was named.")))
        return
    column = words.quoted(line.column)
    if not line.points:
        yield escape(say("Time column {column} has no usable time in any row.", column=column))
        return
    told = say(
        "Time column {column}, by {bucket}{zone} from {first} to {last}: {buckets}, {empty} of them empty.",
        column=column,
        bucket=say(line.bucket),
        zone=_zone(overview),
        first=words.moment(line.first),
        last=words.moment(line.last),
        buckets=words.count(len(line.points), "bucket"),
        empty=words.whole(line.gaps),
    )
    yield escape(told)
    if line.unknown or line.outside:
        unknown, outside = words.count(line.unknown, "row"), words.count(line.outside, "row")
        phrase = "{unknown} without a time and {outside} far outside are left out."
        yield say(phrase, unknown=unknown, outside=outside)
    if overview.series is not None:
        yield ""
        yield from table(map(say, HEADS), course_rows(overview.series, words))
    elif why := overview.not_computed.get("time series"):
        yield escape(f"{say('The course was not taken apart')}: {why}")


def _zone(overview: Overview) -> str:
    """Times of a column with a zone are told in UTC; others as they are written."""
    assert overview.timeline is not None
    known = [column for column in overview.profile.columns if column.name == overview.timeline.column]
    return " (UTC)" if known and "tz=" in known[0].dtype else ""


def _validation(overview: Overview) -> Iterator[str]:
    result, words = overview.validation, overview.words
    say = words.say
    if result is None:
        yield escape(overview.not_computed.get("validation", say("Validation did not run.")))
        return
    errors, warnings = words.count(len(result.errors), "error"), words.count(len(result.warnings), "warning")
    verdict = "The data is valid: {errors}, {warnings}."
    verdict = verdict if result.is_valid else "The data is not valid: {errors}, {warnings}."
    yield say(verdict, errors=errors, warnings=warnings)
    yield ""
    for word, texts in (("Error", result.errors), ("Warning", result.warnings)):
        yield from (f"- {say(word)}: {escape(text)}" for text in texts[:MAX_TABLE_ROWS])
        if len(texts) > MAX_TABLE_ROWS:
            left = words.whole(len(texts) - MAX_TABLE_ROWS)
            yield f"- {say('{number} more stand in {file}', number=left, file='validation.json')}"


def _steps(overview: Overview) -> Iterator[str]:
    words = overview.words
    if not overview.steps:
        yield words.say("No step changed the data.")
        return
    rows = (
        (
            step.step,
            words.named(step.columns) if step.columns else "",
            words.whole(step.cells_changed),
            words.whole(step.rows_dropped),
            words.named(step.columns_dropped) if step.columns_dropped else "",
        )
        for step in overview.steps
    )
    heads = ("Step", "Columns", "Cells changed", "Rows dropped", "Columns dropped")
    yield from table(map(words.say, heads), rows)


def _not_computed(overview: Overview) -> Iterator[str]:
    words = overview.words
    say = words.say
    reasons = list(overview.not_computed.items())
    notes = [(column.name, note) for column in overview.profile.columns for note in column.notes]
    english = words.missing(overview.insights)
    if not reasons and not notes and not english:
        yield say("Everything that was asked for was computed.")
    yield from (f"- {escape(plain(what))}: {escape(why)}" for what, why in reasons)
    for column, note in notes[:MAX_COLUMNS]:
        yield f"- {escape(say('Column {column}: {note}', column=words.quoted(column), note=note))}"
    if len(notes) > MAX_COLUMNS:
        left = words.whole(len(notes) - MAX_COLUMNS)
        yield f"- {say('{number} more stand in {file}', number=left, file='profile.json')}"
    if english:
        told = ", ".join(english[:MAX_TABLE_ROWS])
        why = f"Language {words.language} lacks words, so that these are told in English"
        yield f"- {escape(f'{why}: {told}')}"


def _provenance(overview: Overview) -> Iterator[str]:
    words = overview.words
    if not overview.provenance:
        yield words.say("Not recorded.")
    for key, value in overview.provenance.items():
        shown = str(value) if "seed" in key else figures(value, words)
        yield f"- {escape(words.say(str(key).replace('_', ' ')))}: {escape(shown)}"
