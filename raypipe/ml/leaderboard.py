"""A few models of one target, compared on the same folds; the best is judged on rows that stayed untouched.

The place where AutoML is to stand: it brings more candidates, and the same folds, rows and report.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from raypipe.config.models import ModelsConfig
from raypipe.errors import ConfigError, MissingColumnsError, RaypipeError
from raypipe.ml.calibration.reliability import reliability_table
from raypipe.ml.data import TrainingData, to_table, training_data
from raypipe.ml.metrics import METRICS, Truth, compute, metrics_for
from raypipe.ml.model import estimates, truth_of
from raypipe.ml.report import Candidate, Figure, Importance, ModelsReport, Residuals
from raypipe.ml.specs.calibration import CalibrationSpec
from raypipe.ml.specs.models import ClassifierModelSpec, RegressorModelSpec, Task
from raypipe.ml.specs.validation import ValidationSpec
from raypipe.ml.splits import hold_out, settled
from raypipe.ml.workflow.run import run_ml_workflow

BOARD: Mapping[Task, tuple[str, ...]] = {
    "classification": ("log_loss", "roc_auc", "accuracy"),
    "regression": ("rmse", "mae", "r2"),
}
"""Metrics of the leaderboard; the first decides."""
MIN_ROWS = 60
"""Below, folds tell next to nothing."""
MIN_SHARE_S = 0.2
"""Seconds below which a candidate is not begun."""
SHUFFLES, IMPORTANCE_ROWS, MOST_COLUMNS = 5, 2_000, 40
RESIDUAL_BINS = 24
MOST_LABELS = 20
"""Classes up to which a matrix of true and said ones is told."""


@dataclass(frozen=True)
class Question:
    """What is to be learnt."""

    target: str
    config: ModelsConfig = field(default_factory=ModelsConfig)
    time_column: str | None = None
    seed: int = 42
    limit_s: float | None = None
    """Seconds for everything."""
    of_rows: int | None = None
    """Rows that the table is a sample of."""


@dataclass(frozen=True)
class Answer:
    """What came of it."""

    report: ModelsReport
    result: Any
    """Of the workflow of the best model, for saving."""


def compare_models(table: Any, question: Question) -> Answer:
    """Learn, compare and judge.

    Raises
    ------
    ConfigError
        The target cannot be learnt from these rows, or no candidate could be.
    """
    work = _Work(question, *_split(table, question))
    board = work.board()
    result = work.best(board)
    return Answer(work.report(board, result), result)


def _split(table: Any, question: Question) -> tuple[TrainingData, tuple[pd.DataFrame, pd.DataFrame]]:
    """All rows as they are learnt from, and the table in two: rows to work with, rows that stay untouched."""
    frame, config = to_table(table, "models"), question.config
    if question.target not in frame.columns:
        raise MissingColumnsError("models: target", [question.target], list(frame.columns))
    values = frame[question.target]
    known = values.notna() & ~values.isin([np.inf, -np.inf])
    frame = frame[known].iloc[: config.max_rows].reset_index(drop=True)
    if len(frame) < MIN_ROWS:
        raise ConfigError(
            f"models: {len(frame):,} rows have a value of {question.target!r}; fewer than {MIN_ROWS} tell nothing of a"
            " model"
        )
    data = training_data(frame, question.target, None, (config.group_column, question.time_column, None))
    places = hold_out(_validation(question), data, question.seed)
    return data, (frame.iloc[places[0]].reset_index(drop=True), frame.iloc[places[1]].reset_index(drop=True))


def _validation(question: Question) -> ValidationSpec:
    config = question.config
    return ValidationSpec(
        strategy="cross_validation", n_splits=config.n_splits, test_size=config.test_size,
        group_column=config.group_column, time_column=question.time_column,
    )  # fmt: skip


@dataclass
class _Work:
    """One comparison, on its way."""

    question: Question
    data: TrainingData
    sides: tuple[pd.DataFrame, pd.DataFrame]
    started: float = field(default_factory=time.monotonic)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Those of the leaderboard, that which decides first."""
        usual, named = BOARD[self.data.task], self.question.config.metric
        return usual if named is None else tuple(metrics_for(self.data.task, [named, *usual]))

    def _left_s(self) -> float | None:
        limit = self.question.limit_s
        return None if limit is None else limit - (time.monotonic() - self.started)

    def _run(self, algorithm: str, strategy: str, metrics: tuple[str, ...], **more: Any) -> Any:
        # Of all rows: those that are worked with may have fewer values, and look like the other task.
        of_task = ClassifierModelSpec if self.data.task == "classification" else RegressorModelSpec
        spec = of_task(model_name=self.question.target, algorithm=algorithm, evaluation_metrics=metrics)
        params = _validation(self.question).model_dump(exclude={"strategy", "test_size"}, exclude_unset=True)
        return run_ml_workflow(
            None, spec, self.sides[0], self.question.target, strategy, params,
            random_state=self.question.seed, **more,
        )  # fmt: skip

    def board(self) -> list[Candidate]:
        """Every candidate that there is time for, the best first."""
        found: list[Candidate] = []
        wanted = self.question.config.algorithms
        for number, algorithm in enumerate(wanted):
            left = self._left_s()
            # The best is fitted once more, calibrated and judged: half of the time is kept for it.
            share = None if left is None else max(0.5 * left, 0.0) / (len(wanted) - number)
            if number == 0:
                share = None  # One has figures in any case.
            if share is not None and share < MIN_SHARE_S:
                found.append(Candidate(algorithm=algorithm, status="left out", reason="the time limit was near"))
                continue
            found.append(self._candidate(algorithm, share))
        done = [one for one in found if self._loss(one) is not None]
        if not done:
            raise ConfigError(f"models: none could be learnt; {found[0].algorithm}: {found[0].reason}")
        return sorted(done, key=lambda one: self._loss(one) or 0.0) + [one for one in found if one not in done]

    def _candidate(self, algorithm: str, limit_s: float | None) -> Candidate:
        began = time.perf_counter()
        try:
            result = self._run(algorithm, "cross_validation", self.metrics, time_limit_s=limit_s)
        except RaypipeError as error:
            return Candidate(algorithm=algorithm, status="failed", reason=str(error))
        figures = {name: Figure.of(one, result["train_metrics"].get(name)) for name, one in result["metrics"].items()}
        lacks = result["skipped"].get("cross-validation", "")
        seconds = time.perf_counter() - began
        known = figures.get(self.metrics[0])
        if known is None or known.value is None:
            why = lacks or f"it gives no value of {self.metrics[0]}"
            return Candidate(algorithm=algorithm, status="left out", reason=why, figures=figures, seconds=seconds)
        return Candidate(algorithm=algorithm, reason=lacks, figures=figures, seconds=seconds)

    def _loss(self, one: Candidate) -> float | None:
        known = one.figures.get(self.metrics[0])
        if one.status != "done" or known is None or known.value is None:
            return None
        return -known.value if METRICS[self.metrics[0]].greater_is_better else known.value

    def best(self, board: list[Candidate]) -> Any:
        """The workflow of the best: calibrated where that is asked for, judged on the rows that stayed untouched."""
        config = self.question.config
        calibration = CalibrationSpec() if config.calibrate and self.data.task == "classification" else None
        left = self._left_s()
        every = metrics_for(self.data.task)
        names = tuple(dict.fromkeys((*self.metrics, *every)))
        return self._run(
            board[0].algorithm, "train_test", names, X_test=self.sides[1], calibration_spec=calibration,
            time_limit_s=None if left is None else max(left, 0.1),
        )  # fmt: skip

    def report(self, board: list[Candidate], result: Any) -> ModelsReport:
        """Everything as plain values."""
        question, main = self.question, self.metrics[0]
        judged: Truth = result["judged"]
        labels = result["labels"]
        base = next((one for one in board if one.algorithm == "dummy" and one.status == "done"), None)
        own = result["train_metrics"]
        return ModelsReport(
            target=question.target,
            task=self.data.task,
            metric=main,
            greater_is_better=METRICS[main].greater_is_better,
            rows=self.data.rows,
            of_rows=question.of_rows or self.data.rows,
            test_rows=result["test_size"],
            strategy=settled(_validation(question), self.data),
            labels=None if labels is None else tuple(labels),
            leaderboard=tuple(board),
            best=board[0].algorithm,
            figures={name: Figure.of(one, own.get(name)) for name, one in result["test_metrics"].items()},
            baseline=None if base is None else base.algorithm,
            beats_baseline=None if base is None else self._beats(board[0], base),
            reliability=tuple(reliability_table(judged, 10)) if labels and judged.are_probabilities else (),
            confusion=_confusion(judged) if labels and len(labels) <= MOST_LABELS else None,
            residuals=None if labels else _residuals(judged),
            importance=self._importance(result),
            calibration=_calibration(result),
            leaks=tuple(one.message for one in result["audit"] if one.severity == "error"),
            left_out=dict(result["left_out"]),
            warnings=tuple(result["warnings"]),
            skipped=dict(result["skipped"]),
            seconds=time.monotonic() - self.started,
        )

    def _beats(self, best: Candidate, base: Candidate) -> bool:
        """Better on every fold: five in a row by chance are one in 32."""
        one, other = (side.figures[self.metrics[0]].folds for side in (best, base))
        better = METRICS[self.metrics[0]].greater_is_better
        pairs = [(a, b) for a, b in zip(one, other, strict=False) if a is not None and b is not None]
        return best is not base and bool(pairs) and all((a > b) if better else (a < b) for a, b in pairs)

    def _importance(self, result: Any) -> tuple[Importance, ...]:
        """Of each column, on the rows that stayed untouched (Breiman 2001; Fisher, Rudin, Dominici 2019)."""
        config, question = self.question.config, self.question
        columns = (config.group_column, question.time_column, None)
        held = training_data(self.sides[1], question.target, self.data.task, columns)
        labels = None if result["labels"] is None else np.array(result["labels"])
        if labels is not None:
            held = held.take(np.flatnonzero(np.isin(held.y, labels)))
        held = held.take(np.arange(min(held.rows, IMPORTANCE_ROWS)))
        ask = _asker(result["pipeline"], held, labels, self.metrics[0])
        usual, rng, found = ask(held.X), np.random.default_rng(question.seed), []
        for name in [one.name for one in result["inputs"]][:MOST_COLUMNS]:
            left = self._left_s()
            if usual is None or (left is not None and left < 0):
                break
            told = [ask(_shuffled(held.X, name, rng)) for _ in range(SHUFFLES)]
            worse = [(usual - one) if METRICS[self.metrics[0]].greater_is_better else (one - usual)
                     for one in told if one is not None]  # fmt: skip
            if worse:
                found.append(Importance(column=name, loss=float(np.mean(worse)), spread=float(np.std(worse))))
        return tuple(sorted(found, key=lambda one: -one.loss))


