"""What a format is: how its files are told, looked at, cut into slices and read. One module and one entry each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa

from raypipe.config import CellFormat, Frozen, ReadOptions, StorageConfig
from raypipe.errors import MissingColumnsError, ReadError
from raypipe.etl.formats.schemas import select, unify
from raypipe.etl.formats.slices import Slice
from raypipe.stage import PartRead
from raypipe.storage.packed import PackedFile, read_packed
from raypipe.storage.ranges import RemoteFile, open_as_it_was
from raypipe.storage.source import LocalBytes, Place

if TYPE_CHECKING:
    from raypipe.etl.source import TableSource

ReadSlice = Callable[[Slice, str], PartRead]
"""(slice, part id) -> its rows, under `TableSource.read_schema`."""
EVERYWHERE = frozenset({"columns", "max_rows", "folder_columns", "file_column"})
"""Read options that every format honours."""
OF_STORES = frozenset({
    "sheet", "cell_errors", "version", "timestamp", "query", "partition_on", "partition_count",
})  # fmt: skip
"""Read options of workbooks, lakes and databases, which no file of text has."""


class SourceFile(Frozen, arbitrary_types_allowed=True):
    """A file, table or query that was looked at; formats add what they need to read it again."""

    path: str
    """What the user would call it."""
    size: int
    """Bytes of its content."""
    mtime_ns: int
    """When it was last changed, in ns since 1970; 0 where only `remote` tells."""
    notes: tuple[str, ...] = ()
    remote: RemoteFile | None = None
    """The object that it is, where it is none of this machine's files."""
    packed: PackedFile | None = None
    """The compressed file that holds it, where it is in one; `size` is that of what it holds."""

    @property
    def place(self) -> Place:
        """Where it is."""
        return self.packed or self.remote or Path(self.path)

    def stamp(self) -> tuple[str, int, int, str]:
        """Path, bytes, time of the last change and version: equal as long as the content is."""
        size = self.packed.packed_size if self.packed else self.size
        return self.path, size, self.mtime_ns, self.remote.version if self.remote else ""

    def pinned(self, options: ReadOptions) -> ReadOptions:
        """The options under which it is found again as it was, though others write to it meanwhile."""
        return options

    def release(self) -> None:
        """Let go of what is held for those who read it, such as a connection; nobody reads it any more."""

    def check_unchanged(self) -> None:
        """ReadError if a local file is not the one that was looked at; objects are checked when they are opened."""
        if self.packed is not None:
            self.packed.check_unchanged()
        elif self.remote is None:
            stat = Path(self.path).stat()
            if (stat.st_size, stat.st_mtime_ns) != (self.size, self.mtime_ns):
                raise ReadError(f"{self.path}: changed while it was being read. Run again when nothing writes to it.")

    def bytes_at(self, start: int, end: int) -> bytes:
        """Bytes [start, end) of the content; ReadError if it is not the one that was looked at."""
        if self.packed is not None:
            return read_packed(self.packed, start, end)
        if self.remote is not None:
            with open_as_it_was(self.remote) as source:
                return source.read_at(start, end - start)
        self.check_unchanged()
        opened = LocalBytes(Path(self.path))
        try:
            return opened.read_at(start, end - start)
        finally:
            opened.close()


class Whole(Frozen):
    """A source that is no file but one thing as a whole, such as a table of a lake or a query; see `Format.whole`."""

    text: str
    """What the user wrote."""
    storage: StorageConfig = StorageConfig()

    def __str__(self) -> str:
        return self.text


Spot = Place | Whole
"""What a format looks at."""


@dataclass(frozen=True)
class Look:
    """What looking at one place found."""

    file: SourceFile
    schema: pa.Schema | None = None
    """Its columns, where the format knows them without a sample."""
    rows: int | None = None
    """Rows in it, or an estimate."""
    rows_exact: bool = True
    sample: Any = None
    """Whatever else the format wants to plan from; not kept."""


