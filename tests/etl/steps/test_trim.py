import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.blocks.profile import ColumnProfile, Profile, TextSummary
from raypipe.config import ProcessingConfig
from raypipe.errors import MissingColumnsError
from raypipe.etl.steps import TrimText
from raypipe.etl.steps.step import Evidence
from raypipe.etl.steps.trim import fit_trim_text
from tests.hostile import columns
from tests.laws import assert_stage_laws, examples

WHITE = "\t\n\x0b\x0c\r \x85\u00a0\u1680\u2000\u2003\u2028\u2029\u202f\u205f\u3000"
texts = st.none() | st.text(alphabet=WHITE + "ab\u200b😀", max_size=6)


@given(cells=st.lists(texts, max_size=12))
@settings(max_examples=60, deadline=None)
def test_white_space_goes_from_both_ends_and_nothing_else_changes(cells):
    block = pa.table({"^t$": pa.array(cells, pa.large_string())})
    sifted = TrimText(columns=("^t$",)).apply(block)
    wanted = [(cell.strip(WHITE) or None) if cell is not None else None for cell in cells]
    assert sifted.block["^t$"].to_pylist() == wanted
    changed = sum(a != b for a, b in zip(cells, wanted, strict=True))
    assert sum(sifted.counts.values()) == changed


@given(a=columns("text", 8), b=columns("text", 8), other=columns("float64", 8))
@settings(max_examples=examples(12), deadline=None)
def test_trim_text_keeps_the_laws_of_a_stage(a, b, other):
    assert_stage_laws(TrimText(columns=("*", "")), pa.table([a, other, b], names=["*", "n", ""]))


def test_text_that_is_not_large_keeps_its_type():
    block = pa.table({"t": pa.array([" a", None])})
    assert TrimText(columns=("t",)).apply(block).block.schema == block.schema


def test_a_column_that_is_not_there_is_reported_before_any_block_is_read():
    with pytest.raises(MissingColumnsError, match=r"TrimText: input has no column 'nmae'.*Did you mean 'name'"):
        TrimText(columns=("nmae",)).output_schema(pa.schema([("name", pa.large_string())]))


def fitted(text: TextSummary | None, **config):
    column = ColumnProfile(name="t", dtype="large_string", kind="text", rows=3, nulls=0, text=text)
    evidence = Evidence(ProcessingConfig(**config), Profile(rows=3, columns=(column,)))
    return fit_trim_text(pa.schema([("t", pa.large_string())]), evidence)


def test_only_columns_with_white_space_to_strip_are_trimmed():
    assert fitted(TextSummary(empty=0, blank=0, padded=0)) is None
    for text in (
        TextSummary(empty=0, blank=0, padded=1),
        TextSummary(empty=0, blank=1, padded=0),
        TextSummary(empty=1, blank=1, padded=0),
        None,
    ):
        assert fitted(text) == TrimText(columns=("t",))
    assert fitted(TextSummary(empty=1, blank=1, padded=1), trim_text=False) is None
