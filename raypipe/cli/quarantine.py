"""`raypipe quarantine`: look at the rows that a run set aside, mend them, and read them again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from raypipe.config import EngineConfig, PipelineConfig, StorageConfig
from raypipe.errors import ConfigError
from raypipe.insights.words import plain

app = typer.Typer(
    name="quarantine",
    help="Look at the rows that a run set aside, mend them, and read them again.",
    no_args_is_help=True,
)
CELL_CHARS = 400
MOST_SHOWN = 30
out = Console(soft_wrap=True)

Run = Annotated[str, typer.Argument(help="A run's name under --output, its folder, or its address in a bucket.")]
Output = Annotated[str, typer.Option("--output", "-o", help="Folder or bucket of runs.")]
Config = Annotated[Path | None, typer.Option("--config", "-c", help="YAML or TOML file, for where buckets are.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]


@app.command()
def show(
    run: Annotated[str, typer.Argument(help="A run, as below, or a quarantine file.", metavar="RUN|FILE")],
    by: Annotated[str, typer.Option("--by", help="Put together by reason, column, stage or file.")] = "reason",
    rows: Annotated[int, typer.Option("--rows", min=0, help="Examples of each.")] = 3,
    output: Output = "output",
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Count the rows in quarantine by what is wrong with them, with examples."""
    from raypipe.etl.quarantine.counts import SORTS, count
    from raypipe.pipeline.replay import quarantined
    from raypipe.pipeline.runfiles import find_run

    wanted = next((sort for sort in SORTS if sort == by), None)
    if wanted is None:
        raise ConfigError(f"--by: got {by!r}; it takes {', '.join(SORTS)}")
    if Path(run).is_file():
        counts, note = count(Path(run), wanted, rows), ""
    else:
        with quarantined(find_run(run, output, _storage(config))) as state:
            counts = count(state.path, wanted, rows)
            note = f" of {state.first_rows:,} at first, after {len(state.replays)} replays" if state.replays else ""
    if as_json:
        out.print_json(counts.model_dump_json())
        return
    out.print(f"{counts.rows:,} rows in quarantine{note}", highlight=False)
    for group in counts.groups[:MOST_SHOWN]:
        place = " ".join(f"{escape(_short(value))}" for value in (group.stage, group.column, group.file) if value)
        out.print(f"\n[bold]{group.rows:>8,}[/]  {place}  {escape(_short(group.reason or ''))}", highlight=False)
        if group.examples:
            out.print(_examples([example.model_dump() for example in group.examples]))
    left = sum(group.rows for group in counts.groups[MOST_SHOWN:]) + counts.others
    if left:
        out.print(f"\n{left:>8,}  for other causes; --by column shows fewer, --json all", highlight=False)


@app.command()
def fix(
    run: Run,
    to: Annotated[Path, typer.Option("--out", help="File to write: .csv, .jsonl or .parquet.")],
    set_: Annotated[list[str] | None, typer.Option("--set", help="column=value; repeatable.")] = None,
    map_: Annotated[list[str] | None, typer.Option("--map", help="column:old=new; repeatable.")] = None,
    drop_rows: Annotated[
        bool, typer.Option("--drop-rows", help="Drop the rows for good when they are replayed.")
    ] = False,
    sql: Annotated[str | None, typer.Option("--sql", help="A query over the table `rows` that keeps __id__.")] = None,
    stage: Annotated[str | None, typer.Option("--stage", help="Mend rows of this stage only.")] = None,
    column: Annotated[str | None, typer.Option("--column", help="Mend rows at fault in this column only.")] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Mend rows whose reason has this text only.")] = None,
    output: Output = "output",
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Write the rows in quarantine to a file that can be edited, mended as the options say."""
    from raypipe.etl.quarantine.mends import Mends
    from raypipe.pipeline.fixing import fix_rows
    from raypipe.pipeline.replay import quarantined
    from raypipe.pipeline.runfiles import find_run

    mends = Mends.parse(set_ or [], map_ or [], drop=drop_rows, sql=sql, stage=stage, column=column, reason=reason)
    with quarantined(find_run(run, output, _storage(config))) as state:
        done = fix_rows(state, mends, to)
    if as_json:
        out.print_json(done.model_dump_json())
        return
    said = f"{done.rows:,} rows written to {to}; {done.mended:,} mended, {done.to_drop:,} to be dropped"
    out.print(said, markup=False, highlight=False)
    if done.lines:
        told = f"{done.lines:,} rows had no place in the table: mend the line in __raw__, or fill in the fields"
        out.print(told, markup=False, highlight=False)
    out.print(f"then: raypipe quarantine replay {run} {to}", markup=False, highlight=False)


@app.command()
def replay(
    run: Run,
    fixed: Annotated[Path | None, typer.Argument(help="File of mended rows; none takes the rows as they are.")] = None,
    output: Output = "output",
    config: Config = None,
    engine: Annotated[str, typer.Option(help="auto, inline or ray: by default Ray only where they are many.")] = "auto",
    as_json: AsJson = False,
) -> None:
    """Read the rows again as the run read them; those that pass join its rows, the others stay in quarantine."""
    from raypipe.pipeline.replay import quarantined
    from raypipe.pipeline.replaying import replay as replay_rows
    from raypipe.pipeline.runfiles import find_run

    engines: dict[str, EngineConfig] = {
        "auto": EngineConfig(), "inline": EngineConfig(engine="inline"), "ray": EngineConfig(engine="ray")
    }  # fmt: skip
    if engine not in engines:
        raise ConfigError(f"--engine: got {engine!r}; it takes {', '.join(engines)}")
    files = find_run(run, output, _storage(config))
    with quarantined(files, to_change=True) as state:
        done = replay_rows(state, fixed, engines[engine])
    if as_json:
        out.print_json(done.model_dump_json())
        return
    dropped = "".join(f" + {rows:,} dropped by {name}" for name, rows in done.dropped.items())
    went = f"{done.replayed:,} replayed + {done.still_quarantined:,} still there{dropped}"
    out.print(f"{done.quarantined_before:,} in quarantine = {went}", markup=False, highlight=False)
    if done.done_before:
        out.print(f"{done.done_before:,} rows of the file were settled before", markup=False, highlight=False)
    if done.late:
        told = f"{done.late:,} rows had been changed by steps when they were set aside: mend them in the source"
        out.print(told, markup=False, highlight=False)
    if done.number is None:
        out.print("nothing changed, and nothing was written", highlight=False)
        return
    for made in done.outputs:
        out.print(f"rows      {files.location}/{made['name']}", markup=False, highlight=False)
    out.print(f"record    {files.location}/replays/{done.number:04d}/replay.json", markup=False, highlight=False)
    for text, rows in list(done.reasons.items())[:5]:
        out.print(f"{rows:>8,}  {_short(text)}", markup=False, highlight=False)


def _storage(config: Path | None) -> StorageConfig:
    return StorageConfig() if config is None else PipelineConfig.load(config, data_source="").storage


def _examples(examples: list[dict[str, object]]) -> Table:
    table = Table(box=None, padding=(0, 2), show_header=True, header_style="dim")
    for name in ("file", "line", "value", "reason"):
        table.add_column(name, overflow="fold")
    for example in examples:
        line = example["line"] if example["line"] is not None else f"row {example['row']}"
        cells = (example["file"], line, example["value"], example["reason"])
        table.add_row(*(escape(_short("" if cell is None else str(cell))) for cell in cells))
    return table


def _short(text: str) -> str:
    return plain(text, CELL_CHARS)
