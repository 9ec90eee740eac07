"""Pairs of columns in a sample: the screening, its strongest pairs, comparisons of groups, partial correlations."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from raypipe.blocks.chance import false_discoveries
from raypipe.blocks.profile import Correlation, Profile
from raypipe.insights.bins import center_and_scale
from raypipe.insights.chance import chi_squared_tail, f_tail, t_tails
from raypipe.insights.effects import fisher_interval
from raypipe.insights.statistics.coding import ColumnCode, coarser
from raypipe.insights.statistics.groups import (
    GroupSums,
    cohens_d,
    epsilon_squared,
    eta_interval,
    eta_squared,
    kruskal,
    welch,
)
from raypipe.insights.statistics.models import Group, GroupComparison, PairMatrix, PartialCorrelation
from raypipe.insights.statistics.pairs import PairPlan
from raypipe.insights.statistics.ranks import correlations, kendall_matrix, ranks
from raypipe.insights.statistics.screen import SCREEN_BINS, Screen, screen

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MAX_ADJUSTED_P = 0.01
MIN_STRENGTH = 0.1
"""Cohen's small effect: weaker pairs are not listed, however sure they are."""
MATRIX_COLUMNS = 60
KENDALL_COLUMNS = 30
MAX_COMPARISONS = 500
MAX_KEPT = 50
COMPARED_CELLS = 4_000_000
MIN_GROUP_ROWS = 10
MAX_PARTIAL = 30
MAX_COLLINEAR = 0.9
"""Held fixed, a near copy of a column would leave nothing of any of its correlations."""
MIN_EIGENVALUE = 1e-6


@dataclass(frozen=True)
class Coded:
    """The columns of a sample as codes."""

    codes: tuple[ColumnCode, ...]
    cells: list[Ints]
    values: list[Floats | None]

    @classmethod
    def of(cls, codes: tuple[ColumnCode, ...], sample: pa.Table) -> Coded:
        """Each column encoded."""
        encoded = [code.encode(sample) for code in codes]
        return cls(codes, [cells for cells, _ in encoded], [values for _, values in encoded])

    def coarse(self, most: int = SCREEN_BINS) -> list[tuple[Ints, Ints]]:
        """For each column, codes below `most` (-1: unknown), and where each of its codes went."""
        found = []
        for code, cells in zip(self.codes, self.cells, strict=True):
            counts = np.bincount(cells[cells >= 0], minlength=code.size)
            places = coarser(code, counts, most)
            found.append((np.where(cells < 0, -1, places[cells]), places))
        return found


def strongest(coded: Coded, found: Screen, profile: Profile, most: int) -> tuple[list[PairPlan], int, int]:
    """The pairs that pass chance and size, strongest first; how many pass, and how many were tried."""
    k = len(coded.codes)
    i, j = np.triu_indices(k, 1)
    tried = found.rows[i, j] > 0
    i, j = i[tried], j[tried]
    p = false_discoveries(found.p[i, j])
    passing = (p < MAX_ADJUSTED_P) & (found.v[i, j] >= MIN_STRENGTH)
    order = np.flatnonzero(passing)
    order = order[np.argsort(-found.v[i[order], j[order]], kind="stable")][:most]
    plans = [_plan(coded, profile, int(i[n]), int(j[n]), found, float(p[n])) for n in order.tolist()]
    return plans, int(passing.sum()), len(i)


def _plan(coded: Coded, profile: Profile, i: int, j: int, found: Screen, p: float) -> PairPlan:
    a, b = coded.codes[i], coded.codes[j]
    units = [
        center_and_scale(number) if (number := profile.column(code.column).number) else (0.0, 1.0) for code in (a, b)
    ]
    return PairPlan(
        a=a,
        b=b,
        strength=float(found.v[i, j]),
        adjusted_p=p,
        centers=(units[0][0], units[1][0]),
        scales=(units[0][1], units[1][1]),
    )


def screened(coded: Coded, indicators: list[Ints]) -> Screen:
    """The association of all columns, and of `indicators` (0 and 1) with them and with each other, in this order."""
    cells = [*(cells for cells, _ in coded.coarse()), *indicators]
    return screen(np.array(cells) if cells else np.zeros((0, 0), np.int64))


