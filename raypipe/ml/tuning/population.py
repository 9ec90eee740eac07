"""Networks that learn side by side, where those behind go on from a copy of one ahead: what one of them does in a turn.

A member is its history: stretches of epochs, each with its settings. All begin alike, so a history decides the
weights, and what it gave is kept under its hash: a search that was killed, and another member with the same history,
take it from there. The winner's history is the `schedule` with which the network then learns from all rows.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import secrets
import statistics
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from raypipe.errors import ConfigError
from raypipe.ml.metrics import METRICS
from raypipe.ml.model import Recipe
from raypipe.ml.neural.network import PACED
from raypipe.ml.specs.space import Float, Int, Space
from raypipe.ml.specs.tuning import PopulationSearchSpec
from raypipe.ml.tuning.work import FoldResult, Task

History = Sequence[Any]
"""[epochs, settings] one behind the other: a `schedule`."""
WORST = 1e30
"""Loss of a member that gave none; Tune sorts by it, so it is a number."""
FACTORS = (0.8, 1.2)
RESAMPLED = 0.25
"""Share of settings that are drawn anew instead of being moved; both as Ray Tune has them."""


@dataclass(frozen=True)
class Population:
    """What all members have in common; it is sent to each worker once."""

    task: Task
    metric: str
    folder: Path
    """Of what is known of histories; all workers see it."""

    def turn(self, history: History) -> tuple[FoldResult, int]:
        """The last stretch of a history on all folds: the mean of their scores, and how many were known already."""
        started = time.perf_counter()
        told = [self._fold(history, fold) for fold in range(len(self.task.folds))]
        results = [result for result, _ in told]
        error = next((one.error for one in results if one.error is not None), None)
        scores = {} if error is not None else {name: _mean(results, name) for name in self.task.metrics}
        found = FoldResult(
            scores,
            fit_s=sum(one.fit_s for one in results),
            predict_s=sum(one.predict_s for one in results),
            seconds=time.perf_counter() - started,
            error=error,
        )
        return found, sum(known for _, known in told)

    def loss(self, result: FoldResult) -> float:
        """Lower is better."""
        score = result.scores.get(self.metric)
        if score is None or not np.isfinite(score):
            return WORST
        return -float(score) if METRICS[self.metric].greater_is_better else float(score)

    def _fold(self, history: History, fold: int) -> tuple[FoldResult, bool]:
        place = self._place(history, fold, ".json")
        try:
            return FoldResult(**json.loads(place.read_text())), True
        except (OSError, ValueError, TypeError):
            pass  # not there yet: files come whole
        started = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                result = self._learnt(history, fold, started)
            except Exception as error:  # noqa: BLE001 - libraries raise what they like, and the search goes on
                text = f"{type(error).__name__}: {error}"
                result = FoldResult(seconds=time.perf_counter() - started, error=text)
        _put(place, json.dumps(result.to_dict()).encode())
        return result, False

    def _learnt(self, history: History, fold: int, started: float) -> FoldResult:
        task = self.task
        made = task.shelf.get((task.recipe, task.data, False), {}, (fold, task.folds[fold]))
        network = task.recipe.make(schedule=[list(one) for one in history])[-1]
        state = self._state(history[:-1], fold)
        done = 0 if state is None else len(history) - 1
        after = network.fit_from(made.learn.X, made.learn.y, state, done)
        fitted = time.perf_counter()
        place = self._place(history, fold, ".npz")
        part = place.with_name(f"{place.name}.{secrets.token_hex(4)}.part.npz")
        np.savez(part, **after)
        os.replace(part, place)
        labels = None if task.data.task == "regression" else task.data.classes
        scores = task.scores(network, made.test, labels)
        done_s = time.perf_counter()
        return FoldResult(scores, fit_s=fitted - started, predict_s=done_s - fitted, seconds=done_s - started)

    def _state(self, history: History, fold: int) -> dict[str, Any] | None:
        """The network behind a history; None: it is not there, and learns from the start."""
        if not history:
            return None
        try:
            with np.load(self._place(history, fold, ".npz"), allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        except (OSError, ValueError, EOFError, BadZipFile):
            return None

    def _place(self, history: History, fold: int, suffix: str) -> Path:
        told = json.dumps([list(one) for one in history], sort_keys=True)
        return self.folder / f"{hashlib.sha256(told.encode()).hexdigest()[:24]}-{fold}{suffix}"


def _put(place: Path, content: bytes) -> None:
    """A file, whole or not at all, also behind a SIGKILL."""
    part = place.with_name(f"{place.name}.{secrets.token_hex(4)}.part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, place)


def _mean(results: Sequence[FoldResult], name: str) -> float | None:
    values = [one.scores.get(name) for one in results]
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def settled_space(spec: PopulationSearchSpec, recipe: Recipe) -> Space:
    """What changes from turn to turn.

    Raises
    ------
    ConfigError
        The model is no network, or a setting cannot change while it learns.
    """
    who = f"tuning {spec.tuning_name!r}"
    if recipe.model.algorithm != "mlp":
        raise ConfigError(f"{who}: a population learns epoch by epoch, as 'mlp' does; got {recipe.model.algorithm!r}")
    if "schedule" in recipe.model.hyperparameters:
        raise ConfigError(f"{who}: the schedule is what it finds; take it out of the model's hyperparameters")
    wrong = [name for name in spec.space if name not in PACED]
    if wrong:
        raise ConfigError(f"{who}: {wrong[0]!r} cannot change while a network learns; these can: {', '.join(PACED)}")
    return dict(spec.space)


def drawn(space: Space, rng: random.Random) -> dict[str, Any]:
    """Settings from all of the space."""
    return {name: _draw(domain, rng) for name, domain in space.items()}


def explored(params: Mapping[str, Any], space: Space, rng: random.Random) -> dict[str, Any]:
    """Settings near others: each moved by a fifth, or drawn anew (Jaderberg et al., 2017)."""
    found = {}
    for name, domain in space.items():
        if rng.random() < RESAMPLED or not isinstance(domain, Float | Int):
            found[name] = _draw(domain, rng)
        else:
            found[name] = min(max(params[name] * rng.choice(FACTORS), domain.low), domain.high)
    return found


def _draw(domain: Any, rng: random.Random) -> Any:
    if not isinstance(domain, Float | Int):
        return rng.choice(domain.values)
    if domain.log:
        return min(max(float(np.exp(rng.uniform(np.log(domain.low), np.log(domain.high)))), domain.low), domain.high)
    return rng.uniform(domain.low, domain.high)
