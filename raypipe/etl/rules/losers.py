"""Rows whose key another row has as well: who stays is known when all rows are, and the next pass acts on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.types as pt

from raypipe.blocks.counts import own_memory
from raypipe.blocks.frames import ROW
from raypipe.config import Frozen
from raypipe.etl.aside import NONE_WITH_RULES, Fault, numbered, set_aside
from raypipe.etl.processing.repeats import HASH_SEED, Keep, PartRows, Repeats, by_part, marked, part_rows, wins
from raypipe.etl.rules.cells import Cells, UnfitError
from raypipe.etl.rules.comparing import is_number
from raypipe.etl.rules.masks import rule_lists
from raypipe.etl.rules.measuring import Found, Task, tasks_of
from raypipe.etl.rules.rule import FigureRule, Measure, Rule
from raypipe.stage import MapStage, Sifted

SET_ASIDE = "rules:set_aside"


@dataclass
class Contenders:
    """Of each block: its part, and a frame of row number, hash of the key, and score."""

    blocks: list[tuple[str, pl.DataFrame]] = field(default_factory=list)


class LosersOf(Measure):
    """Rows that lose against another one with the same key; rows with a null in the key do not count.

    Keys are compared by a 64-bit hash, with the odds that `FindRepeats` states. The state takes 16 to 24 bytes a row
    until the end of the pass; the result at most one bit a row.
    """

    columns: tuple[str, ...]
    keep: Keep = "first"
    of: str | None = None
    """Where `keep` is `max` or `min`: the column whose largest or smallest value wins; of equals, the first row."""

    def reads(self) -> tuple[str, ...]:
        return (*self.columns, *((self.of,) if self.of else ()))

    def check(self, schema: pa.Schema) -> None:
        cells = Cells(schema)
        for name in self.columns:
            _ = cells[name]
        if self.of is None:
            return
        kind = cells[self.of].kind
        if not (is_number(kind) or pt.is_date(kind) or pt.is_timestamp(kind) or pt.is_null(kind)):
            raise UnfitError(f"`of`: {self.of!r} holds {cells[self.of].called}; wanted numbers or times")

    def partial(self, block: pa.Table, part: str) -> Contenders:
        cells = Cells(block.schema)
        key = [cells[name].expr.alias(f"c{n}") for n, name in enumerate(self.columns)]
        score = cells[self.of].expr if self.of is not None else pl.lit(None, pl.Int8)
        if self.of is not None and pt.is_floating(cells[self.of].kind):
            score = score.fill_nan(None)
        frame = cells.frame(block).select(*key, score.alias("score"))
        keys = frame.select(pl.exclude("score"))
        whole = keys.select(pl.all_horizontal(pl.all().is_not_null())).to_series()
        rows = pl.Series("row", numbered(block).column(ROW).to_numpy())
        found = pl.DataFrame([rows, keys.hash_rows(seed=HASH_SEED).alias("key")])
        if self.of is not None:
            found = found.with_columns(own_memory(frame["score"]))
        found = found.filter(whole)
        return Contenders([(part, found)] if found.height else [])

    def merge(self, a: Contenders, b: Contenders) -> Contenders:
        a.blocks.extend(b.blocks)
        return a

    def finish(self, state: Contenders) -> Repeats:
        blocks = sorted(state.blocks, key=lambda block: (block[0], block[1]["row"][0]))
        if not blocks:
            return Repeats()
        frame = pl.concat([table for _, table in blocks])
        loses = ~wins(frame["key"], self.keep, frame["score"] if self.of is not None else None)
        names = dict.fromkeys(part for part, _ in blocks)
        parts = [_rows_of(name, [table for part, table in blocks if part == name]) for name in names]
        return marked(parts, loses.to_numpy())


def _rows_of(part: str, tables: Sequence[pl.DataFrame]) -> PartRows:
    whole = pl.concat(tables)
    return part, whole["row"].to_numpy(), whole["key"].to_numpy()


class NullKeys(Measure):
    """Rows with a null in one of some columns."""

    columns: tuple[str, ...]

    def check(self, schema: pa.Schema) -> None:
        cells = Cells(schema)
        for name in self.columns:
            _ = cells[name]

    def partial(self, block: pa.Table, part: str) -> list[PartRows]:
        cells = Cells(block.schema)
        null = pl.any_horizontal(cells[name].expr.is_null() for name in self.columns)
        found = cells.frame(block).select(null.alias("n")).to_series().to_numpy()
        rows = numbered(block).column(ROW).to_numpy()[found]
        return [(part, rows, np.zeros(len(rows), np.uint64))] if len(rows) else []

    def merge(self, a: list[PartRows], b: list[PartRows]) -> list[PartRows]:
        return [*a, *b]

    def finish(self, state: list[PartRows]) -> Repeats:
        parts = [part_rows(group) for group in by_part(sorted(state, key=lambda entry: (entry[0], int(entry[1][0]))))]
        return marked(parts, np.ones(sum(len(rows) for _, rows, _ in parts), bool))


class Marked(Frozen):
    """Rows that break a rule which is judged over all rows."""

    id: str
    column: str
    """The one to blame."""
    reason: str
    rows: tuple[Repeats, ...]
    """A row in any of them is at fault."""

    def mask(self, part: str, rows: npt.NDArray[np.int64]) -> pl.Series:
        """Which of the rows of the part are at fault."""
        return pl.Series(np.logical_or.reduce([found.mask(part, rows) for found in self.rows]))


class SetRepeatsAside(MapStage):
    """Set the marked rows aside, each with all rules of this kind that it breaks.

    The marks were settled over all parts, so that the outcome depends neither on cuts nor on the number of workers.
    """

    needs_part: ClassVar[bool] = True

    marked: tuple[Marked, ...]

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def open(self) -> Callable[..., Sifted]:
        return self.apply

    def apply(self, block: pa.Table, part: str) -> Sifted:
        """The block without the rows marked for this part; a block without `ROW` is taken for its whole part."""
        known = [one for one in self.marked if any(part in found.marks for found in one.rows)]
        if not known or not block.num_rows:
            return Sifted(block, NONE_WITH_RULES)
        rows = numbered(block)
        numbers = rows.column(ROW).to_numpy()
        masks = [one.mask(part, numbers) for one in known]
        bad = pl.Series(np.logical_or.reduce([mask.to_numpy() for mask in masks]))
        if not bad.any():
            return Sifted(block, NONE_WITH_RULES)
        hits = [mask.filter(bad) for mask in masks]
        first = pl.Series(np.argmax([hit.to_numpy() for hit in hits], axis=0))
        lists = rule_lists(hits, [one.id for one in known])
        faults = [Fault(one.column, one.reason) for one in known]
        aside = set_aside(rows.filter(bad.to_arrow()), first, faults, lists)
        return Sifted(block.filter((~bad).to_arrow()), aside, {SET_ASIDE: aside.num_rows})


def acting(checks: Sequence[Rule]) -> list[FigureRule]:
    """The rules over all rows that set rows aside."""
    return [check for check in checks if isinstance(check, FigureRule) and check.names_rows()]


def repeats_stage(checks: Sequence[Rule], found: Found) -> SetRepeatsAside | None:
    """What sets rows aside that the measures named; None where they named none."""
    told = []
    for check in acting(checks):
        tasks = [Task(measure=measure) for measure in check.names_rows()]
        rows = tuple(found.values[task] for task in tasks if task in found.values)  # else its column is not there
        if any(one.repeats for one in rows):
            reason = f"{check.rule}: wanted {check.wanted}"
            told.append(Marked(id=check.id, column=check.columns[0], reason=reason, rows=rows))
    return SetRepeatsAside(marked=tuple(told)) if told else None


def measured_again(checks: Sequence[Rule], first: Found, again: Found) -> Found:
    """What rules judge where rows were set aside in between: figures are those of the rows that stayed, and those of
    the rules that set rows aside are those of all rows that they looked at."""
    before = {task for check in acting(checks) for task in tasks_of(check)}
    values = {task: first.values[task] if task in before else value for task, value in again.values.items()}
    return Found(values, again.dropped | (first.dropped & before))
