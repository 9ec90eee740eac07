"""How often intervals and sets hold what they promise, and what calibration does to the log loss of new rows.

    python -m benchmarks.calibration --out benchmarks/results/calibration.json

Everything is drawn with seeds from populations whose truth is known or large, so that the figures come out the same:

- `bootstrap`: of samples of some rows, the share whose 95 % interval of a metric holds the metric of the population.
- `conformal_sets`, `conformal_intervals`: share of new rows whose set or interval holds the truth, over calibrations on
  rows that no model saw, beside what was promised and what the workflow itself measured.
- `log_loss`: models of several algorithms learn, are calibrated with `method="auto"`, and are tried on new rows. What
  counts is the change of the log loss; it is "worse than noise" where it is above 0 by two standard errors, and by more
  than rounding.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, softmax

from benchmarks.machine import commit, load, machine
from raypipe.ml.calibration.calibrate import Calibration, calibrate
from raypipe.ml.calibration.choose import row_losses
from raypipe.ml.calibration.conformal import SET_SCORES, inside, quantile, sets, true_scores
from raypipe.ml.calibration.held import standard_error
from raypipe.ml.calibration.reliability import wilson
from raypipe.ml.data import TrainingData, training_data
from raypipe.ml.metrics import Truth, compute, score
from raypipe.ml.model import Recipe
from raypipe.ml.specs import CalibrationSpec, ModelSpec, NumericFeatureSpec, ValidationSpec
from raypipe.ml.workflow.crossfit import Place
from raypipe.ml.workflow.trial import fitted_on

OF_CLASSES = ("accuracy", "roc_auc", "f1_score", "balanced_accuracy", "mcc", "log_loss", "brier")
OF_NUMBERS = ("rmse", "mae", "r2", "median_ae")
SAMPLE_ROWS, NEW_ROWS = 300, 4_000
ROUNDING = 1e-9
"""Probabilities that are kept as they are differ in their last digits, which is no loss."""
HERE = Place("inline")
ESTIMATORS: dict[str, dict[str, Any]] = {
    "linear": {},
    "naive_bayes": {},
    "knn": {},
    "gradient_boosting": {"n_estimators": 60},
    "random_forest": {"n_estimators": 60},
    "lightgbm": {"n_estimators": 60},
}


# ── populations ──────────────────────────────────────────────────────────────────────────────────────────────────────


def said_of_two(rows: int, rng: np.random.Generator, slope: float = 1.3) -> Truth:
    """Two classes; above a slope of 1 the model is too sure."""
    logit = rng.normal(0, 1.5, rows)
    y = (rng.random(rows) < expit(logit)).astype(np.int64)
    second = expit(slope * logit)
    return Truth("classification", y, np.column_stack([1 - second, second]))


def said_of_four(rows: int, rng: np.random.Generator, slope: float = 2.0) -> Truth:
    """Four classes, by a model that is too sure."""
    logits = rng.normal(0, 1.5, (rows, 4))
    places = (rng.random((rows, 1)) > np.cumsum(softmax(logits, axis=1), axis=1)).sum(axis=1)
    return Truth("classification", np.minimum(places, 3), softmax(slope * logits, axis=1))


def said_of_numbers(rows: int, rng: np.random.Generator) -> Truth:
    """Numbers, each off by half a standard deviation."""
    y = rng.normal(size=rows)
    return Truth("regression", y, y + 0.5 * rng.normal(size=rows))


def bent(rows: int, rng: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray]:
    """A border with a bend, and columns that say the same twice, which naive models count twice."""
    table = pd.DataFrame(rng.normal(size=(rows, 4)), columns=list("abcd"))
    table["e"] = table["a"] + 0.1 * rng.normal(size=rows)
    rating = 1.5 * table["a"] + np.sin(2 * table["b"]) * table["c"]
    return table, np.where(rng.random(rows) < expit(rating), "yes", "no")


def rare(rows: int, rng: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray]:
    """One row of ten is of the second class."""
    table = pd.DataFrame(rng.normal(size=(rows, 4)), columns=list("abcd")).assign(e=rng.random(rows))
    return table, np.where(rng.random(rows) < expit(table["a"] + table["b"] ** 2 - 3.6), "yes", "no")


def three(rows: int, rng: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray]:
    """Three classes."""
    table = pd.DataFrame(rng.normal(size=(rows, 5)), columns=list("abcde"))
    logits = np.column_stack([table["a"] * 1.5, table["b"] ** 2 - 1, table["c"] + table["d"] * table["a"]])
    places = (rng.random((rows, 1)) > np.cumsum(softmax(logits, axis=1), axis=1)).sum(axis=1)
    return table, np.array(["p", "q", "r"])[np.minimum(places, 2)]


DATA: dict[str, Callable[[int, np.random.Generator], tuple[pd.DataFrame, np.ndarray]]] = {
    "bent": bent, "rare": rare, "three": three,
}  # fmt: skip


def uneven(rows: int, rng: np.random.Generator, even: bool) -> tuple[pd.DataFrame, np.ndarray]:
    """A number whose spread is the same everywhere, or grows with a column."""
    table = pd.DataFrame(rng.normal(size=(rows, 2)), columns=["a", "b"])
    spread = 1.0 if even else np.exp(1.2 * table["b"])
    return table, (2 * table["a"] + spread * rng.normal(size=rows)).to_numpy()


# ── figures ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def bootstrap(runs: int) -> dict[str, Any]:
    """Coverage of the 95 % intervals of metrics."""
    found: dict[str, Any] = {"wanted": 0.95, "runs": runs, "rows": SAMPLE_ROWS, "metrics": {}}
    for kind, names in ((said_of_two, OF_CLASSES), (said_of_numbers, OF_NUMBERS)):
        whole = kind(400_000, np.random.default_rng(10_000))
        true = {name: compute(name, whole) for name in names}
        hits = dict.fromkeys(names, 0)
        for seed in range(runs):
            told = score(names, kind(SAMPLE_ROWS, np.random.default_rng(seed)), seed=seed)
            for name, one in told.items():
                low, high = one.interval or (np.inf, -np.inf)
                hits[name] += low <= true[name] <= high
        for name, count in hits.items():
            low, high = wilson(count, runs)
            found["metrics"][name] = {"covered": count / runs, "low": round(low, 3), "high": round(high, 3)}
    return found


def conformal_sets(runs: int) -> list[dict[str, Any]]:
    """Coverage of sets of classes, on new rows."""
    found = []
    for kind in (said_of_two, said_of_four):
        for way in SET_SCORES:
            for confidence in (0.8, 0.9, 0.95):
                shares, sizes = [], []
                for seed in range(runs):
                    truth = kind(SAMPLE_ROWS + NEW_ROWS, np.random.default_rng(seed))
                    known, new = truth.take(np.arange(SAMPLE_ROWS)), truth.take(np.arange(SAMPLE_ROWS, len(truth.y)))
                    limit = quantile(true_scores(known.estimate, known.y, way), confidence)
                    held = sets(new.estimate, limit, way)
                    shares.append(held[np.arange(NEW_ROWS), new.y].mean())
                    sizes.append(held.sum(axis=1).mean())
                found.append(
                    {
                        "classes": truth.estimate.shape[1], "score": way, "promised": confidence, "runs": runs,
                        "covered": round(float(np.mean(shares)), 4), "least": round(float(np.min(shares)), 4),
                        "mean_size": round(float(np.mean(sizes)), 3),
                    }
                )  # fmt: skip
    return found


def conformal_intervals(runs: int) -> list[dict[str, Any]]:
    """Coverage of intervals of numbers on new rows, beside what the workflow measured itself."""
    found = []
    for even, rows in ((True, 150), (False, 600)):
        for cv in ("prefit", 5):
            covered, told, scores = [], [], []
            for seed in range(runs):
                table, y = uneven(rows + 1_000, np.random.default_rng(seed), even)
                spec = CalibrationSpec(conformal=0.9, cv_strategy=cv)
                done = calibrated(table[:rows], y[:rows], spec, ModelSpec(model_name="m", algorithm="ridge"), "ab")
                covered.append(inside(y[rows:], done.model.predict_interval(table[rows:])).mean())
                told.append(done.summary["conformal"]["measured_coverage"])
                scores.append(done.summary["conformal"]["score"])
            found.append(
                {
                    "spread": "even" if even else "uneven", "rows": rows, "cv_strategy": cv, "promised": 0.9,
                    "runs": runs, "covered": round(float(np.mean(covered)), 4),
                    "least": round(float(np.min(covered)), 4), "told": round(float(np.mean(told)), 4),
                    "normalised": scores.count("normalised"),
                }
            )  # fmt: skip
    return found


def calibrated(table: pd.DataFrame, y: np.ndarray, spec: CalibrationSpec, model: ModelSpec, names: str) -> Calibration:
    """A model of these rows, calibrated."""
    data: TrainingData = training_data(table, y, "regression" if y.dtype.kind == "f" else "classification")
    features = tuple(NumericFeatureSpec(feature_name=name) for name in names)
    recipe = Recipe(features, model, data.task, 0)
    return calibrate(spec, (recipe, {}, fitted_on(recipe, data)), data, ValidationSpec(), HERE)


def log_losses(seeds: int, sizes: tuple[int, ...]) -> Iterator[dict[str, Any]]:
    """What calibration does to the log loss of new rows, by algorithm, data and number of rows."""
    for name, settings in ESTIMATORS.items():
        for kind, make in DATA.items():
            for rows in sizes:
                changes, noises, methods = [], [], []
                for seed in range(seeds):
                    table, y = make(rows + NEW_ROWS, np.random.default_rng(seed))
                    model = ModelSpec(model_name="m", algorithm=name, hyperparameters=settings)
                    done = calibrated(table[:rows], y[:rows], CalibrationSpec(n_splits=3), model, "abcde")
                    truth = np.unique(y, return_inverse=True)[1][rows:]
                    after = row_losses(done.model.predict_proba(table[rows:]), truth)
                    before = row_losses(done.model.pipeline.predict_proba(table[rows:]), truth)
                    changes.append(float((after - before).mean()))
                    noises.append(standard_error(after - before))
                    methods.append(done.summary["method"])
                taken = {one: methods.count(one) for one in sorted(set(methods))}
                worse = [one for one, noise in zip(changes, noises, strict=True) if one > max(2 * noise, ROUNDING)]
                yield {
                    "algorithm": name, "data": kind, "rows": rows, "seeds": seeds,
                    "mean_change": round(float(np.mean(changes)), 5), "worst_change": round(max(changes), 5),
                    "worse_than_noise": len(worse), "methods": taken,
                }  # fmt: skip


def measure(scale: float) -> dict[str, Any]:
    """Everything; `scale` multiplies the numbers of runs."""
    runs = max(2, round(100 * scale))
    losses = list(log_losses(max(1, round(6 * scale)), (400, 1_500)))
    total = sum(one["seeds"] for one in losses)
    return {
        "bootstrap": bootstrap(runs),
        "conformal_sets": conformal_sets(runs),
        "conformal_intervals": conformal_intervals(max(2, round(30 * scale))),
        "log_loss": {
            "models": total,
            "worse_than_noise": sum(one["worse_than_noise"] for one in losses),
            "mean_change": round(float(np.mean([one["mean_change"] for one in losses])), 5),
            "worst_change": max(one["worst_change"] for one in losses),
            "cases": losses,
        },
    }


def main() -> None:
    """Measure, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the numbers of runs")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    content = {
        "benchmark": "calibration", "commit": commit(), "machine": machine(), "load": load(), "timed": False,
        "scale": options.scale, **measure(options.scale),
    }  # fmt: skip
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    if options.out is None:
        print(text)
    else:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
