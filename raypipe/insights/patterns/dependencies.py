"""Functional dependencies that hold but for a few rows: g3, the share of rows to take away so that they hold."""

from __future__ import annotations

import itertools
import math

import numpy as np

from raypipe.blocks.chance import wilson_interval
from raypipe.insights.patterns.matrix import FloatArray, IntArray, Matrix
from raypipe.insights.patterns.models import Dependency

MIN_ROWS = 100
MAX_G3 = 0.01
MIN_SAVED = 0.9
"""Share of wrong guesses that knowing the determinant must save: a column that is nearly constant follows from all."""
MIN_GROUP = 5
"""Mean rows a value of the determinant: fewer fit anything."""
MIN_MINORITY = 20
"""Rows of the dependent off its most frequent value; fewer are no evidence."""
MAX_COLUMNS = 40
MAX_PAIR_COLUMNS = 10
MAX_VALUES = 2_000
MAX_FOUND = 50
MAX_EXCEPTIONS = 5

Coded = tuple[str, IntArray, list[str]]


def find_dependencies(matrix: Matrix) -> tuple[Dependency, ...]:
    """Dependencies on one column, then on two where neither alone is enough, most exact first."""
    if matrix.rows < MIN_ROWS:
        return ()
    columns = _columns(matrix)
    single = {
        (a[0], b[0]): found for a, b in itertools.permutations(columns, 2) if (found := follows(a, b)) is not None
    }
    out = [
        found.replace(both_ways=(b, a) in single) for (a, b), found in single.items() if (b, a) not in single or a < b
    ]
    few = columns[:MAX_PAIR_COLUMNS]
    for a, b in itertools.combinations(few, 2):
        if (a[0], b[0]) in single or (b[0], a[0]) in single:
            continue
        joint = _joint(a, b)
        for c in few:
            known = c[0] in (a[0], b[0]) or (a[0], c[0]) in single or (b[0], c[0]) in single
            if not known and (found := follows(joint, c)) is not None:
                out.append(found.replace(determinant=(a[0], b[0])))
    return tuple(
        sorted(out, key=lambda one: (len(one.determinant), one.g3, one.determinant, one.dependent))[:MAX_FOUND]
    )


def _columns(matrix: Matrix) -> list[Coded]:
    """Categories and numbers that repeat, as codes, fewest values first."""
    coded: list[Coded] = [(name, matrix.codes[:, i], matrix.levels[i]) for i, name in enumerate(matrix.categories)]
    for i, name in enumerate(matrix.numbers):
        values = matrix.values[:, i]
        distinct = np.unique(values[np.isfinite(values)])
        if 2 <= len(distinct) <= min(MAX_VALUES, matrix.rows / MIN_GROUP):
            codes = np.where(np.isfinite(values), np.searchsorted(distinct, values), -1).astype(np.int64)
            coded.append((name, codes, [f"{value:g}" for value in distinct.tolist()]))
    return sorted(coded, key=lambda one: (len(one[2]), one[0]))[:MAX_COLUMNS]


def _joint(a: Coded, b: Coded) -> Coded:
    known = (a[1] >= 0) & (b[1] >= 0)
    pair = np.where(known, a[1] * len(b[2]) + b[1], -1)
    used, codes = np.unique(pair, return_inverse=True)
    codes = codes - 1 if len(used) and used[0] < 0 else codes
    texts = [f"{a[2][value // len(b[2])]}, {b[2][value % len(b[2])]}" for value in used.tolist() if value >= 0]
    return "", codes.astype(np.int64), texts


def follows(a: Coded, b: Coded) -> Dependency | None:
    """Whether `b` follows from `a` with few exceptions, and by more than chance."""
    known = (a[1] >= 0) & (b[1] >= 0)
    left, right, n = a[1][known], b[1][known], int(known.sum())
    sizes = np.bincount(left, minlength=len(a[2]))
    totals = np.bincount(right, minlength=len(b[2]))
    groups = int((sizes > 0).sum())
    wrong = n - int(totals.max(initial=0))
    if n < MIN_ROWS or groups < 2 or n < MIN_GROUP * groups or wrong < MIN_MINORITY:
        return None
    table = np.zeros((len(a[2]), len(b[2])))
    np.add.at(table, (left, right), 1.0)
    best = table.max(axis=1)
    errors = n - int(best.sum())
    saved = 1 - errors / wrong
    if errors / n > MAX_G3 or saved < MIN_SAVED or not _beyond_chance(table, totals, n):
        return None
    broken = np.flatnonzero((table > 0).sum(axis=1) > 1)
    order = broken[np.argsort(-(sizes[broken] - best[broken]), kind="stable")][:MAX_EXCEPTIONS]
    return Dependency(
        determinant=(a[0],),
        dependent=b[0],
        g3=errors / n,
        interval=wilson_interval(errors, n),
        lift=saved,
        groups=groups,
        rows=n,
        exceptions=tuple(a[2][place] for place in order),
    )


def _beyond_chance(table: FloatArray, totals: IntArray, n: int) -> bool:
    """Whether groups as pure as these would hardly arise from rows thrown together at random.

    Each row beyond the first of a pure group agrees with it by chance at most as often as the most frequent value
    occurs: the product over all of them bounds the chance.
    """
    top = float(totals.max()) / n
    repeats = float(np.maximum(table.sum(axis=1) - 1, 0).sum())
    errors = float(table.sum() - table.max(axis=1).sum())
    # An exception may be any of the rows: its place is paid for.
    return (repeats - errors) * math.log(top) + errors * math.log(max(n, 2)) < math.log(1e-9)
