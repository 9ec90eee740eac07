"""From which probability on a row is said to be of the second class: found for a metric or for costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raypipe.ml.calibration.choose import SURE
from raypipe.ml.calibration.held import standard_error
from raypipe.ml.specs.calibration import Costs

Array = NDArray[np.float64]
CURVE_POINTS = 101
Turns = list[tuple[NDArray[np.int64], NDArray[np.int64]]]
"""Rows to find a threshold on, and rows to try it on."""


@dataclass(frozen=True)
class Rated:
    """Rows of two classes with the probability of the second."""

    second: Array
    positive: NDArray[np.bool_]
    groups: NDArray[Any] | None = None

    def take(self, places: NDArray[np.int64]) -> Rated:
        """The rows at these places."""
        return Rated(self.second[places], self.positive[places], None if self.groups is None else self.groups[places])


@dataclass(frozen=True)
class Counts:
    """Rows right and wrong at each of many thresholds, or at one."""

    tp: Array
    fp: Array
    fn: Array
    tn: Array


@dataclass(frozen=True)
class Tuned:
    """A threshold, and what it is worth on rows that it was not found on."""

    threshold: float
    per_row: Array
    """The threshold of each row that was tried on, found on other rows."""
    usual: float
    """Threshold that it is compared with: 0.5, or what the costs alone ask for."""
    usual_value: float
    tuned_value: float
    """Cross-fitted; of costs, per row."""


def tune(rated: Rated, turns: Turns, wanted: str | Costs) -> Tuned:
    """The best threshold, if it is better than the usual one on rows that it was not found on; else the usual one.

    For costs, the usual one is where both errors cost the same in expectation (Elkan 2001), and it stays unless another
    is better by more than noise.

    Parameters
    ----------
    turns : list of (places, places)
        Rows to find a threshold on, and rows to try it on; each row is tried on once at most.
    """
    usual = 0.5 if isinstance(wanted, str) else wanted.false_positive / (wanted.false_positive + wanted.false_negative)
    found = [best_threshold(rated.take(learnt), wanted) for learnt, _ in turns]
    tried = np.concatenate([fold for _, fold in turns])
    held = rated.take(tried)
    own = np.repeat(found, [len(fold) for _, fold in turns])
    before, after = (_value(held, at, wanted) for at in (np.full(len(tried), usual), own))
    if _is_better(held, (usual, own), (before, after), wanted):
        return Tuned(best_threshold(rated, wanted), own, usual, before, after)
    return Tuned(usual, np.full(len(tried), usual), usual, before, after)


def _is_better(held: Rated, at: tuple[float, Array], values: tuple[float, float], wanted: str | Costs) -> bool:
    if isinstance(wanted, str):
        return values[1] > values[0]
    gain = _row_costs(held, at[0], wanted) - _row_costs(held, at[1], wanted)
    return bool(gain.mean() > SURE * standard_error(gain, held.groups))


def best_threshold(rated: Rated, wanted: str | Costs) -> float:
    """The threshold that is best for these very rows; midway between the two probabilities that it parts."""
    thresholds, counts = _all_counts(rated)
    return float(thresholds[int(np.argmax(_values(counts, wanted)))])


def _all_counts(rated: Rated) -> tuple[Array, Counts]:
    """Every threshold that parts the rows differently, the lowest first."""
    order = np.argsort(rated.second, kind="stable")
    p, positive = rated.second[order], rated.positive[order]
    starts = np.flatnonzero(np.append(True, np.diff(p) > 0))
    middles = (p[starts[1:]] + p[starts[1:] - 1]) / 2
    below = np.concatenate([[0], np.cumsum(positive)])[np.append(starts, len(p))]
    rows = np.append(starts, len(p))
    total = float(positive.sum())
    counts = Counts(total - below, len(p) - rows - (total - below), below.astype(float), (rows - below).astype(float))
    return np.concatenate([[0.0], middles, [np.nextafter(1.0, 2.0)]]), counts


def _counts_at(rated: Rated, at: Array) -> Counts:
    said, true = rated.second >= at, rated.positive
    return Counts(*(np.array(float(one.sum())) for one in (said & true, said & ~true, ~said & true, ~said & ~true)))


def _value(rated: Rated, at: Array, wanted: str | Costs) -> float:
    value = float(_values(_counts_at(rated, at), wanted))
    return value if isinstance(wanted, str) else -value / len(rated.second)


def _row_costs(rated: Rated, at: Array | float, costs: Costs) -> Array:
    said = rated.second >= at
    cost = (said & ~rated.positive) * costs.false_positive + (~said & rated.positive) * costs.false_negative
    return np.asarray(cost, dtype=float)


def _values(counts: Counts, wanted: str | Costs) -> Array:
    """What is to be great."""
    if isinstance(wanted, str):
        return _METRICS[wanted](counts)
    return -(counts.fp * wanted.false_positive + counts.fn * wanted.false_negative)


def _ratio(above: Array, below: Array) -> Array:
    return np.asarray(np.divide(above, below, out=np.zeros_like(np.asarray(above, dtype=float)), where=below > 0))


def _mcc(c: Counts) -> Array:
    below = np.sqrt((c.tp + c.fp) * (c.tp + c.fn) * (c.tn + c.fp) * (c.tn + c.fn))
    return _ratio(c.tp * c.tn - c.fp * c.fn, below)


_METRICS: dict[str, Callable[[Counts], Array]] = {
    "accuracy": lambda c: (c.tp + c.tn) / (c.tp + c.fp + c.fn + c.tn),
    "balanced_accuracy": lambda c: (_ratio(c.tp, c.tp + c.fn) + _ratio(c.tn, c.tn + c.fp)) / 2,
    "f1_score": lambda c: _ratio(2 * c.tp, 2 * c.tp + c.fp + c.fn),
    "mcc": _mcc,
}


def threshold_curve(rated: Rated, costs: Costs | None = None) -> list[dict[str, float]]:
    """What each of at most 101 thresholds would do, spread over the probabilities that there are."""
    thresholds, counts = _all_counts(rated)
    shown = np.unique(np.linspace(0, len(thresholds) - 1, CURVE_POINTS).round().astype(int))
    c = Counts(counts.tp[shown], counts.fp[shown], counts.fn[shown], counts.tn[shown])
    columns = {
        "threshold": thresholds[shown],
        "share_said": (c.tp + c.fp) / len(rated.second),
        "precision": _ratio(c.tp, c.tp + c.fp),
        "recall": _ratio(c.tp, c.tp + c.fn),
        **{name: fn(c) for name, fn in _METRICS.items()},
    }
    if costs is not None:
        columns["cost_per_row"] = -_values(c, costs) / len(rated.second)
    names = list(columns)
    return [dict(zip(names, map(float, row), strict=True)) for row in zip(*columns.values(), strict=True)]
