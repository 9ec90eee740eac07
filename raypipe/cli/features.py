"""`raypipe features`: a feature store on the command line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from raypipe.errors import ConfigError

if TYPE_CHECKING:
    from raypipe.ml.store import FeatureStore

app = typer.Typer(name="features", help="Keep features with their history, and join them as they were known.")
Repo = Annotated[Path, typer.Option("--repo", help="Folder of the store.")]
Project = Annotated[str, typer.Option("--project", help="Project in it; projects share nothing.")]
View = Annotated[str, typer.Argument(help="Name of the view.", metavar="VIEW")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
REPO, PROJECT = Path("feature_repo"), "ml_workflow"


@app.command()
def register(
    definition: Annotated[Path, typer.Argument(help="YAML or JSON file with the view.", metavar="FILE")],
    repo: Repo = REPO,
    project: Project = PROJECT,
) -> None:
    """Keep the definition of a view, or a newer one with more features."""
    from raypipe.ml.specs.views import FeatureView

    view = FeatureView.load(definition)
    _store(repo, project, create=True).register(view)
    typer.echo(f"{view.name}: {len(view.features)} features of {', '.join(view.entities)}")


@app.command("list")
def list_views(repo: Repo = REPO, project: Project = PROJECT, as_json: AsJson = False) -> None:
    """List the views of a project."""
    views = _store(repo, project).list()
    if as_json:
        _print([view.to_dict() for view in views])
        return
    for view in views:
        kinds = ", ".join(f"{name} {kind}" for name, kind in view.features.items())
        typer.echo(f"{view.name}  {', '.join(view.entities)}: {kinds}")


@app.command()
def ingest(
    view: View,
    rows: Annotated[Path, typer.Argument(help="Parquet, CSV or Delta table.", metavar="ROWS")],
    repo: Repo = REPO,
    project: Project = PROJECT,
    evolve: Annotated[bool, typer.Option("--evolve", help="Columns that the view lacks become features.")] = False,
    aside: Annotated[Path | None, typer.Option("--aside", help="Write rows set aside to this Parquet file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Merge rows into a view; the same rows once more change nothing."""
    import pyarrow.parquet as pq

    from raypipe.ml.store.training import read_rows

    report = _store(repo, project).ingest(view, read_rows(rows), evolve=evolve)
    if aside is not None:
        pq.write_table(report.aside, aside)
    if as_json:
        _print(report.to_dict())
        return
    typer.echo(
        f"{view} version {report.version}: {report.rows:,} rows: {report.inserted:,} new, {report.updated:,} changed,"
        f" {report.unchanged:,} as they were, {report.superseded:,} superseded, {report.aside.num_rows:,} set aside"
    )
    for reason, count in report.reasons.items():
        typer.echo(f"  set aside: {count:,} {reason}")


@app.command()
def join(
    entity_rows: Annotated[Path, typer.Argument(help="Parquet, CSV or Delta table with entities and times.")],
    views: Annotated[list[str], typer.Option("--view", help="View, or view@version; repeatable.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Parquet file to write.")],
    repo: Repo = REPO,
    project: Project = PROJECT,
    time: Annotated[str, typer.Option("--time", help="Column with the time of each row.")] = "event_timestamp",
    full_names: Annotated[bool, typer.Option("--full-names", help="Call features view__feature.")] = False,
) -> None:
    """Give each entity row the features that were known at its time."""
    import pyarrow.parquet as pq

    from raypipe.ml.store.training import read_rows

    asked = dict(map(_pinned, views))
    if len(asked) < len(views):
        twice = next(name for name in asked if sum(_pinned(view)[0] == name for view in views) > 1)
        raise ConfigError(f"features join: --view names {twice!r} twice; name each view once, with one version")
    store = _store(repo, project)
    given = {name: version for name, version in asked.items() if version is not None}
    rows = read_rows(entity_rows)
    joined = store.point_in_time_join(rows, list(asked), given, time=time, full_names=full_names)
    pq.write_table(joined, output)
    versions = ", ".join(f"{name}@{store.pinned(name, version).version}" for name, version in asked.items())
    typer.echo(f"{output}: {joined.num_rows:,} rows, {joined.num_columns} columns, of {versions}")


@app.command()
def online(
    view: View,
    keys: Annotated[list[str] | None, typer.Option("--key", help="Entity to look up: user=3; repeatable.")] = None,
    repo: Repo = REPO,
    project: Project = PROJECT,
    full: Annotated[bool, typer.Option("--full", help="Work out all entities anew.")] = False,
    refresh: Annotated[bool, typer.Option("--refresh/--no-refresh", help="Bring it up to date first.")] = True,
) -> None:
    """Bring the online rows of a view up to date, and look an entity up."""
    from raypipe.ml.store.online import OnlineStore

    if not keys and not (full or refresh):
        raise ConfigError("features online: --no-refresh without --key does nothing; name an entity to look up")
    store = _store(repo, project)
    rows = OnlineStore(store)
    if full or refresh:
        did = rows.materialize(view) if full else rows.materialize_incremental(view)
        typer.echo(f"{view} version {did.version}: {did.mode} ({did.why}), {did.entities:,} entities", err=True)
    if keys:
        found = rows.lookup(view, _keys(store, view, keys))
        typer.echo(json.dumps(found.table.to_pylist()[0], default=str))


@app.command()
def history(view: View, repo: Repo = REPO, project: Project = PROJECT, as_json: AsJson = False) -> None:
    """List the versions of a view, the newest first."""
    versions = _store(repo, project).history(view)
    if as_json:
        _print(list(versions))
        return
    for one in versions:
        typer.echo(f"{one['version']:>6}  {one['time']:%Y-%m-%d %H:%M:%S}  {one['operation']}")


def _store(repo: Path, project: str, create: bool = False) -> FeatureStore:
    from raypipe.ml.store import FeatureStore

    if not create and not (repo / project).is_dir():
        raise ConfigError(f"features: there is no store at {repo / project}; say where: --repo, --project")
    return FeatureStore(repo, project)


def _pinned(given: str) -> tuple[str, int | datetime | None]:
    """`spend`, `spend@3` or `spend@2024-01-31T00:00+00:00`."""
    name, _, version = given.partition("@")
    if not version:
        return name, None
    if version.isdigit():
        return name, int(version)
    try:
        return name, datetime.fromisoformat(version)
    except ValueError as error:
        raise ConfigError(f"--view {given}: wanted a number or a time with its zone behind the @") from error


def _keys(store: FeatureStore, view: str, given: Sequence[str]) -> dict[str, Any]:
    """Entities as they stand on a command line, in the types of the view."""
    from raypipe.ml.store.tables import schema_of

    schema = schema_of(store.table(view).open())
    found: dict[str, Any] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or name not in store.get(view).entities:
            raise ConfigError(
                f"--key {one}: wanted one of {', '.join(store.get(view).entities)} with its value, as in user=3"
            )
        try:
            found[name] = int(value) if str(schema.field(name).type) == "int64" else value
        except ValueError as error:
            raise ConfigError(f"--key {one}: {name!r} is a whole number") from error
    return found


def _print(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, default=str))
