"""Bins with edges known before the pass: about the deciles of a number, calendar units of a time."""

from __future__ import annotations

import itertools
import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from raypipe.blocks.profile import ColumnProfile, NumberSummary
from raypipe.config import Frozen
from raypipe.insights.calendar import bucket_ids, bucket_labels, bucket_range, bucket_starts, choose_bucket, to_micros
from raypipe.insights.words import figure, plain

FloatArray = NDArray[np.float64]
MAX_VALUE_BINS = 20
MAX_TIME_BINS = 24
_DECILES = np.arange(1, 10) / 10


class NumberPlan(Frozen):
    """How one number or time column is measured against the target."""

    column: str
    kind: Literal["number", "time"] = "number"
    center: float = 0.0
    scale: float = 1.0
    """Values enter sums as (value - center) / scale, so that sums neither cancel nor overflow."""
    edges: tuple[float, ...] = ()
    """Inner edges: bin i holds edges[i - 1] <= value < edges[i]."""
    labels: tuple[str, ...] = ("all",)
    """One a bin."""


def plan_number(column: ColumnProfile, number: NumberSummary) -> NumberPlan:
    """Bins for a number column: its values where there are few, else about its deciles."""
    center, scale = center_and_scale(number)
    values = few_values(column)
    whole = column.dtype.startswith(("int", "uint"))
    if values:
        edges, labels = tuple(values[1:]), tuple(figure(value) for value in values)
    else:
        edges = _decile_edges(number, whole)
        labels = _range_labels(edges)
    return NumberPlan(column=column.name, center=center, scale=scale, edges=edges, labels=labels)


def plan_time(column: ColumnProfile, number: NumberSummary) -> NumberPlan:
    """Bins for a time column, in seconds: calendar units from first to last."""
    center, scale = center_and_scale(number)
    first, last = (to_micros(value or 0.0) for value in (number.min, number.max))
    bucket = choose_bucket(first, last, MAX_TIME_BINS)
    low, high = bucket_range(first, last, bucket)
    step = -(-(high - low + 1) // MAX_TIME_BINS)
    ids = np.arange(low, high + 1, step, dtype=np.int64)
    edges = tuple(float(start) / 1e6 for start in bucket_starts(ids[1:], bucket))
    assert (bucket_ids(bucket_starts(ids, bucket), bucket) == ids).all()
    labels = tuple(bucket_labels(ids, bucket))
    return NumberPlan(column=column.name, kind="time", center=center, scale=scale, edges=edges, labels=labels)


def few_values(column: ColumnProfile) -> list[float]:
    """All values of a number column, ascending, where the profile holds every one of at most 20; else none."""
    if not (column.distinct and column.distinct.exact and column.distinct.count <= MAX_VALUE_BINS):
        return []
    parsed = [_parsed(top.value) for top in column.top]
    values = sorted({value for value in parsed if math.isfinite(value)})
    complete = len(column.top) >= column.distinct.count and sum(top.count for top in column.top) >= column.present
    return values if complete else []


def _parsed(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def center_and_scale(number: NumberSummary) -> tuple[float, float]:
    """Mean and standard deviation, or what comes nearest where those overflowed or vanish."""
    low, high = number.min or 0.0, number.max or 0.0
    center = number.mean
    if center is None or not math.isfinite(center):
        center = low / 2 + high / 2
    scale = number.std
    if scale is None or not math.isfinite(scale) or scale <= 0:
        scale = high / 2 - low / 2
    return center, scale if math.isfinite(scale) and scale > 0 else 1.0


def _decile_edges(number: NumberSummary, whole: bool) -> tuple[float, ...]:
    """Inner edges near the deciles, read off the profile's quantiles and histogram together."""
    low, high = number.min, number.max
    if low is None or high is None or not low < high:
        return ()
    points: list[tuple[float, float]] = [(low, 0.0), (high, 1.0)]
    if number.quantiles:
        points += [(value, float(share)) for share, value in number.quantiles.values.items()]
    histogram = number.histogram
    if histogram and sum(histogram.counts):
        below = np.cumsum(histogram.counts) / sum(histogram.counts)
        points += list(zip(histogram.edges[1:], below.tolist(), strict=True))
    values, shares = np.array(sorted(p for p in points if low <= p[0] <= high)).T
    edges = np.interp(_DECILES, np.maximum.accumulate(shares), values)
    edges = np.ceil(edges) if whole else edges
    return tuple(float(edge) for edge in np.unique(edges) if low < edge <= high)


def _range_labels(edges: tuple[float, ...]) -> tuple[str, ...]:
    if not edges:
        return ("all",)
    inner = [f"{figure(a)} to < {figure(b)}" for a, b in itertools.pairwise(edges)]
    return (f"< {figure(edges[0])}", *inner, f"≥ {figure(edges[-1])}")


def bin_codes(values: FloatArray, edges: tuple[float, ...]) -> NDArray[np.int64]:
    """Bin of each value; for few edges, comparing is several times faster than searching."""
    codes = np.zeros(len(values), np.uint8)
    for edge in edges:
        codes += values >= edge
    return codes.astype(np.int64)


def level_label(text: str) -> str:
    """A category value as a label."""
    return plain(text) if text else "(empty)"
