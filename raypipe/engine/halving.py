"""Applies a stage's function to a block; where it raises, halves the block until the rows at fault stand alone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from raypipe.blocks.frames import ROW, without_row_numbers
from raypipe.engine.faults import is_fault, say
from raypipe.errors import RaypipeError, StageFailedError
from raypipe.stage import ASIDE_RULES_SCHEMA, ASIDE_SCHEMA, NONE_ASIDE, MapStage, Sifted

ROW_FIELD = pa.field(ROW, pa.int64())
ALONE = 64
"""After this many rows on which a stage raised alone, and no piece on which it did not, the block is probed."""
PROBES = 256
"""Rows, spread over the block, on which it is tried alone then; if it raises on each, the rest is set aside untried."""
RAW_CHARS = 10_000
"""A raw row in quarantine is cut after this many characters."""


@dataclass
class Bisection:
    """One block on its way through one stage."""

    stage: MapStage
    part: str
    fn: Callable[[pa.Table], Any]
    promised: pa.Schema | None
    """Schema that the stage's blocks must have; None where an earlier pass has held it to that."""
    _whole: pa.Table = field(init=False)
    _done: list[Sifted] = field(default_factory=list)
    _failed: list[pa.Table] = field(default_factory=list)
    _alone: int = 0
    _any_good: bool = False
    _hopeless: bool = False

    def run(self, block: pa.Table) -> tuple[Sifted, pa.Table]:
        """What the stage made of the block, and the rows on which it raised, as `ASIDE_SCHEMA`.

        Raises
        ------
        StageFailedError
            If the function raises on no rows at all, or returns something else than it promised.
        """
        self._whole = block
        self._go(block)
        if not self._done:  # every row failed; the schema of what is left is that of an empty block
            self._go(block.slice(0, 0))
        if len(self._done) == 1:
            return self._done[0], joined_asides(self._failed)
        counts: Counter[str] = Counter()
        for piece in self._done:
            counts.update(piece.counts)
        try:
            block = pa.concat_tables([piece.block for piece in self._done])
        except pa.ArrowInvalid as error:
            raise self._broken(f"its schema depends on the rows of a block: {say(error)}") from error
        return Sifted(block, joined_asides([piece.aside for piece in self._done]), counts), joined_asides(self._failed)

    def _go(self, block: pa.Table) -> None:
        try:
            made = self.fn(block)
        except RaypipeError:
            raise
        except BaseException as error:
            if not is_fault(error):
                raise
            failure = error.with_traceback(None)  # which would hold the frames, and so the blocks, of every call
        else:
            self._done.append(self._checked(block, made))
            self._any_good = self._any_good or block.num_rows > 0
            return
        self._halve(block, failure)

    def _halve(self, block: pa.Table, failure: BaseException) -> None:
        rows = block.num_rows
        if rows == 0:
            raise self._broken(f"{say(failure)} (on a block of 0 rows)") from failure
        if rows == 1:
            self._alone += 1
            self._failed.append(failed_rows(block, say(failure)))
            return
        if self._is_hopeless():
            why = f"{say(failure)} (not tried alone: it raised on each of {self._alone} rows of this block that were)"
            self._failed.append(failed_rows(block, why))
            return
        self._go(block.slice(0, rows // 2))
        self._go(block.slice(rows // 2))

    def _is_hopeless(self) -> bool:
        """Whether to stop trying rows of this block alone: a broken stage would cost two calls a row."""
        if self._any_good or self._alone < ALONE:
            return False
        if not self._hopeless:
            rows = self._whole.num_rows
            for index in np.unique(np.linspace(0, rows - 1, PROBES, dtype=np.int64)).tolist():
                if self._succeeds_on(self._whole.slice(index, 1)):
                    self._any_good = True
                    return False
                self._alone += 1
            self._hopeless = True
        return True

    def _succeeds_on(self, row: pa.Table) -> bool:
        try:
            self.fn(row)
        except RaypipeError:
            raise
        except BaseException as error:
            if not is_fault(error):
                raise
            return False
        return True

    def _checked(self, before: pa.Table, made: Any) -> Sifted:
        """What the function returned, with `ROW` put back where a stage that keeps all rows forgot it."""
        sifted = made if isinstance(made, Sifted) else Sifted(made)
        if not isinstance(sifted.block, pa.Table):
            raise self._broken(f"it returned {type(sifted.block).__name__}; wanted a pyarrow Table, or Sifted")
        if not any(sifted.aside.schema.equals(known) for known in (ASIDE_SCHEMA, ASIDE_RULES_SCHEMA)):
            raise self._broken(f"rows set aside have the columns {sifted.aside.schema.names}; wanted ASIDE_SCHEMA")
        block = self._with_row_numbers(before, sifted.block)
        if self.promised is not None:
            check_promise(self.stage.name, self.part, block, self.promised)
        return sifted if block is sifted.block else Sifted(block, sifted.aside, sifted.counts)

    def _with_row_numbers(self, before: pa.Table, block: pa.Table) -> pa.Table:
        numbered = before.schema.get_field_index(ROW)
        if numbered < 0:
            return block
        if ROW in block.schema.names:
            if block.schema.field(ROW).type != pa.int64():
                raise self._broken(f"it changed the column {ROW!r}, which numbers the rows; carry it along as it is")
            return block
        if block.num_rows != before.num_rows:
            text = f"it changed the number of rows and left out the column {ROW!r}, so its rows cannot be told apart"
            raise self._broken(text)
        return block.append_column(before.schema.field(numbered), before.column(numbered))

    def _broken(self, text: str) -> StageFailedError:
        return StageFailedError(self.stage.name, self.part, text)


def check_promise(stage: str, part: str, block: pa.Table, promised: pa.Schema) -> None:
    """Raise StageFailedError unless the block has the promised columns."""
    if block.schema.equals(promised.append(ROW_FIELD)):  # as nearly always, and much quicker to find out
        return
    have = without_row_numbers(block).schema
    if have.equals(promised):
        return
    got = {field.name: _told(field) for field in have}
    want = {field.name: _told(field) for field in promised}
    wrong = [f"{name!r} as {got.get(name)} instead of {kind}" for name, kind in want.items() if got.get(name) != kind]
    wrong += [f"{name!r}, which it did not promise" for name in got if name not in want]
    text = f"it returned {'; '.join(wrong[:5]) or 'its columns in another order'} (see its output_schema)"
    raise StageFailedError(stage, part, text)


def _told(column: pa.Field) -> str:
    return str(column.type) if column.nullable else f"{column.type} that is never null"


def failed_rows(rows: pa.Table, why: str) -> pa.Table:
    """Rows on which a stage raised, as `ASIDE_SCHEMA`."""
    count = rows.num_rows
    raw = [
        json.dumps(values, default=str, ensure_ascii=False)[:RAW_CHARS]
        for values in without_row_numbers(rows).to_pylist()
    ]
    numbers = rows[ROW].combine_chunks() if ROW in rows.column_names else pa.nulls(count, pa.int64())
    text = pa.large_string()
    columns = [
        numbers, pa.nulls(count, pa.int64()), pa.nulls(count, text), pa.nulls(count, text),
        pa.array([why] * count, text), pa.array(raw, text),
    ]  # fmt: skip
    return pa.table(columns, schema=ASIDE_SCHEMA)


def joined_asides(tables: Sequence[pa.Table]) -> pa.Table:
    """Rows set aside, one table after the other."""
    if not tables:
        return NONE_ASIDE
    wide = any("rules" in table.column_names for table in tables)
    return pa.concat_tables(tables, promote_options="default" if wide else "none")
