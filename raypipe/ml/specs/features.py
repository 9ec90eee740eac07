"""Features: which column, and what is made of it before a model sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from raypipe.ml.specs.base import Spec

Name = Annotated[str, Field(min_length=1)]


class _ColumnSpec(Spec):
    """One column."""

    feature_name: Name
    """Name of the column, unless `column` or `metadata["column_index"]` says where it stands."""
    column: str | NonNegativeInt | None = None
    """Its name or its place from 0, where that is not `feature_name`."""

    @property
    def place(self) -> str | int:
        """Name or position of the column."""
        if self.column is not None:
            return self.column
        index = self.metadata.get("column_index")
        return index if isinstance(index, int) and not isinstance(index, bool) else self.feature_name

    @model_validator(mode="after")
    def _index_is_a_number(self) -> Self:
        index = self.metadata.get("column_index")
        if index is not None and (isinstance(index, bool) or not isinstance(index, int) or index < 0):
            raise ValueError(f"metadata column_index is {index!r}; wanted a position from 0")
        return self


class NumericFeatureSpec(_ColumnSpec):
    """A number: gaps filled, then scaled."""

    kind: Literal["numeric"] = "numeric"
    imputer_strategy: Literal["mean", "median", "constant", "auto"] = "mean"
    """auto: gaps are left to an estimator that learns from them, and filled with the median for others."""
    imputer_fill_value: float | None = None
    """Wanted by `constant`."""
    imputer_enabled: bool = True
    missing_indicator: bool = False
    """A further feature says where a value was missing."""
    scaler_type: Literal["standard", "robust", "minmax", "quantile", "none"] = "standard"
    """robust: median and quartiles; quantile: ranks, spread as a normal distribution."""
    scaler_enabled: bool = True

    @model_validator(mode="after")
    def _constant_has_a_value(self) -> Self:
        if self.imputer_enabled and self.imputer_strategy == "constant" and self.imputer_fill_value is None:
            raise ValueError("imputer_strategy 'constant' needs imputer_fill_value")
        return self


class CategoricalFeatureSpec(_ColumnSpec):
    """One of a few values, of any type: gaps filled, then made numbers."""

    kind: Literal["categorical"] = "categorical"
    imputer_strategy: Literal["most_frequent", "constant"] = "most_frequent"
    imputer_fill_value: str | float | bool | None = None
    """Wanted by `constant`."""
    imputer_enabled: bool = True
    encoder_type: Literal["onehot", "ordinal", "target", "frequency", "none"] = "onehot"
    """target: the mean of the target, cross-fitted so that no row sees its own; frequency: share of the rows; none:
    numbers as they are."""
    encoder_enabled: bool = True
    max_categories: PositiveInt | None = 50
    """onehot: the most frequent get a column each, the others one together."""
    min_frequency: PositiveInt | None = None
    """onehot: values seen less often go together."""
    drop_first: bool = False
    """onehot: no column for the first value, as linear models without a penalty want it."""

    @model_validator(mode="after")
    def _constant_has_a_value(self) -> Self:
        if self.imputer_enabled and self.imputer_strategy == "constant" and self.imputer_fill_value is None:
            raise ValueError("imputer_strategy 'constant' needs imputer_fill_value")
        return self


DatePart = Literal[
    "year", "quarter", "month", "week", "day", "weekday", "dayofyear", "hour", "minute", "is_weekend", "elapsed_days"
]


class DatetimeFeatureSpec(_ColumnSpec):
    """A date or time: its parts as numbers."""

    kind: Literal["datetime"] = "datetime"
    parts: tuple[DatePart, ...] = ("year", "month", "weekday", "hour", "elapsed_days")
    """elapsed_days: days since the earliest date of the training rows."""
    cyclic: bool = True
    """Parts that come round again (month, weekday, hour …) as sine and cosine, so that December is next to January."""


class TextFeatureSpec(_ColumnSpec):
    """Free text: how often which words stand in it."""

    kind: Literal["text"] = "text"
    vectorizer: Literal["tfidf", "hashing"] = "tfidf"
    max_features: PositiveInt = 2_000
    """Words (tfidf) or places (hashing)."""
    ngram_range: tuple[PositiveInt, PositiveInt] = (1, 2)
    components: PositiveInt | None = 50
    """Dimensions that the counts are brought down to (truncated SVD); None keeps them sparse."""
    lowercase: bool = True

    @model_validator(mode="after")
    def _range_rises(self) -> Self:
        if self.ngram_range[0] > self.ngram_range[1]:
            raise ValueError(f"ngram_range is {self.ngram_range}; wanted the smaller number first")
        return self


class InteractionFeatureSpec(Spec):
    """Several number columns as one."""

    kind: Literal["interaction"] = "interaction"
    feature_name: Name
    """Name of the feature that is made."""
    columns: tuple[str | NonNegativeInt, ...] = Field(min_length=2)
    operation: Literal["product", "sum", "difference", "ratio"] = "product"
    """difference and ratio take two columns; a ratio by 0 is missing, and filled as others."""
    scaler_type: Literal["standard", "robust", "minmax", "quantile", "none"] = "standard"

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        if self.operation in ("difference", "ratio") and len(self.columns) != 2:
            raise ValueError(f"operation {self.operation!r} takes two columns; got {len(self.columns)}")
        return self


FeatureSpec = Annotated[
    NumericFeatureSpec | CategoricalFeatureSpec | DatetimeFeatureSpec | TextFeatureSpec | InteractionFeatureSpec,
    Field(discriminator="kind"),
]


class FeatureSelectionSpec(Spec):
    """Which of the features take part."""

    selection_mode: Literal["all", "indices", "names"] = "all"
    feature_indices: tuple[NonNegativeInt, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    exclude_features: tuple[str, ...] = ()
    max_features: PositiveInt | None = None
    """The first so many."""

    @model_validator(mode="after")
    def _mode_has_its_list(self) -> Self:
        if self.selection_mode == "indices" and not self.feature_indices:
            raise ValueError("selection_mode 'indices' needs feature_indices")
        if self.selection_mode == "names" and not self.feature_names:
            raise ValueError("selection_mode 'names' needs feature_names")
        return self

    def get_selected_features(self, features: Sequence[str]) -> list[str]:
        """The names that take part, in the order of `features`.

        Raises
        ------
        ValueError
            A name or a position that is not there.
        """
        known = list(features)
        if self.selection_mode == "indices":
            beyond = [index for index in self.feature_indices or () if index >= len(known)]
            if beyond:
                raise ValueError(f"feature selection: got index {beyond[0]}; there are {len(known)} features")
            known = [known[index] for index in sorted(set(self.feature_indices or ()))]
        elif self.selection_mode == "names":
            missing = [name for name in self.feature_names or () if name not in known]
            if missing:
                raise ValueError(f"feature selection: there is no feature {missing[0]!r}; there are {known}")
            wanted = set(self.feature_names or ())
            known = [name for name in known if name in wanted]
        unknown = [name for name in self.exclude_features if name not in features]
        if unknown:
            raise ValueError(
                f"feature selection: excludes {unknown[0]!r}, which is no feature; there are {list(features)}"
            )
        kept = [name for name in known if name not in self.exclude_features]
        return kept[: self.max_features] if self.max_features else kept
