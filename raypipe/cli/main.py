"""The commands of `raypipe`."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

import raypipe
from raypipe.cli import jobs, submit
from raypipe.cli.cluster import app as cluster_app
from raypipe.cli.compare import compare
from raypipe.cli.convert import convert
from raypipe.cli.exits import INVALID, tidy_exit
from raypipe.cli.features import app as features_app
from raypipe.cli.models import app as models_app
from raypipe.cli.predict import predict
from raypipe.cli.process import process
from raypipe.cli.quarantine import app as quarantine_app
from raypipe.cli.rules import app as rules_app
from raypipe.cli.schema import app as schema_app
from raypipe.cli.train import train
from raypipe.config import PipelineConfig, merge_settings
from raypipe.errors import ConfigError

app = typer.Typer(
    name="raypipe",
    help="Turn a table into checked data, findings and a dashboard: on this machine, or on a Ray cluster.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(cluster_app)
app.add_typer(models_app)
app.add_typer(features_app)
app.add_typer(quarantine_app)
app.add_typer(rules_app)
app.add_typer(schema_app)
PIPE_WIDTH = 160
"""Characters a line where standard output is no terminal, so that tables keep their columns."""
errors = Console(stderr=True)
out = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)

Source = Annotated[
    str | None, typer.Argument(help="File, folder, glob, Delta table or database; or `data_source` of --config.")
]
Config = Annotated[Path | None, typer.Option("--config", "-c", help="YAML or TOML file; flags win over it.")]
Target = Annotated[str | None, typer.Option("--target", "-t", help="Column to explain.")]
Time = Annotated[str | None, typer.Option("--time", help="Column with dates or times.")]
EngineName = Annotated[str | None, typer.Option("--engine", help="auto, ray or inline.")]
Address = Annotated[str | None, typer.Option("--address", help="Ray cluster to run on.", envvar="RAYPIPE_ADDRESS")]
Workers = Annotated[int | None, typer.Option("--workers", help="Workers a pool; default: one a CPU.")]
SchemaFile = Annotated[Path | None, typer.Option("--schema", help="YAML or JSON file with the wanted columns.")]
RulesFile = Annotated[Path | None, typer.Option("--rules", help="YAML or JSON file with rules.")]
Strict = Annotated[bool | None, typer.Option("--strict", help="An error of validation ends the run (exit code 3).")]
Sample = Annotated[int | None, typer.Option("--sample", help="Rows to draw at random while reading.")]
Set = Annotated[list[str] | None, typer.Option("--set", "-s", help="Any setting: processing.impute=auto; repeatable.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]


for command in (convert, submit.submit, jobs.jobs, jobs.status, jobs.logs, jobs.stop, process, compare, train, predict):
    app.command()(command)


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
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Folder or bucket for runs; default: output.")
    ] = None,
    run_id: Annotated[str | None, typer.Option("--run-id", help="Name of the run and its folder.")] = None,
    engine: EngineName = None,
    address: Address = None,
    workers: Workers = None,
    schema: SchemaFile = None,
    rules: RulesFile = None,
    strict: Strict = None,
    sample: Sample = None,
    context: Annotated[str | None, typer.Option("--context", help="What the data is about: sales, marketing …")] = None,
    theme: Annotated[str | None, typer.Option("--theme", help="auto, light, dark, corporate or enterprise.")] = None,
    title: Annotated[str | None, typer.Option("--title", help="Title of the dashboard.")] = None,
    dashboard: Annotated[bool | None, typer.Option("--dashboard/--no-dashboard", help="Draw the page.")] = None,
    save: Annotated[bool | None, typer.Option("--save-intermediate", help="Write the processed rows, too.")] = None,
    processor: Annotated[
        Path | None, typer.Option("--processor", help="Apply the steps of this processing.json, as they were fitted.")
    ] = None,
    resume: Annotated[
        str | None, typer.Option("--resume", help="Go on with this run, which was cut off; it knows its settings.")
    ] = None,
    set_: Set = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Check, clean and analyse a table, and draw its dashboard."""
    from raypipe.cli.bars import ProgressView
    from raypipe.pipeline import AnalyticsPipeline

    flags = {
        "data_source": source, "target_column": target, "time_column": time, "output_dir": output, "run_id": run_id,
        "strict_validation": strict, "sample_size": sample, "business_context": context, "dashboard_theme": theme,
        "dashboard_title": title, "generate_dashboard": dashboard, "save_intermediate": save,
        "engine": _given(engine=engine, address=address, workers=workers), "validation": _given(schema_path=schema),
        "processing": _given(fitted=processor),
    }  # fmt: skip
    if resume is None:
        pipeline = AnalyticsPipeline(_settings(config, set_, **flags))
    else:
        pipeline = _resumed(resume, config, set_, flags)
    with contextlib.ExitStack() as stack:
        if not quiet:
            pipeline.add_progress_callback(stack.enter_context(ProgressView(errors)))
        results = pipeline.execute() if resume is None else pipeline.execute(resume=resume)
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
    rules: RulesFile = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Stage by stage: columns, pools, memory, limits, what can be resumed.")
    ] = False,
    set_: Set = None,
    as_json: AsJson = False,
) -> None:
    """Print what `run` would do, without doing it: stages, pools, resources, memory."""
    from raypipe.pipeline import AnalyticsPipeline

    settings = _settings(
        config, set_, data_source=source, target_column=target, time_column=time,
        engine=_given(engine=engine, address=address, workers=workers),
        validation=_given(schema_path=schema, rules_path=rules),
    )  # fmt: skip
    pipeline = AnalyticsPipeline(settings)
    if as_json:
        out.print_json(json.dumps(pipeline.explained().to_dict()))
    else:
        from raypipe.cli.show import show_plan

        show_plan(out, pipeline.explained().text() if explain else pipeline.plan())


