"""A population on Ray Tune's PopulationBasedTraining: Tune keeps the actors and says who copies whom.

Members run in step: all learn a turn, then those behind take over from those ahead. With a seed of its own for each
such moment, the same search comes out each time, and one that was killed finds the turns that it had done.
"""

from __future__ import annotations

import json
import math
import random
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.schedulers import PopulationBasedTraining, TrialScheduler

from raypipe.ml.specs.space import Space
from raypipe.ml.specs.tuning import PopulationSearchSpec
from raypipe.ml.tuning.ontune import tune_environment
from raypipe.ml.tuning.population import Population, drawn, explored
from raypipe.ml.tuning.race import GRACE_S
from raypipe.ml.tuning.work import FoldResult

HISTORY = "history.json"


@dataclass
class Turn:
    """A stretch of epochs of one member, as it came out."""

    member: int
    history: list[Any]
    result: FoldResult
    remembered: int
    ended_s: float


@dataclass
class Lineage:
    """What a population did. Tune copies and pickles what it is given; this stays one."""

    seed: int
    space: Space
    deadline: float
    turns: list[Turn] = field(default_factory=list)
    copies: list[dict[str, Any]] = field(default_factory=list)
    """Who went on from whom, after how many turns, with which settings."""
    failed: dict[int, str] = field(default_factory=dict)
    stopped_by_time: bool = False
    started: float = field(default_factory=time.monotonic)

    def __deepcopy__(self, memo: dict[int, Any]) -> Lineage:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, ()  # What Tune writes to its folder is not read again.


def run_population(spec: PopulationSearchSpec, population: Population, lineage: Lineage, at_once: int | None) -> None:
    """Run a population to its end, on the Ray that this process is connected to."""
    rng = random.Random(lineage.seed)
    members = [
        {"member": number, "params": json.dumps(drawn(lineage.space, rng))} for number in range(1, spec.population + 1)
    ]
    folder = tempfile.mkdtemp(prefix="turns-", dir=population.folder)
    left = lineage.deadline - time.monotonic()
    try:
        with tune_environment():
            tuner = tune.Tuner(
                tune.with_parameters(Member, population=population, epochs=spec.epochs),
                param_space={"start": tune.grid_search(members)},
                tune_config=tune.TuneConfig(
                    scheduler=Ahead(lineage, spec.generations),
                    num_samples=1, max_concurrent_trials=at_once, reuse_actors=True,
                    time_budget_s=None if math.isinf(left) else max(GRACE_S, left + GRACE_S),
                ),
                run_config=tune.RunConfig(
                    name="population",
                    storage_path=folder,
                    verbose=0,
                    failure_config=tune.FailureConfig(max_failures=1),
                    checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
                ),
            )  # fmt: skip
            tuner.fit()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    lineage.stopped_by_time |= time.monotonic() >= lineage.deadline


class Member(tune.Trainable):
    """An actor that learns the turns of one member after another."""

    def setup(self, config: dict[str, Any], population: Population | None = None, epochs: int = 1) -> None:
        assert population is not None
        self._population, self._epochs = population, epochs
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._params = json.loads(new_config["start"]["params"])
        self._history: list[Any] = []
        return True

    def step(self) -> dict[str, Any]:
        """A turn."""
        history = [*self._history, [self._epochs, self._params]]
        result, known = self._population.turn(history)
        self._history = history
        told = {"history": history, "result": result.to_dict(), "remembered": known}
        return {"turn": len(history), "loss": self._population.loss(result), "told": json.dumps(told)}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        Path(checkpoint_dir, HISTORY).write_text(json.dumps(self._history))

    def load_checkpoint(self, checkpoint: Any) -> None:
        self._history = json.loads(Path(checkpoint, HISTORY).read_text())


class Ahead(PopulationBasedTraining):
    """Tune's scheduler, in step and seeded, which writes down what it does and minds the time."""

    def __init__(self, lineage: Lineage, turns: int) -> None:
        super().__init__(
            time_attr="turn", metric="loss", mode="min", perturbation_interval=1, synch=True, log_config=False,
            custom_explore_fn=self._explore,
        )  # fmt: skip
        self._lineage, self._turns = lineage, turns

    def _explore(self, config: dict[str, Any]) -> dict[str, Any]:
        params = json.loads(config["start"]["params"])
        moved = explored(params, self._lineage.space, random.Random(random.random()))
        return {**config, "start": {**config["start"], "params": json.dumps(moved)}}

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        turn = self._heard(trial, result)
        if len(turn.history) >= self._turns:
            return TrialScheduler.STOP
        if time.monotonic() + turn.result.seconds > self._lineage.deadline:
            self._lineage.stopped_by_time = True
            tune_controller.request_stop_experiment()
            return TrialScheduler.STOP
        with _seeded((self._lineage.seed, len(turn.history))):
            decided: str = super().on_trial_result(tune_controller, trial, result)
        return decided

    def _heard(self, trial: Any, result: Mapping[str, Any]) -> Turn:
        told = json.loads(result["told"])
        turn = Turn(
            member=_member(trial),
            history=told["history"],
            result=FoldResult(**told["result"]),
            remembered=told["remembered"],
            ended_s=time.monotonic() - self._lineage.started,
        )
        self._lineage.turns.append(turn)
        return turn

    def _exploit(self, tune_controller: Any, trial: Any, trial_to_clone: Any) -> None:
        member, ahead = _member(trial), _member(trial_to_clone)
        super()._exploit(tune_controller, trial, trial_to_clone)
        trial.config["start"]["member"] = member  # its settings are those of the other, its number is not
        params = json.loads(trial.config["start"]["params"])
        turns = int(self._trial_state[trial_to_clone].last_train_time)
        self._lineage.copies.append({"turn": turns, "member": member, "from": ahead, "params": params})

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """A member that is lost would be waited for; the others have told what they know."""
        self._lineage.failed[_member(trial)] = f"its worker died: {trial.get_error() or 'no reason was left'}"[:500]
        tune_controller.request_stop_experiment()


def _member(trial: Any) -> int:
    return int(trial.config["start"]["member"])


@contextmanager
def _seeded(seed: tuple[int, int]) -> Iterator[None]:
    """Tune draws from the generator of the whole process; what it draws is to be the same each time."""
    before = random.getstate()
    random.seed(f"{seed[0]}-{seed[1]}")
    try:
        yield
    finally:
        random.setstate(before)
