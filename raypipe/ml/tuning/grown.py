"""A search by a population, from its spec to what is told of it; it begins where a search has tried the defaults."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raypipe.errors import OutputError
from raypipe.ml.specs.tuning import PopulationSearchSpec
from raypipe.ml.tuning.outcome import Trial, TuningOutcome
from raypipe.ml.tuning.population import WORST, Population, settled_space
from raypipe.ml.tuning.race import Race

if TYPE_CHECKING:
    from raypipe.ml.tuning.onpopulation import Lineage, Turn


def grow(spec: PopulationSearchSpec, race: Race, place: Path, seed: int, at_once: int | None) -> Lineage:
    """Run the population on the Ray that this process is connected to; what is known of turns lies in `place`."""
    from raypipe.ml.tuning.onpopulation import Lineage, run_population

    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"tuning: cannot write {place}: {error.strerror or error}; give another output_dir"
        ) from error
    population = Population(race.task, race.rules.metric, place.resolve())
    lineage = Lineage(seed, settled_space(spec, race.task.recipe), race.deadline, started=race.started)
    run_population(spec, population, lineage, at_once)
    if not lineage.stopped_by_time and not lineage.failed:
        for state in (*place.glob("*.npz"), *place.glob("*.part")):
            state.unlink(missing_ok=True)  # what was scored stays known; a longer search learns these again
        for left in place.glob("turns-*"):  # of a run that was killed
            shutil.rmtree(left, ignore_errors=True)
    return lineage


def outcome_of(race: Race, lineage: Lineage, summary: dict[str, Any]) -> TuningOutcome:
    """The best turn of all members against the model spec as it stands, and every member as a trial."""
    population = Population(race.task, race.rules.metric, Path())
    default = race.trial(race.entries[0])
    best: Turn | None = None
    for turn in lineage.turns:
        fits = race.room.has(turn.result.fit_s / len(race.task.folds) * len(turn.history))
        if fits and (best is None or population.loss(turn.result) < population.loss(best.result)):
            best = turn
    members = sorted({turn.member for turn in lineage.turns} | set(lineage.failed))
    trials = [default, *(_trial(race, lineage, member) for member in members)]
    params: dict[str, Any] = dict(default.params)
    score, number = default.score, 0
    if best is not None and population.loss(best.result) < min(_loss(race), WORST):
        params, number = {"schedule": best.history}, best.member
        score = best.result.scores.get(race.rules.metric)
    summary.update(
        best_score=score, best_params=params, best_trial=number, trials=len(trials),
        failed=sum(one.status == "failed" for one in trials),
        stopped=sum(one.status == "stopped" for one in trials),
        folds_remembered=sum(turn.remembered for turn in lineage.turns) + default.remembered,
        stopped_by="time" if lineage.stopped_by_time else race.stopped_by,
        generations=max((len(turn.history) for turn in lineage.turns), default=0),
        turns=len(lineage.turns), copies=len(lineage.copies),
        seconds=time.monotonic() - race.started,
    )  # fmt: skip
    return TuningOutcome(params, score, summary, tuple(trials))


def _loss(race: Race) -> float:
    loss = race.loss(race.entries[0])
    return WORST if loss is None else loss


def _trial(race: Race, lineage: Lineage, member: int) -> Trial:
    """A member: its last settings, its best turn, and from whom it took over."""
    turns = [turn for turn in lineage.turns if turn.member == member]
    copies = tuple({k: v for k, v in one.items() if k != "member"} for one in lineage.copies if one["member"] == member)
    error = lineage.failed.get(member)
    if not turns:
        return Trial(member, {}, "failed", None, error=error)
    population = Population(race.task, race.rules.metric, Path())
    best = min(turns, key=lambda turn: population.loss(turn.result))
    whole = best.result.error is None
    error = error or (None if whole else best.result.error)
    ended = "stopped" if lineage.stopped_by_time else "done"
    return Trial(
        number=member,
        params=dict(turns[-1].history[-1][1]),
        status="failed" if error is not None else ended,  # type: ignore[arg-type]  # both are statuses
        score=best.result.scores.get(race.rules.metric),
        fold_scores=tuple(turn.result.scores.get(race.rules.metric) for turn in turns),
        metrics=dict(best.result.scores),
        fit_s=sum(turn.result.fit_s for turn in turns),
        predict_s=sum(turn.result.predict_s for turn in turns),
        error=error,
        remembered=sum(turn.remembered for turn in turns),
        ended_s=turns[-1].ended_s,
        copied=copies,
    )
