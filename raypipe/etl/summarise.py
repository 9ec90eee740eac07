"""The stage that profiles whatever passes through it."""

from __future__ import annotations

from typing import ClassVar, Self

import pyarrow as pa
from pydantic import ConfigDict, field_serializer

from raypipe.blocks.frames import ROW, no_rows
from raypipe.blocks.profile import Profile
from raypipe.blocks.spec import SummarySpec
from raypipe.blocks.table import TableSummary, finish, merge, summarise
from raypipe.stage import ReduceStage


class Summarise(ReduceStage):
    """Profile of all blocks; they pass through unchanged."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    STAGE_NAME: ClassVar[str] = "Summarise"

    spec: SummarySpec = SummarySpec()
    """Limits of the summary."""
    only: frozenset[str] | None = None
    """Columns to summarise, where the others are known already; see `raypipe.blocks.table.summarise`."""
    columns: pa.Schema | None = None
    """Schema of the blocks, so that a source without parts has a profile of its columns too."""

    @classmethod
    def of(cls, schema: pa.Schema, spec: SummarySpec | None = None) -> Self:
        """The stage for blocks of this schema."""
        names = [name for name in schema.names if name != ROW]
        return cls(spec=spec or SummarySpec(), columns=pa.schema([schema.field(name) for name in names]))

    @property
    def name(self) -> str:
        return self.STAGE_NAME

    @field_serializer("columns")
    def _as_text(self, columns: pa.Schema | None) -> dict[str, str] | None:
        return None if columns is None else {field.name: str(field.type) for field in columns}

    def partial(self, block: pa.Table, part: str) -> TableSummary:
        """Summary of one block; the part does not matter."""
        return summarise(block, self.spec, self.only)

    def merge(self, a: TableSummary, b: TableSummary) -> TableSummary:
        """Both together; neither is changed."""
        return merge(a, b)

    def finish(self, state: TableSummary | None) -> Profile:
        """The profile; of an empty table when there was no part."""
        if state is not None:
            return finish(state)
        return (
            Profile(rows=0, columns=())
            if self.columns is None
            else finish(summarise(no_rows(self.columns), self.spec, self.only))
        )
