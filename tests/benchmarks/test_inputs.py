"""Inputs of the measurements, and the pins of what they are measured with."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import polars as pl
import pytest

from benchmarks.inputs import lineitem, lineitem_alike, small_csv
from benchmarks.process import ROOT, ContenderError


def test_small_csv_is_the_same_each_time_and_made_once(tmp_path: Path) -> None:
    first = small_csv(50, tmp_path / "a")
    assert small_csv(50, tmp_path / "b").read_bytes() == first.read_bytes()
    frame = pl.read_csv(first, try_parse_dates=True)
    assert frame.height == 50
    assert frame["discount"].null_count() + frame["rating"].null_count() > 0


def test_look_alike_has_the_columns_of_lineitem(tmp_path: Path) -> None:
    frame = pl.read_parquet(lineitem_alike(100, tmp_path))
    assert frame.shape == (100, 16)
    assert frame.schema["l_extendedprice"] == pl.Decimal(15, 2)
    assert frame["l_extendedprice"].max() is not None


def test_missing_generator_says_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(ContenderError, match="tpchgen-cli is not installed beside the peers; `make bench`"):
        lineitem(1, tmp_path, tmp_path / "python")


def _pins(path: Path) -> dict[str, str]:
    lines = [line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    pairs = [line.split("==") for line in lines if "==" in line]
    return {name.split("[")[0].lower(): version for name, version in pairs}


def test_both_sides_run_the_same_ray_polars_and_pyarrow() -> None:
    ours, theirs = _pins(ROOT / "constraints.txt"), _pins(ROOT / "benchmarks/requirements.txt")
    shared = {"polars", "pyarrow", "ray"}
    assert {name: ours[name] for name in shared} == {name: theirs[name] for name in shared}


def test_all_that_the_peers_import_is_among_their_requirements() -> None:
    own = {
        "learning.py",
        "plain_learning.py",
        "trial_cost.py",
    }  # of the same scikit-learn as raypipe, in its environment
    found = (ROOT / "benchmarks/contenders").glob("*.py")
    files = [file for file in found if not file.name.startswith("raypipe_") and file.name not in own]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    wanted = {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"benchmarks"}
    assert {"duckdb", "psutil", "ray"} <= wanted
    assert {name.replace("_", "-") for name in wanted} <= set(_pins(ROOT / "benchmarks/requirements.txt"))
