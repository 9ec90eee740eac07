"""`raypipe schema infer | diff | convert | check`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from raypipe.config import PipelineConfig
    from raypipe.etl.infer import InferredSchema

app = typer.Typer(
    name="schema",
    help="Schemas of tables: inferred, compared, converted, held to a table.",
    no_args_is_help=True,
    add_completion=False,
)
PIPE_WIDTH = 160
out = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
_SHOWN = 10

Source = Annotated[str, typer.Argument(help="File, folder or glob.", metavar="SOURCE")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Config = Annotated[Path | None, typer.Option("--config", "-c", help="YAML or TOML file; flags win over it.")]
Set = Annotated[list[str] | None, typer.Option("--set", "-s", help="Any setting: read_options.delimiter=; repeatable.")]
EngineName = Annotated[str | None, typer.Option("--engine", help="auto, ray or inline.")]


@app.command()
def infer(
    source: Source,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the schema: .yaml or .json.")] = None,
    report: Annotated[
        Path | None, typer.Option("--report", help="Write everything that was found, with reasons, as JSON.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Of the schema; default: that of the file.")] = None,
    config: Config = None,
    engine: EngineName = None,
    set_: Set = None,
    as_json: AsJson = False,
) -> None:
    """Say what each column of a table is, and write the schema that the table keeps."""
    from raypipe.etl.outputs import writing

    found = _inferred(_settings(source, config, engine, set_), name)
    for path, write in ((output, found.to_schema().save), (report, found.save)):
        if path is not None:
            with writing(path):
                write(path)
    if as_json:
        out.print_json(found.model_dump_json())
    else:
        _show_inferred(found)
        if output is not None:
            advice = f"{output}: written; hold a table to it: raypipe validate SOURCE --schema {output}"
            out.print(advice, markup=False, highlight=False, soft_wrap=True)


def _settings(source: str, config: Path | None, engine: str | None, set_: list[str] | None) -> PipelineConfig:
    """Config file, then `--set`, then flags."""
    from raypipe.cli.template import assigned
    from raypipe.config import PipelineConfig, merge_settings

    flags: dict[str, Any] = {"data_source": source} | ({"engine": {"engine": engine}} if engine else {})
    given = merge_settings(assigned(set_ or []), flags)
    return PipelineConfig.load(config, **given) if config else PipelineConfig.of(given, origin="command line")


def _inferred(settings: PipelineConfig, name: str | None) -> InferredSchema:
    from raypipe.etl.infer import SchemaInferrer
    from raypipe.pipeline.ingest import open_source

    inferrer = SchemaInferrer(engine=settings.engine, max_bad_cell_share=settings.validation.max_bad_cell_share)
    return inferrer.infer(open_source(settings), name or Path(str(settings.data_source)).stem)


def _show_inferred(found: InferredSchema) -> None:
    """One line a column, then keys and dependencies."""
    table = Table(
        box=None, padding=(0, 2), title_justify="left", title=f"{found.rows:,} rows, {len(found.columns)} columns"
    )
    for heading, width in (("column", 28), ("type", 16), ("meaning", 20), ("sure", 5), ("null", 7), ("why", None)):
        right = heading in ("sure", "null")
        table.add_column(heading, justify="right" if right else "left", max_width=width, overflow="ellipsis")
    for column in found.columns:
        meaning = column.semantic + (f" ({column.unit})" if column.unit else "")
        nulls = f"{column.nulls / column.rows:.1%}" if column.nulls else ""
        why = column.reason + "".join(f" Personal data: {flag.kind}." for flag in column.pii)
        cells = (column.name, column.dtype or column.arrow, meaning, f"{column.confidence:.2f}", nulls, why)
        table.add_row(*(escape(_line(cell)) for cell in cells))
    out.print(table)
    for key in found.candidate_keys[:_SHOWN]:
        _say(f"key: {' + '.join(key.columns)}: {key.reason}")
    for one in found.dependencies[:_SHOWN]:
        _say(f"dependency: {' + '.join(one.determinant)} -> {one.dependent}: {one.reason}")
    for what, count in (("keys", len(found.candidate_keys)), ("dependencies", len(found.dependencies))):
        if count > _SHOWN:
            _say(f"… and {count - _SHOWN} more {what}, in --report FILE or --json")
    for latitude, longitude in found.points:
        _say(f"place: {latitude} and {longitude} are latitude and longitude")
    for note in found.notes:
        _say(f"note: {note}")


def _line(text: str) -> str:
    """Text of the data on one line, without characters that a terminal would obey."""
    from raypipe.insights.words import plain

    return plain(text, 2_000)


def _say(text: str) -> None:
    out.print(_line(text), markup=False, highlight=False, soft_wrap=True)


def _print_json(value: Any) -> None:
    out.print_json(json.dumps(value, default=str))
