"""The target over the levels of one column: means with their intervals, or shares of classes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from bokeh.models.annotations import Span, Whisker

from raypipe.blocks.chance import NORMAL_95
from raypipe.dashboard import numbers
from raypipe.dashboard.figures import (
    Chart,
    DataTable,
    bars_only,
    hover,
    item_of,
    label_axis,
    place_range,
    plain,
    quiet_figure,
    short_counts,
    source,
    tint,
    unthemed,
)
from raypipe.insights.models import Level, TargetRelation

_CLASS_COLOURS = ("accent", "contrast", "good", "warn", "muted")
_WORDS = {"number": "bins", "category": "values", "time": "times"}
_LEVEL_HEIGHT = 24

Drawn = tuple[Any, DataTable, str]


def levels_chart(relation: TargetRelation, target: str, key: str) -> Chart | None:
    """Means of a number target, or shares of a categorical one, one line a level; None for fewer than two levels."""
    levels = [level for level in relation.levels if level.rows]
    if len(levels) < 2:
        return None
    drawn = _means(levels) if any(level.mean is not None for level in levels) else _shares(levels)
    if drawn is None:
        return None
    figure, table, note = drawn
    label_axis(figure.yaxis[0], [level.label for level in levels], 18)
    label = f"{target} over {len(levels)} {_WORDS[relation.kind]} of {relation.column}"
    return Chart(key, relation.column, label, item_of(figure), figure.height, table, note)


def _means(levels: list[Level]) -> Drawn:
    known = [(place, level, level.mean) for place, level in enumerate(levels) if level.mean is not None]
    means = np.array([mean for _, _, mean in known])
    half = np.array([NORMAL_95 * (level.std or 0.0) / math.sqrt(level.rows) for _, level, _ in known])
    low, high = float((means - half).min()), float((means + half).max())
    margin = (high - low) * 0.06 or abs(high) * 0.06 or 1.0
    places = place_range(len(levels), downwards=True)
    height = len(levels) * _LEVEL_HEIGHT + 58
    figure = quiet_figure(height, x_range=(low - margin, high + margin), y_range=places)
    rows = np.array([level.rows for _, level, _ in known])
    overall = float(means @ rows / rows.sum())
    middle = Span(location=overall, dimension="height", line_dash="dashed", line_width=1, tags=["line_color:muted"])
    figure.add_layout(middle)
    data = source(
        {
            "y": [place for place, _, _ in known],
            "mean": means,
            "low": means - half,
            "high": means + half,
            "name": [numbers.clip(level.label, 120) for _, level, _ in known],
            "rows": [numbers.count(level.rows) for _, level, _ in known],
            "mean_text": [numbers.number(mean) for mean in means.tolist()],
            "half": [f"± {numbers.number(h, 3)}" for h in half.tolist()],
        }
    )
    whisker = Whisker(base="y", lower="low", upper="high", dimension="width", source=data, line_width=2)
    whisker.upper_head = whisker.lower_head = None
    whisker.tags = ["line_color:accent"]
    figure.add_layout(whisker)
    dots = tint(figure.scatter("mean", "y", size=9, source=data, line_color=None), fill_color="accent")
    lines = [("Level", "name"), ("Mean", "mean_text"), ("95 % interval", "half"), ("Rows", "rows")]
    figure.add_tools(hover(lines, [dots]))
    bars_only(figure)
    short_counts(figure.xaxis[0])
    note = f"Dots: mean with its 95 % interval. Dashed: mean over all levels, {numbers.number(overall)}."
    return figure, _mean_table(levels), note


def _mean_table(levels: list[Level]) -> DataTable:
    rows = tuple((lv.label, numbers.count(lv.rows), numbers.number(lv.mean), numbers.number(lv.std)) for lv in levels)
    return DataTable(("Level", "Rows", "Mean", "Standard deviation"), rows, (1, 2, 3))


def _shares(levels: list[Level]) -> Drawn | None:
    """Stacked shares of the most frequent classes; what is left white belongs to the others."""
    totals: dict[str, float] = {}
    for level in levels:
        for name, part in level.shares.items():
            totals[name] = totals.get(name, 0.0) + part * level.rows
    if not totals:
        return None
    classes = sorted(totals, key=lambda name: -totals[name])[: len(_CLASS_COLOURS)]
    places = place_range(len(levels), downwards=True)
    figure = quiet_figure(len(levels) * _LEVEL_HEIGHT + 92, x_range=(0, 1), y_range=places)
    left = np.zeros(len(levels))
    for name, colour in zip(classes, _CLASS_COLOURS, strict=False):
        parts = np.array([level.shares.get(name, 0.0) for level in levels])
        _stack(figure, levels, name, colour, (left, left + parts))
        left = left + parts
    bars_only(figure)
    legend_above(figure)
    head = ("Level", "Rows", *classes)
    rows = tuple(
        (lv.label, numbers.count(lv.rows), *(numbers.share(lv.shares.get(name, 0.0)) for name in classes))
        for lv in levels
    )
    hidden = len(totals) - len(classes)
    more = f" {hidden:,} rarer classes are left white." if hidden else ""
    return figure, DataTable(head, rows, tuple(range(1, len(head)))), f"Share of each class in a level.{more}"


def _stack(
    figure: Any, levels: list[Level], name: str, colour: str, ends: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]
) -> None:
    data = source(
        {
            "y": list(range(len(levels))),
            "left": ends[0],
            "right": ends[1],
            "name": [numbers.clip(level.label, 120) for level in levels],
            "cls": [numbers.clip(name, 120)] * len(levels),
            "part": [numbers.share(level.shares.get(name, 0.0)) for level in levels],
            "rows": [numbers.count(level.rows) for level in levels],
        }
    )
    style = {"height": 0.7, "line_color": None, "fill_color": unthemed(), "legend_label": plain(name, 16) or "(empty)"}
    bars = tint(figure.hbar("y", left="left", right="right", source=data, **style), fill_color=colour)
    lines = [("Level", "name"), ("Class", "cls"), ("Share", "part"), ("Rows of level", "rows")]
    figure.add_tools(hover(lines, [bars]))


def legend_above(figure: Any) -> None:
    """Put the legend in rows above the figure, without a frame."""
    legend = figure.legend[0]
    legend.orientation, legend.location, legend.ncols = "horizontal", "left", 3
    legend.border_line_alpha, legend.background_fill_alpha, legend.padding, legend.margin = 0, 0, 0, 4
    legend.tags = ["label_text_color:ink"]
    figure.add_layout(legend, "above")
