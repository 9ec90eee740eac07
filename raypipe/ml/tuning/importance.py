"""How much of a search's scores each parameter explains: first-order effects of a forest over the trials.

A forest learns the scores from the parameters. The share of a parameter is the variance of the forest's mean answer
over its values, the others as the trials have them, of the variance of all answers (functional ANOVA: Hutter, Hoos and
Leyton-Brown, 2014, over the trials instead of the whole space). Shares need not sum to 1: the rest acts together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raypipe.ml.tuning.outcome import Trial

LEAST_TRIALS = 10
"""With scores, below which nothing is said of parameters."""
MOST_TRIALS = 300
"""The last ones are looked at; what a parameter explains does not change with more."""
TREES = 100
LOG_FROM = 50.0
"""Largest over smallest value of a parameter, from which it is seen in powers of ten."""


@dataclass(frozen=True)
class Axis:
    """A parameter over the trials, as numbers that can be drawn and learnt from."""

    name: str
    values: NDArray[np.float64]
    """One for each trial; NaN: the trial does not have it."""
    labels: tuple[str, ...] | None = None
    """Of a parameter of no numbers: what 0, 1, 2 … stand for."""
    log: bool = False
    """Values are powers of ten."""


@dataclass(frozen=True)
class Share:
    """What a parameter explains."""

    name: str
    share: float
    """Of the variance of the scores as a forest sees them, from 0 to 1."""
    rank_correlation: float | None
    """Spearman's, of the value with the score; None for parameters of no numbers."""


def axes_of(trials: Sequence[Trial]) -> list[Axis]:
    """The parameters that differ between trials."""
    names = dict.fromkeys(name for trial in trials for name in trial.params)
    found = (_axis(name, [trial.params.get(name) for trial in trials]) for name in names if name != "schedule")
    return [one for one in found if len(np.unique(one.values[~np.isnan(one.values)])) > 1]


def _axis(name: str, given: Sequence[Any]) -> Axis:
    known = [value for value in given if value is not None]
    if known and all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
        values = np.array([np.nan if value is None else float(value) for value in given])
        low, high = np.nanmin(values), np.nanmax(values)
        log = bool(low > 0 and high / low > LOG_FROM)
        return Axis(name, np.log10(values) if log else values, log=log)
    labels = tuple(sorted({str(value) for value in given}))
    return Axis(name, np.array([labels.index(str(value)) for value in given], float), labels)


def scored(trials: Sequence[Trial]) -> list[Trial]:
    """Those with a score and parameters of their own."""
    return [one for one in trials if one.score is not None and np.isfinite(one.score) and one.params]


def importance(trials: Sequence[Trial]) -> list[Share]:
    """Parameters, the one that explains most first; empty where there are too few trials with a score, or no scores
    that differ."""
    able = scored(trials)[-MOST_TRIALS:]
    axes = axes_of(able)
    scores = np.array([one.score for one in able], float)
    if len(able) < LEAST_TRIALS or not axes or scores.std() == 0:
        return []
    from scipy.stats import spearmanr
    from sklearn.ensemble import ExtraTreesRegressor

    table = np.column_stack([np.nan_to_num(one.values, nan=-1e6) for one in axes])
    forest = ExtraTreesRegressor(TREES, min_samples_leaf=2, random_state=0).fit(table, scores)
    total = float(forest.predict(table).var())
    found = []
    for place, axis in enumerate(axes):
        share = _explained(forest, table, place) / total if total > 0 else 0.0
        known = ~np.isnan(axis.values)
        ranked = None
        if axis.labels is None and scores[known].std() > 0 and axis.values[known].std() > 0:
            ranked = float(spearmanr(axis.values[known], scores[known]).statistic)
        found.append(Share(axis.name, min(share, 1.0), ranked))
    return sorted(found, key=lambda one: (-one.share, one.name))


def _explained(forest: Any, table: NDArray[np.float64], place: int) -> float:
    """Variance of the mean answer over a parameter's values."""
    values = np.quantile(table[:, place], np.linspace(0, 1, min(len(table), 25)), method="nearest")
    rows = np.repeat(table[None, :, :], len(values), axis=0)
    rows[:, :, place] = values[:, None]
    said = forest.predict(rows.reshape(-1, table.shape[1])).reshape(len(values), len(table))
    return float(said.mean(axis=1).var())


def told(shares: Sequence[Share]) -> list[Mapping[str, Any]]:
    """As JSON holds it."""
    return [{"name": one.name, "share": one.share, "rank_correlation": one.rank_correlation} for one in shares]
