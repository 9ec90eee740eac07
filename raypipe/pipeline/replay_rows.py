"""Which rows of a quarantine are read again, as they are or as a file mends them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from raypipe.blocks.frames import from_polars
from raypipe.errors import ConfigError
from raypipe.etl.quarantine.mended import CELLS, LINE, STAGED
from raypipe.etl.quarantine.mendfile import read_rows
from raypipe.etl.quarantine.rows import ACTION, DROP, FILE, ID, KEEP, RAW, REPLAY, STAGE, batches, mark_of, rows_of
from raypipe.pipeline.replay import Quarantined
from raypipe.stage import MapStage

REPEATABLE = ("CheckRows", "SetFaultsAside", "TrimText", "DropEmptyColumns", "DropEmptyRows")
"""Stages that a row may go through twice without harm."""


def late_stages(stages: Sequence[MapStage]) -> list[str]:
    """Stages whose rows went through one that changes them more than once; they cannot start again from there."""
    kinds = [type(stage).__name__ for stage in stages]
    first = next((at for at, kind in enumerate(kinds) if kind not in REPEATABLE), len(kinds))
    return [stage.name for stage in stages[first + 1 :]]


@dataclass
class Sent:
    """What becomes of the rows before they are read."""

    going: int = 0
    dropped: list[str] = field(default_factory=list)
    """Identities."""
    both: list[str] = field(default_factory=list)
    """Identities of rows given twice."""
    done_before: int = 0
    fixed_name: str | None = None
    late: int = 0
    """Rows that steps had changed when they were set aside."""


def stage_rows(state: Quarantined, fixed: Path | None, columns: list[str], late: Sequence[str], staged: Path) -> Sent:
    """Write the rows that are to be read, mended where the file mends them; those of the stages in `late` stay."""
    sent = Sent(fixed_name=fixed.name if fixed else None)
    mended = _mended(state, fixed, columns, sent) if fixed is not None else None
    schema = pl.Schema(dict.fromkeys((*STAGED, *(f"c{n}" for n in range(len(columns)))), pl.String))
    with pq.ParquetWriter(staged, from_polars(pl.DataFrame(schema=schema)).schema) as writer:
        for batch in batches(state.path):
            rows = rows_of(batch, columns).with_columns(notation=batch["notation"])
            was_line = rows[RAW]
            if mended is not None:
                rows = _with_mends(rows, mended, columns)
            action = rows[ACTION].fill_null(REPLAY)
            given = _any_given(rows, columns)
            as_it_was = (rows[RAW] == was_line).fill_null(False)
            both = rows[RAW].is_not_null() & given & ~as_it_was
            sent.dropped += rows[ID].filter(action == DROP).to_list()
            sent.both += rows[ID].filter((action == REPLAY) & both).to_list()
            # A line that nobody changed has no place now, either; one whose fields were filled in is not read.
            changed = rows[STAGE].is_in(late).fill_null(False) & (action == REPLAY)
            sent.late += int(changed.sum())
            stays = both | changed | (as_it_was & ~given)
            go = rows.with_columns(pl.when(~as_it_was).then(RAW).alias(RAW)).filter((action == REPLAY) & ~stays)
            writer.write_table(from_polars(_staged(go, columns)))
            sent.going += go.height
    return sent


def _any_given(rows: pl.DataFrame, columns: list[str]) -> pl.Series:
    """Which rows have a value in some field. Names are hostile: no expression of Polars gets one."""
    given = pl.Series([False]).new_from_index(0, rows.height)
    for name in columns:
        given |= rows[name].alias("").is_not_null()
    return given


def _staged(rows: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
    is_line = rows[RAW].is_not_null()
    # The fields of a row without a place are typed by hand, in the manner of its file.
    by_hand = pl.when(is_line).then(pl.lit(LINE)).when(rows["notation"] == LINE).then(pl.lit(CELLS))
    notation = pl.select(by_hand.otherwise(rows["notation"])).to_series()
    fields = [rows[name].alias(f"c{number}") for number, name in enumerate(columns)]
    return pl.DataFrame(
        [
            rows[ID].alias("id"),
            notation.alias("notation"),
            rows[FILE].alias("file"),
            rows[RAW].alias("line"),
            *fields,
        ]
    )


def _mended(state: Quarantined, fixed: Path, columns: list[str], sent: Sent) -> pl.DataFrame:
    """The rows of a file of mends that are in quarantine."""
    waiting = pl.concat(
        [batch.select("id") for batch in batches(state.path)] or [pl.DataFrame(schema={"id": pl.String})]
    )
    pieces: list[pl.DataFrame] = []
    for piece in read_rows(fixed, columns):
        _refuse_strangers(piece[ID], state, fixed)
        known = piece[ID].is_in(waiting["id"].implode())
        sent.done_before += int((~known).sum())
        pieces.append(piece.filter(known))
    rows = pl.concat(pieces, how="diagonal") if pieces else pl.DataFrame(schema={ID: pl.String})
    twice = rows[ID].filter(rows[ID].is_duplicated())
    if len(twice):
        raise ConfigError(f"{fixed}: has row {twice[0]} twice; a row can be mended in one way only")
    return rows


def _refuse_strangers(ids: pl.Series, state: Quarantined, fixed: Path) -> None:
    """ConfigError if a row is of another run."""
    mark = mark_of(state.run_id)
    numbers = ids.str.extract(rf"^{mark}-(\d{{1,18}})$").cast(pl.Int64)
    strange = ids.filter(numbers.is_null() | (numbers >= state.first_rows))
    if len(strange):
        raise ConfigError(
            f"{fixed}: row {strange[0]!r} is none that run {state.run_id} set aside; make the file anew: raypipe "
            f"quarantine fix {state.files.location} --out …"
        )


def _with_mends(rows: pl.DataFrame, mended: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
    """The rows with what the file says of them; those that it does not have stay where they are."""
    there = rows[ID].is_in(mended[ID].implode())
    new = rows.select(ID).join(mended, on=ID, how="left", maintain_order="left")
    for name in (ACTION, RAW, *columns):
        if name in new.columns:
            cells = new[name].alias("").cast(pl.String).zip_with(there, rows[name].alias(""))
            rows = rows.clone().replace_column(rows.get_column_index(name), cells.alias(name))
    kept = pl.Series([KEEP], dtype=pl.String).new_from_index(0, rows.height)
    action = rows[ACTION].zip_with(there, kept).alias(ACTION)
    return rows.clone().replace_column(rows.get_column_index(ACTION), action)
