"""Is the target made of other numbers: a sum, a difference, a product, a ratio, or a weighted sum of several?"""

from __future__ import annotations

import itertools

import numpy as np

from raypipe.insights.patterns.matrix import FloatArray
from raypipe.insights.target.models import Leak
from raypipe.insights.words import figure, name, names, percent

MIN_ROWS = 50
MIN_DISTINCT = 20
MIN_SHARE = 0.99
PROBE_ROWS = 40
MAX_PROBED = 40
TOLERANCE = 1e-6
"""Of the size of the values: what rounding of floats explains, and no statistics does."""


def made_of(x: FloatArray, y: FloatArray, columns: list[str], target: str) -> Leak | None:
    """The formula of two columns, or the weighted sum of several, that gives the target in 99 % of rows; or None."""
    known = np.isfinite(y)
    if known.sum() < MIN_ROWS or len(np.unique(y[known])) < MIN_DISTINCT or len(columns) < 2:
        return None
    return _pair(x[known], y[known], columns, target) or _weighted_sum(x[known], y[known], columns, target)


def _pair(x: FloatArray, y: FloatArray, columns: list[str], target: str) -> Leak | None:
    probe = slice(0, PROBE_ROWS)
    for i, j in itertools.combinations(range(min(len(columns), MAX_PROBED)), 2):
        for how, first, second in _readings(i, j):
            if _holds(how, x[probe, first], x[probe, second], y[probe])[0] < 0.9:
                continue
            share, rows = _holds(how, x[:, first], x[:, second], y)
            if share >= MIN_SHARE and rows >= MIN_ROWS:
                a, b = columns[first], columns[second]
                sign = {"sum": "+", "difference": "\N{MINUS SIGN}", "product": "\N{MULTIPLICATION SIGN}", "ratio": "/"}
                text = f"{name(target)} is {name(a)} {sign[how]} {name(b)} ({percent(share)} of {rows:,} rows)."
                return Leak(columns=(a, b), kind="derived", how=how, text=text, share=share, rows=rows)
    return None


def _readings(i: int, j: int) -> list[tuple[str, int, int]]:
    return [
        ("sum", i, j),
        ("difference", i, j),
        ("difference", j, i),
        ("product", i, j),
        ("ratio", i, j),
        ("ratio", j, i),
    ]


def _holds(how: str, a: FloatArray, b: FloatArray, y: FloatArray) -> tuple[float, int]:
    """Share of the rows with both columns in which the formula holds, neither being idle; and those rows."""
    with np.errstate(all="ignore"):
        made = {"sum": a + b, "difference": a - b, "product": a * b, "ratio": a / b}[how]
        size = np.maximum(np.abs(a) + np.abs(b) if how in ("sum", "difference") else np.abs(made), np.abs(y))
        ok = np.abs(made - y) <= TOLERANCE * size
    idle = (a == 0) | (b == 0) if how in ("sum", "difference") else (np.abs(a) == 1) | (np.abs(b) == 1) | (y == 0)
    use = np.isfinite(a) & np.isfinite(b) & np.isfinite(made) & ~idle
    return (float(ok[use].mean()) if use.any() else 0.0), int(use.sum())


def _weighted_sum(x: FloatArray, y: FloatArray, columns: list[str], target: str) -> Leak | None:
    """Least squares over the rows where all columns are known: an exact fit with many rows to spare is no chance."""
    full = np.flatnonzero(np.isfinite(x).all(axis=0) & (x.std(axis=0) > 0))
    if len(full) < 2 or len(y) < 3 * len(full) + MIN_ROWS:
        return None
    z = x[:, full]
    spread = np.abs(z).max(axis=0)
    if not np.isfinite(spread).all() or not np.isfinite(z.std(axis=0)).all():
        return None
    design = np.column_stack([z / spread, np.ones(len(y))])
    size = float(np.abs(y).max()) or 1.0
    weights, _, rank, _ = np.linalg.lstsq(design, y / size, rcond=1e-10)
    off = np.abs(design @ weights - y / size)
    share = float((off <= TOLERANCE).mean())
    matter = np.abs(weights[:-1]) * design[:, :-1].std(axis=0) > 1e-4 * float((y / size).std())
    used = [columns[full[i]] for i in np.flatnonzero(matter)]
    if share < MIN_SHARE or float((y / size).std()) < 1e3 * TOLERANCE or len(used) < 2 or rank < 2:
        return None
    text = f"{name(target)} is a weighted sum of {names(used)} ({percent(share)} of {figure(len(y))} rows)."
    return Leak(columns=tuple(used), kind="derived", how="weighted_sum", text=text, share=share, rows=len(y))
