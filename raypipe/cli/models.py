"""`raypipe models`: registered models, listed, compared, promoted and archived."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

app = typer.Typer(name="models", help="Registered models: list, promote, archive.", no_args_is_help=True)
Store = Annotated[str | None, typer.Option("--tracking-uri", help="Store of MLflow; default: output/mlflow.db.")]
Name = Annotated[str, typer.Argument(help="Name of a registered model.", metavar="NAME")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]


@app.command("list")
def list_(
    name: Annotated[str | None, typer.Argument(help="Of this model alone.", metavar="NAME")] = None,
    tracking_uri: Store = None,
    as_json: AsJson = False,
) -> None:
    """List registered models, their versions and aliases, the newest first."""
    from raypipe.ml.tracking.registry import list_registered_models

    found = list_registered_models(tracking_uri, name=name)
    if as_json:
        sys.stdout.write(json.dumps([one.model_dump(mode="json") for one in found]) + "\n")
        return
    table = Table(box=None, padding=(0, 2), show_edge=False)
    for head in ("model", "version", "aliases", "stage", "metric", "created"):
        table.add_column(head)
    for one in found:
        figure = f"{one.metric} {one.value:.4g}" if one.value is not None else ""
        made = datetime.fromtimestamp(one.created_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
        table.add_row(Text(one.name), one.version, Text(", ".join(one.aliases)), one.stage, figure, made)
    Console(width=None if sys.stdout.isatty() else 120).print(table if found else "no model is registered")


@app.command()
def promote(
    name: Name,
    file: Annotated[str, typer.Argument(help="Rows that neither model has learnt from.", metavar="FILE")],
    target: Annotated[
        str | None, typer.Option("--target", "-t", help="Column with the truth; default: the model's.")
    ] = None,
    challenger: Annotated[str, typer.Option("--challenger", help="Alias or number of a version.")] = "challenger",
    metric: Annotated[str | None, typer.Option("--metric", help="Default: the one that decided in training.")] = None,
    min_gain: Annotated[float, typer.Option("--min-gain", help="The gain has to be above this.")] = 0.0,
    group: Annotated[str | None, typer.Option("--group", help="Column of rows that belong together.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Compare, and change nothing.")] = False,
    tracking_uri: Store = None,
    as_json: AsJson = False,
) -> None:
    """Make a challenger champion, if it is better on the same rows by more than chance. Exit code 1: it is not."""
    from raypipe.ml.specs.training import TrainingSpec
    from raypipe.ml.tracking.loading import load_model
    from raypipe.ml.tracking.promotion import promote as run_promote
    from raypipe.ml.tracking.registry import store_of

    store = store_of(tracking_uri).tracking_uri
    kind = "@" if not challenger.isdigit() else "/"
    card = load_model(f"models:/{name}{kind}{challenger}", tracking_uri=store).card
    table = _rows(file, TrainingSpec(read_options=card.reading))
    done = run_promote(
        name, table, target or card.target, challenger=challenger, metric=metric, min_gain=min_gain, groups=group,
        tracking_uri=store, dry_run=dry_run,
    )  # fmt: skip
    if as_json:
        sys.stdout.write(done.model_dump_json() + "\n")
    else:
        Console().print(done.text, markup=False, highlight=False, soft_wrap=True)
    if done.verdict in ("kept", "undecided"):
        raise typer.Exit(1)


@app.command()
def archive(
    name: Name,
    version: Annotated[str, typer.Argument(help="Number or alias of a version.", metavar="VERSION")],
    tracking_uri: Store = None,
) -> None:
    """Set a version aside; it can still be loaded by its number."""
    from raypipe.ml.tracking.registry import archive as run_archive

    run_archive(name, version, tracking_uri=tracking_uri)
    Console().print(f"{name}: version {version} is archived", markup=False, highlight=False, soft_wrap=True)


def _rows(file: str, spec: object) -> object:
    """The rows of a file, with the types that the model was learnt from where it is a text file."""
    from raypipe.cli.train import read_rows
    from raypipe.etl.reader import DataReader
    from raypipe.ml.specs.training import TrainingSpec

    assert isinstance(spec, TrainingSpec)
    plain = spec if DataReader(Path(file) if "://" not in file else file).format == "csv" else TrainingSpec()
    return read_rows(file, plain).table
