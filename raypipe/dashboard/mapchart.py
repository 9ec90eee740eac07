"""The map: rows on the plane of their first two principal components, coloured and shaped by cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from raypipe.dashboard import numbers
from raypipe.dashboard.figures import Chart, DataTable, hover, item_of, plain, quiet_figure, source, tint, unthemed
from raypipe.dashboard.levels import legend_above
from raypipe.insights.patterns.models import Component, PatternsReport, PointMap

COLOURS = ("accent", "contrast", "good", "warn", "muted")
MARKERS = ("circle", "square", "triangle", "diamond", "inverted_triangle", "hex", "plus", "star")
"""Clusters differ in shape as well as colour, for readers who do not tell these colours apart."""
LOADINGS_NAMED = 2
LOADINGS_SHOWN = 40


@dataclass(frozen=True)
class Look:
    """How a cluster is drawn."""

    colour: str
    marker: str


def look_of(cluster: int) -> Look:
    """The same for a cluster in the map and beside its profile."""
    return Look(COLOURS[cluster % len(COLOURS)], MARKERS[cluster % len(MARKERS)])


def map_chart(report: PatternsReport, max_points: int) -> Chart | None:
    """At most `max_points` rows on the plane, anomalous ones circled; None where there is no plane."""
    points = report.map
    if len(points.components) < 2 or not points.x:
        return None
    shown = _shown(points, max_points)
    figure = quiet_figure(440)
    groups: list[int | None] = [*sorted(set(points.cluster))] or [None]
    for cluster in groups:
        _group(figure, points, shown, cluster)
    odd = np.intersect1d(shown, np.array(points.odd, dtype=np.int64))
    if len(odd):
        _circled(figure, points, odd)
    first, second = points.components[:2]
    figure.xaxis.axis_label, figure.yaxis.axis_label = _axis(first, 50), _axis(second, 50)
    figure.axis.axis_line_alpha = 0
    if len(groups) > 1 or len(odd):
        legend_above(figure)
    else:
        figure.legend.visible = False
    both = numbers.share(first.explained + second.explained)
    count = f"{len(groups)} clusters" if len(groups) > 1 else "no clusters"
    return Chart(
        "map",
        "Map of the rows",
        f"Map of {len(shown):,} rows with {count}; the axes hold {both} of the variance",
        item_of(figure),
        figure.height,
        _loadings(points),
        f"{len(shown):,} of {points.rows:,} sampled rows, by the principal components of {len(points.columns):,} number"
        f" columns, robustly scaled, far values drawn in. An axis says its share of the variance ({both} together) and"
        " the columns that go most with it, with their correlations.",
        min_width=320,
    )


def _shown(points: PointMap, limit: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Places of the points that are drawn: anomalous ones first, then evenly spaced."""
    total = len(points.x)
    if total <= limit:
        return np.arange(total, dtype=np.int64)
    odd = np.array(points.odd[: limit // 4], dtype=np.int64)
    others = np.setdiff1d(np.arange(total, dtype=np.int64), odd)
    spaced = np.linspace(0, len(others) - 1, limit - len(odd)).astype(np.int64)
    return np.sort(np.concatenate([odd, others[spaced]]))


def _group(figure: Any, points: PointMap, shown: np.ndarray[Any, Any], cluster: int | None) -> None:
    places = [place for place in shown.tolist() if cluster is None or points.cluster[place] == cluster]
    word = "rows" if cluster is None else f"cluster {cluster + 1}"
    look = look_of(cluster or 0)
    style = {"size": 6, "marker": look.marker, "fill_alpha": 0.5, "line_width": 0.8, "line_alpha": 0.8}
    data = _places(points, places, word)
    dots = figure.scatter(
        "x", "y", source=data, legend_label=word, fill_color=unthemed(), line_color=unthemed(), **style
    )
    tint(dots, fill_color=look.colour, line_color=look.colour)
    figure.add_tools(hover([("Row of", "word"), ("Axis 1", "x_text"), ("Axis 2", "y_text")], [dots]))


def _circled(figure: Any, points: PointMap, odd: np.ndarray[Any, Any]) -> None:
    word = "lies apart"
    data = _places(points, odd.tolist(), "a row that lies apart")
    style = {"size": 13, "fill_alpha": 0.0, "line_width": 1.8, "legend_label": word, "line_color": unthemed()}
    tint(figure.scatter("x", "y", source=data, **style), line_color="bad")


def _places(points: PointMap, places: list[int], word: str) -> Any:
    x, y = [points.x[place] for place in places], [points.y[place] for place in places]
    texts = {"x_text": list(map(numbers.number, x)), "y_text": list(map(numbers.number, y))}
    return source({"x": x, "y": y, "word": [word] * len(places), **texts})


def _axis(component: Component, limit: int) -> str:
    """Share of the variance, then the columns that go most with the axis, with their correlation."""
    named = list(component.loadings.items())[:LOADINGS_NAMED]
    told = ", ".join(f"{numbers.clip(column, 12)} {numbers.number(round(r, 2), 2)}" for column, r in named)
    return plain(f"{numbers.share(component.explained)}: {told}", limit)


def _loadings(points: PointMap) -> DataTable:
    first, second = points.components[:2]
    most = {name: max(abs(r), abs(second.loadings.get(name, 0.0))) for name, r in first.loadings.items()}
    ranked = sorted(most, key=lambda name: -most[name])
    rows = tuple(
        (name, numbers.number(first.loadings[name], 2), numbers.number(second.loadings.get(name), 2))
        for name in ranked[:LOADINGS_SHOWN]
    )
    note = f"The {len(rows)} of {len(ranked):,} columns that go most with the axes." if len(rows) < len(ranked) else ""
    return DataTable(("Column", "Correlation with axis 1", "With axis 2"), rows, (1, 2), note)
