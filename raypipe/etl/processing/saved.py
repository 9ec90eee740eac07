"""The steps of the switches as they are saved: as steps of the list that do the same to a new table."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.types as pt

from raypipe.config import ProcessingConfig
from raypipe.config.steps import CleanTextSettings
from raypipe.etl.rules.dtypes import is_text
from raypipe.etl.steps.calendar import ReadDates
from raypipe.etl.steps.cells import cell_of
from raypipe.etl.steps.dates import ParseDates
from raypipe.etl.steps.detect_dates import DateWriting
from raypipe.etl.steps.empty import DropEmptyColumns
from raypipe.etl.steps.extremes import ActOnOutliers, ColumnFence
from raypipe.etl.steps.fitted import FittedStep
from raypipe.etl.steps.impute import Impute
from raypipe.etl.steps.missing import ColumnFill, DropMissing, FillValues
from raypipe.etl.steps.outliers import CapOutliers
from raypipe.etl.steps.shape import ArrangeColumns
from raypipe.etl.steps.step import Step
from raypipe.etl.steps.winners import DropLosers
from raypipe.etl.steps.words import CleanText


def saved_switches(config: ProcessingConfig, steps: Sequence[Step], schema: pa.Schema) -> list[FittedStep]:
    """What the switches did to the rows that they were fitted on, for other rows.

    A switch that found nothing to do on those rows, such as text to trim, may find it in others, and is saved as well.

    Parameters
    ----------
    steps : sequence of Step
        As the first pass fitted them.
    schema : pa.Schema
        Of the blocks of the first pass.
    """
    found: list[FittedStep] = []
    texts = tuple(one.name for one in schema if is_text(one.type))
    if config.trim_text and texts:
        trim = CleanTextSettings(columns=texts, collapse=False)
        found.append(CleanText(label="TrimText", columns=texts, how=trim))
    if config.drop_duplicates:
        found.append(DropLosers(label="DropDuplicates", by=(), keep="first"))
    for step in steps:
        if isinstance(step, ParseDates):
            found += [_dates(writing) for writing in step.columns]
        elif isinstance(step, DropEmptyColumns):
            kept = tuple((name, name) for name in schema.names if name not in step.columns)
            found.append(ArrangeColumns(label="DropEmptyColumns", columns=kept, dropped=step.columns))
        schema = step.output_schema(schema)
        if isinstance(step, Impute):
            found.append(_fills(step, schema))
        elif isinstance(step, CapOutliers):
            found.append(_fences(step, schema))
    if config.drop_empty_rows:
        names = tuple(schema.names)
        empty = DropMissing(label="DropEmptyRows", columns=names, min_present=min(1, len(names)), nan_is_missing=False)
        at = next((n for n, one in enumerate(found) if isinstance(one, FillValues | ActOnOutliers)), len(found))
        found.insert(at, empty)
    return [step for step in found if not step.idle or isinstance(step, DropMissing | DropLosers)]


def _dates(writing: DateWriting) -> ReadDates:
    to = "date" if writing.kind == "date" else "datetime"
    return ReadDates.model_validate(
        {"label": f"ParseDates {writing.column}", "columns": (writing.column,), "format": writing.layout, "to": to,
         "on_misfit": "quarantine"}
    )  # fmt: skip


def _fills(step: Impute, schema: pa.Schema) -> FillValues:
    fills = []
    for fill in step.fills:
        kind = schema.field(fill.column).type
        fills.append(ColumnFill(column=fill.column, type=kind, value=cell_of(fill.value, kind), method=fill.strategy))
    return FillValues(label=step.name, fills=tuple(fills))


def _fences(step: CapOutliers, schema: pa.Schema) -> ActOnOutliers:
    fences = []
    for fence in step.fences:
        kind = schema.field(fence.column).type
        ends = [float(end) if pt.is_floating(kind) else end for end in (fence.low, fence.high)]
        low, high = (cell_of(end, kind) for end in ends)
        fences.append(ColumnFence(column=fence.column, type=kind, low=low, high=high))
    return ActOnOutliers(label=step.name, fences=tuple(fences), action="cap")
