"""Results on a terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from raypipe.blocks.profile import ColumnProfile
from raypipe.insights.statistics.models import Statistics
from raypipe.insights.words import plain as _plain
from raypipe.pipeline.check import Checked
from raypipe.results import Insight, PipelineResult

FINDINGS = 5
SHOWN_PAIRS = 10
LINE_CHARS = 2_000
PROFILE_HEADINGS = {
    "column": 0, "type": 0, "null": 0, "distinct": 0, "min": 0,
    "median": 100, "mean": 120, "max": 0, "most frequent": 140,
}  # fmt: skip
"""Heading -> characters that a line must have for it to be shown."""


def show_results(console: Console, results: PipelineResult) -> None:
    """What a run found, and where it put it."""
    rows, columns = results["data_shape"]
    counts = results["rows"]
    dropped = sum(counts["dropped"].values())
    quality = results["quality"]
    grade = f"; quality {quality.score:.0f} of 100 ({quality.grade})" if quality is not None else ""
    console.print(f"\n[bold]{rows:,} rows x {columns} columns{grade}[/]", highlight=False)
    went = f"{counts['kept']:,} kept + {counts['quarantined']:,} quarantined + {dropped:,} dropped"
    console.print(f"rows: {counts['read']:,} read = {went}", highlight=False)
    insights: tuple[Insight, ...] = results["insights"]
    for insight in sorted(insights, key=lambda found: -found.priority_score)[:FINDINGS]:
        console.print(f"  [bold]{insight.priority_score:>2}[/] {escape(_line(insight.title))}", highlight=False)
    if len(insights) > FINDINGS:
        console.print(f"  … and {len(insights) - FINDINGS} more in insights_report.md", highlight=False)
    reading = results["summary"]["reading"]
    for note in (*reading["notes"], *(promotion["reason"] for promotion in reading["promotions"])):
        console.print(f"note: {_line(note)}", markup=False, highlight=False, soft_wrap=True)
    for warning in results["warnings"]:
        console.print(f"[yellow]warning:[/] {escape(_line(warning))}", highlight=False)
    folder = str(results["output_directory"])
    page = f"{folder}/dashboard.html" if "://" in folder else (Path(folder) / "dashboard.html").as_uri()
    console.print(f"\nresults    {folder}", markup=False, highlight=False, soft_wrap=True)
    if results["dashboard_generated"]:
        console.print(f"dashboard  {page}", markup=False, highlight=False, soft_wrap=True)


def show_profile(console: Console, checked: Checked) -> None:
    """One line a column."""
    table = Table(box=None, padding=(0, 2), title_justify="left", title=_heading(checked))
    shown = [heading for heading, width in PROFILE_HEADINGS.items() if console.width >= width]
    for heading in shown:
        right = heading in ("null", "distinct", "min", "median", "mean", "max")
        table.add_column(heading, justify="right" if right else "left", no_wrap=True, overflow="ellipsis", max_width=28)
    for column in checked.profile.columns:
        row = dict(zip(PROFILE_HEADINGS, _profile_row(column), strict=True))
        table.add_row(*(escape(_line(row[heading])) for heading in shown))
    console.print(table)
    if checked.statistics is not None:
        _show_pairs(console, checked.statistics)
    _notes(console, checked)


def _show_pairs(console: Console, statistics: Statistics) -> None:
    """The strongest pairs of columns, each by the measure that comes first for its kinds."""
    pairs = [pair for pair in statistics.pairs if pair.measures][:SHOWN_PAIRS]
    if not pairs:
        console.print("no two columns go together more than chance would have it", style="dim")
        return
    table = Table(box=None, padding=(0, 2), title_justify="left", title="columns that go together")
    for heading in ("column", "and", "measure", "value", "95 % interval"):
        table.add_column(heading, no_wrap=True, overflow="ellipsis", max_width=28)
    for pair in pairs:
        first = pair.measures[0]
        between = f"{first.interval[0]:.3f} to {first.interval[1]:.3f}" if first.interval else ""
        cells = (*pair.columns, first.measure.replace("_", " "), f"{first.value:.3f}", between)
        table.add_row(*(escape(_line(cell)) for cell in cells))
    console.print(table)


def show_validation(console: Console, checked: Checked) -> None:
    """The verdict, worst first."""
    validation = checked.validation
    assert validation is not None
    verdict = "[green]valid[/]" if validation.is_valid else "[red]not valid[/]"
    console.print(f"{verdict}  {escape(_heading(checked))}", highlight=False)
    for text in validation.errors:
        console.print(f"  [red]error[/]    {escape(_line(text))}", highlight=False)
    for text in validation.warnings:
        console.print(f"  [yellow]warning[/]  {escape(_line(text))}", highlight=False)
    _notes(console, checked)


def show_plan(console: Console, text: str) -> None:
    """A plan as it stands, line by line: names of columns in it are hostile."""
    for line in text.splitlines():
        console.print(_line(line), markup=False, highlight=False, soft_wrap=True)


def _line(text: str) -> str:
    """Text of the data on one line, without characters that a terminal would obey."""
    return _plain(text, LINE_CHARS)


def _heading(checked: Checked) -> str:
    aside = f", {checked.rows_quarantined:,} set aside" if checked.rows_quarantined else ""
    size = f"{checked.rows_read:,} rows read{aside}, {len(checked.profile.columns)} columns"
    return f"{size} in {checked.seconds:.2f} s ({checked.engine})"


def _notes(console: Console, checked: Checked) -> None:
    for note in checked.notes:
        console.print(f"note: {_line(note)}", markup=False, highlight=False, soft_wrap=True)


def _profile_row(column: ColumnProfile) -> tuple[str, ...]:
    number = column.number
    timed = column.kind == "temporal"
    median = number.quantiles.at(0.5) if number and number.quantiles and not timed else None
    distinct = column.distinct
    shown = "" if distinct is None else f"{'' if distinct.exact else '~'}{distinct.count:,}"
    top = f"{_short(column.top[0].value)} ({column.top[0].count / max(column.present, 1):.0%})" if column.top else ""
    return (
        column.name,
        column.dtype,
        f"{column.null_share:.1%}" if column.nulls else "",
        shown,
        _short(column.min) if not number or timed else _number(number.min),
        _number(median),
        _number(number.mean) if number and not timed else "",
        _short(column.max) if not number or timed else _number(number.max),
        top,
    )


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value == int(value) and abs(value) < 1e15 else f"{value:,.6g}"


def _short(text: str | None, chars: int = 24) -> str:
    """The start of a value; times without the zeros behind their seconds."""
    text = "" if text is None else text.removesuffix("Z").removesuffix(".000000")
    return text if len(text) <= chars else text[: chars - 1] + "…"
