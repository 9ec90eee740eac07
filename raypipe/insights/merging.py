"""Findings that tell the same fact, told once.

Three rules, in this order:

1. The same type, columns and title: one finding, with the evidence of both.
2. Types that stand for one fact (`FACT_OF`), such as skew, long tails and outliers for the shape of a column, or all
   that says how much two columns share: the finding of the highest priority tells it, and the figures of the others
   follow. Columns that follow from each other (`TIES`) share everything, so that what else is said of such columns is
   told with it.
3. Columns that hang together (a strong correlation, a group of them, or the same information) stand for each other:
   findings of one type about pairs of columns (`PAIRED`) that differ in such columns alone are told by the strongest,
   and the others are named in it. The same holds for columns of times that go with the target.
"""

from __future__ import annotations

from collections.abc import Iterable

from raypipe.insights.wording.catalogue import Catalogue
from raypipe.results import Insight

FACT_OF = {
    "skewed": "shape", "heavy_tails": "shape", "outliers": "shape",
    "missing_values": "gaps", "missing_depends": "gaps",
    "association": "shared", "frequent_pattern": "shared", "same_information": "shared", "dependency": "shared",
}  # fmt: skip
"""Type -> the fact that it tells of its columns, in any order, where other types tell the same one."""
TIES = ("same_information", "dependency")
COVERED = ("association", "frequent_pattern", "strong_correlation")
"""Types that only say of two columns, less sharply, what one of `TIES` says of them and perhaps others."""
PAIRED = ("target_driver", "curved_relation", "explained_correlation", "group_difference", "association")
"""Types about two columns."""
GROUPS = ("strong_correlation", "redundant_group", "same_information")
"""Types whose columns stand for each other."""
SHOWN = 5


def merged(insights: Iterable[Insight], words: Catalogue | None = None) -> list[Insight]:
    """The findings, with those of one fact joined; the others keep their order."""
    words = words or Catalogue()
    found = list(insights)
    group_of = {column: one.columns_affected for one in found if one.type in GROUPS for column in one.columns_affected}
    ties = [one for one in found if one.type in TIES]
    together: dict[object, list[Insight]] = {}
    for insight in found:
        tie = next((one for one in ties if _covers(one, insight)), insight)
        together.setdefault(_fact(tie, group_of), []).append(insight)
    return [_joined(same, words) for same in together.values()]


def _covers(tie: Insight, insight: Insight) -> bool:
    """Whether the columns of a finding are tied: all of one group, or what follows and what it follows from."""
    if insight.type not in COVERED or not set(insight.columns_affected) <= set(tie.columns_affected):
        return False
    return tie.type == "same_information" or tie.columns_affected[0] in insight.columns_affected


def kinds_of(insight: Insight) -> tuple[str, ...]:
    """The type of a finding, and those of the findings that were joined with it."""
    return insight.type, *(other["type"] for other in insight.evidence.get("also", ()))


def _fact(insight: Insight, group_of: dict[str, tuple[str, ...]]) -> object:
    """What is equal for findings of the same fact."""
    columns = insight.columns_affected
    if insight.type in FACT_OF:
        fact = FACT_OF[insight.type]
        return fact, frozenset(columns[:1] if fact == "gaps" else columns)
    if insight.type in PAIRED:
        is_time = insight.type == "target_driver" and insight.evidence.get("kind") == "time"
        first = ("", "time") if is_time else group_of.get(columns[0], columns[:1])
        return insight.type, frozenset({first, group_of.get(columns[1], columns[1:])})
    return insight.type, columns, insight.title


def _joined(same: list[Insight], words: Catalogue) -> Insight:
    if len(same) == 1:
        return same[0]
    first, *others = sorted(same, key=lambda insight: (insight.type not in TIES, -insight.priority_score))
    also = [
        {"type": one.type, "columns": list(one.columns_affected), "title": one.title, **one.evidence} for one in others
    ]
    columns = tuple(dict.fromkeys(column for one in (first, *others) for column in one.columns_affected))
    return first.replace(
        description=f"{first.description} {_told(first, others, words)}",
        columns_affected=columns,
        evidence={**first.evidence, "also": also},
    )


def _told(first: Insight, others: list[Insight], words: Catalogue) -> str:
    """What the others add: of the same columns what they say, of columns that stand for them their names."""
    own = set(first.columns_affected)
    pairs = [one for one in others if first.type in PAIRED and set(one.columns_affected) != own]
    rest = [one.description for one in others if one not in pairs and one.description != first.description]
    said = list(dict.fromkeys(rest))
    if pairs:
        shown = ", ".join(_pair(one, words) for one in pairs[:SHOWN])
        if len(pairs) > SHOWN:
            shown = words.say("{names} and {number} more", names=shown, number=words.whole(len(pairs) - SHOWN))
        said.append(words.say("Columns that tell much the same show it, too: {pairs}.", pairs=shown))
    return " ".join(said)


def _pair(insight: Insight, words: Catalogue) -> str:
    """The columns of a pair with the effect; of a pair with the target, the other column."""
    columns = insight.columns_affected[:1] if insight.type == "target_driver" else insight.columns_affected
    told = f" {words.say('and')} ".join(map(words.quoted, columns))
    if insight.effect_size is None or insight.effect_measure is None:
        return told
    return f"{told} ({words.say(insight.effect_measure.replace('_', ' '))} {words.figure(insight.effect_size)})"
