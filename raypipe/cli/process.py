"""`raypipe process`: fitted steps applied to new data."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from raypipe.config import PipelineConfig, merge_settings


def process(
    source: Annotated[str, typer.Argument(help="File, folder or glob of new data.")],
    steps: Annotated[str, typer.Option("--steps", help="The processing.json of the run that fitted the steps.")],
    output: Annotated[
        str, typer.Option("--output", "-o", help="File, folder (ends in a slash), bucket, Delta table or database.")
    ],
    quarantine: Annotated[
        Path | None, typer.Option("--quarantine", help="Where rows set aside go; default: OUTPUT.quarantine.parquet.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="YAML or TOML file, for how to read.")] = None,
    engine: Annotated[str | None, typer.Option("--engine", help="auto, ray or inline.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", "-s", help="Any setting; repeatable.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Apply the steps that a run fitted to new data, as they were fitted there."""
    from raypipe.cli.template import assigned
    from raypipe.pipeline.reprocess import reprocess

    given = merge_settings(
        assigned(set_ or []), {"data_source": source, **({"engine": {"engine": engine}} if engine else {})}
    )
    settings = PipelineConfig.load(config, **given) if config is not None else PipelineConfig.of(given, "command line")
    done = reprocess(settings, steps, output, quarantine)
    console = Console(width=None if sys.stdout.isatty() else 160)
    if as_json:
        body = {
            "output": done.output, "quarantine": str(done.quarantine) if done.quarantine else None,
            "rows": done.rows.to_dict(), "passes": done.passes, "engine": done.engine,
            "steps": [step.model_dump(mode="json") for step in done.steps],
        }  # fmt: skip
        console.print_json(json.dumps(body))
        return
    rows = done.rows
    dropped = sum(rows.dropped.values())
    text = f"{rows.read:,} read = {rows.kept:,} kept + {rows.quarantined:,} quarantined + {dropped:,} dropped"
    lines = [f"rows: {text}", *(_step_line(step.step, step.rows_touched, step.rows_dropped) for step in done.steps)]
    lines.append(f"written to {done.output}" + (f", rows set aside to {done.quarantine}" if done.quarantine else ""))
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _step_line(name: str, touched: int, dropped: int) -> str:
    plain = name if name.isprintable() else repr(name)
    return f"  {plain}: {touched:,} rows touched" + (f", {dropped:,} dropped" if dropped else "")