@app.command()
def profile(
    source: Source = None,
    config: Config = None,
    engine: EngineName = None,
    address: Address = None,
    workers: Workers = None,
    sample: Sample = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the profile to this JSON file.")] = None,
    statistics: Annotated[
        Path | None,
        typer.Option(help="Measure pairs of columns, groups and tails too, and write them to this JSON file."),
    ] = None,
    set_: Set = None,
    as_json: AsJson = False,
) -> None:
    """Summarise every column in one pass; a second one measures how columns go together (--statistics)."""
    from raypipe.cli.show import show_profile
    from raypipe.etl.outputs import writing
    from raypipe.pipeline.check import check_source

    settings = _settings(
        config, set_, data_source=source, sample_size=sample, validate_data=False,
        engine=_given(engine=engine, address=address, workers=workers),
    )  # fmt: skip
    checked = check_source(settings, statistics=statistics is not None)
    text = checked.profile.model_dump_json(indent=2)
    found = checked.statistics.model_dump_json(indent=2) if checked.statistics is not None else ""
    for path, written in ((output, text), (statistics, found)):
        if path is not None:
            with writing(path):
                path.write_text(written + "\n", encoding="utf-8")
    if as_json:
        out.print_json(text)
    else:
        show_profile(out, checked)


@app.command()
def validate(
    source: Source = None,
    config: Config = None,
    schema: SchemaFile = None,
    rules: RulesFile = None,
    strict: Strict = None,
    engine: EngineName = None,
    address: Address = None,
    quarantine: Annotated[Path | None, typer.Option(help="Write rows set aside to this Parquet file.")] = None,
    suggest: Annotated[bool, typer.Option("--suggest", help="Write a rule file from the data instead.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File for --suggest; default: print.")] = None,
    max_false_alarms: Annotated[str, typer.Option(help="Share of suggested rules that may fail by chance.")] = "1%",
    set_: Set = None,
    as_json: AsJson = False,
) -> None:
    """Hold a table to the quality rules, a schema and rules of your own. Exit code 3: an error was found."""
    from raypipe.cli.show import show_validation
    from raypipe.pipeline.check import check_source

    settings = _settings(
        config, set_, data_source=source, strict_validation=strict,
        engine=_given(engine=engine, address=address), validation=_given(schema_path=schema, rules_path=rules),
    )  # fmt: skip
    if suggest:
        from raypipe.cli.rules import write_suggestions

        write_suggestions(settings, output, max_false_alarms, as_json)
        return
    checked = check_source(settings, quarantine)
    assert checked.validation is not None
    if as_json:
        out.print_json(checked.validation.model_dump_json())
    else:
        show_validation(out, checked)
    if not checked.validation.is_valid:
        raise typer.Exit(INVALID)


