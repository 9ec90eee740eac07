import datetime as dt
import json
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from raypipe.errors import ConfigError
from raypipe.etl.rules import ColumnSchema, DataSchema
from raypipe.etl.rules.dtypes import DTYPES, canonical_dtype, dtype_of, satisfies
from tests.hostile import NAMES

scalars = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | st.text()
column_schemas = st.builds(
    ColumnSchema,
    name=st.sampled_from(NAMES),
    dtype=st.none() | st.sampled_from(DTYPES),
    required=st.booleans(),
    nullable=st.booleans(),
    unique=st.booleans(),
    allowed_values=st.none() | st.lists(scalars | st.booleans(), min_size=1, max_size=4).map(tuple),
    description=st.text(max_size=20),
)
schemas = st.lists(column_schemas, min_size=1, max_size=4, unique_by=lambda column: column.name).flatmap(
    lambda columns: st.builds(
        DataSchema,
        name=st.text(max_size=10),
        columns=st.just(tuple(columns)),
        primary_key=st.sampled_from([(), (columns[0].name,), tuple(column.name for column in columns)]),
    )
)


@given(schema=schemas, suffix=st.sampled_from([".yaml", ".yml", ".json"]))
@settings(max_examples=40, deadline=None)
def test_a_schema_that_was_saved_loads_as_the_same_value(schema, suffix, tmp_path_factory):
    path = tmp_path_factory.mktemp("schema") / f"people{suffix}"
    schema.save(path)
    assert DataSchema.load(path) == schema


def test_dates_and_decimals_of_yaml_and_python_become_text():
    column = ColumnSchema(name="d", min_value=dt.date(2024, 1, 1), max_value="2024-12-31")
    assert column.min_value == "2024-01-01"
    assert ColumnSchema(name="d", allowed_values=[Decimal("1.50")]).allowed_values == ("1.50",)


def write(tmp_path, text, name="s.yaml"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("name: p\ncolumns:\n- {name: age, min_valu: 1}", r"s\.yaml: column 'age', field 'min_valu'.*mean 'min_value'"),
        (
            "name: p\ncolumns:\n- {name: age, dtype: inte64}",
            r"column 'age', field 'dtype': unknown dtype 'inte64'.*mean",
        ),
        ("name: p\ncolumns:\n- {dtype: text}", r"column number 1, field 'name': is missing"),
        ("nam: p\ncolumns:\n- {name: a}", r"field 'nam': there is no such field.*Did you mean 'name'"),
        ("name: p\ncolumns: []", r"field 'columns'.*at least 1"),
        ("name: p\ncolumns:\n- {name: a}\n- {name: a}", r"'a' is declared twice"),
        ("name: p\nprimary_key: idd\ncolumns:\n- {name: id}", r"primary_key: 'idd' is no column"),
        ("name: p\ncolumns:\n- {name: a, regex_pattern: '(x'}", r"column 'a', field 'regex_pattern'.*unclosed group"),
        ("name: p\ncolumns:\n- {name: a, regex_pattern: '(?<!x)y'}", r"look-around"),
        ("name: p\ncolumns:\n- {name: a, min_value: 3, max_value: 2}", r"column 'a': min_value 3 is above max_value 2"),
        ("name: p\ncolumns:\n- {name: a, min_value: .nan}", r"column 'a', field 'min_value'"),
        ("name: p\ncolumns:\n- {name: a, allowed_values: []}", r"allowed_values is empty"),
        ("name: p\ncolumns:\n- {name: a, dtype: int64, regex_pattern: x}", r"regex_pattern needs dtype text"),
        ("name: p\ncolumns:\n- {name: a, dtype: text, min_value: 1}", r"need a dtype of numbers or times"),
        ("name: p\nname: q\ncolumns:\n- {name: a}", r"line 2: 'name' stands twice"),
        ("- 1", r"wanted the fields name and columns, got \[1\]"),
        ("a: [", r"s\.yaml: line 1, column 5: expected the node content"),
        ("!!python/object/apply:os.getcwd []", r"could not determine a constructor"),
    ],
)
def test_a_mistake_in_a_file_is_told_with_file_column_and_field(tmp_path, text, match):
    with pytest.raises(ConfigError, match=match):
        DataSchema.load(write(tmp_path, text))


def test_a_json_file_with_a_repeated_field_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"s\.json: 'name' stands twice"):
        DataSchema.load(write(tmp_path, '{"name": "a", "name": "b"}', "s.json"))


