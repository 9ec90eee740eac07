"""Settings: models of the target that a run learns."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveInt

from raypipe.config.base import Frozen


class ModelsConfig(Frozen):
    """Models of the target, where `ml_enabled` is on and a target is named."""

    algorithms: Annotated[tuple[str, ...], Field(min_length=1)] = ("dummy", "linear", "lightgbm")
    """Names of algorithms, tried in this order while there is time; `dummy` says what can be said without features."""
    metric: str | None = None
    """What the best is chosen by; None: log loss, or RMSE for numbers."""
    group_column: str | None = None
    """Rows of one person or machine: never on both sides of a split."""
    n_splits: Annotated[int, Field(ge=2)] = 5
    """Folds in which models are compared. With a time column a model never learns from what comes after."""
    test_size: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of the rows that stay untouched until the best model is judged on them."""
    calibrate: bool = True
    """Make the probabilities of the best model hold what they say."""
    max_rows: PositiveInt = 20_000
    """Most rows of the sample (`analysis.sample_rows`) that models see."""
    keep: bool = True
    """Write the best model to `models/`, for `raypipe predict`."""
