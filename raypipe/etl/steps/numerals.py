"""Text that holds numbers, turned into numbers; and numbers converted between units."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar, Literal

import polars as pl
import pyarrow as pa

from raypipe.config.steps import ConvertUnitsSettings, Misfit, ParseNumbersSettings
from raypipe.etl.steps.cells import ArrowType
from raypipe.etl.steps.fitted import Edits, EditStep, FittedStep
from raypipe.etl.steps.learn import Place, Recipe
from raypipe.etl.steps.scaling import FLOAT, put_back
from raypipe.etl.steps.select import NUMBERS, TEXT
from raypipe.etl.steps.step import cells_of
from raypipe.etl.steps.units import conversion, find_unit, known_units

_SPACES = r"[\s\u00a0\u202f]"
_SIGNS = r"[\p{Sc}]|(?:USD|EUR|GBP|CHF|JPY|CNY|INR|AUD|CAD|SEK|NOK|DKK|PLN)"
PLAIN = r"^\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?$|^\.\d+$"


class ParseNumbers(EditStep):
    """Turn text into numbers: thousands marks, currency, percent, (negative), and units behind the number."""

    kind: Literal["parse_numbers"] = "parse_numbers"
    rewrites: ClassVar[bool] = True
    columns: tuple[str, ...]
    decimal: Literal[".", ","]
    percent: Literal["share", "number"]
    unit: str | None
    on_misfit: Misfit

    @property
    def touched(self) -> tuple[str, ...]:
        return self.columns

    def types(self, schema: pa.Schema) -> dict[str, pa.DataType]:
        return dict.fromkeys(self.columns, FLOAT)

    def edit(self, block: pa.Table) -> Edits:
        made = Edits()
        for name in self.columns:
            texts = cells_of(block, name).cast(pl.String).str.strip_chars()
            texts = texts.set((texts == "").fill_null(False), None)
            numbers = read_numbers(texts, self.decimal, self.percent, self.unit)
            bad = texts.is_not_null() & numbers.is_null()
            if bad.any() and self.on_misfit == "quarantine":
                wanted = f" in a unit that becomes {self.unit}" if self.unit else ""
                made.aside[name] = bad, f"is no number{wanted}"
            elif bad.any():
                made.nulled[name] = int(bad.sum())
            made.columns[name] = numbers
        return made


def read_numbers(texts: pl.Series, decimal: str, percent: str, unit: str | None) -> pl.Series:
    """Numbers as float64; null where a text is none.

    Parameters
    ----------
    texts : pl.Series
        Without white space around them.
    decimal : {".", ","}
    percent : {"share", "number"}
    unit : str or None
        See `ParseNumbersSettings`.

    Examples
    --------
    >>> read_numbers(pl.Series(["1,234.5", "($3)", "15 %", "x"]), ".", "share", None).to_list()
    [1234.5, -3.0, 0.15, None]
    >>> read_numbers(pl.Series(["12 kg", "3", "1 t", "5 km"]), ".", "share", "kg").to_list()
    [12.0, 3.0, 1000.0, None]
    """
    grouped = "," if decimal == "." else "."
    bracket = texts.str.contains(r"^\(.*\)$").fill_null(False)
    body = texts.str.replace(r"^\((.*)\)$", "$1").str.replace_all("\u2212", "-", literal=True)
    share = body.str.contains(r"%\s*$").fill_null(False)
    body = body.str.replace(r"\s*%\s*$", "")
    body = body.str.replace(rf"^([+-]?){_SPACES}*(?:{_SIGNS}){_SPACES}*", "$1").str.replace(
        rf"{_SPACES}*(?:{_SIGNS})$", ""
    )
    factor, offset = None, None
    if unit is not None:
        body, factor, offset = _units(body, unit)
    negative = body.str.starts_with("-").fill_null(False)
    body = body.str.replace(rf"^[+-]{_SPACES}*", "")
    mark = rf"[{grouped}'\u2019\s\u00a0\u202f]"
    groups = rf"^\d{{1,3}}(?:{mark}\d{{2,3}})*{mark}\d{{3}}(?:[{decimal}]\d*)?$"
    thousands = body.str.contains(groups).fill_null(False)
    body = body.str.replace_all(mark, "").zip_with(thousands, body)
    if decimal == ",":
        comma = body.str.contains(r"^\d*,\d+$|^\d+,?$").fill_null(False)
        body = body.str.replace(",", ".", literal=True).zip_with(comma, body.set(~comma, None))
    body = body.str.strip_suffix(".")
    fits = body.str.contains(PLAIN).fill_null(False)
    numbers = body.set(~fits, None).cast(pl.Float64, strict=False)
    numbers = (-numbers).zip_with(negative != bracket, numbers)
    if percent == "share":
        numbers = (numbers / 100).zip_with(share, numbers)
    return numbers if factor is None or offset is None else numbers * factor + offset


def _units(body: pl.Series, unit: str) -> tuple[pl.Series, pl.Series, pl.Series]:
    """The texts without their units, and what brings each number to `unit`; null for a unit that does not fit."""
    fits = _conversions(unit)
    words = body.str.extract(
        r"^[+-]?[\d.,'\u2019\s\u00a0\u202f]*\d[.,]?\s*([\p{L}\u00b0\"'][\p{L}\d\u00b0\u00b2\u00b3/]*)\.?$"
    )
    words = words.str.to_lowercase()
    bare = words.is_null() & body.str.contains(r"\d[.,]?$").fill_null(False)
    words = words.set(bare, find_unit(unit)[1])
    kinds = pl.Series(list(fits), dtype=pl.String)
    factor, offset = (
        words.replace_strict(
            kinds, pl.Series([pair[n] for pair in fits.values()]), default=None, return_dtype=pl.Float64
        )
        for n in (0, 1)
    )
    number = body.str.extract(r"^([+-]?[\d.,'\u2019\s\u00a0\u202f]*\d[.,]?)").str.strip_chars()
    return number, factor, offset


@cache
def _conversions(unit: str) -> dict[str, tuple[float, float]]:
    """Word for a unit of the same quantity -> factor and offset to `unit`."""
    quantity, _ = find_unit(unit)
    return {word: conversion(word, unit) for word in known_units() if find_unit(word)[0] == quantity}


class ConvertUnits(EditStep):
    """Convert numbers from one unit to another, as float64."""

    kind: Literal["convert_units"] = "convert_units"
    rewrites: ClassVar[bool] = True
    undoes: ClassVar[bool] = True
    columns: tuple[tuple[str, ArrowType], ...]
    """(column, its type before)."""
    factor: float
    offset: float

    @property
    def touched(self) -> tuple[str, ...]:
        return tuple(column for column, _ in self.columns)

    def types(self, schema: pa.Schema) -> dict[str, pa.DataType]:
        return dict.fromkeys(self.touched, FLOAT)

    def edit(self, block: pa.Table) -> Edits:
        return Edits(
            {name: cells_of(block, name).cast(pl.Float64) * self.factor + self.offset for name, _ in self.columns}
        )

    def undo(self, table: pa.Table) -> pa.Table:
        for name, kind in self.columns:
            if name in table.column_names:
                cells = (cells_of(table, name).cast(pl.Float64) - self.offset) / self.factor
                table = put_back(table, name, cells, kind)
        return table

    def fitted_values(self) -> dict[str, Any]:
        return {name: {"factor": self.factor, "offset": self.offset} for name, _ in self.columns}


def _fit_parse(settings: ParseNumbersSettings, place: Place) -> FittedStep:
    if settings.unit is not None:
        try:
            find_unit(settings.unit)
        except ValueError as error:
            raise place.fail(str(error)) from None
    return ParseNumbers(
        label=place.label, columns=place.columns, decimal=settings.decimal, percent=settings.percent,
        unit=settings.unit, on_misfit=settings.on_misfit,
    )  # fmt: skip


def _fit_convert(settings: ConvertUnitsSettings, place: Place) -> FittedStep:
    try:
        factor, offset = conversion(settings.source, settings.to)
    except ValueError as error:
        raise place.fail(str(error)) from None
    columns = tuple((name, place.kind(name)) for name in place.columns)
    return ConvertUnits(label=place.label, columns=columns, factor=factor, offset=offset)


RECIPES: dict[str, Recipe] = {
    "parse_numbers": Recipe(
        learn=_fit_parse,
        accepts=lambda settings: TEXT,
        reshapes=True,
        drops_rows=lambda settings: settings.on_misfit == "quarantine",
    ),
    "convert_units": Recipe(undone=True, learn=_fit_convert, accepts=lambda settings: NUMBERS, reshapes=True),
}
FITTED: tuple[type[FittedStep], ...] = (ParseNumbers, ConvertUnits)
