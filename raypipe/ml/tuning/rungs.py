"""When a trial that falls behind is given up: after some folds, against others on the same folds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Literal

REDUCTION = 3
"""asha: of the trials at a rung, one in so many goes on; rungs stand after 1, 3, 9 … folds (Li et al., 2020)."""
MEDIAN_TRIALS = 5
"""median: trials that must have come as far before one is given up."""


def falls_behind(
    pruner: Literal["asha", "median", "none"], losses: Sequence[float], others: Sequence[Sequence[float]]
) -> bool:
    """Whether a trial is given up after its last fold.

    Parameters
    ----------
    losses : sequence of float
        Of the folds that it has done, lower is better.
    others : sequence of such sequences
        Those of the other trials, over the same folds in the same order. Only the first folds that all have in common
        are compared: a mean over an easy fold alone would beat one over an easy and a hard fold.
    """
    done = len(losses)
    own = statistics.fmean(losses)
    rivals = [statistics.fmean(one[:done]) for one in others if len(one) >= done]
    if pruner == "asha" and _is_rung(done):
        going_on = (len(rivals) + 1) // REDUCTION
        return going_on > 0 and sum(rival < own for rival in rivals) >= going_on
    if pruner == "median" and len(rivals) >= MEDIAN_TRIALS:
        return own > statistics.median(rivals)
    return False


def _is_rung(folds: int) -> bool:
    while folds % REDUCTION == 0:
        folds //= REDUCTION
    return folds == 1
