"""The rows that a model learns from, from whatever a user holds them in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from raypipe.errors import ConfigError, MissingColumnsError
from raypipe.ml.specs.models import Task

MAX_CLASSES = 100
"""Distinct labels above which a target is no set of classes, unless the spec says so."""
MAX_EXACT = 2**53
"""Whole numbers below this are exact as floats."""
MAX_WHOLE_CLASSES = 20
"""Distinct whole numbers up to which they are taken for classes."""


@dataclass(frozen=True)
class TrainingData:
    """Features and target, row by row. Rows without a target are gone, and counted."""

    X: pd.DataFrame
    y: NDArray[Any]
    target: str = "target"
    task: Task = "classification"
    groups: NDArray[Any] | None = None
    """Which rows belong together."""
    times: NDArray[np.datetime64] | None = None
    folds: NDArray[np.int64] | None = None
    dropped: int = 0
    """Rows without a target."""
    notes: tuple[str, ...] = field(default=())

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.y)

    @cached_property
    def classes(self) -> NDArray[Any]:
        """Labels in their order."""
        return np.unique(self.y)

    def take(self, places: NDArray[np.int64]) -> TrainingData:
        """The rows at these places."""
        return replace(
            self,
            X=self.X.iloc[places],
            y=self.y[places],
            groups=None if self.groups is None else self.groups[places],
            times=None if self.times is None else self.times[places],
            folds=None if self.folds is None else self.folds[places],
        )


def to_table(values: Any, who: str = "X") -> pd.DataFrame:
    """Any frame as a pandas one, with its rows numbered from 0 and its columns named by text.

    Parameters
    ----------
    values : DataFrame of pandas, polars or Modin, pa.Table, Frame, Ray Dataset, 2-D array, or list of rows
        An array's columns are called feature_0, feature_1 …

    Raises
    ------
    ConfigError
        It is nothing of these, is empty, or has a name twice.
    """
    table = _as_pandas(values, who)
    if table.ndim != 2 or table.shape[1] == 0:
        raise ConfigError(f"{who}: got a table without columns; wanted features")
    if len(table) == 0:
        raise ConfigError(f"{who}: got no rows; wanted some to learn from")
    table = table.reset_index(drop=True)
    table.columns = [str(name) for name in table.columns]
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise ConfigError(f"{who}: has the column {twice[0]!r} twice; rename one of them")
    return table


def _as_pandas(values: Any, who: str) -> pd.DataFrame:
    if isinstance(values, pd.DataFrame):
        return values
    if values is None or isinstance(values, str | bytes | dict):
        raise ConfigError(
            f"{who}: got {type(values).__name__}; wanted a table: pandas, polars, Arrow, a Frame or an array"
        )
    if isinstance(values, pa.Table):
        return _from_arrow(values)
    for name in ("to_pandas", "_to_pandas"):
        convert = getattr(values, name, None)
        if callable(convert):
            return convert()
    array = values if isinstance(values, np.ndarray) else _array(values, who)
    if array.ndim != 2:
        raise ConfigError(f"{who}: got an array of {array.ndim} dimensions; wanted 2, rows by features")
    return pd.DataFrame(array, columns=[f"feature_{i}" for i in range(array.shape[1])]).infer_objects()


def _from_arrow(table: pa.Table) -> pd.DataFrame:
    """With dates as times and decimals as numbers, which pandas would hold as objects of Python."""
    kinds = [pa.float64() if pa.types.is_decimal(one.type) else one.type for one in table.schema]
    fields = [one.with_type(kind) for one, kind in zip(table.schema, kinds, strict=True)]
    return table.cast(pa.schema(fields)).to_pandas(date_as_object=False)


def _array(values: Any, who: str) -> NDArray[Any]:
    try:
        return np.asarray(list(values), dtype=object)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{who}: got {type(values).__name__}, which is no table: {error}") from error


def to_target(values: Any, who: str = "y") -> NDArray[Any]:
    """Any column as a 1-D array of its own type; text as objects, None and NaN as None or NaN."""
    if hasattr(values, "to_pandas"):
        values = values.to_pandas()
    elif hasattr(values, "_to_pandas"):
        values = values._to_pandas()
    if isinstance(values, pd.DataFrame):
        if values.shape[1] != 1:
            raise ConfigError(f"{who}: got {values.shape[1]} columns; wanted one")
        values = values.iloc[:, 0]
    if isinstance(values, np.ndarray) and values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if isinstance(values, np.ndarray) and values.ndim != 1:
        raise ConfigError(f"{who}: got an array of {values.ndim} dimensions; wanted one value a row")
    if values is None or isinstance(values, dict) or not hasattr(values, "__len__"):
        raise ConfigError(f"{who}: got {type(values).__name__}; wanted one value a row, or the name of a column")
    column = pd.Series(values) if not isinstance(values, pd.Series) else values.reset_index(drop=True)
    return _plain(column)


def _plain(column: pd.Series) -> NDArray[Any]:
    """Without pandas' own types, which estimators do not take."""
    kind = column.dtype
    if isinstance(kind, pd.CategoricalDtype):
        return _plain(column.astype(kind.categories.dtype if not column.isna().any() else object))
    if pd.api.types.is_bool_dtype(kind) and not column.isna().any():
        return np.asarray(column, dtype=bool)
    if pd.api.types.is_integer_dtype(kind) and not column.isna().any():
        return np.asarray(column, dtype=np.int64)
    if pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind):
        return np.asarray(column.to_numpy(dtype=float, na_value=np.nan))
    return np.asarray(column.astype(object), dtype=object)


