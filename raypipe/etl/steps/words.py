"""Text tidied, replaced by patterns, and mapped to other values."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import polars as pl
import pyarrow as pa

from raypipe.blocks.frames import polars_type
from raypipe.config.steps import CleanTextSettings, MapValuesSettings, Plain, ReplaceTextSettings
from raypipe.etl.aside import as_text
from raypipe.etl.rules.values import fit_value, fit_word
from raypipe.etl.steps.cells import ArrowType, Cell, array_of, cell_of
from raypipe.etl.steps.fitted import Edits, EditStep, FittedStep
from raypipe.etl.steps.learn import Place, Recipe
from raypipe.etl.steps.select import CATEGORIES, TEXT, Accepts, is_category, is_number
from raypipe.etl.steps.step import cells_of
from raypipe.etl.wording import shown

MAPPABLE = Accepts(lambda kind: is_category(kind) or is_number(kind), CATEGORIES.words, "")
SUSPECTS = (
    "[\u00c2\u00c3\u00c5\u00e2\u00d0\u00d1\u00ce\u00cf\u00ef]"
    "[\u0080-\u00ff\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122]"
)
"""What the first two bytes of a character in UTF-8 look like in Windows-1252."""


class CleanText(EditStep):
    """Tidy text; text of which nothing is left becomes null."""

    kind: Literal["clean_text"] = "clean_text"
    rewrites: ClassVar[bool] = True
    columns: tuple[str, ...]
    how: CleanTextSettings

    @property
    def touched(self) -> tuple[str, ...]:
        return self.columns

    def types(self, schema: pa.Schema) -> dict[str, pa.DataType]:
        return {name: schema.field(name).type for name in self.columns}

    def edit(self, block: pa.Table) -> Edits:
        return Edits({name: cleaned(cells_of(block, name).cast(pl.String), self.how) for name in self.columns})


def cleaned(cells: pl.Series, how: CleanTextSettings) -> pl.Series:
    """The texts, tidied in the order of the settings."""
    if how.fix_mojibake:
        cells = without_mojibake(cells)
    if how.unicode is not None:
        cells = cells.str.normalize("NFC" if how.unicode == "nfc" else "NFKC")
    if how.strip_control:
        cells = cells.str.replace_all(r"[\t\n\v\f\r\x{85}\x{2028}\x{2029}]+", " ").str.replace_all(
            r"[\p{Cc}\p{Cf}]", ""
        )
    if how.strip_accents:
        cells = cells.str.normalize("NFD").str.replace_all(r"\p{Mn}", "").str.normalize("NFC")
    if how.case is not None:
        cells = {"lower": cells.str.to_lowercase, "upper": cells.str.to_uppercase, "title": cells.str.to_titlecase}[
            how.case
        ]()
    if how.collapse:
        cells = cells.str.replace_all(r"\s+", " ")
    if how.trim:
        cells = cells.str.strip_chars()
    return cells.set((cells == "").fill_null(False), None)


def without_mojibake(cells: pl.Series) -> pl.Series:
    """Texts with UTF-8 that was read as Windows-1252 undone, where every character of a text takes part in that.

    Examples
    --------
    >>> without_mojibake(pl.Series(["MÃ¼nchen", "Ã", "naïve"])).to_list()
    ['München', 'Ã', 'naïve']
    """
    suspects = cells.filter(cells.str.contains(SUSPECTS).fill_null(False)).unique().to_list()
    mended = {text: _undone(text) for text in suspects}  # a look at each different suspect, not at each row
    found = {text: back for text, back in mended.items() if back is not None}
    return cells.replace(list(found), list(found.values())) if found else cells


def _undone(text: str) -> str | None:
    """The text as it was before it was read wrongly; None where that cannot be certain."""
    try:
        return text.encode("cp1252").decode("utf-8")
    except UnicodeError:
        return None


class ReplaceText(EditStep):
    """Replace what a pattern finds in text."""

    kind: Literal["replace_text"] = "replace_text"
    columns: tuple[str, ...]
    pattern: str
    replacement: str
    literal: bool

    @property
    def touched(self) -> tuple[str, ...]:
        return self.columns

    def types(self, schema: pa.Schema) -> dict[str, pa.DataType]:
        return {name: schema.field(name).type for name in self.columns}

    def edit(self, block: pa.Table) -> Edits:
        made = Edits()
        for name in self.columns:
            cells = cells_of(block, name).cast(pl.String)
            made.columns[name] = cells.str.replace_all(self.pattern, self.replacement, literal=self.literal)
        return made


class MapValues(EditStep):
    """Replace values by others of the column's type."""

    kind: Literal["map_values"] = "map_values"
    columns: tuple[tuple[str, ArrowType, tuple[Cell, ...]], ...]
    """(column, its type, what each of `texts` becomes)."""
    texts: tuple[str, ...]
    others: Literal["keep", "null", "quarantine"]

    @property
    def touched(self) -> tuple[str, ...]:
        return tuple(column for column, _, _ in self.columns)

    def types(self, schema: pa.Schema) -> dict[str, pa.DataType]:
        return {column: schema.field(column).type for column in self.touched}

    def edit(self, block: pa.Table) -> Edits:
        made = Edits()
        for column, kind, cells in self.columns:
            before = cells_of(block, column)
            texts = as_text(before)
            index = pl.Series(range(len(self.texts)), dtype=pl.UInt32)
            place = texts.replace_strict(
                pl.Series(self.texts, dtype=pl.String), index, default=None, return_dtype=pl.UInt32
            )
            values = pl.Series("", pl.from_arrow(array_of(cells, kind)), polars_type(kind)).gather(place)
            known = place.is_not_null()
            others = ~known & before.is_not_null()
            if self.others == "null":
                made.nulled[column] = int(others.sum())
                made.columns[column] = values
            else:
                made.columns[column] = values.zip_with(known, before.cast(values.dtype))
            if self.others == "quarantine":
                made.aside[column] = others, "is not in the mapping"
        return made

    def fitted_values(self) -> dict[str, Any]:
        return {column: {"values mapped": len(self.texts)} for column in self.touched}


