"""Settings of steps on categories: encodings, and rare values."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveInt, model_validator

from raypipe.config.base import Share
from raypipe.config.steps.base import ColumnSteps, NullWord, Plain

Unseen = Annotated[Literal["null", "quarantine"], NullWord]
"""What becomes of a category that the fitting did not see: null in place of a number, or the row set aside."""


class Encoding(ColumnSteps):
    """What encodings share."""

    replace_column: bool = False
    """Put the numbers in place of the column, instead of into one more."""


class EncodeLabelSettings(Encoding):
    """Number the categories in their order, from 0, in a column `<column>_encoded`."""

    step: Literal["encode_label"] = "encode_label"
    unseen: Unseen = "null"
    """A category that the fitting did not see: null, or the row goes to quarantine."""
    max_categories: PositiveInt = 100_000
    """More than this is an error."""


class EncodeOrdinalSettings(Encoding):
    """Number the categories in the order that you give, from 0, in a column `<column>_encoded`."""

    step: Literal["encode_ordinal"] = "encode_ordinal"
    order: tuple[Plain, ...] = Field(min_length=1)
    """All categories, the lowest first."""
    unseen: Unseen = "null"
    """A category that is not in `order`: null, or the row goes to quarantine."""

    @model_validator(mode="after")
    def _once(self) -> Self:
        if len({str(value) for value in self.order}) < len(self.order):
            raise ValueError("`order` names a category twice")
        return self


class EncodeOneHotSettings(ColumnSteps):
    """Replace a column by one column `<column>_<category>` of 0 and 1 for each category."""

    step: Literal["encode_one_hot"] = "encode_one_hot"
    max_categories: PositiveInt = 50
    """Columns, at most: the most frequent categories; the others share `<column>_other`."""
    drop_first: bool = False
    """Leave out the first category, which all zeros then stand for."""
    keep_column: bool = False
    """Keep the column itself, too."""


class EncodeFrequencySettings(Encoding):
    """The share of rows that have the same category, in a column `<column>_frequency`."""

    step: Literal["encode_frequency"] = "encode_frequency"
    max_categories: PositiveInt = 100_000
    """More than this is an error."""


class EncodeTargetSettings(Encoding):
    """The mean of a number over rows of the same category, in a column `<column>_target`. A row that it was fitted
    on gets the mean over the other folds, so that its own value does not leak."""

    step: Literal["encode_target"] = "encode_target"
    target: str | None = None
    """Number or boolean column; null takes `target_column`."""
    folds: int = Field(default=5, ge=2, le=100)
    """Rows fall into folds by a hash of part and row number."""
    smoothing: NonNegativeFloat = 10.0
    """Rows of the overall mean that are mixed into each category."""
    max_categories: PositiveInt = 100_000
    """More than this is an error."""


class EncodeHashSettings(Encoding):
    """The number of a bucket by a hash of the category (SHA-256, the same everywhere), in a column `<column>_hash`."""

    step: Literal["encode_hash"] = "encode_hash"
    buckets: int = Field(default=256, ge=2, le=1 << 30)
    """How many."""


class MergeRareSettings(ColumnSteps):
    """Put one value in place of rare categories."""

    step: Literal["merge_rare"] = "merge_rare"
    min_count: PositiveInt | None = None
    """Rows that a category must have to stay."""
    min_share: Share | None = None
    """Share of rows with a value that it must have to stay."""
    max_categories: PositiveInt | None = None
    """Only so many of the most frequent ones stay."""
    other: str = "other"
    """What stands for the rare ones, and for those that the fitting did not see."""

    @model_validator(mode="after")
    def _any(self) -> Self:
        if self.min_count is None and self.min_share is None and self.max_categories is None:
            raise ValueError("give `min_count`, `min_share` or `max_categories`")
        return self