def training_data(
    X: Any,  # noqa: N803
    y: Any,
    task: Task | None = None,
    columns: Sequence[str | None] = (None, None, None),
    names: tuple[str, str] = ("X", "y"),
) -> TrainingData:
    """Features and target as they are learnt from.

    Parameters
    ----------
    X : table
        See `to_table`.
    y : column, or str
        The target, or the name of the column of `X` that holds it.
    task : {"classification", "regression"}, optional
        None: classes where the labels are text, booleans or few whole numbers, else numbers.
    columns : group, time and fold column
        Columns of `X` that say how rows may be split. Groups and folds are no features.
    names : names of `X` and `y`
        As errors call them.
    """
    table = to_table(X, names[0])
    target = y if isinstance(y, str) else "target"
    if isinstance(y, str):
        _require(table, "target", y)
        values, table = to_target(table[y]), table.drop(columns=[y])
    else:
        values = to_target(y, names[1])
    if len(values) != len(table):
        raise ConfigError(
            f"{names[1]} has {len(values):,} values, {names[0]} {len(table):,} rows; wanted one value a row"
        )
    group, time, fold = columns
    for what, name in (("group_column", group), ("time_column", time), ("fold_column", fold)):
        if name is not None:
            _require(table, what, name)
    known = ~pd.isna(values) & ~_infinite(values)
    if not known.any():
        raise ConfigError(f"target {target!r}: no row has a value; wanted some to learn from")
    kept, values = table[known].reset_index(drop=True), _narrowed(values[known])
    groups = None if group is None else _group_codes(kept, group)
    times = None if time is None else _times(kept, time)
    folds = None if fold is None else _fold_numbers(kept, fold)
    kept = kept.drop(columns=[name for name in (group, fold) if name is not None])
    found = task or task_of(values)
    dropped = int((~known).sum())
    notes = (f"{dropped:,} rows without a value of the target are left out",) if dropped else ()
    return TrainingData(
        X=kept, y=_of_task(values, found, target), target=target, task=found, groups=groups, times=times, folds=folds,
        dropped=dropped, notes=notes,
    )  # fmt: skip


def _narrowed(values: NDArray[Any]) -> NDArray[Any]:
    """Objects of one kind as that kind, which gaps among them had hidden: estimators learn from no others but text."""
    if values.dtype != object:
        return values
    kinds = {type(value.item() if isinstance(value, np.generic) else value) for value in values}
    if kinds == {bool}:
        return values.astype(bool)
    if kinds and kinds <= {int, float}:
        as_numbers = values.astype(float)
        whole = kinds == {int} and bool(np.all(np.abs(as_numbers) < MAX_EXACT))
        return values.astype(np.int64) if whole else as_numbers
    return values


def shown(label: Any) -> str:
    """A label as a user has written it, without the type of an array."""
    return repr(label.item() if isinstance(label, np.generic) else label)


def task_of(values: NDArray[Any]) -> Task:
    """What a target asks for: classes of text, booleans or few whole numbers, else numbers."""
    if values.dtype == object or values.dtype == bool:
        return "classification"
    whole = bool(np.all(values == np.round(values)))
    return "classification" if whole and len(np.unique(values)) <= MAX_WHOLE_CLASSES else "regression"


def _of_task(values: NDArray[Any], task: Task, target: str) -> NDArray[Any]:
    if task == "regression":
        try:
            return values.astype(float)
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"target {target!r} holds {shown(values[0])}, which is no number; regression wants numbers: use a"
                " ClassifierModelSpec for classes"
            ) from error
    if values.dtype == object:
        kinds = {type(value) for value in values}
        values = values if kinds == {str} else np.array([str(value) for value in values], dtype=object)
    count = len(np.unique(values))
    if count < 2:
        raise ConfigError(f"target {target!r}: every row has the class {shown(values[0])}; wanted two classes or more")
    if count > max(MAX_CLASSES, 0) and count > len(values) // 5:
        raise ConfigError(
            f"target {target!r} has {count:,} different values in {len(values):,} rows; classes repeat: use a"
            " RegressorModelSpec for numbers, or name another target"
        )
    if values.dtype == float and np.all(values == np.round(values)):
        return values.astype(np.int64)
    return values


def _infinite(values: NDArray[Any]) -> NDArray[np.bool_]:
    return np.isinf(values) if values.dtype == float else np.zeros(len(values), bool)


def _require(table: pd.DataFrame, what: str, name: str) -> None:
    if name not in table.columns:
        raise MissingColumnsError(what, [name], list(table.columns))


def _group_codes(table: pd.DataFrame, name: str) -> NDArray[Any]:
    column = table[name]
    if column.isna().any():
        raise ConfigError(f"group_column {name!r}: {int(column.isna().sum()):,} rows have no group; fill or drop them")
    codes, _ = pd.factorize(column, sort=False)
    return np.asarray(codes)


def _fold_numbers(table: pd.DataFrame, name: str) -> NDArray[np.int64]:
    numbers = pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    wrong = ~np.isfinite(numbers) | (numbers != np.round(numbers))
    if wrong.any():
        found = table[name][wrong].iloc[0]
        raise ConfigError(
            f"fold_column {name!r} holds {found!r} in {int(wrong.sum()):,} rows; wanted whole numbers: folds from 0, -1"
            " for rows always learnt from"
        )
    return np.asarray(numbers, dtype=np.int64)


def _times(table: pd.DataFrame, name: str) -> NDArray[np.datetime64]:
    column = table[name]
    try:
        numeric = pd.api.types.is_numeric_dtype(column.dtype)
        times = pd.to_datetime(column, utc=True, unit="D" if numeric else None)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"time_column {name!r} holds no times: {error}") from error
    if times.isna().any():
        raise ConfigError(f"time_column {name!r}: {int(times.isna().sum()):,} rows have no time; fill or drop them")
    return np.asarray(times.dt.tz_localize(None), dtype="datetime64[us]")
