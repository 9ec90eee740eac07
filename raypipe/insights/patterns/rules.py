"""Frequent patterns: values of two or three columns that occur together more often than chance has it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from raypipe.config.insights.patterns import PatternsConfig
from raypipe.insights.chance import hypergeometric_at_least
from raypipe.insights.effects import score_limit
from raypipe.insights.patterns.matrix import FloatArray, Matrix
from raypipe.insights.patterns.models import Rule

MIN_ROWS = 100
MIN_TOGETHER = 20
MAX_ITEMS = 200
MIN_LIFT = 1.2
MIN_PHI = 0.3
"""Cohen's medium effect."""
MAX_RULES = 50
MAX_BASES = 20
"""Pairs that are tried with a third value."""
Item = tuple[int, int]


@dataclass(frozen=True)
class _Items:
    """The frequent values, as one row a value."""

    items: list[Item]
    hits: FloatArray
    """Shape (rows, items), 0 or 1."""


def find_rules(matrix: Matrix, settings: PatternsConfig, tied: frozenset[tuple[str, str]]) -> tuple[Rule, ...]:
    """Pairs of values, and triples that say more than the pairs in them, most closely tied first.

    Parameters
    ----------
    tied : frozenset
        Pairs of columns of which one follows from the other: their values go together for that reason.
    """
    if matrix.rows < MIN_ROWS or len(matrix.categories) < 2:
        return ()
    table = _frequent(matrix, settings)
    pairs, tests = _pairs(matrix, table, settings, tied)
    triples, more = _triples(matrix, table, pairs[:MAX_BASES], settings)
    rules = [_rule(matrix, table, places, tests + more) for places in [*pairs, *triples]]
    sure = [rule for rule in rules if rule.p_value <= settings.alpha and rule.lift >= MIN_LIFT]
    return tuple(sorted(sure, key=lambda rule: (-round(rule.phi, 9), rule.items))[:MAX_RULES])


def _frequent(matrix: Matrix, settings: PatternsConfig) -> _Items:
    """Values with enough rows, and not nearly all; the most frequent ones of too many."""
    least = max(MIN_TOGETHER, settings.min_support * matrix.rows)
    counted: list[tuple[int, Item]] = []
    for column, levels in enumerate(matrix.levels):
        counts = np.bincount(matrix.codes[:, column] + 1, minlength=len(levels) + 1)[1:]
        counted += [(int(n), (column, level)) for level, n in enumerate(counts) if least <= n <= 0.95 * matrix.rows]
    items = sorted(item for _, item in sorted(counted, key=lambda one: (-one[0], one[1]))[:MAX_ITEMS])
    hits = np.column_stack([matrix.codes[:, c] == level for c, level in items] or [np.zeros((matrix.rows, 0))])
    return _Items(items, hits.astype(float))


def _pairs(
    matrix: Matrix, table: _Items, settings: PatternsConfig, tied: frozenset[tuple[str, str]]
) -> tuple[list[tuple[int, ...]], int]:
    """Pairs past the limits of support, effect and a normal approximation of chance, closest first; and all tried."""
    n, sizes = matrix.rows, table.hits.sum(axis=0)
    both = table.hits.T @ table.hits
    phi = _phi(both, sizes[:, None], sizes[None, :], n)
    names = matrix.categories
    apart = np.array(
        [
            [a < b and not {(names[a], names[b]), (names[b], names[a])} & tied for b, _ in table.items]
            for a, _ in table.items
        ]
    ).reshape(len(table.items), -1)
    tests = max(int(apart.sum()), 1)
    enough = both >= max(MIN_TOGETHER, settings.min_support * n)
    sure = apart & enough & (phi >= MIN_PHI) & (phi * np.sqrt(n) >= score_limit(tests, settings.alpha))
    found = [tuple(place) for place in np.argwhere(sure).tolist()]
    return sorted(found, key=lambda p: (-round(float(phi[p]), 9), p)), tests


def _phi(both: FloatArray, a: FloatArray, b: FloatArray, n: int) -> FloatArray:
    """Correlation of yes/no facts from their counts."""
    spread = np.sqrt(a * (n - a)) * np.sqrt(b * (n - b))
    return np.asarray((n * both - a * b) / np.where(spread > 0, spread, np.inf))


def _triples(
    matrix: Matrix, table: _Items, bases: list[tuple[int, ...]], settings: PatternsConfig
) -> tuple[list[tuple[int, ...]], int]:
    """Triples whose third value goes with the pair beyond what it does with either value of it."""
    found: list[tuple[int, ...]] = []
    tests = 0
    for i, j in bases:
        for k, (column, _) in enumerate(table.items):
            if column in (table.items[i][0], table.items[j][0]):
                continue
            tests += 1
            if _adds(table.hits, (i, j, k), settings):
                found.append((i, j, k))
    return found, tests


def _adds(hits: FloatArray, places: tuple[int, int, int], settings: PatternsConfig) -> bool:
    """Within the rows of each single value, the third value goes with the other one."""
    i, j, k = places
    for given, other in ((i, j), (j, i)):
        inside = hits[hits[:, given] > 0]
        n, a, b = len(inside), inside[:, other].sum(), inside[:, k].sum()
        both = float((inside[:, other] * inside[:, k]).sum())
        if both < max(MIN_TOGETHER, settings.min_support * len(hits)):
            return False
        phi = float(_phi(np.array(both), np.array(a), np.array(b), n))
        if phi < MIN_PHI or phi * np.sqrt(n) < score_limit(1000, settings.alpha):
            return False
    return True


def _rule(matrix: Matrix, table: _Items, places: tuple[int, ...], tests: int) -> Rule:
    n = matrix.rows
    *given, last = places
    base = table.hits[:, given].all(axis=1)
    then = table.hits[:, last] > 0
    both, a, b = int((base & then).sum()), int(base.sum()), int(then.sum())
    expected = n * float(np.prod([table.hits[:, place].mean() for place in places]))
    p = hypergeometric_at_least(both, a, b, n)
    return Rule(
        items=tuple(_item(matrix, table.items[place]) for place in places),
        rows=both,
        support=both / n,
        lift=both / expected,
        confidence=both / a,
        phi=float(_phi(np.array(float(both)), np.array(float(a)), np.array(float(b)), n)),
        p_value=min(1.0, p * tests),
    )


def _item(matrix: Matrix, item: Item) -> tuple[str, str]:
    return matrix.categories[item[0]], matrix.levels[item[0]][item[1]]
