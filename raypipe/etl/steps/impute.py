"""Missing values filled with one value a column, fitted on all rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
from pydantic import Field

from raypipe.blocks.profile import ColumnProfile
from raypipe.config import Frozen, ProcessingConfig
from raypipe.errors import ConfigError
from raypipe.etl.rules.dtypes import dtype_of, is_text
from raypipe.etl.rules.values import fit_word
from raypipe.etl.steps.detect_dates import DateWriting
from raypipe.etl.steps.fills import NoFill, mean_of, median_of, mode_of
from raypipe.etl.steps.step import CELLS, Evidence, Step, cell_counts, with_columns
from raypipe.etl.wording import shown
from raypipe.results import StepReport
from raypipe.stage import BlockStage, Sifted, require

Strategy = Literal["mean", "median", "mode", "constant"]
STRATEGIES = ("mean", "median", "mode", "constant:VALUE")
CONSTANT = "constant:"


class Fill(Frozen):
    """What the missing values of one column become."""

    column: str
    strategy: Strategy
    value: bool | int | float | Decimal | dt.datetime | dt.date | str
    """Of the column's type."""
    note: str | None = None
    """How the value was rounded or estimated, where it was."""


class Impute(Step, BlockStage):
    """Fill null, and NaN in columns of floats, with one value a column.

    A step that has only reasons to give why columns keep their gaps passes blocks on as they are.
    """

    by_column = True

    fills: tuple[Fill, ...] = ()
    skipped: Mapping[str, str] = Field(default_factory=dict)
    """Column with missing values -> why they stay."""

    @property
    def idle(self) -> bool:
        return not self.fills

    def of_columns(self, columns: frozenset[str]) -> Impute | None:
        kept = tuple(fill for fill in self.fills if fill.column in columns)
        return self.replace(fills=kept) if kept else None

    @property
    def changes(self) -> frozenset[str]:
        return frozenset(fill.column for fill in self.fills)

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        require(schema, *(fill.column for fill in self.fills), by=self.name)
        return schema

    def apply(self, block: pa.Table) -> Sifted:
        arrays: dict[str, pa.ChunkedArray] = {}
        counts: dict[str, int] = {}
        for fill in self.fills:
            cells = block[fill.column]
            gaps = pc.is_null(cells, nan_is_null=pt.is_floating(cells.type))
            count = pc.sum(gaps).as_py() or 0
            if count:
                arrays[fill.column] = pc.if_else(gaps, pa.scalar(fill.value, cells.type), cells)
                counts[CELLS + fill.column] = count
        return Sifted(with_columns(block, arrays), counts=counts)

    def describe(self, counts: Mapping[str, int], rows_dropped: int) -> StepReport:
        cells = cell_counts(counts)
        detail: dict[str, Any] = {}
        for fill in self.fills:
            plain = fill.value if isinstance(fill.value, bool | int | float | str) else str(fill.value)
            detail[fill.column] = {"fill": plain, "strategy": fill.strategy, "cells": cells.get(fill.column, 0)}
            if fill.note:
                detail[fill.column]["note"] = fill.note
        if self.skipped:
            detail["skipped"] = dict(self.skipped)
        names = tuple(fill.column for fill in self.fills)
        return StepReport(step=self.name, columns=names, cells_changed=sum(cells.values()), detail=detail)


def check_impute(config: ProcessingConfig, schema: pa.Schema, time_column: str | None) -> None:
    """Hold the setting `impute` against the columns before anything is read.

    Raises
    ------
    ConfigError
        If a strategy is unknown, does not suit its column, or the time column is named.
    MissingColumnsError
        If a named column is not there.
    """
    if isinstance(config.impute, str):
        return
    require(schema, *config.impute, by="processing.impute")
    for column, strategy in config.impute.items():
        if column == time_column:
            raise ConfigError(f"processing.impute: {shown(column)} is the time column, whose gaps are never filled")
        kind = schema.field(column).type
        may_parse = config.parse_dates and is_text(kind)
        _check_strategy(column, strategy, kind, may_parse)


