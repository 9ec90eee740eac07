"""Cutting a file at any byte gives the rows of one read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raypipe.etl.formats.csv_parts import CodeFile, Cut, cut_file, resync
from raypipe.etl.formats.csv_quotes import Codes, Grammar, mend, scan_rows

GRAMMAR = Grammar.of(",", '"', "\n")
PIECES = (
    "a,b\n",
    '"a","b"\n',
    '"a\nb",c\n',
    '"a""b","\n"\n',
    '5" p,x\n',
    '"un,c\n',
    "a\n",
    "\n",
    '""\n',
    '"q"x,1\r\n',
    "'a,'\n",
)
HOSTILE = (
    'a,b\n1,"x\ny"\n2,"""q"""\n3,\n',
    '"a\n\n\n",b\n"","",""\n',
    'a,5" pipe\nb,"6"" pipe"\nc,6" d,7"\n',
    'x,1\r\n"y\r\nz",2\r\n\r\nw,3',
    'a,b\n1,"never\n2,closed\n3,x\n',
    '""""""\n"",""\n"\n"\n',
    "\n\n\n",
    "a",
)


def described(raw: bytes, span: int) -> list[tuple[bytes, bool]]:
    rows = scan_rows(np.frombuffer(raw, np.uint8), GRAMMAR, span=span)
    return [
        (raw[start:end], bool(lost)) for start, end, lost in zip(rows.starts, rows.nexts, rows.unclosed, strict=True)
    ]


def cuts_of(path: Path, target: int, span: int = 1 << 20, chunk: int = 1 << 20) -> list[Cut]:
    with CodeFile(path, 0) as file:
        return cut_file(file, GRAMMAR, target, span, chunk)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_cut_at_every_byte_gives_the_same_rows(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(text.encode())
    whole = described(text.encode(), 1 << 20)

    for target in range(1, len(text) + 1):
        pieces = [text.encode()[cut.start : cut.end] for cut in cuts_of(path, target)]
        assert b"".join(pieces) == text.encode()
        assert [row for piece in pieces for row in described(piece, 1 << 20)] == whole


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.one_of(
        st.lists(st.sampled_from(PIECES), max_size=12).map("".join), st.text(alphabet='ab,"\n\r', max_size=60)
    ),
    target=st.integers(1, 40),
    span=st.sampled_from((8, 20, 1 << 20)),
    chunk=st.sampled_from((1, 3, 16, 1 << 20)),
)
def test_cuts_hold_for_any_text_chunk_and_span(tmp_path: Path, text: str, target: int, span: int, chunk: int) -> None:
    raw = text.encode()
    path = tmp_path / "x.csv"
    path.write_bytes(raw)

    cuts = cuts_of(path, target, span, chunk)

    assert [row for cut in cuts for row in described(raw[cut.start : cut.end], span)] == described(raw, span)
    for cut in cuts:
        if cut.clean:
            assert mend(raw[cut.start : cut.end], GRAMMAR) == raw[cut.start : cut.end]


def test_wide_characters_are_cut_between_code_units(tmp_path: Path) -> None:
    text = 'ä,"x\ny"\nö,2\n' * 50
    path = tmp_path / "x.csv"
    path.write_bytes(text.encode("utf-16-be"))

    with CodeFile(path, 0, width=2, big_endian=True) as file:
        cuts = cut_file(file, GRAMMAR, 40)

    assert len(cuts) > 5
    pieces = [path.read_bytes()[cut.start : cut.end].decode("utf-16-be") for cut in cuts]
    assert "".join(pieces) == text
    assert all(piece.startswith(("ä", "ö")) for piece in pieces)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 200))
def test_a_piece_cut_out_anywhere_finds_the_next_row(offset: int) -> None:
    text = ('1,"two\nlines, here",3\n' * 20).encode()
    codes: Codes = np.frombuffer(text[offset:], np.uint8)

    start = resync(codes, GRAMMAR, 3)

    assert start is not None
    assert (offset + start) % 22 == 0
