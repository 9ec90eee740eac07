"""What was found in a series, marked on its figure: changes of level with their intervals, and the forecast."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from bokeh.core.properties import value as fixed

from raypipe.dashboard import numbers
from raypipe.dashboard.figures import FONT, hover, source, tint, unthemed
from raypipe.insights.series.models import ChangePoint, Forecast, SeriesFacts, SeriesReport


def facts_of(series: SeriesReport | None, column: str | None) -> SeriesFacts | None:
    """What was found in the mean of `column`, or, for None, in the number of rows."""
    wanted = (column, "mean" if column else "rows")
    return next((one for one in (series.series if series else ()) if (one.column, one.measure) == wanted), None)


def forecast_of(facts: SeriesFacts | None) -> Forecast | None:
    """The forecast, if it beat the naive one in the back-test."""
    return facts.forecast if facts and facts.forecast and facts.forecast.better else None


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


def epoch_ms(iso: str) -> float:
    """Milliseconds from 1970 to what a clock shows; without a zone, as if it stood in UTC."""
    moment = datetime.fromisoformat(iso)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000
