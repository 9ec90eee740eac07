"""The profiling stage keeps the laws of a summary."""

from __future__ import annotations

import pickle

import pyarrow as pa

from raypipe.blocks.frames import ROW
from raypipe.etl.summarise import Summarise

TABLE = pa.table({"a": [1, None, 3], "b": ["x", "y", "x"]})


def test_partials_of_any_cut_finish_as_one_profile():
    stage = Summarise.of(TABLE.schema)
    whole = stage.finish(stage.partial(TABLE, "p"))
    parts = [stage.partial(TABLE.slice(i, 1), "p") for i in range(3)]
    merged = stage.finish(stage.merge(stage.merge(parts[0], parts[1]), parts[2]))
    assert merged.columns == whole.columns
    assert (merged.rows, merged.duplicates) == (whole.rows, whole.duplicates)


def test_a_source_without_parts_has_a_profile_of_its_columns():
    schema = TABLE.schema.append(pa.field(ROW, pa.int64()))
    found = Summarise.of(schema).finish(None)
    assert (found.rows, [column.name for column in found.columns]) == (0, ["a", "b"])
    assert Summarise().finish(None).columns == ()


def test_the_stage_is_a_value_that_pickles_compares_and_prints():
    stage = Summarise.of(TABLE.schema)
    assert pickle.loads(pickle.dumps(stage)) == stage
    assert stage.name == "Summarise"
    assert stage.output_schema(TABLE.schema) == TABLE.schema
    assert stage.model_dump(mode="json")["columns"] == {"a": "int64", "b": "string"}
