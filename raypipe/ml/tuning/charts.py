"""Charts of a search as SVG, which need no library: the best score over time, parameters, and what they explain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raypipe.ml.tuning.importance import Axis, Share, axes_of, scored
from raypipe.ml.tuning.outcome import Trial

WIDTH = 720
LEFT, RIGHT, TOP, BOTTOM = 76, 20, 44, 52
INK, FAINT, BEST, DOT, LOST = "#334155", "#e2e8f0", "#dc2626", "#2563eb", "#94a3b8"
MOST_AXES = 8
FAR = 3.0
"""Times the span of the middle four fifths, from which a score lies off the chart."""
SLICES_A_ROW = 3
Place = Callable[[float], float]


def tuning_charts(
    trials: Sequence[Trial], shares: Sequence[Share], metric: str, greater_is_better: bool
) -> dict[str, str]:
    """File name -> SVG, of what there is to be drawn."""
    made: dict[str, str] = {}
    able = scored(trials)
    if len([one for one in trials if one.score is not None and one.ended_s is not None]) > 1:
        made["tuning_history.svg"] = history(trials, metric, greater_is_better)
    ranked = [one.name for one in shares]
    axes = sorted(axes_of(able), key=lambda one: ranked.index(one.name) if one.name in ranked else len(ranked))
    if len(able) > 1 and axes:
        scores = np.array([one.score for one in able], float)
        made["tuning_slices.svg"] = slices(axes[:MOST_AXES], scores, metric)
        made["tuning_parallel.svg"] = parallel(axes[:MOST_AXES], scores, metric, greater_is_better)
    if shares:
        made["tuning_importance.svg"] = bars(shares, metric)
    return made


def history(trials: Sequence[Trial], metric: str, greater_is_better: bool) -> str:
    """Scores over the seconds of the search, and the best so far; below them when trials ended without one."""
    ended = sorted((one for one in trials if one.ended_s is not None), key=lambda one: one.ended_s or 0.0)
    told = [one for one in ended if one.score is not None]
    x = np.array([one.ended_s for one in told], float)
    y = np.array([one.score for one in told], float)
    known = [one.score for one in told if one.score is not None]
    best = np.maximum.accumulate(y) if greater_is_better else np.minimum.accumulate(y)
    height = 380
    last = max(one.ended_s or 0.0 for one in ended)
    span = _near(y)
    far = int(((y < span[0]) | (y > span[1])).sum())
    y, best = np.clip(y, *span), np.clip(best, *span)
    across = _scale((0.0, last or 1.0), (LEFT, WIDTH - RIGHT))
    down = _scale(span, (height - BOTTOM, TOP))
    steps = " ".join(f"{_px(across(a))},{_px(down(b))}" for a, b in _stairs(x, best, last))
    shapes = [f'<polyline points="{steps}" fill="none" stroke="{BEST}" stroke-width="2"/>']
    shapes += [_dot(across(a), down(b), DOT, _name(one)) for a, b, one in zip(x, y, told)]
    lost = [one for one in ended if one.score is None]
    shapes += [
        _dot(across(one.ended_s or 0.0), height - BOTTOM - 5, LOST, f"{_name(one)}: {one.status}") for one in lost
    ]
    axes = _across(across, _ticks((0.0, last or 1.0)), height) + _down(down, _ticks(span))
    note = f", {len(lost)} without a score (grey)" if lost else ""
    note += f", {far} off the chart, at its edge" if far else ""
    told_best = max(known) if greater_is_better else min(known)
    title = f"Best {metric} over time: {told_best:.4g} after {len(ended)} trials{note}"
    return _svg(height, title, axes + shapes, "seconds of the search", metric)


def _stairs(x: NDArray[np.float64], best: NDArray[np.float64], last: float) -> list[tuple[float, float]]:
    """The best so far stands until a better one comes."""
    found = [(float(x[0]), float(best[0]))]
    for a, b in zip(x[1:], best[1:]):
        found += [(float(a), found[-1][1]), (float(a), float(b))]
    return [*found, (last, found[-1][1])]


def slices(axes: Sequence[Axis], scores: NDArray[np.float64], metric: str) -> str:
    """The score over each parameter, one field each."""
    across, tall = (WIDTH - 30) / min(len(axes), SLICES_A_ROW), 210
    rows = -(-len(axes) // SLICES_A_ROW)
    shapes = []
    for place, axis in enumerate(axes):
        left, top = 64 + (place % SLICES_A_ROW) * across, TOP + (place // SLICES_A_ROW) * tall
        field = _scale(_span(axis.values), (left, left + across - 84)), _scale(_span(scores), (top + tall - 62, top))
        shapes += [_tick_line(left, left + across - 84, field[1](value)) for value in _ticks(_span(scores))]
        shapes += [_text(left - 6, field[1](value) + 4, f"{value:.3g}", "end") for value in _ticks(_span(scores))]
        shapes += [_text(field[0](value), top + tall - 46, label) for value, label in _marks(axis)]
        shapes.append(_text(left + (across - 84) / 2, top + tall - 28, axis.name, weight="bold"))
        shapes += [
            _dot(field[0](float(a)), field[1](float(b)), DOT, f"{axis.name} {_shown(axis, a)}: {b:.4g}")
            for a, b in zip(axis.values, scores) if not np.isnan(a)
        ]  # fmt: skip
    return _svg(TOP + rows * tall + 8, f"{metric} over each parameter", shapes)


def parallel(axes: Sequence[Axis], scores: NDArray[np.float64], metric: str, greater_is_better: bool) -> str:
    """A line for each trial through its parameters to its score; the best tenth stands out."""
    height = 380
    own = [*axes, Axis(metric, scores)]
    places = np.linspace(LEFT, WIDTH - LEFT, len(own))
    scales = [_scale(_span(one.values), (height - BOTTOM, TOP + 12)) for one in own]
    order = np.argsort(scores if greater_is_better else -scores, kind="stable")
    front = set(order[-max(1, len(order) // 10) :].tolist())
    shapes = []
    for trial in order:
        points = [(x, scale(float(one.values[trial]))) for x, scale, one in zip(places, scales, own)
                  if not np.isnan(one.values[trial])]  # fmt: skip
        line = " ".join(f"{_px(a)},{_px(b)}" for a, b in points)
        look = (BEST, 0.9, 2) if int(trial) in front else (DOT, 0.25, 1)
        shapes.append(
            f'<polyline points="{line}" fill="none" stroke="{look[0]}" stroke-opacity="{look[1]}"'
            f' stroke-width="{look[2]}"><title>{escape(f"{metric} {scores[trial]:.4g}")}</title></polyline>'
        )
    for i, (x, scale, one) in enumerate(zip(places, scales, own)):
        shapes.append(f'<line x1="{_px(x)}" x2="{_px(x)}" y1="{TOP + 8}" y2="{height - BOTTOM}" stroke="{INK}"/>')
        shapes += [_text(x + 5, scale(value) + 4, label, "start") for value, label in _marks(one)]
        shapes.append(_text(x, height - BOTTOM + 18 + 14 * (i % 2), one.name, weight="bold"))
    return _svg(height, f"Parameters of {len(scores)} trials; red: the best tenth by {metric}", shapes)


def bars(shares: Sequence[Share], metric: str) -> str:
    """What each parameter explains, with the direction of those of numbers."""
    height, left = TOP + 30 * len(shares) + BOTTOM, 190
    across = _scale((0.0, 1.0), (left, WIDTH - 130))
    shapes = []
    for place, one in enumerate(shares):
        top = TOP + 30 * place
        shapes.append(
            f'<rect x="{left}" y="{top + 6}" width="{_px(max(across(one.share) - left, 1))}" height="18" fill="{DOT}"/>'
        )
        shapes.append(_text(left - 8, top + 20, one.name, "end"))
        rank = "" if one.rank_correlation is None else f"  (rank {one.rank_correlation:+.2f})"
        shapes.append(_text(across(one.share) + 6, top + 20, f"{one.share:.0%}{rank}", "start"))
    title = f"Share of {metric} that each parameter explains by itself"
    note = "variance of a forest's mean answer over the parameter (first-order fANOVA over the trials); rank: Spearman"
    return _svg(height, title, shapes, note)


def _marks(axis: Axis) -> list[tuple[float, str]]:
    """Places on an axis and what stands at them."""
    if axis.labels is not None:
        return [(float(i), label if len(label) < 14 else f"{label[:12]}…") for i, label in enumerate(axis.labels)][:8]
    known = axis.values[~np.isnan(axis.values)]
    return [(float(value), _shown(axis, value)) for value in np.linspace(known.min(), known.max(), 3)]


def _shown(axis: Axis, value: Any) -> str:
    if axis.labels is not None:
        return axis.labels[int(value)]
    return f"{10.0 ** float(value) if axis.log else float(value):.3g}"


def _span(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    room = 0.05 * (high - low) or max(abs(high) * 0.05, 0.5)
    return low - room, high + room


def _near(values: NDArray[np.float64]) -> tuple[float, float]:
    """The span of most: a model spec that is far off would press all others into one line."""
    low, middle, high = np.quantile(values, [0.1, 0.5, 0.9])
    reach = FAR * max(high - low, 1e-9 * max(abs(middle), 1.0))
    return _span(values[(values >= middle - reach) & (values <= middle + reach)])


def _ticks(span: tuple[float, float]) -> list[float]:
    """Round numbers inside a span, about five."""
    rough = (span[1] - span[0]) / 5
    power = 10.0 ** np.floor(np.log10(rough))
    step = power * next(one for one in (1, 2, 5, 10) if one * power >= rough * 0.999)
    first, last = np.ceil(span[0] / step), np.floor(span[1] / step)
    return [float(f"{place * step:.12g}") for place in np.arange(first, last + 1)]


def _scale(values: tuple[float, float], pixels: tuple[float, float]) -> Place:
    wide = (values[1] - values[0]) or 1.0
    return lambda value: pixels[0] + (value - values[0]) / wide * (pixels[1] - pixels[0])


def _across(scale: Place, ticks: Sequence[float], height: int) -> list[str]:
    return [_text(scale(value), height - BOTTOM + 18, f"{value:.3g}") for value in ticks]


def _down(scale: Place, ticks: Sequence[float]) -> list[str]:
    lines = [_tick_line(LEFT, WIDTH - RIGHT, scale(value)) for value in ticks]
    return lines + [_text(LEFT - 8, scale(value) + 4, f"{value:.4g}", "end") for value in ticks]


def _tick_line(left: float, right: float, y: float) -> str:
    return f'<line x1="{_px(left)}" x2="{_px(right)}" y1="{_px(y)}" y2="{_px(y)}" stroke="{FAINT}"/>'


def _dot(x: float, y: float, colour: str, told: str) -> str:
    return (
        f'<circle cx="{_px(x)}" cy="{_px(y)}" r="3.5" fill="{colour}" fill-opacity="0.75">'
        f"<title>{escape(told)}</title></circle>"
    )


def _name(trial: Trial) -> str:
    score = "" if trial.score is None else f": {trial.score:.4g}"
    return f"trial {trial.number}{score}"


def _text(x: float, y: float, text: str, anchor: str = "middle", weight: str = "normal") -> str:
    bold = "" if weight == "normal" else f' font-weight="{weight}"'
    return f'<text x="{_px(x)}" y="{_px(y)}" text-anchor="{anchor}"{bold}>{escape(text)}</text>'


def _px(value: float) -> str:
    return f"{value:.1f}"


def _svg(height: int, title: str, shapes: Sequence[str], below: str = "", beside: str = "") -> str:
    words = _text(WIDTH / 2, 24, title).replace("<text", '<text font-size="15"')
    if below:
        words += _text(WIDTH / 2, height - 12, below)
    if beside:
        words += _text(0, 0, beside).replace("<text", f'<text transform="translate(18 {height / 2}) rotate(-90)"')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        f' font-family="sans-serif" font-size="12" fill="{INK}" role="img" aria-label="{escape(title)}">'
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(shapes)}{words}</svg>\n'
    )
