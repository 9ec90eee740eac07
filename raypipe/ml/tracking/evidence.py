"""The files that tell how a model came about: specs, plan, audit, summary, trials and charts, in a folder."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raypipe.ml.card import rows_told
from raypipe.ml.tracking.charts import charts_of
from raypipe.ml.tracking.figures import settings_of
from raypipe.ml.tuning.page import write_tuning
from raypipe.ml.workflow.result import get_workflow_summary

_OF_SOME = (
    "specs/feature_store.json",
    "tuning.json",
    "calibration.json",
    "tuning.html",
    "trials.csv",
    "trials.json",
    "trials.parquet",
)
"""Files that only some models have."""


def write_evidence(result: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write what there is; gives the files, in the order of their names. What an earlier model left is removed."""
    for name in _OF_SOME:
        (folder / name).unlink(missing_ok=True)
    for chart in folder.glob("charts/*.svg"):
        chart.unlink()
    documents = {
        "specs/features.json": [spec.to_dict() for spec in result["feature_specs"]],
        "specs/model.json": result["model_spec"].to_dict(),
        "plan.json": _plan(result),
        "audit.json": [one.model_dump(mode="json") for one in result["audit"]],
        "summary.json": get_workflow_summary(dict(result)),
        "data.json": rows_told(result),
    }
    if "feature_store_spec" in result:  # with every version pinned: it gives the same rows again
        documents["specs/feature_store.json"] = result["feature_store_spec"]
    for name in ("tuning", "calibration"):
        if f"{name}_summary" in result:
            documents[f"{name}.json"] = result[f"{name}_summary"]
    for name, content in documents.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(content, indent=1, default=str, ensure_ascii=False) + "\n", encoding="utf-8")
    if result.get("trials"):
        _write_trials(result["trials"], folder / "trials.csv")
        if "tuning_summary" in result:
            write_tuning(result["tuning_summary"], result["trials"], folder)
    for name, drawing in charts_of(result).items():
        (folder / "charts").mkdir(exist_ok=True)
        (folder / "charts" / name).write_text(drawing, encoding="utf-8")
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _plan(result: Mapping[str, Any]) -> dict[str, Any]:
    """How the rows were used."""
    sizes = {name: result[name] for name in ("train_size", "test_size") if name in result}
    return {
        "task": result["task"],
        "target": result["target"],
        "validation_strategy": result["validation_strategy"],
        "settled_strategy": result["settled_strategy"],
        "folds": len(result.get("cv_scores", ())),
        **sizes,
        "left_out": result["left_out"],
        "best_params": result["best_params"],
        "settings": settings_of(result),
        "random_state": result["random_state"],
        "inputs": [one.model_dump(mode="json") for one in result["inputs"]],
        "timings_s": result["timings_s"],
    }


def _write_trials(trials: Any, place: Path) -> None:
    names = list(dict.fromkeys(name for trial in trials for name in trial.params))
    with place.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["number", "status", "score", *(f"param_{name}" for name in names), "fit_s", "error"])
        for one in trials:
            values = [json.dumps(one.params[name], default=str) if name in one.params else "" for name in names]
            table.writerow([one.number, one.status, one.score, *values, round(one.fit_s, 4), one.error])
