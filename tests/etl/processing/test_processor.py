"""Fitted steps: saved, loaded, applied to new tables, and undone."""

import datetime as dt
import json
import logging

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.config import ProcessingConfig
from raypipe.errors import ConfigError, MissingColumnsError, ReadError, SchemaError
from raypipe.etl.processing.process import fit_processor
from raypipe.etl.processing.processor import FittedProcessor
from tests.etl.steps.lists import applied

FEW = settings(max_examples=12, deadline=None)


def test_a_saved_processor_does_the_same_as_the_one_that_was_fitted(tmp_path):
    rows = 30
    table = pa.table(
        {
            "city": pa.array([f" {'Ulm' if n % 2 else 'Bonn'} " for n in range(rows)], pa.large_string()),
            "day": pa.array([f"{n % 28 + 1:02d}/01/2024" for n in range(rows)], pa.large_string()),
            "x": [None if n % 7 == 0 else float(n) for n in range(rows - 1)] + [900.0],
            "void": pa.nulls(rows),
        }
    )
    config = ProcessingConfig.model_validate(
        {
            "drop_duplicates": True, "impute": {"x": "median"}, "cap_outliers": ["x"],
            "steps": [
                {"step": "scale", "columns": "x"},
                {"step": "encode_label", "columns": "city"},
                {"step": "date_parts", "columns": "day", "parts": "weekday"},
            ],
        }
    )  # fmt: skip
    fitted = fit_processor(table, config)
    assert [step.label for step in fitted.steps] == [
        "TrimText", "DropDuplicates", "ParseDates day", "DropEmptyColumns", "DropEmptyRows", "Impute", "CapOutliers",
        "scale", "encode_label", "date_parts",
    ]  # fmt: skip
    fitted.save(tmp_path / "processing.json")
    loaded = FittedProcessor.load(tmp_path / "processing.json")
    assert loaded == fitted
    assert loaded.apply(table).equals(fitted.apply(table))
    new = pa.table({"city": ["Ulm  ", "Rome"], "day": ["05/02/2024", "6/2/2024"], "x": [1, None], "void": [None, None]})
    made = loaded.apply(new)
    assert made["city"].to_pylist() == ["Ulm", "Rome"]
    assert made["city_encoded"].to_pylist() == [1, None]
    assert made["day"].to_pylist() == [dt.date(2024, 2, 5), dt.date(2024, 2, 6)]
    assert "void" not in made.column_names
    assert made["x"].null_count == 0
    assert loaded.apply(pl.DataFrame(new)).equals(made)


def test_rows_that_new_data_cannot_keep_are_handed_out_with_their_reason(caplog):
    table = pa.table({"city": ["Ulm", "Bonn"], "n": ["1", "2"]})
    steps = [
        {"step": "encode_label", "columns": "city", "unseen": "quarantine"},
        {"step": "cast", "columns": "n", "to": "integer"},
    ]
    fitted = applied(table, steps).processor
    new = pa.table({"city": ["Ulm", "Rome", "Bonn"], "n": ["7", "8", "nine"]})
    done = fitted.process(new)
    assert done.table.to_pydict() == {"city": ["Ulm"], "n": [7], "city_encoded": [1]}
    assert done.quarantine.select(["stage", "row", "column", "value", "reason"]).to_pylist() == [
        {"stage": "encode_label", "row": 1, "column": "city", "value": "Rome",
         "reason": "is a category that the fitting did not see"},
        {"stage": "cast", "row": 2, "column": "n", "value": "nine", "reason": "is no value of type int64"},
    ]  # fmt: skip
    assert done.rows_in == done.table.num_rows + done.quarantine.num_rows
    assert json.loads(done.quarantine["raw"][0].as_py())["city"] == "Rome"
    with caplog.at_level(logging.WARNING):
        assert fitted.apply(new).num_rows == 1
    assert "2 rows set aside" in caplog.text


def test_columns_that_were_not_fitted_on_are_clear_errors():
    fitted = applied(pa.table({"a": [1.0, 2.0], "t": ["x", "y"]}), [{"step": "scale", "columns": "a"}]).processor
    with pytest.raises(MissingColumnsError, match="fitted steps: input has no column 'a'"):
        fitted.apply(pa.table({"A": [1.0], "t": ["x"]}))
    with pytest.raises(SchemaError, match="never saw the column 'more'; leave them out"):
        fitted.apply(pa.table({"a": [1.0], "t": ["x"], "more": [1]}))
    with pytest.raises(SchemaError, match="column 'a' is large_string and was double when they were fitted"):
        fitted.apply(pa.table({"a": ["1"], "t": ["x"]}))
    swapped = pa.table({"t": ["x"], "a": pa.array([2], pa.int32())})
    assert fitted.apply(swapped).to_pydict() == {"a": [1.0], "t": ["x"]}


