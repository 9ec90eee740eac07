"""Entity rows with the features that were known at their times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, cast

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from raypipe.blocks.asof import AsOfSpec, Times, microseconds, plan_as_of
from raypipe.blocks.frames import canonical_schema, to_polars
from raypipe.engine.asof import AsOfRows, join_as_of
from raypipe.engine.frame import Frame
from raypipe.errors import SchemaError
from raypipe.ml.specs.views import FeatureView
from raypipe.ml.store.source import files_of
from raypipe.ml.store.tables import VersionedTable, definition_of, schema_of

if TYPE_CHECKING:
    from deltalake import DeltaTable


@dataclass(frozen=True)
class Pinned:
    """A view at one version of its table."""

    place: VersionedTable
    table: DeltaTable

    @cached_property
    def view(self) -> FeatureView:
        """As it was defined then."""
        return definition_of(self.table)

    @property
    def version(self) -> int:
        """Of the table."""
        return int(self.table.version())

    @cached_property
    def stored(self) -> pa.Schema:
        """Columns of the table."""
        return schema_of(self.table)

    @property
    def schema(self) -> pa.Schema:
        """Columns of the view, as they travel."""
        return canonical_schema(pa.schema([self.stored.field(name) for name in self.view.columns]))

    def moment(self, name: str, us: int) -> pa.Scalar:
        """Microseconds since 1970 as a time of a column."""
        return pa.scalar(us, pa.int64()).cast(self.stored.field(name).type)


def plan(left: pa.Schema, pinned: Pinned, time: str, full: bool) -> AsOfSpec:
    """Check the join of one view; errors say what the entity rows lack."""
    view = pinned.view
    times = Times(time, view.event_time, view.known_at, view.ttl_us)
    return plan_as_of(left, pinned.schema, view.entities, times, view.named(full), by=f"join with view {view.name!r}")


def join_table(rows: pa.Table, views: Sequence[Pinned], time: str, full: bool) -> pa.Table:
    """The join in this process; of each view only rows that some entity row may want are read."""
    for pinned in views:
        spec = plan(rows.schema, pinned, time, full)
        rows = AsOfRows(spec).at_once(rows, _wanted(pinned, spec, rows))
    return rows


def join_frame(rows: Frame, views: Sequence[Pinned], time: str, full: bool) -> Frame:
    """The join where the blocks of the frame lie."""
    for pinned in views:
        spec = plan(canonical_schema(rows.schema), pinned, time, full)
        rows = join_as_of(rows, files_of(pinned.table, pinned.place.path, pinned.view.columns), spec)
    return rows


def _wanted(pinned: Pinned, spec: AsOfSpec, rows: pa.Table) -> pa.Table:
    """Rows of the view that happened neither after the latest entity row nor too long before the earliest."""
    names = pinned.view.columns
    asked = microseconds(to_polars(rows.select([spec.time])).to_series())
    first, last = asked.min(), asked.max()
    if first is None or last is None:
        return pinned.schema.empty_table()
    wanted = pc.field(spec.event) <= pinned.moment(spec.event, cast(int, last))
    if spec.ttl_us is not None:
        wanted &= pc.field(spec.event) >= pinned.moment(spec.event, cast(int, first) - spec.ttl_us)
    return pinned.table.to_pyarrow_dataset().to_table(columns=list(names), filter=wanted).cast(pinned.schema)


def same_names(views: Sequence[FeatureView], taken: Sequence[str], full: bool) -> None:
    """Raise SchemaError where two columns of the result would have one name."""
    seen = dict.fromkeys(taken, "the entity rows")
    for view in views:
        for name in view.named(full).values():
            if name in seen:
                raise SchemaError(
                    f"join: {name!r} comes from {seen[name]} and from view {view.name!r}; ask for full feature names"
                    " (full_names=True, --full-names), or rename one"
                )
            seen[name] = f"view {view.name!r}"


def latest(frame: pl.DataFrame, view: FeatureView) -> pl.DataFrame:
    """The newest row of each entity: the latest event, of equal ones the latest known."""
    return frame.sort(*view.times).unique(subset=list(view.entities), keep="last", maintain_order=True)
