"""`raypipe compare`: what changed between two runs, tables, or segments."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from raypipe.cli.exits import INVALID
from raypipe.errors import ConfigError

if TYPE_CHECKING:
    from raypipe.config import PipelineConfig
    from raypipe.insights.compare.models import Comparison, Thresholds

COLOURS = {"same": "green", "stale": "yellow", "changed": "yellow", "cannot tell": "yellow", "drifted": "red"}
FAILS = {"drift": ("drifted",), "change": ("drifted", "changed"), "stale": ("stale",)}
"""Word of --fail-on -> verdicts that end with exit code 3."""
SHOWN = 30


def compare(
    first: Annotated[
        str, typer.Argument(help="A run (folder or name), latest, previous, a profile.json or a table.", metavar="A")
    ],
    second: Annotated[
        str | None, typer.Argument(help="The same; a run alone: before and after processing.", metavar="[B]")
    ] = None,
    output: Annotated[
        str, typer.Option("--output", "-o", help="Folder of runs, or its address in a bucket.")
    ] = "output",
    segment: Annotated[
        str | None, typer.Option("--segment", help="COLUMN=VALUE: these rows against all others, or against B's.")
    ] = None,
    by: Annotated[str | None, typer.Option("--by", help="Each frequent value of a column against all others.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the report, as Markdown.")] = None,
    fail_on: Annotated[
        list[str] | None, typer.Option("--fail-on", help="drift, change or stale: exit code 3 then; repeatable.")
    ] = None,
    threshold: Annotated[
        list[str] | None, typer.Option("--threshold", help="kolmogorov_smirnov=0.2, min_rows=30 …; repeatable.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="YAML or TOML file, for how to read.")] = None,
    engine: Annotated[str | None, typer.Option("--engine", help="auto, ray or inline, for tables.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", "-s", help="Any setting; repeatable.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
) -> None:
    """Say what changed from A to B, how much, how sure, and whether it is drift."""
    wrong = [word for word in fail_on or () if word not in FAILS]
    if wrong:
        raise ConfigError(f"--fail-on: got {wrong[0]!r}; wanted one of: {', '.join(FAILS)}")
    if by is not None and (segment is not None or second is not None):
        raise ConfigError("--by compares the values of a column of A alone; leave out B and --segment")
    settings = _settings(first, config, set_, output, engine)
    found = _compared((first, second), segment, by, settings, _thresholds(threshold))
    _write(found, out)
    console = Console(width=None if sys.stdout.isatty() else 160)
    if as_json:
        body = [one.model_dump(mode="json") for one in found]
        console.print_json(json.dumps(body if by is not None else body[0]))
    else:
        for one in found:
            show_comparison(console, one)
    bad = {verdict for word in fail_on or () for verdict in FAILS[word]}
    if any(one.verdict in bad for one in found):
        raise typer.Exit(INVALID)


def _compared(
    sources: tuple[str, str | None],
    segment: str | None,
    by: str | None,
    settings: PipelineConfig,
    limits: Thresholds,
) -> list[Comparison]:
    if by is not None or segment is not None:
        from raypipe.pipeline.segments import compare_each, compare_segment

        if by is not None:
            return compare_each(sources[0], by, settings, limits)
        assert segment is not None
        return [compare_segment(sources, segment, settings, limits)]
    from raypipe.pipeline.compare import compare_sources

    return [compare_sources(*sources, settings, limits)]


def _settings(
    source: str, config: Path | None, assignments: list[str] | None, output: str, engine: str | None
) -> PipelineConfig:
    from raypipe.cli.template import assigned
    from raypipe.config import PipelineConfig, merge_settings

    flags = {"data_source": source, "output_dir": output, **({"engine": {"engine": engine}} if engine else {})}
    given = merge_settings(assigned(assignments or []), flags)
    return PipelineConfig.load(config, **given) if config is not None else PipelineConfig.of(given, "command line")


def _thresholds(given: list[str] | None) -> Thresholds:
    from pydantic import ValidationError

    from raypipe.insights.compare.models import Thresholds

    values = dict(text.partition("=")[::2] for text in given or ())
    try:
        return Thresholds.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        known = ", ".join(Thresholds.model_fields)
        raise ConfigError(f"--threshold: {first['loc'][0]}: {first['msg']}; wanted NAME=NUMBER of: {known}") from None


def _write(found: list[Comparison], out: Path | None) -> None:
    if out is None:
        return
    from raypipe.etl.outputs import writing
    from raypipe.insights.compare.report import comparison_report

    with writing(out):
        out.write_text("\n".join(comparison_report(one) for one in found), encoding="utf-8")


def show_comparison(console: Console, found: Comparison) -> None:
    """The verdict, what decided it, and a line a column that is not the same."""
    from raypipe.insights.compare.report import HEADS, column_row
    from raypipe.insights.words import plain

    heading = Text(f"{plain(found.before, 200)} against {plain(found.after, 200)}: ")
    heading.append(found.verdict, style=COLOURS[found.verdict])
    console.print(heading, highlight=False)
    for text in found.why:
        console.print(f"  {plain(text, 400)}", markup=False, highlight=False)
    told = [change for change in found.columns if change.verdict not in ("same", "stale")]
    if told:
        shown = Table(box=None, padding=(0, 2), show_edge=False)
        for head in HEADS:
            shown.add_column(head.lower(), overflow="fold")
        for change in told[:SHOWN]:
            shown.add_row(*(Text(plain(cell, 80)) for cell in column_row(change)))
        console.print(shown)
    if len(told) > SHOWN:
        console.print(f"… and {len(told) - SHOWN} more columns; --out FILE has all", highlight=False)
    for pair in found.correlations[:5]:
        text = f"  r of {' and '.join(plain(n, 40) for n in pair.columns)}: {pair.before:.2f} to {pair.after:.2f}"
        console.print(f"{text} ({pair.effect.verdict})", markup=False, highlight=False)
    for word, insights in (("came", found.came), ("went", found.went)):
        for insight in insights[:5]:
            console.print(f"  {word}: {plain(insight.title, 200)}", markup=False, highlight=False)