@dataclass(frozen=True)
class Joined:
    """One schema for all files of a source, and what was done to get it."""

    schema: pa.Schema
    notes: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    """Columns whose type the user gave: never promoted."""
    formats: Mapping[str, CellFormat] = field(default_factory=dict)
    """Column -> how its cells are written, where that is not the plain way."""


class Cutting(Frozen):
    """How a source is cut, so that it can be cut again."""

    target: int
    """Wanted bytes of a block in memory."""
    max_rows: int | None = None
    sample_rows: int | None = None
    """Rows to draw; None reads all."""
    seed: int = 0
    guess: bool = True
    """Cuts may be guessed, to be checked when their parts are read."""


@dataclass(frozen=True)
class Cut:
    """Slices in source order, and how they came about."""

    slices: tuple[Slice, ...]
    notes: tuple[str, ...] = ()


class Format(ABC):
    """One kind of source. Without state: everything found out is in the values that it returns."""

    name: ClassVar[str]
    """As `data_format` wants it."""
    title: ClassVar[str]
    """As messages call it."""
    extensions: ClassVar[tuple[str, ...]] = ()
    """Ends of file names, with the dot, in lower case."""
    is_text: ClassVar[bool] = False
    by_column: ClassVar[bool] = False
    """Whether its files are stored by column, so that some columns are read without the others, and fast."""
    extra: ClassVar[str | None] = None
    """The pip extra that it needs."""
    honours: ClassVar[frozenset[str]] = EVERYWHERE
    """Names of the `ReadOptions` that it honours; any other that is given is refused."""
    why_refused: ClassVar[str] = "which says so itself"
    """Said where an option is refused, behind the format's title."""
    memory_per_byte: ClassVar[int] = 1
    """Rough bytes in memory for a byte in the file; it only decides how finely a source is cut."""
    settles: ClassVar[bool] = False
    """Types are found from samples: the whole source decides, see `settle_types`."""

    def whole(self, path: str | Path, storage: StorageConfig) -> Sequence[Spot] | None:
        """What to look at, where `path` names one thing of this format that is no plain file; None: it does not."""
        return None

    def holds(self, head: bytes, suffix: str) -> bool:
        """Whether a file that begins with `head` and is named so is of this format."""
        return False

    def takes(self, found: str) -> bool:
        """Whether a file that looks like format `found` can be read as this one, where the user says that it is."""
        return found == self.name

    @abstractmethod
    def look(self, place: Any, options: ReadOptions) -> Look:
        """Look at a `Place`, or at what `whole` gave, without reading all of it."""

    def join(self, looks: Sequence[Look], options: ReadOptions) -> Joined:
        """One schema for all files, with the columns that are wanted."""
        known = [(look.file.path, look.schema) for look in looks if look.schema is not None]
        names = self.names_in(looks)
        missing = [name for name in options.columns or () if name not in names]
        if missing:
            raise MissingColumnsError("read_options", missing, names)
        unified = unify(known, options.columns)
        schema = select(unified.schema, options.columns, "read_options")
        return Joined(schema, (*(note for look in looks for note in look.file.notes), *unified.notes))

    def names_in(self, looks: Sequence[Look]) -> list[str]:
        """Columns that some file has."""
        return list(dict.fromkeys(name for look in looks for name in (look.schema.names if look.schema else ())))

    @abstractmethod
    def cut(self, files: Sequence[Any], schema: pa.Schema, how: Cutting) -> Cut:
        """Slices of about `how.target` bytes in memory, cut at `how.max_rows`, or those that hold a sample."""

    @abstractmethod
    def open(self, source: TableSource) -> ReadSlice:
        """The function that reads a slice; called once in each worker."""

    def info(self, looks: Sequence[Look]) -> dict[str, Any]:
        """What `get_file_info` tells beyond sizes."""
        columns = unify([(look.file.path, look.schema) for look in looks if look.schema is not None]).schema.names
        return {
            "columns": columns,
            "estimated_columns": len(columns),
            "estimated_rows": sum(look.rows or 0 for look in looks),
            "rows_exact": all(look.rows_exact for look in looks),
        }
