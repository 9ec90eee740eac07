"""What a search gives: the parameters, how good they are, and every trial."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd

Status = Literal["done", "failed", "pruned", "stopped"]
"""pruned: given up for falling behind; stopped: the time was up before its last fold."""


@dataclass(frozen=True)
class Trial:
    """One configuration."""

    number: int
    """0: the parameters of the model spec as they stand."""
    params: Mapping[str, Any]
    status: Status
    score: float | None
    """Mean of the metric over all folds; None where not all gave one."""
    fold_scores: tuple[float | None, ...] = ()
    """Of the folds that ran."""
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    """Mean of each metric over the folds that ran."""
    train_metrics: Mapping[str, float | None] = field(default_factory=dict)
    fit_s: float = 0.0
    predict_s: float = 0.0
    error: str | None = None
    """Why it failed."""
    warned: str | None = None
    remembered: int = 0
    """Folds that an earlier run or trial had done already."""
    ended_s: float | None = None
    """Seconds from the start of this search to the end of the trial."""
    copied: tuple[Mapping[str, Any], ...] = ()
    """Of a population: after which `turn` this member went on `from` which other, with which `params`. Its
    `fold_scores` are those of its turns, each the mean over the folds; its score is the best of them."""


@dataclass(frozen=True)
class TuningOutcome:
    """The result of a search."""

    params: dict[str, Any]
    """For `Recipe.make`; empty: nothing was better than the model spec as it stands."""
    score: float | None
    """In the metric's own direction; None: the time was up before anything was judged."""
    summary: dict[str, Any]
    trials: tuple[Trial, ...]

    def table(self) -> pd.DataFrame:
        """See `trials_table`."""
        return trials_table(self.trials)


def trials_table(trials: Sequence[Trial]) -> pd.DataFrame:
    """One row a trial: number, status, score, `param_…`, `metric_…`, `train_…`, `fold_…`, seconds."""
    import pandas as pd

    rows = []
    for trial in trials:
        row: dict[str, Any] = {"number": trial.number, "status": trial.status, "score": trial.score}
        row.update({f"param_{name}": value for name, value in trial.params.items()})
        row.update({f"metric_{name}": value for name, value in trial.metrics.items()})
        row.update({f"train_{name}": value for name, value in trial.train_metrics.items()})
        row.update({f"fold_{i}": value for i, value in enumerate(trial.fold_scores)})
        seconds = {"fit_s": trial.fit_s, "predict_s": trial.predict_s}
        if trial.copied:
            row["copied"] = json.dumps([dict(one) for one in trial.copied])
        told = {"error": trial.error, "warned": trial.warned, "remembered": trial.remembered}
        rows.append({**row, **seconds, "ended_s": trial.ended_s, **told})
    return pd.DataFrame(rows)
