import datetime as dt

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.blocks.frames import canonical_schema
from raypipe.blocks.profile import Profile
from raypipe.blocks.table import finish, summarise
from raypipe.config import ProcessingConfig
from raypipe.errors import ConfigError, MissingColumnsError
from raypipe.etl.processing.process import DataProcessor
from raypipe.etl.steps import DropDuplicates, DropEmptyColumns, DropEmptyRows, ParseDates, TrimText
from raypipe.stage import Sifted
from tests.hostile import tables
from tests.laws import PART, assert_reduce_laws, assert_stage_laws, numbered, opened

ORDER = ["TrimText", "ParseDates", "DropEmptyColumns", "DropEmptyRows", "DropDuplicates", "Impute", "CapOutliers"]
EVERYTHING = ProcessingConfig(drop_duplicates=True, impute="auto", cap_outliers=True)


def fit(processor: DataProcessor, table: pa.Table):
    block = numbered(table)
    results = {stage.name: stage.finish(stage.partial(block, PART)) for stage in processor.reduce_stages(table.schema)}
    return processor.fit(table.schema, finish(summarise(block)), results)


def run(steps, table: pa.Table):
    """All steps over one part: the rows left, the rows aside, and what `report` wants."""
    block, asides, counts, dropped = numbered(table), [], {}, {}
    for step in steps:
        made: Sifted = opened(step)(block)
        asides.append(made.aside)
        counts[step.name] = made.counts
        dropped[step.name] = block.num_rows - made.block.num_rows - made.aside.num_rows
        block = made.block
    aside = pa.concat_tables(asides) if asides else pa.table({"row": pa.array([], pa.int64())})
    return block, aside, counts, dropped


configs = st.builds(
    ProcessingConfig,
    trim_text=st.booleans(),
    parse_dates=st.booleans(),
    drop_empty_columns=st.booleans(),
    drop_empty_rows=st.booleans(),
    drop_duplicates=st.booleans(),
    impute=st.sampled_from(["none", "auto"]),
    cap_outliers=st.booleans(),
)


@given(table=tables(), config=configs, data=st.data())
@settings(max_examples=60, deadline=None)
def test_every_fitted_step_keeps_the_laws_and_no_row_is_lost_unaccounted(table, config, data):
    target = data.draw(st.sampled_from([None, *table.column_names]))
    processor = DataProcessor(config, target)
    steps = fit(processor, table)
    names = [step.name for step in steps]
    assert names == [name for name in ORDER if name in names]
    block = numbered(table)
    schema = table.schema
    for step in steps:
        assert_stage_laws(step, block)
        schema = step.output_schema(schema)
        block = opened(step)(block).block
    left, aside, counts, dropped = run(steps, table)
    assert left.drop_columns(["__row__"]).schema.equals(schema)
    assert left.num_rows + aside.num_rows + sum(dropped.values()) == table.num_rows
    assert target is None or target in left.column_names
    for report, step in zip(processor.report(steps, counts, dropped), steps, strict=True):
        assert report.step == step.name
        assert report.rows_dropped == dropped[step.name]
        assert report.model_validate_json(report.model_dump_json()).step == step.name


@given(table=tables(max_rows=8))
@settings(max_examples=40, deadline=None)
def test_the_stages_of_the_first_pass_do_not_depend_on_cuts(table):
    for stage in DataProcessor(EVERYTHING).reduce_stages(table.schema):
        assert_reduce_laws(stage, table)


@given(table=tables())
@settings(max_examples=40, deadline=None)
def test_cleaning_a_clean_table_changes_nothing_more(table):
    config = ProcessingConfig(drop_duplicates=True, parse_dates=False)
    left, *_ = run(fit(DataProcessor(config), table), table)
    once = left.drop_columns(["__row__"])
    again, aside, _, dropped = run(fit(DataProcessor(config), once), once)
    assert again.drop_columns(["__row__"]).equals(once) or "nan" in str(once.to_pylist())
    assert aside.num_rows == sum(dropped.values()) == 0


def messy() -> pa.Table:
    text = pa.large_string()
    return pa.table(
        {
            "id": [1, 1, 2, None, 4],
            "city": pa.array([" Rome", "Rome", "  ", None, "Oslo "], text),
            "day": pa.array(["31/12/2024", " 31/12/2024", None, "", "01/01/2024"], text),
            "blank": pa.array(["", " ", "\t", None, ""], text),
            "null": pa.nulls(5),
        }
    )


