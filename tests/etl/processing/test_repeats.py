import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.blocks.frames import without_row_numbers
from raypipe.errors import MissingColumnsError
from raypipe.etl.processing.repeats import FindRepeats, Repeats
from tests.hostile import tables
from tests.laws import PART, assert_reduce_laws, numbered, pieces_of

WHITE = " \t\n\u00a0\u3000"


def repeats_by_hand(parts: dict[str, pa.Table], trim: bool) -> list[tuple[str, int]]:
    """What `FindRepeats` should mark, told by comparing rows as Python values."""
    seen: set[str] = set()
    marked = []
    for part in sorted(parts):
        for row, values in enumerate(without_row_numbers(parts[part]).to_pylist()):
            key = repr([clean(value, trim) for value in values.values()])
            if key in seen:
                marked.append((part, row))
            seen.add(key)
    return marked


def clean(value: object, trim: bool) -> object:
    if isinstance(value, str) and trim:
        return value.strip(WHITE) or None
    return 0.0 if isinstance(value, float) and value == 0 else value


def marked_rows(found: Repeats, parts: dict[str, pa.Table]) -> list[tuple[str, int]]:
    masks = {part: found.mask(part, np.arange(table.num_rows)) for part, table in sorted(parts.items())}
    return [(part, int(row)) for part, mask in masks.items() for row in np.flatnonzero(mask)]


@given(table=tables(max_rows=10, max_columns=3), trim=st.booleans(), data=st.data())
@settings(max_examples=80, deadline=None)
def test_marks_every_row_that_equals_an_earlier_one_of_any_part(table, trim, data):
    cut = sorted([0, *data.draw(st.lists(st.integers(0, table.num_rows), max_size=2)), table.num_rows])
    parts = {f"{n:05d}": numbered(piece) for n, piece in enumerate(pieces_of(table, cut))}
    stage = FindRepeats(trim=trim)
    partials = [
        stage.partial(piece, part)
        for part, whole in parts.items()
        for piece in pieces_of(whole, [0, whole.num_rows // 2, whole.num_rows])
    ]
    order = data.draw(st.permutations(partials))
    state = order[0]
    for partial in order[1:]:
        state = stage.merge(state, partial)
    found = stage.finish(state)
    by_hand = repeats_by_hand(parts, trim)
    assert marked_rows(found, parts) == by_hand
    assert found.repeats == len(by_hand)
    assert list(found.first) == by_hand[:5]


@given(table=tables())
@settings(max_examples=25, deadline=None)
def test_keeps_the_laws_of_a_reduce_stage(table):
    assert_reduce_laws(FindRepeats(), table)
    assert_reduce_laws(FindRepeats(label="key", columns=(table.column_names[0],), skip_nulls=True), table)


def test_nulls_do_not_count_where_they_are_to_be_skipped():
    table = numbered(pa.table({"a": [1, None, None, 1], "b": [1, 1, 1, None]}))
    stage = FindRepeats(label="key", columns=("a", "b"), skip_nulls=True)
    found = stage.finish(stage.partial(table, PART))
    assert (found.rows, found.repeats) == (1, 0)
    alone = FindRepeats(label="key", columns=("a",), skip_nulls=True)
    assert alone.finish(alone.partial(table, PART)).first == ((PART, 3),)


def test_values_that_move_between_columns_make_a_different_row():
    table = numbered(pa.table({"a": ["x", "y", None], "b": ["y", "x", "x"]}))
    stage = FindRepeats()
    assert stage.finish(stage.partial(table, PART)).repeats == 0


def test_row_numbers_with_gaps_are_marked_under_their_own_number():
    table = pa.table({"a": [1, 1, 2, 1], "__row__": pa.array([3, 10, 11, 1000], pa.int64())})
    found = FindRepeats().finish(FindRepeats().partial(table, PART))
    assert found.mask(PART, np.array([3, 10, 11, 999, 1000, 5000])).tolist() == [False, True, False, False, True, False]
    assert not found.mask("another part", np.array([3, 10])).any()


def test_no_collision_among_a_million_rows_of_small_numbers():
    n = 1_000_000
    table = pa.table({"a": np.arange(n) // 1000, "b": np.arange(n) % 1000})
    stage = FindRepeats()
    assert stage.finish(stage.partial(table, PART)).repeats == 0


def test_the_result_is_small_even_when_all_rows_repeat():
    table = pa.table({"a": np.zeros(1_000_000)})
    found = FindRepeats().finish(FindRepeats().partial(table, PART))
    assert found.repeats == 999_999
    assert sum(map(len, found.marks.values())) < 10_000


def test_hashes_agree_between_processes():
    code = (
        "import pyarrow as pa; from raypipe.etl.processing.repeats import FindRepeats;"
        "print(FindRepeats().partial(pa.table({'a': ['x', None], 'b': [1.5, None]}), 'p').entries[0][2].tolist())"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        ).stdout
        for _ in range(2)
    }
    assert len(runs) == 1


def test_a_key_that_is_not_there_is_reported_before_any_block_is_read():
    stage = FindRepeats(label="primary_key", columns=("idd",))
    with pytest.raises(MissingColumnsError, match="FindRepeats:primary_key: input has no column 'idd'.*mean 'id'"):
        stage.output_schema(pa.schema([("id", pa.int64())]))
