"""What a run's table in MLflow shows: parameters, metrics and tags, from the result of a workflow."""

from __future__ import annotations

import inspect
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import raypipe
from raypipe.ml.metrics import Score

Figure = tuple[str, float, int]
"""Name, value, step."""
PARAM_CHARS, TAG_CHARS, KEY_CHARS = 6_000, 5_000, 250
OF_TUNING = ("best_score", "default_score", "trials", "pruned", "failed", "stopped", "seconds")
"""Figures of a search; what it found stands among the parameters."""
_ODD = re.compile(r"[^\w\-. :]")


def key_of(name: str) -> str:
    """A name that MLflow takes: of plain characters, and none that would be a way to another folder."""
    return _ODD.sub("_", name).lstrip(".")[:KEY_CHARS] or "_"


def params_of(result: Mapping[str, Any]) -> dict[str, str]:
    """How the model was made: algorithm, its settings, what a search chose, how it was judged."""
    model = result["model_spec"]
    settings = {f"model.{name}": value for name, value in _own_settings(result).items()}
    best = {f"best.{name}": value for name, value in result["best_params"].items() if f"model.{name}" not in settings}
    found: dict[str, Any] = {
        "algorithm": model.algorithm,
        "task": result["task"],
        "target": result["target"],
        "features": len(result["feature_specs"]),
        "rows": result["data"]["rows"],
        "validation_strategy": result["validation_strategy"],
        "settled_strategy": result["settled_strategy"],
        "metric": result["metric"],
        "random_state": result["random_state"],
        "tuned": ", ".join(result["best_params"]) or None,
        **settings,
        **best,
    }
    return {key_of(name): text_of(value) for name, value in found.items() if value is not None}


def settings_of(result: Mapping[str, Any]) -> dict[str, Any]:
    """All settings of the estimator as it was fitted; plain values alone."""
    estimator = _estimator(result)
    settings = result["model_spec"].hyperparameters if estimator is None else estimator.get_params(deep=False)
    return {name: value for name, value in settings.items() if isinstance(value, bool | int | float | str)}


def _own_settings(result: Mapping[str, Any]) -> dict[str, Any]:
    """Those of them that are not what the class has by itself, and those that were searched."""
    estimator, tuned = _estimator(result), result["best_params"]
    known = {} if estimator is None else inspect.signature(type(estimator).__init__).parameters
    usual = {name: one.default for name, one in known.items()}
    return {
        name: value
        for name, value in settings_of(result).items()
        if name in tuned or name not in usual or usual[name] != value
    }


def _estimator(result: Mapping[str, Any]) -> Any:
    """The last step of the pipeline, before calibration; None: the model is no pipeline."""
    fitted = result.get("uncalibrated_pipeline", result["pipeline"])
    return fitted[-1] if hasattr(fitted, "steps") else None


def text_of(value: Any) -> str:
    """A value of a parameter, as long as MLflow takes it."""
    return (value if isinstance(value, str) else json.dumps(value, default=str))[:PARAM_CHARS]


def metrics_of(result: Mapping[str, Any]) -> list[Figure]:
    """Every figure: test_, cv_ and train_ by themselves, since readers look for these; the others in groups.

    A slash makes a group, which MLflow's pages draw apart: interval/, folds/ (a step a fold), calibration/, tuning/ and
    seconds/.
    """
    found: list[tuple[str, Any, int]] = []
    tested: Mapping[str, Score] = result.get("test_metrics", {})
    found += _scores("test", tested)
    if "cv_scores" in result:
        if result["metrics"] is not tested:
            found += _scores("cv", result["metrics"])
        found += [("cv_score", result["cv_score"], 0), ("cv_std", result["cv_std"], 0)]
        found += [("cv_fold_score", value, fold) for fold, value in enumerate(result["cv_scores"])]
    found += [(f"train_{name}", value, 0) for name, value in result["train_metrics"].items()]
    found += [(name, result[name], 0) for name in ("test_score", "train_size", "test_size") if name in result]
    tuning = result.get("tuning_summary", {})
    found += [(f"tuning/{name}", tuning.get(name), 0) for name in OF_TUNING]
    found += [("tuning_best_score", tuning.get("best_score"), 0)]
    calibration = result.get("calibration_summary", {})
    found += [(f"calibration/{name}", value, 0) for name, value in _flat(calibration) if not _is_setting(name)]
    found += [(f"seconds/{step}", value, 0) for step, value in result["timings_s"].items()]
    return [(_grouped(name), float(value), step) for name, value, step in found if _is_number(value)]


def _grouped(name: str) -> str:
    """A name of a figure that MLflow takes, with at most one group."""
    return "/".join(key_of(part) for part in name.split("/", 1))


def _is_setting(name: str) -> bool:
    """Of calibration: what was asked for, or is counted elsewhere, and is no figure of how good it is."""
    return name.startswith("n_") or name.endswith("rows")


def _scores(side: str, scores: Mapping[str, Score]) -> Iterator[tuple[str, Any, int]]:
    for name, one in scores.items():
        yield f"{side}_{name}", one.value, 0
        if one.interval is not None:
            yield f"interval/{side}_{name}_low", one.interval[0], 0
            yield f"interval/{side}_{name}_high", one.interval[1], 0
        if one.fold_values:
            yield f"folds/{name}_std", one.std, 0
            yield from ((f"folds/{name}", value, fold) for fold, value in enumerate(one.fold_values))


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Numbers of a summary, those of its parts under both names."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}_")
        elif _is_number(value):
            yield f"{before}{name}", value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def tags_of(result: Mapping[str, Any]) -> dict[str, str]:
    """What runs are searched by."""
    model = result["model_spec"]
    told = {
        "model.name": model.model_name,
        "model.algorithm": model.algorithm,
        "model.type": result["task"],
        "validation_strategy": result["validation_strategy"],
        "raypipe.version": raypipe.__version__,
        "warnings": str(len(result["warnings"]) or ""),
        "skipped": ", ".join(result["skipped"]),
    }
    return {name: value for name, value in told.items() if value}