def test_a_file_that_is_not_there_or_of_another_kind_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"no\.yaml"):
        DataSchema.load(tmp_path / "no.yaml")
    with pytest.raises(ConfigError, match=r"ends in \.yaml, \.yml or \.json"):
        DataSchema.load(write(tmp_path, "x", "s.toml"))
    (tmp_path / "s.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"s\.yaml.*utf-8"):
        DataSchema.load(tmp_path / "s.yaml")


def test_an_unquoted_no_in_yaml_is_told_as_the_boolean_it_became(tmp_path):
    schema = DataSchema.load(write(tmp_path, "name: c\ncolumns:\n- {name: country, allowed_values: [SE, NO]}"))
    (outcome,) = schema.check_against(pa.schema([("country", pa.large_string())]))
    assert not outcome.passed
    assert "False is a boolean" in outcome.message
    assert "put quotes around" in outcome.message


@pytest.mark.parametrize(
    ("kind", "dtype", "fits"),
    [
        (pa.int32(), "int64", True),
        (pa.int64(), "int32", False),
        (pa.uint64(), "int64", False),
        (pa.int64(), "float64", True),
        (pa.float64(), "int64", False),
        (pa.float32(), "float64", True),
        (pa.float64(), "decimal", False),
        (pa.date32(), "datetime", True),
        (pa.timestamp("us"), "date", False),
        (pa.large_string(), "category", True),
        (pa.dictionary(pa.int32(), pa.large_string()), "text", True),
        (pa.large_string(), "boolean", False),
        (pa.null(), "int64", True),
        (pa.large_list(pa.int64()), "int64", False),
    ],
)
def test_a_narrower_type_satisfies_a_wider_one_and_never_the_reverse(kind, dtype, fits):
    assert satisfies(kind, dtype) is fits


@given(dtype=st.sampled_from(DTYPES))
def test_every_allowed_name_is_its_own_canonical_name(dtype):
    assert canonical_dtype(dtype.upper()) == dtype


def test_a_schema_taken_from_a_table_finds_no_fault_with_it():
    arrow = pa.schema(
        [
            ("i", pa.int16()),
            ("t", pa.large_string()),
            ("n", pa.null()),
            ("l", pa.large_list(pa.int8())),
            ("b", pa.bool_()),
        ]
    )
    schema = DataSchema.from_arrow(arrow)
    assert [column.dtype for column in schema.columns] == ["int16", "text", None, None, "boolean"]
    assert all(outcome.passed for outcome in schema.check_against(arrow, strict=True))
    assert dtype_of(pa.float64()) == "float64"


def test_columns_missing_unexpected_and_of_another_type_are_known_before_reading():
    schema = DataSchema(
        name="p",
        columns=(
            ColumnSchema(name="id", dtype="int64"),
            ColumnSchema(name="email", dtype="text"),
            ColumnSchema(name="note", required=False),
        ),
    )
    arrow = pa.schema([("id", pa.large_string()), ("emial", pa.large_string()), ("__row__", pa.int64())])
    by_rule = {outcome.rule: outcome for outcome in schema.check_against(arrow)}
    assert by_rule["dtype"].message == "'id': holds text, wanted int64"
    assert "Did you mean 'emial'?" in by_rule["required_column"].message
    assert by_rule["unexpected_column"].severity == "warning"
    assert len(by_rule) == 3
    strict = {outcome.rule: outcome for outcome in schema.check_against(arrow, strict=True)}
    assert strict["unexpected_column"].severity == "error"


@pytest.mark.parametrize(
    ("column", "kind", "match"),
    [
        (ColumnSchema(name="a", min_value=1), pa.large_string(), "no smallest or largest"),
        (ColumnSchema(name="a", min_value="2024-01-01"), pa.int64(), "is no whole number"),
        (ColumnSchema(name="a", min_value="yesterday"), pa.date32(), "is no date"),
        (ColumnSchema(name="a", max_value="2024-01-01T00:00:00Z"), pa.timestamp("us"), "has a time zone"),
        (ColumnSchema(name="a", allowed_values=(1.5,)), pa.int64(), "no whole number"),
        (ColumnSchema(name="a", allowed_values=(300,)), pa.int8(), "outside the range"),
        (ColumnSchema(name="a", allowed_values=(1,)), pa.large_string(), "put quotes around it"),
        (ColumnSchema(name="a", allowed_values=("1.234",)), pa.decimal128(10, 2), "more digits"),
        (ColumnSchema(name="a", allowed_values=(1,)), pa.bool_(), "neither true nor false"),
        (ColumnSchema(name="a", regex_pattern="x"), pa.int64(), "a pattern needs text"),
    ],
)
def test_a_rule_that_cannot_hold_on_its_columns_type_is_an_error_of_its_own(column, kind, match):
    schema = DataSchema(name="p", columns=(column,))
    failed = [outcome for outcome in schema.check_against(pa.schema([("a", kind)])) if not outcome.passed]
    assert len(failed) == 1
    assert match in failed[0].message
    assert failed[0].rule in ("min_value", "max_value", "allowed_values", "regex_pattern")


def test_declared_types_are_handed_to_the_reader_in_its_words():
    columns = [
        ColumnSchema(name=dtype, dtype=dtype) for dtype in ("text", "integer", "number", "date", "uint8", "time")
    ]
    assert DataSchema(name="p", columns=tuple(columns)).read_dtypes() == {
        "text": "text",
        "integer": "int64",
        "number": "float64",
        "date": "date",
        "uint8": "int64",
    }


def test_a_schema_never_changes_and_refuses_unknown_fields():
    column = ColumnSchema(name="a")
    with pytest.raises(ValidationError, match="frozen"):
        column.name = "b"
    with pytest.raises(ValidationError, match="Extra inputs"):
        ColumnSchema(name="a", nulable=True)
    with pytest.raises(ValidationError, match="declared twice"):
        DataSchema(name="p", columns=(column, column))


def test_what_other_tools_keep_in_the_file_survives(tmp_path):
    raw = {"name": "p", "columns": [{"name": "a"}], "foreign_keys": [{"a": "other.a"}], "indexes": ["a"]}
    path = write(tmp_path, json.dumps(raw), "s.json")
    DataSchema.load(path).save(path)
    assert json.loads(path.read_text(encoding="utf-8"))["foreign_keys"] == [{"a": "other.a"}]
