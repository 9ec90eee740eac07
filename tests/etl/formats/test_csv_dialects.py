"""A table in any dialect is read back exactly, however the file is cut."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raypipe.config import ReadOptions
from raypipe.etl.reader import DataReader, ReadResult
from tests.laws import examples

ENDS = {"lf": "\n", "crlf": "\r\n", "cr": "\r", "mixed": "\n"}


@dataclass(frozen=True)
class Written:
    """How a table is written."""

    delimiter: str
    quote: str | None
    escape: str | None
    end: str
    encoding: str

    @property
    def options(self) -> dict[str, Any]:
        """The same for the reader."""
        line_end = {"lf": "lf", "crlf": "lf"}.get(self.end, self.end)
        return {"delimiter": self.delimiter, "quote": self.quote, "escape": self.escape or "", "line_end": line_end}

    def cell(self, text: str) -> str:
        special = {*self.delimiter, self.quote, self.escape, "\n", "\r"}
        if self.quote is None:
            return "".join(f"{self.escape}{char}" if char in special else char for char in text)
        if not special & set(text):
            return text
        for char in [char for char in (self.escape, self.quote) if char]:
            text = text.replace(char, (self.escape or self.quote) + char)
        return f"{self.quote}{text}{self.quote}"

    def text(self, rows: list[list[str]]) -> str:
        lines = [self.delimiter.join(self.cell(cell) for cell in row) for row in rows]
        ends = ["\n", "\r", "\r\n"] if self.end == "mixed" else [ENDS[self.end]]
        return "".join(line + ends[at % len(ends)] for at, line in enumerate(lines))


dialects = st.builds(
    Written,
    delimiter=st.sampled_from([",", ";", "\t", "|", "\x01", "||", "::", "|~|", "¦"]),
    quote=st.sampled_from(['"', "'", None]),
    escape=st.sampled_from([None, "\\", "^"]),
    end=st.sampled_from(list(ENDS)),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "cp1252"]),
)
cells = st.text(alphabet="ab\"'\\^|~:;,¦\n\r\x1fé 1", max_size=6)


def fitting(written: Written, text: str) -> str:
    """What can be written in the dialect at all; a tiny file of two control characters looks like no text."""
    if written.delimiter == "\x01":
        text = text.replace("\x1f", "")
    if written.quote is None and written.escape is None:
        return "".join(char for char in text if char not in {*written.delimiter, "\n", "\r"})
    return text


def read(folder: Path, raw: bytes, **options: Any) -> ReadResult:
    path = folder / "x.csv"
    path.write_bytes(raw)
    return DataReader(path, options=ReadOptions(**options)).read_all()


def all_rows(folder: Path, raw: bytes, target: int, **options: Any) -> tuple[list[Any], list[Any], int]:
    """Rows, raw texts of rows set aside with their lines, and parts, of the file in pieces of about `target` bytes."""
    path = folder / "x.csv"
    path.write_bytes(raw)
    source = DataReader(path, options=ReadOptions(**options)).source(target_part_bytes=target)
    read_part = source.open()
    rows, aside, lines = [], [], 0
    for part in source.parts():
        got = read_part(part)
        rows += [list(row.values()) for row in got.block.to_pylist()]
        aside += [(one["line"] + lines, one["raw"]) for one in got.aside.to_pylist()]
        lines += got.lines or 0
    return rows, aside, len(source.parts())


@settings(max_examples=70, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    written=dialects,
    table=st.lists(st.lists(cells, min_size=3, max_size=3), min_size=1, max_size=8),
    target=st.integers(1, 80),
    around=st.sampled_from(
        [((), ()), (("Report", ""), ()), (("Report", "Made today"), ("", "(7 rows)")), ((), ("", "Source"))]
    ),
)
def test_a_table_in_any_dialect_is_read_back_at_any_cut(
    tmp_path: Path,
    written: Written,
    table: list[list[str]],
    target: int,
    around: tuple[tuple[str, ...], tuple[str, ...]],
) -> None:
    table = [[fitting(written, cell) for cell in row] for row in table]
    end = ENDS[written.end]
    above, below = ("".join(line + end for line in lines) for lines in around)
    text = above + written.text([["a", "b", "c"], *table]) + below
    options = {"header": True, "dtypes": dict.fromkeys("abc", "text"), "null_values": (), **written.options}

    rows, aside, _ = all_rows(tmp_path, text.encode(written.encoding, "replace"), target, **options)

    assert aside == []
    assert rows == table


pieces = st.sampled_from(
    [
        "a||b\n",
        "a|||b\r",
        '"a||\n"||"b"\r\n',
        "a\\||b||c\n",
        "x\\\n||y\r\n",
        '"q\\""||1\n',
        "|||||\n",
        '"open||1\n',
        "\r",
        "#c||\n",
        "z\\\\||w\r",
    ]
)


@settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(pieces, max_size=10), target=st.integers(1, 50), ragged=st.sampled_from(["quarantine", "pad"]))
def test_where_an_unusual_file_is_cut_changes_nothing(
    tmp_path: Path, lines: list[str], target: int, ragged: str
) -> None:
    raw = ("a||b\n1||2\n" + "".join(lines) + "1||2\n").encode()
    options = {
        "delimiter": "||", "escape": "\\", "line_end": "mixed", "header": True, "comment": "#", "ragged": ragged,
        "skip_rows": 0, "footer_rows": 0,
    }  # fmt: skip

    whole = all_rows(tmp_path, raw, 1 << 20, **options)

    assert all_rows(tmp_path, raw, target, **options)[:2] == whole[:2]
