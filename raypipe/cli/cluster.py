"""`raypipe cluster render | lint | doctor | cost`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

from raypipe.cli.exits import FAILED

if TYPE_CHECKING:
    from raypipe.cluster.lint.documents import Finding
    from raypipe.cluster.render.files import Drift

app = typer.Typer(
    name="cluster",
    help="Files of a cluster from one spec; checks of such files, of a cluster, and of its cost.",
    no_args_is_help=True,
    add_completion=False,
)
PIPE_WIDTH = 160
out = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
SPEC = Path("cluster/cluster.yaml")
MARKS = {"ok": "[green]ok[/]", "warning": "[yellow]--[/]", "skipped": "[dim]..[/]", "broken": "[red]!![/]"}

Spec = Annotated[Path, typer.Argument(help="The spec of the cluster, YAML or TOML.", metavar="SPEC")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]


@app.command()
def render(
    spec: Spec = SPEC,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder; default: that of the spec.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit code 1 if a file is not as rendered.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write the files for every target that the spec names."""
    from raypipe.cluster.render.files import drift, rendered, write
    from raypipe.cluster.spec import ClusterSpec

    loaded, folder = ClusterSpec.load(spec), output or spec.parent
    if not check:
        written = write(loaded, folder)
        _print(as_json, {"written": [str(path) for path in written]}, "\n".join(map(str, written)))
        return
    found = drift(loaded, folder)
    lines = [_drifted(folder, one) for one in found]
    advice = [f"write them: raypipe cluster render {spec}"] if lines else []
    says = "\n".join([*lines, *advice]) or f"{len(rendered(loaded))} files are as {spec} renders them"
    _print(as_json, {"drift": [one.model_dump() for one in found]}, says)
    if found:
        raise typer.Exit(FAILED)


@app.command()
def lint(
    files: Annotated[list[Path], typer.Argument(help="Files, or folders of them.", metavar="FILE...")],
    spec: Annotated[
        Path | None, typer.Option("--spec", help="Whose versions they must have; default: cluster.yaml beside them.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    as_json: AsJson = False,
) -> None:
    """Find faults in launcher files, KubeRay manifests, network policies, Dockerfiles, compose files and specs."""
    from raypipe.cluster.lint.check import lint as find
    from raypipe.cluster.spec import ClusterSpec

    found = find(files, ClusterSpec.load(spec) if spec is not None else None)
    errors = [one for one in found if one.severity == "error" or strict]
    text = "\n".join(map(_told, found))
    tally = f"{len(errors)} errors, {len(found) - len(errors)} warnings" if found else "no fault found"
    _print(as_json, {"findings": [one.model_dump() for one in found]}, f"{text}\n{tally}".strip())
    if errors:
        raise typer.Exit(FAILED)


@app.command()
def doctor(
    address: Annotated[
        str | None, typer.Option("--address", help="Dashboard of a cluster: http://127.0.0.1:8265.")
    ] = None,
    spec: Annotated[Path | None, typer.Option("--spec", help="Spec whose clouds and token are looked for.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say whether this machine can start a cluster, and whether a running one is well and lets nobody in."""
    from raypipe.cluster.reach import check_cluster
    from raypipe.cluster.spec import ClusterSpec
    from raypipe.cluster.tools import check_machine, find_token

    loaded = ClusterSpec.load(spec) if spec is not None else None
    home = Path.home()
    checks = check_machine(loaded, os.environ, home)
    if address is not None:
        checks += check_cluster(address, find_token(loaded, os.environ, home))
    if as_json:
        out.print_json(json.dumps([check.model_dump() for check in checks]))
    else:
        table = Table(box=None, padding=(0, 2))
        for heading in ("", "check", "found", "means", "next"):
            table.add_column(heading, overflow="fold")
        for check in checks:
            table.add_row(MARKS[check.state], check.name, check.found, check.means, check.advice)
        out.print(table)
    if any(check.state == "broken" for check in checks):
        raise typer.Exit(FAILED)


@app.command()
def cost(
    spec: Spec = SPEC,
    target: Annotated[Literal["aws", "gcp", "azure"], typer.Option("--target", help="aws, gcp or azure.")] = "aws",
    as_json: AsJson = False,
) -> None:
    """Estimate what the machines cost an hour: idle, as expected, and with every pool full."""
    from raypipe.cluster.cost import CostEstimate, estimate
    from raypipe.cluster.spec import ClusterSpec

    made: CostEstimate = estimate(ClusterSpec.load(spec), target)
    if as_json:
        out.print_json(made.model_dump_json())
        return
    table = Table(box=None, padding=(0, 2))
    for heading in ("", "machine", "nodes", "each", "idle", "expected", "full", "basis"):
        table.add_column(heading, overflow="fold")
    for line in made.lines:
        nodes = "-".join(dict.fromkeys(map(str, line.nodes)))
        figures = (line.per_hour, line.idle, line.expected, line.full)
        table.add_row(line.name, line.machine or "", nodes, *map(_dollars, figures), line.basis)
    least = "" if made.complete else "at least "
    table.add_row("sum", "", "", "", *(least + _dollars(value) for value in (made.idle, made.expected, made.full)), "")
    out.print(table)
    notes = [f"{line.name}: {line.note}" for line in made.lines if line.note]
    notes.append(f"US dollars an hour. Estimates of {made.month}, to be checked: {made.source}")
    notes.append(f"Not in it: {', '.join(made.not_in)}.")
    out.print("\n".join(notes), markup=False, highlight=False, soft_wrap=True)


def _told(one: Finding) -> str:
    place = f"{one.path}: " if one.path else ""
    return f"{one.file}:{one.line}: {one.severity} [{one.rule}] {place}{one.what}\n    write: {one.instead}"


def _drifted(folder: Path, one: Drift) -> str:
    if one.line is None:
        return f"{folder / one.path}: {one.state}"
    return f"{folder / one.path}:{one.line}: {one.state}\n  is:     {one.found}\n  wanted: {one.wanted}"


def _dollars(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.2f}"


def _print(as_json: bool, value: dict[str, Any], text: str) -> None:
    if as_json:
        out.print_json(json.dumps(value))
    else:
        out.print(text, markup=False, highlight=False, soft_wrap=True)