@app.command()
def timeline(
    run: Annotated[
        str, typer.Argument(help="Folder of a run on a disk or in a bucket, or its name under --output.", metavar="RUN")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of runs.")] = Path("output"),
    page: Annotated[Path | None, typer.Option("--page", help="Where to write; default: into the run's folder.")] = None,
    theme: Annotated[str, typer.Option("--theme", help="auto, light, dark, corporate or enterprise.")] = "auto",
    as_json: AsJson = False,
) -> None:
    """Show the course of a run: what took the time, what waited for what, what was lost."""
    from raypipe.cli.timeline import fetch_log, find_log, show_timeline, timeline_json
    from raypipe.dashboard.timeline import TimelineGenerator
    from raypipe.monitor.eventlog import read_events
    from raypipe.storage.address import is_remote

    generator = TimelineGenerator(theme)
    with contextlib.ExitStack() as stack:
        path, home = fetch_log(run, stack) if is_remote(run) else (find_log(run, output), None)
        log = read_events(path)
        written = generator.write(log, page or home)
    if as_json:
        out.print_json(timeline_json(log, written))
    else:
        show_timeline(out, log, written)


@app.command()
def history(
    place: Annotated[str, typer.Argument(help="Folder of runs, or the address of one in a bucket.")] = "output",
    compare: Annotated[
        bool, typer.Option("--compare", help="Say what changed since the run of the same source before.")
    ] = False,
    config: Config = None,
    set_: Set = None,
    as_json: AsJson = False,
) -> None:
    """List the runs of a folder or a bucket, newest first."""
    from raypipe.cli.history import history_json, show_history
    from raypipe.pipeline.history import list_runs

    storage = _settings(config, set_, data_source=place).storage
    runs = list_runs(place, storage)
    if compare:
        from raypipe.pipeline.compare import with_verdicts

        runs = with_verdicts(runs, storage)
    if as_json:
        out.print_json(history_json(runs))
    else:
        show_history(out, runs, place)


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
    source: Annotated[
        str,
        typer.Option("--source", help="Value of data_source; a text file that is there is read, and how is written."),
    ] = "data.csv",
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """Write a config file with every setting, its default and what it means."""
    from raypipe.cli.found import found_options
    from raypipe.cli.template import write_template

    write_template(path, source, force, found_options(source))
    out.print(f"{path}: edit it, then: raypipe run --config {path}", markup=False, highlight=False)


def _given(**values: Any) -> dict[str, Any]:
    """The flags that were given."""
    return {name: value for name, value in values.items() if value is not None}


def _resumed(run_id: str, config: Path | None, assignments: list[str] | None, flags: dict[str, Any]) -> Any:
    """The pipeline of a run that was cut off; settings given again must be those that it had."""
    from raypipe.cli.template import assigned
    from raypipe.pipeline import AnalyticsPipeline

    if flags.pop("run_id") is not None:
        raise ConfigError(f"--run-id: a run that is resumed keeps its name; leave it out beside --resume {run_id}")
    given = merge_settings(assigned(assignments or []), _given(**flags))
    if config is not None:
        given = PipelineConfig.load(config, **{"data_source": "", **given}).model_dump(exclude_unset=True)
    given = {name: value for name, value in given.items() if value != {}}
    return AnalyticsPipeline.resumed(run_id, given.pop("output_dir", None), **given)


def _settings(config: Path | None, assignments: list[str] | None, **flags: Any) -> PipelineConfig:
    """Config file, then `--set`, then flags."""
    from raypipe.cli.template import assigned

    given = merge_settings(assigned(assignments or []), _given(**flags))
    if config is not None:
        return PipelineConfig.load(config, **given)
    return PipelineConfig.of(given, origin="command line")
