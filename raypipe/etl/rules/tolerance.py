"""How many rows may break a rule: a count, or a share of those that the rule looks at."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, NonNegativeInt, PlainSerializer, WithJsonSchema, model_validator

from raypipe.config.base import Frozen, Share
from raypipe.etl.wording import counted, percent, shown

_PERCENT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*")


class Allowance(Frozen):
    """At most so many rows, or so large a share of them; more is too many."""

    count: NonNegativeInt | None = None
    share: Share | None = None

    @model_validator(mode="after")
    def _one(self) -> Allowance:
        if (self.count is None) == (self.share is None):
            raise ValueError("wanted either a count or a share")
        return self

    def holds(self, failing: int, rows: int) -> bool:
        """Whether so many failing rows, of so many, are within it.

        Examples
        --------
        >>> Allowance(share=0.01).holds(1, 100), Allowance(count=0).holds(1, 100)
        (True, False)
        """
        if self.count is not None:
            return failing <= self.count
        return failing <= (self.share or 0.0) * rows

    @property
    def words(self) -> str:
        """The bound, as it stands in a message."""
        if self.count is not None:
            return "no row" if self.count == 0 else f"at most {counted(self.count, 'row')}"
        return f"at most {percent(self.share or 0.0)} of rows"


def parse_allowance(value: Any) -> Any:
    """An `Allowance` from what a user writes: a whole number of rows, or a share as "1 %".

    Raises
    ------
    ValueError
        For anything else; a fraction such as 0.01 is refused, since it may mean either.

    Examples
    --------
    >>> parse_allowance("2.5%").share, parse_allowance(3).count
    (0.025, 3)
    """
    if value is None or isinstance(value, Allowance | dict):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return Allowance(count=value)
    if isinstance(value, str) and (found := _PERCENT.fullmatch(value)):
        share = float(found[1]) / 100
        if share <= 1:
            return Allowance(share=share)
    hint = f'; for a share write "{100 * value:g}%"' if isinstance(value, float) and 0 < value < 1 else ""
    raise ValueError(f'wanted a number of rows such as 3, or a share of them such as "1%", got {shown(value)}{hint}')


def _plain(value: Allowance) -> int | str:
    return value.count if value.count is not None else f"{100 * (value.share or 0.0):.15g}%"


Tolerance = Annotated[
    Allowance,
    BeforeValidator(parse_allowance),
    PlainSerializer(_plain),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*%\s*$"}]}
    ),
]
"""Given and written as 3 or "1%"."""
