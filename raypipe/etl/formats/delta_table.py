"""A Delta table at one version: its schema, its Parquet files with the values of their partitions, and deleted rows.

The log is read by deltalake, in the driver alone. Workers read Parquet files, as they do without a lake.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

import numpy as np
import pyarrow as pa

from raypipe._optional import require_extra
from raypipe.config import Frozen, ReadOptions, StorageConfig
from raypipe.errors import ConfigError, ReadError
from raypipe.etl.formats.names import safe_name
from raypipe.etl.formats.parquet import ParquetFile, read_footer
from raypipe.etl.formats.rows import RowFile
from raypipe.etl.wording import listed, shown
from raypipe.storage.address import is_remote, local_path, parse_address
from raypipe.storage.connect import resolved
from raypipe.storage.faults import masked
from raypipe.storage.objects import list_objects
from raypipe.storage.ranges import RemoteFile, look_at_all

LOG = "_delta_log"
KNOWN = frozenset({
    "columnMapping", "deletionVectors", "domainMetadata", "timestampNtz", "typeWidening", "typeWidening-preview",
    "v2Checkpoint", "vacuumProtocolCheck", "inCommitTimestamp", "appendOnly", "invariants", "checkConstraints",
    "changeDataFeed", "generatedColumns", "identityColumns", "rowTracking", "clustering",
})  # fmt: skip
"""Features of a table that change nothing for its reader, or that are honoured here."""
MEMORY_PER_BYTE = 4
_MAPPING, _PHYSICAL = "delta.columnMapping.mode", b"delta.columnMapping.physicalName"


class DataFile(Frozen):
    """One Parquet file of a table."""

    place: str
    """Path or address."""
    size: int
    rows: int
    """Those that are there, without the deleted ones."""
    stored_rows: int
    partition: int
    """Row of `DeltaFile.partitions` that holds its values."""
    deleted: bytes | None = None
    """Which stored rows are deleted: bits, compressed."""

    def kept(self) -> np.ndarray[Any, Any] | None:
        """Positions of the rows that are there; None: all."""
        if self.deleted is None:
            return None
        bits = np.unpackbits(np.frombuffer(zlib.decompress(self.deleted), np.uint8), count=self.stored_rows)
        return np.flatnonzero(bits == 0)


class DeltaFile(RowFile):
    """A table at a version that was looked at; a group of rows is a data file."""

    version: int
    table_id: str
    storage: StorageConfig
    data: tuple[DataFile, ...]
    partitions: pa.Table
    """Values of the partition columns, under their logical names: a row for each of `data`."""
    physical: tuple[tuple[str, str], ...] = ()
    """Name of a column -> its name in the files, where columns are mapped."""

    def stamp(self) -> tuple[str, int, int, str]:
        return self.path, self.size, 0, f"version {self.version} of table {self.table_id}"

    def pinned(self, options: ReadOptions) -> ReadOptions:
        return options.replace(version=self.version, timestamp=None)

    def check_unchanged(self) -> None:
        """A version never changes; a file of it that is gone is told when it is read."""

    def place_of(self, index: int) -> Path | RemoteFile:
        """Where a data file is."""
        file = self.data[index]
        if is_remote(file.place):
            return RemoteFile(uri=file.place, size=file.size, version="", storage=self.storage)
        return Path(file.place)


def is_table(path: str | Path, storage: StorageConfig) -> bool:
    """Whether a path or an address names a Delta table."""
    if not is_remote(path):
        return os.path.isdir(local_path(path).expanduser() / LOG)  # False, too, where the name cannot be one of a file
    address = parse_address(str(path))
    if address.family not in ("s3", "gs", "az") or set("*?[") & set(address.key) or "." in address.name[1:]:
        return False
    return bool(list_objects(address.below(LOG), resolved(storage), recursive=False))


def look_at_table(path: str, storage: StorageConfig, options: ReadOptions) -> DeltaFile:
    """The table at the version that the options ask for, else at its newest.

    Raises
    ------
    ReadError
        If it is no table, uses what cannot be read here, or lacks a file.
    ConfigError
        If there is no such version.
    """
    storage = resolved(storage)
    with _worded(path):
        table = _opened(path, storage, options)
        schema = pa.schema(table.schema().to_arrow())
        adds = pa.table(table.get_add_actions(flatten=False))
        deleted = _deletions(table, path)
        version, table_id = int(table.version()), str(table.metadata().id)
        physical = _mapping(table, schema, path)
        columns = list(table.metadata().partition_columns)
    places = [_place(path, name) for name in adds["path"].to_pylist()]
    _check_names(schema, path)
    data = _data_files(path, places, adds, deleted, storage)
    _check_there(path, data, storage, version)
    sizes = [file.size * MEMORY_PER_BYTE for file in data]
    return DeltaFile(
        path=path, size=sum(file.size for file in data), mtime_ns=0, rows=sum(file.rows for file in data),
        table_schema=_bare(schema), group_rows=tuple(file.rows for file in data), group_bytes=tuple(sizes),
        version=version, table_id=table_id, storage=storage, data=data,
        partitions=_partitions(adds, columns, schema, dict(physical)), physical=physical,
        notes=(f"{path}: version {version} is read", *_about(data)),
    )  # fmt: skip


def _opened(path: str, storage: StorageConfig, options: ReadOptions) -> Any:
    delta = require_extra("delta", by=f"reading {path} as a Delta table")
    if options.version is not None and options.timestamp is not None:
        raise ConfigError("read_options: version and timestamp exclude each other. Leave one out.")
    given = _storage_options(path, storage)
    uri = path if is_remote(path) else str(local_path(path).expanduser().resolve())
    table = delta.DeltaTable(uri, storage_options=given)
    if options.version is not None:
        _go_to(table, options.version, path)
    elif options.timestamp is not None:
        _go_back_to(table, options.timestamp, path, storage)
    unknown = set(table.protocol().reader_features or ()) - KNOWN
    if unknown:
        raise ReadError(
            f"{path}: the table uses {listed(sorted(unknown))}, which cannot be read here without reading it wrong."
            " Read it with the engine that wrote it, and write it as a table without."
        )
    return table


def _go_to(table: Any, version: int, path: str) -> None:
    newest = int(table.version())
    if version > newest:
        raise ConfigError(f"read_options.version: {path} has no version {version}; its newest is {newest}.")
    from deltalake.exceptions import DeltaError

    try:
        table.load_as_version(version)
    except DeltaError as error:
        raise ReadError(
            f"{path}: version {version} can no longer be read: its log was cleaned up ({_first(error)})."
            f" The newest is {newest}."
        ) from error


def _go_back_to(table: Any, timestamp: str, path: str, storage: StorageConfig) -> None:
    try:
        wanted = datetime.fromisoformat(timestamp)
    except ValueError as error:
        raise ConfigError(
            f"read_options.timestamp: got {shown(timestamp)}; wanted a time such as 2026-05-31T18:00:00+00:00."
        ) from error
    wanted = wanted if wanted.tzinfo else wanted.replace(tzinfo=UTC)
    table.load_as_version(wanted)
    made = _made_at(table, path, storage)
    # deltalake gives the first version for any time before it.
    if made is not None and made > wanted.timestamp() * 1000:
        first = datetime.fromtimestamp(made / 1000, UTC).isoformat(timespec="milliseconds")
        raise ConfigError(f"read_options.timestamp: {path} has no version of {timestamp}; the oldest is of {first}.")


def _made_at(table: Any, path: str, storage: StorageConfig) -> float | None:
    """When the version was committed, in ms since 1970; None where the entry of the log is gone.

    That is when the entry was written, unless the table keeps times of its own.
    """
    version = int(table.version())
    if (table.metadata().configuration or {}).get("delta.enableInCommitTimestamps") == "true":
        return next((entry.get("timestamp") for entry in table.history() if entry.get("version") == version), None)
    name = f"{version:020d}.json"
    if not is_remote(path):
        entry = local_path(path).expanduser() / LOG / name
        return entry.stat().st_mtime_ns / 1e6 if entry.exists() else None
    found = list_objects(parse_address(path).below(LOG), storage, recursive=False)
    stamp = next((one.version for one in found if one.uri.endswith(name)), "")
    return int(stamp.removeprefix("mtime:")) / 1e6 if stamp.startswith("mtime:") else None


def _storage_options(path: str, storage: StorageConfig) -> dict[str, str] | None:
    """Where buckets are, in deltalake's words; credentials it finds by itself, in the environment or by role."""
    if not is_remote(path):
        return None
    address = parse_address(path)
    found: dict[str, str | None] = {"timeout": f"{storage.request_timeout_s:g}s"}
    if address.family == "s3":
        found |= {
            "AWS_ENDPOINT_URL": storage.s3.endpoint,
            "AWS_REGION": storage.s3.region or ("us-east-1" if storage.s3.endpoint else None),
            "AWS_ALLOW_HTTP": "true" if (storage.s3.endpoint or "").startswith("http://") else None,
            "AWS_SKIP_SIGNATURE": "true" if storage.s3.anonymous else None,
        }
    elif address.family == "gs":
        found |= {"google_skip_signature": "true" if storage.gcs.anonymous else None}
    elif address.family == "az":
        found |= {
            "azure_storage_account_name": address.account or storage.azure.account,
            "azure_storage_endpoint": storage.azure.blob_endpoint,
        }
    return {name: value for name, value in found.items() if value}


