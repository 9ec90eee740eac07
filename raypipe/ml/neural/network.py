"""What a network has as an estimator of scikit-learn, whatever it says: settings, epochs, early stopping."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted, validate_data

from raypipe._optional import require_extra
from raypipe.errors import ConfigError
from raypipe.ml.neural.net import Learner, Pace, Rows, Shape, forward

LEAST_HELD = 20
"""Rows for early stopping, below which nothing is held back for it."""
PACED = ("learning_rate", "weight_decay", "dropout")
"""Settings that a schedule may change from epoch to epoch."""


class Network(BaseEstimator, ABC):  # type: ignore[misc]
    """Dense layers that learn with torch, on a CPU or a GPU.

    Parameters
    ----------
    width, depth : int
        Of the hidden layers. 0 layers: a linear model.
    max_epochs : int
        Times that all rows are seen.
    patience : int or None
        Epochs without a better loss on held-back rows, after which the best epoch is taken; None: no early stopping,
        and nothing held back.
    validation_share : float
        Of the rows, held back for early stopping; where fewer than 20 would be, none are.
    schedule : list of [epochs, settings], optional
        Stretches of epochs with settings of their own (`learning_rate`, `weight_decay`, `dropout`), as a population
        search finds them. It decides how long the network learns; early stopping is off.
    device : str
        As torch names it. On a CPU the same seed gives the same network.
    """

    weights_: list[NDArray[np.float32]]
    loss_curve_: list[float]
    validation_curve_: list[float]
    n_iter_: int
    n_features_in_: int
    _learner_: Learner
    _loss: ClassVar[Literal["classes", "number"]]
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "width": [Interval(Integral, 1, None, closed="left")],
        "depth": [Interval(Integral, 0, 32, closed="both")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "patience": [Interval(Integral, 1, None, closed="left"), None],
        "validation_share": [Interval(Real, 0, 1, closed="neither")],
        "schedule": [list, tuple, None],
        "random_state": ["random_state"],
        "device": [str],
    }

    def __init__(  # noqa: PLR0913 - scikit-learn wants each setting by its name
        self,
        width: int = 128,
        depth: int = 2,
        dropout: float = 0.1,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-4,
        batch_size: int = 256,
        max_epochs: int = 100,
        patience: int | None = 10,
        validation_share: float = 0.1,
        schedule: Sequence[Any] | None = None,
        random_state: int | None = None,
        device: str = "cpu",
    ) -> None:
        self.width = width
        self.depth = depth
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_share = validation_share
        self.schedule = schedule
        self.random_state = random_state
        self.device = device

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803
        """Learn, from the start."""
        rows = self._begin(X, y, sample_weight)
        learner = self._learner_
        stretches = paces(self)
        self.loss_curve_, self.validation_curve_ = [], []
        if self.schedule is not None or self.patience is None:
            for epochs, pace in stretches:
                self.loss_curve_ += [learner.epoch(rows, pace) for _ in range(epochs)]
            return self._ended(learner.weights)
        learn, held = self._sides(rows)
        return self._ended(self._stopped_early(learn, held, stretches[0][1]))

    def fit_from(self, X: Any, y: Any, state: Mapping[str, Any] | None, done: int) -> dict[str, Any]:  # noqa: N803
        """Learn the schedule's stretches from number `done` on, behind a state; gives the state behind them.

        In pieces or at once, the network that comes out is the same.
        """
        rows = self._begin(X, y, None)
        self.loss_curve_, self.validation_curve_ = [], []
        if state is not None:
            self._learner_.load(state)
        for epochs, pace in paces(self)[done:]:
            self.loss_curve_ += [self._learner_.epoch(rows, pace) for _ in range(epochs)]
        self._ended(self._learner_.weights)
        return self._learner_.state()

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:  # noqa: N803
        """Learn once more from these rows: an epoch.

        Parameters
        ----------
        classes : array, optional
            All labels that there will be, at the first call of a classifier.
        """
        if not hasattr(self, "weights_"):
            rows = self._begin(X, y, sample_weight, classes)
            self.loss_curve_, self.validation_curve_ = [], []
        else:
            rows = self._rows(X, y, sample_weight, first=False)
            if not hasattr(self, "_learner_"):  # read back from a file, which keeps no optimiser
                self._learner_ = self._made(self.n_features_in_)
                self._learner_.weights = self.weights_
                self._learner_.epochs = self.n_iter_
        self.loss_curve_.append(self._learner_.epoch(rows, paces(self)[0][1]))
        return self._ended(self._learner_.weights)

    def _begin(self, X: Any, y: Any, weight: Any, classes: Any = None) -> Rows:  # noqa: N803
        require_extra("torch", type(self).__name__)
        self._validate_params()
        self._about_target(np.asarray(y) if classes is None else np.asarray(classes))
        rows = self._rows(X, y, weight, first=True)
        self._learner_ = self._made(self.n_features_in_)
        return rows

    # What the two classes know of their targets.

    @abstractmethod
    def _about_target(self, y: NDArray[Any]) -> None:
        """Note what the fit has to know of the targets."""

    @abstractmethod
    def _outputs(self) -> int:
        """Numbers that the network gives a row."""

    @abstractmethod
    def _codes(self, y: NDArray[Any]) -> NDArray[Any]:
        """The targets as the network learns them."""

    @abstractmethod
    def _weights(self, y: NDArray[Any]) -> NDArray[np.float32]:
        """Weight of each row."""

    @abstractmethod
    def _judged(self, said: NDArray[np.float32], held: Rows) -> float:
        """How well outputs suit rows that were held back."""

    def _made(self, inputs: int) -> Learner:
        shape = Shape(inputs, self._outputs(), self.width, self.depth)
        seed = 0 if self.random_state is None else int(self.random_state)
        return Learner(shape, self._loss, seed, self.device)

    def _rows(self, X: Any, y: Any, weight: Any, first: bool) -> Rows:  # noqa: N803
        # Whether the target fits is for the two classes below, which know more of it.
        X = validate_data(self, X, accept_sparse="csr", dtype=np.float32, reset=first)  # noqa: N806
        target = np.asarray(y).ravel()
        weights = self._weights(target)
        if weight is not None:
            weights = weights * np.asarray(weight, dtype=np.float32)
        mean = float(weights.mean()) if len(weights) else 1.0
        return Rows(X, self._codes(target), (weights / mean if mean > 0 else weights).astype(np.float32))

    def _sides(self, rows: Rows) -> tuple[Rows, Rows | None]:
        """Rows to learn from, and those that say when to stop."""
        if len(rows) * self.validation_share < LEAST_HELD:
            return rows, None
        strata = rows.y if self._loss == "classes" else None
        if strata is not None and np.bincount(strata).min(initial=2, where=np.bincount(strata) > 0) < 2:
            strata = None  # a class of one row cannot be on both sides
        seed = 0 if self.random_state is None else self.random_state
        places = np.arange(len(rows))
        learn, held = train_test_split(places, test_size=self.validation_share, random_state=seed, stratify=strata)
        return rows.take(np.sort(learn)), rows.take(np.sort(held))

    def _stopped_early(self, learn: Rows, held: Rows | None, pace: Pace) -> list[NDArray[np.float32]]:
        """The weights of the best epoch."""
        best, weights, waited = np.inf, self._learner_.weights, 0
        for _ in range(self.max_epochs):
            self.loss_curve_.append(self._learner_.epoch(learn, pace))
            if held is None:
                continue
            told = self._judged(forward(self._learner_.weights, held.X), held)
            self.validation_curve_.append(told)
            waited += 1
            if told < best:
                best, weights, waited = told, self._learner_.weights, 0
            if waited >= (self.patience or self.max_epochs):
                break
        return weights if held is not None and np.isfinite(best) else self._learner_.weights

    def _ended(self, weights: list[NDArray[np.float32]]) -> Self:
        if not all(np.isfinite(one).all() for one in weights):
            raise ConfigError(
                f"{type(self).__name__}: the network has run away to infinity with learning_rate {self.learning_rate};"
                " take a smaller one, and scale the features"
            )
        self.weights_ = weights
        self.n_iter_ = self._learner_.epochs
        return self

    def _said(self, X: Any) -> NDArray[np.float32]:  # noqa: N803
        check_is_fitted(self, "weights_")
        X = validate_data(self, X, accept_sparse="csr", dtype=np.float32, reset=False)  # noqa: N806
        return forward(self.weights_, X)

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())
        state.pop("_learner_", None)  # holds tensors; a model that is kept is its weights
        return state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def paces(estimator: Any) -> list[tuple[int, Pace]]:
    """Stretches of epochs, and how the network learns in each."""
    own = Pace(
        float(estimator.learning_rate), float(estimator.weight_decay), float(estimator.dropout),
        int(estimator.batch_size),
    )  # fmt: skip
    if estimator.schedule is None:
        return [(int(estimator.max_epochs), own)]
    found = []
    for one in estimator.schedule:
        sound = (
            isinstance(one, list | tuple) and len(one) == 2 and isinstance(one[1], dict) and set(one[1]) <= set(PACED)
        )
        if not sound or not isinstance(one[0], int) or one[0] < 0:
            raise ConfigError(
                f"{type(estimator).__name__}: got {one!r} in schedule; wanted [epochs, settings], with settings of"
                f" {', '.join(PACED)}"
            )
        found.append((one[0], Pace(**{**asdict(own), **one[1]})))
    return found or [(0, own)]
