"""Quantiles and ranks of the finite numbers of a column, with the interval that each lies in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from raypipe.blocks.arrays import Counts, Floats
from raypipe.blocks.column import ColumnSummary
from raypipe.blocks.quantiles import QuantileSketch, exact_quantiles
from raypipe.etl.rules.rule import NotMeasuredError

Estimate = tuple[float, float, float]
"""A figure, and the interval that it lies in; all equal where it is exact."""


def quantile(summary: ColumnSummary, probability: float) -> Estimate:
    """The quantile of the finite numbers; NotMeasuredError where there is none."""
    kept = _kept(summary)
    if isinstance(kept, tuple):
        found = exact_quantiles(*kept, [probability])[0]
        return found, found, found
    low, high = max(probability - kept.rank_error, 0.0), min(probability + kept.rank_error, 1.0)
    below, middle, above = kept.quantiles([low, probability, high])
    return middle, below, above


def outside(summary: ColumnSummary, low: float, high: float) -> Estimate:
    """The share of finite numbers below `low` or above `high`; NotMeasuredError where there is none."""
    (below,), error = ranks(summary, [low])
    (upto,), _ = ranks(summary, [high], inclusive=True)
    share = max(below + 1.0 - upto, 0.0)
    return share, max(share - 2 * error, 0.0), min(share + 2 * error, 1.0)


def ranks(summary: ColumnSummary, values: Sequence[float], inclusive: bool = False) -> tuple[list[float], float]:
    """The share of finite numbers below each value (at most it, if `inclusive`), and by how much each may be off."""
    kept = _kept(summary)
    if not isinstance(kept, tuple):
        return kept.ranks(values, inclusive), kept.rank_error
    numbers, counts = kept
    reached = np.concatenate([[0], np.cumsum(counts)])
    places = np.searchsorted(numbers, np.asarray(values, np.float64), side="right" if inclusive else "left")
    return [float(share) for share in reached[places] / reached[-1]], 0.0


def _kept(summary: ColumnSummary) -> tuple[Floats, Counts] | QuantileSketch:
    """All numbers in ascending order with their counts, or the sketch of too many."""
    if summary.finite == 0 or (summary.sketched is None and not summary.tables):
        raise NotMeasuredError("there is no finite value")
    if summary.sketched is None:
        table = summary.tables[0]
        wide = isinstance(table.values.dtype, pl.Decimal)
        values = (table.values.cast(pl.Float64) if wide else table.values).to_numpy()
        return summary.type.floats(values), table.counts
    if summary.sketched.number is None:
        raise NotMeasuredError("its values are no numbers")
    return summary.sketched.number.quantiles
