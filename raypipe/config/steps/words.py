"""Settings of steps on text, and of text that holds numbers and dates."""

from __future__ import annotations

from typing import Annotated, Literal

from raypipe.config.steps.base import ColumnSteps, Misfit, NullWord, Plain


class CleanTextSettings(ColumnSteps):
    """Tidy text, in the order of these settings; text of which nothing is left becomes null."""

    step: Literal["clean_text"] = "clean_text"
    fix_mojibake: bool = False
    """Undo UTF-8 that was read as Windows-1252 (`MÃ¼nchen`), where the whole value can be undone."""
    unicode: Literal["nfc", "nfkc"] | None = None
    """One form for characters that can be written in several ways."""
    strip_control: bool = False
    """Take out control characters and zero-width ones; tabs and line ends become spaces."""
    strip_accents: bool = False
    """é becomes e."""
    case: Literal["lower", "upper", "title"] | None = None
    """One case for all letters."""
    collapse: bool = True
    """One space for any run of white space."""
    trim: bool = True
    """No white space at the ends."""


class ReplaceTextSettings(ColumnSteps):
    """Replace what a pattern finds in text."""

    step: Literal["replace_text"] = "replace_text"
    pattern: str
    """A regular expression of Rust's regex: no look-around."""
    replacement: str = ""
    """May hold $1 or ${name} for groups of the pattern."""
    literal: bool = False
    """Take the pattern and the replacement as they stand."""


class MapValuesSettings(ColumnSteps):
    """Replace values by others, such as synonyms by one name."""

    step: Literal["map_values"] = "map_values"
    mapping: dict[str, Plain | None]
    """From a value, as text, to a value of the column's type."""
    others: Annotated[Literal["keep", "null", "quarantine"], NullWord] = "keep"
    """What becomes of values that are not in the mapping."""


class ParseNumbersSettings(ColumnSteps):
    """Turn text such as `1,234.50`, `€ 12`, `(3)`, `15 %` or `12 kg` into numbers."""

    step: Literal["parse_numbers"] = "parse_numbers"
    decimal: Literal[".", ","] = "."
    """Decimal mark; the other one, spaces and apostrophes may part thousands."""
    percent: Literal["share", "number"] = "share"
    """15 % becomes 0.15, or 15."""
    unit: str | None = None
    """Unit that all numbers are converted to, from the one behind each: kg, m, c, s, …; a number without one is taken
    to have it. null: no unit but a currency sign or % may stand there."""
    on_misfit: Misfit = "quarantine"
    """A value that is no number: the row goes to quarantine, or the value becomes null."""


class ParseDatesSettings(ColumnSteps):
    """Turn text into dates by a given format."""

    step: Literal["parse_dates"] = "parse_dates"
    format: str = "YYYY-MM-DD"
    """A layout of [dates](processing.md#parse-dates) (`DD/MM/YYYY`), or directives such as `%d.%m.%y %H:%M`."""
    to: Literal["date", "datetime"] = "date"
    """With a time of day, or without."""
    on_misfit: Misfit = "quarantine"
    """A value that is no date: the row goes to quarantine, or the value becomes null."""
