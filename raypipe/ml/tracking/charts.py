"""Charts of a run as SVG: a few kilobytes each, which MLflow and any browser show, and which need no library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raypipe.ml.metrics import Truth

Array = NDArray[np.float64]
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 420, 70, 20, 44, 56
BINS = 10
MOST_POINTS = 2_000
BLUE, RED, GREY = "#2563eb", "#dc2626", "#94a3b8"


def charts_of(result: Mapping[str, Any]) -> dict[str, str]:
    """File name -> SVG, of what there is to be drawn."""
    made: dict[str, str] = {}
    judged: Truth | None = result.get("judged")
    if judged is not None and judged.task == "regression":
        made["predicted.svg"] = predicted(judged, result["target"])
    elif judged is not None and judged.are_probabilities:
        made["reliability.svg"] = reliability(judged, result["labels"])
    folds = [value for value in result.get("cv_scores", ()) if value is not None]
    if folds:
        made["folds.svg"] = fold_scores(folds, result["metric"])
    scores = [(one.number, one.score) for one in result.get("trials", ()) if one.score is not None]
    if len(scores) > 1:
        made["trials.svg"] = trial_scores(scores, result["metric"])
    return made


def reliability(judged: Truth, labels: Sequence[Any]) -> str:
    """Share of rows that were of the class, over the probability that was said; bins of as many rows each."""
    two = judged.estimate.shape[1] == 2
    said = judged.estimate[:, 1] if two else judged.estimate.max(axis=1)
    right = (judged.y == 1) if two else (judged.estimate.argmax(axis=1) == judged.y)
    bins = [rows for rows in np.array_split(np.argsort(said, kind="stable"), BINS) if len(rows)]
    x, y = (np.array([values[rows].mean() for rows in bins]) for values in (said, right))
    plot = Plot((0.0, 1.0), (0.0, 1.0))
    plot.line([0, 1], [0, 1], GREY, dashed=True)
    plot.line(x, y, BLUE)
    plot.points(x, y, BLUE, 4)
    what = f"probability said of {labels[1]}" if two else "probability of the class said"
    return plot.drawn(f"Reliability ({len(said):,} rows)", what, "share that was so")


def predicted(judged: Truth, target: str) -> str:
    """What was said over what was true, of at most `MOST_POINTS` rows."""
    places = np.linspace(0, len(judged.y) - 1, min(len(judged.y), MOST_POINTS)).astype(int)
    true, said = judged.y[places].astype(float), judged.estimate[places]
    span = _span(np.concatenate([true, said]))
    plot = Plot(span, span)
    plot.line(span, span, GREY, dashed=True)
    plot.points(true, said, BLUE, 2)
    return plot.drawn(f"Predicted and true ({len(judged.y):,} rows)", f"{target}, true", f"{target}, predicted")


def fold_scores(scores: Sequence[float], metric: str) -> str:
    """The metric of each fold, and their mean."""
    y = np.asarray(scores, float)
    x = np.arange(len(y), dtype=float)
    plot = Plot((-0.5, len(y) - 0.5), _span(y))
    plot.line([-0.5, len(y) - 0.5], [y.mean(), y.mean()], GREY, dashed=True)
    plot.points(x, y, BLUE, 5)
    return plot.drawn(f"Folds: {metric} {y.mean():.4g} ± {y.std():.2g}", "fold", metric)


def trial_scores(scores: Sequence[tuple[int, float]], metric: str) -> str:
    """The score of each trial in its order, and the best so far."""
    from raypipe.ml.metrics import METRICS

    x, y = (np.array(side, float) for side in zip(*sorted(scores), strict=True))
    more = METRICS[metric].greater_is_better if metric in METRICS else True
    best = np.maximum.accumulate(y) if more else np.minimum.accumulate(y)
    plot = Plot(_span(x), _span(y))
    plot.line(x, best, RED)
    plot.points(x, y, BLUE, 3)
    return plot.drawn(f"Trials: best {metric} {best[-1]:.4g}", "trial", metric)


def _span(values: Array) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    room = 0.05 * (high - low) or max(abs(high) * 0.05, 0.5)
    return low - room, high + room


class Plot:
    """Lines and points in a frame with axes."""

    def __init__(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        self.x, self.y = x, y
        self._shapes: list[str] = []

    def _places(self, x: Any, y: Any) -> list[tuple[float, float]]:
        across = LEFT + (np.asarray(x, float) - self.x[0]) / (self.x[1] - self.x[0]) * (WIDTH - LEFT - RIGHT)
        down = HEIGHT - BOTTOM - (np.asarray(y, float) - self.y[0]) / (self.y[1] - self.y[0]) * (HEIGHT - TOP - BOTTOM)
        return [(round(float(a), 1), round(float(b), 1)) for a, b in zip(across, down, strict=True)]

    def line(self, x: Any, y: Any, colour: str, dashed: bool = False) -> None:
        """A line through these places."""
        path = " ".join(f"{a},{b}" for a, b in self._places(x, y))
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self._shapes.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')

    def points(self, x: Any, y: Any, colour: str, radius: int) -> None:
        """A dot at each place."""
        dots = "".join(f'<circle cx="{a}" cy="{b}" r="{radius}"/>' for a, b in self._places(x, y))
        self._shapes.append(f'<g fill="{colour}" fill-opacity="0.75">{dots}</g>')

    def drawn(self, title: str, x_name: str, y_name: str) -> str:
        """The whole picture."""
        low, high, top, end = HEIGHT - BOTTOM, TOP, LEFT, WIDTH - RIGHT
        ticks = []
        for share in np.linspace(0, 1, 5):
            a, b = top + share * (end - top), low - share * (low - high)
            x, y = (side[0] + share * (side[1] - side[0]) for side in (self.x, self.y))
            ticks.append(f'<text x="{a:.1f}" y="{low + 18}" text-anchor="middle">{x:.3g}</text>')
            ticks.append(f'<text x="{top - 8}" y="{b + 4:.1f}" text-anchor="end">{y:.3g}</text>')
            ticks.append(f'<line x1="{top}" x2="{end}" y1="{b:.1f}" y2="{b:.1f}" stroke="#e2e8f0"/>')
        words = (
            f'<text x="{WIDTH / 2}" y="26" text-anchor="middle" font-size="16">{escape(title)}</text>'
            f'<text x="{WIDTH / 2}" y="{HEIGHT - 12}" text-anchor="middle">{escape(x_name)}</text>'
            f'<text x="18" y="{HEIGHT / 2}" text-anchor="middle" transform="rotate(-90 18 {HEIGHT / 2})">'
            f"{escape(y_name)}</text>"
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}"'
            f' height="{HEIGHT}" font-family="sans-serif" font-size="12" fill="#334155">'
            f'<rect width="100%" height="100%" fill="#fff"/>{"".join(ticks)}{"".join(self._shapes)}{words}</svg>\n'
        )
