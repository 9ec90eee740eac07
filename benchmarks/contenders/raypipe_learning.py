"""`run_ml_workflow` with a search in a time budget."""

from __future__ import annotations

import tempfile
import time
import warnings
from typing import Any

from benchmarks.contenders.learning import loss_on, read
from benchmarks.learning_tasks import model_spec
from raypipe.engine.session import close_session, open_session
from raypipe.ml.specs.tuning import OptunaSearchSpec
from raypipe.ml.workflow import run_ml_workflow


def prepare(task: dict[str, Any]) -> dict[str, Any]:
    """Load what a search needs; start Ray, where the search is to run on one that is up."""
    import lightgbm  # noqa: F401
    import optuna  # noqa: F401

    started = time.monotonic()
    if task["engine"] == "ray" and task.get("ray_is_up", True):
        open_session(None)
    return {"ray_start_s": time.monotonic() - started}


def run(task: dict[str, Any]) -> dict[str, Any]:
    """The whole workflow within the time."""
    warnings.simplefilter("ignore")
    started = time.monotonic()
    inputs = read(task)
    spec = OptunaSearchSpec(time_limit_s=task["seconds"], engine=task["engine"], random_state=task["seed"])
    with tempfile.TemporaryDirectory(prefix="raypipe-bench-") as folder:
        result = run_ml_workflow(
            None, model_spec(task["estimator"], task["kind"]), inputs.learn, inputs.y, "train_test",
            {"group_column": task["group"], "time_column": task["time"], "inner_splits": task["inner_folds"]},
            random_state=task["seed"], X_test=inputs.held, y_test=inputs.held_y, tuning_spec=spec,
            output_dir=folder, time_limit_s=task["seconds"],
        )  # fmt: skip
    over = time.monotonic() - started - task["seconds"]
    told = result.get("tuning_summary", {})
    trials = result.get("trials", ())
    return {
        "loss": loss_on(result.pipeline, task["kind"], inputs.held, inputs.held_y),
        "over_s": over,
        "trials": sum(one.status in ("done", "pruned") for one in trials),
        "trials_whole": sum(one.status == "done" for one in trials),
        "cv_loss": told.get("best_score"),
        "params": dict(result.best_params),
        "engine": told.get("engine"),
        "engine_reason": told.get("engine_reason"),
        "timings_s": {name: round(value, 3) for name, value in result.timings_s.items()},
        "skipped": result.skipped,
    }


def finish() -> None:
    """End Ray."""
    close_session()
