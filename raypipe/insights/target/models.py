"""What a sample of rows says of the target, beside the relations that all rows give."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from raypipe.config.base import Frozen


class Leak(Frozen):
    """A column that may give the target away."""

    columns: tuple[str, ...]
    """Usually one; several where the target is made of them."""
    kind: Literal["too_good", "derived", "future"]
    how: str
    """E.g. `strength`, `copy`, `line`, `order`, `one_to_one`, `sum`, `difference`, `product`, `ratio`, `target_mean`,
    `after_the_row`, `filled_with_target`, `filled_by_class`."""
    text: str
    """What was seen, as a sentence."""
    share: float
    """Rows for which it holds, of those where it could be looked at; for a strength, the strength."""
    rows: int
    p_value: float | None = None


class Baseline(Frozen):
    """A simple model, cross-validated."""

    model: Literal["average", "best single column", "small tree", "linear"]
    columns: tuple[str, ...] = ()
    """Those that it used, most important first, at most 5."""
    skill: float
    """Regression: R squared on rows that it did not see. Classes: share of the log loss of the class shares saved."""
    skill_folds: tuple[float, ...] = ()
    skill_std: float = 0.0
    """Standard deviation between the folds."""
    error: float | None = None
    """Regression: mean absolute error."""
    auc: float | None = None
    """Classes: area under the ROC curve, mean over classes by their rows."""
    balanced_accuracy: float | None = None


class Baselines(Frozen):
    """How far simple models come."""

    models: tuple[Baseline, ...] = ()
    split: Literal["shuffled", "time"] = "shuffled"
    rows: int = 0
    folds: int = 0
    left_out: dict[str, str] = Field(default_factory=dict)
    """Column -> why no model saw it."""
    reason: str = ""
    """Why there are none."""


class Segment(Frozen):
    """Rows in which the target differs, found on one half of the sample and confirmed on the other."""

    conditions: tuple[str, ...]
    """One or two, in words."""
    columns: tuple[str, ...]
    rows: int
    """In the half that confirmed."""
    support: float
    label: str | None = None
    """The class whose share differs; None for a number target."""
    inside: float
    """Median of the target, or share of the class, in the half that confirmed."""
    outside: float
    effect: float
    """Rank-biserial correlation, or difference of the shares."""
    interval: tuple[float, float] | None = None
    """95 % interval of the effect."""
    p_value: float
    """In the half that confirmed, after correction for all segments tried there (Benjamini-Hochberg)."""
    adds: bool = False
    """Two conditions: whether both are needed."""


class TargetDrift(Frozen):
    """How the target changes from period to period."""

    column: str
    """The time column."""
    periods: tuple[str, ...] = ()
    """Start of each."""
    rows: tuple[int, ...] = ()
    values: tuple[float, ...] = ()
    """Mean of the target, or share of `label`."""
    label: str | None = None
    effect: float = 0.0
    """Regression: last period against the first, in standard deviations. Classes: difference of the shares."""
    interval: tuple[float, float] | None = None
    """95 % interval of the effect."""
    p_value: float = 1.0
    """Against no change at all, with the serial correlation of the target allowed for."""
    drifts: bool = False
    reason: str = ""
    """Why it was not measured."""