def association_matrix(coded: Coded, found: Screen, rows: int) -> PairMatrix:
    """Bias-corrected Cramér's V of all coded columns of a table of `rows` rows."""
    k = len(coded.codes)
    v = found.v[:k, :k].copy()
    np.fill_diagonal(v, 1.0)
    return PairMatrix(
        measure="cramers_v",
        columns=tuple(code.column for code in coded.codes),
        values=_cells(v),
        rows=int(found.rows[:k, :k].max(initial=0)),
        exact=found.looked_at == rows,
        method=f"bias-corrected, over at most {SCREEN_BINS} values or bins of about equal size a column",
    )


def _cells(matrix: Floats) -> tuple[tuple[float | None, ...], ...]:
    return tuple(tuple(None if math.isnan(cell) else round(cell, 6) for cell in row) for row in matrix.tolist())


def pearson_matrix(profile: Profile) -> PairMatrix:
    """The profile's own, over all rows."""
    matrix = profile.correlation
    rows = max((max(row) for row in matrix.pairs), default=0)
    return PairMatrix(
        measure="pearson", columns=matrix.columns, values=matrix.r, rows=rows, exact=True, method="over complete pairs"
    )


def rank_matrices(coded: Coded, exact: bool) -> list[PairMatrix]:
    """Spearman's rho and Kendall's tau-b of the number columns."""
    numbers = [
        (code.column, values) for code, values in zip(coded.codes, coded.values, strict=True) if values is not None
    ][:MATRIX_COLUMNS]
    if len(numbers) < 2:
        return []
    names = tuple(name for name, _ in numbers)
    rho, rows = correlations(np.array([ranks(values) for _, values in numbers]))
    np.fill_diagonal(rho, 1.0)
    tau, pairs = kendall_matrix(np.array([values for _, values in numbers[:KENDALL_COLUMNS]]))
    looked_at, all_rows = int(pairs.max(initial=0)), int(rows.max(initial=0))
    return [
        PairMatrix(
            measure="spearman",
            columns=names,
            values=_cells(rho),
            rows=all_rows,
            exact=exact,
            method="ranks within each column, compared over complete pairs",
        ),
        PairMatrix(
            measure="kendall",
            columns=names[:KENDALL_COLUMNS],
            values=_cells(tau),
            rows=looked_at,
            exact=exact and looked_at == all_rows,
            method="tau-b over complete pairs of the first rows of the sample",
        ),
    ]


