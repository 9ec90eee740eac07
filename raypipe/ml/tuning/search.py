"""`search`: trials of whole pipelines on the folds that the validation asks for, and the best of them."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raypipe.errors import RaypipeError
from raypipe.ml.data import TrainingData
from raypipe.ml.metrics import METRICS
from raypipe.ml.model import Recipe
from raypipe.ml.specs.tuning import OptunaSearchSpec, PopulationSearchSpec
from raypipe.ml.specs.validation import ValidationSpec
from raypipe.ml.tuning.apart import LEAST_S, Apart, pack
from raypipe.ml.tuning.candidates import AnySpec, candidates_of
from raypipe.ml.tuning.choose import Chosen, choose_engine
from raypipe.ml.tuning.grown import grow, outcome_of
from raypipe.ml.tuning.journal import Journal
from raypipe.ml.tuning.onprocesses import processes, run_on_processes
from raypipe.ml.tuning.outcome import TuningOutcome
from raypipe.ml.tuning.race import Entry, Race, Rules
from raypipe.ml.tuning.settle import deadline_of, room_of, search_key, settled_folds, settled_metrics
from raypipe.ml.tuning.work import FoldResult, Task

if TYPE_CHECKING:
    from raypipe.ml.tuning.onpopulation import Lineage
    from raypipe.ml.workflow.run import Options

_log = logging.getLogger(__name__)
FOLDER = "tuning"
"""Of the output folder, where journals lie."""


def search(
    spec: AnySpec, recipe: Recipe, data: TrainingData, validation: ValidationSpec, options: Options
) -> TuningOutcome:
    """Try parameters, each on the same folds of `data`, and take the best.

    Trial 0 is the model spec as it stands, so that there is a result whenever the time is up. It may win against what
    Optuna proposes; a grid and a random search take a point of their own, as in scikit-learn, and tell its score
    beside. Each fold that is done is in a journal of the output folder, and is not done again.

    Parameters
    ----------
    validation : ValidationSpec
        Says how folds are made, where the spec does not.
    options : Options
        `seed`, `output_dir`, and the `deadline` of the whole workflow.

    Returns
    -------
    TuningOutcome
        Parameters, score, summary and all trials.

    Raises
    ------
    ConfigError
        Folds, metrics or parameters that there are not, or no trial gave a score.
    OutputError
        The journal cannot be written.
    """
    started = time.monotonic()
    seed = options.seed if spec.random_state is None else spec.random_state
    strategy, folds = settled_folds(spec, data, validation, seed)
    metric, metrics = settled_metrics(spec, recipe, data.task)
    task = Task(recipe, data, tuple(folds), tuple(dict.fromkeys(metrics.values())), spec.return_train_score)
    competes = isinstance(spec, OptunaSearchSpec | PopulationSearchSpec)
    rules = Rules(
        spec.tuning_name, metrics[metric], spec.pruner if isinstance(spec, OptunaSearchSpec) else "none",
        competes, spec.verbose,
    )  # fmt: skip
    with Journal(options.output_dir / FOLDER, task, search_key(spec, seed)) as journal:
        race = Race(task, rules, candidates_of(spec, recipe, seed, journal.proposed), journal)
        choice, lineage = _run(race, spec, validation, (options, started))
    best = race.best()
    summary = _summary(spec, (race, best), choice, (strategy, time.monotonic() - started, journal.path))
    summary["scoring"] = metrics
    if lineage is not None:
        return outcome_of(race, lineage, summary)
    return TuningOutcome(best.params, summary["best_score"], summary, tuple(map(race.trial, race.entries)))


def _run(
    race: Race, spec: AnySpec, validation: ValidationSpec, how: tuple[Options, float]
) -> tuple[Chosen, Lineage | None]:
    """A first fold here, which tells how long one takes; then the others, where they are done first."""
    options, started = how
    race.room = room_of(validation, options, race.task.data, race.task.folds)
    race.deadline = deadline_of(spec, race.room, started, 0.0)
    with ExitStack() as stack:
        aparts = _apart(race, stack)
        fold = _fold_runner(race, aparts)
        first = race.next()
        if first is not None:
            fold(first)
        race.limit(deadline_of(spec, race.room, started, race.fold_s()), first)
        choice = _connected(race, spec)
        if choice.engine == "processes":
            run_on_processes(race, first, stack.enter_context(processes(race, aparts, choice.at_once)))
        elif choice.engine == "inline" or isinstance(spec, PopulationSearchSpec):
            _run_here(race, first, fold)
    if choice.engine != "ray":
        return choice, None
    at_once = None if spec.n_jobs == -1 else choice.at_once
    if isinstance(spec, PopulationSearchSpec):
        seed = options.seed if spec.random_state is None else spec.random_state
        place = race.journal.path.with_suffix(".population")
        return choice, grow(spec, race, place, seed, at_once)
    from raypipe.ml.tuning.ontune import END_S, run_on_tune

    race.deadline -= END_S
    run_on_tune(race, first, at_once)
    return choice, None


def _connected(race: Race, spec: AnySpec) -> Chosen:
    """Where the other folds run; if that is on Ray, this process is connected to one."""
    choice = choose_engine(spec, race.task, race.fold_s(), race.deadline - time.monotonic())
    _log.info("tuning %s: %s, since %s", spec.tuning_name, choice.engine, choice.reason)
    if choice.engine == "ray":
        from raypipe.ml.tuning.ontune import connect

        try:
            connect(spec.ray_address)
        except RaypipeError as error:
            if spec.engine == "ray" or spec.ray_address is not None or isinstance(spec, PopulationSearchSpec):
                raise
            _log.warning("tuning %s goes on without Ray: %s", spec.tuning_name, error)
            return Chosen("inline", f"{choice.reason}; but {error}")
    return choice


def _apart(race: Race, stack: ExitStack) -> list[Apart]:
    """With a deadline, a process that can be ended; without, none."""
    if race.deadline - time.monotonic() < LEAST_S or math.isinf(race.deadline):
        return []
    return [stack.enter_context(Apart(pack(race.task)))]


def _fold_runner(race: Race, aparts: Sequence[Apart]) -> Callable[[Entry], bool]:
    """What runs the next fold of a trial, in a process where there is one, and says whether it goes on."""
    if not aparts:
        return lambda entry: race.told(entry, race.task.run(entry.params, entry.fold))

    def fold(entry: Entry) -> bool:
        result = aparts[0].run(entry.params, entry.fold, race.limits.patience_ends, race.limits.gives_up_at)
        if isinstance(result, FoldResult):
            return race.told(entry, result)
        race.lost(entry, result.why)
        return False

    return fold


def _run_here(race: Race, entry: Entry | None, fold: Callable[[Entry], bool]) -> None:
    """One trial after another."""
    while entry is not None:
        while entry.status == "running" and fold(entry):
            pass
        entry = race.next()


def _summary(spec: AnySpec, led: tuple[Race, Entry], choice: Chosen, told: tuple[str, float, Path]) -> dict[str, Any]:
    race, best = led
    strategy, seconds, journal = told
    ended = [race.trial(entry) for entry in race.entries]
    metric = race.rules.metric
    found = {
        "tuning_name": spec.tuning_name,
        "tuning_type": spec.tuning_type,
        "best_score": race.score(best),
        "best_params": dict(best.params),
        "best_trial": best.number,
        "default_score": race.score(race.entries[0]),
        "metric": metric,
        "greater_is_better": METRICS[metric].greater_is_better,
        "n_splits": len(race.task.folds),
        "cv_strategy": strategy,
        "trials": len(ended),
        **{status: sum(one.status == status for one in ended) for status in ("failed", "pruned", "stopped")},
        "folds_remembered": sum(one.remembered for one in ended),
        "seconds": seconds,
        "stopped_by": race.stopped_by,
        "engine": "ray tune" if choice.engine == "ray" else choice.engine,
        "engine_reason": choice.reason,
        "workers": max(len(race.workers), 1),
        "journal": str(journal),
    }
    if isinstance(spec, OptunaSearchSpec):
        found.update(sampler=spec.sampler, pruner=spec.pruner)
    return found
