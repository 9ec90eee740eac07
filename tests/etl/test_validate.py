import pyarrow as pa
import pytest
from hypothesis import given, settings

from raypipe.blocks.profile import ColumnProfile, DistinctCount, Profile
from raypipe.blocks.table import finish, summarise
from raypipe.config import ValidationConfig
from raypipe.errors import MissingColumnsError
from raypipe.etl.rules import ColumnSchema, DataSchema
from raypipe.etl.validate import DataValidator
from tests.hostile import tables
from tests.laws import PART, assert_reduce_laws, numbered

EMPTY = Profile(rows=0, columns=())


def profile_of(table: pa.Table) -> Profile:
    return finish(summarise(table))


def validator(*columns: ColumnSchema, strict: bool = False, **schema) -> DataValidator:
    return DataValidator(ValidationConfig(), DataSchema(name="s", columns=columns, **schema), strict)


@given(table=tables())
@settings(max_examples=60, deadline=None)
def test_a_table_keeps_to_the_schema_taken_from_it(table):
    schema = DataSchema.from_arrow(table.schema)
    result = DataValidator(ValidationConfig(), schema, strict=True).validate(table, profile_of(table))
    assert {outcome.rule for outcome in result.outcomes if not outcome.passed and outcome.severity == "error"} <= {
        "empty_column"
    }
    assert result.is_valid is (not result.errors)
    assert result.schema_name == "inferred"
    assert (result.rows_validated, result.columns_validated) == (table.num_rows, table.num_columns)


@given(table=tables())
@settings(max_examples=40, deadline=None)
def test_without_a_schema_only_the_quality_rules_speak(table):
    judge = DataValidator(ValidationConfig())
    assert judge.row_stage() is None
    assert judge.reduce_stages(table.schema) == ()
    result = judge.validate(table, profile_of(table))
    assert result.schema_name is None
    rules = {"duplicate_rows", "empty_column", "missing_values", "unique_text", "few_categories", "outliers"}
    assert {outcome.rule for outcome in result.outcomes} <= rules
    assert set(result.errors) == {o.message for o in result.outcomes if not o.passed and o.severity == "error"}


def test_rows_at_fault_are_an_error_with_their_share_of_all_rows_checked():
    table = pa.table({"a": [1, 2, 300, None]})
    judge = validator(ColumnSchema(name="a", max_value=100, nullable=False))
    result = judge.validate(table, profile_of(table.slice(0, 2)))
    assert result.errors == (
        "'a': 1 row of 4 (25 %) set aside; wanted no null",
        "'a': 1 row of 4 (25 %) set aside; wanted at most 100",
    )
    assert not result.is_valid
    assert result.rows_validated == 4
    assert result.validation_details["rows_set_aside"] == 2
    assert result.validation_details["rules"]["max_value"] == {"checked": 1, "failed": 1}


def test_without_quarantine_rows_at_fault_are_said_to_be_kept():
    table = pa.table({"a": [300]})
    schema = DataSchema(name="s", columns=(ColumnSchema(name="a", max_value=100),))
    judge = DataValidator(ValidationConfig(quarantine=False), schema)
    assert judge.validate(table, profile_of(table)).errors == (
        "'a': 1 row of 1 (100 %) at fault, and kept; wanted at most 100",
    )


def test_a_repeated_key_is_an_error_that_names_the_rows():
    table = pa.table({"a": [1, 1, 2, None], "b": ["x", "x", "x", "x"]})
    judge = validator(ColumnSchema(name="a"), ColumnSchema(name="b"), primary_key=("a", "b"))
    result = judge.validate(table, profile_of(table))
    assert result.errors == (
        "'a': 1 row of 4 (25 %) set aside; wanted no null",
        "primary key 'a' + 'b': 1 row of 3 (33.33 %) repeat an earlier value: row 1 of 'table'; wanted no value twice",
    )
    assert [o.rule for o in result.outcomes if o.rule.startswith("duplicate_c")] == ["duplicate_composite_key"]


