"""`raypipe rules`: list the rules, check a rule file, bring rules over from other tools; and `validate --suggest`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

from raypipe.cli.exits import INVALID
from raypipe.config import PipelineConfig
from raypipe.errors import ConfigError
from raypipe.insights.words import plain

if TYPE_CHECKING:
    from raypipe.etl.rules.rule import Rule


class _Rules(TyperGroup):
    """`raypipe rules NAME` is short for `raypipe rules list NAME`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        known = args and args[0] in self.commands
        return super().resolve_command(ctx, args if known else ["list", *args])


app = typer.Typer(name="rules", help="List rules, check a rule file, bring rules over.", cls=_Rules)
out = Console(soft_wrap=True)
wide = Console()
errors = Console(stderr=True, soft_wrap=True)
SchemaTo = Annotated[
    Path | None, typer.Option("--schema", help="Write a JSON Schema of rule files, for editors, to this file.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
LINE_CHARS = 600


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    schema: SchemaTo = None,
    as_json: AsJson = False,
) -> None:
    if context.invoked_subcommand is None:
        list_rules(None, None, schema, as_json)


@app.command("list")
def list_rules(
    name: Annotated[str | None, typer.Argument(help="Only this rule.")] = None,
    group: Annotated[str | None, typer.Option("--group", help="Only rules of this group, such as dates.")] = None,
    schema: SchemaTo = None,
    as_json: AsJson = False,
) -> None:
    """List the rules that a rule file may hold: `raypipe rules` all of them, `raypipe rules NAME` one."""
    from raypipe.etl.outputs import writing
    from raypipe.etl.rules.ruleset import described, rules_json_schema

    if schema is not None:
        with writing(schema):
            schema.write_text(json.dumps(rules_json_schema(), indent=1) + "\n", encoding="utf-8")
        out.print(f"wrote {schema}", highlight=False, markup=False)
        return
    told = [described(kind) for kind in _kinds(name, group)]
    if as_json:
        out.print_json(json.dumps(told))
        return
    table = Table("rule", "group", "fields", "meaning", box=None, pad_edge=False)
    for one in told:
        table.add_row(one["rule"], one["group"], ", ".join(one["fields"]), one["meaning"])
    wide.print(table, highlight=False, markup=False)


def _kinds(name: str | None, group: str | None) -> list[type[Rule]]:
    """The rules of that name or group; ConfigError where there is none."""
    from raypipe.etl.rules.registry import RULES, rule_class

    try:
        named = list(RULES.values()) if name is None else [rule_class(name)]
    except ValueError as error:
        raise ConfigError(str(error)) from None
    kinds = [kind for kind in named if group is None or group == kind.GROUP]
    if not kinds:
        groups = sorted({kind.GROUP for kind in RULES.values()})
        raise ConfigError(f"--group: there is no group {group!r}; there are: {', '.join(groups)}")
    return kinds


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="Rule file.")],
    source: Annotated[
        str | None, typer.Argument(help="Table to hold it against; only its columns are looked at.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="YAML or TOML file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check a rule file: by itself, and against the columns of a table without reading it. Exit code 3: some misfit."""
    from raypipe.etl.rules.ruleset import RuleSet
    from raypipe.pipeline.fitting import misfits

    rules = RuleSet.load(file)
    found = misfits(rules, _settings(config, source)) if source is not None or config is not None else []
    checks = len(rules.checks())
    if as_json:
        out.print_json(json.dumps({"rules": len(rules.rules), "checks": checks, "misfits": found}))
    else:
        out.print(f"{file}: {len(rules.rules)} rules, {checks} checks", markup=False, highlight=False)
        for one in found:
            out.print(
                f"  {plain(one['id'], LINE_CHARS)}: {plain(one['reason'], LINE_CHARS)}", markup=False, highlight=False
            )
        if source is not None and not found:
            out.print(f"all fit the columns of {source}", markup=False, highlight=False)
    if found:
        raise typer.Exit(INVALID)


@app.command("import")
def import_rules(
    file: Annotated[Path, typer.Argument(help="Suite, schema or contract of another tool.")],
    tool: Annotated[str, typer.Option("--from", help="gx, dbt, pandera, odcs or soda.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Rule file to write; default: print.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="dbt, odcs, soda: which of several tables.")] = None,
    as_json: AsJson = False,
) -> None:
    """Bring rules over from another tool; what has no rule of the same meaning is listed with the reason."""
    from raypipe.etl.interop.tools import import_from
    from raypipe.etl.outputs import writing

    if output is not None and output.exists():
        raise ConfigError(f"rules import: {output} is there already; choose another name")
    found = import_from(file, tool, model)
    if output is not None and found.rules is not None:
        with writing(output):
            output.write_text(found.text, encoding="utf-8")
    if as_json:
        out.print_json(found.model_dump_json(exclude={"rules"}))
        return
    if output is None:
        out.print(found.text, markup=False, highlight=False, end="")
        return
    rules = len(found.rules.rules) if found.rules is not None else 0
    said = f"{output if rules else file}: {rules} rules of {found.checks} checks; {len(found.skipped)} not brought over"
    out.print(said, markup=False, highlight=False)
    for one in found.skipped:
        text = f"  {plain(one.where, 80)}: {plain(one.check, 80)}: {plain(one.reason, LINE_CHARS)}"
        out.print(text, markup=False, highlight=False)


@app.command("export")
def export_rules(
    file: Annotated[Path, typer.Argument(help="Rule file.")],
    tool: Annotated[str, typer.Option("--to", help="odcs or gx.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; default: print.")] = None,
) -> None:
    """Write rules in the form of another tool; rules that it does not know are listed."""
    from raypipe.etl.interop.tools import export_to
    from raypipe.etl.outputs import writing
    from raypipe.etl.rules.ruleset import RuleSet

    if output is not None and output.exists():
        raise ConfigError(f"rules export: {output} is there already; choose another name")
    text, left = export_to(RuleSet.load(file), tool)
    if output is None:
        out.print(text, markup=False, highlight=False, end="")
    else:
        with writing(output):
            output.write_text(text, encoding="utf-8")
    for one in left:
        errors.print(f"not exported: {plain(one, LINE_CHARS)}", markup=False, highlight=False)


def _settings(config: Path | None, source: str | None) -> PipelineConfig:
    given = {} if source is None else {"data_source": source}
    return PipelineConfig.of(given, origin="command line") if config is None else PipelineConfig.load(config, **given)


def write_suggestions(settings: PipelineConfig, output: Path | None, budget: str, as_json: bool) -> None:
    """Write the rule file, or print it."""
    from raypipe.etl.outputs import writing
    from raypipe.pipeline.suggesting import suggest_rules

    if output is not None and output.exists():
        raise ConfigError(
            f"--suggest: {output} is there already; choose another name, so that no rule of yours is lost"
        )
    found = suggest_rules(settings, _share(budget))
    if output is not None:
        with writing(output):
            output.write_text(found.text, encoding="utf-8")
    if as_json:
        out.print_json(found.model_dump_json(exclude={"rules"}))
    elif output is None:
        out.print(found.text, markup=False, highlight=False, end="")
    else:
        rules = len(found.rules.rules)
        said = f"{output}: {rules} rules from {found.learned_rows:,} rows, scored on {found.held_out_rows:,} others"
        out.print(f"{said}; {found.widened} widened, {len(found.dropped)} dropped", markup=False, highlight=False)
        for text in found.dropped[:10]:
            out.print(f"  dropped: {plain(text, LINE_CHARS)}", markup=False, highlight=False)


def _share(text: str) -> float:
    try:
        return float(text.removesuffix("%")) / 100 if text.endswith("%") else float(text)
    except ValueError as error:
        raise ConfigError(f"--max-false-alarms: got {text!r}; wanted a share such as 1% or 0.01") from error
