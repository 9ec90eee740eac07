"""Findings about pairs of columns: correlations, and values missing together."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

from raypipe.insights.effects import fisher_interval, fisher_score, score_limit
from raypipe.insights.facts import MIN_ROWS, Facts, graded, names_rows_or_things
from raypipe.insights.groups import Pair, linked_groups
from raypipe.insights.words import correlation, count, name, names, percent
from raypipe.results import Insight

MIN_R = 0.7
REDUNDANT_R = 0.95
MIN_JACCARD = 0.8
MIN_TOGETHER = 10
MAX_PAIRS_SHOWN = 8
APART = "Do not read their effects in a model apart."

Strength = dict[Pair, tuple[float, int]]
"""Pair of columns -> r and its rows."""


def strong_correlations(facts: Facts) -> Iterator[Insight]:
    """Columns with |r| of at least 0.7; three or more that hang together are told as one group.

    The target's own correlations are told with the target.
    """
    strong = strong_pairs(facts)
    leaks = frozenset(c for leak in (facts.target.leaks if facts.target else ()) for c in leak.columns)
    for group in linked_groups(strong):
        inside = {pair: value for pair, value in strong.items() if pair[0] in set(group)}
        yield _pair(*next(iter(inside.items())), leaks) if len(group) == 2 else _group(group, inside)


def strong_pairs(facts: Facts) -> Strength:
    """Pairs past the limit of strength and of chance, strongest first."""
    matrix = facts.profile.correlation
    ids = {column.name for column in facts.profile.columns if names_rows_or_things(column)}
    pairs: Strength = {}
    limit = score_limit(len(matrix.columns) * (len(matrix.columns) - 1) // 2)
    for (i, a), (j, b) in itertools.combinations(enumerate(matrix.columns), 2):
        r, n = matrix.r[i][j], matrix.pairs[i][j]
        if r is None or abs(r) < MIN_R or n < MIN_ROWS or fisher_score(r, n) < limit:
            continue
        if facts.target_name not in (a, b) and not {a, b} & ids:
            pairs[a, b] = (r, n)
    return dict(sorted(pairs.items(), key=lambda item: -abs(item[1][0])))


def _pair(pair: Pair, strength: tuple[float, int], leaks: frozenset[str]) -> Insight:
    (a, b), (r, n) = pair, strength
    together = "rise together" if r > 0 else "move against each other"
    redundant = abs(r) >= REDUNDANT_R
    interval = fisher_interval(r, n)
    return Insight(
        type="strong_correlation",
        category="correlation",
        title=f"{name(a)} and {name(b)} {together}",
        description=f"Pearson's {correlation(r, n)}: a line through one explains {percent(r * r)} of the spread"
        " of the other.",
        impact="They hold nearly the same information." if redundant else "They share much of their information.",
        columns_affected=pair,
        priority_score=graded(abs(r), (MIN_R, 4), (1.0, 8)),
        evidence={"r": r, "rows": n, "interval_95": list(interval) if interval else None, "threshold": MIN_R},
        recommendation=_of_two(pair, leaks) if redundant else APART,
    )


def _of_two(pair: Pair, leaks: frozenset[str]) -> str:
    """Which of two near copies to keep: not the one that is left out for another reason."""
    kept = [column for column in pair if column not in leaks]
    if len(kept) == 1:
        return f"Keep {name(kept[0])} in a model: the other may be known only after the target."
    return "Keep one of the two in a model."


def _group(group: list[str], pairs: Strength) -> Insight:
    strengths = [abs(r) for r, _ in pairs.values()]
    shown = list(pairs.items())[:MAX_PAIRS_SHOWN]
    told = "; ".join(f"{name(a)} and {name(b)}: {correlation(r, n)}" for (a, b), (r, n) in shown[:3])
    copied = linked_groups(pair for pair, (r, _) in pairs.items() if abs(r) >= REDUNDANT_R)
    copies = ", one of ".join(names(same) for same in copied)
    possible = len(group) * (len(group) - 1) // 2
    return Insight(
        type="redundant_group",
        category="correlation",
        title=f"{len(group)} columns hang together: {names(group, 3)}",
        description=f"{len(pairs)} of their {possible} pairs have |r| of at least {MIN_R}. Strongest: {told}.",
        impact="They share much of their information; a model cannot say which of them matters.",
        columns_affected=tuple(group),
        priority_score=graded(max(strengths), (MIN_R, 5), (1.0, 8)),
        evidence={
            "pairs": [{"columns": list(pair), "r": r, "rows": n} for pair, (r, n) in shown],
            "pairs_past_threshold": len(pairs),
            "pairs_in_group": possible,
            "strongest": max(strengths),
            "weakest_shown": min(abs(r) for _, (r, _) in shown),
            "near_copies": [list(same) for same in copied],
            "threshold": MIN_R,
        },
        recommendation=f"In a model keep one of {copies}, which nearly repeat each other, and do not read the effects"
        " of the others apart."
        if copies
        else APART,
    )


def missing_together(facts: Facts) -> Iterator[Insight]:
    """Columns that are null in nearly the same rows."""
    table = facts.profile.missingness
    rows = facts.profile.rows
    if rows < MIN_ROWS:
        return
    pairs: dict[Pair, tuple[float, float, int]] = {}
    for (i, a), (j, b) in itertools.combinations(enumerate(table.columns), 2):
        both, only_a, only_b = table.together[i][j], table.together[i][i], table.together[j][j]
        either = only_a + only_b - both
        if both < MIN_TOGETHER or both / either < MIN_JACCARD or max(only_a, only_b) == rows:
            continue
        phi = _phi(both, only_a, only_b, rows)
        if abs(phi) * math.sqrt(rows) >= score_limit(len(table.columns) ** 2):
            pairs[a, b] = (both / either, phi, both)
    ordered = dict(sorted(pairs.items(), key=lambda item: -item[1][0]))
    for group in linked_groups(ordered):
        yield _missing_group(group, {pair: value for pair, value in ordered.items() if pair[0] in set(group)}, rows)


def _phi(both: int, a: int, b: int, rows: int) -> float:
    """Correlation of two yes/no facts from their counts."""
    spread = math.sqrt(a * (rows - a)) * math.sqrt(b * (rows - b))
    return (rows * both - a * b) / spread if spread else 0.0


def _missing_group(group: list[str], pairs: dict[Pair, tuple[float, float, int]], rows: int) -> Insight:
    least = min(jaccard for jaccard, _, _ in pairs.values())
    most = max(both for _, _, both in pairs.values())
    always = least == 1.0
    sets = linked_groups(pair for pair, (jaccard, _, _) in pairs.items() if jaccard == 1.0)
    told = f" Always together: {'; '.join(names(same) for same in sets)}." if sets and not always else ""
    share = "all of them are" if always else f"at least {percent(least)} lack both"
    where = "any of them is" if always else "either of a pair is"
    return Insight(
        type="missing_together",
        category="data_quality",
        title=f"{names(group, 4)} are {'always' if always else 'mostly'} missing together",
        description=f"Of the rows where {where} null, {share}{' null' if always else ''} (up to {most:,} rows,"
        f" {percent(most / rows)} of the table).{told}",
        impact="They are not missing each by itself: a common cause is likely, and these rows are of their own kind.",
        columns_affected=tuple(group),
        priority_score=graded(most / rows * least, (0.0, 4), (0.3, 8)),
        evidence={
            "rows_together": most,
            "share": most / rows,
            "least_jaccard": least,
            "pairs": [
                {"columns": list(pair), "jaccard": figures[0], "phi": figures[1], "rows": figures[2]}
                for pair, figures in list(pairs.items())[:MAX_PAIRS_SHOWN]
            ],
            "threshold": {"jaccard": MIN_JACCARD, "rows": MIN_TOGETHER},
        },
        recommendation="Find out what these rows are (a status, a source, a date?) before filling any of the columns;"
        f" up to {count(most, 'row')} are affected.",
    )