def _asker(
    model: Any, held: TrainingData, labels: NDArray[Any] | None, metric: str
) -> Callable[[pd.DataFrame], float | None]:
    def ask(table: pd.DataFrame) -> float | None:
        rows = replace(held, X=table)
        return compute(metric, truth_of(rows, estimates(model, rows, labels), labels))

    return ask


def _shuffled(table: pd.DataFrame, name: str, rng: np.random.Generator) -> pd.DataFrame:
    order = rng.permutation(len(table))
    return table.assign(**{name: table[name].iloc[order].set_axis(table.index)})


def _confusion(judged: Truth) -> tuple[tuple[int, ...], ...]:
    k = judged.estimate.shape[1]
    counts = np.bincount(judged.y * k + judged.chosen, minlength=k * k).reshape(k, k)
    return tuple(tuple(int(one) for one in row) for row in counts)


def _residuals(judged: Truth) -> Residuals:
    off = np.asarray(judged.y - judged.estimate, float)
    low, median, high = np.quantile(off, [0.05, 0.5, 0.95])
    counts, edges = np.histogram(off, RESIDUAL_BINS)
    return Residuals(
        edges=tuple(map(float, edges)), counts=tuple(map(int, counts)), median=float(median), low=float(low),
        high=float(high),
    )  # fmt: skip


def _calibration(result: Any) -> dict[str, Any] | None:
    told = result.get("calibration_summary")
    return None if told is None else {name: told[name] for name in ("method", "before", "after", "log_losses")}
