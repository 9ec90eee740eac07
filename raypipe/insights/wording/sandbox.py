"""Where templates of users run: Jinja2's sandbox, without files, with every value escaped that is not our own Markdown.

A template may look at what it is given and at nothing else: attributes that begin with an underscore, methods that
change a value, includes and imports are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from raypipe.insights.markdown import escape
from raypipe.insights.words import count, figure, name, names, percent, plain


class Markdown(str):
    """Text that is Markdown already. Whatever is made of it, such as a slice, is a plain `str` and escaped again."""

    __slots__ = ()


def text_environment(localised: Callable[[str], str]) -> ImmutableSandboxedEnvironment:
    """For sentences of findings: one line of plain text, escaped where it is shown."""
    return _environment(localised, lambda value: plain(str(value), 2_000))


def markdown_environment(localised: Callable[[str], str]) -> ImmutableSandboxedEnvironment:
    """For the report: values come out as Markdown that shows just them."""
    return _environment(localised, lambda value: value if isinstance(value, Markdown) else escape(str(value)))


def _environment(localised: Callable[[str], str], finalize: Callable[[Any], str]) -> ImmutableSandboxedEnvironment:
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
        percent=lambda share: localised(percent(float(share))),
        figure=lambda value: localised(figure(float(value))),
        named=lambda columns, most=5: names(columns, most),
        quoted=name,
        counted=lambda number, noun, plural=None: localised(count(int(number), noun, plural)),
    )
    return made
