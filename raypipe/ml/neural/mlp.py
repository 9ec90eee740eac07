"""Networks for classes and for numbers, as estimators of scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, RegressorMixin

from raypipe.errors import ConfigError
from raypipe.ml.neural.net import Rows
from raypipe.ml.neural.network import Network


class MLPClassifier(ClassifierMixin, Network):  # type: ignore[misc]
    """A network that says probabilities of classes; its settings are those of `Network`, and `class_weight`."""

    _loss: ClassVar[Literal["classes", "number"]] = "classes"
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Network._parameter_constraints,
        "class_weight": ["verbose", dict, str, None],
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
        class_weight: Mapping[Any, float] | str | None = None,
    ) -> None:
        super().__init__(
            width, depth, dropout, learning_rate, weight_decay, batch_size, max_epochs, patience, validation_share,
            schedule, random_state, device,
        )  # fmt: skip
        self.class_weight = class_weight

    def predict_proba(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Probability of each label, in the order of `classes_`."""
        return _shares(self._said(X))

    def predict(self, X: Any) -> Any:  # noqa: N803
        """The most probable label of each row."""
        return self.classes_[self._said(X).argmax(axis=1)]

    def _about_target(self, y: NDArray[Any]) -> None:
        self.classes_ = np.unique(y)

    def _outputs(self) -> int:
        return len(self.classes_)

    def _codes(self, y: NDArray[Any]) -> NDArray[np.int64]:
        known = np.isin(y, self.classes_)
        if not known.all():
            raise ConfigError(f"{type(self).__name__}: got the label {y[~known][0]!r}, which is none of the classes")
        return np.searchsorted(self.classes_, y).astype(np.int64)

    def _weights(self, y: NDArray[Any]) -> NDArray[np.float32]:
        if self.class_weight is None:
            return np.ones(len(y), np.float32)
        codes = self._codes(y)
        if isinstance(self.class_weight, str):
            if self.class_weight != "balanced":
                raise ConfigError(f"{type(self).__name__}: got class_weight {self.class_weight!r}; wanted 'balanced'")
            counts = np.bincount(codes, minlength=len(self.classes_))
            each = len(y) / (len(self.classes_) * np.maximum(counts, 1))
        else:
            given = {str(label): weight for label, weight in self.class_weight.items()}
            each = np.array([given.get(str(label), 1.0) for label in self.classes_])
        return each[codes].astype(np.float32)

    def _judged(self, said: NDArray[np.float32], held: Rows) -> float:
        right = _shares(said)[np.arange(len(held)), held.y]
        return float(np.average(-np.log(np.maximum(right, 1e-12)), weights=held.weight))


class MLPRegressor(RegressorMixin, Network):  # type: ignore[misc]
    """A network that says numbers; its settings are those of `Network`."""

    _loss: ClassVar[Literal["classes", "number"]] = "number"

    def predict(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """A number for each row."""
        return self._said(X)[:, 0].astype(float) * self.scale_ + self.middle_

    def _about_target(self, y: NDArray[Any]) -> None:
        values = np.asarray(y, dtype=float)
        self.middle_ = float(values.mean())
        self.scale_ = float(values.std()) or 1.0

    def _outputs(self) -> int:
        return 1

    def _codes(self, y: NDArray[Any]) -> NDArray[np.float32]:
        return ((np.asarray(y, dtype=float) - self.middle_) / self.scale_).astype(np.float32)

    def _weights(self, y: NDArray[Any]) -> NDArray[np.float32]:
        return np.ones(len(y), np.float32)

    def _judged(self, said: NDArray[np.float32], held: Rows) -> float:
        return float(np.average((said[:, 0] - held.y) ** 2, weights=held.weight))


def _shares(said: NDArray[np.float32]) -> NDArray[np.float64]:
    """Shares that sum to 1."""
    raised = np.exp(said.astype(float) - said.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = raised / raised.sum(axis=1, keepdims=True)
    return shares
