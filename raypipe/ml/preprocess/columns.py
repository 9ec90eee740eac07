"""From feature specs to one scikit-learn transformer, and from a table to specs where none were given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)

from raypipe.errors import ConfigError
from raypipe.ml.data import to_table
from raypipe.ml.preprocess.cells import (
    DateParts,
    Frequencies,
    HashedWords,
    Interact,
    Prefixed,
    ToLabels,
    ToNumbers,
    ToText,
)
from raypipe.ml.specs.features import (
    CategoricalFeatureSpec,
    DatetimeFeatureSpec,
    FeatureSpec,
    InteractionFeatureSpec,
    NumericFeatureSpec,
    TextFeatureSpec,
)
from raypipe.ml.specs.models import Task

MAX_ONEHOT = 20
"""Distinct values up to which an automatic spec gives each a column; above, the target's mean stands for them."""
MIN_PROSE_WORDS = 4
"""Mean number of words from which text is prose rather than a category."""
MAX_ID_SHARE = 0.9
"""Distinct values per row above which text names rows and tells a model nothing."""


class TableTransformer(ColumnTransformer):  # type: ignore[misc]
    """The features of any table that a model can be learnt from; columns of an array are known by their places."""

    def transform(self, X: Any, **params: Any) -> Any:  # noqa: N803
        """Features of rows."""
        return super().transform(self._named(X), **params)

    def _named(self, rows: Any) -> pd.DataFrame:
        if isinstance(rows, pd.DataFrame) and all(isinstance(name, str) for name in rows.columns):
            return rows
        table = to_table(rows, "rows to predict")
        if isinstance(rows, np.ndarray):
            names = list(self.feature_names_in_)
            if table.shape[1] != len(names):
                raise ConfigError(f"rows to predict: got {table.shape[1]} columns; the model learnt from {len(names)}")
            table.columns = names
        return table


def make_preprocessor(
    specs: Sequence[FeatureSpec], seed: int, keep_missing: bool = False, task: Task = "classification"
) -> TableTransformer:
    """The unfitted transformer of all features that are enabled.

    Parameters
    ----------
    specs : sequence of FeatureSpec
        Columns that none of them names are left out. Those of which the same is wanted share a step, which has the
        number of the first: f0, f3 …
    seed : int
        Of what is drawn (cross-fitting of target encoders, quantiles, SVD).
    keep_missing : bool, default False
        The estimator learns from cells without a value: they are left to it where a spec does not say how to fill them.
    task : {"classification", "regression"}
        What target encoders take the target for: whole numbers look like classes.
    """
    used = [spec for spec in specs if spec.enabled]
    if not used:
        raise ConfigError("features: none is enabled; a model needs at least one")
    names = [spec.feature_name for spec in used]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"features: {twice!r} is named twice; give one of them another feature_name and a column")
    steps = [(f"f{i}", _one(spec, (seed, task), keep_missing), places) for i, spec, places in _alike(used)]
    return TableTransformer(steps, remainder="drop", sparse_threshold=0.3, verbose_feature_names_out=False)


def _alike(specs: Sequence[FeatureSpec]) -> list[tuple[int, FeatureSpec, list[str | int]]]:
    """Number and spec of the first of each step, and the columns of all: a step costs more than most columns do."""
    found: dict[tuple[Any, ...], tuple[int, FeatureSpec, list[str | int]]] = {}
    for i, spec in enumerate(specs):
        places = _places(spec)
        key = (_wanted(spec), type(places[0])) if _takes_others(spec) else (i,)
        if key in found and places[0] in found[key][2]:
            key = (i,)
        if key in found:
            found[key][2].extend(places)
        else:
            found[key] = (i, spec, places)
    return list(found.values())


def _takes_others(spec: FeatureSpec) -> bool:
    """Whether a step gives for each of many columns what it would give for that column alone, and in their order."""
    if isinstance(spec, NumericFeatureSpec):
        return not spec.missing_indicator and _scaler_of(spec) != "quantile"
    return isinstance(spec, CategoricalFeatureSpec)


def _wanted(spec: FeatureSpec) -> str:
    """All that a spec says but which column it speaks of."""
    return spec.model_dump_json(exclude={"feature_name", "column", "description", "metadata"})


def _places(spec: FeatureSpec) -> list[str | int]:
    return list(spec.columns) if isinstance(spec, InteractionFeatureSpec) else [spec.place]


def _one(spec: FeatureSpec, how: tuple[int, Task], keep_missing: bool) -> Pipeline:
    seed, task = how
    if isinstance(spec, NumericFeatureSpec):
        return Pipeline([("numbers", ToNumbers()), *_fill(spec, keep_missing), *_scale(_scaler_of(spec), seed)])
    if isinstance(spec, CategoricalFeatureSpec):
        return Pipeline(_categories(spec, seed, task))
    if isinstance(spec, DatetimeFeatureSpec):
        fill = [] if keep_missing else [("fill", SimpleImputer(strategy="median", keep_empty_features=True))]
        parts = ("parts", DateParts(spec.parts, spec.cyclic))
        return Pipeline([parts, *fill, *([] if keep_missing else _scale("standard", seed))])
    if isinstance(spec, TextFeatureSpec):
        return Pipeline(_words(spec, seed))
    made = ("make", Interact(spec.feature_name, spec.operation))
    fill = [] if keep_missing else [("fill", SimpleImputer(strategy="median", keep_empty_features=True))]
    return Pipeline([made, *fill, *_scale(spec.scaler_type, seed)])