def compare_groups(coded: Coded, all_rows: int) -> tuple[list[GroupComparison], int]:
    """Every number between the values of every category, largest effect first, and how many were tried.

    A comparison is exact where it looked at all rows of the table, `all_rows`.
    """
    categories = [n for n, code in enumerate(coded.codes) if code.kind == "category"]
    numbers = [n for n, code in enumerate(coded.codes) if code.kind == "number"]
    combinations = list(itertools.product(categories, numbers))[:MAX_COMPARISONS]
    rows = max(1_000, COMPARED_CELLS // max(len(combinations), 1))
    exact = all_rows <= rows and all(len(cells) == all_rows for cells in coded.cells)
    compared = [one for i, j in combinations if (one := _compare(coded, i, j, rows)) is not None]
    if not compared:
        return [], 0
    found, ratios = [one for one, _ in compared], np.array([ratio for _, ratio in compared])
    degrees = np.array([len(one.groups) - 1 for one in found])
    kruskal_p = false_discoveries(chi_squared_tail(np.array([one.kruskal_h for one in found]), degrees))
    welch_p = false_discoveries(f_tail(*ratios.T))
    corrected = [
        one.replace(welch_p=None if one.welch_f is None else a, kruskal_p=b, exact=exact)
        for one, a, b in zip(found, welch_p.tolist(), kruskal_p.tolist(), strict=True)
    ]
    return sorted(corrected, key=lambda one: -one.epsilon_squared)[:MAX_KEPT], len(found)


_NO_TEST = (0.0, 1.0, 1.0)
Ratio = tuple[float, float, float]


def _compare(coded: Coded, category: int, number: int, rows: int) -> tuple[GroupComparison, Ratio] | None:
    """One comparison without its p-values, and the F ratio; None where there are not two groups of enough rows."""
    code, values = coded.codes[category], coded.values[number]
    assert values is not None
    cells, values = coded.cells[category][:rows], values[:rows]
    known = (cells >= 0) & ~np.isnan(values)
    sizes = np.bincount(cells[known], minlength=code.size)
    large = sizes >= MIN_GROUP_ROWS
    known &= large[np.maximum(cells, 0)]
    if large.sum() < 2:
        return None
    kept, x = (np.cumsum(large) - 1)[cells[known]], values[known]
    sums = GroupSums.of(kept, x, int(large.sum()))
    eta, by_ranks = eta_squared(sums), kruskal(kept, x)
    if eta is None or by_ranks is None:
        return None
    h, df, rank_epsilon = by_ranks
    by_means, distance = welch(sums), cohens_d(sums)
    labels = [label for label, is_large in zip(code.labels(), large.tolist(), strict=True) if is_large]
    groups = [
        Group(value=label, rows=int(n), mean=float(mean))
        for label, n, mean in zip(labels, sums.n, sums.mean, strict=True)
    ]
    found = GroupComparison(
        category=code.column,
        number=coded.codes[number].column,
        groups=tuple(sorted(groups, key=lambda group: -group.rows)),
        rows=len(x),
        epsilon_squared=epsilon_squared(eta, len(groups), len(x)),
        interval=eta_interval(kept, x, eta),
        welch_f=by_means[0] if by_means else None,
        kruskal_h=h,
        kruskal_p=1.0,
        rank_epsilon_squared=max(rank_epsilon - df / max(len(x) - 1, 1), 0.0),
        cohens_d=distance[0] if distance else None,
        cohens_d_interval=distance[1] if distance else None,
    )
    return found, by_means or _NO_TEST


def partial_correlations(matrix: Correlation) -> tuple[list[PartialCorrelation], str | None]:
    """What is left of each correlation when the other columns are held fixed, largest change first; or why not.

    References
    ----------
    Whittaker (1990), Graphical models in applied multivariate statistics: from the inverse of the matrix.
    """
    columns = _independent(matrix)
    if len(columns) < 3:
        return [], "takes three number columns that are not near copies of each other"
    r = np.array([[matrix.r[i][j] for j in columns] for i in columns], np.float64)
    n = min(matrix.pairs[i][j] for i in columns for j in columns)
    values, vectors = np.linalg.eigh(r)
    if values[0] < MIN_EIGENVALUE:
        return [], "a column is a sum of others, or gaps make the correlations contradict each other"
    if n - len(columns) < 10:
        return [], f"{n:,} rows are too few for {len(columns)} columns"
    inverse = (vectors / values) @ vectors.T
    scale = np.sqrt(np.diagonal(inverse))
    partial = np.clip(-inverse / np.outer(scale, scale), -1.0, 1.0)
    i, j = np.triu_indices(len(columns), 1)
    left = partial[i, j]
    degrees = n - len(columns)
    p = false_discoveries(t_tails(np.abs(left) * np.sqrt(degrees / np.maximum(1 - left * left, 1e-15)), degrees))
    found = [
        PartialCorrelation(
            columns=(matrix.columns[columns[a]], matrix.columns[columns[b]]),
            r=float(r[a, b]),
            partial=float(one),
            # As with r itself, but the columns held fixed take a row each.
            interval=fisher_interval(float(one), n - (len(columns) - 2)),
            p_value=float(chance),
        )
        for a, b, one, chance in zip(i.tolist(), j.tolist(), left, p, strict=True)
    ]
    return sorted(found, key=lambda one: -abs(one.r - one.partial))[:MAX_KEPT], None


def _independent(matrix: Correlation) -> list[int]:
    """Places of columns that vary and are no near copy of an earlier one."""
    kept: list[int] = []
    for i in range(len(matrix.columns)):
        row = [matrix.r[i][j] for j in kept]
        varies = any(r is not None for j, r in enumerate(matrix.r[i]) if j != i)
        if varies and all(r is not None and abs(r) < MAX_COLLINEAR for r in row):
            kept.append(i)
    return kept[:MAX_PARTIAL]
