"""What the settings of all steps share: a name, and the columns that they work on."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from raypipe.config.base import Frozen


def _one_or_many(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_one_or_many), Field(min_length=1)]
"""Columns; one may stand without a list."""

NoneOrMore = Annotated[tuple[str, ...], BeforeValidator(_one_or_many)]
"""Names, or none."""

Plain = bool | int | float | str
"""A value as it stands in a file of settings."""


def _null_word(value: Any) -> Any:
    return "null" if value is None else value


NullWord = BeforeValidator(_null_word)
"""Takes the null of YAML for the word."""

Misfit = Annotated[Literal["quarantine", "null"], NullWord]
"""What becomes of a row with a value that a step cannot read: set aside with the reason, or kept with a null."""


class StepSettings(Frozen):
    """One step of `processing.steps`."""

    name: str | None = Field(default=None, min_length=1)
    """What reports, quarantine and row counts call it; null: the step, with a number where it stands twice."""


class ColumnSteps(StepSettings):
    """A step that works on each of several columns."""

    columns: Names
    """Names, patterns with * or ?, or kind:numbers, kind:text, kind:dates, kind:booleans, kind:all. Patterns and kinds
    leave out the target and the time column: name them to have them."""
    but: NoneOrMore = ()
    """Names or patterns to leave out."""
