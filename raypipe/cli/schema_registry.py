"""`raypipe schema register | list | show | remove`: the registry on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[Path, typer.Option("--registry", help="Folder of the registry.")]
REGISTRY = Path("schemas")


def register(
    schema: Annotated[Path, typer.Argument(help="Schema file, .yaml or .json.", metavar="SCHEMA")],
    registry: Folder = REGISTRY,
    raise_version: Annotated[
        bool, typer.Option("--raise", help="Give it the next version by what changed, instead of its own.")
    ] = False,
) -> None:
    """Keep a schema under its name and version."""
    from raypipe.etl.rules.schema import DataSchema
    from raypipe.etl.schemas.registry import SchemaRegistry

    loaded = DataSchema.load(schema)
    version = SchemaRegistry(registry).register(loaded, raise_version=raise_version)
    typer.echo(f"{loaded.name} {version}")


def list_schemas(registry: Folder = REGISTRY) -> None:
    """List the schemas of a registry, with their versions."""
    from raypipe.etl.schemas.registry import SchemaRegistry

    for one in SchemaRegistry(registry).list():
        typer.echo(f"{one.name}  {' '.join(one.versions)}")


def show(
    name: Annotated[str, typer.Argument(help="Of the schema.", metavar="NAME")],
    version: Annotated[str | None, typer.Option("--version", help="Default: the newest.")] = None,
    registry: Folder = REGISTRY,
) -> None:
    """Print a schema of a registry."""
    import yaml

    from raypipe.etl.schemas.registry import SchemaRegistry

    found = SchemaRegistry(registry).get(name, version)
    typer.echo(yaml.safe_dump(found.model_dump(mode="json", exclude_defaults=True), sort_keys=False), nl=False)


def remove(
    name: Annotated[str, typer.Argument(help="Of the schema.", metavar="NAME")],
    version: Annotated[str | None, typer.Option("--version", help="Default: all of them.")] = None,
    registry: Folder = REGISTRY,
) -> None:
    """Remove a schema, or one version of it, from a registry."""
    from raypipe.etl.schemas.registry import SchemaRegistry

    SchemaRegistry(registry).remove(name, version)
