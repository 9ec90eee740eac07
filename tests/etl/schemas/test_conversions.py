"""Every conversion gives back what it took, and what it cannot say it lists."""

from __future__ import annotations

import datetime as dt
import importlib.util
import json
import sys
import types
from typing import Literal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError

from raypipe.blocks.frames import from_polars
from raypipe.errors import ConfigError, MissingDependencyError
from raypipe.etl.rules import CheckRows, ColumnSchema, DataSchema
from raypipe.etl.schemas import (
    from_arrow,
    from_json_schema,
    from_odcs,
    from_pandera,
    from_pydantic,
    pandera_source,
    pydantic_source,
    to_arrow,
    to_json_schema,
    to_odcs,
    to_pandera,
    to_pydantic,
)  # fmt: skip
from raypipe.etl.schemas.arrow import ARROW_TYPES
from tests.etl.schemas.strategies import VALUES, schemas

few = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@few
@given(schemas())
def test_pyarrow_and_a_parquet_file_give_the_schema_back(tmp_path_factory, schema):
    made = to_arrow(schema)
    assert from_arrow(made.value).value == schema
    if all(column.dtype != "decimal" for column in schema.columns) and len(schema.columns) < 4:
        path = tmp_path_factory.mktemp("p") / "t.parquet"
        pq.write_table(made.value.empty_table(), path)
        assert from_arrow(pq.read_schema(path)).value == schema


@few
@given(schemas())
def test_json_schema_gives_the_schema_back_through_its_text(schema):
    jsonschema = pytest.importorskip("jsonschema")
    document = json.loads(json.dumps(to_json_schema(schema).value))
    jsonschema.Draft202012Validator.check_schema(document)
    assert from_json_schema(document).value == schema


@few
@given(schemas())
def test_pydantic_gives_the_schema_back(schema):
    assert from_pydantic(to_pydantic(schema).value).value == schema


@few
@given(schemas())
def test_pandera_gives_the_schema_back(schema):
    pytest.importorskip("pandera")
    assert from_pandera(to_pandera(schema).value).value == schema


@few
@given(schemas())
def test_a_data_contract_gives_the_schema_back_through_its_text(schema):
    contract = yaml.safe_load(yaml.safe_dump(to_odcs(schema).value, allow_unicode=True))
    assert from_odcs(contract).value == schema


KNOWN = tuple(VALUES)


def keeps(column: ColumnSchema, value: object) -> bool:
    """Whether one value passes the row rules of the schema itself."""
    schema = DataSchema(name="t", columns=(column,))
    kind = ARROW_TYPES["integer" if column.dtype and "int" in column.dtype else column.dtype]
    if column.dtype and "int" in column.dtype and column.dtype != "integer" and value is not None:
        from raypipe.etl.rules.dtypes import integer_range

        low, high = integer_range(column.dtype)
        if not low <= value <= high:
            return False
    kind = pa.large_string() if pa.types.is_dictionary(kind) else kind
    stage = CheckRows.of(schema)
    return stage is None or stage.apply(pa.table({column.name: pa.array([value], kind)})).block.num_rows == 1


@st.composite
def cases(draw):
    schema = draw(schemas(dtypes=KNOWN, names=("id", "n", "t")))
    column = schema.columns[0]
    return column, draw(st.sampled_from((None, *VALUES[column.dtype])))


@settings(max_examples=80, deadline=None)
@given(cases())
def test_a_validator_of_json_schema_takes_the_values_that_the_schema_takes(case):
    jsonschema = pytest.importorskip("jsonschema")
    column, value = case
    if column.dtype == "date":  # bounds of dates are listed as not mapped
        column = column.replace(min_value=None, max_value=None)
    document = to_json_schema(DataSchema(name="t", columns=(column,))).value
    row = {column.name: value.isoformat() if isinstance(value, dt.date) else value}
    assert jsonschema.Draft202012Validator(document).is_valid(row) == keeps(column, value)


@settings(max_examples=120, deadline=None)
@given(cases())
def test_a_pydantic_model_takes_the_values_that_the_schema_takes(case):
    column, value = case
    if column.allowed_values is not None:  # bounds beside values are listed as not mapped
        column = column.replace(min_value=None, max_value=None, regex_pattern=None)
    if column.allowed_values is not None and column.dtype == "date":
        column = column.replace(allowed_values=None)
    made = to_pydantic(DataSchema(name="t", columns=(column,)))
    try:
        made.value.model_validate({column.name: value})
        taken = True
    except ValidationError:
        taken = False
    assert taken == keeps(column, value)