def test_files_that_hold_no_fitted_steps_are_refused(tmp_path):
    path = tmp_path / "processing.json"
    with pytest.raises(ReadError, match="cannot be read"):
        FittedProcessor.load(path)
    for text, message in (
        ("{", "no processing.json of raypipe"),
        ("[]", "got version 'list' of fitted steps"),
        ('{"version": 9}', "got version 9 of fitted steps, wanted 1; fit the steps again"),
        ('{"version": 1, "columns": [], "steps": [{"kind": "fly"}]}', "there is no fitted step 'fly'"),
        ('{"version": 1, "columns": [], "steps": [{"kind": "scale", "label": "s"}]}', "damaged at steps"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError, match=message):
            FittedProcessor.load(path)


numbers = st.one_of(st.none(), st.floats(-1e6, 1e6, allow_subnormal=False))
wholes = st.one_of(st.none(), st.integers(-10_000, 10_000))
words = st.sampled_from(["a", "b", "c d", "é", ""])


@given(st.data())
@FEW
def test_what_can_be_undone_comes_back(data):
    rows = data.draw(st.integers(1, 8))
    cells = [data.draw(st.lists(kind, min_size=rows, max_size=rows)) for kind in (numbers, wholes, words, words)]
    table = pa.table(
        {"x": pa.array(cells[0], pa.float64()), "k": pa.array(cells[1], pa.int64()), "t": cells[2], "u": cells[3]}
    )
    scale = data.draw(st.sampled_from(["z_score", "min_max", "robust", "max_abs"]))
    steps = [
        {"step": "convert_units", "columns": "k", "source": "c", "to": "f"},
        {"step": "scale", "columns": ["x", "k"], "method": scale, **({"low": -1} if scale == "min_max" else {})},
        {"step": "transform", "columns": "k", "method": "yeo_johnson"},
        {"step": "encode_label", "columns": "t", "replace_column": True},
        {"step": "encode_one_hot", "columns": "u"},
        {"step": "rename_columns", "names": {"x": "ex"}},
    ]
    result = applied(table, steps)
    back = result.processor.inverse(result.table)
    assert set(back.column_names) == {"x", "k", "t", "u"}
    assert back["k"].to_pylist() == cells[1]
    assert back["t"].to_pylist() == cells[2]
    assert back["u"].to_pylist() == cells[3]
    reach = max((abs(cell) for cell in cells[0] if cell is not None), default=0.0)
    wanted = table["x"].to_pandas().to_numpy(float)
    np.testing.assert_allclose(back["x"].to_pandas().to_numpy(float), wanted, atol=1e-9 * (1 + reach), equal_nan=True)
    alone = result.processor.inverse(result.table.select(["ex"]))
    assert alone.column_names == ["x"]


def test_steps_that_cannot_be_undone_are_named():
    steps = [{"step": "fill_missing", "columns": "x", "method": "mean"}, {"step": "scale", "columns": "x"}]
    assert applied(pa.table({"x": [1.0, None, 3.0]}), steps).processor.lasting == ("fill_missing",)


@pytest.mark.parametrize(
    "step",
    [
        {"step": "clean_text", "columns": "t", "case": "lower", "strip_accents": True, "unicode": "nfkc"},
        {"step": "fill_missing", "columns": "x", "method": "median"},
        {"step": "outliers", "columns": "x", "method": "percentile", "low": 0.0, "high": 0.9},
        {"step": "drop_missing", "columns": "x"},
        {"step": "drop_duplicates", "by": "t"},
        {"step": "merge_rare", "columns": "t", "max_categories": 1, "other": "É x"},
        {"step": "fill_missing", "columns": "x", "method": "forward"},
    ],
)
def test_a_step_that_tidies_changes_nothing_when_it_is_applied_again(step):
    table = pa.table({"x": [None, 4.0, None, 1.0, 99.0, 3.0], "t": ["É x", " É x", "b ", "É x", None, "c"]})
    result = applied(table, [step])
    assert result.processor.apply(result.table).equals(result.table)
