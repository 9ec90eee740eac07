"""Files mutated at random: a clear error, or every line in a row, aside, or named as no data. Never a crash."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from raypipe.config import ReadOptions
from raypipe.errors import ConfigError, ReadError
from raypipe.etl.reader import DataReader
from tests.laws import examples

SEEDS = (
    b'a;b;c\n1,5;"x;y";31.12.2024\n2,5;"z\n";01.01.2025\n\n(2 rows)\n',
    'Título\n\nid||name\n1||é\n2||"q||"\n'.encode(),
    'a,b\n1,"x \\"y\\""\n2,z\r3,w\r\n'.encode("utf-16"),
    b"a,b\n1,2\n\nx,y,z\n1,2,3\n4,5,6\n",
)
BYTES = (
    b"\x00",
    b"\xff",
    b'"',
    b"'",
    b"\\",
    b"\r",
    b"\n",
    b";",
    b"|",
    b",",
    b"#",
    b"\xc3",
    b" ",
    b"9" * 30,
    b"\xef\xb7\x90",
)


@example(SEEDS[0], [(6, 0, BYTES[-1])], 1)
@settings(max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.sampled_from(SEEDS),
    edits=st.lists(st.tuples(st.integers(0, 80), st.integers(0, 3), st.sampled_from(BYTES)), max_size=6),
    target=st.integers(1, 60),
)
def test_a_damaged_file_is_read_or_refused_but_loses_nothing(
    tmp_path: Path, seed: bytes, edits: list[tuple[int, int, bytes]], target: int
) -> None:
    raw = seed
    for at, gone, put in edits:
        raw = raw[:at] + put + raw[at + gone :]
    path = tmp_path / "x.csv"
    path.write_bytes(raw)
    try:
        reader = DataReader(path, format="csv")
        source = reader.source()
        cut = reader.source(target_part_bytes=target)
    except (ReadError, ConfigError):
        return
    tables = []
    for one in (source, cut):
        read = one.open()
        parts = [read(part) for part in one.parts()]
        tables.append([row for part in parts for row in part.block.to_pylist()])
        for part in parts:
            numbers = part.row_numbers.to_pylist() if part.row_numbers is not None else list(range(part.block.num_rows))
            assert len(numbers) == part.block.num_rows
    assert repr(tables[0]) == repr(tables[1])


@pytest.mark.parametrize(
    "text", ["", "\n", "\ufeff", "\ufeff\n", "a", '"', "\\", "||", ";;;", "#", "\r", "sep=;", "sep=;\n", "\x00"]
)
def test_hardly_anything_is_read_or_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(text.encode())
    try:
        table = DataReader(path, format="csv", options=ReadOptions(escape="\\")).read()
    except (ReadError, ConfigError):
        return
    assert table.num_rows <= 1
