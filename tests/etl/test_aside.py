import base64
import json

import polars as pl
import pyarrow as pa
from hypothesis import given, settings

from raypipe.etl.aside import VALUE_CHARS, Fault, raw_json, set_aside
from raypipe.stage import ASIDE_SCHEMA
from tests.hostile import tables
from tests.laws import numbered


@given(table=tables())
@settings(max_examples=80, deadline=None)
def test_every_row_is_told_whole_as_json_under_its_own_names(table):
    rows = [json.loads(text) for text in raw_json(table).to_list()]
    assert len(rows) == table.num_rows
    for raw, values in zip(rows, table.to_pylist(), strict=True):
        assert list(raw) == list(values)
        for name, value in values.items():
            if value is None or isinstance(value, bool | int | str):
                assert raw[name] == value
            elif isinstance(value, bytes):
                assert base64.b64decode(raw[name]) == value
            elif isinstance(value, float):
                assert repr(float(raw[name])) == repr(value)
            else:
                assert raw[name] is not None


@given(table=tables())
@settings(max_examples=40, deadline=None)
def test_rows_set_aside_have_the_agreed_columns_whatever_they_hold(table):
    table = numbered(table)
    name = table.column_names[0]
    aside = set_aside(table, pl.Series([0] * table.num_rows, dtype=pl.UInt32), [Fault(name, "because")])
    assert aside.schema.equals(ASIDE_SCHEMA)
    assert aside["row"].to_pylist() == table["__row__"].to_pylist()
    assert aside["value"].is_null().to_pylist() == table[name].is_null().to_pylist()


def test_each_row_goes_under_the_fault_it_has():
    table = numbered(pa.table({"a": [1, 2], "b": ["x", "y" * 1000]}))
    aside = set_aside(table, pl.Series([1, 0]), [Fault("b", "too long"), Fault("a", "too small")]).to_pylist()
    assert [(row["column"], row["reason"]) for row in aside] == [("a", "too small"), ("b", "too long")]
    assert aside[0]["value"] == "1"
    assert aside[1]["value"] == "y" * VALUE_CHARS + "…"
    assert json.loads(aside[1]["raw"])["b"] == "y" * 1000
