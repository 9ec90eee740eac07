"""`raypipe convert`: a table from one form to another, checked on the way."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from raypipe.config import PipelineConfig, merge_settings

LINE_EVERY_S = 2.0
SHOWN = 5


def convert(
    source: Annotated[str, typer.Argument(help="File, folder, glob or bucket to read.", metavar="SOURCE")],
    dest: Annotated[
        str, typer.Argument(help="File, folder (ends in a slash), bucket, Delta table or database.", metavar="DEST")
    ],
    form: Annotated[
        str | None, typer.Option("--format", help="parquet, csv, jsonl, arrow, delta, excel or sql; default: by name.")
    ] = None,
    mode: Annotated[
        str | None, typer.Option("--mode", help="new (refuses what is there), append, overwrite or merge.")
    ] = None,
    key: Annotated[list[str] | None, typer.Option("--key", help="Column that tells rows apart, for merge.")] = None,
    partition_by: Annotated[
        list[str] | None, typer.Option("--partition-by", help="Column whose values make folders; repeatable.")
    ] = None,
    table: Annotated[str | None, typer.Option("--table", help="Table of a database.")] = None,
    schema: Annotated[Path | None, typer.Option("--schema", help="YAML or JSON file with the wanted columns.")] = None,
    rules: Annotated[Path | None, typer.Option("--rules", help="YAML or JSON file with rules.")] = None,
    quarantine: Annotated[
        Path | None, typer.Option("--quarantine", help="Where rows set aside go; default: DEST.quarantine.parquet.")
    ] = None,
    strict: Annotated[
        bool | None, typer.Option("--strict", help="A row set aside or a broken rule ends it (exit code 3).")
    ] = None,
    engine: Annotated[str | None, typer.Option("--engine", help="auto, ray or inline.")] = None,
    address: Annotated[
        str | None, typer.Option("--address", help="Ray cluster to run on.", envvar="RAYPIPE_ADDRESS")
    ] = None,
    workers: Annotated[int | None, typer.Option("--workers", help="Workers a pool; default: one a CPU.")] = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="YAML or TOML file; flags win.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", help="A setting of the destination: csv.delimiter=;; or any: read_options.…"),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the same conversion that was killed; DEST is on a disk.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Write a table in another form: read, types checked, rows that do not fit set aside, the rest written whole."""
    from raypipe.cli.template import assigned
    from raypipe.pipeline.convert import convert as run_convert

    given = merge_settings(
        _own(assigned(set_ or [])),
        {
            "data_source": source,
            "write": _given(format=form, mode=mode, key=key, partition_by=partition_by, sql=_given(table=table)),
            "engine": _given(engine=engine, address=address, workers=workers),
            "validation": _given(schema_path=schema, rules_path=rules),
            **_given(strict_validation=strict),
        },
    )
    settings = PipelineConfig.load(config, **given) if config else PipelineConfig.of(given, origin="command line")
    errors = Console(stderr=True)
    with contextlib.ExitStack() as stack:
        tell = None if quiet else stack.enter_context(_Line(errors))
        done = run_convert(settings, dest, quarantine=quarantine, on_progress=tell, resume=resume)
    if as_json:
        sys.stdout.write(json.dumps(done.to_dict(), default=str, ensure_ascii=True) + "\n")
    else:
        _show(Console(), done)


def _given(**values: Any) -> dict[str, Any]:
    """The flags that were given."""
    return {name: value for name, value in values.items() if value is not None and value not in ([], {})}


def _own(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of the destination may leave out that they are of `write`."""
    from raypipe.config import WriteOptions

    ours = {name: value for name, value in settings.items() if name in WriteOptions.model_fields}
    others = {name: value for name, value in settings.items() if name not in ours}
    return merge_settings(others, {"write": ours}) if ours else others


class _Line:
    """One line that says how far it is: rewritten on a terminal, elsewhere a new one now and then."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = console.status("reading") if console.is_terminal else None
        self._last = 0.0

    def __enter__(self) -> _Line:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def __call__(self, progress: Any) -> None:
        """Tell of it."""
        rows = progress.stages[-1].rows_in if progress.stages else 0
        eta = "" if progress.eta_s is None or progress.share >= 1 else f", about {progress.eta_s:.0f} s left"
        text = f"{progress.parts_done:,} of {progress.parts:,} parts, {rows:,} rows{eta}"
        if progress.waiting_for:
            text += f"; waiting: {progress.waiting_for}"
        if self._status is not None:
            self._status.update(text.replace("[", r"\["))
        elif progress.elapsed_s - self._last > LINE_EVERY_S:
            self._last = progress.elapsed_s
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def _show(console: Console, done: Any) -> None:
    """The report in a few lines."""

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    places = f" in {len(done.files):,} files" if len(done.files) > 1 else ""
    say(
        f"{done.rows_written:,} of {done.rows_read:,} rows written to {done.destination} ({done.format}{places}, "
        f"{done.bytes_written / (1 << 20):,.1f} MiB) in {done.seconds:.1f} s, engine {done.engine}"
    )
    if done.quarantine is not None:
        say(f"{done.rows_quarantined:,} rows set aside in {done.quarantine}, each with its reason")
    for kind, count in done.lost.items():
        say(f"note: {kind.replace('_', ' ')}: {count:,}")
    for name, value in done.detail.items():
        say(f"{name.replace('_', ' ')}: {value}")
    for note in done.notes[:SHOWN]:
        say(f"note: {note}")
    if len(done.notes) > SHOWN:
        say(f"… and {len(done.notes) - SHOWN} more notes; --json shows all")
