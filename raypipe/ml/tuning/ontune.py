"""A race on Ray Tune: Tune keeps the actors and the places, the race says what runs and who goes on.

Each trial is an actor that runs one fold a step, so that every decision is taken here between two folds. A fold runs in
a process of the actor's own, which is ended when the time is up: for an actor that is busy, Tune would wait up to 15 s.
Actors are used again (a new one costs seconds), and the rows are put into the object store once.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from raypipe.engine.session import open_session
from raypipe.ml.tuning.apart import Apart, pack
from raypipe.ml.tuning.race import GRACE_S, Entry, Limits, Race
from raypipe.ml.tuning.work import FoldResult

END_S = 2.5
"""What Tune takes to end its actors once there is no more to run; measured at 2 to 3 s on two cores."""
_ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C ends the search, as it ends everything else
    "TUNE_FORCE_TRIAL_CLEANUP_S": "1",  # nor is an actor that does not answer
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # the journal of ours is what a rerun reads
    "TUNE_WARN_THRESHOLD_S": "30",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # the new one prints a banner at verbose 0 too, and standard output is the user's
}


def connect(address: str | None) -> None:
    """Be connected to a Ray that has room: the one at `address`, else the one that is up, else a private one.

    Raises
    ------
    RaypipeError
        It cannot be reached, or started.
    """
    open_session(address).let_go()  # Idle workers hold places that trials want.


def run_on_tune(race: Race, first: Entry | None, at_once: int | None) -> None:
    """Run a race to its end, on the Ray that this process is connected to.

    Parameters
    ----------
    first : Entry, optional
        A trial that has begun already.
    at_once : int, optional
        Trials that run beside each other, a CPU each; None: as many as there are CPUs. Prefer None: Tune keeps an actor
        for another trial if one waits already, and with a limit none does.
    """
    book = _Book(race, first)
    folder = tempfile.mkdtemp(prefix="raypipe-tune-")
    left = race.deadline - time.monotonic()
    try:
        with tune_environment():
            tuner = tune.Tuner(
                tune.with_parameters(FoldSteps, packed=pack(race.task)),
                tune_config=tune.TuneConfig(
                    metric="folds", mode="max", search_alg=Proposals(book), scheduler=Decisions(book),
                    num_samples=-1, max_concurrent_trials=at_once, reuse_actors=True,
                    time_budget_s=None if math.isinf(left) else max(GRACE_S, left + GRACE_S),
                ),
                run_config=tune.RunConfig(
                    name="search",
                    storage_path=folder,
                    verbose=0,
                    failure_config=tune.FailureConfig(max_failures=1),  # a worker that died tells nothing of its trial
                    # Tune saves each trial at its end otherwise, and ends the actor that cannot.
                    checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
                ),
            )  # fmt: skip
            tuner.fit()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for entry in book.running():
        race.end(entry, "stopped")
        race.stopped_by = "time"


class FoldSteps(tune.Trainable):
    """An actor that runs the folds of one configuration after another."""

    def setup(self, config: dict[str, Any], packed: bytes = b"") -> None:
        self._apart = Apart(packed)
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._params = json.loads(new_config["params"])
        self._fold = int(new_config["fold"])
        self._limits = Limits.received(new_config["limits"])
        return True

    def step(self) -> dict[str, Any]:
        """One fold. Whether another comes is decided where the others are known."""
        result = self._apart.run(self._params, self._fold, self._limits.patience_ends, self._limits.gives_up_at)
        self._fold += 1
        if isinstance(result, FoldResult):
            return {"folds": self._fold, "result": json.dumps(result.to_dict())}
        return {"folds": self._fold, "lost": result.why}

    def cleanup(self) -> None:
        """End the process with the actor; where the actor is killed, its process finds out."""
        self._apart.close()


class _Book:
    """Which trial of Tune is which entry of the race. Tune copies and pickles what it is given; this stays one."""

    def __init__(self, race: Race, first: Entry | None) -> None:
        self.race = race
        self._first = first if first is not None and first.status == "running" else None
        self._entries: dict[str, Entry] = {}

    def propose(self, trial_id: str) -> Entry | None:
        """The next entry, from now on known under the id."""
        entry, self._first = (self._first, None) if self._first is not None else (self.race.next(), None)
        if entry is not None:
            self._entries[trial_id] = entry
        return entry

    def told(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Hear of a fold; whether the trial goes on."""
        entry = self._entries[trial_id]
        if entry.status != "running" or result["folds"] <= entry.fold:
            return entry.status == "running"  # known: the trial began again after its worker had died
        if "result" not in result:
            self.race.lost(entry, result["lost"])
            return False
        return self.race.told(entry, FoldResult(**json.loads(result["result"])))

    def lost(self, trial_id: str, why: str) -> None:
        """A trial whose actor died; after the deadline it was Tune that ended it."""
        entry = self._entries[trial_id]
        if entry.status == "running":
            self.race.lost(entry, why if time.monotonic() < self.race.deadline else None)

    def running(self) -> list[Entry]:
        """Entries that have not ended."""
        return [entry for entry in self._entries.values() if entry.status == "running"]

    def __deepcopy__(self, memo: dict[int, Any]) -> _Book:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, ()  # What Tune writes to its folder is not read again.


class Proposals(Searcher):
    """Tune's searcher, which asks the race."""

    def __init__(self, book: _Book) -> None:
        super().__init__(metric="folds", mode="max")
        self._book = book

    def suggest(self, trial_id: str) -> Any:
        entry = self._book.propose(trial_id)
        if entry is None:
            return Searcher.FINISHED
        limits = self._book.race.limits.sent()
        return {"params": json.dumps(entry.params), "fold": entry.fold, "limits": limits}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """The race knows already."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the journal has it."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing."""


class Decisions(FIFOScheduler):
    """Tune's scheduler, which tells the race of each fold and asks whether the trial goes on."""

    def __init__(self, book: _Book) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Ray has no types here
        self._book = book

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        self._book.race.workers.add((str(result.get("hostname")), int(result.get("pid", 0))))
        goes_on = self._book.told(trial.trial_id, result)
        return TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        self._book.lost(trial.trial_id, f"its worker died: {trial.get_error() or 'no reason was left'}"[:500])


@contextlib.contextmanager
def tune_environment() -> Iterator[None]:
    """Settings that Tune takes from the environment alone; what the user set stands."""
    missing = {name: value for name, value in _ENVIRONMENT.items() if name not in os.environ}
    os.environ.update(missing)
    try:
        yield
    finally:
        for name in missing:
            os.environ.pop(name, None)
