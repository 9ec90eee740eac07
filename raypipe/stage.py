"""Stages: frozen values that describe one step of work each, and the small values they exchange.

A stage does no work when built and never changes. `open()` runs once in a worker and returns the function that the
worker applies to each block; that function runs, and is tested, without Ray.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import PositiveInt, SerializeAsAny

from raypipe._optional import require_extra
from raypipe.blocks.frames import ROW, no_rows
from raypipe.blocks.rowlines import RowLines
from raypipe.config import Frozen, Resources
from raypipe.errors import ConfigError, MissingColumnsError

ASIDE_SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("line", pa.int64()),
        ("column", pa.large_string()),
        ("value", pa.large_string()),
        ("reason", pa.large_string()),
        ("raw", pa.large_string()),
    ]
)
"""Rows set aside by one function call. `row`: number within the part (null: the row never became one, as with a
ragged line). `line`: number of the text line within the part, from 0 (null where a source has no lines).
`raw`: the whole row, as JSON or as the text line. The engine adds stage and part."""

RULE_NAME = pa.dictionary(pa.int32(), pa.large_string())
ASIDE_RULES_SCHEMA = ASIDE_SCHEMA.append(pa.field("rules", pa.large_list(RULE_NAME)))
"""The same with the ids of all rules that a row breaks, the first of which gives the reason. Stages that check no rules
leave that column out."""

NONE_ASIDE = no_rows(ASIDE_SCHEMA)
"""No rows set aside; tables never change, so that one serves all."""


@dataclass(frozen=True)
class Sifted:
    """What a function kept, and what it set aside with a reason for each row (`ASIDE_SCHEMA`, or with `rules`).

    A row is set aside once, under its first reason. Rows that are in neither table were dropped, which only a stage
    with `drops_rows = True` may do.
    """

    block: pa.Table
    aside: pa.Table = field(default_factory=lambda: NONE_ASIDE)
    counts: Mapping[str, int] = field(default_factory=dict)
    """What the function did, e.g. {"cells_changed:city": 12}; the engine adds them up over all blocks."""


BlockFn = Callable[[pa.Table], "pa.Table | Sifted"]


class Part(Frozen):
    """One piece of a source, with an id that stays the same in every run over the same source."""

    id: str
    """Sorts into source order as text, e.g. `00003/flights.csv@0000067108864`."""
    file: str
    """What the user would call it: the path of the file, for messages and quarantine."""
    rows: int | None = None
    """Rows, where known before reading."""
    bytes: int = 0
    """Estimated size in memory, in bytes; 0 where unknown."""


@dataclass(frozen=True)
class PartRead:
    """What a source made of one part."""

    block: pa.Table
    """The rows, without `ROW`; the engine numbers them from `row_numbers`, or from 0."""
    aside: pa.Table = field(default_factory=lambda: NONE_ASIDE)
    """Rows that could not be placed (ragged, or a cell that does not fit its column)."""
    row_numbers: pa.Array | None = None
    """int64, number of each row of `block` within the part, where `aside` took rows from between them."""
    bytes_read: int = 0
    """Bytes taken from the file."""
    lines: int | None = None
    """Text lines that the part spans, so that line numbers of later parts can be told."""
    row_lines: RowLines | None = None
    """The line in which each row begins, from 0, by its number within the part; None where that is not known."""
    notes: dict[str, Any] = field(default_factory=dict)
    """Small facts for the driver, e.g. counts of cells that disagreed with the planned type of their column."""


class Stage(Frozen, ABC):
    """One step of a pipeline, described but not yet run."""

    extra: ClassVar[str | None] = None
    """The pip extra that it needs."""
    resources: Resources = Resources()
    """What one worker of it reserves."""
    max_workers: PositiveInt | None = None
    """Workers that may run it at the same time, as for a service that bears no more; None leaves it to the engine."""

    @property
    def name(self) -> str:
        """How plans, progress and quarantine call it: the class name, unless the stage knows better."""
        return type(self).__name__

    @abstractmethod
    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        """Schema after this stage; raises SchemaError if `schema` does not fit. `ROW` is in neither."""


class SourceStage(Stage):
    """Where blocks come from. Listing parts happens once, in the driver; reading them, in workers."""

    @property
    def is_quick(self) -> bool:
        """Whether to read a part again costs less than to keep its block for a later pass."""
        return False

    def narrowed(self, columns: frozenset[str]) -> SourceStage:
        """The source of these columns alone, where that is less work; the parts and their ids stay."""
        return self

    @abstractmethod
    def schema(self) -> pa.Schema:  # type: ignore[override]  # pydantic's deprecated BaseModel.schema is none of ours
        """Schema of every block that `open()` reads."""

    @abstractmethod
    def parts(self) -> Sequence[Part]:
        """The pieces to read, in source order; ids are distinct and sort into that order."""

    @abstractmethod
    def open(self) -> Callable[[Part], PartRead]:
        """Load what a worker needs, once, and return the function that reads a part."""

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return self.schema()


class MapStage(Stage):
    """A block in, a block out. Either kind below; the engine treats both alike."""

    needs_part: ClassVar[bool] = False
    """Whether the function takes the part id as a second argument."""
    by_column: ClassVar[bool] = False
    """Whether it changes columns one by one, each by itself, and for less than it costs to keep what it made. Such a
    stage has a method `of_columns`."""
    drops_rows: ClassVar[bool] = False
    """Whether rows may vanish on purpose. Rows that vanish from any other stage fail the run."""

    @abstractmethod
    def open(self) -> BlockFn:
        """Load what a worker needs, once, and return the function it applies to each block."""

    def of_columns(self, columns: frozenset[str]) -> MapStage | None:
        """The stage for blocks with no other columns than these; None where it leaves those as they are.

        Only a stage that works `by_column` can be asked.
        """
        raise ConfigError(f"{self.name}: its columns hang together; only stages that work by column can be narrowed")


class BlockStage(MapStage):
    """A map with nothing to load; the engine may fuse it with its neighbours into one actor."""

    def open(self) -> BlockFn:
        return self.apply

    @abstractmethod
    def apply(self, block: pa.Table) -> pa.Table | Sifted:
        """The block after this step. Carry `ROW` along, as any other column; never write into the block."""


class ModelStage(MapStage):
    """A map that loads something first, such as a model; it may want a GPU."""


class ReduceStage(Stage):
    """A summary of all blocks that merges. Blocks pass through it unchanged.

    `merge` is associative up to rounding, and the engine merges in the order of parts, so that the result depends
    neither on the number of workers nor on who finished first.
    """

    @property
    def reads(self) -> frozenset[str] | None:
        """Columns that it looks at; None where it may look at all."""
        return None

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    @abstractmethod
    def partial(self, block: pa.Table, part: str) -> Any:
        """Summary of one block of the part with this id; small, and cheap to pickle."""

    @abstractmethod
    def merge(self, a: Any, b: Any) -> Any:
        """Combine two summaries; may reuse the memory of `a`, and leaves `b` alone."""

    @abstractmethod
    def finish(self, state: Any) -> Any:
        """The result. Where the source had no part at all, `state` is the summary of an empty block."""


class SinkStage(Stage):
    """Where blocks go to: one file or object a part, under a name made from the part id."""

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    @abstractmethod
    def open(self) -> Callable[[pa.Table, str], dict[str, Any]]:
        """A function (block, part id) -> receipt (path, rows, bytes). Writing a part twice leaves one file."""


def require(schema: pa.Schema, *columns: str, by: str) -> None:
    """Raise MissingColumnsError unless `schema` has all `columns`."""
    have = [name for name in schema.names if name != ROW]
    missing = [column for column in columns if column not in have]
    if missing:
        raise MissingColumnsError(by, missing, have)


class Plan(Frozen):
    """A source and the stages that its blocks go through, in order. Checked as a whole before anything runs."""

    source: SerializeAsAny[SourceStage]
    prefix: tuple[SerializeAsAny[MapStage], ...] = ()
    """Stages between the source and `stages` that an earlier pass ran and counted; they run again, in silence, on parts
    whose blocks were not kept."""
    stages: tuple[SerializeAsAny[Stage], ...] = ()

    def narrowed(self) -> Plan:
        """The plan that reads only columns that its stages look at, where those say which, and the source gains by it.

        Stages see fewer columns then. A plan whose stages change blocks stays as it is.
        """
        seen = [stage.reads if isinstance(stage, ReduceStage) else None for stage in self.stages]
        known = [columns for columns in seen if columns is not None]
        if not self.source.is_quick or len(known) < len(seen) or not all(stage.by_column for stage in self.prefix):
            return self
        wanted = frozenset[str]().union(*known)
        steps = [stage.of_columns(wanted) for stage in self.prefix]
        prefix = tuple(stage for stage in steps if stage is not None)
        return Plan(source=self.source.narrowed(wanted), prefix=prefix, stages=self.stages)

    @property
    def is_quick(self) -> bool:
        """Whether to make the blocks after the last stage again costs less than to keep them."""
        made = [stage for stage in (*self.prefix, *self.stages) if isinstance(stage, MapStage)]
        return self.source.is_quick and all(stage.by_column for stage in made)

    def schemas(self) -> tuple[pa.Schema, ...]:
        """Schema that the first of `stages` gets, then after each stage.

        Raises
        ------
        ConfigError
            If two stages have one name: metrics, results and quarantine go by it.
        SchemaError
            If a stage does not fit what comes before it.
        MissingDependencyError
            If a stage needs a pip extra that is not installed.
        """
        names = [self.source.name, *(stage.name for stage in self.stages)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigError(f"plan: stages must have distinct names, got {', '.join(twice)} more than once")
        for stage in (self.source, *self.prefix, *self.stages):
            if stage.extra is not None:
                require_extra(stage.extra, by=stage.name)
        first = self.source.schema()
        for stage in self.prefix:
            first = stage.output_schema(first)
        found = [first]
        for stage in self.stages:
            found.append(stage.output_schema(found[-1]))
        return tuple(found)
