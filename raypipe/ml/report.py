"""What a comparison of models tells: plain values, which a page can show without any library of models."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, JsonValue

from raypipe.config import Frozen


class Figure(Frozen):
    """One metric of one model."""

    value: float | None
    low: float | None = None
    high: float | None = None
    """95 %, by bootstrap."""
    folds: tuple[float | None, ...] = ()
    own: float | None = None
    """On the rows that the model learnt from: too good, and told to be seen beside the other."""

    @classmethod
    def of(cls, score: Any, own: float | None = None) -> Figure:
        """From a `Score`."""
        low, high = score.interval or (None, None)
        return cls(value=score.value, low=low, high=high, folds=score.fold_values, own=own)

    @property
    def spread(self) -> float | None:
        """Standard deviation over the folds; None with fewer than two."""
        known = [value for value in self.folds if value is not None]
        if len(known) < 2:
            return None
        mean = sum(known) / len(known)
        return float((sum((value - mean) ** 2 for value in known) / len(known)) ** 0.5)


class Candidate(Frozen):
    """A line of the leaderboard."""

    algorithm: str
    status: Literal["done", "failed", "left out"] = "done"
    reason: str = ""
    """Why there is no figure."""
    figures: dict[str, Figure] = Field(default_factory=dict)
    """On folds that it had not seen."""
    seconds: float = 0.0


class Importance(Frozen):
    """How much worse the best model is where a column is shuffled."""

    column: str
    loss: float
    """Mean change of the metric for the worse."""
    spread: float
    """Standard deviation over the shuffles."""


class Residuals(Frozen):
    """How far off a model of numbers is: true less said, in the unit of the target."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    median: float
    low: float
    high: float
    """Between them lie nine of ten."""


class ModelsReport(Frozen):
    """Models of one target, compared on folds, the best judged on rows that stayed untouched."""

    version: Literal[1] = 1
    target: str
    task: Literal["classification", "regression"]
    metric: str
    """The best is chosen by it."""
    greater_is_better: bool
    rows: int
    """That models saw."""
    of_rows: int
    """That there are."""
    test_rows: int
    strategy: str
    """How rows were split."""
    labels: tuple[JsonValue, ...] | None = None
    leaderboard: tuple[Candidate, ...] = ()
    """The best first; then those without a figure."""
    best: str | None = None
    figures: dict[str, Figure] = Field(default_factory=dict)
    """Of the best, on rows that stayed untouched."""
    baseline: str | None = None
    """The candidate that looks at no feature."""
    beats_baseline: bool | None = None
    """Whether the best is better than it on every fold; None where there is none to compare with."""
    reliability: tuple[dict[str, JsonValue], ...] = ()
    confusion: tuple[tuple[int, ...], ...] | None = None
    """True class by class said, in the order of `labels`."""
    residuals: Residuals | None = None
    importance: tuple[Importance, ...] = ()
    """The most important first."""
    calibration: dict[str, JsonValue] | None = None
    leaks: tuple[str, ...] = ()
    """What the audit takes for a leak, in words."""
    left_out: dict[str, str] = Field(default_factory=dict)
    """Column -> why it takes no part."""
    warnings: tuple[str, ...] = ()
    skipped: dict[str, str] = Field(default_factory=dict)
    card: dict[str, JsonValue] | None = None
    """Of the model that was kept."""
    folder: str | None = None
    """Where it lies, from the folder of the run."""
    seconds: float = 0.0
