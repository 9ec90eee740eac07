"""Rows in quarantine, written to a file that somebody can edit, with the mends that can be said in a line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from raypipe.config import Frozen
from raypipe.errors import ConfigError
from raypipe.etl.quarantine.mendfile import write_rows
from raypipe.etl.quarantine.mends import Mends
from raypipe.etl.quarantine.rows import ABOUT, ACTION, DROP, RAW, batches, field_names, refuse_taken_names, rows_of
from raypipe.pipeline.replay import Quarantined
from raypipe.pipeline.replayable import REPLAY, ReplayRecord


class Fixed(Frozen):
    """What was written."""

    path: str
    rows: int
    mended: int
    """Rows that a mend changed."""
    to_drop: int
    lines: int
    """Rows that still are a line without a place in the table."""


def fix_rows(state: Quarantined, mends: Mends, path: Path) -> Fixed:
    """Write all rows in quarantine to a file, mended.

    Raises
    ------
    ConfigError
        If there is no row, the file is there already, or a mend does not fit the rows.
    """
    if not state.rows:
        raise ConfigError(f"quarantine fix: run {state.run_id} has no row in quarantine")
    columns = _columns(state)
    refuse_taken_names(columns)
    mended = to_drop = lines = 0

    def pieces() -> Iterator[pl.DataFrame]:
        nonlocal mended, to_drop, lines
        for batch in batches(state.path):
            before = rows_of(batch, columns)
            after = mends.apply(before)
            fields = [name for name in after.columns if name in (RAW, ACTION) or name not in ABOUT]
            changed = [after[name].ne_missing(before[name]) for name in fields]
            mended += int(pl.DataFrame(changed).select(pl.any_horizontal(pl.all())).to_series().sum())
            to_drop += int((after[ACTION] == DROP).sum())
            lines += int((after[RAW].is_not_null() & (after[ACTION] != DROP)).sum())
            yield after

    rows = write_rows(pieces(), path)
    return Fixed(path=str(path), rows=rows, mended=mended, to_drop=to_drop, lines=lines)


def _columns(state: Quarantined) -> list[str]:
    """The fields that a row has: those that the run read, or where it kept no record of them, those that rows have."""
    if state.files.has(REPLAY):
        place = f"{state.files.location}/{REPLAY}"
        record = ReplayRecord.parse(state.files.read_text(REPLAY, state.temp), place)
        if record.columns:
            return list(record.columns)
    return field_names(state.path)
