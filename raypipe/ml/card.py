"""What is written beside a model: what it looks at, what it tells, what it was learnt from and how good it is."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field, JsonValue

import raypipe
from raypipe.config import Frozen
from raypipe.ml.data import TrainingData
from raypipe.ml.specs.features import FeatureSpec, InteractionFeatureSpec
from raypipe.ml.specs.models import Task

FILES = {"skops": "model.skops", "cloudpickle": "model.pkl"}
PACKAGES = ("scikit-learn", "skops", "numpy", "scipy", "pandas", "pyarrow", "lightgbm", "xgboost", "catboost", "torch")
EXAMPLE_ROWS = 3
SKETCH_ROWS = 256
"""Hashes that a card keeps of the rows that its model was learnt from."""


class InputColumn(Frozen):
    """A column that the model looks at."""

    name: str
    type: str
    """As Arrow calls it, in the rows that it was learnt from."""
    required: bool = False
    """Whether a row without a value of it cannot be scored."""


class ModelCard(Frozen):
    """What a model file holds, what it was learnt from, and how good it is."""

    version: Literal[1] = 1
    raypipe: str = raypipe.__version__
    name: str
    task: Task
    target: str
    labels: tuple[JsonValue, ...] | None = None
    """Classes in the order of the probabilities."""
    inputs: tuple[InputColumn, ...]
    features: tuple[dict[str, JsonValue], ...] = ()
    model: dict[str, JsonValue] = Field(default_factory=dict)
    validation_strategy: str = "none"
    metric: str | None = None
    metrics: dict[str, dict[str, JsonValue]] = Field(default_factory=dict)
    """Name -> value, 95 % interval, values of the folds, rows."""
    data: dict[str, JsonValue] = Field(default_factory=dict)
    """Rows, and the hash or the version by which they can be found again."""
    rows_sketch: tuple[str, ...] = ()
    """Hashes of some of the rows, the smallest, by which rows that were learnt from are known again."""
    reading: dict[str, JsonValue] = Field(default_factory=dict)
    """Read options under which text files have the types that the model was learnt from."""
    warnings: tuple[str, ...] = ()
    packages: dict[str, str] = Field(default_factory=dict)
    format: Literal["skops", "cloudpickle"] = "skops"
    sha256: str = ""
    """Of the model file."""

    @property
    def file(self) -> str:
        """Name of the model file."""
        return FILES[self.format]


def input_columns(table: pd.DataFrame, features: Sequence[FeatureSpec]) -> list[InputColumn]:
    """The columns that features look at, with their types, in the order of the table."""
    used: set[str] = set()
    for spec in features:
        used.update(map(str, spec.columns if isinstance(spec, InteractionFeatureSpec) else (spec.place,)))
    names = [name for name in table.columns if name in used]
    kept = table[names]
    # Pandas tries whether numbers are whole, and warns of each infinity on the way.
    floats = {name: kept[name].where(np.isfinite(kept[name])) for name in kept.select_dtypes("float").columns}
    schema = pa.Schema.from_pandas(kept.assign(**floats).convert_dtypes(dtype_backend="pyarrow"), preserve_index=False)
    return [InputColumn(name=field.name, type=str(field.type)) for field in schema]


def facts_of(data: TrainingData, features: Sequence[FeatureSpec]) -> dict[str, Any]:
    """What a result tells of the rows that a model was learnt from: its inputs, a few rows, and their hash."""
    inputs = input_columns(data.X, features)
    example = data.X[[one.name for one in inputs]].head(EXAMPLE_ROWS).reset_index(drop=True)
    facts = {"rows": data.rows, "columns": data.X.shape[1], "target": data.target, "sha256": rows_hash(data)}
    sketch = tuple(rows_sketch(data, [one.name for one in inputs]))
    return {"inputs": inputs, "input_example": example, "data": facts, "rows_sketch": sketch}


def rows_sketch(data: TrainingData, names: Sequence[str]) -> list[str]:
    """The smallest hashes of the rows, by which rows that were learnt from are known again among others (bottom-k).

    Those of the columns named and the target, in any order of rows and whatever columns stand beside them.

    References
    ----------
    Cohen and Kaplan (2007), Summarizing data using bottom-k sketches.
    """
    return [f"{value:016x}" for value in np.unique(row_hashes(data, names))[:SKETCH_ROWS]]


def row_hashes(data: TrainingData, names: Sequence[str]) -> NDArray[np.uint64]:
    """A hash of each row; numbers of any type count as numbers, all else as text."""
    told: dict[str, Any] = {f"feature:{name}": data.X[name] for name in sorted(names)}
    told["target"] = pd.Series(data.y, index=data.X.index)
    alike = {
        name: column.astype(float) if pd.api.types.is_numeric_dtype(column.dtype) else column.astype(str)
        for name, column in told.items()
    }
    return np.asarray(pd.util.hash_pandas_object(pd.DataFrame(alike), index=False).to_numpy(), dtype=np.uint64)


def rows_hash(data: TrainingData) -> str:
    """Hash of features and target, by which the same rows are known again."""
    table = data.X.assign(**{f"target:{data.target}": data.y})
    try:
        hashed = pd.util.hash_pandas_object(table, index=False)
    except TypeError:  # lists and dicts have no hash of their own
        hashed = pd.util.hash_pandas_object(table.astype(str), index=False)
    names = "\0".join(map(str, table.columns)).encode()
    return hashlib.sha256(names + hashed.to_numpy().tobytes()).hexdigest()


def rows_told(result: Mapping[str, Any]) -> dict[str, Any]:
    """The rows that a model learnt from: their number and hash, where they are from, and the versions of the views that
    a feature store gave."""
    stored = {name: result[name] for name in ("feature_versions", "feature_store_repo") if name in result}
    source = {"source": dict(result["data_source"])} if result.get("data_source") else {}
    return {**result["data"], **stored, **source}


def card_of(result: Mapping[str, Any], reading: Mapping[str, Any] | None = None) -> ModelCard:
    """The card of a workflow's result; the model file itself is not named yet."""
    example = result["input_example"]
    needed = _required(result["pipeline"], example)
    inputs = tuple(one.replace(required=one.name in needed) for one in result["inputs"])
    return ModelCard(
        name=result["model_spec"].model_name,
        task=result["task"],
        target=result["target"],
        labels=None if result["labels"] is None else tuple(result["labels"]),
        inputs=inputs,
        features=tuple(spec.to_dict() for spec in result["feature_specs"]),
        model=result["model_spec"].to_dict(),
        validation_strategy=result["validation_strategy"],
        metric=result["metric"],
        metrics={name: one.model_dump(mode="json") for name, one in result["metrics"].items()},
        data=rows_told(result),
        rows_sketch=result.get("rows_sketch", ()),
        reading=dict(reading or {}),
        warnings=tuple(result["warnings"]),
        packages=installed(),
    )


def _required(pipeline: Any, example: pd.DataFrame) -> frozenset[str]:
    """Columns without whose value a row cannot be scored: tried out, since what fills gaps may be anywhere inside."""
    needed = set()
    for name in example.columns:
        probe = example.assign(**{str(name): _emptied(example[name])})
        try:
            pipeline.predict(probe)
        except Exception:  # noqa: BLE001 - libraries raise what they like where a value is missing
            needed.add(str(name))
    return frozenset(needed)


def _emptied(column: pd.Series) -> pd.Series:
    """The column without a value, as a table that is read has it."""
    kind = column.dtype
    if pd.api.types.is_datetime64_any_dtype(kind):
        return pd.Series(pd.NaT, index=column.index, dtype=kind)
    if pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind):
        return pd.Series(np.nan, index=column.index, dtype=float)
    return pd.Series(None, index=column.index, dtype=object)


def installed() -> dict[str, str]:
    """Versions of the libraries that models are made with, those that are there."""
    found = {}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
