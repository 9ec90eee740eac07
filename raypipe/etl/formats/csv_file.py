"""A CSV file that was looked at, and its samples."""

from __future__ import annotations

import polars as pl

from raypipe.config import Frozen
from raypipe.errors import ReadError
from raypipe.etl.formats.csv_dialect import WHOLE_FILE_LIMIT, Dialect
from raypipe.etl.formats.csv_layout import to_utf8
from raypipe.etl.formats.format import SourceFile
from raypipe.storage.ranges import RemoteFile, look
from raypipe.storage.source import Place, open_bytes


class Facts(Frozen):
    """What was found about a text file by looking at it, or what the user said."""

    encoding_confidence: float
    """1: certain; 0.5: a guess."""
    delimiter_share: float
    """Rows of the sample, from the header on, that have as many fields as the table has columns."""
    skipped_lines: int = 0
    """Lines before the header."""
    header_rows: int = 0
    footer_rows: int = 0
    """Rows at the end that are no data."""
    tables: int = 1
    table: int = 1
    """Which of them is read, from 1."""


class CsvFile(SourceFile):
    """A CSV file that was looked at."""

    dialect: Dialect
    names: tuple[str, ...]
    """Columns in the order of the file, unique."""
    data_start: int
    """Byte where the first data row starts; in the UTF-8 text, where the file is turned into that as a whole."""
    data_end: int
    """Byte behind the last data row; what stands behind it is another table, or no data."""
    header_lines: int
    """Text lines before the first data row."""
    found: Facts

    @property
    def has_header(self) -> bool:
        """Whether its columns have names of their own."""
        return self.found.header_rows > 0

    def raw(self, start: int, end: int) -> bytes:
        """Bytes of a range; ReadError if the file is not the one that was looked at."""
        if self.dialect.code_bytes:
            return self.bytes_at(start, end)
        self.bytes_at(0, 1)
        return whole_text(self.place, self.dialect)[start:end]

    @property
    def part_encoding(self) -> str:
        """Encoding of what `raw` returns."""
        return self.dialect.encoding if self.dialect.code_bytes else "utf-8"


class Sample(Frozen, arbitrary_types_allowed=True):
    """A file and rows of it, as text under positional names."""

    file: CsvFile
    texts: pl.DataFrame
    is_whole: bool
    """The sample holds every row that has the right number of fields."""
    bytes_per_row: float


def whole_text(path: Place, dialect: Dialect) -> bytes:
    """The text as UTF-8, for encodings in which bytes of ASCII characters may mean something else."""
    source = look(path) if isinstance(path, RemoteFile) else open_bytes(path)
    size = source.size
    if size > WHOLE_FILE_LIMIT:
        raise ReadError(
            f"{path}: a file in {dialect.encoding} is read as a whole, up to {WHOLE_FILE_LIMIT >> 20} MiB; this one has"
            f" {size >> 20} MiB. Turn it into UTF-8 first: iconv -f {dialect.encoding} -t utf-8."
        )
    raw = source.read_at(0, size)
    if not isinstance(path, RemoteFile):
        source.close()
    return to_utf8(raw[dialect.start :], dialect.encoding)[0]
