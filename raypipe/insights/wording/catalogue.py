"""Catalogues: the words of a language, keyed by type of finding and by English phrase.

Finders speak English and hand over their figures as evidence. A catalogue words a type anew from those figures, so that
no finder knows of languages. A type or a phrase that a catalogue lacks is told in English, and the report names it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache, cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Template, TemplateError, UndefinedError
from pydantic import Field, ValidationError

from raypipe.config import Frozen
from raypipe.errors import ConfigError
from raypipe.insights.wording.sandbox import text_environment
from raypipe.insights.words import figure, moment, percent, plain, times
from raypipe.results import Insight

ENGLISH = "en"
_FIELD = re.compile(r"\{(\w+)\}")
_DAY = re.compile(r"^(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)")
SENTENCES = ("title", "description", "impact", "recommendation")


def fill(phrase: str, fields: Mapping[str, object]) -> str:
    """The phrase with its `{fields}`; unlike `str.format` it looks at nothing but their names."""
    return _FIELD.sub(lambda field: str(fields.get(field[1], field[0])), phrase)


class Sentences(Frozen):
    """How one type of finding is worded: Jinja2 expressions over its evidence, `column`, `columns` and `priority`."""

    title: str | None = None
    description: str | None = None
    impact: str | None = None
    recommendation: str | None = None


class Catalogue(Frozen):
    """The words of one language."""

    language: str = ENGLISH
    decimal: str = Field(default=".", min_length=1, max_length=1)
    thousands: str = Field(default=",", max_length=1)
    quotes: str = Field(default="“”", min_length=2, max_length=2)
    """The marks before and behind a name."""
    date: str = "{year}-{month}-{day}"
    """How a day is written."""
    report: dict[str, str] = Field(default_factory=dict)
    """English phrase of the report -> phrase."""
    findings: dict[str, Sentences] = Field(default_factory=dict)
    """Type of finding -> its sentences."""

    def say(self, phrase: str, **fields: object) -> str:
        """A phrase of the report with its `{fields}` filled in; English where the catalogue lacks it.

        Examples
        --------
        >>> Catalogue(report={"{n} of {all}": "{all}: {n}"}).say("{n} of {all}", n=1, all=2)
        '2: 1'
        """
        return fill(self.report.get(phrase, phrase), fields)

    def localised(self, text: str) -> str:
        """A figure in English with the marks of this language."""
        if (self.decimal, self.thousands) == (".", ","):
            return text
        return "".join({",": self.thousands, ".": self.decimal}.get(mark, mark) for mark in text)

    def figure(self, value: float) -> str:
        """A number with about four significant digits."""
        return self.localised(figure(value))

    def whole(self, number: int) -> str:
        """A whole number in full."""
        return self.localised(f"{number:,}")

    def percent(self, share: float) -> str:
        """A share in percent."""
        return self.localised(percent(share))

    def times(self, factor: float) -> str:
        """A factor with two significant digits."""
        return self.localised(times(factor))

    def count(self, number: int, noun: str, plural: str | None = None) -> str:
        """A number with its noun, which is a phrase of the report or of this language already."""
        return f"{self.whole(number)} {self.say(noun if number == 1 else plural or noun + 's')}"

    def quoted(self, column: str) -> str:
        """A column in the quotation marks of this language."""
        return f"{self.quotes[0]}{plain(column)}{self.quotes[1]}"

    def named(self, columns: Iterable[str], most: int = 5) -> str:
        """Columns in a row, with how many more there are."""
        known = list(columns)
        shown = ", ".join(map(self.quoted, known[:most]))
        left = len(known) - most
        return shown if left <= 0 else self.say("{names} and {number} more", names=shown, number=self.whole(left))

    def moment(self, text: str) -> str:
        """A time in ISO 8601 as this language writes it, without the parts of it that say nothing.

        Examples
        --------
        >>> Catalogue(date="{day}.{month}.{year}").moment("2024-01-18T08:00:00")
        '18.01.2024 08:00'
        """
        return _DAY.sub(lambda day: fill(self.date, day.groupdict()), moment(text), count=1)

    def reworded(self, insight: Insight) -> Insight:
        """The finding in this language; in English where a sentence or one of its figures is missing."""
        sentences = self._templates.get(insight.type)
        if sentences is None:
            return insight
        fields = {
            **insight.evidence,
            "column": insight.columns_affected[0] if insight.columns_affected else "",
            "columns": list(insight.columns_affected),
            "priority": insight.priority_score,
        }
        try:
            told = {name: template.render(fields) for name, template in sentences.items()}
        except (UndefinedError, TypeError, ValueError):  # a figure that this finding does not have
            return insight.replace(evidence={**insight.evidence, "told_in": ENGLISH})
        return insight.replace(**{name: plain(text, 2_000) for name, text in told.items() if text.strip()})

    def missing(self, insights: tuple[Insight, ...]) -> tuple[str, ...]:
        """Types of these findings, and phrases of the report, that are told in English for want of words."""
        if self.language == ENGLISH:
            return ()
        types = {insight.type for insight in insights if insight.type not in self.findings}
        types |= {insight.type for insight in insights if insight.evidence.get("told_in") == ENGLISH}
        phrases = [phrase for phrase in shipped(ENGLISH).report if phrase not in self.report]
        return (*sorted(types), *phrases)

    @cached_property
    def _templates(self) -> dict[str, dict[str, Template]]:
        environment = text_environment(self)
        made: dict[str, dict[str, Template]] = {}
        for kind, sentences in self.findings.items():
            given = {name: text for name in SENTENCES if (text := getattr(sentences, name)) is not None}
            for name, text in given.items():
                try:
                    made.setdefault(kind, {})[name] = environment.from_string(text)
                except TemplateError as error:
                    raise ConfigError(
                        f"catalogue {self.language}: findings.{kind}.{name}: {error}; wanted a Jinja2 text such as"
                        " “{{ column }} is missing in {{ null_share | percent }} of rows”"
                    ) from None
        return made

    def checked(self) -> Catalogue:
        """The same; ConfigError if one of its texts is no template."""
        _ = self._templates
        return self


def catalogue_of(language: str, own: Path | None = None) -> Catalogue:
    """The words of a language, with those of a user's YAML before them.

    Raises
    ------
    ConfigError
        If there is no such language and no YAML, or the YAML cannot be used.
    """
    known = languages()
    if language not in known and own is None:
        raise ConfigError(
            f"analysis.report.language: got {plain(language)!r}; wanted one of: {', '.join(known)}, or your own words"
            " as analysis.report.catalogue"
        )
    base = shipped(language) if language in known else Catalogue(language=language)
    return (base if own is None else _over(base, _read(own), language)).checked()


def languages() -> tuple[str, ...]:
    """Languages that raypipe has words for."""
    folder = resources.files("raypipe.insights") / "wording"
    return tuple(sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")))


@cache
def shipped(language: str) -> Catalogue:
    """The catalogue of a language that raypipe has."""
    text = (resources.files("raypipe.insights") / "wording" / f"{language}.yaml").read_text(encoding="utf-8")
    return Catalogue.model_validate(yaml.safe_load(text))


def _over(base: Catalogue, own: dict[str, Any], language: str) -> Catalogue:
    try:
        given = Catalogue.model_validate({"language": language, **own})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ConfigError(
            f"analysis.report.catalogue: {place}: {first['msg']}; wanted language, decimal, thousands, report and"
            " findings (type -> title, description, impact, recommendation)"
        ) from None
    changes = {name: getattr(given, name) for name in given.model_fields_set - {"report", "findings"}}
    return base.replace(**changes, report={**base.report, **given.report}, findings={**base.findings, **given.findings})


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"analysis.report.catalogue: {path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"analysis.report.catalogue: {path} is no YAML: {error}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"analysis.report.catalogue: {path} holds no mapping; wanted report: and findings: in it")
    return content
