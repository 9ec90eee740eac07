"""`raypipe rules`: list the rules, check a rule file, bring rules over from other tools; and `validate --suggest`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from raypipe.cli.exits import INVALID
from raypipe.config import PipelineConfig
from raypipe.errors import ConfigError
from raypipe.insights.words import plain

app = typer.Typer(name="rules", help="List rules, check a rule file, bring rules over.", no_args_is_help=True)
out = Console(soft_wrap=True)
wide = Console()
errors = Console(stderr=True, soft_wrap=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
LINE_CHARS = 600


@app.command("list")
def list_rules(
    group: Annotated[str | None, typer.Option("--group", help="Only rules of this group, such as dates.")] = None,
    as_json: AsJson = False,
) -> None:
    """List all rules, with what each asks for and its fields."""
    from raypipe.etl.rules.registry import RULES
    from raypipe.etl.rules.rule import CountingRule, Rule

    shared = {*Rule.model_fields, *CountingRule.model_fields}
    kinds = {name: kind for name, kind in RULES.items() if group is None or group == kind.GROUP}
    if not kinds:
        groups = sorted({kind.GROUP for kind in RULES.values()})
        raise ConfigError(f"--group: there is no group {group!r}; there are: {', '.join(groups)}")
    told = [
        {
            "rule": name,
            "group": kind.GROUP,
            "fields": [field.alias or key for key, field in kind.model_fields.items() if key not in shared],
            "meaning": (kind.__doc__ or "").split("\n")[0],
        }
        for name, kind in kinds.items()
    ]
    if as_json:
        out.print_json(json.dumps(told))
        return
    table = Table(box=None, padding=(0, 2))
    for heading in ("rule", "group", "fields", "meaning"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "rule")
    for one in told:
        table.add_row(str(one["rule"]), str(one["group"]), ", ".join(one["fields"]), escape(str(one["meaning"])))
    wide.print(table)


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
    tool: Annotated[str, typer.Option("--from", help="gx, dbt, pandera or odcs.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Rule file to write; default: print.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="dbt, odcs: which of several tables.")] = None,
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
