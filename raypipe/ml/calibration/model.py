"""Calibrated models: what predicts, with plain arrays for everything that calibration found."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NoReturn, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from raypipe.errors import ConfigError
from raypipe.ml.calibration import maps
from raypipe.ml.calibration.conformal import SetScore, around, quantile, sets
from raypipe.ml.calibration.maps import Array, Calibrator, said_by

LABELLED_BY_HALF = 0.5


class CalibratedModel(BaseEstimator):  # type: ignore[misc]
    """A fitted model with what calibration found for it. It learns nothing more: a calibrator holds for one model."""

    estimators: Sequence[Any]

    @property
    def pipeline(self) -> Any:
        """The fitted pipeline below; of several, the first."""
        return self.estimators[0]

    def fit(self, X: Any, y: Any = None) -> NoReturn:  # noqa: N803
        """Refused: run the workflow again, so that the calibrator is found anew too."""
        raise ConfigError(
            f"{type(self).__name__} is fitted, and its calibrator holds for this very model; run the workflow on the"
            " new rows, or fit a clone of its `pipeline` without calibration"
        )

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_clone__(self) -> Self:
        # As of scikit-learn's FrozenEstimator: a clone without what was learnt could do nothing.
        return copy.deepcopy(self)

    @property
    def feature_names_in_(self) -> NDArray[Any]:
        """Columns that the model learnt from."""
        return np.asarray(self.pipeline.feature_names_in_)

    @property
    def n_features_in_(self) -> int:
        """Number of columns that the model learnt from."""
        return int(self.pipeline.n_features_in_)


class CalibratedClassifier(ClassifierMixin, CalibratedModel):  # type: ignore[misc]
    """A model of classes whose probabilities hold what they say.

    Parameters
    ----------
    estimators : list of fitted pipelines
        One, or those of the folds; the mean of what they say is said.
    calibrators : list of Calibrator
        One for each estimator.
    classes : array
        Labels in their order.
    threshold : float, default 0.5
        Two classes: from this probability on a row is of the second.
    scores : dict of float64, optional
        How odd the true classes of rows that no model had seen were, by name of the score; for `predict_set`.
    confidence : float, optional
        Share of rows whose class the sets hold.
    set_score : {"lac", "aps"}, default "lac"
        The score that is used where none is named.
    """

    def __init__(
        self,
        estimators: Sequence[Any],
        calibrators: Sequence[Calibrator],
        classes: NDArray[Any],
        threshold: float = LABELLED_BY_HALF,
        scores: dict[SetScore, Array] | None = None,
        confidence: float | None = None,
        set_score: SetScore = "lac",
    ) -> None:
        self.estimators = estimators
        self.calibrators = calibrators
        self.classes = classes
        self.threshold = threshold
        self.scores = scores
        self.confidence = confidence
        self.set_score = set_score

    @property
    def classes_(self) -> NDArray[Any]:
        """Labels in their order."""
        return np.asarray(self.classes)

    @property
    def threshold_(self) -> float:
        """From this probability on a row of two classes is of the second."""
        return self.threshold

    def predict_proba(self, X: Any) -> Array:  # noqa: N803
        """Calibrated probabilities, rows by classes, each row of sum 1."""
        pairs = zip(self.estimators, self.calibrators, strict=True)
        parts = [calibrator.apply(said_by(model, X, self.classes_)) for model, calibrator in pairs]
        return np.asarray(np.mean(parts, axis=0))

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Labels: the most probable, or of two the second where its probability reaches the threshold."""
        given = self.predict_proba(X)
        two = len(self.classes_) == 2
        places = (given[:, 1] >= self.threshold).astype(int) if two else given.argmax(axis=1)
        return np.asarray(self.classes_[places])

    def predict_set(
        self,
        X: Any,  # noqa: N803
        confidence: float | None = None,
        score: SetScore | None = None,
    ) -> NDArray[np.bool_]:
        """Classes that may be true, rows by classes in the order of `classes_`.

        Parameters
        ----------
        confidence : float, optional
            Share of rows whose class is to be in its set; None: that of the calibration.
        score : {"lac", "aps"}, optional
            lac gives the smallest sets, aps larger ones where a row is hard.

        Raises
        ------
        ConfigError
            The calibration was run without `conformal`.
        """
        wanted = self.confidence if confidence is None else confidence
        if self.scores is None or wanted is None:
            raise ConfigError(
                "predict_set: this model was calibrated without sets; give CalibrationSpec(conformal=0.9)"
            )
        name: SetScore = score or self.set_score
        return sets(self.predict_proba(X), quantile(self.scores[name], wanted), name)


class CalibratedRegressor(RegressorMixin, CalibratedModel):  # type: ignore[misc]
    """A model of numbers whose intervals hold the truth as often as they say.

    Parameters
    ----------
    estimators : list of fitted pipelines
        One, or those of the folds; the mean of what they say is said.
    scores : list of float64
        For each estimator, how far it was off on rows that it had not seen, divided by their width where there is one.
    confidence : float
        Share of rows whose value the intervals hold.
    difficulty : fitted pipeline, optional
        Says the logarithm of how far off a row is expected to be, so that hard rows get wider intervals.
    """

    def __init__(
        self, estimators: Sequence[Any], scores: Sequence[Array], confidence: float, difficulty: Any = None
    ) -> None:
        self.estimators = estimators
        self.scores = scores
        self.confidence = confidence
        self.difficulty = difficulty

    def predict(self, X: Any) -> Array:  # noqa: N803
        """Values, row by row."""
        return np.asarray(self._said(X).mean(axis=1))

    def predict_interval(self, X: Any, confidence: float | None = None) -> Array:  # noqa: N803
        """Low and high end of each row, `float64[rows, 2]`.

        Parameters
        ----------
        confidence : float, optional
            Share of rows whose value is to lie between them; None: that of the calibration.
        """
        wanted = self.confidence if confidence is None else confidence
        widths = None if self.difficulty is None else np.exp(np.asarray(self.difficulty.predict(X), dtype=float))
        return around(self._said(X), list(self.scores), wanted, widths)

    def _said(self, X: Any) -> Array:  # noqa: N803
        return np.column_stack([np.asarray(one.predict(X), dtype=float).ravel() for one in self.estimators])


TRUSTED = (*maps.TRUSTED, *(f"{__name__}.{kind.__name__}" for kind in (CalibratedClassifier, CalibratedRegressor)))
"""Types of this package that skops is to trust when it loads a calibrated model."""