def fitted_plain(value: Plain, kind: pa.DataType) -> Any:
    """A value of the settings in the column's type; ValueError in words if it has no place there."""
    return fit_word(value, kind) if isinstance(value, str) else fit_value(value, kind)


def _fit_clean(settings: CleanTextSettings, place: Place) -> FittedStep:
    return CleanText(label=place.label, columns=place.columns, how=settings)


def _fit_replace(settings: ReplaceTextSettings, place: Place) -> FittedStep:
    if not settings.pattern:
        raise place.fail("the pattern is empty")
    try:
        if not settings.literal:
            pl.Series([""]).str.replace_all(settings.pattern, settings.replacement)
    except pl.exceptions.PolarsError as error:
        said = " ".join(str(error).split())
        raise place.fail(f"the pattern {shown(settings.pattern)} is no regular expression: {said[:200]}") from None
    return ReplaceText(
        label=place.label, columns=place.columns, pattern=settings.pattern, replacement=settings.replacement,
        literal=settings.literal,
    )  # fmt: skip


def _fit_map(settings: MapValuesSettings, place: Place) -> FittedStep:
    columns = []
    for name in place.columns:
        kind = place.kind(name)
        cells: list[Cell] = []
        for source, value in settings.mapping.items():
            try:
                cells.append(None if value is None else cell_of(fitted_plain(value, kind), kind))
            except ValueError as error:
                raise place.fail(f"column {name!r}, value for {shown(source)}: {error}") from None
        columns.append((name, kind, tuple(cells)))
    return MapValues(label=place.label, columns=tuple(columns), texts=tuple(settings.mapping), others=settings.others)


RECIPES: dict[str, Recipe] = {
    "clean_text": Recipe(learn=_fit_clean, accepts=lambda settings: TEXT),
    "replace_text": Recipe(learn=_fit_replace, accepts=lambda settings: TEXT),
    "map_values": Recipe(
        learn=_fit_map, accepts=lambda settings: MAPPABLE, drops_rows=lambda settings: settings.others == "quarantine"
    ),
}
FITTED: tuple[type[FittedStep], ...] = (CleanText, ReplaceText, MapValues)
