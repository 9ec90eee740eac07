"""What a trial costs: a search of some trials, and cross_val_score of the same candidates, in CPU seconds.

The search counts whole: proposing, preparing rows, learning, scoring, the journal. Both have one thread, and take turns
in one process.
"""

from __future__ import annotations

import statistics
import tempfile
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from benchmarks.contenders.learning import Inputs, read
from benchmarks.contenders.plain_learning import loss_of
from benchmarks.learning_tasks import model_spec
from raypipe.ml.data import training_data
from raypipe.ml.model import Recipe
from raypipe.ml.preprocess.columns import specs_for
from raypipe.ml.specs.tuning import OptunaSearchSpec
from raypipe.ml.specs.validation import ValidationSpec
from raypipe.ml.tuning.outcome import TuningOutcome
from raypipe.ml.tuning.search import search
from raypipe.ml.workflow.run import Options


def prepare(task: dict[str, Any]) -> None:
    """Load what both need, and let each work once."""
    import lightgbm  # noqa: F401

    _round({**task, "trials": 1, "estimator": "linear"}, read(task))


def run(task: dict[str, Any]) -> dict[str, Any]:
    """Rounds of both, one after the other, until the time is up; at least one.

    `fit_s` is what cross_val_score took for a fold, `largest_difference` that of the losses that the two came to,
    relatively: near 0 for what draws no columns.
    """
    warnings.simplefilter("ignore")
    end = time.monotonic() + task["seconds"]
    inputs = read(task)
    rounds = [_round(task, inputs)]
    while time.monotonic() < end and len(rounds) < task["rounds"]:
        rounds.append(_round(task, inputs))
    ratios = [one["search_s"] / one["plain_s"] for one in rounds]
    return {
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "trial_cpu_s": statistics.median(one["search_s"] / one["trials"] for one in rounds),
        "plain_cpu_s": statistics.median(one["plain_s"] / one["trials"] for one in rounds),
        "fit_s": statistics.median(one["plain_s"] / one["trials"] for one in rounds) / len(inputs.folds),
        "largest_difference": max(one["largest_difference"] for one in rounds),
        "rounds": len(rounds),
        "trials": rounds[0]["trials"],
    }


def finish() -> None:
    """Nothing stays open."""


def _round(task: Mapping[str, Any], inputs: Inputs) -> dict[str, Any]:
    before = time.process_time()
    found = searched(task, inputs)
    search_s = time.process_time() - before
    rows, _ = inputs.features(task)
    alone = {**task, "jobs": None}
    losses = []
    before = time.process_time()
    with threadpool_limits(limits=1):
        for trial in found.trials:
            own = {f"estimator__{name}": value for name, value in trial.params.items()}
            losses.append(loss_of(alone, inputs, rows, own))
    plain_s = time.process_time() - before
    told = [trial.score for trial in found.trials if trial.score is not None]
    return {
        "search_s": search_s,
        "plain_s": plain_s,
        "trials": len(found.trials),
        "largest_difference": max(abs(one / other - 1) for one, other in zip(losses, told, strict=True)),
    }


def searched(task: Mapping[str, Any], inputs: Inputs) -> TuningOutcome:
    """raypipe's search of some trials, in this process, on all folds."""
    kind, group, moment = task["kind"], task["group"], task["time"]
    data = training_data(inputs.learn, inputs.y, kind, (group, moment, None))
    features, _ = specs_for(data.X, [moment] if moment else [])
    recipe = Recipe(tuple(features), model_spec(task["estimator"], kind), kind, task["seed"])
    validation = ValidationSpec(inner_splits=task["inner_folds"], group_column=group, time_column=moment)
    spec = OptunaSearchSpec(n_trials=task["trials"], pruner="none", engine="inline")
    with tempfile.TemporaryDirectory(prefix="raypipe-bench-") as folder:
        return search(spec, recipe, data, validation, Options(seed=task["seed"], output_dir=Path(folder)))
