"""How a model is judged: which rows it may learn from, and which it is tried on."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, model_validator

from raypipe.ml.specs.base import Spec

Strategy = Literal[
    "auto",
    "cross_validation",
    "kfold",
    "stratified",
    "group",
    "stratified_group",
    "time",
    "purged",
    "repeated",
    "nested",
    "predefined",
    "train_test",
    "none",
]
RANDOM: frozenset[Strategy] = frozenset({"kfold", "stratified", "repeated"})
"""Strategies that deal rows at random; refused where rows belong together or follow each other."""
WITHOUT_FOLDS: frozenset[Strategy] = frozenset({"train_test", "none"})
"""Strategies that judge on no folds."""
GROUPED: frozenset[Strategy] = frozenset({"group", "stratified_group"})
"""Strategies that deal groups at random; refused where rows follow each other."""


class ValidationSpec(Spec):
    """Rows to learn from and rows to be tried on.

    A group column says which rows belong together (a person, a machine): they never stand on both sides. A time column
    says which rows come first: a model never learns from what comes after. Where either is named, a split at random is
    refused, since its score would be that of rows already known.
    """

    strategy: Strategy = "auto"
    """auto: by time or group where these are named, else stratified or kfold. cross_validation and train_test, names of
    the older system, do the same within folds and with one split."""
    n_splits: Annotated[int, Field(ge=2)] = 5
    n_repeats: Annotated[int, Field(ge=1)] = 3
    """Of `repeated`."""
    inner_splits: Annotated[int, Field(ge=2)] = 3
    """Folds of the search inside each fold of `nested`, and of any search."""
    test_size: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of rows, or of groups, or the latest rows, that stay untouched until the end."""
    shuffle: bool = True
    group_column: str | None = None
    time_column: str | None = None
    gap: NonNegativeInt = 0
    """`time`: rows left out between training and test."""
    window: NonNegativeInt | None = None
    """`time`: at most so many rows to learn from, the latest; None: all that come before."""
    horizon_days: NonNegativeFloat = 0.0
    """`purged`: days after its time that a row's target looks at; rows whose target reaches into the test are left
    out."""
    embargo_days: NonNegativeFloat = 0.0
    """`purged`: days after the test whose rows are left out too."""
    fold_column: str | None = None
    """`predefined`: column with the number of the fold of each row; -1 is always learnt from."""

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        needs = {
            "group": ("group_column",),
            "stratified_group": ("group_column",),
            "time": ("time_column",),
            "purged": ("time_column",),
            "predefined": ("fold_column",),
        }
        for name in needs.get(self.strategy, ()):
            if getattr(self, name) is None:
                raise ValueError(f"strategy {self.strategy!r} needs {name}")
        tied = "group" if self.group_column else "time" if self.time_column else None
        if self.strategy in RANDOM and tied:
            raise ValueError(
                f"strategy {self.strategy!r} deals rows at random, but {tied}_column is"
                f" {self.group_column or self.time_column!r}: rows that hang together would stand on both sides, and"
                f" the score would be too good; use strategy {'time' if self.time_column else 'group'!r} or 'auto'"
            )
        if self.strategy in GROUPED and self.time_column:
            raise ValueError(
                f"strategy {self.strategy!r} deals groups at random, but time_column is {self.time_column!r}: a model"
                " would learn from what comes after; use strategy 'time' or 'auto', which keep groups apart too, or"
                " leave time_column out"
            )
        return self
