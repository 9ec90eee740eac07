"""`raypipe history`: the runs in a folder or a bucket, from the records that they left."""

from __future__ import annotations

import json

from rich.console import Console
from rich.table import Table
from rich.text import Text

from raypipe.insights.words import plain
from raypipe.pipeline.history import PastRun

SHOWN = 50
LINE_CHARS = 300
COLOURS = {"completed": "green", "failed": "red", "cancelled": "yellow", "unfinished": "yellow", "unreadable": "red"}
VERDICTS = {"same": "green", "changed": "yellow", "cannot tell": "yellow", "drifted": "red", "stale": "yellow"}


def history_json(runs: list[PastRun]) -> str:
    """All runs, newest first."""
    return json.dumps([run.model_dump() for run in runs], ensure_ascii=True)


def show_history(console: Console, runs: list[PastRun], place: str) -> None:
    """One line a run, newest first, and below it what ended one that failed."""
    if not runs:
        console.print(f"{place}: no run is there", markup=False, highlight=False)
        return
    table = Table(box=None, padding=(0, 2), show_edge=False)
    compared = any(run.verdict is not None for run in runs)
    headings = ("run", "outcome", "started", "rows", "seconds", "quality", *(("against the last",) if compared else ()))
    for heading in (*headings, "dashboard or reason"):
        right = heading in ("rows", "seconds", "quality")
        last = heading.startswith("dashboard")
        table.add_column(heading, justify="right" if right else "left", no_wrap=not last, overflow="fold")
    for run in runs[:SHOWN]:
        table.add_row(*_cells(run, compared))
    console.print(table)
    if len(runs) > SHOWN:
        console.print(f"… and {len(runs) - SHOWN} older ones; --json shows all", highlight=False)


def _cells(run: PastRun, compared: bool) -> tuple[Text, ...]:
    started = (run.started or "")[:19].replace("T", " ")
    told = run.dashboard or run.error or ""
    return (
        Text(plain(run.run_id, LINE_CHARS)),
        Text(run.outcome if run.outcome in COLOURS else plain(run.outcome, 20), style=COLOURS.get(run.outcome, "")),
        Text(started),
        Text("" if run.rows is None else f"{run.rows:,}"),
        Text("" if run.seconds is None else f"{run.seconds:,.1f}"),
        Text("" if run.quality is None else f"{run.quality:.0f}"),
        *((Text(plain(run.verdict or "", 80), style=VERDICTS.get(run.verdict or "", "")),) if compared else ()),
        Text(plain(told, LINE_CHARS)),
    )
