"""Profiles of the rows that share a value of one column, and of all the others."""

from __future__ import annotations

import functools
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from raypipe.blocks.frames import without_row_numbers
from raypipe.blocks.profile import Profile
from raypipe.blocks.spec import SummarySpec
from raypipe.blocks.table import TableSummary, finish, merge, summarise
from raypipe.errors import SchemaError
from raypipe.stage import ReduceStage, require


class SummariseSegments(ReduceStage):
    """A summary of the rows of each value, and one of the rows with any other value or none."""

    column: str
    values: tuple[str, ...]
    """As text."""
    spec: SummarySpec = SummarySpec()

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        require(schema, self.column, by=self.name)
        kind = schema.field(self.column).type
        if not (pt.is_large_string(kind) or pt.is_string(kind) or pt.is_integer(kind) or pt.is_boolean(kind)
                or pt.is_date(kind)):  # fmt: skip
            raise SchemaError(
                f"compare: segments by {self.column!r} need text, whole numbers, booleans or dates, and it holds {kind}"
            )
        return schema

    def partial(self, block: pa.Table, part: str) -> tuple[TableSummary, ...]:
        """A summary for each value, and the last one for all others."""
        texts = pc.cast(block[self.column], pa.large_string())
        place = pc.index_in(texts, value_set=pa.array(self.values, pa.large_string()))
        rows = without_row_numbers(block)
        masks = [pc.fill_null(pc.equal(place, number), False) for number in range(len(self.values))]
        return tuple(summarise(rows.filter(mask), self.spec) for mask in [*masks, pc.is_null(place)])

    def merge(self, a: tuple[TableSummary, ...], b: tuple[TableSummary, ...]) -> tuple[TableSummary, ...]:
        return tuple(merge(x, y) for x, y in zip(a, b, strict=True))

    def finish(self, state: tuple[TableSummary, ...] | None) -> dict[str, tuple[Profile, Profile]]:
        """Value -> profile of its rows, and of all others; the column itself is left out, as it differs by nature."""
        if state is None:
            return {}
        return {
            value: (
                self._without(finish(state[number])),
                self._without(finish(_all(one for place, one in enumerate(state) if place != number))),
            )
            for number, value in enumerate(self.values)
        }

    def _without(self, profile: Profile) -> Profile:
        return profile.replace(columns=tuple(column for column in profile.columns if column.name != self.column))


def _all(states: Iterable[TableSummary]) -> TableSummary:
    return functools.reduce(merge, states)
