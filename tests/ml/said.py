"""Models made of numbers alone: what they say of rows, and what is true."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, softmax

from raypipe.ml.calibration.held import Held
from raypipe.ml.model import Estimate


def two(rows: int, seed: int, slope: float = 1.0, shift: float = 0.0) -> tuple[Estimate, np.ndarray]:
    """Two classes; at slope 1 and shift 0 what is said is true, above 1 the model is too sure."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(0, 1.5, rows)
    y = (rng.random(rows) < expit(logit)).astype(np.int64)
    second = expit(slope * logit + shift)
    return Estimate(np.column_stack([1 - second, second])), y


def more(rows: int, seed: int, slope: float = 1.0, classes: int = 4) -> tuple[Estimate, np.ndarray]:
    """More classes, as `two`."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (rows, classes))
    true = softmax(logits, axis=1)
    y = (rng.random((rows, 1)) > np.cumsum(true, axis=1)).sum(axis=1)
    return Estimate(softmax(slope * logits, axis=1)), np.minimum(y, classes - 1)


def held(said: Estimate, y: np.ndarray, folds: int = 5, **more: object) -> Held:
    """As if folds had held these rows back."""
    parts = tuple(np.array_split(np.arange(len(y)), folds))
    return Held(np.arange(len(y)), said, y, parts, (), **more)
