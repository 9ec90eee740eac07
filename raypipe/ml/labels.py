"""Labels of any type for estimators that want numbers from 0."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin


class LabelledXGBClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """XGBoost's classifier for labels of any type, which the class itself wants as 0, 1, 2 …

    Parameters
    ----------
    **settings
        Those of `xgboost.XGBClassifier`.
    """

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """All settings of XGBoost's class."""
        return dict(self._made().get_params(deep))

    def set_params(self, **params: Any) -> Self:
        """Change settings."""
        self.settings = {**self.settings, **params}
        return self

    def fit(self, X: Any, y: Any, **more: Any) -> Self:  # noqa: N803
        """Learn."""
        self.classes_, codes = np.unique(np.asarray(y), return_inverse=True)
        self.model_ = self._made().fit(X, codes, **more)
        return self

    def predict(self, X: Any) -> Any:  # noqa: N803
        """The most probable label of each row."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def predict_proba(self, X: Any) -> Any:  # noqa: N803
        """Probability of each label, in the order of `classes_`."""
        return self.model_.predict_proba(X)

    def _made(self) -> Any:
        from xgboost import XGBClassifier

        return XGBClassifier(**self.settings)
