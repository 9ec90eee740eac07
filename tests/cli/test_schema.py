"""`raypipe schema`: inferred, compared, converted, registered on the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from raypipe.cli.exits import FAILED, INVALID, USAGE
from raypipe.cli.main import app
from raypipe.errors import ConfigError
from raypipe.etl.infer import InferredSchema
from raypipe.etl.rules import ColumnSchema, DataSchema
from raypipe.etl.schemas import from_json_schema, from_odcs, to_arrow

SALES = Path(__file__).resolve().parents[2] / "docs" / "examples" / "sales.csv"
ORDERS = DataSchema(
    name="orders",
    columns=(ColumnSchema(name="id", dtype="int64", nullable=False), ColumnSchema(name="city", dtype="text")),
    primary_key=("id",),
)


@pytest.fixture
def sales(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    shutil.copy(SALES, tmp_path / "sales.csv")
    ORDERS.save(tmp_path / "orders.yaml")
    return tmp_path


def run(*words, code=0):
    done = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(done.exception, ConfigError):
        assert code == USAGE
        return str(done.exception)
    assert done.exit_code == code, (done.output, done.exception)
    return done.output


def test_what_was_inferred_is_written_and_the_same_table_keeps_it(sales):
    said = run("schema", "infer", "sales.csv", "-o", "s.yaml", "--report", "r.json")
    assert "key: order_id" in said
    assert "raypipe validate SOURCE --schema s.yaml" in said
    assert InferredSchema.load("r.json").to_schema() == DataSchema.load("s.yaml")
    verdict = json.loads(run("validate", "sales.csv", "--schema", "s.yaml", "--json", code=INVALID))
    assert verdict["errors"] == ["'note': no value in 434 rows; wanted at least one"]
    assert "sales.csv is as s.yaml says" in run("schema", "check", "s.yaml", "sales.csv")


def test_the_findings_are_json_when_asked_for(sales):
    found = InferredSchema.model_validate_json(run("schema", "infer", "sales.csv", "--json", "--name", "mine"))
    assert (found.name, found.rows, found.primary_key) == ("mine", 434, ("order_id",))


def test_a_table_that_breaks_its_schema_ends_with_code_3(sales):
    run("schema", "infer", "sales.csv", "-o", "s.yaml")
    schema = DataSchema.load("s.yaml")
    strict = [column.replace(nullable=False) if column.name == "city" else column for column in schema.columns]
    schema.replace(columns=(*strict, ColumnSchema(name="gone", dtype="text"))).save("strict.yaml")
    said = run("schema", "check", "strict.yaml", "sales.csv", code=INVALID)
    assert "breaks it  nullability  'city': now may be null" in said
    assert "breaks it  removed      'gone': is gone" in said


def test_a_breaking_change_ends_with_code_3_and_a_harmless_one_with_0(sales):
    ORDERS.replace(columns=(ORDERS.columns[0].replace(dtype="int32"), ORDERS.columns[1])).save("new.yaml")
    assert "breaks writers" in run("schema", "diff", "orders.yaml", "new.yaml", code=INVALID)
    found = json.loads(run("schema", "diff", "orders.yaml", "new.yaml", "--json", code=INVALID))
    assert found["changes"][0]["kind"] == "retyped"
    assert run("schema", "diff", "orders.yaml", "orders.yaml") == "no change\n"
    more = (*ORDERS.columns, ColumnSchema(name="x", required=False))
    ORDERS.replace(columns=more).save("more.yaml")
    assert "1 changes, 0 of them breaking" in run("schema", "diff", "orders.yaml", "more.yaml")


def test_two_schemas_are_merged_with_reasons(sales):
    ORDERS.replace(columns=(ORDERS.columns[0].replace(dtype="float32"),)).save("b.yaml")
    said = run("schema", "evolve", "orders.yaml", "b.yaml", "-o", "both.yaml")
    assert "'id': number holds both int64 and float32" in said
    assert [column.required for column in DataSchema.load("both.yaml").columns] == [True, False]
    assert run("schema", "evolve", "orders.yaml", "orders.yaml") == "nothing had to be widened\n"


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("jsonschema", '"$schema": "https://json-schema.org/draft/2020-12/schema"'),
        ("pydantic", "class Orders(BaseModel):"),
        ("pandera", "schema = pa.DataFrameSchema("),
        ("odcs", "apiVersion: v3.1.0"),
        ("raypipe", "primary_key:"),
    ],
)
def test_a_schema_is_converted_to_text(sales, form, words):
    assert words in run("schema", "convert", "orders.yaml", "--to", form)


def test_conversions_to_files_can_be_read_back(sales):
    for form, file in (("jsonschema", "o.json"), ("odcs", "o.odcs.yaml"), ("pyarrow", "o.arrow")):
        run("schema", "convert", "orders.yaml", "--to", form, "-o", file)
        run("schema", "convert", file, "--from", form, "-o", "again.yaml")
        assert DataSchema.load("again.yaml") == ORDERS
    assert from_json_schema(json.loads(Path("o.json").read_text())).value == ORDERS
    assert from_odcs(yaml.safe_load(Path("o.odcs.yaml").read_text())).value == ORDERS


def test_the_schema_of_a_parquet_file_is_one_to_convert_from(sales):
    pq.write_table(to_arrow(ORDERS).value.empty_table(), "t.parquet")
    run("schema", "convert", "t.parquet", "--from", "pyarrow", "-o", "again.yaml")
    assert DataSchema.load("again.yaml") == ORDERS


def test_what_is_not_mapped_is_told(sales):
    assert "not mapped: primary key 'id'" in run("schema", "convert", "orders.yaml", "--to", "jsonschema")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("convert", "orders.yaml", "--to", "avro"), "--to avro is no form; wanted one of: raypipe, jsonschema"),
        (("convert", "orders.yaml", "--from", "pydantic"), "--from pydantic is no form"),
        (("convert", "none.json", "--from", "jsonschema"), "cannot be read"),
        (("convert", "sales.csv", "--from", "pyarrow"), "schema file sales.csv"),
        (("convert", "list.json", "--from", "odcs"), "wanted a mapping, got list"),
        (("convert", "bad.json", "--from", "jsonschema"), "schema file bad.json"),
        (("show", "none"), "no schema 'none'; there are: none"),
    ],
)
def test_what_cannot_be_done_is_told_with_what_would(sales, words, said):
    Path("list.json").write_text("[1]")
    Path("bad.json").write_text("{")
    assert said in run("schema", *words, code=USAGE)


def test_a_registry_keeps_versions(sales):
    assert run("schema", "register", "orders.yaml") == "orders 1.0.0\n"
    ORDERS.replace(columns=(*ORDERS.columns, ColumnSchema(name="x"))).save("next.yaml")
    assert run("schema", "register", "next.yaml", "--raise") == "orders 2.0.0\n"
    assert run("schema", "list") == "orders  1.0.0 2.0.0\n"
    assert yaml.safe_load(run("schema", "show", "orders"))["version"] == "2.0.0"
    assert "version" not in yaml.safe_load(run("schema", "show", "orders", "--version", "1.0.0"))
    run("schema", "remove", "orders", "--version", "1.0.0")
    assert run("schema", "list") == "orders  2.0.0\n"


def test_the_exit_codes_are_those_of_the_other_commands():
    assert (FAILED, USAGE, INVALID) == (1, 2, 3)
