"""What the findings mean for the areas of business that were asked for.

The rules: `business_context` is cut into words; names of `AREAS` among them choose areas. A column bears on an area if
one of its words is one of the area's, or if it shares a word of four letters or more with the context that is no idle
one (`IDLE_WORDS`). A finding about the target and other columns is judged by the others. Findings about such columns
are told one point higher, up to 10 (`generator.stress`), and gathered here, with the advice of their category.
"""

from __future__ import annotations

from raypipe.config import Frozen
from raypipe.insights.areas import ADVICE, AREAS, QUESTIONS, words_of
from raypipe.insights.wording.catalogue import Catalogue
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
    """What to do about them, each with the columns that it is for."""


def business_insights(
    insights: tuple[Insight, ...], business: str | None, words: Catalogue | None = None
) -> tuple[BusinessInsight, ...]:
    """One entry an area or word that was asked for and that a finding bears on, in the order of the areas."""
    if not business:
        return ()
    told: dict[str, list[Insight]] = {}
    for insight in insights:
        hit = insight.evidence.get("stressed_for")
        if hit is not None:
            told.setdefault(str(hit), []).append(insight)
    asked, words = words_of(business), words or Catalogue()
    found = [_gathered(area, told.pop(area, []), words) for area in AREAS if area in asked]
    return (*found, *(_gathered(word, same, words) for word, same in sorted(told.items())))


def _gathered(area: str, insights: list[Insight], words: Catalogue) -> BusinessInsight:
    columns = tuple(dict.fromkeys(column for insight in insights for column in insight.columns_affected))
    about: dict[str, list[str]] = {}
    for one in insights:
        if one.category in ADVICE:
            about.setdefault(ADVICE[one.category], []).extend(one.columns_affected)
    advice = tuple(f"{words.say(text)} ({words.named(dict.fromkeys(of), 3)})" for text, of in about.items())
    question = QUESTIONS.get(area)
    return BusinessInsight(
        area=area,
        question=None if question is None else words.say(question),
        columns=columns,
        findings=tuple(insight.title for insight in insights),
        advice=advice,
    )
