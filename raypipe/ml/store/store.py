"""`FeatureStore`: views of features in a folder, with their history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from raypipe._optional import require_extra
from raypipe.blocks.frames import canonical_schema, to_polars
from raypipe.engine.frame import Frame
from raypipe.errors import ConfigError, SchemaError
from raypipe.ml.specs.views import FeatureView
from raypipe.ml.store import rows as rows_of
from raypipe.ml.store.join import Pinned, join_frame, join_table, same_names
from raypipe.ml.store.registry import Registry, check_change, check_constraints, unknown
from raypipe.ml.store.tables import PROPERTIES, VersionedTable, define, defined, history_of, schema_of

Version = int | datetime | None
"""A number, a moment with its time zone, or None for the newest."""
PLACE = "_place"
"""Column of a dataset's table: the number of the row, since Delta keeps rows in no order."""


@dataclass(frozen=True)
class IngestReport:
    """What became of rows: `rows` = inserted + updated + unchanged + superseded + set aside."""

    view: str
    version: int
    """Of the view, after it."""
    rows: int
    inserted: int
    updated: int
    unchanged: int
    """There already, just so."""
    superseded: int
    """Before a later row of the same key in the same table."""
    aside: pa.Table
    """Rows that the view does not take, with the column `reason`."""
    reasons: Mapping[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """All but the rows."""
        told = {name: getattr(self, name) for name in ("view", "version", "rows", "inserted", "updated", "unchanged")}
        return {**told, "superseded": self.superseded, "set_aside": self.aside.num_rows, "reasons": dict(self.reasons)}


class FeatureStore:
    """The feature views of one project in a folder.

    Parameters
    ----------
    path : path
        Folder of the store, on a disk that all who use it see.
    project : str
        Folder in it; projects share nothing.
    create : bool
        Make the folder where there is none; else that is an error.

    Raises
    ------
    MissingDependencyError
        Without the extra `delta`.
    ConfigError
        If the path is an address in a bucket or a file, or is not there and may not be made.
    """

    def __init__(self, path: str | Path, project: str = "ml_workflow", *, create: bool = True) -> None:
        require_extra("delta", by="The feature store")
        if "://" in str(path):
            raise ConfigError(f"feature store: got {path}; wanted a folder: buckets are not supported, mount it")
        if not project or Path(project).name != project or project.startswith("."):
            raise ConfigError(f"feature store: got the project {project!r}; wanted a plain name, such as 'churn'")
        self.path = Path(path)
        self.folder = self.path / project
        if self.path.is_file():
            raise ConfigError(f"feature store: {path} is a file; wanted a folder")
        if not create and not self.folder.is_dir():
            raise ConfigError(f"feature store: there is none at {self.folder}; make it with initialize_on_start=True")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.registry = Registry(self.folder / "registry")

    # ---- definitions ------------------------------------------------------------------------------------------------

    def register(self, view: FeatureView) -> FeatureView:
        """Keep a definition. One that is there may get more features, and another ttl, constraints and words.

        Raises
        ------
        ConfigError
            If rows or models of the old definition would make no sense under the new one, or a constraint none at all.
        """
        check_constraints(view)
        old = self.registry.find(view.name)
        if old is not None:
            check_change(old, view)
        self.registry.put(view)
        table = self.table(view.name)
        if table.there():
            table.change(lambda found: define(found, view))
        return view

    def get(self, name: str) -> FeatureView:
        """A view as it is defined now; ConfigError where there is none."""
        return self.registry.get(name)

    def list(self) -> list[FeatureView]:
        """All views, by name."""
        return [self.registry.get(name) for name in self.registry.names()]

    def table(self, name: str) -> VersionedTable:
        """The Delta table of a view."""
        return VersionedTable(self.folder / "views" / name, f"feature view {name!r}")

    # ---- rows -------------------------------------------------------------------------------------------------------

    def ingest(self, view: str, table: Any, *, evolve: bool = False, known_at: datetime | None = None) -> IngestReport:
        """Merge rows into a view. The same rows once more change nothing, not even the version.

        A row takes the place of one with the same entities, event time and, where the view has it, known-at time.

        Parameters
        ----------
        table : table
            Of pandas, polars, Arrow, Modin, a Frame or a Ray Dataset; held in this process whole.
        evolve : bool
            Columns that the view does not have become features of it.
        known_at : datetime, optional
            When all of these rows were known, where the table has no column that says it.

        Raises
        ------
        MissingColumnsError, SchemaError
            If the table lacks a column, has one too many, or of another type. Nothing was written.
        """
        found = self.registry.get(view)
        given = _stamped(found, rows_of.arrow_of(table, f"ingest into view {view!r}"), known_at)
        missing = [name for name in found.key if name not in given.column_names]
        if evolve and not missing:
            found = rows_of.grown(found, given.schema)
        rows_of.check_columns(found, given.schema)
        place = self.table(view)
        if evolve and found != self.registry.get(view):
            rows_of.typed(found, given, self._schema(place, found, given.schema))
            self.register(found)
        schema = self._schema(place, found, given.schema)
        sorted_out = rows_of.sort_out(found, rows_of.typed(found, given, schema))
        place.create(schema, defined(found))
        inserted, updated = place.merge(sorted_out.kept, found.key) if sorted_out.kept.num_rows else (0, 0)
        return IngestReport(
            view=view,
            version=int(place.open().version()),
            rows=given.num_rows,
            inserted=inserted,
            updated=updated,
            unchanged=sorted_out.kept.num_rows - inserted - updated,
            superseded=sorted_out.superseded,
            aside=sorted_out.aside,
            reasons=sorted_out.reasons,
        )

    def _schema(self, place: VersionedTable, view: FeatureView, given: pa.Schema) -> pa.Schema:
        if not place.there():
            return rows_of.table_schema(view, given)
        there = schema_of(place.open())
        kinds = {name: rows_of.ARROW[kind] for name, kind in view.features.items()}
        return pa.schema([*(there.field(name) for name in view.key), *kinds.items()])

    def forget(self, view: str, entities: Any) -> int:
        """Delete all rows of some entities, say of a person who asks for it; returns how many.

        Earlier versions still hold them, until the table is vacuumed.
        """
        found = self.registry.get(view)
        keys = self.keys(found, entities).unique()
        place = self.table(view)
        said = " OR ".join(
            "(" + " AND ".join(f"`{name}` = {_literal(value)}" for name, value in row.items()) + ")"
            for row in keys.drop_nulls().iter_rows(named=True)
        )
        return place.change(lambda table: int(table.delete(said)["num_deleted_rows"])) if said else 0

    def keys(self, view: FeatureView, entities: Any) -> pl.DataFrame:
        """Entities of a user in the types of the view's table; a list of mappings, a mapping, or a table."""
        if isinstance(entities, Mapping):
            entities = [entities]
        if isinstance(entities, Sequence) and not isinstance(entities, (str, bytes)):
            entities = pl.DataFrame(list(entities), infer_schema_length=None)
        who = f"view {view.name!r}: entities"
        given = rows_of.arrow_of(entities, who)
        missing = [name for name in view.entities if name not in given.column_names]
        if missing:
            raise SchemaError(f"{who}: {missing[0]!r} is not there; wanted {', '.join(view.entities)}")
        schema = schema_of(self.table(view.name).open())
        return to_polars(rows_of.typed(view, given, pa.schema([schema.field(name) for name in view.entities])))

    # ---- versions ---------------------------------------------------------------------------------------------------

    def history(self, view: str) -> Sequence[dict[str, Any]]:
        """Versions of a view, the newest first: version, time, operation and what it did."""
        self.registry.get(view)
        return history_of(self.table(view).open())

    def pinned(self, view: str, version: Version = None) -> Pinned:
        """A view at one version; its definition is the one of that version."""
        self.registry.get(view)
        place = self.table(view)
        return Pinned(place, place.open(version))

    def read(self, view: str, version: Version = None) -> pa.Table:
        """All rows of a view as of a version or a moment, in no particular order."""
        pinned = self.pinned(view, version)
        return pinned.table.to_pyarrow_dataset().to_table(columns=list(pinned.view.columns)).cast(pinned.schema)

    def point_in_time_join(
        self,
        entity_rows: Any,
        views: Sequence[str],
        versions: Mapping[str, Version] | None = None,
        *,
        time: str = "event_timestamp",
        full_names: bool = False,
    ) -> Any:
        """Each entity row with the newest features that were known at its time, and never with later ones.

        Of a view: the row of the same entities with the latest event time, where event time and known-at time are not
        after the entity row's, and not longer ago than the ttl; nulls where there is none.

        Parameters
        ----------
        entity_rows : table
            With the entities of every view, and a time. Rows stay as they are, in their order, doubles too.
        views : sequence of str
            Their features come in this order.
        versions : mapping of view to version or moment, optional
            Those that are not named are at their newest.
        time : str
            Column with the time of each entity row.
        full_names : bool
            Call features `view__feature`.

        Returns
        -------
        pa.Table, or Frame where a Frame was given
            A Frame on a cluster is joined there, range of entities by range.
        """
        if isinstance(views, str):
            raise ConfigError(f"join: got views={views!r}; wanted a list: [{views!r}]")
        odd = [name for name in versions or {} if name not in views]
        if odd:
            raise unknown("joined view", odd[0], views, "versions may name those only")
        pinned = [self.pinned(name, (versions or {}).get(name)) for name in views]
        is_frame = isinstance(entity_rows, Frame)
        rows = entity_rows if is_frame else rows_of.arrow_of(entity_rows, "join: entity rows")
        schema = canonical_schema(rows.schema)
        same_names([one.view for one in pinned], schema.names, full_names)
        join = join_frame if is_frame else join_table
        return join(rows, pinned, time, full_names)

    # ---- datasets: entity rows with a target ------------------------------------------------------------------------

    def write_dataset(self, name: str, table: Any) -> int:
        """Keep entity rows with their target under a name, in place of what it had; returns the version."""
        from deltalake import write_deltalake

        if not name or Path(name).name != name or name.startswith("."):
            raise ConfigError(f"feature store: got the dataset {name!r}; wanted a plain name")
        place = self._dataset(name)
        rows = rows_of.arrow_of(table, f"dataset {name!r}")
        numbered = rows.append_column(PLACE, pa.array(range(rows.num_rows), pa.int64()))
        write_deltalake(place.path, numbered, mode="overwrite", schema_mode="overwrite", configuration=dict(PROPERTIES))
        return int(place.open().version())

    def read_dataset(self, name: str, version: Version = None) -> tuple[pa.Table, int]:
        """The rows of a dataset in their order, and the version they are of."""
        place = self._dataset(name)
        if not place.there():
            known = sorted(path.name for path in (self.folder / "datasets").glob("*"))
            raise unknown("dataset", name, known, "write it: store.write_dataset(name, table)")
        table = place.open(version)
        rows = table.to_pyarrow_dataset().to_table().sort_by(PLACE)
        return rows.drop_columns([PLACE]), int(table.version())

    def _dataset(self, name: str) -> VersionedTable:
        return VersionedTable(self.folder / "datasets" / name, f"dataset {name!r}")


def _stamped(view: FeatureView, given: pa.Table, known_at: datetime | None) -> pa.Table:
    """The rows with one known-at time, where that is asked for."""
    if known_at is None:
        return given
    if view.known_at is None or view.known_at in given.column_names:
        why = "has no known-at time" if view.known_at is None else f"has it in the column {view.known_at!r}"
        raise ConfigError(f"ingest into view {view.name!r}: got known_at={known_at}, but the view or table {why}")
    kind = pa.timestamp("us", None if known_at.tzinfo is None else "UTC")
    return given.append_column(view.known_at, pa.array([known_at] * given.num_rows, kind))


def _literal(value: Any) -> str:
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(int(value))