def fit_impute(schema: pa.Schema, evidence: Evidence, writings: Mapping[str, DateWriting]) -> Impute | None:
    """Find a fill for each column that has gaps and is to be filled.

    Parameters
    ----------
    schema : pa.Schema
        When the step runs.
    evidence : Evidence
        What the first pass found.
    writings : mapping
        Column that an earlier step turned from text into dates -> how they were written.
    """
    fills: list[Fill] = []
    skipped: dict[str, str] = {}
    for name, strategy in _chosen(schema, evidence).items():
        if name not in schema.names:
            skipped[name] = "the column is empty, and was dropped"
            continue
        column = evidence.profile.column(name)
        if not _gaps(column, evidence):
            continue
        try:
            fills.append(_fill(column, strategy, schema.field(name).type, evidence, writings.get(name)))
        except NoFill as reason:
            skipped[name] = str(reason)
    return Impute(fills=tuple(fills), skipped=skipped) if fills or skipped else None


def _chosen(schema: pa.Schema, evidence: Evidence) -> dict[str, str]:
    impute = evidence.config.impute
    if impute == "none":
        return {}
    if impute != "auto":
        return dict(impute)
    chosen: dict[str, str] = {}
    for field in schema:
        if field.name in evidence.named:
            continue
        if pt.is_integer(field.type) or pt.is_floating(field.type) or pt.is_decimal(field.type):
            chosen[field.name] = "median"
        elif is_text(field.type) or pt.is_boolean(field.type):
            chosen[field.name] = "mode"
    return chosen


def _gaps(column: ColumnProfile, evidence: Evidence) -> int:
    return evidence.missing(column) + (column.number.nan if column.number else 0)


def _fill(
    column: ColumnProfile, strategy: str, kind: pa.DataType, evidence: Evidence, writing: DateWriting | None
) -> Fill:
    if strategy.startswith(CONSTANT):
        if pt.is_null(kind):
            raise NoFill("the column is empty and has no type, so that no value fits it")
        return Fill(column=column.name, strategy="constant", value=_constant(column.name, strategy, kind))
    if evidence.is_empty(column):
        raise NoFill("the column is empty, so that there is nothing to take a value from")
    if strategy == "mode":
        value, note = mode_of(column, kind, evidence.config.trim_text, writing)
        return Fill(column=column.name, strategy="mode", value=value, note=note)
    if writing is not None:
        raise ConfigError(_unsuited(column.name, strategy, kind, "was text; use mode or constant:VALUE"))
    find = median_of if strategy == "median" else mean_of
    value, note = find(column, kind)
    return Fill(column=column.name, strategy="median" if strategy == "median" else "mean", value=value, note=note)


def _constant(column: str, strategy: str, kind: pa.DataType) -> Any:
    try:
        value = fit_word(strategy.removeprefix(CONSTANT), kind)
        pa.scalar(value, kind)
    except (ValueError, pa.ArrowException) as error:
        raise ConfigError(f"processing.impute: {shown(column)}: {error}") from None
    return value


def _check_strategy(column: str, strategy: str, kind: pa.DataType, may_parse: bool) -> None:
    if strategy.startswith(CONSTANT):
        if not may_parse and not pt.is_null(kind):
            _constant(column, strategy, kind)
        return
    if strategy not in STRATEGIES[:3]:
        raise ConfigError(
            f"processing.impute: {shown(column)}: no strategy {shown(strategy)}; wanted one of {', '.join(STRATEGIES)}"
        )
    if strategy in ("mean", "median") and not _has_mean(kind):
        raise ConfigError(_unsuited(column, strategy, kind, "has none; use mode or constant:VALUE"))


def _has_mean(kind: pa.DataType) -> bool:
    number = pt.is_integer(kind) or pt.is_floating(kind) or pt.is_decimal(kind)
    return bool(number or pt.is_date(kind) or pt.is_timestamp(kind) or pt.is_null(kind))


def _unsuited(column: str, strategy: str, kind: pa.DataType, why: str) -> str:
    return f"processing.impute: {shown(column)}: wanted its {strategy}, but a column of {dtype_of(kind) or kind} {why}"
