"""Bootstrap intervals of metrics hold the value of the whole population about as often as they say."""

from __future__ import annotations

import numpy as np
import pytest

from raypipe.ml.metrics import Truth, compute, score
from tests.ml.said import two

RUNS, ROWS = 100, 300


def of_classes(rows: int, seed: int) -> Truth:
    said, y = two(rows, seed, 1.3)
    return Truth("classification", y, said.values)


def of_numbers(rows: int, seed: int) -> Truth:
    rng = np.random.default_rng(seed)
    y = rng.normal(size=rows)
    return Truth("regression", y, y + 0.5 * rng.normal(size=rows))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (of_classes, ("accuracy", "roc_auc", "f1_score", "balanced_accuracy", "mcc", "log_loss", "brier")),
        (of_numbers, ("rmse", "mae", "r2", "median_ae")),
    ],
)
def test_intervals_hold_the_value_of_all_rows(kind, names):
    """Of 100 samples of 300 rows: 95 wanted, 88 to 100 is within what chance and the bootstrap of 200 draws allow."""
    whole = kind(400_000, 10_000)
    true = {name: compute(name, whole) for name in names}
    hits = dict.fromkeys(names, 0)
    for seed in range(RUNS):
        for name, one in score(names, kind(ROWS, seed), seed=seed).items():
            hits[name] += one.interval[0] <= true[name] <= one.interval[1]
    assert all(found >= 0.88 * RUNS for found in hits.values()), hits
