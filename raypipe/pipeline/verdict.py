"""What the rules say of a run: before a row is read, and when all are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from raypipe.errors import DataInvalidError
from raypipe.etl.validate import DataValidator
from raypipe.etl.wording import counted
from raypipe.pipeline.record import validation_json
from raypipe.pipeline.state import RunState

KNOWN_BEFORE = (
    "required_column",
    "unexpected_column",
    "columns_exist",
    "columns_exactly",
    "columns_ordered",
    "no_extra_columns",
    "column_names_match",
    "column_count",
)
"""Rules about columns that no later block can change."""


def refuse_columns(validator: DataValidator, schema: pa.Schema) -> None:
    """Raise DataInvalidError for columns that are missing or too many: that is known before a row is read.

    Types are not judged here, since a later block may still widen them.
    """
    wrong = [
        outcome.message
        for outcome in validator.check_against(schema)
        if outcome.is_error and outcome.rule in KNOWN_BEFORE
    ]
    if wrong:
        raise DataInvalidError(f"validation failed before the data was read: {'; '.join(wrong[:5])}")


def judge(run: RunState) -> str:
    """The verdict of the rules, into `run` and `validation.json`; returns it in words."""
    if run.validator is None:
        return "switched off (validate_data: false)"
    frame, profile = run.data
    loaded = run.loaded
    notes: Mapping[str, Any] = {
        "notes": list(run.source.notes),
        "promotions": [promotion.reason for promotion in loaded.promotions],
        "rows_set_aside": loaded.quarantine.rows,
    }
    counts = run.validator.counts(loaded.outcome.tallies)
    run.validation = run.validator.verdict(profile, counts, notes, frame.schema, loaded.outcome.results)
    run.folder.write_json("validation.json", validation_json(run.validation))
    errors, warnings = len(run.validation.errors), len(run.validation.warnings)
    return f"{counted(errors, 'error')}, {counted(warnings, 'warning')}"