@settings(max_examples=60, deadline=None)
@given(cases())
def test_pandera_takes_the_values_that_the_schema_takes(case):
    pytest.importorskip("pandera")
    import pandera.errors

    column, value = case
    column = (
        column.replace(allowed_values=None, unique=False) if column.dtype == "date" else column.replace(unique=False)
    )
    if column.dtype == "category" or (value is not None and not fits_type(column, value)):
        return
    made = to_pandera(DataSchema(name="t", columns=(column,))).value
    frame = pl.DataFrame({column.name: pl.Series([value], dtype=made.columns[column.name].dtype.type)})
    try:
        made.validate(frame)
        taken = True
    except pandera.errors.SchemaError:
        taken = False
    assert taken == keeps(column, value)


def fits_type(column: ColumnSchema, value: object) -> bool:
    try:
        from_polars(pl.DataFrame({"x": [value]})).cast(pa.schema([("x", ARROW_TYPES[column.dtype])]))
    except pa.ArrowInvalid:
        return False
    return True


@few
@given(schemas(names=("id", "class", "a b", "2x", "_y", "copy")))
def test_pydantic_and_pandera_sources_are_modules_that_say_the_same(schema):
    module = types.ModuleType("made")
    exec(compile(pydantic_source(schema).value, "made.py", "exec", dont_inherit=True), module.__dict__)
    (model,) = [
        v for v in vars(module).values() if isinstance(v, type) and issubclass(v, BaseModel) and v is not BaseModel
    ]
    live = to_pydantic(schema).value
    assert plain(model.model_json_schema()) == plain(live.model_json_schema())
    if importlib.util.find_spec("pandera"):
        exec(compile(pandera_source(schema).value, "made.py", "exec", dont_inherit=True), module.__dict__)
        again = from_pandera(module.schema).value
        assert [column.name for column in again.columns] == [column.name for column in schema.columns]
        assert again.primary_key == schema.primary_key


def plain(document):
    if isinstance(document, dict):
        return {key: plain(value) for key, value in document.items() if key != "x-raypipe"}
    return [plain(value) for value in document] if isinstance(document, list) else document


def test_what_was_edited_in_the_other_form_wins_over_the_original():
    schema = DataSchema(
        name="t", columns=(ColumnSchema(name="n", dtype="int8", max_value=9, semantic="number", unit="kg"),)
    )
    document = to_json_schema(schema).value
    document["properties"]["n"]["maximum"] = 12
    column = from_json_schema(document).value.columns[0]
    assert (column.max_value, column.min_value, column.dtype, column.unit) == (12, -128, "integer", "kg")
    arrow = pa.schema([to_arrow(schema).value.field(0).with_type(pa.int32())])
    assert from_arrow(arrow).value.columns[0].dtype == "int32"


def test_a_remark_that_is_none_is_passed_over():
    found = from_arrow(pa.schema([pa.field("a", pa.int8(), metadata={b"raypipe": b"]["})], metadata={b"raypipe": b"7"}))
    assert found.value.columns[0].dtype == "int8"
    document = {"properties": {"a": {"type": "integer", "x-raypipe": {"name": "b", "nonsense": 1}}}}
    assert from_json_schema(document).value.columns[0].dtype == "integer"


def test_json_schema_of_others_is_read_and_what_has_no_counterpart_is_listed():
    document = {
        "title": "order", "type": "object", "additionalProperties": False, "required": ["id"],
        "properties": {
            "id": {"type": "integer", "exclusiveMinimum": 0, "multipleOf": 2},
            "mail": {"type": ["string", "null"], "format": "email"},
            "state": {"enum": ["open", "done", None]},
            "tags": {"type": "array", "items": {"type": "string"}},
            "ratio": {"type": "number", "exclusiveMaximum": 1},
            "code": {"$ref": "#/$defs/code"},
        },
        "$defs": {"code": {"type": "string", "pattern": "^[A-Z]"}},
    }  # fmt: skip
    found = from_json_schema(document)
    by_name = {column.name: column for column in found.value.columns}
    assert (by_name["id"].min_value, by_name["id"].nullable, by_name["id"].required) == (1, False, True)
    assert (by_name["mail"].semantic, by_name["mail"].nullable) == ("email", True)
    assert (by_name["state"].allowed_values, by_name["state"].nullable) == (("open", "done"), True)
    assert keeps(by_name["code"], "Xyz")
    assert not keeps(by_name["code"], "xyz")
    told = "\n".join(found.unmapped)
    for word in ("additionalProperties", "multipleOf", "'array'", "items", "open bound 1"):
        assert word in told


def test_a_pydantic_model_of_others_is_read():
    class Order(BaseModel):
        id: int = Field(gt=0)
        when: dt.datetime | None = None
        state: Literal["open", "done"]
        price: float = Field(ge=0.5, le=9)

    found = {column.name: column for column in from_pydantic(Order).value.columns}
    assert (found["id"].dtype, found["id"].min_value, found["id"].nullable) == ("integer", 1, False)
    assert (found["when"].dtype, found["when"].required, found["when"].nullable) == ("datetime", False, True)
    assert found["state"].allowed_values == ("open", "done")
    assert (found["price"].min_value, found["price"].max_value) == (0.5, 9)


