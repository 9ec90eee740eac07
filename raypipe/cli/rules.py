"""`raypipe rules`: list the rules, check a rule file, bring rules over from other tools; and `validate --suggest`."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.console import Console

from raypipe.config import PipelineConfig
from raypipe.errors import ConfigError
from raypipe.insights.words import plain

app = typer.Typer(name="rules", help="List rules, check a rule file, bring rules over.", no_args_is_help=True)
out = Console(soft_wrap=True)
LINE_CHARS = 600


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