def _deletions(table: Any, path: str) -> dict[str, Any]:
    """Place of a data file -> which of its rows are kept."""
    if "deletionVectors" not in (table.protocol().reader_features or ()):
        return {}
    if not hasattr(table, "deletion_vectors"):
        raise ReadError(f"{path}: has deleted rows that this deltalake cannot tell: pip install -U deltalake")
    read = pa.RecordBatchReader.from_stream(table.deletion_vectors()).read_all()
    return {
        _plain(name): np.asarray(keep.values.to_numpy(zero_copy_only=False))
        for name, keep in zip(read["filepath"].to_pylist(), _scalars(read["selection_vector"]), strict=True)
    }


def _scalars(column: pa.ChunkedArray) -> Iterator[Any]:
    return (column[index] for index in range(len(column)))


def _plain(place: str) -> str:
    """A path or an address in one form: deltalake gives some as URLs."""
    return unquote(unquote(place.removeprefix("file://")))


def _place(table: str, name: str) -> str:
    """Where a file of the log is: its name is URL-encoded, and most often relative to the table."""
    path = unquote(name)
    if "://" in path:
        return path.removeprefix("file://") if path.startswith("file://") else path
    if is_remote(table):
        return f"{table.rstrip('/')}/{path}"
    return path if path.startswith("/") else str(local_path(table).expanduser().resolve() / path)


