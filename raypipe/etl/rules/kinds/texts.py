"""How text is written: lengths in characters, white space, case."""

from __future__ import annotations

from typing import Literal, Self

import polars as pl
from pydantic import NonNegativeInt, model_validator

from raypipe.etl.rules.cells import Cells
from raypipe.etl.rules.comparing import text_cell
from raypipe.etl.rules.rule import RowRule
from raypipe.etl.wording import counted


class LengthIs(RowRule):
    """Text has exactly so many characters."""

    GROUP = "text"
    rule: Literal["length_is"] = "length_is"
    chars: NonNegativeInt

    @property
    def wanted(self) -> str:
        return counted(self.chars, "character")

    def breaks(self, cells: Cells) -> pl.Expr:
        return text_cell(cells[self.columns[0]]).str.len_chars() != self.chars


class _Counted(RowRule):
    """A count of something in the text, between bounds."""

    GROUP = "text"
    min: NonNegativeInt = 0
    max: NonNegativeInt | None = None

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        if self.max is None and not self.min:
            raise ValueError("wanted min, max or both")
        return self

    def outside(self, count: pl.Expr) -> pl.Expr:
        """Whether the count is beyond the bounds."""
        low = count < self.min
        return low if self.max is None else low | (count > self.max)

    def bounds(self, noun: str) -> str:
        """The bounds in words."""
        if self.max is None:
            return f"at least {counted(self.min, noun)}"
        low = f"at least {self.min:,} and " if self.min else ""
        return f"{low}at most {counted(self.max, noun)}"


class LengthBetween(_Counted):
    """The number of characters lies between bounds."""

    rule: Literal["length_between"] = "length_between"

    @property
    def wanted(self) -> str:
        return self.bounds("character")

    def breaks(self, cells: Cells) -> pl.Expr:
        return self.outside(text_cell(cells[self.columns[0]]).str.len_chars())


class WordsBetween(_Counted):
    """The number of words, divided by white space, lies between bounds."""

    rule: Literal["words_between"] = "words_between"

    @property
    def wanted(self) -> str:
        return self.bounds("word")

    def breaks(self, cells: Cells) -> pl.Expr:
        return self.outside(text_cell(cells[self.columns[0]]).str.count_matches(r"\S+"))


class Trimmed(RowRule):
    """Text has no white space around it."""

    GROUP = "text"
    rule: Literal["trimmed"] = "trimmed"

    @property
    def wanted(self) -> str:
        return "no white space around it"

    def breaks(self, cells: Cells) -> pl.Expr:
        text = text_cell(cells[self.columns[0]])
        return text.str.strip_chars().str.len_bytes() != text.str.len_bytes()


class OneLine(RowRule):
    """Text has no line break in it."""

    GROUP = "text"
    rule: Literal["one_line"] = "one_line"

    @property
    def wanted(self) -> str:
        return "a single line"

    def breaks(self, cells: Cells) -> pl.Expr:
        return text_cell(cells[self.columns[0]]).str.contains("[\n\r\u0085\u2028\u2029]")


class NoControlCharacters(RowRule):
    """Text has no control characters but tabs and line breaks."""

    GROUP = "text"
    rule: Literal["no_control_characters"] = "no_control_characters"

    @property
    def wanted(self) -> str:
        return "no control characters"

    def breaks(self, cells: Cells) -> pl.Expr:
        return text_cell(cells[self.columns[0]]).str.contains(r"[\p{Cc}&&[^\t\n\r]]")


class AsciiOnly(RowRule):
    """Text is of ASCII characters only."""

    GROUP = "text"
    rule: Literal["ascii_only"] = "ascii_only"

    @property
    def wanted(self) -> str:
        return "ASCII characters only"

    def breaks(self, cells: Cells) -> pl.Expr:
        text = text_cell(cells[self.columns[0]])
        return text.str.len_bytes() != text.str.replace_all(r"[^\x00-\x7f]", "").str.len_bytes()


class TextCase(RowRule):
    """Text is in lower or upper case; characters without case do not matter."""

    GROUP = "text"
    rule: Literal["text_case"] = "text_case"
    case: Literal["lower", "upper"]

    @property
    def wanted(self) -> str:
        return f"{self.case} case"

    def breaks(self, cells: Cells) -> pl.Expr:
        text = text_cell(cells[self.columns[0]])
        return text != (text.str.to_lowercase() if self.case == "lower" else text.str.to_uppercase())


RULES = (LengthIs, LengthBetween, WordsBetween, Trimmed, OneLine, NoControlCharacters, AsciiOnly, TextCase)
