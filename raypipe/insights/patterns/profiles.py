"""What sets a group of rows apart, column by column."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from raypipe.blocks.chance import NORMAL_95
from raypipe.insights.effects import fisher_score, score_limit
from raypipe.insights.patterns.matrix import FloatArray, Matrix
from raypipe.insights.patterns.models import Contrast

MIN_NUMBER_EFFECT = 0.3
MIN_SHARE_EFFECT = 0.15
MAX_CONTRASTS = 8
Mask = NDArray[np.bool_]


def contrasts(matrix: Matrix, inside: Mask) -> tuple[Contrast, ...]:
    """The columns in which rows inside differ most from those outside, with effects past small and past chance."""
    limit = score_limit(len(matrix.numbers) + len(matrix.categories), 0.001)
    found = [
        one
        for i, name in enumerate(matrix.numbers)
        if (one := _of_number(name, matrix.values[:, i], inside, limit)) is not None
    ]
    found += [
        one
        for i, name in enumerate(matrix.categories)
        if (one := _of_category(matrix, i, name, inside, limit)) is not None
    ]
    return tuple(sorted(found, key=lambda one: (-abs(one.effect), one.column))[:MAX_CONTRASTS])


def _of_number(name: str, values: FloatArray, inside: Mask, limit: float) -> Contrast | None:
    known = np.isfinite(values)
    a, b = values[known & inside], values[known & ~inside]
    if len(a) < 5 or len(b) < 5:
        return None
    effect = rank_biserial(a, b)
    score = abs(effect) * np.sqrt(3.0 * len(a) * len(b) / (len(a) + len(b) + 1))
    if abs(effect) < MIN_NUMBER_EFFECT or score < limit:
        return None
    return Contrast(column=name, kind="number", effect=effect, inside=float(np.median(a)), outside=float(np.median(b)))


def rank_biserial(a: FloatArray, b: FloatArray) -> float:
    """P(a > b) - P(a < b) for a value of each, ties in the middle: -1 to 1.

    References
    ----------
    Cureton (1956), Rank-biserial correlation. Its standard score is that of the Mann-Whitney test.

    Examples
    --------
    >>> rank_biserial(np.array([3.0, 4.0]), np.array([1.0, 2.0, 3.0]))
    0.8333333333333334
    """
    return float(_standing(a, b).mean() / len(b))


def rank_biserial_interval(a: FloatArray, b: FloatArray) -> tuple[float, float]:
    """The 95 % interval of `rank_biserial`; of fewer than two values a side all that is possible.

    References
    ----------
    DeLong, DeLong, Clarke-Pearson (1988), Comparing the areas under two or more correlated receiver operating
    characteristic curves: the variance. Pepe (2003): on the scale of the logit, which is Fisher's here.
    """
    own, other = _standing(a, b) / len(b), _standing(b, a) / len(a)
    r = float(own.mean())
    if min(len(a), len(b)) < 2:
        return -1.0, 1.0
    if abs(r) >= 1.0:
        # No value crosses over: a share up to 3 / n of them could, and would not have been seen (the rule of three).
        near = max(1 - 6 / min(len(a), len(b)), -1.0)
        return (near, 1.0) if r > 0 else (-1.0, -near)
    error = math.sqrt(float(own.var(ddof=1)) / len(a) + float(other.var(ddof=1)) / len(b))
    half = NORMAL_95 * error / (1 - r * r)
    return math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half)


def _standing(a: FloatArray, b: FloatArray) -> FloatArray:
    """For each value of `a`, how many of `b` lie below it less those above."""
    ordered = np.sort(b)
    below, upto = np.searchsorted(ordered, a, "left"), np.searchsorted(ordered, a, "right")
    return np.asarray(below + upto - len(b), np.float64)


def _of_category(matrix: Matrix, i: int, name: str, inside: Mask, limit: float) -> Contrast | None:
    codes, size = matrix.codes[:, i], len(matrix.levels[i])
    a = np.bincount(codes[inside & (codes >= 0)], minlength=size)
    b = np.bincount(codes[~inside & (codes >= 0)], minlength=size)
    if a.sum() < 5 or b.sum() < 5:
        return None
    share_a, share_b = a / a.sum(), b / b.sum()
    place = int(np.abs(share_a - share_b).argmax())
    effect = float(share_a[place] - share_b[place])
    both = float((a + b)[place] / (a + b).sum())
    n = int((a + b).sum())
    phi = effect * np.sqrt(a.sum() * b.sum()) / (n * np.sqrt(max(both * (1 - both), 1e-12)))
    if abs(effect) < MIN_SHARE_EFFECT or fisher_score(float(phi), n) < limit:
        return None
    return Contrast(
        column=name,
        kind="category",
        effect=effect,
        inside=float(share_a[place]),
        outside=float(share_b[place]),
        level=matrix.levels[i][place],
    )
