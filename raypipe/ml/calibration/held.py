"""What models of folds say of the rows that they did not see, and how a choice made on such rows is itself judged."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raypipe.errors import ConfigError
from raypipe.ml.calibration.maps import said_by
from raypipe.ml.data import TrainingData
from raypipe.ml.model import Estimate, Recipe
from raypipe.ml.specs.calibration import CalibrationSpec
from raypipe.ml.specs.validation import Strategy, ValidationSpec
from raypipe.ml.splits import Fold, folds, settled
from raypipe.ml.workflow.crossfit import FoldWork, Place, all_folds, crossfit
from raypipe.ml.workflow.trial import FoldFit

Places = NDArray[np.int64]
_FORWARD = frozenset({"time"})
"""Strategies in which what is learnt for a fold comes from earlier folds alone."""


@dataclass(frozen=True)
class Held:
    """Rows that folds held back, each judged by a model that had not seen it."""

    places: Places
    """Rows, in the order of the folds."""
    said: Estimate
    """Of classes: rows by classes; of numbers: one value a row."""
    y: NDArray[Any]
    """Places of the true classes, or the true numbers."""
    folds: tuple[Places, ...]
    """Places in `said` of each fold."""
    models: tuple[Any, ...]
    groups: NDArray[Any] | None = None
    forward: bool = False
    """Folds follow each other in time."""
    fitted_again: bool = True
    """Models were fitted for this; else the cross-validation had them."""

    def turns(self) -> Iterator[tuple[Places, Places]]:
        """Places to learn a choice from, and places of the fold that it is tried on. In time, the first fold has
        nothing before it and is tried on nowhere."""
        for i, fold in enumerate(self.folds):
            rest = self.folds[:i] if self.forward else self.folds[:i] + self.folds[i + 1 :]
            if rest:
                yield np.concatenate(rest), fold

    @property
    def tried(self) -> Places:
        """Places that `turns` tries on, in their order."""
        return np.concatenate([fold for _, fold in self.turns()])

    def take(self, places: Places) -> tuple[Estimate, NDArray[Any]]:
        """What was said and what is true, of some rows."""
        return Estimate(self.said.values[places], self.said.are_probabilities), self.y[places]


@dataclass(frozen=True)
class Known:
    """What a cross-validation of the same recipe found."""

    folds: Sequence[Fold]
    fits: tuple[FoldFit, ...]

    def is_of(self, folds: Sequence[Fold], data: TrainingData) -> bool:
        """Whether it has all that fits on these folds would give. Where a model gives no probabilities, a calibrator
        works on its distances, which a cross-validation has not kept."""
        same = len(self.fits) == len(self.folds) == len(folds) and all(
            np.array_equal(one, other)
            for pair in zip(self.folds, folds, strict=True)
            for one, other in zip(*pair, strict=True)
        )
        return same and (data.task == "regression" or all(fit.estimate.are_probabilities for fit in self.fits))


def folds_for(
    spec: CalibrationSpec, data: TrainingData, validation: ValidationSpec, seed: int
) -> tuple[list[Fold], Strategy]:
    """Folds that keep apart what the validation keeps apart, in the number that the spec asks for; unless it asks for
    others, those of the validation.

    Raises
    ------
    ConfigError
        Too few rows, groups, times or folds.
    """
    strategy = _strategy(spec, data, validation)
    found = folds(validation.replace(strategy=strategy), data, seed, spec.folds_wanted)
    least = 3 if strategy in _FORWARD else 2
    if len(found) < least:
        raise ConfigError(
            f"calibration: what is found on one fold is tried on another, which takes {least} folds with strategy"
            f" {strategy!r}; there are {len(found)}: give cv_strategy or n_splits more, or name more folds"
        )
    return found, strategy


def _strategy(spec: CalibrationSpec, data: TrainingData, validation: ValidationSpec) -> Strategy:
    tied = validation.strategy in ("predefined", "purged") or data.times is not None or data.groups is not None
    if not tied and spec.cv_strategy in ("kfold", "stratified_kfold"):
        return "kfold" if data.task == "regression" or spec.cv_strategy == "kfold" else "stratified"
    # Repeats say the same rows again, from which no calibrator could learn more.
    usual = "auto" if validation.strategy in ("none", "repeated") else validation.strategy
    return settled(validation.replace(strategy=usual), data)


def hold(
    made: tuple[Recipe, Mapping[str, Any]],
    data: TrainingData,
    split: tuple[list[Fold], Strategy],
    keep: bool,
    place: Place | None = None,
    known: Known | None = None,
) -> Held:
    """Fit the recipe on each fold and ask it about the rest.

    Parameters
    ----------
    keep : bool
        Whether the fitted models are kept.
    known : Known, optional
        What the same recipe said on the same folds; then nothing is fitted.
    place : Place, optional
        Where folds are fitted; None: on Ray where this process is connected to one.

    Raises
    ------
    ConfigError
        A fold cannot be fitted, or the time was up.
    """
    parts, strategy = split
    seen = None if keep or known is None or not known.is_of(parts, data) else known.fits
    work = FoldWork(made[0], data, tuple(parts), (made[1],) * len(parts), _said, keep)
    fits = seen or all_folds(crossfit(work, place or Place()), "calibration")
    places = np.concatenate([fit.places for fit in fits])
    edges = np.cumsum([0, *(len(fit.places) for fit in fits)])
    true = data.y[places]
    return Held(
        places=places,
        said=Estimate(
            np.concatenate([fit.estimate.values for fit in fits]), all(fit.estimate.are_probabilities for fit in fits)
        ),
        y=true.astype(float) if data.task == "regression" else np.searchsorted(data.classes, true),
        folds=tuple(np.arange(low, high) for low, high in itertools.pairwise(edges)),
        models=tuple(fit.model for fit in fits) if keep else (),
        groups=None if data.groups is None else data.groups[places],
        forward=strategy in _FORWARD,
        fitted_again=seen is None,
    )


def _said(model: Any, data: TrainingData, labels: NDArray[Any] | None) -> Estimate:
    if labels is None:
        return Estimate(np.asarray(model.predict(data.X), dtype=float).ravel())
    return said_by(model, data.X, labels)


def standard_error(values: NDArray[np.float64], groups: NDArray[Any] | None = None) -> float:
    """Of the mean of values; rows of one group count as drawn together."""
    off = values - values.mean()
    if groups is not None:
        _, codes = np.unique(groups, return_inverse=True)
        off = np.bincount(codes, weights=off)
    return float(np.sqrt((off**2).sum()) / len(values))
