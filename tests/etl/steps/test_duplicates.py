import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.blocks.profile import Profile
from raypipe.config import ProcessingConfig
from raypipe.etl.steps import DropDuplicates
from raypipe.etl.steps.duplicates import duplicate_finder, fit_drop_duplicates
from raypipe.etl.steps.step import Evidence
from tests.hostile import tables
from tests.laws import PART, assert_stage_laws, numbered, pieces_of


def fitted(parts: dict[str, pa.Table], **config) -> DropDuplicates | None:
    finder = duplicate_finder(trim=True)
    state = finder.partial(pa.table({"a": pa.array([], pa.int64())}), "00000")
    for part, table in reversed(parts.items()):
        state = finder.merge(state, finder.partial(table, part))
    settings_ = ProcessingConfig(drop_duplicates=True, **config)
    return fit_drop_duplicates(
        Evidence(settings_, Profile(rows=0, columns=()), results={finder.name: finder.finish(state)})
    )


@given(table=tables(kinds=("bool", "text", "null"), max_rows=14, max_columns=2), middle=st.integers(0, 14))
@settings(max_examples=60, deadline=None)
def test_the_first_of_equal_rows_stays_wherever_parts_and_blocks_begin(table, middle):
    middle = min(middle, table.num_rows)
    pieces = [numbered(piece) for piece in pieces_of(table, [0, middle, table.num_rows])]
    parts = dict(zip(("00000", "00001"), pieces, strict=True))
    step = fitted(parts)
    kept = []
    for part, piece in parts.items():
        for block in pieces_of(piece, [0, piece.num_rows // 2, piece.num_rows]):
            left = step.apply(block, part) if step else block
            kept += [(part, row) for row in left["__row__"].to_pylist()]
    seen, wanted = set(), []
    for part, piece in parts.items():
        for row in piece.to_pylist():
            number = row.pop("__row__")
            bare = [v.strip("\t \u00a0\u3000") or None if isinstance(v, str) else v for v in row.values()]
            if repr(bare) not in seen:
                wanted.append((part, number))
            seen.add(repr(bare))
    assert kept == wanted


@given(table=tables(kinds=("bool", "text"), max_columns=1))
@settings(max_examples=25, deadline=None)
def test_drop_duplicates_keeps_the_laws_of_a_stage(table):
    step = fitted({PART: numbered(table)})
    if step is not None:
        assert_stage_laws(step, table)


def test_without_repeats_or_without_the_setting_there_is_no_step():
    assert fitted({PART: numbered(pa.table({"a": [1, 2]}))}) is None
    assert fit_drop_duplicates(Evidence(ProcessingConfig(), Profile(rows=0, columns=()))) is None


def test_what_it_says_names_the_first_rows():
    step = fitted({PART: numbered(pa.table({"a": [1, 1, 1]}))})
    report = step.describe({}, 2)
    assert report.rows_dropped == 2
    assert report.detail == {"rows_compared": 3, "repeats_found": 2, "first": [f"row 1 of {PART}", f"row 2 of {PART}"]}
