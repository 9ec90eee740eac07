"""Labels of any type for estimators that want numbers from 0."""

from __future__ import annotations

from typing import Any

import numpy as np
from xgboost import XGBClassifier


class LabelledXGBClassifier(XGBClassifier):  # type: ignore[misc]
    """XGBoost's classifier for labels of any type, which the class itself wants as 0, 1, 2 …"""

    def fit(self, X: Any, y: Any, **more: Any) -> LabelledXGBClassifier:  # noqa: N803
        self.labels_, codes = np.unique(np.asarray(y), return_inverse=True)
        super().fit(X, codes, **more)
        return self

    def predict(self, X: Any, **more: Any) -> Any:  # noqa: N803
        codes = super().predict(X, **more)
        return self.labels_[np.asarray(codes).astype(int)]

    @property
    def classes_(self) -> Any:
        """The labels, in their order."""
        return self.labels_
