"""Progress on a terminal: a bar a stage. Elsewhere: a line a change."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

LINE_EVERY_S = 5.0
MIB = 1 << 20


class ProgressView:
    """Shows what a pipeline's callback tells."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Progress(
            TextColumn("{task.description:<22}"),
            BarColumn(bar_width=28),
            TextColumn("{task.percentage:>4.0f} %"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[message]}", markup=True),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}
        self._said: dict[str, str] = {}
        self._last_line = 0.0
        self._live: Live | None = None
        self._detail: Table | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(self._render(), console=self._console, refresh_per_second=8, transient=False)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._detail = None
            self._live.update(self._render(), refresh=True)
            self._live.stop()

    def __call__(self, payload: dict[str, Any]) -> None:
        """The callback."""
        progress, detail = payload["progress"], payload["detail"]
        if self._live is None:
            self._say_lines(progress, detail)
            return
        for stage, percent in progress["stage_progress"].items():
            self._bar(stage, percent, progress["stage_messages"].get(stage, ""))
        self._detail = _stage_table(detail) if detail else None
        self._live.update(self._render())

    def _bar(self, stage: str, percent: float, message: str) -> None:
        if stage not in self._tasks:
            if not message:
                return
            self._tasks[stage] = self._bars.add_task(stage, total=100.0, message="")
        # Text of the run, such as a file name, may hold brackets; they are not markup.
        self._bars.update(self._tasks[stage], completed=percent, message=message.replace("[", r"\["))
        if percent >= 100.0:
            self._bars.stop_task(self._tasks[stage])

    def _render(self) -> Table:
        grid = Table.grid()
        grid.add_row(self._bars)
        if self._detail is not None:
            grid.add_row(self._detail)
        return grid

    def _say_lines(self, progress: dict[str, Any], detail: dict[str, Any] | None) -> None:
        for stage, message in progress["stage_messages"].items():
            if self._said.get(stage) != message:
                self._said[stage] = message
                self._print(f"{stage}: {message}")
        if detail and time.monotonic() - self._last_line > LINE_EVERY_S:
            self._last_line = time.monotonic()
            self._print(f"{progress['current_stage']}: {_detail_line(detail)}")

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def _detail_line(detail: dict[str, Any]) -> str:
    eta = "" if detail["eta_s"] is None else f", about {detail['eta_s']:.0f} s left"
    waiting = f"; waiting: {detail['waiting_for']}" if detail["waiting_for"] else ""
    return f"{detail['parts_done']:,} of {detail['parts']:,} parts{eta}{waiting}"


def _stage_table(detail: dict[str, Any]) -> Table:
    table = Table(box=None, padding=(0, 2), title=_detail_line(detail), title_justify="left", title_style="dim")
    for heading in ("stage", "rows in", "rows out", "quarantined", "MB/s", "workers"):
        table.add_column(heading, justify="left" if heading == "stage" else "right", style="dim")
    for stage in detail["stages"]:
        speed = stage["bytes_out"] / MIB / stage["busy_s"] * stage["workers"] if stage["busy_s"] > 0 else 0.0
        table.add_row(
            stage["name"],
            f"{stage['rows_in']:,}",
            f"{stage['rows_out']:,}",
            f"{stage['rows_aside']:,}",
            f"{speed:,.0f}",
            str(stage["workers"]),
        )
    return table
