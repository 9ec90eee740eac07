"""Where templates of users run: Jinja2's sandbox, without files, with every value escaped that is not our own Markdown.

A template may look at what it is given and at nothing else: attributes that begin with an underscore, methods that
change a value, includes and imports are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from raypipe.insights.markdown import escape
from raypipe.insights.words import plain


class Markdown(str):
    """Text that is Markdown already. Whatever is made of it, such as a slice, is a plain `str` and escaped again."""

    __slots__ = ()


class Speech(Protocol):
    """How a language writes figures, names and times."""

    def figure(self, value: float) -> str: ...
    def percent(self, share: float) -> str: ...
    def times(self, factor: float) -> str: ...
    def count(self, number: int, noun: str, plural: str | None = None) -> str: ...
    def quoted(self, column: str) -> str: ...
    def named(self, columns: Iterable[str], most: int = 5) -> str: ...
    def moment(self, text: str) -> str: ...


def text_environment(speech: Speech) -> ImmutableSandboxedEnvironment:
    """For sentences of findings: one line of plain text, escaped where it is shown."""
    return _environment(speech, lambda value: plain(str(value), 2_000))


def markdown_environment(speech: Speech) -> ImmutableSandboxedEnvironment:
    """For the report: values come out as Markdown that shows just them."""
    return _environment(speech, lambda value: value if isinstance(value, Markdown) else escape(str(value)))


def _environment(speech: Speech, finalize: Callable[[Any], str]) -> ImmutableSandboxedEnvironment:
    made = ImmutableSandboxedEnvironment(
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # it would escape for HTML; `finalize` escapes for Markdown
    )
    made.filters.pop("safe")
    made.filters.update(
        percent=lambda share: speech.percent(float(share)),
        figure=lambda value: speech.figure(float(value)),
        times=lambda factor: speech.times(float(factor)),
        named=speech.named,
        quoted=speech.quoted,
        counted=lambda number, noun, plural=None: speech.count(int(number), noun, plural),
        moment=lambda text: speech.moment(str(text)),
    )
    return made
