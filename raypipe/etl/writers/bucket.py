"""A file or a folder of files in a bucket, which has no rename: put aside under a hidden prefix, then copied in place.

The copy is made by the store itself. A folder is marked by `_SUCCESS`, put last: one without it is not complete.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa

from raypipe.config import StorageConfig
from raypipe.config.write import WriteOptions
from raypipe.errors import ConfigError, OutputError, ReadError
from raypipe.etl.outputs import TEMP_MARK
from raypipe.etl.writers.encode import check_encodable, suffix_of
from raypipe.etl.writers.files import PREFIX, WriteFiles, check_partitions
from raypipe.etl.writers.join import empty_file, join_files
from raypipe.etl.writers.target import INSTEAD, Blocks, Group, Target, Written, groups_of, new_token
from raypipe.stage import SinkStage
from raypipe.storage.address import Address, parse_address
from raypipe.storage.connect import resolved
from raypipe.storage.faults import FAULTS, output_error, patiently
from raypipe.storage.objects import Entry, RemoteFolder, list_objects, remove, stat, write_whole
from raypipe.storage.ranges import where

MARKER = "_SUCCESS"
AT_A_TIME = 8
MIB = 1 << 20


class BucketTarget(Target):
    """Objects in a bucket; parameters as of `DiskTarget`."""

    def __init__(self, uri: str, options: WriteOptions, storage: StorageConfig, *, single: bool) -> None:
        self._address = parse_address(uri.rstrip("/"))
        super().__init__(str(self._address), options)
        self.single = single
        self._storage = resolved(storage)
        self._token = new_token()
        parent, _, name = self._address.key.rpartition("/")
        hidden = f"{TEMP_MARK}{name}-{self._token}"
        self._staging = self._address.at(f"{parent}/{hidden}" if parent else hidden)
        self._attempt = 0

    def check(self, schema: pa.Schema) -> None:
        """See `Target.check`."""
        check_partitions(schema, self.options)
        check_encodable(schema, self.options)
        mode = self.options.mode
        if self.single and mode == "append":
            raise ConfigError(f"{self.name}: an object cannot be appended to. Write to a folder: {self.name}/")
        if mode == "new" and self._there():
            raise ConfigError(f"{self.name}: is there already. Choose another name, or replace it: --mode overwrite")
        if mode == "append":
            foreign = [entry for entry in self._there() if not entry.key.endswith((suffix_of(self.options), MARKER))]
            if foreign:
                raise ConfigError(
                    f"{self.name}: holds files other than {suffix_of(self.options)}, such as {foreign[0].uri}. "
                    "Choose another folder"
                )

    def _there(self) -> list[Entry]:
        """Objects at the destination."""
        try:
            if self.single:
                found = stat(self._address, self._storage)
                return [found] if found is not None else []
            return list_objects(self._address, self._storage)
        except ReadError as error:
            raise OutputError(str(error).replace("cannot read", "cannot write", 1)) from error

    def sink(self, schema: pa.Schema) -> SinkStage:
        """See `Target.sink`."""
        self.close()
        self._attempt += 1
        prefix = f"{PREFIX}{self._token}-" if not self.single else PREFIX  # old and new ones never share a name
        return WriteFiles(
            folder=self._parts, options=self.options, header=not self._joins, prefix=prefix, instead=INSTEAD
        )

    @property
    def _parts(self) -> RemoteFolder:
        return RemoteFolder(uri=str(self._staging.below(f"parts-{self._attempt}")), storage=self._storage)

    @property
    def _joins(self) -> bool:
        return self.single or self.options.file_mib is not None

    def commit(self, schema: pa.Schema, receipts: Sequence[dict[str, Any]], blocks: Blocks) -> Written:
        """See `Target.commit`."""
        columns = pa.schema([field for field in schema if field.name not in self.options.partition_by])
        most = float("inf") if self.single else (self.options.file_mib or 0) * MIB if self._joins else None
        groups = groups_of(receipts, self._parts, most)
        if self.options.mode == "new" and self._there():
            raise OutputError(f"{self.name}: appeared while this was written, by another process. Choose another name")
        if self.single:
            places = tuple(place for group in groups for place in group.places)
            whole = Group("", places, (), sum(group.rows for group in groups), 0)
            files = [self._joined(whole, self._address, columns)]
        else:
            files = self._commit_folder(groups, columns)
        return Written(sum(file["rows"] for file in files), sum(file["bytes"] for file in files), files)

    def _commit_folder(self, groups: Sequence[Group], columns: pa.Schema) -> list[dict[str, Any]]:
        before = self._there() if self.options.mode == "overwrite" else []
        if not groups and not self.options.partition_by and self.options.mode != "append":
            name = f"{PREFIX}{self._token}-0{suffix_of(self.options)}"
            write_whole(self._address.below(name), empty_file(columns, self.options), self._storage)
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            files = list(pool.map(lambda group: self._placed(group, columns), groups))
        remove([parse_address(entry.uri) for entry in before], self._storage)
        write_whole(self._address.below(MARKER), b"", self._storage)
        return files

    def _placed(self, group: Group, columns: pa.Schema) -> dict[str, Any]:
        folder = self._address.below(group.folder) if group.folder else self._address
        target = folder.below(group.names[0])
        if self._joins and (len(group.places) > 1 or self.options.format == "csv"):
            return self._joined(group, target, columns)
        fs, path = where(target, self._storage)
        _, source = where(parse_address(str(group.places[0])), self._storage)
        try:
            patiently(functools.partial(fs.copy_file, source, path), target, self._storage)
        except FAULTS as error:
            raise output_error(error, target, self._storage) from error
        return {"path": str(target), "rows": group.rows, "bytes": group.bytes}

    def _joined(self, group: Group, target: Address, columns: pa.Schema) -> dict[str, Any]:
        """The parts as one object, streamed through this process; it appears when all of it is there."""
        fs, path = where(target, self._storage)

        def put() -> int:
            with fs.open_output_stream(path) as stream:
                if group.places:
                    join_files(group.places, columns, self.options, stream)
                else:
                    stream.write(empty_file(columns, self.options))
                return int(stream.tell())

        try:
            size = patiently(put, target, self._storage)
        except FAULTS as error:
            raise output_error(error, target, self._storage) from error
        return {"path": str(target), "rows": group.rows, "bytes": size}

    def close(self) -> None:
        """See `Target.close`."""
        if self._attempt:
            left = list_objects(self._staging, self._storage)
            remove([parse_address(entry.uri) for entry in left], self._storage)
