"""Of rows that are equal in some columns, the one that wins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl
import pyarrow as pa

from raypipe.blocks.counts import own_memory
from raypipe.blocks.frames import data_columns, row_numbers
from raypipe.config.steps import DropDuplicatesSettings
from raypipe.etl.processing.repeats import HASH_SEED, Keep, Repeats, marked, wins
from raypipe.etl.steps.fitted import FittedStep, RowStep, missing
from raypipe.etl.steps.learn import Place, Recipe
from raypipe.etl.steps.select import Accepts, check_type, is_date, is_number
from raypipe.etl.steps.step import Step, cells_of
from raypipe.stage import ReduceStage, require

COMPARABLE = Accepts(lambda kind: is_number(kind) or is_date(kind), "numbers or dates")


@dataclass
class Candidates:
    """Of each block: its part, and frames of row number, hash of the key, and score."""

    blocks: list[tuple[str, pl.DataFrame]] = field(default_factory=list)


class FindLosers(ReduceStage):
    """Find, over all rows, those that lose against another row with an equal key.

    Keys are compared by a 64-bit hash, with the odds that `FindRepeats` states. The state takes 16 to 24 bytes a row
    until the end of the pass, the result at most one bit a row.
    """

    label: str
    by: tuple[str, ...]
    """None given: all columns."""
    keep: Keep
    of: str | None = None

    @property
    def name(self) -> str:
        return f"losers for {self.label}"

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        require(schema, *self.by, *((self.of,) if self.of else ()), by=self.name)
        return schema

    def partial(self, block: pa.Table, part: str) -> Candidates:
        if block.num_rows == 0:
            return Candidates()
        names = self.by or tuple(data_columns(block))
        keys = pl.DataFrame([cells_of(block, name).alias(f"c{number}") for number, name in enumerate(names)])
        columns = [pl.Series("row", row_numbers(block)), keys.hash_rows(seed=HASH_SEED).alias("key")]
        if self.of is not None:
            score = cells_of(block, self.of)
            columns.append(own_memory(score.set(missing(score), None)).alias("score"))
        elif self.keep == "most_complete":
            columns.append(_complete(block).alias("score"))
        return Candidates([(part, pl.DataFrame(columns))])

    def merge(self, a: Candidates, b: Candidates) -> Candidates:
        a.blocks.extend(b.blocks)
        return a

    def finish(self, state: Candidates) -> Repeats:
        blocks = sorted(state.blocks, key=lambda block: (block[0], block[1]["row"][0]))
        if not blocks:
            return Repeats()
        frame = pl.concat([table for _, table in blocks])
        loses = ~wins(frame["key"], self.keep, frame["score"] if "score" in frame.columns else None)
        parts = []
        for part in dict.fromkeys(part for part, _ in blocks):
            tables = [table for name, table in blocks if name == part]
            rows = np.concatenate([table["row"].to_numpy() for table in tables])
            parts.append((part, rows, np.concatenate([table["key"].to_numpy() for table in tables])))
        return marked(parts, loses.to_numpy())


def _complete(block: pa.Table) -> pl.Series:
    """Values in each row."""
    found = pl.zeros(block.num_rows, pl.Int32, eager=True)
    for name in data_columns(block):
        found = found + (~missing(cells_of(block, name))).cast(pl.Int32)
    return found


class DropLosers(FittedStep):
    """Keep one of the rows that are equal in some columns; each table that it is applied to is looked through first."""

    drops_rows: ClassVar[bool] = True
    kind: Literal["drop_duplicates"] = "drop_duplicates"
    by: tuple[str, ...]
    keep: Keep
    of: str | None = None

    def needs(self) -> tuple[ReduceStage, ...]:
        return (FindLosers(label=self.label, by=self.by, keep=self.keep, of=self.of),)

    def bind(self, results: Mapping[str, Any]) -> Step:
        return DropMarked(label=self.label, marked=next(iter(results.values())), by=self.by, keep=self.keep)

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        require(schema, *self.by, *((self.of,) if self.of else ()), by=self.name)
        return schema

    def open(self) -> Callable[[pa.Table], pa.Table]:
        """See `MapStage.open`; it has to be bound to the table first."""
        raise TypeError(f"{self.name}: bind it to the table that it is applied to first")


class DropMarked(RowStep):
    """Drop known rows of one table."""

    needs_part: ClassVar[bool] = True
    kind: Literal["drop_marked"] = "drop_marked"
    marked: Repeats
    by: tuple[str, ...]
    keep: str

    def keeps(self, block: pa.Table, part: str) -> pl.Series:
        return pl.Series(~self.marked.mask(part, row_numbers(block)))

    def fitted_values(self) -> dict[str, Any]:
        return {
            "rows compared": self.marked.rows,
            "rows that lost": self.marked.repeats,
            "by": ", ".join(self.by) or "all columns",
            "keep": self.keep,
        }


def _fit(settings: DropDuplicatesSettings, place: Place) -> FittedStep:
    if settings.of is not None:
        check_type(place.schema, settings.of, COMPARABLE, f"step {place.label}")
    return DropLosers(label=place.label, by=settings.by, keep=settings.keep, of=settings.of)


def _reads(settings: DropDuplicatesSettings, place: Place) -> tuple[str, ...] | None:
    if not settings.by or settings.keep == "most_complete":
        return None
    return (*settings.by, *((settings.of,) if settings.of else ()))


RECIPES: dict[str, Recipe] = {
    "drop_duplicates": Recipe(learn=_fit, reads=_reads, drops_rows=lambda settings: True),
}
FITTED: tuple[type[FittedStep], ...] = (DropLosers,)