def _mapping(table: Any, schema: pa.Schema, path: str) -> tuple[tuple[str, str], ...]:
    mode = (table.metadata().configuration or {}).get(_MAPPING, "none")
    if mode == "none":
        return ()
    names = [(field.name, (field.metadata or {}).get(_PHYSICAL)) for field in schema]
    if mode not in ("name", "id") or any(name is None for _, name in names):
        raise ReadError(f"{path}: maps its columns by {mode!r}, which cannot be read here without reading it wrong.")
    nested = [field.name for field in schema if _maps_inside(field.type)]
    if nested:
        raise ReadError(
            f"{path}: maps fields inside of column {listed(nested)}, which cannot be read here without reading them"
            " wrong. Leave it out by writing the table without mapping."
        )
    return tuple((name, cast(bytes, stored).decode()) for name, stored in names)


def _maps_inside(kind: pa.DataType) -> bool:
    return any(
        _PHYSICAL in (kind.field(index).metadata or {}) or _maps_inside(kind.field(index).type)
        for index in range(kind.num_fields)
    )


def _check_names(schema: pa.Schema, path: str) -> None:
    for index, name in enumerate(schema.names, 1):
        why = safe_name(name, index)[1]
        if why:
            raise ReadError(f"{path}: the name of column {shown(name)} {why}, which blocks cannot carry. Rename it.")


def _bare(schema: pa.Schema) -> pa.Schema:
    return pa.schema([pa.field(field.name, field.type) for field in schema])


