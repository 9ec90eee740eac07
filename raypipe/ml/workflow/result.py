"""What a workflow gives: the keys that users of the older system know, and what they lacked."""

from __future__ import annotations

from typing import Any

from raypipe.ml.metrics import Score


class WorkflowResult(dict[str, Any]):
    """A dict; what stands in it can be read as attributes, too.

    Always: `pipeline`, `model_spec`, `feature_specs`, `validation_strategy`, `task`, `labels`, `metric`, `metrics`
    (name -> Score), `train_metrics`, `audit`, `warnings`, `skipped`, `timings_s`. With folds: `cv_score`, `cv_std`,
    `cv_scores`. With a test: `test_score`, `test_metrics`, `train_size`, `test_size`. With their steps:
    `tuning_summary`, `calibration_summary`, `mlflow_run_id`, `mlflow_experiment_id`, `feature_store_enabled`.
    """

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"this workflow has no {name!r}; it has {', '.join(self)}") from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self]


def get_workflow_summary(result: dict[str, Any]) -> dict[str, Any]:
    """The few figures that a reader asks for first."""
    model = result["model_spec"]
    scores: dict[str, Any] = {
        name: result[name]
        for name in ("cv_score", "cv_std", "cv_scores", "test_score", "train_size", "test_size")
        if name in result
    }
    told: dict[str, Score] = result["metrics"]
    return {
        "model_name": model.model_name,
        "algorithm": model.algorithm,
        "task": result["task"],
        "validation_strategy": result["validation_strategy"],
        "metric": result["metric"],
        **scores,
        "metrics": {name: one.value for name, one in told.items()},
        "intervals_95": {name: one.interval for name, one in told.items()},
        "train_metrics": result["train_metrics"],
        "warnings": list(result["warnings"]),
        "skipped": dict(result["skipped"]),
    }
