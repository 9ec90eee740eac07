"""Transformers for what tables hold and estimators do not take: nullable types, dates, categories of any type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.feature_extraction.text import HashingVectorizer

CYCLES = {
    "quarter": 4.0,
    "month": 12.0,
    "week": 52.1775,
    "day": 31.0,
    "weekday": 7.0,
    "dayofyear": 365.2425,
    "hour": 24.0,
    "minute": 60.0,
}
"""Part of a date -> how many until it comes round again."""
_DAY_S = 86_400.0
_OPERATIONS: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "product": lambda values: np.prod(values, axis=1),
    "sum": lambda values: np.sum(values, axis=1),
    "difference": lambda values: values[:, 0] - values[:, 1],
    "ratio": lambda values: values[:, 0] / values[:, 1],
}


class ToNumbers(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Columns as float64, NaN where there is no value; infinities count as none."""

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803
        frame = pd.DataFrame(X)
        self.n_features_in_ = frame.shape[1]
        self.feature_names_in_ = np.array([str(name) for name in frame.columns], dtype=object)
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        frame = pd.DataFrame(X)
        columns = [_numbers(frame.iloc[:, i]) for i in range(frame.shape[1])]
        return np.column_stack(columns) if columns else np.empty((len(frame), 0))


class ToLabels(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Columns as text, NaN where there is no value. 1, 1.0 and True are told apart by their type alone."""

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803
        frame = pd.DataFrame(X)
        self.n_features_in_ = frame.shape[1]
        self.feature_names_in_ = np.array([str(name) for name in frame.columns], dtype=object)
        return self

    def transform(self, X: Any) -> NDArray[np.object_]:  # noqa: N803
        frame = pd.DataFrame(X)
        found = np.empty(frame.shape, dtype=object)
        for i in range(frame.shape[1]):
            found[:, i] = _labels(frame.iloc[:, i])
        return found


class ToText(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """One column as a list of texts, empty where there is no value: what vectorizers take."""

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803
        self.fitted_ = True
        return self

    def transform(self, X: Any) -> NDArray[np.object_]:  # noqa: N803
        column = X.iloc[:, 0] if isinstance(X, pd.DataFrame) else pd.Series(np.asarray(X).ravel())
        return np.asarray(column.astype(object).where(column.notna(), "").astype(str), dtype=object)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """The one column."""
        return np.array(["text"] if input_features is None else input_features, dtype=object)


class HashedWords(HashingVectorizer):  # type: ignore[misc]
    """scikit-learn's hashing of words, with names for its places."""

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Numbers of the places."""
        return np.array([str(i) for i in range(self.n_features)], dtype=object)


class Prefixed(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Values as they are, under names that say which column they come from."""

    def __init__(self, prefix: str = "feature") -> None:
        self.prefix = prefix

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: Any) -> Any:  # noqa: N803
        return X

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """The column, and the word, place or component."""
        names = range(self.n_features_in_) if input_features is None else input_features
        return np.array([f"{self.prefix}_{name}" for name in names], dtype=object)


class DateParts(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Parts of a date as numbers, NaN where there is none; parts that come round again as sine and cosine."""

    def __init__(self, parts: tuple[str, ...] = ("year", "month"), cyclic: bool = True) -> None:
        self.parts = parts
        self.cyclic = cyclic

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803
        frame = pd.DataFrame(X)
        self.feature_names_in_ = np.array([str(name) for name in frame.columns], dtype=object)
        earliest = [_times(frame.iloc[:, i]).min() for i in range(frame.shape[1])]
        known = [one for one in earliest if not pd.isna(one)]
        self.origin_ = min(known).isoformat() if known else "1970-01-01T00:00:00"
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        frame = pd.DataFrame(X)
        columns = [
            values
            for i in range(frame.shape[1])
            for part in self.parts
            for values in self._part(frame.iloc[:, i], part)
        ]
        return np.column_stack(columns) if columns else np.empty((len(frame), 0))

    def _part(self, column: pd.Series, part: str) -> list[NDArray[np.float64]]:
        times = _times(column)
        values = _part_of(times, part, pd.Timestamp(self.origin_))
        if not self.cyclic or part not in CYCLES:
            return [values]
        angle = 2 * np.pi * values / CYCLES[part]
        return [np.sin(angle), np.cos(angle)]

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Name of the column, and the part."""
        names = self.feature_names_in_ if input_features is None else input_features
        ends = [
            end
            for part in self.parts
            for end in ((f"{part}_sin", f"{part}_cos") if self.cyclic and part in CYCLES else (part,))
        ]
        return np.array([f"{name}_{end}" for name in names for end in ends], dtype=object)


class Frequencies(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Each value as its share of the training rows; 0 for one that was not there."""

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803
        frame = pd.DataFrame(X)
        self.n_features_in_ = frame.shape[1]
        self.feature_names_in_ = np.array([str(name) for name in frame.columns], dtype=object)
        self.shares_ = [frame.iloc[:, i].value_counts(normalize=True).to_dict() for i in range(frame.shape[1])]
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        frame = pd.DataFrame(X)
        columns = [frame.iloc[:, i].map(shares).fillna(0.0).to_numpy(float) for i, shares in enumerate(self.shares_)]
        return np.column_stack(columns)


class Interact(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Several number columns as one."""

    def __init__(self, name: str = "interaction", operation: str = "product") -> None:
        self.name = name
        self.operation = operation

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803
        self.fitted_ = True
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        values = ToNumbers().fit(X).transform(X)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            made = _OPERATIONS[self.operation](values)
        return np.where(np.isfinite(made), made, np.nan).reshape(-1, 1)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """The one name."""
        return np.array([self.name], dtype=object)


def _numbers(column: pd.Series) -> NDArray[np.float64]:
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        raise ValueError(f"column {column.name!r} holds dates; give it a DatetimeFeatureSpec")
    try:
        values = pd.to_numeric(column, errors="raise")
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"column {column.name!r} is to be numeric, but holds other values ({error}); give it a"
            " CategoricalFeatureSpec or a TextFeatureSpec, or clean it"
        ) from error
    found: NDArray[np.float64] = values.astype("Float64").to_numpy(dtype=float, na_value=np.nan)
    return np.where(np.isfinite(found), found, np.nan)


def _labels(column: pd.Series) -> NDArray[np.object_]:
    values = column.astype(object)
    known = values.where(values.notna(), np.nan)
    if pd.api.types.infer_dtype(known, skipna=True) != "string":  # text is what it is; to ask each cell takes long
        known = known.map(_text, na_action="ignore")
    return np.asarray(known, dtype=object)


def _text(value: object) -> str:
    # A column of whole numbers that has gaps arrives as floats: 3.0 is the label 3.
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _times(column: pd.Series) -> pd.Series:
    try:
        return pd.to_datetime(column, utc=True).dt.tz_localize(None)
    except (ValueError, TypeError) as error:
        raise ValueError(f"column {column.name!r} is to be a date, but holds other values: {error}") from error


def _part_of(times: pd.Series, part: str, origin: pd.Timestamp) -> NDArray[np.float64]:
    if part == "elapsed_days":
        return np.asarray((times - origin).dt.total_seconds() / _DAY_S, dtype=float)
    if part == "is_weekend":
        found = (times.dt.weekday >= 5).astype(float).where(times.notna())
    elif part == "week":
        found = times.dt.isocalendar().week
    else:
        found = getattr(times.dt, part)
    return np.asarray(found.astype("Float64").to_numpy(dtype=float, na_value=np.nan))
