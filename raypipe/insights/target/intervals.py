"""Intervals and p-values of the relations to the target, from the measure and its rows alone."""

from __future__ import annotations

import math

from raypipe.blocks.chance import NORMAL_95, false_discoveries, normal_above, normal_tail
from raypipe.insights.effects import fisher_interval
from raypipe.insights.models import TargetRelation, TargetReport


def with_uncertainty(report: TargetReport, sampled: int = 0) -> TargetReport:
    """The report with an interval, a p-value and a q-value (false discovery rate over all columns) for each column.

    Parameters
    ----------
    sampled : int, default 0
        Rows with a known target that `rank_score` was made of. Where these are all that there are, chance has to be
        excluded by ranks too: means of heavy tails vary more than their spread says.
    """
    by_ranks = 0 < report.rows <= sampled
    p = [
        (normal_tail if relation.measure == "pearson_r" else normal_above)(_score(relation, by_ranks=by_ranks))
        for relation in report.relations
    ]
    q = false_discoveries(p).tolist()
    k = max(len(report.classes), 2)
    return report.replace(
        relations=tuple(
            relation.replace(
                interval=_interval(relation.measure, relation.value, relation.rows, relation.groups or 2, k),
                p_value=p[i],
                q_value=q[i],
            )
            for i, relation in enumerate(report.relations)
        )
    )


def _score(relation: TargetRelation, *, by_ranks: bool) -> float:
    score = relation.score or 0.0
    return min(score, relation.rank_score) if by_ranks and relation.rank_score is not None else score


def _interval(measure: str, value: float, rows: int, groups: int, classes: int) -> tuple[float, float] | None:
    if measure == "pearson_r":
        return fisher_interval(value, rows)
    if measure == "eta_squared":
        low, high = strength_interval(math.sqrt(value), rows, groups - 1)
        return low * low, high * high
    return strength_interval(value, rows, max((groups - 1) * (classes - 1), 1))


def strength_interval(strength: float, rows: int, df: int) -> tuple[float, float]:
    """About a 95 % interval of a strength from 0 to 1 (root of eta squared, Cramér's V), corrected for bias already.

    Fisher's transformation as for a multiple correlation, widened by what `df` degrees of freedom of pure chance add
    to its square.

    References
    ----------
    Fisher (1928), The general sampling distribution of the multiple correlation coefficient.

    Examples
    --------
    >>> [round(end, 2) for end in strength_interval(0.5, 400, 3)]
    [0.41, 0.58]
    """
    if rows < 4 + df:
        return 0.0, 1.0
    half = NORMAL_95 / math.sqrt(rows - 3)
    noise = math.sqrt(2 * df) * NORMAL_95 / rows
    at = math.atanh(min(strength, 1 - 1e-12))
    low = math.tanh(max(at - half, 0.0))
    high = math.tanh(at + half)
    return math.sqrt(max(low * low - noise, 0.0)), min(math.sqrt(high * high + noise), 1.0)
