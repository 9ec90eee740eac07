"""A file or a folder of files on a disk: staged beside it, and put in its place by one rename."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from raypipe.config.write import WriteOptions
from raypipe.errors import ConfigError, ResumeError, SchemaError
from raypipe.etl.outputs import TEMP_MARK, writing
from raypipe.etl.writers.early import EarlyJoin
from raypipe.etl.writers.encode import COMPRESSED, SUFFIXES, check_encodable, suffix_of
from raypipe.etl.writers.files import PREFIX, WriteFiles, check_partitions
from raypipe.etl.writers.join import empty_file, join_files
from raypipe.etl.writers.renames import exchange, move_new
from raypipe.etl.writers.staging import Staging
from raypipe.etl.writers.target import INSTEAD, Blocks, Group, Target, Written, groups_of
from raypipe.stage import SinkStage

MIB = 1 << 20
LAST = "last"
_DATA_SUFFIXES = {f"{form}{packed}" for form in SUFFIXES.values() for packed in COMPRESSED.values()}
_OURS = ("_SUCCESS", "_metadata", "_common_metadata")


class DiskTarget(Target):
    """Files on a disk.

    Parameters
    ----------
    path : Path
        The file or folder.
    single : bool
        Whether all rows become one file.
    """

    def __init__(self, path: Path, options: WriteOptions, *, single: bool) -> None:
        super().__init__(str(path), options)
        self.path = path.absolute()
        self.single = single
        self._staging = Staging(self.path)
        self._attempt = 0
        self._early: EarlyJoin | None = None

    # ---- before -----------------------------------------------------------------------------------------------------

    def check(self, schema: pa.Schema) -> None:
        """See `Target.check`."""
        check_partitions(schema, self.options)
        check_encodable(schema, self.options)
        if self.single:
            self._check_file()
        elif self.path.exists():
            self._check_folder(schema)

    def _check_file(self) -> None:
        mode = self.options.mode
        if mode == "append":
            raise ConfigError(
                f"{self.name}: a file cannot be appended to in one step. Write to a folder, by a name that ends in "
                "a slash, or replace the file: --mode overwrite"
            )
        if self.path.is_dir():
            raise ConfigError(f"{self.name}: is a folder. To write files into it, let the name end in a slash")
        if mode == "new" and os.path.lexists(self.path):
            raise ConfigError(f"{self.name}: is there already. Choose another name, or replace it: --mode overwrite")

    def _check_folder(self, schema: pa.Schema) -> None:
        if not self.path.is_dir():
            raise ConfigError(f"{self.name}: is a file, and a folder is wanted. Choose another name")
        names = [path.relative_to(self.path) for path in self.path.rglob("*") if not path.is_dir()]
        names = [name for name in names if not any(part.startswith(TEMP_MARK) for part in name.parts)]
        if not names:
            return
        if self.options.mode == "new":
            raise ConfigError(
                f"{self.name}: holds files already. Choose another folder, or say what to do with them: "
                "--mode append or --mode overwrite"
            )
        suffixes = _DATA_SUFFIXES if self.options.mode == "overwrite" else {suffix_of(self.options)}
        foreign = [name for name in names if "".join(_ends(name)) not in suffixes and name.name not in _OURS]
        if foreign:
            why = "that are no data" if self.options.mode == "overwrite" else f"other than {suffix_of(self.options)}"
            raise ConfigError(
                f"{self.name}: holds files {why}, such as {foreign[0]}. Choose another folder, or move them away"
            )
        if self.options.mode == "append":
            self._check_columns(schema, self.path / min(names))

    def _check_columns(self, schema: pa.Schema, example: Path) -> None:
        """Held against a file that is there: a folder of files that do not fit is no table."""
        if self.options.format not in ("parquet", "arrow", None):
            return
        try:
            with example.open("rb") as file:
                opened = pq.ParquetFile(file) if self.options.format != "arrow" else None
                there = opened.schema_arrow if opened else pa.ipc.open_file(file).schema
        except (pa.ArrowException, OSError) as error:
            raise ConfigError(f"{example}: cannot be read, so that nothing can be appended to it: {error}") from error
        ours = pa.schema([field for field in schema if field.name not in self.options.partition_by])
        if not there.equals(ours):
            changed = [field for field in ours if field.name not in there.names or there.field(field.name) != field]
            gone = [name for name in there.names if name not in ours.names]
            what = (
                f"{changed[0].name!r} ({changed[0].type})" if changed else f"none {gone[0]!r}" if gone else "its order"
            )
            raise SchemaError(
                f"{self.name}: the columns are not those of the files there: {example.name} differs in {what}. "
                "Write to another folder, or replace it: --mode overwrite"
            )

    def journal(self, *, resume: bool) -> Path | None:
        """See `Target.journal`."""
        if resume:
            self._staging.adopt()
            if (self._staging.folder / LAST).exists():
                self.leave()
                raise ResumeError(
                    f"{self.name}: was cut off in its very last step, and may be complete. Look at it; then begin "
                    "anew, without --resume"
                )
        else:
            self._staging.begin()
        return self._staging.journal

    def leave(self) -> None:
        """See `Target.leave`."""
        self._staging.leave()

    # ---- writing ----------------------------------------------------------------------------------------------------

    def sink(self, schema: pa.Schema) -> SinkStage:
        """See `Target.sink`."""
        self._staging.begin()
        self._attempt += 1
        self._drop_early()
        if self.single:
            self._early = EarlyJoin(self._staging.folder / "whole", schema, self.options)
        prefix = f"{PREFIX}{self._staging.token}-" if self.options.mode == "append" else PREFIX
        return WriteFiles(
            folder=self._parts, options=self.options, header=not self._joins, prefix=prefix, instead=INSTEAD
        )

    @property
    def _parts(self) -> Path:
        return self._staging.folder / f"parts-{self._attempt}"

    @property
    def _joins(self) -> bool:
        return self.single or self.options.file_mib is not None

    def take(self, receipt: dict[str, Any]) -> None:
        """See `Target.take`."""
        if self._early is not None and not self._staging.adopted:  # else only the later parts are heard of
            with writing(self.path, INSTEAD):
                self._early.take([Path(file["path"]) for file in receipt["files"]])

    def _drop_early(self) -> None:
        if self._early is not None:
            self._early.drop()
            self._early = None

    def commit(self, schema: pa.Schema, receipts: Sequence[dict[str, Any]], blocks: Blocks) -> Written:
        """See `Target.commit`."""
        columns = pa.schema([field for field in schema if field.name not in self.options.partition_by])
        most = float("inf") if self.single else (self.options.file_mib or 0) * MIB if self._joins else None
        groups = groups_of(receipts, self._parts, most)
        with writing(self.path, INSTEAD):
            if self.single:
                return self._commit_file(groups, columns)
            ready = self._ready()
            files = [self._placed(group, columns, ready) for group in groups]
            if not files and not self.options.partition_by and not self._is_there():
                (ready / f"{PREFIX}0{suffix_of(self.options)}").write_bytes(empty_file(columns, self.options))
            self._appear(ready)
        rows, size = sum(group.rows for group in groups), sum(file["bytes"] for file in files)
        return Written(rows, size, [{**file, "path": f"{self.path}/{file['path']}"} for file in files])

    def _ready(self) -> Path:
        """An empty folder; what a process had moved there that was killed is a part again."""
        ready = self._staging.folder / "ready"
        for path in [path for path in ready.rglob("*") if path.is_file()]:
            home = self._parts / path.relative_to(ready)
            if not home.exists():  # else it was joined from several
                os.replace(path, home)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(ready)
        ready.mkdir()
        return ready

    def _commit_file(self, groups: Sequence[Group], columns: pa.Schema) -> Written:
        places = [Path(str(place)) for group in groups for place in group.places]
        whole = self._staging.folder / "whole"
        if self._early is not None and places and (len(places) > 1 or self.options.format == "csv"):
            self._early.finish(places)
        elif places:
            if not self._staging.adopted or places[0].exists():  # else that was done before
                os.rename(places[0], whole)
        else:
            whole.write_bytes(empty_file(columns, self.options))
        if self.options.mode == "overwrite":
            os.replace(whole, self.path)
        else:
            self._staging.put_new(whole)
        rows, size = sum(group.rows for group in groups), self.path.stat().st_size
        return Written(rows, size, [{"path": str(self.path), "rows": rows, "bytes": size}])

    def _placed(self, group: Group, columns: pa.Schema, ready: Path) -> dict[str, Any]:
        """A file of the destination, joined from those of its group, under its last name in `ready`."""
        target = ready / group.folder / group.names[0]
        target.parent.mkdir(parents=True, exist_ok=True)
        if self._joins and (len(group.places) > 1 or self.options.format == "csv"):
            with target.open("wb") as out:
                join_files(group.places, columns, self.options, out)
        else:
            os.rename(str(group.places[0]), target)
        relative = target.relative_to(ready).as_posix()
        return {"path": relative, "rows": group.rows, "bytes": target.stat().st_size}

    def _appear(self, ready: Path) -> None:
        last = self._staging.folder / LAST  # from here on nobody can tell what is old and what is new
        if self.options.mode == "append" and self._is_there():
            os.rename(ready, last)
            for path in sorted(path for path in last.rglob("*") if path.is_file()):
                target = self.path / path.relative_to(last)
                target.parent.mkdir(parents=True, exist_ok=True)
                move_new(path, target)
        elif self.options.mode == "overwrite" and self.path.exists():
            os.rename(ready, last)
            exchange(last, self.path)
        else:
            with contextlib.suppress(OSError):
                self.path.rmdir()  # an empty folder may have been made for us
            self._staging.put_new(ready)

    def _is_there(self) -> bool:
        return self.options.mode == "append" and self.path.is_dir() and any(self.path.iterdir())

    def close(self) -> None:
        """See `Target.close`."""
        self._drop_early()
        self._staging.close()


def _ends(name: Path) -> list[str]:
    """The end of the name, with that of its compression."""
    return name.suffixes[-2:] if name.suffix in (".gz", ".zst") else name.suffixes[-1:]
