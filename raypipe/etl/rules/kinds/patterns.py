"""Patterns and parts of text. Patterns are in the syntax of Rust's regex: no look-around, no back-references."""

from __future__ import annotations

from typing import Annotated, Literal

import polars as pl
from pydantic import AfterValidator, field_validator

from raypipe.etl.rules.cells import Cells
from raypipe.etl.rules.comparing import text_cell
from raypipe.etl.rules.rule import RowRule
from raypipe.etl.rules.schema import whole_match
from raypipe.etl.wording import listed, shown


def check_pattern(pattern: str) -> str:
    """The pattern, if it compiles; ValueError with the reason if not."""
    try:
        pl.Series([], dtype=pl.String).str.contains(pattern)
    except pl.exceptions.ComputeError as error:
        reason = str(error).split("error: ")[-1].split("\n")[0]
        raise ValueError(f"pattern {shown(pattern)} is no regular expression: {reason}") from None
    return pattern


Pattern = Annotated[str, AfterValidator(check_pattern)]


class Matches(RowRule):
    """Text matches a pattern, as a whole."""

    GROUP = "patterns"
    rule: Literal["matches"] = "matches"
    pattern: Pattern
    anywhere: bool = False
    """A part that matches is enough."""

    @property
    def wanted(self) -> str:
        return f"text {'with a part ' if self.anywhere else ''}that matches {shown(self.pattern)}"

    def breaks(self, cells: Cells) -> pl.Expr:
        pattern = self.pattern if self.anywhere else whole_match(self.pattern)
        return ~text_cell(cells[self.columns[0]]).str.contains(pattern)


class NotMatches(RowRule):
    """No part of the text matches a pattern."""

    GROUP = "patterns"
    rule: Literal["not_matches"] = "not_matches"
    pattern: Pattern

    @property
    def wanted(self) -> str:
        return f"text without a part that matches {shown(self.pattern)}"

    def breaks(self, cells: Cells) -> pl.Expr:
        return text_cell(cells[self.columns[0]]).str.contains(self.pattern)


class _Literal(RowRule):
    """Text compared with given pieces of text, letter by letter."""

    GROUP = "patterns"
    text: tuple[str, ...]
    """One or several, of which one is enough."""

    @field_validator("text", mode="before")
    @classmethod
    def _several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("text")
    @classmethod
    def _some(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or "" in value:
            raise ValueError("text: wanted at least one character")
        return value


class StartsWith(_Literal):
    """Text begins with one of the given pieces."""

    rule: Literal["starts_with"] = "starts_with"

    @property
    def wanted(self) -> str:
        return f"text that starts with {listed(self.text)}"

    def breaks(self, cells: Cells) -> pl.Expr:
        text = text_cell(cells[self.columns[0]])
        return ~pl.any_horizontal(text.str.starts_with(piece) for piece in self.text)


class EndsWith(_Literal):
    """Text ends with one of the given pieces."""

    rule: Literal["ends_with"] = "ends_with"

    @property
    def wanted(self) -> str:
        return f"text that ends with {listed(self.text)}"

    def breaks(self, cells: Cells) -> pl.Expr:
        text = text_cell(cells[self.columns[0]])
        return ~pl.any_horizontal(text.str.ends_with(piece) for piece in self.text)


class Contains(_Literal):
    """Text has one of the given pieces in it."""

    rule: Literal["contains"] = "contains"

    @property
    def wanted(self) -> str:
        return f"text that contains {listed(self.text)}"

    def breaks(self, cells: Cells) -> pl.Expr:
        text = text_cell(cells[self.columns[0]])
        return ~pl.any_horizontal(text.str.contains(piece, literal=True) for piece in self.text)


RULES = (Matches, NotMatches, StartsWith, EndsWith, Contains)
