"""Which columns the steps of a list name, told from their settings alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl
import pyarrow as pa

from raypipe.config import ProcessingConfig
from raypipe.config.steps import (
    ConvertTimeZoneSettings,
    DateDifferenceSettings,
    DatePartsSettings,
    DeriveSettings,
    FilterRowsSettings,
    ParseDatesSettings,
    RenameSettings,
    StepSettings,
)
from raypipe.etl.rules.dtypes import is_text

_FIELDS = ("columns", "by", "along", "of", "start", "end", "target")


def named_columns(steps: Sequence[StepSettings]) -> frozenset[str]:
    """Everything in the settings that may be the name of a column."""
    return frozenset(name for step in steps for name in _names(step))


def _names(step: StepSettings) -> Iterator[str]:
    for field in _FIELDS:
        value = getattr(step, field, None)
        if isinstance(value, str):
            yield value
        elif isinstance(value, tuple):
            yield from value
    if isinstance(step, RenameSettings):
        yield from step.names
    text = step.expression if isinstance(step, DeriveSettings) else getattr(step, "keep", None)
    if isinstance(step, DeriveSettings | FilterRowsSettings) and isinstance(text, str):
        try:
            yield from pl.sql_expr(text).meta.root_names()
        except pl.exceptions.PolarsError:
            return  # the step itself says so, with its name


def likely_schema(schema: pa.Schema, config: ProcessingConfig) -> pa.Schema:
    """The schema with text columns as times, where `parse_dates` is on and a step takes them for such."""
    if not config.parse_dates:
        return schema
    read = {name for step in config.steps if isinstance(step, ParseDatesSettings) for name in step.columns}
    for step in config.steps:
        if not isinstance(step, DatePartsSettings | DateDifferenceSettings | ConvertTimeZoneSettings):
            continue
        for name in _names(step):
            index = schema.get_field_index(name)
            if index >= 0 and name not in read and is_text(schema.field(index).type):
                schema = schema.set(index, schema.field(index).with_type(pa.timestamp("us")))
    return schema
