"""The one chart with raw points: a bounded sample of rows, target against a number column that the reader chooses."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from raypipe.blocks.frames import to_polars, without_row_numbers
from raypipe.dashboard import numbers
from raypipe.dashboard.figures import Chart, DataTable, hover, item_of, plain, quiet_figure, source, tint, unthemed
from raypipe.insights.models import TargetReport

FloatArray = NDArray[np.float64]
_CHOICES = 6
_MIN_PAIRS = 3
_LARGEST = 1e300
_SHOWN = 0.99
"""Share of the sample's values that the axes span; far outliers would press the rest into a line."""


def scatter_chart(points: pa.Table, report: TargetReport, max_points: int) -> Chart | None:
    """Target against its strongest number columns, from at most `max_points` rows of `points`.

    None where the target is no number, or no number column with two different values is in the sample.
    """
    frame = _number_columns(thin(points, max_points))
    if report.task != "regression" or report.column not in frame.columns:
        return None
    names = [r.column for r in report.relations if r.column in frame.columns and r.column != report.column]
    names = [name for name in names if _varies(frame[name].to_numpy())][:_CHOICES]
    if not names:
        return None
    target = frame[report.column].to_numpy()
    pairs = {name: frame[name].to_numpy() for name in names}
    spans = {name: span_of(values) for name, values in pairs.items()}
    figure = _cloud(pairs, spans, report.column, target)
    table = DataTable(
        ("Column", "Sampled rows with both", "Correlation in the sample"),
        tuple(_summary(name, values, target) for name, values in pairs.items()),
        (1, 2),
    )
    middle = numbers.share(_SHOWN)
    return Chart(
        "scatter",
        "Rows up close",
        f"Scatter of {report.column} against {names[0]}, {len(frame):,} sampled rows",
        item_of(figure),
        figure.height,
        table,
        f"A sample of {len(frame):,} rows; the axes span its middle {middle}. Line: least squares through the sample.",
        options=tuple(names),
        extra={"ranges": [[*spans[name], plain(name, 40)] for name in names]},
    )


def _cloud(pairs: dict[str, FloatArray], spans: dict[str, tuple[float, float]], name: str, target: FloatArray) -> Any:
    """Points and line for the first column; the page's script switches to the others by their numbers."""
    dots: dict[str, Any] = {"y": target, "yt": _texts(target)}
    ends: dict[str, Any] = {}
    for k, (column, values) in enumerate(pairs.items()):
        dots[f"x{k}"], dots[f"xt{k}"] = values, _texts(values)
        ends[f"x{k}"], ends[f"y{k}"] = list(spans[column]), _fit(values, target, spans[column])
    first = next(iter(pairs))
    figure = quiet_figure(380, x_range=spans[first], y_range=span_of(target))
    style = {"size": 5, "fill_color": unthemed(), "line_color": None, "fill_alpha": 0.45}
    cloud = tint(figure.scatter("x0", "y", source=source(dots), name="points", **style), fill_color="accent")
    line = figure.line("x0", "y0", source=source(ends), line_width=2, line_color=unthemed(), name="fit")
    tint(line, line_color="contrast")
    figure.add_tools(hover([("Column", "xt0"), ("Target", "yt")], [cloud]))
    figure.xaxis.axis_label, figure.yaxis.axis_label = plain(first, 40), plain(name, 40)
    figure.axis.axis_line_alpha = 0
    return figure


def _texts(values: FloatArray) -> list[str]:
    return [numbers.number(value) for value in values.tolist()]


def _varies(values: FloatArray) -> bool:
    finite = values[np.isfinite(values)]
    return bool(finite.size and finite.min() < finite.max())


def thin(points: pa.Table, limit: int) -> pa.Table:
    """At most `limit` rows, evenly spaced, so that a sample in order of time stays one."""
    if points.num_rows <= limit:
        return points
    return points.take(pa.array(np.linspace(0, points.num_rows - 1, limit).astype(np.int64)))


def span_of(values: FloatArray) -> tuple[float, float]:
    """Axis ends that hold the middle 99 % of the finite values, with a margin."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return (0.0, 1.0)
    ends = np.quantile(np.clip(finite, -_LARGEST, _LARGEST), [(1 - _SHOWN) / 2, (1 + _SHOWN) / 2])
    low, high = float(ends[0]), float(ends[1])
    margin = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    return low - margin, high + margin


def _number_columns(points: pa.Table) -> pl.DataFrame:
    frame = to_polars(without_row_numbers(points))
    numeric = [name for name, kind in frame.schema.items() if kind.is_numeric()]
    # Column by column: an expression would take a name such as ^a$ for a pattern. Nulls become NaN.
    return pl.DataFrame({name: frame[name].cast(pl.Float64).to_numpy() for name in numeric})


def _fit(x: FloatArray, y: FloatArray, span: tuple[float, float]) -> list[float]:
    """Heights of the least-squares line at both ends of the axis."""
    both = np.isfinite(x) & np.isfinite(y)
    if both.sum() < _MIN_PAIRS:
        return [float("nan")] * 2
    with np.errstate(all="ignore"):  # squares of huge values overflow; the line is then left out
        centre, middle = x[both].mean(), y[both].mean()
        slope = (x[both] - centre) @ (y[both] - middle) / ((x[both] - centre) @ (x[both] - centre))
        return [float(middle + slope * (end - centre)) for end in span]


def _summary(name: str, x: FloatArray, y: FloatArray) -> tuple[str, str, str]:
    both = np.isfinite(x) & np.isfinite(y)
    if both.sum() < _MIN_PAIRS:
        return name, numbers.count(int(both.sum())), numbers.NOT_AVAILABLE
    with np.errstate(all="ignore"):
        r = float(np.corrcoef(x[both], y[both])[0, 1])
    return name, numbers.count(int(both.sum())), numbers.number(r, 3)
