"""What was found in a series, marked on its figure: trend, changes of level, unusual buckets, gaps, the forecast.

Every figure is that of `series.json`; nothing is computed here but where a line stands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from statistics import median
from typing import Any

from bokeh.core.properties import value as fixed

from raypipe.dashboard import numbers
from raypipe.dashboard.figures import FONT, hover, source, tint, unthemed
from raypipe.insights.series.models import Anomaly, ChangePoint, Decomposition, Forecast, Gap, SeriesFacts, Trend

_DAY_MS = 86_400_000.0
Curve = Sequence[float | None]


def forecast_of(facts: SeriesFacts | None) -> Forecast | None:
    """The forecast, if it beat the naive one in the back-test."""
    return facts.forecast if facts and facts.forecast and facts.forecast.better else None


def mark_trend(figure: Any, parts: Decomposition | None, half: float) -> str:
    """Draw the smooth course of a decomposition through the middles of its buckets, half a bucket on; says what."""
    if parts is None or not any(value is not None for value in parts.trend):
        return ""
    data = source({"mid": [epoch_ms(start) + half for start in parts.starts], "trend": known(parts.trend)})
    line = figure.line("mid", "trend", source=data, line_color=unthemed(), line_width=2.2, line_alpha=0.85)
    tint(line, line_color="ink")
    return "The thick line is the smooth course without seasons; the table of series says whether it is a trend."


def mark_line(figure: Any, trend: Trend, starts: Sequence[float], values: Curve) -> str:
    """Draw the straight course (Theil-Sen) where half of the values lie above it; says what."""
    days = [(start - starts[0]) / _DAY_MS for start in starts]
    rests = [value - trend.slope_per_day * day for day, value in zip(days, values, strict=True) if value is not None]
    level = median(rests) if rests else 0.0
    ends = {"x": [starts[0], starts[-1]], "y": [level, level + trend.slope_per_day * days[-1]]}
    line = figure.line("x", "y", source=source(ends), line_color=unthemed(), line_width=1.6, line_dash="dotdash")
    tint(line, line_color="good")
    return "The line of dots and dashes is the straight course (Theil-Sen)."


def mark_changes(figure: Any, changes: tuple[ChangePoint, ...], top: float) -> str:
    """Shade where each change may lie, with a line and its size, at height `top`, at the likeliest place; says what."""
    if not changes:
        return ""
    columns: dict[str, list[Any]] = {
        "at": [epoch_ms(change.at) for change in changes],
        "low": [epoch_ms(change.interval[0]) for change in changes],
        "high": [epoch_ms(change.interval[1]) for change in changes],
        "top": [top] * len(changes),
        "shift": [f" {'+' * (change.shift > 0)}{numbers.number(change.shift, 3)} " for change in changes],
        "when": [numbers.clock(change.at) for change in changes],
        "between": [" to ".join(map(numbers.clock, change.interval)) for change in changes],
    }
    data = source(columns)
    strip = figure.vstrip("low", "high", source=data, fill_color=unthemed(), fill_alpha=0.22, line_color=None)
    line = figure.vspan("at", source=data, line_color=unthemed(), line_width=1.4, line_dash="dashed")
    style = {"text_font_size": "11px", "text_font": fixed(FONT), "text_align": "right", "text_baseline": "top"}
    tint(figure.text("at", "top", "shift", source=data, **style), text_color="ink")
    tint(strip, fill_color="warn")
    tint(line, line_color="warn")
    figure.add_tools(hover([("Change of level", "when"), ("By", "shift"), ("95 % interval", "between")], [line]))
    return "A dashed line marks a change of level and its size; the shade is the 95 % interval of its time."


def mark_strays(figure: Any, strays: Sequence[Anomaly], half: float, height: Sequence[float] = ()) -> str:
    """Put a diamond on each unusual bucket (or at `height`); says what."""
    if not strays:
        return ""
    data = source(
        {
            "mid": [epoch_ms(stray.start) + half for stray in strays],
            "value": list(height) or [stray.value for stray in strays],
            "when": [numbers.clock(stray.start) for stray in strays],
            "value_text": [numbers.number(stray.value) for stray in strays],
            "expected": [numbers.number(stray.expected) for stray in strays],
            "z": [numbers.number(stray.robust_z, 3) for stray in strays],
        }
    )
    style = {"size": 12, "marker": "diamond", "line_width": 1.2, "fill_color": unthemed(), "line_color": unthemed()}
    dots = tint(figure.scatter("mid", "value", source=data, **style), fill_color="bad", line_color="surface")
    lines = [("Unusual", "when"), ("Value", "value_text"), ("Expected", "expected"), ("Robust z", "z")]
    figure.add_tools(hover(lines, [dots]))
    return "Diamonds are buckets far off what trend and season let expect."


def mark_gaps(figure: Any, gaps: Sequence[Gap]) -> str:
    """Shade the longest stretches in which times are missing; says what."""
    if not gaps:
        return ""
    data = source(
        {
            "from": [epoch_ms(gap.after) for gap in gaps],
            "to": [epoch_ms(gap.before) for gap in gaps],
            "after": [numbers.clock(gap.after) for gap in gaps],
            "before": [numbers.clock(gap.before) for gap in gaps],
            "steps": [numbers.count(gap.missing) for gap in gaps],
        }
    )
    style = {"fill_color": unthemed(), "fill_alpha": 0.18, "line_color": None, "hatch_pattern": "/", "hatch_alpha": 0.4}
    strip = figure.vstrip("from", "to", source=data, hatch_color=unthemed(), **style)
    tint(strip, fill_color="muted", hatch_color="muted")
    figure.add_tools(hover([("Gap after", "after"), ("Before", "before"), ("Missing steps", "steps")], [strip]))
    return "Hatched: times are missing."


def mark_forecast(figure: Any, forecast: Forecast) -> str:
    """The forecast as a dotted line within its band; says what."""
    starts = [epoch_ms(start) for start in forecast.starts]
    half = (starts[1] - starts[0]) / 2 if len(starts) > 1 else 0.0
    columns = {"mid": [start + half for start in starts], "value": list(forecast.values)}
    data = source({**columns, "low": list(forecast.low), "high": list(forecast.high)})
    band = figure.varea("mid", "low", "high", source=data, fill_color=unthemed(), fill_alpha=0.2)
    line = figure.line("mid", "value", source=data, line_color=unthemed(), line_width=1.8, line_dash="dotted")
    tint(band, fill_color="contrast")
    tint(line, line_color="contrast")
    return f"The dotted line is a forecast by {forecast.method}, with its {100 * forecast.level:.0f} % interval."


def known(values: Curve) -> list[float]:
    """With NaN, at which a line breaks, where there is no value."""
    return [math.nan if value is None else value for value in values]


def epoch_ms(iso: str) -> float:
    """Milliseconds from 1970 to what a clock shows; without a zone, as if it stood in UTC."""
    moment = datetime.fromisoformat(iso)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000
