"""Where the folds of a search run: here, one after another, or on Ray Tune."""

from __future__ import annotations

import math
import os
import sys
from dataclasses import dataclass
from typing import Literal

from raypipe.ml.specs.tuning import PopulationSearchSpec
from raypipe.ml.tuning.candidates import AnySpec

TRIAL_S = 0.3
"""What Ray Tune takes for a trial beside its work, with actors that are used again; measured at 0.2 to 0.4 s."""
TUNE_S = 3.0
"""What Tune takes to start and to end, on a Ray that is up."""
RAY_S = 10.0
"""What a private Ray takes to start, with workers that import what models need."""
WORTH_S = 60.0
"""Seconds saved from which `auto` starts a private Ray, where none is up and none was asked for."""


@dataclass(frozen=True)
class Chosen:
    """Where, and why."""

    engine: Literal["inline", "ray"]
    reason: str
    at_once: int = 1


def choose_engine(spec: AnySpec, fold_s: float, folds: int, left_s: float) -> Chosen:
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
    start = TUNE_S + (0.0 if up else RAY_S)
    if spec.engine == "ray" or isinstance(spec, PopulationSearchSpec):
        if left_s < start:
            return Chosen("inline", f"Ray was wanted, but {max(left_s, 0):.0f} s are left, less than its start takes")
        return Chosen("ray", "asked for" if spec.engine == "ray" else "a population learns there", max(at_once, 1))
    if spec.n_jobs == 1:
        return Chosen("inline", "n_jobs is 1")
    if spec.ray_address is not None:
        return Chosen("ray", f"a cluster was named: {spec.ray_address}", max(at_once, 1))
    return _faster(spec, fold_s * folds, left_s, (at_once, start))


def _faster(spec: AnySpec, trial_s: float, left_s: float, ray: tuple[int, float]) -> Chosen:
    at_once, start = ray
    wanted = math.inf if spec.trials_wanted is None else spec.trials_wanted
    trials = min(wanted, left_s / trial_s if trial_s > 0 else math.inf)
    if at_once < 2:
        return Chosen("inline", "there is one CPU")
    if left_s < 3 * start:
        return Chosen("inline", f"{max(left_s, 0):.0f} s are left, and Ray takes {start:.0f} s to begin")
    if math.isinf(trials):  # seconds without a number and a fold that took none: nothing to share out
        return Chosen("inline", "a trial takes next to no time")
    here, there = trials * trial_s, start + trials * max(TRIAL_S, trial_s / at_once)
    told = f"{trials:.0f} trials of about {trial_s:.2g} s: {here:.0f} s here, {there:.0f} s on Ray with {at_once} CPUs"
    worth = 0.0 if ray_is_up() else WORTH_S
    return Chosen("ray", told, at_once) if here - there > worth else Chosen("inline", told)


def ray_is_up() -> bool:
    """Whether this process is connected to a Ray; ray is not imported to find out."""
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


def _cpus(up: bool) -> int:
    if up:
        return max(1, int(sys.modules["ray"].cluster_resources().get("CPU", 1)))
    return len(os.sched_getaffinity(0))
