"""`raypipe run | plan | profile | validate | doctor | init`."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

import raypipe
from raypipe.cli.exits import INVALID, tidy_exit
from raypipe.config import PipelineConfig, merge_settings

app = typer.Typer(
    name="raypipe",
    help="Turn a table into checked data, findings and a dashboard: on this machine, or on a Ray cluster.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
PIPE_WIDTH = 160
"""Characters a line where standard output is no terminal, so that tables keep their columns."""
errors = Console(stderr=True)
out = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)

Source = Annotated[
    str | None, typer.Argument(help="File, folder or glob of CSV or Parquet; or `data_source` of --config.")
]
Config = Annotated[Path | None, typer.Option("--config", "-c", help="YAML or TOML file; flags win over it.")]
Target = Annotated[str | None, typer.Option("--target", "-t", help="Column to explain.")]
Time = Annotated[str | None, typer.Option("--time", help="Column with dates or times.")]
EngineName = Annotated[str | None, typer.Option("--engine", help="auto, ray or inline.")]
Address = Annotated[str | None, typer.Option("--address", help="Ray cluster to run on.", envvar="RAYPIPE_ADDRESS")]
Workers = Annotated[int | None, typer.Option("--workers", help="Workers a pool; default: one a CPU.")]
SchemaFile = Annotated[Path | None, typer.Option("--schema", help="YAML or JSON file with the wanted columns.")]
Strict = Annotated[bool | None, typer.Option("--strict", help="An error of validation ends the run (exit code 3).")]
Sample = Annotated[int | None, typer.Option("--sample", help="Rows to draw at random while reading.")]
Set = Annotated[list[str] | None, typer.Option("--set", "-s", help="Any setting: processing.impute=auto; repeatable.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]


def main() -> None:
    """Run the command line; errors become one line and an exit code."""
    with tidy_exit(errors):
        app(standalone_mode=True)


def _version(shown: bool) -> None:
    if shown:
        out.print(f"raypipe {raypipe.__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the log.")] = False,
) -> None:
    if verbose:
        from raypipe.monitor.logs import setup_logging

        setup_logging("INFO")
    else:
        logging.getLogger("raypipe").addHandler(logging.NullHandler())


@app.command()
def run(
    source: Source = None,
    target: Target = None,
    time: Time = None,
    config: Config = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for runs; default: output.")] = None,
    run_id: Annotated[str | None, typer.Option("--run-id", help="Name of the run and its folder.")] = None,
    engine: EngineName = None,
    address: Address = None,
    workers: Workers = None,
    schema: SchemaFile = None,
    strict: Strict = None,
    sample: Sample = None,
    context: Annotated[str | None, typer.Option("--context", help="What the data is about: sales, marketing …")] = None,
    theme: Annotated[str | None, typer.Option("--theme", help="auto, light, dark, corporate or enterprise.")] = None,
    title: Annotated[str | None, typer.Option("--title", help="Title of the dashboard.")] = None,
    dashboard: Annotated[bool | None, typer.Option("--dashboard/--no-dashboard", help="Draw the page.")] = None,
    save: Annotated[bool | None, typer.Option("--save-intermediate", help="Write the processed rows, too.")] = None,
    set_: Set = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Check, clean and analyse a table, and draw its dashboard."""
    from raypipe.cli.bars import ProgressView
    from raypipe.pipeline import AnalyticsPipeline

    settings = _settings(
        config,
        set_,
        data_source=source, target_column=target, time_column=time, output_dir=output, run_id=run_id,
        strict_validation=strict, sample_size=sample, business_context=context, dashboard_theme=theme,
        dashboard_title=title, generate_dashboard=dashboard, save_intermediate=save,
        engine=_given(engine=engine, address=address, workers=workers), validation=_given(schema_path=schema),
    )  # fmt: skip
    pipeline = AnalyticsPipeline(settings)
    if quiet:
        results = pipeline.execute()
    else:
        with ProgressView(errors) as view:
            pipeline.add_progress_callback(view)
            results = pipeline.execute()
    if as_json:
        out.print_json(json.dumps(results["summary"], default=str))
    else:
        from raypipe.cli.show import show_results

        show_results(out, results)


