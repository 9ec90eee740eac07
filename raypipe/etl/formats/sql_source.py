"""A table or a query of a database that was looked at, and the windows that it is read in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import pyarrow as pa

from raypipe.config import Frozen, ReadOptions
from raypipe.etl.formats.format import SourceFile
from raypipe.etl.formats.slices import Slice
from raypipe.etl.formats.sql_address import SqlAddress
from raypipe.stage import PartRead

By = Literal["range", "block", "row", "offset"]
"""How a source is cut: by ranges of a column, of blocks of the table's file, of row ids, or by counting rows in a fixed
order."""
KeyKind = Literal["integer", "date", "timestamp", "timestamptz"]
DAY_US = 86_400_000_000


class Held:
    """What keeps a snapshot alive: it closes its connection when nobody holds it; other processes get its id."""

    def __init__(self, id: str, connection: Any = None) -> None:
        self.id = id
        self._connection = connection

    def __reduce__(self) -> tuple[type[Held], tuple[str]]:
        return Held, (self.id,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Held) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"Held({self.id!r})"

    def close(self) -> None:
        """Let go of it."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def __del__(self) -> None:
        self.close()


class SqlColumn(Frozen, arbitrary_types_allowed=True):
    """A column as it is asked for, and the type that it is read as."""

    name: str
    expression: str
    """What is selected."""
    kind: pa.DataType
    order: str = ""
    """What to sort by; empty: the expression."""


class SqlFile(SourceFile):
    """A table or a query that was looked at. It holds no secret and travels to workers."""

    address: SqlAddress
    relation: str
    """What stands behind FROM."""
    columns: tuple[SqlColumn, ...]
    rows: int
    """As counted or estimated by the database."""
    row_bytes: int
    """Of a row in memory, from a sample."""
    by: By
    key: str = ""
    """Expression that is cut by."""
    key_kind: KeyKind = "integer"
    order: str = ""
    """Order of the rows within a window: it is the same each time."""
    token: str
    """Equal as long as the database is the same."""
    snapshot: Held | None = None
    pieces: int | None = None
    """Ranges that the user asks for."""
    extent: int = 0
    """Blocks of the table's file."""

    def stamp(self) -> tuple[str, int, int, str]:
        return self.path, self.size, self.mtime_ns, self.token

    def release(self) -> None:
        if self.snapshot is not None:
            self.snapshot.close()

    def check_unchanged(self) -> None:
        """The database is asked when it is read."""

    def selected(self, names: list[str]) -> list[SqlColumn]:
        """The columns of these names, in their order."""
        by_name = {column.name: column for column in self.columns}
        return [by_name[name] for name in names]


@dataclass(frozen=True)
class Window:
    """Rows of one part: those with `low <= key < high`, an end that is None being open; or those without a key."""

    low: int | None
    high: int | None
    nulls: bool = False

    @classmethod
    def of(cls, piece: Slice) -> Window:
        """The window of a slice; one that ends before it begins holds the rows without a key."""
        if piece.low is not None and piece.high is not None and piece.low > piece.high:
            return cls(None, None, nulls=True)
        return cls(piece.low, piece.high)

    def bounds(self) -> dict[str, int | None]:
        """As fields of a `Slice`."""
        return {"low": 1, "high": 0} if self.nulls else {"low": self.low, "high": self.high}


class Backend(Protocol):
    """What a kind of database can do. Each call opens a connection of its own and closes it."""

    def look(self, address: SqlAddress, options: ReadOptions) -> SqlFile:
        """What is to be read, its types, and how it can be cut."""

    def bounds(self, file: SqlFile) -> tuple[int | None, int | None, int, int]:
        """Least and greatest key, rows, and rows without one."""

    def counts(self, file: SqlFile, edges: list[int]) -> list[int]:
        """Rows below the first edge, between each two, and from the last one on."""

    def read(self, file: SqlFile, names: list[str], window: Window) -> PartRead:
        """The rows of a window."""


@runtime_checkable
class RowIds(Protocol):
    """What a backend can do whose files are cut `by="row"`."""

    def edges(self, file: SqlFile, rows: int) -> tuple[list[int], int]:
        """The id of every `rows`-th row, and how many rows there are."""
