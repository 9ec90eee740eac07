"""The parts that all figures of a timeline share: one axis of time, aligned edges, ways to look closer, keys."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bokeh.models import BoxZoomTool, Range1d, WheelZoomTool

from raypipe.dashboard import numbers
from raypipe.dashboard.figures import Chart, hover, quiet_figure, short_counts, source, tint, unthemed

LEFT = 142
"""Room for the names of lanes; the same everywhere, so that moments stand below each other."""
MIN_WIDTH = 620
COLOURS = ("accent", "contrast", "good", "muted")
DASHES = ("solid", "dashed", "dotted")
FEW_MOMENTS = 24
TIME = "time"
"""Name of the ranges that the page's script moves together."""


@dataclass(frozen=True)
class Key:
    """An entry of a legend: a colour of the page, how the line is drawn, and a word."""

    colour: str
    dash: str
    word: str


@dataclass(frozen=True)
class TimeChart:
    """A figure with its legend."""

    chart: Chart
    keys: tuple[Key, ...] = ()


@dataclass(frozen=True)
class Clock:
    """The axis of time: from 0 to `end_s`, in a unit that suits its length."""

    end_s: float

    @property
    def unit_s(self) -> float:
        """Seconds in a unit of the axis."""
        return 1.0 if self.end_s <= 300 else 60.0 if self.end_s <= 3 * 3600 else 3600.0

    @property
    def word(self) -> str:
        """Name of the unit."""
        return {1.0: "seconds", 60.0: "minutes", 3600.0: "hours"}[self.unit_s]

    def at(self, seconds: float) -> float:
        """A moment as a place on the axis."""
        return seconds / self.unit_s

    def all(self, seconds: Sequence[float]) -> list[float]:
        """Moments as places."""
        return [round(second / self.unit_s, 6) for second in seconds]

    @property
    def span(self) -> tuple[float, float]:
        """The whole axis, with a little room at its end."""
        end = self.at(max(self.end_s, 1e-3))
        return -0.004 * end, 1.012 * end

    def range(self) -> Range1d:
        """A range of its own; the script keeps those of all figures alike."""
        start, end = self.span
        margin = end - start
        return Range1d(start=start, end=end, bounds=(start - 0.02 * margin, end + 0.02 * margin), name=TIME)


def time_figure(clock: Clock, height: int, *, label: bool = True, **options: Any) -> Any:
    """A quiet figure over the axis of time, with ways to look closer."""
    options.setdefault("x_range", clock.range())
    made = quiet_figure(height, min_border_left=LEFT, **options)
    box = BoxZoomTool(dimensions="width")
    box.overlay.tags = ["fill_color:accent", "line_color:accent"]
    box.overlay.fill_alpha = 0.16
    wheel = WheelZoomTool(dimensions="width", modifiers="ctrl")
    made.add_tools(box, wheel)
    made.toolbar.active_scroll = wheel
    made.axis.axis_line_alpha = 0
    made.xgrid.grid_line_alpha = 0.6
    if label:
        made.xaxis.axis_label = f"{clock.word} since the start"
    return made


@dataclass(frozen=True)
class Column:
    """A line of a figure: its values at the moments of the figure, and how each is told."""

    word: str
    """One of ours: it enters the template of the hover box."""
    values: Sequence[float]
    texts: Sequence[str]
    look: int
    """Place among the colours."""


def _highest(values: Sequence[float]) -> float:
    return max((one for one in values if not math.isnan(one)), default=0.0)


def look(place: int) -> tuple[str, str]:
    """Colour and dash of the line of this place, among many."""
    return COLOURS[place % len(COLOURS)], DASHES[place // len(COLOURS) % len(DASHES)]


def lines_figure(
    clock: Clock,
    title: str,
    moments: Sequence[float],
    columns: Sequence[Column],
    *,
    step: bool = False,
    height: int = 190,
) -> Any:
    """Lines over common moments, with one hover box for all."""
    made = time_figure(clock, height, title=title)
    data: dict[str, Any] = {"x": clock.all(moments), "when": [numbers.seconds(at) for at in moments]}
    for place, one in enumerate(columns):
        data[f"y{place}"], data[f"t{place}"] = np.array(one.values, dtype=np.float64), list(one.texts)
    # The hover box finds the nearest moment at this height.
    data["top"] = [_highest(row) for row in zip(*(one.values for one in columns), strict=True)]
    shared = source(data)
    for place, one in enumerate(columns):
        colour, dash = look(one.look)
        draw = made.step if step else made.line
        options = {"mode": "after"} if step else {"line_join": "round"}
        line = draw("x", f"y{place}", source=shared, line_color=unthemed(), line_width=1.8, line_dash=dash, **options)
        tint(line, line_color=colour)
    if len(moments) <= FEW_MOMENTS and not step:  # a lone value has no line
        for place, one in enumerate(columns):
            seen = made.scatter("x", f"y{place}", source=shared, size=5, fill_color=unthemed(), line_color=None)
            tint(seen, fill_color=look(one.look)[0])
    dots = made.scatter("x", "top", source=shared, size=7, fill_alpha=0, line_alpha=0)
    words = [("At", "when"), *((one.word, f"t{place}") for place, one in enumerate(columns))]
    made.add_tools(hover(words, [dots], mode="vline"))
    return _counted(made, whole=step)


def bars_figure(
    clock: Clock, title: str, line: Sequence[tuple[float, float]], texts: Sequence[str], width: float
) -> Any:
    """Bars of `width` seconds around moments."""
    made = time_figure(clock, 190, title=title)
    data = source(
        {
            "x": clock.all([at for at, _ in line]),
            "y": [value for _, value in line],
            "when": [numbers.seconds(at) for at, _ in line],
            "text": list(texts),
        }
    )
    bars = made.vbar("x", top="y", width=0.9 * clock.at(width), source=data, fill_color=unthemed(), line_color=None)
    made.add_tools(hover([("At", "when"), ("", "text")], [tint(bars, fill_color="accent")]))
    return _counted(made)


def _counted(made: Any, whole: bool = False) -> Any:
    """The axes of a figure whose heights are counts."""
    made.y_range.start = 0
    made.yaxis.ticker.desired_num_ticks = 4
    if whole:
        made.yaxis.ticker.min_interval = 1
    made.xaxis.ticker.desired_num_ticks = 8
    short_counts(made.yaxis[0])
    return made
