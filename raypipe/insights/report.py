"""The report as Markdown: a template of ours or of the user, filled with what was found."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Template, TemplateError, TemplateSyntaxError

from raypipe.config.insights.report import ReportConfig
from raypipe.errors import ConfigError
from raypipe.insights.document import document
from raypipe.insights.facts import KEY_PRIORITY
from raypipe.insights.markdown import escape
from raypipe.insights.overview import Overview
from raypipe.insights.sections import HEADINGS, figures, sections_of
from raypipe.insights.wording.catalogue import Catalogue, catalogue_of
from raypipe.insights.wording.sandbox import Markdown, markdown_environment
from raypipe.results import Insight

__all__ = ["Overview", "check_report", "escape", "write_report"]

MAX_TEMPLATE_BYTES = 1 << 20
_TOLD_ELSEWHERE = ("read_from", "stressed_for", "also", "told_in", "measure", "interval_95", "p_value")
"""Keys of the evidence that other lines of the report tell, or that are for programs."""
_FIGURE = re.compile(r"\d[\d.,]*\d|\d")


def write_report(overview: Overview, template: Path | None = None) -> str:
    """The whole report; sections without content say why they have none.

    Parameters
    ----------
    template : Path, optional
        A Jinja2 template of the user's; values are escaped in it as in ours.

    Raises
    ------
    ConfigError
        If the template cannot be read, is no template, asks for what is not there, or for what it may not see.
    """
    text = _default() if template is None else _read(template)
    made = _compiled(text, template, overview.words)
    try:
        filled = made.render(_context(overview))
    except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise ConfigError(f"analysis.report.template: {template}: {type(error).__name__}: {error}") from None
    return re.sub(r"\n{3,}", "\n\n", filled).strip("\n") + "\n"


def check_report(settings: ReportConfig) -> None:
    """Raise ConfigError if the words or the template of these settings cannot be used."""
    words = catalogue_of(settings.language, settings.catalogue)
    if settings.template is not None:
        _compiled(_read(settings.template), settings.template, words)


def _context(overview: Overview) -> dict[str, Any]:
    """What a template is given."""
    told = [_view(insight, overview.words) for insight in overview.insights]
    return {
        "title": overview.title,
        "_": lambda phrase: Markdown(escape(overview.words.say(phrase))),
        "headings": HEADINGS,
        "sections": sections_of(overview),
        "insights": told,
        "key_insights": [one for one in told if one["priority"] >= KEY_PRIORITY],
        "further_insights": [one for one in told if one["priority"] < KEY_PRIORITY],
        "report": document(overview),
    }


def _view(insight: Insight, words: Catalogue) -> Mapping[str, Any]:
    """A finding as templates see it: its texts, and lines made of its figures."""
    stressed = insight.evidence.get("stressed_for")
    measure = _measure(insight, words)
    return {
        "type": insight.type,
        "category": words.say(insight.category.replace("_", " ")),
        "title": insight.title,
        "description": insight.description,
        "impact": insight.impact,
        "recommendation": insight.recommendation or "",
        "columns": list(insight.columns_affected),
        "priority": insight.priority_score,
        "stressed_for": words.say(str(stressed)) if stressed else "",
        "measure": measure,
        "evidence": _untold(insight, measure, words),
        "read_from": insight.evidence.get("read_from", ""),
        "figures": insight.evidence,
        "chart": insight.chart or "",
    }


def _untold(insight: Insight, measure: str, words: Catalogue) -> str:
    """Figures of the evidence that no other line tells; lists of them stand in `insights.json`."""
    told = frozenset(_FIGURE.findall(f"{insight.title} {insight.description} {measure}"))
    left = {
        key: value
        for key, value in insight.evidence.items()
        if key not in _TOLD_ELSEWHERE and isinstance(value, int | float | dict) and not isinstance(value, bool)
        if key == "threshold" or (isinstance(value, int | float) and words.figure(value).lstrip("-") not in told)
    }
    return figures(left, words)


def _measure(insight: Insight, words: Catalogue) -> str:
    """Effect, interval, p-value and confidence in one line."""
    told = []
    if insight.effect_size is not None and insight.effect_measure is not None:
        effect = f"{words.say(insight.effect_measure.replace('_', ' '))} {words.figure(insight.effect_size)}"
        low, high = map(words.figure, insight.interval or (0.0, 0.0))
        if insight.interval is not None and low != high:
            effect += f" ({words.say('95 % interval')} {low} {words.say('to')} {high})"
        told.append(effect)
    if insight.p_value is not None:
        p = "p < 0.0001" if insight.p_value < 0.0001 else f"p {insight.p_value:.2g}"
        told.append(words.localised(p))
    elif insight.confidence is not None:
        counted = insight.confidence == 1
        sure = words.say("confidence {share}", share=words.percent(round(insight.confidence, 3)))
        told.append(words.say("counted on every row") if counted else sure)
    return "; ".join(told)


def _compiled(text: str, path: Path | None, words: Catalogue) -> Template:
    try:
        return markdown_environment(words).from_string(text)
    except TemplateSyntaxError as error:
        raise ConfigError(
            f"analysis.report.template: {path}, line {error.lineno}: {error.message}; wanted a Jinja2 template, see"
            " docs/guide/insights.md"
        ) from None
    except TemplateError as error:
        raise ConfigError(f"analysis.report.template: {path}: {error}") from None


def _read(path: Path) -> str:
    try:
        content = path.read_bytes()
        if len(content) > MAX_TEMPLATE_BYTES:
            raise ConfigError(f"analysis.report.template: {path} has more than {MAX_TEMPLATE_BYTES:,} bytes")
        return content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"analysis.report.template: {path} cannot be read as text: {error}") from None


@cache
def _default() -> str:
    return (resources.files("raypipe.insights") / "wording" / "report.md.j2").read_text(encoding="utf-8")