def _fill(spec: NumericFeatureSpec, keep_missing: bool) -> list[tuple[str, Any]]:
    auto = spec.imputer_strategy == "auto"
    if not spec.imputer_enabled or (auto and keep_missing):
        return []
    imputer = SimpleImputer(
        strategy="median" if auto else spec.imputer_strategy,
        fill_value=spec.imputer_fill_value,
        add_indicator=spec.missing_indicator,
        keep_empty_features=True,
    )
    return [("fill", imputer)]


def _scaler_of(spec: NumericFeatureSpec) -> str:
    return spec.scaler_type if spec.scaler_enabled else "none"


def _scale(kind: str, seed: int) -> list[tuple[str, Any]]:
    if kind == "none":
        return []
    made: dict[str, Any] = {
        "standard": StandardScaler(),
        "robust": RobustScaler(),
        "minmax": MinMaxScaler(),
        "quantile": QuantileTransformer(n_quantiles=200, output_distribution="normal", random_state=seed),
    }
    return [("scale", made[kind])]


def _categories(spec: CategoricalFeatureSpec, seed: int, task: Task) -> list[tuple[str, Any]]:
    encoder = spec.encoder_type if spec.encoder_enabled else "none"
    if encoder == "none":
        return [("numbers", ToNumbers()), *_fill_category(spec, numbers=True)]
    rare = spec.max_categories is not None or spec.min_frequency is not None
    made: dict[str, Any] = {
        "onehot": OneHotEncoder(
            handle_unknown="infrequent_if_exist" if rare else "ignore",
            drop="first" if spec.drop_first else None,
            max_categories=spec.max_categories,
            min_frequency=spec.min_frequency,
            sparse_output=False,
        ),
        "ordinal": OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1),
        "target": TargetEncoder(
            target_type="continuous" if task == "regression" else "auto",
            cv=KFold(5, shuffle=True, random_state=seed),
        ),
        "frequency": Frequencies(),
    }
    return [("labels", ToLabels()), *_fill_category(spec, numbers=False), ("encode", made[encoder])]


def _fill_category(spec: CategoricalFeatureSpec, numbers: bool) -> list[tuple[str, Any]]:
    if not spec.imputer_enabled:
        return []
    value = spec.imputer_fill_value
    filler = value if numbers or value is None else str(value)
    return [("fill", SimpleImputer(strategy=spec.imputer_strategy, fill_value=filler, keep_empty_features=True))]


def _words(spec: TextFeatureSpec, seed: int) -> list[tuple[str, Any]]:
    settings = {"lowercase": spec.lowercase, "ngram_range": spec.ngram_range}
    if spec.vectorizer == "tfidf":
        counts: Any = TfidfVectorizer(max_features=spec.max_features, sublinear_tf=True, **settings)
    else:
        counts = HashedWords(n_features=spec.max_features, alternate_sign=False, **settings)
    less = min(spec.components or 0, spec.max_features - 1)
    reduce = [("reduce", TruncatedSVD(n_components=less, random_state=seed))] if less else []
    return [("text", ToText()), ("count", counts), *reduce, ("name", Prefixed(spec.feature_name))]


def specs_for(table: pd.DataFrame, leave: Sequence[str] = ()) -> tuple[list[FeatureSpec], dict[str, str]]:
    """Specs of every column that can tell a model something, and why each other is left out.

    Parameters
    ----------
    table : pd.DataFrame
        The training rows alone: what is decided here must not come from rows that a model is tried on.
    leave : sequence of str
        Columns that take no part: target, groups, times.
    """
    specs: list[FeatureSpec] = []
    left: dict[str, str] = {}
    for name in table.columns:
        if name in leave:
            continue
        made = _spec_for(str(name), table[name])
        if isinstance(made, str):
            left[str(name)] = made
        else:
            specs.append(made)
    return specs, left


def _spec_for(name: str, column: pd.Series) -> FeatureSpec | str:
    present = column.dropna()
    if present.empty:
        return "it holds no value"
    distinct = present.map(str).nunique() if present.dtype == object else present.nunique()
    if distinct == 1 and len(present) == len(column):
        return "it holds one value alone"
    kind = column.dtype
    if pd.api.types.is_datetime64_any_dtype(kind):
        return DatetimeFeatureSpec(feature_name=name)
    if pd.api.types.is_bool_dtype(kind):
        return CategoricalFeatureSpec(feature_name=name, imputer_enabled=False, max_categories=None)
    if pd.api.types.is_numeric_dtype(kind):
        return NumericFeatureSpec(feature_name=name, imputer_strategy="auto")
    words = present.astype(str).str.count(r"\S+").mean()
    if distinct > MAX_ONEHOT and words >= MIN_PROSE_WORDS:
        return TextFeatureSpec(feature_name=name)
    if distinct > MAX_ID_SHARE * len(present) and len(present) >= 50:
        return f"{distinct:,} of its {len(present):,} values are different: it names rows"
    encoder: Literal["onehot", "target"] = "onehot" if distinct <= MAX_ONEHOT else "target"
    # The values are few, as was just seen: a bound on them would have scikit-learn count each cell in vain.
    return CategoricalFeatureSpec(feature_name=name, encoder_type=encoder, imputer_enabled=False, max_categories=None)
