"""Numbers far from the middle of their column, brought back to a fence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
from pydantic import Field

from raypipe.blocks.profile import ColumnProfile
from raypipe.config import Frozen, ProcessingConfig
from raypipe.errors import ConfigError
from raypipe.etl.rules.dtypes import dtype_of, integer_range
from raypipe.etl.steps.step import CELLS, Evidence, Step, cell_counts, with_columns
from raypipe.etl.wording import percent, shown
from raypipe.results import StepReport
from raypipe.stage import BlockStage, Sifted, require

MIN_DISTINCT = 10
"""A column of numbers with fewer different values is taken for a code or a rating, and is capped only by name."""


class Fence(Frozen):
    """Where the values of one column end."""

    column: str
    low: int | float | Decimal
    high: int | float | Decimal
    note: str | None = None
    """How the fence was estimated, where it was."""


class CapOutliers(Step, BlockStage):
    """Bring values outside their column's fence back to it; null and NaN stay as they are.

    A step that has only reasons to give why columns are left alone passes blocks on as they are.
    """

    by_column = True

    fences: tuple[Fence, ...] = ()
    skipped: Mapping[str, str] = Field(default_factory=dict)
    """Column -> why it is left alone."""

    @property
    def idle(self) -> bool:
        return not self.fences

    def of_columns(self, columns: frozenset[str]) -> CapOutliers | None:
        kept = tuple(fence for fence in self.fences if fence.column in columns)
        return self.replace(fences=kept) if kept else None

    @property
    def changes(self) -> frozenset[str]:
        return frozenset(fence.column for fence in self.fences)

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        require(schema, *(fence.column for fence in self.fences), by=self.name)
        return schema

    def apply(self, block: pa.Table) -> Sifted:
        arrays: dict[str, pa.ChunkedArray] = {}
        counts: dict[str, int] = {}
        for fence in self.fences:
            cells = block[fence.column]
            low, high = pa.scalar(fence.low, cells.type), pa.scalar(fence.high, cells.type)
            below, above = pc.less(cells, low), pc.greater(cells, high)
            count = (pc.sum(below).as_py() or 0) + (pc.sum(above).as_py() or 0)
            if count:
                arrays[fence.column] = pc.if_else(below, low, pc.if_else(above, high, cells))
                counts[CELLS + fence.column] = count
        return Sifted(with_columns(block, arrays), counts=counts)

    def describe(self, counts: Mapping[str, int], rows_dropped: int) -> StepReport:
        cells = cell_counts(counts)
        detail: dict[str, Any] = {}
        for fence in self.fences:
            low, high = (float(end) if isinstance(end, Decimal) else end for end in (fence.low, fence.high))
            detail[fence.column] = {"low": low, "high": high, "cells": cells.get(fence.column, 0)}
            if fence.note:
                detail[fence.column]["note"] = fence.note
        if self.skipped:
            detail["skipped"] = dict(self.skipped)
        names = tuple(fence.column for fence in self.fences)
        return StepReport(step=self.name, columns=names, cells_changed=sum(cells.values()), detail=detail)


def check_cap_outliers(config: ProcessingConfig, schema: pa.Schema) -> None:
    """Hold the setting `cap_outliers` against the columns before anything is read; ConfigError or
    MissingColumnsError if it names a column that is not there or holds no numbers."""
    if isinstance(config.cap_outliers, bool):
        return
    require(schema, *config.cap_outliers, by="processing.cap_outliers")
    for column in config.cap_outliers:
        kind = schema.field(column).type
        if not _is_number(kind) and not pt.is_null(kind):
            raise ConfigError(f"processing.cap_outliers: {shown(column)} holds {dtype_of(kind) or kind}, not numbers")


def fit_cap_outliers(schema: pa.Schema, evidence: Evidence) -> CapOutliers | None:
    """Fences at q25 - k IQR and q75 + k IQR for the chosen columns; see `ProcessingConfig.cap_outliers`."""
    chosen = evidence.config.cap_outliers
    if not chosen:
        return None
    by_name = not isinstance(chosen, bool)
    names = [field.name for field in schema if _is_number(field.type) and field.name not in evidence.named]
    fences: list[Fence] = []
    skipped: dict[str, str] = {}
    for name in chosen if not isinstance(chosen, bool) else names:
        if name not in schema.names:
            skipped[name] = "the column is empty, and was dropped"
            continue
        fence = _fence(evidence.profile.column(name), schema.field(name).type, evidence, by_name)
        if isinstance(fence, Fence):
            fences.append(fence)
        else:
            skipped[name] = fence
    return CapOutliers(fences=tuple(fences), skipped=skipped) if fences or skipped else None


def _fence(column: ColumnProfile, kind: pa.DataType, evidence: Evidence, by_name: bool) -> Fence | str:
    """The fence of a column, or why it has none."""
    number = column.number
    if number is None or number.finite == 0:
        return "it has no finite value"
    if number.min is not None and number.min == number.max:
        return "it is constant"
    if not by_name and column.distinct is not None and column.distinct.count < MIN_DISTINCT:
        return f"it has only {column.distinct.count} different values; name it to cap it"
    quantiles = number.quantiles
    q25, q75 = (quantiles.at(0.25), quantiles.at(0.75)) if quantiles else (None, None)
    if quantiles is None or q25 is None or q75 is None:
        return "its quartiles were not computed"
    reach = evidence.config.outlier_iqr_factor * (q75 - q25)
    if reach == 0:
        return f"half of its values are {q25:g}, so that its quartiles are no measure of spread"
    low, high = q25 - reach, q75 + reach
    if not (math.isfinite(low) and math.isfinite(high)):
        return "its quartiles are too far apart for a float"
    note = None if quantiles.exact else f"from estimated quartiles, rank error {percent(quantiles.rank_error)}"
    fence = fence_in_type(Fence(column=column.name, low=low, high=high, note=note), kind)
    return fence if fence.low <= fence.high else "no value of its type lies within the fence"


def fence_in_type(fence: Fence, kind: pa.DataType) -> Fence:
    """The fence with ends that the column's type can hold, moved inwards where it cannot hold them as they are."""
    if pt.is_integer(kind):
        least, most = integer_range(str(kind))
        low, high = max(math.ceil(fence.low), least), min(math.floor(fence.high), most)
        return fence.replace(low=low, high=high)
    if pt.is_decimal(kind):
        step = Decimal(1).scaleb(-kind.scale)
        limit = Decimal(10) ** (kind.precision - kind.scale) - step
        low_d = max(Decimal(repr(fence.low)).quantize(step, ROUND_CEILING), -limit)
        return fence.replace(low=low_d, high=min(Decimal(repr(fence.high)).quantize(step, ROUND_FLOOR), limit))
    return fence


def _is_number(kind: pa.DataType) -> bool:
    return bool(pt.is_integer(kind) or pt.is_floating(kind) or pt.is_decimal(kind))
