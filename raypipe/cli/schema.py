"""`raypipe schema infer | diff | evolve | convert | check | register | list | show | remove`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from raypipe.cli.exits import INVALID
from raypipe.cli.schema_registry import list_schemas, register, remove, show

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
errors = Console(stderr=True)
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


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(help="Schema file, .yaml or .json.", metavar="OLD")],
    new: Annotated[Path, typer.Argument(help="Schema file, .yaml or .json.", metavar="NEW")],
    as_json: AsJson = False,
) -> None:
    """Say what changed between two schemas, and for whom it breaks. Exit code 3: a change breaks someone."""
    from raypipe.etl.rules.schema import DataSchema
    from raypipe.etl.schemas.diff import diff_schemas

    found = diff_schemas(DataSchema.load(old), DataSchema.load(new))
    if as_json:
        out.print_json(found.model_dump_json())
    else:
        for change in found.changes:
            whom = [
                name for name, yes in (("readers", change.breaks_readers), ("writers", change.breaks_writers)) if yes
            ]
            _say(f"{'breaks ' + ' and '.join(whom) if whom else 'harmless':<26} {change.kind:<12} {change.reason}")
        broken = sum(change.breaking for change in found.changes)
        _say(f"{len(found.changes)} changes, {broken} of them breaking" if found.changes else "no change")
    if found.breaking:
        raise typer.Exit(INVALID)


@app.command()
def evolve(
    first: Annotated[Path, typer.Argument(help="Schema file, .yaml or .json.", metavar="A")],
    second: Annotated[Path, typer.Argument(help="Schema file, .yaml or .json.", metavar="B")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the merged schema here.")] = None,
    as_json: AsJson = False,
) -> None:
    """Merge two schemas into one that takes the data of both, and say what was widened."""
    from raypipe.etl.outputs import writing
    from raypipe.etl.rules.schema import DataSchema
    from raypipe.etl.schemas.evolve import evolve_schemas

    made = evolve_schemas(DataSchema.load(first), DataSchema.load(second))
    if output is not None:
        with writing(output):
            made.merged.save(output)
    if as_json:
        out.print_json(made.model_dump_json())
    else:
        for reason in made.reasons or ("nothing had to be widened",):
            _say(reason)


@app.command()
def convert(
    schema: Annotated[Path, typer.Argument(help="File to convert.", metavar="SCHEMA")],
    to: Annotated[
        str, typer.Option("--to", help="raypipe, jsonschema, pydantic, pandera, odcs or pyarrow.")
    ] = "raypipe",
    source: Annotated[str, typer.Option("--from", help="raypipe, jsonschema, odcs or pyarrow.")] = "raypipe",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File; default: standard output.")] = None,
) -> None:
    """Turn a schema into another form; what has no counterpart is listed on standard error."""
    from raypipe.cli.schema_files import convert_file
    from raypipe.etl.outputs import writing

    text, unmapped = convert_file(schema, source, to)
    if output is not None:
        with writing(output):
            output.write_bytes(text if isinstance(text, bytes) else text.encode())
    elif isinstance(text, bytes):
        typer.echo(text, nl=False)
    else:
        out.print(text, markup=False, highlight=False, soft_wrap=True, end="")
    for note in unmapped:
        errors.print(f"not mapped: {_line(note)}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def check(
    schema: Annotated[Path, typer.Argument(help="Schema file, .yaml or .json.", metavar="SCHEMA")],
    source: Source,
    config: Config = None,
    engine: EngineName = None,
    set_: Set = None,
    as_json: AsJson = False,
) -> None:
    """Infer the schema of a table and compare it with a written one. Exit code 3: the table breaks it.

    Unlike `raypipe validate --schema` it counts no row at fault: it says how the table has drifted from the schema.
    """
    from raypipe.cli.schema_files import drift
    from raypipe.etl.rules.schema import DataSchema

    declared = DataSchema.load(schema)
    found = drift(declared, _inferred(_settings(source, config, engine, set_), declared.name).to_schema())
    if as_json:
        out.print_json(found.model_dump_json())
    else:
        for change in found.changes:
            _say(f"{'breaks it' if change.breaks_readers else 'harmless':<10} {change.kind:<12} {change.reason}")
        if not found.changes:
            _say(f"{source} is as {schema} says")
    if found.breaks_readers:
        raise typer.Exit(INVALID)


app.command()(register)
app.command(name="list")(list_schemas)
app.command()(show)
app.command()(remove)


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
