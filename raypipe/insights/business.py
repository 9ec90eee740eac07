"""What the findings mean for the areas of business that were asked for.

The rules: `business_context` is cut into words; names of `AREAS` among them choose areas. A column bears on an area if
one of its words is one of the area's, or if it shares a word of four letters or more with the context. Findings about
such columns are told one point higher (`generator.stress`), and gathered here, with the advice of their category.
"""

from __future__ import annotations

from raypipe.config import Frozen
from raypipe.insights.areas import ADVICE, AREAS, QUESTIONS, words_of
from raypipe.results import Insight


class BusinessInsight(Frozen):
    """What was found for one area, or one word, of the business context."""

    area: str
    question: str | None = None
    """What the area asks of its data; None for a word that is no area."""
    columns: tuple[str, ...] = ()
    """Columns of the findings that bear on it."""
    findings: tuple[str, ...] = ()
    """Their titles, most important first."""
    advice: tuple[str, ...] = ()


def business_insights(insights: tuple[Insight, ...], business: str | None) -> tuple[BusinessInsight, ...]:
    """One entry an area or word that was asked for and that a finding bears on, in the order of the areas."""
    if not business:
        return ()
    told: dict[str, list[Insight]] = {}
    for insight in insights:
        hit = insight.evidence.get("stressed_for")
        if hit is not None:
            told.setdefault(str(hit), []).append(insight)
    asked = words_of(business)
    found = [_gathered(area, told.pop(area, [])) for area in AREAS if area in asked]
    return (*found, *(_gathered(word, same) for word, same in sorted(told.items())))


def _gathered(area: str, insights: list[Insight]) -> BusinessInsight:
    columns = tuple(dict.fromkeys(column for insight in insights for column in insight.columns_affected))
    advice = tuple(dict.fromkeys(ADVICE[one.category] for one in insights if one.category in ADVICE))
    return BusinessInsight(
        area=area,
        question=QUESTIONS.get(area),
        columns=columns,
        findings=tuple(insight.title for insight in insights),
        advice=advice,
    )