def test_a_key_is_judged_across_parts_and_cuts():
    judge = validator(ColumnSchema(name="a", unique=True), ColumnSchema(name="k"), primary_key="k")
    table = pa.table({"a": [1, 2, None, None, 2], "k": [1, 2, 3, 4, 5]})
    for stage in judge.reduce_stages(table.schema):
        assert_reduce_laws(stage, table)
    stages = {stage.name: stage for stage in judge.reduce_stages(table.schema)}
    assert list(stages) == ["FindRepeats:primary_key", "FindRepeats:unique:a"]
    state = stages["FindRepeats:unique:a"]
    found = state.finish(
        state.merge(state.partial(numbered(table), "00001"), state.partial(numbered(table.slice(0, 1)), "00000"))
    )
    assert found.first == (("00001", 0), ("00001", 4))
    assert PART not in found.marks


def unique_outcome(count: int, exact: bool, error: float, present: int):
    column = ColumnProfile(
        name="a",
        dtype="int64",
        kind="number",
        rows=present,
        nulls=0,
        distinct=DistinctCount(count=count, exact=exact, relative_error=error),
    )
    result = validator(ColumnSchema(name="a", unique=True)).verdict(Profile(rows=present, columns=(column,)), {}, {})
    return next(outcome for outcome in result.outcomes if outcome.rule == "unique")


def test_without_the_stages_uniqueness_is_told_from_the_distinct_count_as_far_as_it_goes():
    assert unique_outcome(10, True, 0.0, 10).passed
    exact = unique_outcome(9, True, 0.0, 10)
    assert (exact.passed, exact.severity, exact.failing_rows) == (False, "error", 1)
    open_question = unique_outcome(1000, False, 0.01, 1010)
    assert (open_question.passed, open_question.severity, open_question.failing_rows) == (True, "warning", None)
    assert "about 1,000 different values (± 2.576 %)" in open_question.message
    assert "cannot be ruled out" in open_question.message
    certain = unique_outcome(500, False, 0.01, 1010)
    assert (certain.passed, certain.severity) == (False, "error")


def test_a_composite_key_without_its_stage_is_not_judged_and_said_so():
    judge = validator(ColumnSchema(name="a"), ColumnSchema(name="b"), primary_key=("a", "b"))
    table = pa.table({"a": [1], "b": [1]})
    result = judge.verdict(profile_of(table), {}, {"file": "x.csv"}, table.schema)
    assert result.validation_details["not_measured"]["duplicate_composite_key:a, b"].startswith("the stage FindRepeats")
    assert result.validation_details["source"] == {"file": "x.csv"}
    assert judge.verdict(profile_of(table), {}, {}).validation_details["not_measured"]["dtype"]


def test_a_missing_key_column_is_an_error_of_the_schema_not_of_the_engine():
    judge = validator(ColumnSchema(name="id"), primary_key="id")
    table = pa.table({"idd": [1]})
    assert judge.reduce_stages(table.schema) == ()
    with pytest.raises(MissingColumnsError, match="no column 'id'"):
        judge.reduce_stages()[0].output_schema(table.schema)
    result = judge.validate(table, profile_of(table))
    assert len(result.errors) == 1
    assert "'id': the required column is missing" in result.errors[0]
    assert "Did you mean 'idd'?" in result.errors[0]


def test_an_undeclared_column_is_an_error_only_when_strict():
    table = pa.table({"a": [1], "extra": [1]})
    assert validator(ColumnSchema(name="a")).validate(table, profile_of(table)).is_valid
    assert not validator(ColumnSchema(name="a"), strict=True).validate(table, profile_of(table)).is_valid


def test_a_verdict_on_nothing_finds_nothing_and_says_what_it_could_not_measure():
    result = DataValidator(ValidationConfig()).verdict(EMPTY, {}, {})
    assert result.is_valid
    assert result.outcomes == ()
    assert "the table has no rows" in result.validation_details["not_measured"]["empty_column"]


def test_the_result_survives_json():
    table = pa.table({"a": [1, -1]})
    result = validator(ColumnSchema(name="a", min_value=0, unique=True)).validate(table, profile_of(table))
    assert type(result).model_validate_json(result.model_dump_json()) == result
