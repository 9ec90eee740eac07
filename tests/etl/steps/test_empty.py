import pyarrow as pa
from hypothesis import given, settings

from raypipe.blocks.table import finish, summarise
from raypipe.config import ProcessingConfig
from raypipe.etl.steps import DropEmptyColumns, DropEmptyRows
from raypipe.etl.steps.empty import fit_drop_empty_columns, fit_drop_empty_rows
from raypipe.etl.steps.step import Evidence
from tests.hostile import tables
from tests.laws import assert_stage_laws, numbered


def evidence(table: pa.Table, target=None, time_column=None, **config) -> Evidence:
    return Evidence(ProcessingConfig(**config), finish(summarise(table)), target, time_column)


@given(table=tables())
@settings(max_examples=60, deadline=None)
def test_exactly_the_rows_without_any_value_go(table):
    kept = DropEmptyRows().apply(numbered(table))["__row__"].to_pylist()
    assert kept == [n for n, row in enumerate(table.to_pylist()) if any(v is not None for v in row.values())]


@given(table=tables(max_columns=4))
@settings(max_examples=30, deadline=None)
def test_both_steps_keep_the_laws_of_a_stage(table):
    assert_stage_laws(DropEmptyRows(), table)
    if table.num_columns > 1:
        assert_stage_laws(DropEmptyColumns(columns=(table.column_names[-1],)), table)


@given(table=tables())
@settings(max_examples=60, deadline=None)
def test_leaving_the_step_out_never_leaves_an_empty_row_in(table):
    found = evidence(table, trim_text=False)
    if fit_drop_empty_rows(found, table.column_names) is None:
        assert DropEmptyRows().apply(table).num_rows == table.num_rows


def test_columns_of_null_or_blank_text_go_but_never_the_target_or_the_time_column():
    blank = pa.array(["", " ", None], pa.large_string())
    table = pa.table({"a": [1, 2, 3], "n": pa.nulls(3), "b": blank, "y": pa.nulls(3), "t": blank})
    assert fit_drop_empty_columns(evidence(table, "y", "t")) == DropEmptyColumns(columns=("n", "b"))
    assert fit_drop_empty_columns(evidence(table, "y", "t", trim_text=False)) == DropEmptyColumns(columns=("n",))
    assert fit_drop_empty_columns(evidence(table, "y", "t", drop_empty_columns=False)) is None


def test_a_table_of_empty_columns_keeps_them_and_loses_its_rows():
    table = pa.table({"a": pa.nulls(3), "b": pa.nulls(3, pa.int64())})
    found = evidence(table)
    assert fit_drop_empty_columns(found) is None
    step = fit_drop_empty_rows(found, ["a", "b"])
    assert step is not None
    assert step.apply(table).num_rows == 0


def test_a_table_without_rows_has_no_empty_columns():
    found = evidence(pa.table({"a": pa.array([], pa.int64())}))
    assert fit_drop_empty_columns(found) is None
    assert fit_drop_empty_rows(found, ["a"]) is None


def test_a_row_of_blanks_is_looked_for_though_the_first_pass_saw_no_row_of_nulls():
    table = pa.table({"a": pa.array([" ", "x"], pa.large_string()), "b": pa.array([None, 1])})
    assert fit_drop_empty_rows(evidence(table), ["a", "b"]) == DropEmptyRows()
    assert fit_drop_empty_rows(evidence(table, trim_text=False), ["a", "b"]) is None
    assert fit_drop_empty_rows(evidence(table, drop_empty_rows=False), ["a", "b"]) is None
