"""Mistakes in `processing.steps`, told by line, step and setting."""

import pytest

from raypipe.config import PipelineConfig, ProcessingConfig
from raypipe.config.lines import line_of
from raypipe.errors import ConfigError

CONFIG = """\
data_source: x.csv
processing:
  steps:
    - {step: scale, columns: a, methd: robust}
    - step: fil_missing
      columns: a
    - step: outliers
      columns: a
      method: iqq
    - step: fill_missing
      columns: a
      method: constant
    - columns: a
    - step: derive
      column: x
    - scale
"""


def test_each_mistake_is_told_with_its_line_its_step_and_what_was_meant(tmp_path):
    path = tmp_path / "clean.yaml"
    path.write_text(CONFIG)
    with pytest.raises(ConfigError) as caught:
        PipelineConfig.load(path)
    told = str(caught.value).removeprefix(f"{path}: ").split("; line ")
    wanted = (
        ("line 4: processing.steps, step 1 (scale): there is no setting 'methd'", "Did you mean 'method'?"),
        ("5: processing.steps, step 2: there is no step 'fil_missing'.", "Did you mean 'fill_missing'?"),
        ("9: processing.steps, step 3 (outliers): method: got 'iqq'", "should be 'iqr', 'zscore', 'mad' or"),
        ("10: processing.steps, step 4 (fill_missing): `value` belongs to method constant", ""),
        ("13: processing.steps, step 5: got {'columns': 'a'}, which names no step", "must name one of drop_missing,"),
        ("14: processing.steps, step 6 (derive): the setting 'expression' is missing", ""),
        ("16: processing.steps, step 7: got 'scale'", ""),
    )
    assert len(told) == len(wanted)
    for text, (start, within) in zip(told, wanted, strict=True):
        assert text.startswith(start)
        assert within in text


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"step": "fill_missing", "columns": "a", "method": "mean", "value": 1}, "`value` belongs to method constant"),
        ({"step": "fill_missing", "columns": "a", "method": "mean", "along": "t"}, "`along` belongs to method interp"),
        ({"step": "fill_missing", "columns": "a", "method": "constant", "value": 1, "by": "b"}, "`by` has no meaning"),
        ({"step": "outliers", "columns": "a", "method": "percentile", "factor": 2}, "`factor` has no meaning"),
        ({"step": "outliers", "columns": "a", "low": 0.9, "high": 0.1}, "must be below"),
        ({"step": "scale", "columns": "a", "low": 1, "high": 1}, "must be below"),
        ({"step": "encode_ordinal", "columns": "a", "order": ["x", "x"]}, "names a category twice"),
        ({"step": "merge_rare", "columns": "a"}, "give `min_count`, `min_share` or `max_categories`"),
        ({"step": "drop_duplicates", "keep": "max"}, "`of` belongs to keep max"),
        ({"step": "scale", "columns": []}, "at least 1 item"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(step, message):
    with pytest.raises(ConfigError, match=message):
        PipelineConfig.of({"data_source": "x.csv", "processing": {"steps": [step]}})


def test_the_null_of_yaml_is_the_word_null():
    steps = [
        {"step": "cast", "columns": "a", "to": "int64", "on_misfit": None},
        {"step": "outliers", "columns": "a", "action": None},
    ]
    cast, outliers = ProcessingConfig.model_validate({"steps": steps}).steps
    assert cast.on_misfit == outliers.action == "null"


def test_names_of_steps_are_distinct():
    from raypipe.etl.processing.course import wishes_of

    steps = [{"step": "scale", "columns": "a", "name": "same"}, {"step": "scale", "columns": "b", "name": "same"}]
    with pytest.raises(ConfigError, match="the name 'same' is taken"):
        wishes_of(ProcessingConfig.model_validate({"steps": steps}).steps)


def test_a_config_with_steps_survives_its_own_json():
    step = {"step": "fill_missing", "columns": ["a", "b*"], "method": "constant", "value": 3}
    config = PipelineConfig.of({"data_source": "x.csv", "processing": {"steps": [step]}})
    assert PipelineConfig.of(config.model_dump(mode="json")) == config


def test_a_line_is_that_of_the_nearest_setting_there_is(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("x:\n  - y: 1\n  - z: {w: 2}\n")
    assert line_of(path, ("x", 1, "branch", "z", "none")) == 3
    assert line_of(path, ("q",)) is None
    assert line_of(tmp_path / "a.toml", ("x",)) is None
