"""What the contenders of `benchmarks.workflow` share: rows, folds, and the score on rows held back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import log_loss, root_mean_squared_error

SCORING = {"classification": "neg_log_loss", "regression": "neg_root_mean_squared_error"}


@dataclass(frozen=True)
class Inputs:
    """The rows of one task."""

    learn: pd.DataFrame
    """Features of the rows to learn from, with the columns of group and time."""
    y: NDArray[Any]
    held: pd.DataFrame
    held_y: NDArray[Any]
    folds: list[tuple[NDArray[np.int64], NDArray[np.int64]]]

    def features(self, told: Mapping[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Rows to learn from and rows held back, without what says how they are split."""
        apart = [name for name in (told["group"], told["time"]) if name]
        return self.learn.drop(columns=apart), self.held.drop(columns=apart)


def read(told: Mapping[str, Any]) -> Inputs:
    """The rows that `benchmarks.learning_tasks` wrote."""
    place, target = Path(told["folder"]), told["target"]
    learn, held = pd.read_parquet(place / "train.parquet"), pd.read_parquet(place / "test.parquet")
    parts = json.loads((place / "folds.json").read_text(encoding="utf-8"))
    return Inputs(
        learn.drop(columns=target), learn[target].to_numpy(), held.drop(columns=target), held[target].to_numpy(),
        [(np.array(one), np.array(other)) for one, other in parts],
    )  # fmt: skip


def loss_on(model: Any, kind: str, rows: pd.DataFrame, y: NDArray[Any]) -> float:
    """Log loss or RMSE of a fitted model, by scikit-learn."""
    if kind == "regression":
        return float(root_mean_squared_error(y, model.predict(rows)))
    return float(log_loss(y, model.predict_proba(rows), labels=model.classes_))
