"""Inputs that once broke a law, each kept as a file of some kilobytes in `found/`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOUND = Path(__file__).parent / "found"


@dataclass(frozen=True)
class Case:
    """One input."""

    name: str
    """Name in the corpus that it is a mutation of."""
    file: str
    was: str
    """What it did."""
    outcome: str
    """What becomes of it now."""

    @property
    def content(self) -> bytes:
        """The bytes."""
        return (FOUND / self.file).read_bytes()


KNOWN = (
    Case("x.orc", "stripe.orc", "a length in a stripe made Arrow take 10 GB of memory, and minutes", "refused"),
    Case("orders.xls", "directory.xls", "calamine panicked, which is no `Exception`", "refused"),
    Case("book.xlsx", "encoding.xml", "`LookupError`: an encoding that there is none of", "refused"),
    Case("x.sqlite", "pages.sqlite", "`sqlite3.DatabaseError` while it was looked at", "refused"),
    Case("orders.xls", "memory.xls", "a length made calamine ask for more memory than there is", "refused"),
    Case("orders.xlsx", "encrypted.xlsx", "`RuntimeError`: a member that calls itself encrypted", "refused"),
    Case("x.sqlite", "names.sqlite", "`UnicodeDecodeError` in the names of tables", "refused"),
    Case("x.sqlite", "counts.sqlite", "other rows were read than were counted, in silence", "refused"),
)