def _data_files(
    path: str, places: Sequence[str], adds: pa.Table, deleted: Mapping[str, Any], storage: StorageConfig
) -> tuple[DataFile, ...]:
    sizes, counts = adds["size_bytes"].to_pylist(), _counts(places, adds, storage)
    order = sorted(range(len(places)), key=places.__getitem__)
    left = dict(deleted)
    found = []
    for index in order:
        keep = left.pop(_plain(places[index]), None)
        stored = counts[index]
        rows, bits = stored, None
        if keep is not None:
            gone = np.zeros(stored, bool)
            # A vector may be shorter than the file: rows behind its end are kept.
            gone[: keep.size] = ~keep[:stored]
            rows, bits = stored - int(gone.sum()), zlib.compress(np.packbits(gone).tobytes())
        found.append(
            DataFile(
                place=places[index], size=int(sizes[index]), rows=rows, stored_rows=stored, partition=index,
                deleted=bits,
            )
        )  # fmt: skip
    if left:
        raise ReadError(f"{path}: rows are deleted in {listed(left)}, which are no files of this version.")
    return tuple(found)


def _counts(places: Sequence[str], adds: pa.Table, storage: StorageConfig) -> list[int]:
    """Rows of each file: by the log, else by its footer."""
    told = adds["num_records"].to_pylist()
    unknown = [index for index, rows in enumerate(told) if rows is None]
    if unknown:
        sizes = adds["size_bytes"].to_pylist()
        files = [
            RemoteFile(uri=places[at], size=sizes[at], version="", storage=storage)
            if is_remote(places[at])
            else Path(places[at])
            for at in unknown
        ]
        for at, footer in zip(unknown, look_at_all(files, _footer), strict=True):
            told[at] = footer.rows
    return [int(rows) for rows in told]


def _footer(place: Path | RemoteFile) -> ParquetFile:
    try:
        return read_footer(place)
    except FileNotFoundError as error:
        raise ReadError(f"{place}: is gone, though the log of its table names it.") from error


def _partitions(adds: pa.Table, columns: Sequence[str], schema: pa.Schema, physical: dict[str, str]) -> pa.Table:
    """Values of the partition columns, with the types of the schema."""
    if not columns:
        return pa.table({})
    values = adds["partition"].combine_chunks() if "partition" in adds.column_names else adds["partition_values"]
    have = {field.name for field in values.type}
    found = {}
    for name in columns:
        stored = name if name in have else physical.get(name, name)
        index = values.type.get_field_index(stored)
        found[name] = values.field(index).cast(schema.field(name).type)
    return pa.table(found)


def _check_there(path: str, data: Sequence[DataFile], storage: StorageConfig, version: int) -> None:
    """ReadError for a file that was vacuumed: the log names it, and it is gone."""
    if any(is_remote(file.place) for file in data):
        there = {entry.uri for entry in list_objects(parse_address(path), storage)}
        gone = [file.place for file in data if file.place not in there and file.place.startswith(path)]
    else:
        gone = [file.place for file in data if not Path(file.place).is_file()]
    if gone:
        raise ReadError(vacuumed(path, version, gone[0], len(gone)))


def vacuumed(path: str, version: int, file: str, count: int = 1) -> str:
    """That a version can no longer be read."""
    more = f" and {count - 1} more" if count > 1 else ""
    return (
        f"{path}: version {version} can no longer be read: its file {shown(file, 200)}{more} is gone, as after a"
        " vacuum. Read the newest version, or put the file back."
    )


def _about(data: Sequence[DataFile]) -> list[str]:
    deleted = sum(file.stored_rows - file.rows for file in data)
    return [f"{deleted:,} rows are deleted in this version and left out"] if deleted else []


@contextlib.contextmanager
def _worded(path: str) -> Iterator[None]:
    """What deltalake raises, in our words; it has a class of its own for nearly nothing."""
    require_extra("delta", by=f"reading {path} as a Delta table")
    from deltalake.exceptions import DeltaError

    try:
        yield
    except (ReadError, ConfigError):
        raise
    except (DeltaError, OSError, ValueError, KeyError) as error:
        raise ReadError(f"{path}: cannot be read as a Delta table: {_first(error)}") from error


def _first(error: BaseException) -> str:
    return masked((str(error).strip().splitlines() or [type(error).__name__])[0])[:300].rstrip(" .")
