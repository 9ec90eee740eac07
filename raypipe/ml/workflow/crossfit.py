"""Folds fitted beside each other: on Ray where this process is connected to one, else one after another.

What a fold gives does not depend on where it ran: each has the same rows, seed and number of threads.
"""

from __future__ import annotations

import logging
import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from raypipe.config import Resources
from raypipe.engine.scheduler import SchedulerConfig, TaskScheduler, ray_is_up
from raypipe.engine.tasks import TaskResult, TaskStatus
from raypipe.errors import ConfigError, RaypipeError
from raypipe.ml.data import TrainingData
from raypipe.ml.model import Estimate, Recipe, estimates
from raypipe.ml.splits import Fold
from raypipe.ml.workflow.trial import JOBS, FoldFit, fitted_on

_log = logging.getLogger(__name__)
WORTH_S = 3.0
"""Work of all folds from which `auto` sends them to Ray: a worker that has never made a model takes seconds to import
what models need."""
Ask = Callable[[Any, TrainingData, "NDArray[Any] | None"], Estimate]


@dataclass(frozen=True)
class Place:
    """Where folds are fitted, and until when."""

    engine: Literal["auto", "ray", "inline"] = "auto"
    address: str | None = None
    """Cluster to connect to; None: the one that this process is connected to, else a private Ray."""
    deadline: float | None = None
    """By `time.monotonic()`; folds that would end after it are left out."""

    def left_s(self) -> float | None:
        """Seconds until the deadline."""
        return None if self.deadline is None else self.deadline - time.monotonic()


@dataclass(frozen=True)
class FoldWork:
    """All that any fold needs; it is put into the object store once."""

    recipe: Recipe
    data: TrainingData
    folds: tuple[Fold, ...]
    params: tuple[Mapping[str, Any], ...]
    """Of each fold."""
    ask: Ask = estimates
    """What is asked of a fitted model; a function of a module, so that it can be sent."""
    keep: bool = False
    """Whether the fitted models come back, too."""

    @property
    def cores(self) -> int:
        """Cores of one fold: as many as the model spec asks for, within those of this machine; else one."""
        jobs = [value for name, value in self.recipe.model.hyperparameters.items() if name in JOBS]
        wanted = next((int(value) for value in jobs if isinstance(value, int) and value > 0), 1)
        return max(1, min(wanted, len(os.sched_getaffinity(0))))

    def run(self, number: int) -> FoldFit:
        """Learn from one side of a fold, and ask about the other."""
        learnt, tried = self.folds[number]
        labels = None if self.data.task == "regression" else self.data.classes
        started = time.perf_counter()
        try:
            model = fitted_on(self.recipe, self.data.take(learnt), self.params[number], self.cores, bounded=True)
            fitted = time.perf_counter()
            estimate = self.ask(model, self.data.take(tried), labels)
        except Exception as error:  # libraries raise what they like, and an error must stand alone on its way back
            raise ConfigError(self._why(number, error)) from error
        return FoldFit(tried, estimate, fitted - started, time.perf_counter() - fitted, model if self.keep else None)

    def _why(self, number: int, error: Exception) -> str:
        said = str(error) if isinstance(error, RaypipeError) else f"{type(error).__name__}: {error}"
        return f"model {self.recipe.model.model_name!r}, fold {number + 1} of {len(self.folds)}: {said}"


@dataclass(frozen=True)
class Crossfit:
    """Folds that were fitted."""

    fits: tuple[FoldFit, ...]
    """In the order of the folds; fewer than there are where the time was up."""
    wanted: int
    engine: Literal["ray", "inline"]
    reason: str
    """Why there."""

    @property
    def lacks(self) -> str:
        """What the time limit left out, in words; empty where all is there."""
        left = self.wanted - len(self.fits)
        return f"the time limit left no room for {left} of {self.wanted} folds" if left else ""

    def told(self) -> dict[str, Any]:
        """Plain values, for the result."""
        seconds = [fit.fit_s + fit.predict_s for fit in self.fits]
        return {
            "engine": self.engine,
            "engine_reason": self.reason,
            "folds": len(self.fits),
            "folds_wanted": self.wanted,
            "fold_seconds": [round(one, 4) for one in seconds],
        }


def crossfit(work: FoldWork, place: Place, fold_s: float | None = None) -> Crossfit:
    """Fit every fold that there is time for.

    Parameters
    ----------
    fold_s : float, optional
        Seconds that a fold is expected to take, such as those of a fit on all rows.

    Raises
    ------
    ConfigError
        A fold cannot be fitted.
    """
    engine, reason = _where(place, None if fold_s is None else fold_s * len(work.folds))
    fits = _on_ray(work, place) if engine == "ray" else _here(work, place, fold_s or 0.0)
    return Crossfit(tuple(fits), len(work.folds), engine, reason)


def _where(place: Place, seconds: float | None) -> tuple[Literal["ray", "inline"], str]:
    if place.engine != "auto":
        return place.engine, "asked for"
    if place.address is not None:
        return "ray", f"a cluster was named: {place.address}"
    if not ray_is_up():
        return "inline", "this process is connected to no Ray"
    if seconds is not None and seconds < WORTH_S:
        return "inline", f"all folds take about {seconds:.2g} s"
    return "ray", "this process is connected to Ray"


def _here(work: FoldWork, place: Place, expected_s: float) -> list[FoldFit]:
    """One after another: numerical libraries bound their threads for a whole process, not for one of its threads."""
    fits: list[FoldFit] = []
    for number in range(len(work.folds)):
        left = place.left_s()
        if left is not None and left < expected_s:
            break
        fits.append(work.run(number))
        expected_s = statistics.median(fit.fit_s + fit.predict_s for fit in fits)
    return fits


def _on_ray(work: FoldWork, place: Place) -> list[FoldFit]:
    left = place.left_s()
    if left is not None and left <= 0:
        return []
    limits = SchedulerConfig(where="cluster", address=place.address, time_limit_s=left)
    tasks = TaskScheduler("folds", limits)
    tasks.add_task("rows", lambda: work, where="caller")  # A value is put into the store once, whoever gets it.
    for number in range(len(work.folds)):
        resources = Resources(cpus=work.cores)
        tasks.add_task(_name(number), FoldWork.run, ["rows"], args=[number], resources=resources)
    results = tasks.execute_dag()
    done = [results[_name(number)] for number in range(len(work.folds))]
    for one in done:
        if one.status is TaskStatus.FAILED:
            raise ConfigError(_cause(one))
    return [one.value for one in done if one.is_done]


def _name(number: int) -> str:
    return f"fold {number + 1}"


def _cause(failed: TaskResult) -> str:
    """What the fold said, without the name of the error's class, which the sentence does not need."""
    return failed.error.removeprefix("ConfigError: ")


def all_folds(done: Crossfit, who: str) -> tuple[FoldFit, ...]:
    """The fits, where every fold is there.

    Raises
    ------
    ConfigError
        The time was up before.
    """
    if done.lacks:
        raise ConfigError(f"{who}: {done.lacks}; give a longer time limit, fewer folds or a faster model")
    return done.fits
