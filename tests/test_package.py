"""What holds for the package as a whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import raypipe
from raypipe.errors import DataSciencePlatformError, MissingColumnsError, RaypipeError


def loaded_by(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after `statement`."""
    code = f"{statement}; import sys; print(' '.join(sorted({{name.split('.')[0] for name in sys.modules}})))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = {"ray", "torch", "transformers", "modin", "mlflow", "bokeh", "polars", "pyarrow", "pandas", "numpy"}
    assert not loaded_by("import raypipe") & heavy


@pytest.mark.parametrize(
    "module", ["raypipe.cli.main", "raypipe.pipeline", "raypipe.etl.reader", "raypipe.pipeline.check"]
)
def test_ray_bokeh_and_pandas_are_loaded_only_when_needed(module: str) -> None:
    assert not loaded_by(f"import {module}") & {"ray", "bokeh", "pandas", "playwright"}


def test_a_small_run_loads_neither_ray_nor_pandas_nor_what_only_models_need(tmp_path: Path) -> None:
    source = tmp_path / "sales.csv"
    lines = [f"2024-01-{day:02},{city},{day * 1.5},{day % 3}" for day in range(1, 29) for city in ("Ulm", "Bonn")]
    source.write_text("\n".join(["date,city,price,units", *lines]) + "\n")
    config = f"PipelineConfig(data_source={str(source)!r}, output_dir={str(tmp_path)!r})"
    loaded = loaded_by(f"from raypipe import AnalyticsPipeline, PipelineConfig; AnalyticsPipeline({config}).execute()")
    assert {"polars", "bokeh"} <= loaded
    assert not loaded & {"ray", "pandas", "sklearn", "scipy", "lightgbm", "optuna", "torch"}


@pytest.mark.parametrize("name", [name for name in raypipe.__all__ if name != "__version__"])
def test_every_public_name_loads(name: str) -> None:
    assert getattr(raypipe, name).__name__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'raypipe' has no attribute 'Pipelin'"):
        raypipe.Pipelin  # noqa: B018 - the access is the test


def test_errors_tell_who_got_and_wanted_and_survive_pickling() -> None:
    import pickle

    error = MissingColumnsError("target column", ["wieght"], ["id", "weight"])
    assert str(error) == "target column: input has no column 'wieght'. It has: id, weight. Did you mean 'weight'?"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert DataSciencePlatformError is RaypipeError
    assert error.to_dict()["code"] == "SCHEMA_ERROR"
