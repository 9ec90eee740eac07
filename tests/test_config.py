"""Settings: loaded, checked, merged; every mistake told with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raypipe.config import PipelineConfig, merge_settings
from raypipe.errors import ConfigError

OLDER_NAMES = [
    "data_source", "data_format", "read_options", "target_column", "time_column", "business_context", "validate_data",
    "strict_validation", "sample_size", "ml_enabled", "ml_time_limit", "generate_dashboard", "dashboard_theme",
    "dashboard_title", "output_dir", "save_intermediate", "export_formats",
]  # fmt: skip


def test_the_17_names_of_the_older_platform_come_first_and_in_order() -> None:
    assert list(PipelineConfig.model_fields)[: len(OLDER_NAMES)] == OLDER_NAMES


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"data_sorce": "x"}, "there is no setting 'data_sorce'. Did you mean 'data_source'"),
        (
            {"data_source": "x", "processing": {"trim_txt": True}},
            "no setting 'processing.trim_txt'. Did you mean 'trim_text'",
        ),
        ({"data_source": "x", "sample_size": 0}, "sample_size: got 0; input should be greater than 0"),
        ({"data_source": "x", "validation": {"max_null_share": 1.5}}, "validation.max_null_share: got 1.5"),
        ({"data_source": "x", "export_formats": ["pdf"]}, "export_formats.0: got 'pdf'"),
        ({"data_source": "x", "data_format": "docx"}, "data_format: got 'docx'"),
    ],
)
def test_mistakes_are_told_with_their_place(values: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        PipelineConfig.of(values)
    assert text in str(caught.value)


def test_yaml_and_toml_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("data_source: x.csv\nengine:\n  workers: 3\nexport_formats: html\n")
    (tmp_path / "a.toml").write_text('data_source = "x.csv"\nexport_formats = "html"\n[engine]\nworkers = 3\n')
    loaded = PipelineConfig.load(tmp_path / "a.yaml")
    assert loaded == PipelineConfig.load(tmp_path / "a.toml")
    assert loaded.engine.workers == 3


def test_overrides_win_part_by_part(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("data_source: x.csv\nengine: {workers: 3, fuse: false}\n")
    loaded = PipelineConfig.load(tmp_path / "a.yaml", engine={"workers": 4}, seed=7)
    assert (loaded.engine.workers, loaded.engine.fuse, loaded.seed) == (4, False, 7)
    assert merge_settings({}, {"a": {"b": 1}}) == {"a": {"b": 1}}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("- a\n- b\n", "holds list; wanted settings"), ("a: [1\n", "not valid YAML"), ("", "holds NoneType")],
)
def test_files_that_hold_no_settings_say_so(tmp_path: Path, text: str, wanted: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ConfigError, match=wanted):
        PipelineConfig.load(tmp_path / "a.yaml")


def test_yaml_cannot_make_objects(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("data_source: !!python/object/apply:os.system ['true']\n")
    with pytest.raises(ConfigError, match="not valid YAML"):
        PipelineConfig.load(tmp_path / "a.yaml")


def test_replace_validates_again() -> None:
    config = PipelineConfig(data_source="x")
    assert config.replace(seed=1).seed == 1
    with pytest.raises(ValueError, match="sample_size"):
        config.replace(sample_size=-1)
