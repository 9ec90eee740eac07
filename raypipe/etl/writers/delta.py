"""Delta tables: files written by the workers, one transaction by the driver; merges run in the driver."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from raypipe._optional import require_extra
from raypipe.blocks.frames import to_polars
from raypipe.config import StorageConfig
from raypipe.config.write import WriteOptions
from raypipe.errors import ConfigError, OutputError, SchemaError
from raypipe.etl.outputs import TEMP_MARK
from raypipe.etl.wording import shown
from raypipe.etl.writers.delta_files import WriteDelta, delta_block, delta_schema
from raypipe.etl.writers.files import PREFIX, check_partitions
from raypipe.etl.writers.names import partition_texts
from raypipe.etl.writers.target import INSTEAD, Blocks, Target, Written, new_token
from raypipe.stage import SinkStage, require
from raypipe.storage.address import is_remote, local_path, parse_address
from raypipe.storage.connect import resolved
from raypipe.storage.faults import masked
from raypipe.storage.objects import RemoteFolder, list_objects, remove

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_FRAMES = re.compile(r"\n\s*0: .*", re.DOTALL)
"""Where in its own code an error was raised."""


class DeltaTarget(Target):
    """A Delta table in a folder or a bucket.

    Files of a write that fails are removed. Those of one that is killed stay, and nobody sees them: VACUUM removes
    them, as it does after any other writer of Delta.
    """

    def __init__(self, place: str, options: WriteOptions, storage: StorageConfig) -> None:
        self._storage = resolved(storage)
        self._remote = is_remote(place)
        self._uri = str(parse_address(place.rstrip("/"))) if self._remote else str(_absolute(place))
        super().__init__(place.rstrip("/"), options)
        self._prefix = f"{PREFIX}{new_token()}-"
        self._begun = self._done = False

    # ---- before -----------------------------------------------------------------------------------------------------

    def check(self, schema: pa.Schema) -> None:
        """See `Target.check`."""
        require_extra("delta", by="Delta")
        check_partitions(schema, self.options)
        self._check_names(schema)
        ours = delta_schema(schema)
        require(schema, *self.options.key, by="key")
        mode, how = self.options.mode, self.options.delta
        if how.replace_where and mode != "overwrite":
            raise ConfigError(f"delta.replace_where is for mode overwrite, and mode is {mode}")
        if how.delete_where is not None and mode != "merge":
            raise ConfigError(f"delta.delete_where is for mode merge, and mode is {mode}")
        if how.schema_change == "replace" and (mode != "overwrite" or how.replace_where):
            raise ConfigError(
                "delta.schema_change: replace is for an overwrite of the whole table; add columns with add"
            )
        table = self._table()
        if table is None:
            if mode == "merge" or how.replace_where:
                raise ConfigError(f"{self.name}: there is no Delta table to change. Make it first: --mode new")
            self._check_empty()
            return
        if mode == "new":
            raise ConfigError(
                f"{self.name}: a Delta table is there already. Choose another place, or say what to do with it: "
                "--mode append, overwrite or merge"
            )
        self._check_fit(ours, table)

    def _check_names(self, schema: pa.Schema) -> None:
        if not schema.names:
            raise SchemaError(f"{self.name}: the source has no columns, and a Delta table needs one. Write Parquet")
        seen: dict[str, str] = {}
        for one in schema.names:
            if seen.setdefault(one.lower(), one) != one:
                raise SchemaError(
                    f"{self.name}: columns {shown(seen[one.lower()])} and {shown(one)} differ by capitals only, and "
                    "are one for Delta. Rename one of them"
                )
        if not self._remote and Path(self._uri).is_file():
            raise ConfigError(f"{self.name}: is a file, and a Delta table is a folder. Choose another name")

    def _check_empty(self) -> None:
        """No table is made among other files; what a writer left behind that was killed is none of them."""
        path = Path(self._uri)
        if self._remote or not path.exists():
            return
        found = (file.name.removeprefix(TEMP_MARK) for file in path.rglob("*") if not file.is_dir())
        if not path.is_dir() or any(not name.startswith(PREFIX) for name in found):
            raise ConfigError(f"{self.name}: holds something else than a Delta table. Choose another place")

    def _check_fit(self, ours: pa.Schema, table: Any) -> None:
        """Held against the table: same columns, unless they may change, and the same partitions."""
        how = self.options.delta
        there = pa.schema(table.schema().to_arrow())
        parts = tuple(table.metadata().partition_columns)
        if self.options.partition_by and self.options.partition_by != parts:
            raise ConfigError(
                f"{self.name}: the table is partitioned by {', '.join(parts) or 'nothing'}, which cannot be changed. "
                "Leave partition_by out, or write another table"
            )
        require(there, *how.replace_where, by="delta.replace_where")
        odd = [name for name in how.replace_where if name not in parts]
        if odd:
            raise ConfigError(f"delta.replace_where: {odd[0]!r} is no partition column; those are: {', '.join(parts)}")
        if how.schema_change == "replace":
            return
        for field in ours:
            if field.name in there.names and not _same(there.field(field.name).type, field.type):
                raise SchemaError(
                    f"{self.name}: column {field.name!r} is {there.field(field.name).type} in the table and "
                    f"{field.type} in the source. Read it with --set read_options.dtypes={{{field.name}: …}}, or "
                    "replace the table: --mode overwrite --set delta.schema_change=replace"
                )
        new = [name for name in ours.names if name not in there.names]
        gone = [name for name in there.names if name not in ours.names]
        if how.schema_change == "refuse" and (new or (gone and self.options.mode != "merge")):
            what = f"has no column {shown(new[0])}" if new else f"has a column {shown(gone[0])} that the source lacks"
            raise SchemaError(
                f"{self.name}: the table {what}. Allow it with --set delta.schema_change=add: new columns are added, "
                "and missing ones hold no value"
            )

    # ---- writing ----------------------------------------------------------------------------------------------------

    def sink(self, schema: pa.Schema) -> SinkStage | None:
        """See `Target.sink`."""
        if self.options.mode == "merge":
            return None
        self._sweep()
        self._begun = True
        self._prefix = f"{PREFIX}{new_token()}-"
        folder = RemoteFolder(uri=self._uri, storage=self._storage) if self._remote else Path(self._uri)
        return WriteDelta(
            folder=folder, prefix=self._prefix, instead=INSTEAD,
            options=self.options.replace(format="parquet", partition_by=self._partitions()),
        )  # fmt: skip

    def _partitions(self) -> tuple[str, ...]:
        table = self._table()
        return tuple(table.metadata().partition_columns) if table is not None else self.options.partition_by

    def commit(self, schema: pa.Schema, receipts: Sequence[dict[str, Any]], blocks: Blocks) -> Written:
        """See `Target.commit`."""
        ours = delta_schema(schema)
        with self._told():
            if self.options.mode == "merge":
                return self._merge(ours, blocks)
            files = [file for receipt in receipts for file in receipt["files"]]
            self._transact(ours, files)
            self._done = True
        told = [{name: file[name] for name in ("path", "rows", "bytes")} for file in files]
        rows, size = sum(file["rows"] for file in files), sum(file["bytes"] for file in files)
        return Written(rows, size, told, {"version": self._version()})

    def _transact(self, ours: pa.Schema, files: Sequence[dict[str, Any]]) -> None:
        from deltalake import Schema
        from deltalake.transaction import create_table_with_add_actions

        actions = [self._action(file) for file in files]
        table, parts = self._table(), list(self._partitions())
        if table is None or self.options.mode == "new":  # one that appeared meanwhile is an error
            create_table_with_add_actions(
                self._uri, Schema.from_arrow(ours), actions, mode="error", partition_by=parts,
                storage_options=self._options(),
            )  # fmt: skip
            return
        if self.options.delta.schema_change == "replace":
            create_table_with_add_actions(
                self._uri, Schema.from_arrow(ours), actions, mode="overwrite", partition_by=parts,
                storage_options=self._options(),
            )  # fmt: skip
            return
        self._add_columns(table, ours)
        mode = "overwrite" if self.options.mode == "overwrite" else "append"
        filters = [(name, "=", value) for name, value in self.options.delta.replace_where.items()]
        if filters:
            self._refuse_others(files)
        table.create_write_transaction(actions, mode, table.schema(), parts, partition_filters=filters or None)

    def _action(self, file: dict[str, Any]) -> Any:
        from deltalake.transaction import AddAction

        return AddAction(
            path=file["path"].removeprefix(f"{self._uri}/"), size=file["bytes"], stats=file["stats"],
            partition_values=file.get("partition", {}), modification_time=int(time.time() * 1000), data_change=True,
        )  # fmt: skip

    def _add_columns(self, table: Any, ours: pa.Schema) -> None:
        """Add the columns that the table lacks, in a transaction before; without rows they change nothing."""
        from deltalake import Schema

        there = pa.schema(table.schema().to_arrow()).names
        new = pa.schema([field.with_nullable(True) for field in ours if field.name not in there])
        if len(new):
            table.alter.add_columns(Schema.from_arrow(new).fields)

    def _refuse_others(self, files: Sequence[dict[str, Any]]) -> None:
        """Rows outside of the partitions that are replaced would stand there twice."""
        for file in files:
            for name, wanted in self.options.delta.replace_where.items():
                if file["partition"][name] != wanted:
                    raise OutputError(
                        f"{self.name}: the source has rows with {name} = {shown(file['partition'][name])}, outside of "
                        f"the partition that is replaced ({wanted}). Nothing was written; leave those rows out"
                    )

    def _merge(self, ours: pa.Schema, blocks: Blocks) -> Written:
        how, table = self.options.delta, self._table()
        assert table is not None
        self._refuse_repeats(blocks)
        stream = pa.RecordBatchReader.from_batches(ours, _batches(blocks, ours))
        same = " AND ".join(f"target.{_name(key)} = source.{_name(key)}" for key in self.options.key)
        merge = table.merge(stream, same, "source", "target", merge_schema=how.schema_change == "add")
        if how.delete_where is None:
            merge = merge.when_matched_update_all().when_not_matched_insert_all()
        else:
            kept = f"NOT coalesce({how.delete_where}, false)"
            merge = merge.when_matched_delete(how.delete_where).when_matched_update_all(kept)
            merge = merge.when_not_matched_insert_all(kept)
        did = merge.execute()
        names = {"num_target_rows_updated": "rows_updated", "num_target_rows_inserted": "rows_inserted",
                 "num_target_rows_deleted": "rows_deleted"}  # fmt: skip
        detail = {told: int(did[theirs]) for theirs, told in names.items() if theirs in did}
        return Written(int(did["num_source_rows"]), 0, [], {"version": self._version(), **detail})

    def _refuse_repeats(self, blocks: Blocks) -> None:
        keys = [to_polars(block.select(list(self.options.key))) for block in blocks()]
        if not keys:
            return
        texts = [partition_texts(column).alias(str(at)) for at, column in enumerate(pl.concat(keys))]
        frame = pl.DataFrame(texts)
        twice = frame.filter(frame.is_duplicated()).drop_nulls()
        if twice.height:
            raise OutputError(
                f"{self.name}: the key {', '.join(self.options.key)} = {', '.join(map(shown, twice.row(0)))} stands in "
                "more than one row of the source; which one should win? Nothing was written. Drop all but one"
            )

    # ---- the table --------------------------------------------------------------------------------------------------

    def _table(self) -> Any:
        from deltalake import DeltaTable

        with self._told():
            if not DeltaTable.is_deltatable(self._uri, storage_options=self._options()):
                return None
            return DeltaTable(self._uri, storage_options=self._options())

    def _version(self) -> int:
        return int(self._table().version())

    def _options(self) -> dict[str, str] | None:
        """What leads deltalake's client to the bucket; credentials it finds in the environment by itself."""
        if not self._remote or parse_address(self._uri).family != "s3":
            return None
        s3 = self._storage.s3
        found = {"AWS_ENDPOINT_URL": s3.endpoint, "AWS_REGION": s3.region or ("us-east-1" if s3.endpoint else None)}
        if s3.endpoint and s3.endpoint.startswith("http://"):
            found["AWS_ALLOW_HTTP"] = "true"
        if s3.anonymous:
            found["AWS_SKIP_SIGNATURE"] = "true"
        return {name: value for name, value in found.items() if value is not None}

    @contextlib.contextmanager
    def _told(self) -> Any:
        """Errors of deltalake in words."""
        from deltalake.exceptions import CommitFailedError, DeltaError

        try:
            yield
        except CommitFailedError as error:
            raise OutputError(
                f"{self.name}: another writer changed the table meanwhile, in a way that does not go together with "
                f"this one ({_said(error)}). Nothing was written; run it again"
            ) from error
        except (DeltaError, OSError) as error:
            if isinstance(error, OutputError):
                raise
            raise OutputError(f"{self.name}: {_said(error)}. Nothing was written") from error

    def close(self) -> None:
        """See `Target.close`."""
        if self._begun and not self._done:
            self._sweep()

    def _sweep(self) -> None:
        """Remove the files of an attempt that is not committed."""
        if not self._begun:
            return
        if self._remote:
            found = list_objects(parse_address(self._uri), self._storage)
            ours = [entry for entry in found if entry.key.rpartition("/")[2].startswith(self._prefix)]
            remove([parse_address(entry.uri) for entry in ours], self._storage)
            return
        root = Path(self._uri)
        for path in [*root.rglob(f"{self._prefix}*"), *root.rglob(f"{TEMP_MARK}{self._prefix}*")]:
            path.unlink(missing_ok=True)
        folders = sorted((path for path in root.rglob("*=*") if path.is_dir()), reverse=True)
        for path in [*folders, root]:
            with contextlib.suppress(OSError):
                path.rmdir()  # only where it is empty


def _batches(blocks: Blocks, schema: pa.Schema) -> Iterable[pa.RecordBatch]:
    for block in blocks():
        yield from delta_block(block).cast(schema).to_batches()


def _same(there: pa.DataType, ours: pa.DataType) -> bool:
    """Whether both are one type for Delta, which knows no large ones."""
    if pa.types.is_string(there) or pa.types.is_string_view(there):
        return bool(pa.types.is_large_string(ours) or pa.types.is_string(ours))
    if pa.types.is_binary(there) or pa.types.is_binary_view(there):
        return bool(pa.types.is_large_binary(ours) or pa.types.is_binary(ours))
    if pa.types.is_nested(there) or pa.types.is_nested(ours):
        return bool(pa.types.is_struct(there) == pa.types.is_struct(ours))
    return bool(there == ours)


def _absolute(place: str) -> Path:
    return local_path(place.rstrip("/")).expanduser().absolute()


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _said(error: Exception) -> str:
    """What deltalake says, on one line, without colours and credentials."""
    text = _FRAMES.sub("", _COLOUR.sub("", str(error)).replace("\u21b3", ""))
    return masked(" ".join(text.split()))[:300].rstrip(" .") or type(error).__name__
