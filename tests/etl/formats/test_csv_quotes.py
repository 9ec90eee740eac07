"""The quote machine against the csv module of the standard library, and against itself at every cut."""

from __future__ import annotations

import csv
import io

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from raypipe.etl.formats.csv_quotes import (
    Grammar,
    Rows,
    find_runs,
    is_clean,
    mend,
    scan_rows,
    states_after,
    states_before,
)

GRAMMAR = Grammar.of(",", '"', "\n")
texts = st.text(alphabet='ab,"\n', max_size=40)


def scan(text: str | bytes, **options: object) -> Rows:
    raw = text if isinstance(text, bytes) else text.encode()
    return scan_rows(np.frombuffer(raw, np.uint8), GRAMMAR, **options)  # type: ignore[arg-type]  # span, inside


def rows_of(text: str, rows: Rows) -> list[str]:
    return [text[start:end] for start, end in zip(rows.starts, rows.ends, strict=True)]


@settings(max_examples=300, deadline=None)
@given(texts)
@example('5" pipe,1\n')
@example('"a"b,1\n"c",2')
@example('"a\nb",1\n"c')
def test_mended_rows_are_what_a_strict_parser_reads(text: str) -> None:
    rows = scan(text)
    spans = zip(rows.starts, rows.nexts, rows.unclosed, strict=True)
    mended = mend("".join(text[start:end] for start, end, lost in spans if not lost).encode(), GRAMMAR).decode()

    read = [len(row) for row in csv.reader(io.StringIO(mended, newline=""), strict=True) if row]

    data = (rows.ends > rows.starts) & ~rows.unclosed
    assert read == rows.fields[data].tolist()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.text(alphabet="ab,\"\n'", max_size=5), min_size=2, max_size=3), max_size=5))
def test_what_a_writer_writes_is_clean_and_comes_back_row_by_row(table: list[list[str]]) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(table)
    text = out.getvalue()
    rows = scan(text)
    runs = find_runs(np.frombuffer(text.encode(), np.uint8), GRAMMAR)

    assert rows.fields.tolist() == [len(row) for row in table]
    assert is_clean(runs, states_before(states_after(runs.opens, runs.stays, False), False))
    assert mend(text.encode(), GRAMMAR) == text.encode()


@settings(max_examples=200, deadline=None)
@given(texts)
def test_rows_cover_the_text_and_lines_count_its_ends(text: str) -> None:
    rows = scan(text)

    assert "".join(text[start:end] for start, end in zip(rows.starts, rows.nexts, strict=True)) == text
    assert rows.line_count == text.count("\n") + (bool(text) and not text.endswith("\n"))
    assert rows.lines.tolist() == [text[:start].count("\n") for start in rows.starts]


def test_a_newline_inside_quotes_does_not_end_a_row() -> None:
    rows = scan('a,"x\ny"\nb,z\n')

    assert rows_of('a,"x\ny"\nb,z\n', rows) == ['a,"x\ny"', "b,z"]
    assert rows.lines.tolist() == [0, 2]


def test_a_quote_that_is_never_closed_costs_its_own_line_only() -> None:
    text = 'a,b\n1,"x\n2,y\n3,"z\n4,w\n'
    rows = scan(text)

    assert rows_of(text, rows) == ["a,b", '1,"x', "2,y", '3,"z', "4,w"]
    assert rows.unclosed.tolist() == [False, True, False, True, False]


def test_a_quoted_field_longer_than_the_span_is_never_closed() -> None:
    text = 'a,"' + "x\n" * 20 + '"\nb,c\n'

    assert scan(text, span=100).unclosed.sum() == 0
    assert scan(text, span=30).unclosed.tolist()[0]


def test_carriage_returns_before_line_ends_belong_to_no_field() -> None:
    text = '"a"\r\n"b\r\nc",d\r\n'
    rows = scan(text)

    assert rows_of(text, rows) == ['"a"', '"b\r\nc",d']
    assert mend(b'x" y\r\n', GRAMMAR) == b'"x"" y"\r\n'