def test_a_messy_table_is_cleaned_in_order():
    table = messy()
    processor = DataProcessor(EVERYTHING)
    steps = fit(processor, table)
    left, aside, counts, dropped = run(steps, table)
    assert left.to_pydict() == {
        "id": [1, 2, 4],
        "city": ["Rome", "Rome", "Oslo"],
        "day": [dt.date(2024, 12, 31), None, dt.date(2024, 1, 1)],
        "__row__": [0, 2, 4],
    }
    assert aside.num_rows == 0
    reports = {report.step: report for report in processor.report(steps, counts, dropped)}
    assert reports["DropEmptyColumns"].columns_dropped == ("blank", "null")
    assert reports["DropEmptyRows"].rows_dropped == 1
    assert reports["DropDuplicates"].rows_dropped == 1
    assert reports["ParseDates"].detail["day"]["format"] == "DD/MM/YYYY"
    assert reports["TrimText"].detail == {"city": {"cells": 3}, "day": {"cells": 2}, "blank": {"cells": 4}}


def test_steps_that_would_do_nothing_are_left_out():
    table = pa.table({"a": [1, 2, 3], "t": pa.array(["x", "y", "y"], pa.large_string())})
    assert fit(DataProcessor(EVERYTHING.replace(cap_outliers=False)), table) == ()


def test_a_step_that_only_has_reasons_is_idle_and_stays_for_the_report():
    table = pa.table({"d": pa.array(["01/02/2024", "02/01/2024"], pa.large_string())})
    processor = DataProcessor(ProcessingConfig())
    (step,) = fit(processor, table)
    assert isinstance(step, ParseDates)
    assert step.idle
    (report,) = processor.report((step,), {}, {})
    assert "order of day and month" in report.detail["left_as_text"]["d"]


def test_trimming_comes_first_so_that_blank_columns_and_rows_count_as_empty():
    table = pa.table({"a": pa.array([" ", "x"], pa.large_string()), "b": pa.array(["", " "], pa.large_string())})
    kinds = [type(step) for step in fit(DataProcessor(ProcessingConfig()), table)]
    assert kinds == [TrimText, DropEmptyColumns, DropEmptyRows]
    assert fit(DataProcessor(ProcessingConfig(trim_text=False)), table) == ()


def test_the_target_is_never_dropped_nor_are_rows_for_it():
    table = pa.table({"x": [1, 2], "y": pa.nulls(2, pa.int64()), "t": pa.nulls(2, pa.timestamp("us"))})
    left, *_ = run(fit(DataProcessor(EVERYTHING, "y", "t"), table), table)
    assert left.num_rows == 2
    assert left["y"].null_count == 2
    assert "t" in left.column_names


def test_duplicates_are_found_only_when_asked_for():
    table = pa.table({"x": [1, 1]})
    stages = DataProcessor(ProcessingConfig()).reduce_stages(table.schema)
    assert [stage.name for stage in stages] == []
    (step,) = fit(DataProcessor(ProcessingConfig(drop_duplicates=True)), table)
    assert isinstance(step, DropDuplicates)
    assert step.needs_part
    assert step.drops_rows


def test_settings_that_name_no_column_are_known_before_reading():
    schema = pa.schema([("age", pa.int64())])
    with pytest.raises(MissingColumnsError, match="no column 'agee'.*Did you mean 'age'"):
        DataProcessor(ProcessingConfig(impute={"agee": "mode"})).reduce_stages(schema)
    with pytest.raises(MissingColumnsError, match="no column 'aeg'"):
        DataProcessor(ProcessingConfig(), target="aeg").check(schema)


def test_a_first_pass_that_is_incomplete_is_told_what_it_lacks():
    processor = DataProcessor(ProcessingConfig(drop_duplicates=True))
    with pytest.raises(ConfigError, match=r"lacks columns \['a'\] and the results lack stages \['FindRepeats:rows'\]"):
        processor.fit(pa.schema([("a", pa.int64())]), Profile(rows=0, columns=()), {})


@given(table=tables())
@settings(max_examples=30, deadline=None)
def test_blocks_stay_in_the_types_that_travel_between_stages(table):
    table = table.cast(canonical_schema(table.schema))
    left, *_ = run(fit(DataProcessor(EVERYTHING), table), table)
    assert left.schema.equals(canonical_schema(left.schema))
