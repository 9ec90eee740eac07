"""Findings that tell the same fact, told once.

Three rules, in this order:

1. The same type, columns and title: one finding, with the evidence of both.
2. Types that stand for one fact (`FACT_OF`), such as skew, long tails and outliers for the shape of a column: the
   finding of the highest priority tells it, and the figures of the others follow.
3. Columns that hang together (a strong correlation, or a group of them) stand for each other: findings of one type
   about pairs of columns (`PAIRED`) that differ in such columns alone are told by the strongest, and the others are
   named in it. The same holds for columns of times that go with the target.
"""

from __future__ import annotations

from collections.abc import Iterable

from raypipe.insights.words import count, figure, name
from raypipe.results import Insight

FACT_OF = {"skewed": "shape", "heavy_tails": "shape", "outliers": "shape"}
"""Type -> the fact that it tells of its columns, where other types tell the same one."""
PAIRED = ("target_driver", "curved_relation", "explained_correlation", "group_difference", "association")
"""Types about two columns."""
GROUPS = ("strong_correlation", "redundant_group")
SHOWN = 5


def merged(insights: Iterable[Insight]) -> list[Insight]:
    """The findings, with those of one fact joined; the others keep their order."""
    found = list(insights)
    group_of = {column: one.columns_affected for one in found if one.type in GROUPS for column in one.columns_affected}
    together: dict[object, list[Insight]] = {}
    for insight in found:
        together.setdefault(_fact(insight, group_of), []).append(insight)
    return [_joined(same) for same in together.values()]


def kinds_of(insight: Insight) -> tuple[str, ...]:
    """The type of a finding, and those of the findings that were joined with it."""
    return insight.type, *(other["type"] for other in insight.evidence.get("also", ()))


def _fact(insight: Insight, group_of: dict[str, tuple[str, ...]]) -> object:
    """What is equal for findings of the same fact."""
    columns = insight.columns_affected
    if insight.type in FACT_OF:
        return FACT_OF[insight.type], columns
    if insight.type in PAIRED:
        is_time = insight.type == "target_driver" and insight.evidence.get("kind") == "time"
        first = ("", "time") if is_time else group_of.get(columns[0], columns[:1])
        return insight.type, frozenset({first, group_of.get(columns[1], columns[1:])})
    return insight.type, columns, insight.title


def _joined(same: list[Insight]) -> Insight:
    if len(same) == 1:
        return same[0]
    first, *others = sorted(same, key=lambda insight: -insight.priority_score)
    also = [
        {"type": one.type, "columns": list(one.columns_affected), "title": one.title, **one.evidence} for one in others
    ]
    columns = tuple(dict.fromkeys(column for one in (first, *others) for column in one.columns_affected))
    return first.replace(
        description=f"{first.description} {_told(first, others)}",
        columns_affected=columns,
        evidence={**first.evidence, "also": also},
    )


def _told(first: Insight, others: list[Insight]) -> str:
    """What the others add."""
    if first.type not in PAIRED:
        return " ".join(dict.fromkeys(one.description for one in others if one.description != first.description))
    shown = ", ".join(_pair(one) for one in others[:SHOWN])
    rest = f" and {count(len(others) - SHOWN, 'more pair')}" if len(others) > SHOWN else ""
    return f"Columns that tell much the same show it, too: {shown}{rest}."


def _pair(insight: Insight) -> str:
    """The columns of a pair with the effect; of a pair with the target, the other column."""
    columns = insight.columns_affected[:1] if insight.type == "target_driver" else insight.columns_affected
    told = " and ".join(map(name, columns))
    if insight.effect_size is None or insight.effect_measure is None:
        return told
    return f"{told} ({insight.effect_measure.replace('_', ' ')} {figure(insight.effect_size)})"
