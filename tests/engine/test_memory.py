"""Blocks get smaller before memory runs out."""

from __future__ import annotations

import psutil
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raypipe.engine import worker
from raypipe.engine.inquest import Care
from raypipe.engine.memory import MAX_PIECES, NEED_COPIES, SHARE, free_memory, pieces_for
from raypipe.stage import Part


def test_what_is_left_is_no_more_than_the_machine_has() -> None:
    assert 0 < free_memory() <= psutil.virtual_memory().total


@given(st.integers(0, 1 << 40), st.integers(0, 1 << 40))
def test_a_piece_fits_into_the_share_of_a_worker_unless_there_is_next_to_nothing(size: int, free: int) -> None:
    pieces = pieces_for(size, free)
    assert 1 <= pieces <= MAX_PIECES
    if 1 < pieces < MAX_PIECES:
        assert size * NEED_COPIES / pieces <= free * SHARE + 1
        assert size * NEED_COPIES > free * SHARE


def test_a_part_is_cut_by_its_rows_and_what_was_asked_for_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "pieces_for", lambda size: 4)
    part = Part(id="0", file="f", rows=1000, bytes=8 << 20)
    assert worker._careful(None, part, None) == (Care(block_rows=250), 4)
    asked = Care(block_rows=10, skip={0: frozenset({1})}, why="it kills")
    assert worker._careful(asked, part, None) == (asked, 4)
    assert worker._careful(None, part, pa.table({"x": [1, 2]})) == (Care(block_rows=1), 4)
    unknown = Part(id="0", file="f", rows=None, bytes=8 << 20)
    assert worker._careful(None, unknown, None) == (None, 1)
