"""`raypipe rules`: what a rule file may hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table


def rules(
    name: Annotated[str | None, typer.Argument(help="Show the fields of this rule.")] = None,
    schema: Annotated[
        Path | None, typer.Option("--schema", help="Write a JSON Schema of rule files, for editors, to this file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")] = False,
) -> None:
    """List the rules that a rule file may hold."""
    from raypipe.errors import ConfigError
    from raypipe.etl.outputs import writing
    from raypipe.etl.rules.registry import RULES, rule_class
    from raypipe.etl.rules.ruleset import described, rules_json_schema

    console = Console()
    if schema is not None:
        with writing(schema):
            schema.write_text(json.dumps(rules_json_schema(), indent=1) + "\n", encoding="utf-8")
        console.print(f"wrote {schema}", highlight=False, markup=False)
        return
    try:
        kinds = list(RULES.values()) if name is None else [rule_class(name)]
    except ValueError as error:
        raise ConfigError(str(error)) from None
    told = [described(kind) for kind in kinds]
    if as_json:
        console.print_json(json.dumps(told))
        return
    table = Table("rule", "group", "fields", "meaning", box=None, pad_edge=False)
    for one in told:
        table.add_row(one["rule"], one["group"], ", ".join(one["fields"]), one["meaning"])
    console.print(table, highlight=False, markup=False)