def test_a_pandera_schema_of_others_is_read_and_its_other_checks_are_listed():
    pandera = pytest.importorskip("pandera.polars")
    made = pandera.DataFrameSchema(
        {
            "a": pandera.Column(pl.Int32, [pandera.Check.ge(1), pandera.Check.gt(0)], unique=True),
            "b": pandera.Column(pl.List(pl.Int8)),
        },
        unique=["a"],
    )
    found = from_pandera(made)
    a, b = found.value.columns
    assert (a.dtype, a.min_value, a.unique, b.dtype) == ("int32", 1, True, None)
    assert found.value.primary_key == ("a",)
    assert any("greater_than" in note for note in found.unmapped)
    assert any("List" in note for note in found.unmapped)


CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: 53581432-6c55-4ba2-a65f-72344a91553a
version: 1.1.0
status: active
team: {name: sales}
schema:
  - name: orders
    physicalType: table
    properties:
      - name: order_id
        primaryKey: true
        primaryKeyPosition: 1
        logicalType: string
        logicalTypeOptions: {format: uuid, minLength: 10}
        required: true
      - name: total
        logicalType: number
        physicalType: DECIMAL(10,2)
        logicalTypeOptions: {minimum: 0}
        quality:
          - metric: nullValues
            mustBe: 0
          - metric: invalidValues
            mustBeLessThan: 5
            unit: percent
            arguments: {validValues: [1, 2]}
      - name: state
        logicalType: string
        classification: internal
        quality:
          - {metric: invalidValues, arguments: {validValues: [open, done]}, mustBe: 0}
          - {type: sql, query: "SELECT 1", mustBe: 1}
      - name: amounts
        logicalType: array
        items: {logicalType: number}
    quality:
      - {metric: rowCount, mustBeGreaterThan: 100}
      - {metric: duplicateValues, arguments: {properties: [order_id, state]}, mustBe: 0}
"""


def test_a_contract_of_others_is_read_as_far_as_it_maps_and_the_rest_is_listed():
    found = from_odcs(yaml.safe_load(CONTRACT))
    by_name = {column.name: column for column in found.value.columns}
    assert (found.value.name, found.value.version, found.value.primary_key) == ("orders", "1.1.0", ("order_id",))
    assert by_name["order_id"].semantic == "uuid"
    assert (by_name["total"].dtype, by_name["total"].min_value, by_name["total"].nullable) == ("number", 0, False)
    assert by_name["state"].allowed_values == ("open", "done")
    told = "\n".join(found.unmapped)
    for word in ("team", "minLength", "invalidValues mustBeLessThan 5", "sql", "classification", "'array'", "items",
                 "rowCount mustBeGreaterThan 100", "duplicateValues"):  # fmt: skip
        assert word in told, word


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"kind": "Other"}, "wanted `kind: DataContract`"),
        ({"kind": "DataContract", "apiVersion": "v2.2.2"}, "apiVersion is 'v2.2.2'"),
        ({"kind": "DataContract", "apiVersion": "v3.1.0", "schema": []}, "0 tables, and none was named"),
        ({"kind": "DataContract", "apiVersion": "v3.1.0", "schema": [{"name": "a"}]}, "has no properties"),
        ({"kind": "DataContract", "apiVersion": "v3.1.0",
          "schema": [{"name": "a", "properties": [{"logicalType": "date"}]}]}, "a property has no name"),
    ],
)  # fmt: skip
def test_what_is_no_contract_is_told(content, words):
    with pytest.raises(ConfigError, match=words):
        from_odcs(content)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"type": "array"}, "at least one entry under `properties`"),
        ({"properties": {"a": {"type": "integer", "minimum": 5, "maximum": 1}}}, "'a' cannot be a column"),
        ({"properties": {"a": {"type": "string", "pattern": "(?=x)"}}}, "'a' cannot be a column"),
    ],
)
def test_what_is_no_schema_of_a_row_is_told(document, words):
    with pytest.raises(ConfigError, match=words):
        from_json_schema(document)


def test_without_pandera_the_line_to_type_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandera.polars", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'pandera\[polars\]'"):
        to_pandera(DataSchema(name="t", columns=(ColumnSchema(name="a"),)))


def test_what_a_form_cannot_check_is_listed():
    schema = DataSchema(
        name="t",
        columns=(ColumnSchema(name="d", dtype="date", unique=True, max_value="2025-01-01"),),
        primary_key=("d",),
        foreign_keys=[{"to": "x"}],
    )
    told = "\n".join(to_json_schema(schema).unmapped)
    for word in ("unique", "bounds of dates", "primary key", "foreign_keys"):
        assert word in told
    assert to_pandera(schema).unmapped == (
        "foreign_keys: kept as a remark, not checked",
        "column 'd': unique: pandera counts nulls as values, too",
    )
