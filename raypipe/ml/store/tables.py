"""The Delta table of a view or of a dataset: made, merged into, and read at any of its versions."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa

from raypipe._optional import require_extra
from raypipe.errors import ConfigError, OutputError, ReadError
from raypipe.ml.specs.views import FeatureView

if TYPE_CHECKING:
    import pyarrow.dataset as ds
    from deltalake import DeltaTable

T = TypeVar("T")
TRIES = 12
"""Times that a change is tried against other writers; each waits a little longer."""
DEFINITION = "raypipe.view"
"""Property of the Delta table: the view as it was defined, so that a version pins its definition too."""
FOREVER = "interval 36500 days"
PROPERTIES = {
    "delta.enableChangeDataFeed": "true",
    # A model pins versions, and may be rebuilt years later.
    "delta.logRetentionDuration": FOREVER,
    "delta.deletedFileRetentionDuration": FOREVER,
}


class VersionedTable:
    """A Delta table that may not be there yet."""

    def __init__(self, path: Path, who: str) -> None:
        self.path = path
        self.who = who
        """What errors call it."""

    def there(self) -> bool:
        """Whether something was written."""
        return (self.path / "_delta_log").is_dir()

    def open(self, version: int | datetime | None = None) -> DeltaTable:
        """The table as of a version, a moment, or now.

        Raises
        ------
        ReadError
            If nothing was written yet.
        ConfigError
            If there is no such version, or the moment lies before the first.
        """
        require_extra("delta", by="The feature store")
        from deltalake import DeltaTable

        if not self.there():
            raise ReadError(f"{self.who}: it has no rows yet; ingest some first")
        with self._told():
            table = DeltaTable(self.path)
        newest = int(table.version())
        number = self._at(table, version) if isinstance(version, datetime) else version
        if number is None or number == newest:
            return table
        if not 0 <= number <= newest:
            raise ConfigError(f"{self.who}: got version {number}; there are 0 to {newest}")
        with self._told():
            return DeltaTable(self.path, version=number)

    def _at(self, table: DeltaTable, moment: datetime) -> int:
        if moment.tzinfo is None:
            raise ConfigError(f"{self.who}: got {moment} without a time zone; say which: 2024-01-31T00:00+00:00")
        told = [one for one in history_of(table) if one["time"] <= moment]
        if not told:
            first = history_of(table)[-1]["time"]
            raise ConfigError(f"{self.who}: at {moment} it was not there yet; its first version is of {first}")
        return int(told[0]["version"])

    def change(self, work: Callable[[DeltaTable], T]) -> T:
        """Do a change, again where another writer was faster."""
        from deltalake.exceptions import CommitFailedError

        for turn in range(TRIES):
            try:
                with self._told():
                    return work(self.open())
            except OutputError as error:
                if not isinstance(error.__cause__, CommitFailedError):
                    raise
            time.sleep(0.05 * (turn + 1))
        raise OutputError(
            f"{self.who}: other writers changed it {TRIES} times meanwhile; nothing was written, run it again"
        )

    def create(self, schema: pa.Schema, properties: dict[str, str]) -> None:
        """Make the table, unless it is there or another writer makes it at this moment."""
        require_extra("delta", by="The feature store")
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError

        if self.there():
            return
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            DeltaTable.create(
                self.path,
                schema,
                mode="error",
                configuration={**PROPERTIES, **properties},
                raise_if_key_not_exists=False,
            )
        except DeltaError as error:
            if not self.there():
                raise OutputError(f"{self.who}: cannot make its table: {error}") from error

    def merge(self, rows: pa.Table, key: Sequence[str]) -> tuple[int, int]:
        """Insert rows with new keys, and update those that differ; returns how many of each.

        Rows that are there already make no new version.
        """
        rest = [name for name in rows.column_names if name not in key]
        same = " AND ".join(f"target.`{name}` = source.`{name}`" for name in key)
        differs = " OR ".join(f"(target.`{name}` IS DISTINCT FROM source.`{name}`)" for name in rest)

        def work(table: DeltaTable) -> tuple[int, int]:
            merge = table.merge(rows, same, source_alias="source", target_alias="target")
            did = merge.when_matched_update_all(differs).when_not_matched_insert_all().execute()
            return int(did["num_target_rows_inserted"]), int(did["num_target_rows_updated"])

        return self.change(work)

    @contextmanager
    def feed(self) -> Iterator[None]:
        """Reading of the change feed; ReadError where files of it are gone."""
        from deltalake.exceptions import DeltaError

        try:
            yield
        except (DeltaError, pa.ArrowException, OSError) as error:
            text = " ".join(str(error).split())
            raise ReadError(
                f"{self.who}: its change feed cannot be read ({text}); it may have been vacuumed. Work all out anew:"
                " materialize (raypipe features online VIEW --full)"
            ) from error

    @contextmanager
    def _told(self) -> Iterator[None]:
        from deltalake.exceptions import DeltaError

        try:
            yield
        except DeltaError as error:
            text = " ".join(str(error).split())
            raise OutputError(f"{self.who}: Delta says: {text}") from error


def define(table: DeltaTable, view: FeatureView) -> None:
    """Write the definition into the table, with columns for features that are new."""
    from deltalake import Schema

    from raypipe.ml.store.rows import ARROW

    there = pa.schema(table.schema().to_arrow()).names
    new = pa.schema([(name, ARROW[kind]) for name, kind in view.features.items() if name not in there])
    if len(new):
        table.alter.add_columns(Schema.from_arrow(new).fields)
    if definition_of(table) != view:
        table.alter.set_table_properties(defined(view), raise_if_not_exists=False)


def defined(view: FeatureView) -> dict[str, str]:
    """A definition as a property of a table."""
    return {DEFINITION: json.dumps(view.to_dict())}


def definition_of(table: DeltaTable) -> FeatureView:
    """The view as it was defined at this version."""
    return FeatureView.from_dict(json.loads(table.metadata().configuration[DEFINITION]), "definition in the table")


def schema_of(table: DeltaTable) -> pa.Schema:
    """Columns of the table at this version."""
    dataset: ds.Dataset = table.to_pyarrow_dataset()
    return dataset.schema


def history_of(table: DeltaTable) -> list[dict[str, Any]]:
    """Versions, the newest first: version, time (UTC), operation, and what it did."""
    return [
        {
            "version": int(one["version"]),
            "time": datetime.fromtimestamp(one["timestamp"] / 1000, UTC),
            "operation": one["operation"],
            "metrics": one.get("operationMetrics", {}),
        }
        for one in table.history()
    ]