@app.command()
def plan(
    source: Source = None,
    target: Target = None,
    time: Time = None,
    config: Config = None,
    engine: EngineName = None,
    address: Address = None,
    workers: Workers = None,
    schema: SchemaFile = None,
    set_: Set = None,
) -> None:
    """Print what `run` would do, without doing it: stages, pools, resources, memory."""
    from raypipe.pipeline import AnalyticsPipeline

    settings = _settings(
        config, set_, data_source=source, target_column=target, time_column=time,
        engine=_given(engine=engine, address=address, workers=workers), validation=_given(schema_path=schema),
    )  # fmt: skip
    out.print(AnalyticsPipeline(settings).plan(), markup=False, highlight=False, soft_wrap=True)


@app.command()
def profile(
    source: Source = None,
    config: Config = None,
    engine: EngineName = None,
    address: Address = None,
    workers: Workers = None,
    sample: Sample = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the profile to this JSON file.")] = None,
    set_: Set = None,
    as_json: AsJson = False,
) -> None:
    """Summarise every column in one pass."""
    from raypipe.cli.show import show_profile
    from raypipe.pipeline.check import check_source

    settings = _settings(
        config, set_, data_source=source, sample_size=sample, validate_data=False,
        engine=_given(engine=engine, address=address, workers=workers),
    )  # fmt: skip
    checked = check_source(settings)
    text = checked.profile.model_dump_json(indent=2)
    if output is not None:
        from raypipe.etl.outputs import writing

        with writing(output):
            output.write_text(text + "\n", encoding="utf-8")
    if as_json:
        out.print_json(text)
    else:
        show_profile(out, checked)


@app.command()
def validate(
    source: Source = None,
    config: Config = None,
    schema: SchemaFile = None,
    strict: Strict = None,
    engine: EngineName = None,
    address: Address = None,
    quarantine: Annotated[Path | None, typer.Option(help="Write rows set aside to this Parquet file.")] = None,
    set_: Set = None,
    as_json: AsJson = False,
) -> None:
    """Hold a table to the quality rules and a schema. Exit code 3: an error was found."""
    from raypipe.cli.show import show_validation
    from raypipe.pipeline.check import check_source

    settings = _settings(
        config, set_, data_source=source, strict_validation=strict,
        engine=_given(engine=engine, address=address), validation=_given(schema_path=schema),
    )  # fmt: skip
    checked = check_source(settings, quarantine)
    assert checked.validation is not None
    if as_json:
        out.print_json(checked.validation.model_dump_json())
    else:
        show_validation(out, checked)
    if not checked.validation.is_valid:
        raise typer.Exit(INVALID)


@app.command()
def doctor(
    start_ray: Annotated[bool, typer.Option("--start-ray/--no-start-ray", help="Start and stop a private Ray.")] = True,
    as_json: AsJson = False,
) -> None:
    """Say what works on this machine, and what to type where something does not."""
    from raypipe.cli.doctor import diagnose, show_diagnosis

    checks = diagnose(start_ray=start_ray)
    if as_json:
        out.print_json(json.dumps([check.model_dump() for check in checks]))
    else:
        show_diagnosis(out, checks)
    if any(check.state == "broken" for check in checks):
        raise typer.Exit(1)


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="File to write.")] = Path("raypipe.yaml"),
    source: Annotated[str, typer.Option("--source", help="Value of data_source.")] = "data.csv",
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """Write a config file with every setting, its default and what it means."""
    from raypipe.cli.template import write_template

    write_template(path, source, force)
    out.print(f"{path}: edit it, then: raypipe run --config {path}", markup=False, highlight=False)


def _given(**values: Any) -> dict[str, Any]:
    """The flags that were given."""
    return {name: value for name, value in values.items() if value is not None}


def _settings(config: Path | None, assignments: list[str] | None, **flags: Any) -> PipelineConfig:
    """Config file, then `--set`, then flags."""
    from raypipe.cli.template import assigned

    given = merge_settings(assigned(assignments or []), _given(**flags))
    if config is not None:
        return PipelineConfig.load(config, **given)
    return PipelineConfig.of(given, origin="command line")
