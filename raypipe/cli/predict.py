"""`raypipe predict`: rows of a file scored by a model, block by block, here or on a cluster."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def predict(
    model: Annotated[
        str,
        typer.Argument(help="Folder of a model, or models:/NAME@champion, models:/NAME/3, runs:/ID.", metavar="MODEL"),
    ],
    file: Annotated[str, typer.Argument(help="File, folder, glob or bucket of rows to score.", metavar="FILE")],
    out: Annotated[
        str, typer.Option("--out", "-o", help="File, folder (ends in a slash), bucket, Delta table or database.")
    ],
    keep: Annotated[
        list[str] | None, typer.Option("--keep", help="Column of FILE to keep; repeatable; default: all.")
    ] = None,
    prefix: Annotated[str, typer.Option("--prefix", help="Before the names of the columns that are added.")] = "",
    mode: Annotated[
        str | None, typer.Option("--mode", help="new (refuses what is there), append, overwrite or merge.")
    ] = None,
    quarantine: Annotated[
        Path | None, typer.Option("--quarantine", help="Where rows set aside go; default: OUT.quarantine.parquet.")
    ] = None,
    tracking_uri: Annotated[
        str | None, typer.Option("--tracking-uri", help="Store of MLflow; default: output/mlflow.db.")
    ] = None,
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Load a model of cloudpickle, which may run any code.")
    ] = False,
    engine: Annotated[str | None, typer.Option("--engine", help="auto, ray or inline.")] = None,
    address: Annotated[
        str | None, typer.Option("--address", help="Ray cluster to run on.", envvar="RAYPIPE_ADDRESS")
    ] = None,
    workers: Annotated[int | None, typer.Option("--workers", help="Workers a pool; default: one a CPU.")] = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="YAML or TOML file, for how to read.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", "-s", help="Any setting; repeatable.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Score rows with a model: predictions and probabilities as columns, rows that cannot be scored set aside."""
    from raypipe._optional import require_extra
    from raypipe.cli.convert import _given, _Line
    from raypipe.cli.template import assigned
    from raypipe.config import PipelineConfig, merge_settings

    require_extra("ml", "raypipe predict")
    from raypipe.ml.predicting import score_stage
    from raypipe.ml.tracking.loading import load_model
    from raypipe.pipeline.predict import predict as run_predict
    from raypipe.pipeline.predict import reading_as

    loaded = load_model(model, tracking_uri=tracking_uri, allow_pickle=allow_pickle)
    stage = score_stage(loaded, allow_pickle=allow_pickle, keep=tuple(keep) if keep else None, prefix=prefix)
    flags = {
        "data_source": file, "write": _given(mode=mode),
        "engine": _given(engine=engine, address=address, workers=workers),
    }  # fmt: skip
    given = merge_settings(assigned(set_ or []), flags)
    settings = PipelineConfig.load(config, **given) if config else PipelineConfig.of(given, origin="command line")
    with contextlib.ExitStack() as stack:
        tell = None if quiet else stack.enter_context(_Line(Console(stderr=True)))
        done = run_predict(reading_as(settings, stage), stage, out, quarantine=quarantine, on_progress=tell)
    if as_json:
        sys.stdout.write(json.dumps(done.to_dict(), default=str, ensure_ascii=True) + "\n")
        return
    lines = [
        f"{done.rows_written:,} of {done.rows_read:,} rows scored by {done.model} and written to {done.destination}"
        f" in {done.seconds:.1f} s, engine {done.engine}",
        f"added: {', '.join(done.columns)}",
    ]
    if done.quarantine is not None:
        lines.append(f"{done.rows_quarantined:,} rows set aside in {done.quarantine}, each with its reason")
    lines += [f"note: {note}" for note in done.notes[:5]]
    for line in lines:
        Console().print(line, markup=False, highlight=False, soft_wrap=True)
