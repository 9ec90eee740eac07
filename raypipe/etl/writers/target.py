"""What all destinations have in common: checked before a row is read, begun, committed once, closed."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from raypipe.config.write import WriteOptions
from raypipe.errors import ResumeError
from raypipe.stage import SinkStage
from raypipe.storage.objects import RemoteFolder
from raypipe.storage.source import Place

Blocks = Callable[[], Iterable[pa.Table]]
INSTEAD = "another destination"
"""What to choose where a destination cannot be written."""


def new_token() -> str:
    """What tells the files of one write from those of others."""
    return secrets.token_hex(4)


@dataclass
class Written:
    """What a write left at its destination."""

    rows: int
    """Rows that were written, deleted ones included where a merge deletes."""
    bytes: int = 0
    files: list[dict[str, Any]] = field(default_factory=list)
    """Path, rows and bytes of each file."""
    detail: dict[str, Any] = field(default_factory=dict)
    """What the destination says of it, e.g. the version of a table."""


class Target(ABC):
    """A destination. Use it as a context: what is not committed is gone afterwards."""

    def __init__(self, name: str, options: WriteOptions) -> None:
        self.name = name
        """How users know it; it holds no secret."""
        self.options = options

    @abstractmethod
    def check(self, schema: pa.Schema) -> None:
        """Raise ConfigError or SchemaError if this can be known not to work; changes nothing."""

    @abstractmethod
    def sink(self, schema: pa.Schema) -> SinkStage | None:
        """The stage by which workers write their parts, beginning anew; None where the driver writes the blocks."""

    def journal(self, *, resume: bool) -> Path | None:
        """A folder for a journal of the writing, beside what was written so far; None where none can be kept.

        Parameters
        ----------
        resume : bool
            Whether to go on with what a process left behind that was killed.

        Raises
        ------
        ResumeError
            If there is nothing to go on with.
        """
        if resume:
            raise ResumeError(
                f"{self.name}: only files and folders on a disk can be gone on with. Begin anew: without --resume"
            )
        return None

    def leave(self) -> None:  # noqa: B027  # most destinations have nothing that could be gone on with
        """Let go of what was begun, and remove nothing: it stays to be gone on with."""

    def take(self, receipt: dict[str, Any]) -> None:  # noqa: B027  # most destinations wait for the last part
        """Hear what was written of a part, once it is known and in the order of parts; `commit` hears it, too.

        A destination that joins parts does so meanwhile, so that little is left to do at the end.
        """

    @abstractmethod
    def commit(self, schema: pa.Schema, receipts: Sequence[dict[str, Any]], blocks: Blocks) -> Written:
        """Let what was written appear, all of it at once.

        Parameters
        ----------
        receipts : sequence of dict
            Of the parts, in their order; empty without a sink.
        blocks : function
            Gives the rows, for a destination without a sink; may be called more than once.
        """

    def close(self) -> None:  # noqa: B027  # some destinations leave nothing in the middle
        """Remove what was left in the middle; nothing of what was committed."""

    def __enter__(self) -> Target:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True)
class Group:
    """Neighbouring written files of one folder that become one file."""

    folder: str
    """Of the partition, relative to the destination; empty for none."""
    places: tuple[Place, ...]
    names: tuple[str, ...]
    rows: int
    bytes: int
    partition: dict[str, str | None] = field(default_factory=dict)


def groups_of(receipts: Iterable[dict[str, Any]], root: Path | RemoteFolder, most_bytes: float | None) -> list[Group]:
    """Written files in the order of parts, neighbours of one folder together up to `most_bytes`; None: each alone."""
    open_groups: dict[str, Group] = {}
    found: list[Group] = []
    for file in (file for receipt in receipts for file in receipt["files"]):
        folder, _, name = file["path"].removeprefix(f"{root}/").rpartition("/")
        one = Group(folder, (_place(file, root),), (name,), file["rows"], file["bytes"], file.get("partition", {}))
        before = open_groups.get(folder)
        if before is not None and most_bytes is not None and before.bytes + one.bytes <= most_bytes:
            joined = Group(
                folder, before.places + one.places, before.names + one.names, before.rows + one.rows,
                before.bytes + one.bytes, one.partition,
            )  # fmt: skip
            found[found.index(before)] = open_groups[folder] = joined
        else:
            found.append(one)
            open_groups[folder] = one
    return found


def _place(file: dict[str, Any], root: Path | RemoteFolder) -> Place:
    from raypipe.storage.ranges import RemoteFile

    if isinstance(root, Path):
        return Path(file["path"])
    return RemoteFile(uri=file["path"], size=file["bytes"], version="", storage=root.storage)
