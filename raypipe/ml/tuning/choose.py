"""Where the folds of a search run: here, one after another; in several processes; or on Ray Tune."""

from __future__ import annotations

import math
import os
import sys
from dataclasses import dataclass
from typing import Literal

from raypipe.engine.memory import SHARE, free_memory
from raypipe.ml.data import TrainingData
from raypipe.ml.specs.tuning import PopulationSearchSpec
from raypipe.ml.tuning.candidates import AnySpec
from raypipe.ml.tuning.prepared import MOST_BYTES
from raypipe.ml.tuning.work import Task

TRIAL_S = 0.3
"""What Ray Tune takes for a trial beside its work, with actors that are used again; measured at 0.2 to 0.4 s."""
TUNE_S = 3.0
"""What Tune takes to start and to end, on a Ray that is up."""
RAY_S = 10.0
"""What a private Ray takes to start, with workers that import what models need."""
PROCESS_S = 3.0
"""What processes take to start, all at once."""
WORTH_S = 2.0
"""Seconds saved from which `auto` starts processes."""
PROCESS_BYTES, COPIES = (300 << 20) + MOST_BYTES, 4
"""What a process takes beside its rows, and how often it has those: as sent, of a fold, prepared, and in a fit."""
MEASURED_ROWS = 1_000


@dataclass(frozen=True)
class Chosen:
    """Where, and why."""

    engine: Literal["inline", "processes", "ray"]
    reason: str
    at_once: int = 1


def choose_engine(spec: AnySpec, task: Task, fold_s: float, left_s: float) -> Chosen:
    """The engine that a spec asks for, or that is done first.

    Parameters
    ----------
    fold_s : float
        Seconds that a first fold took in this process.
    left_s : float
        Until the deadline; infinite where there is none.
    """
    up = ray_is_up()
    cpus = _cpus(up)
    at_once = cpus if spec.n_jobs == -1 else min(spec.n_jobs, cpus)
    if spec.engine == "inline":
        return Chosen("inline", "asked for")
    if spec.engine == "processes":
        if left_s < PROCESS_S:
            left = f"{max(left_s, 0):.0f} s are left, less than their start takes"
            return Chosen("inline", f"processes were wanted, but {left}")
        return Chosen("processes", "asked for", _with_memory(at_once, task))
    start = TUNE_S + (0.0 if up else RAY_S)
    if spec.engine == "ray" or isinstance(spec, PopulationSearchSpec):
        if left_s < start:
            return Chosen("inline", f"Ray was wanted, but {max(left_s, 0):.0f} s are left, less than its start takes")
        return Chosen("ray", "asked for" if spec.engine == "ray" else "a population learns there", max(at_once, 1))
    if spec.n_jobs == 1:
        return Chosen("inline", "n_jobs is 1")
    if spec.ray_address is not None:
        return Chosen("ray", f"a cluster was named: {spec.ray_address}", max(at_once, 1))
    trial_s = fold_s * len(task.folds)
    if up:
        return _faster(spec, trial_s, left_s, Start("ray", TUNE_S, TRIAL_S, 0.0, at_once))
    at_once = _with_memory(at_once, task)
    return _faster(spec, trial_s, left_s, Start("processes", PROCESS_S, 0.0, WORTH_S, at_once))


@dataclass(frozen=True)
class Start:
    """An engine that runs trials beside each other, and what it takes, in seconds."""

    engine: Literal["processes", "ray"]
    start_s: float
    trial_s: float
    """Least that a trial takes, however short its work."""
    worth_s: float
    at_once: int


def _faster(spec: AnySpec, trial_s: float, left_s: float, other: Start) -> Chosen:
    wanted = math.inf if spec.trials_wanted is None else spec.trials_wanted
    trials = min(wanted, left_s / trial_s if trial_s > 0 else math.inf)
    at_once, what = other.at_once, "Ray" if other.engine == "ray" else "processes"
    if at_once < 2:
        return Chosen("inline", "there is one CPU, or memory for one process")
    if left_s < 3 * other.start_s:
        return Chosen(
            "inline", f"{max(left_s, 0):.0f} s are left, and {what} would take {other.start_s:.0f} s to begin"
        )
    if math.isinf(trials):  # seconds without a number and a fold that took none: nothing to share out
        return Chosen("inline", "a trial takes next to no time")
    if trials <= 1:
        return Chosen("inline", "one trial is not shared out")
    at_once = min(at_once, math.ceil(trials))
    turns = math.ceil(trials / at_once)
    here, there = trials * trial_s, other.start_s + max(turns * trial_s, trials * other.trial_s)
    where = f"on Ray with {at_once} CPUs" if other.engine == "ray" else f"in {at_once} processes"
    told = f"{trials:.0f} trials of about {trial_s:.2g} s: {here:.0f} s here, {there:.0f} s {where}"
    return Chosen(other.engine, told, at_once) if here - there > other.worth_s else Chosen("inline", told)


def _with_memory(at_once: int, task: Task) -> int:
    """As many processes as there is memory for: each has the rows."""
    return max(1, min(at_once, int(free_memory() * SHARE) // (PROCESS_BYTES + COPIES * _bytes(task.data))))


def _bytes(data: TrainingData) -> int:
    """What the rows take in memory, going by the text of some of them."""
    some = data.X.iloc[:: max(1, data.rows // MEASURED_ROWS)]
    of_some = int(some.memory_usage(deep=True).sum())
    return of_some * data.rows // max(1, len(some)) + data.y.nbytes


def ray_is_up() -> bool:
    """Whether this process is connected to a Ray; ray is not imported to find out."""
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


def _cpus(up: bool) -> int:
    if up:
        return max(1, int(sys.modules["ray"].cluster_resources().get("CPU", 1)))
    return len(os.sched_getaffinity(0))
