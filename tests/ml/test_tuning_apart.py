"""Folds in a process that can be ended: the time holds, and what dies says so."""

from __future__ import annotations

import math
import os
import signal
import threading
import time

import psutil
import pytest

from raypipe.errors import OutputError
from raypipe.ml.data import training_data
from raypipe.ml.model import Recipe
from raypipe.ml.specs import Choice, GridSearchSpec, ModelSpec, NumericFeatureSpec, OptunaSearchSpec, ValidationSpec
from raypipe.ml.splits import folds
from raypipe.ml.tuning.apart import Apart, Ended, pack, wait_for
from raypipe.ml.tuning.journal import Journal
from raypipe.ml.tuning.onprocesses import processes, run_on_processes
from raypipe.ml.tuning.race import Race, Rules
from raypipe.ml.tuning.work import Task
from raypipe.ml.workflow import run_ml_workflow
from tests.ml.frames import numbers

DATA = training_data(numbers(90), "y")
FEATURES = (NumericFeatureSpec(feature_name="a"), NumericFeatureSpec(feature_name="b"))
FOREST = ModelSpec(model_name="m", algorithm="random_forest", hyperparameters={"n_estimators": 2})
ENDLESS = {"n_estimators": 10_000_000}


def task():
    recipe = Recipe(FEATURES, FOREST, "regression", 0)
    return Task(recipe, DATA, tuple(folds(ValidationSpec(), DATA, 0, 3)), ("rmse",))


def never():
    return math.inf


def soon(seconds):
    """When a fold that begins now has to have ended."""
    return lambda: time.monotonic() + seconds


def gone(pid):
    """Whether a process has ended, once it has had the time."""
    until = time.monotonic() + 10
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def test_a_fold_apart_gives_what_it_gives_here_and_one_without_end_is_ended():
    work = task()
    with Apart(pack(work)) as apart:
        there = apart.run({"n_estimators": 3}, 1, never, math.inf)
        assert there.scores == work.run({"n_estimators": 3}, 1).scores
        started, pid = time.monotonic(), apart.pid
        assert apart.run(ENDLESS, 0, soon(1.0), math.inf) == Ended(None)
        assert time.monotonic() - started < 10
        assert gone(pid)


def test_a_process_that_dies_says_how_and_the_next_fold_has_another():
    with Apart(pack(task())) as apart:
        assert apart.run({}, 0, never, math.inf).error is None
        threading.Timer(0.5, os.kill, (apart.pid, signal.SIGKILL)).start()
        ended = apart.run(ENDLESS, 0, never, math.inf)
        assert ended == Ended("its process was ended by SIGKILL; the search goes on in another")
        assert apart.run({}, 1, never, math.inf).error is None


def test_what_a_process_takes_to_start_is_no_part_of_the_time_of_its_fold():
    """A start takes seconds. Were they counted, each trial would be given up with its process before it began."""
    with Apart(pack(task())) as apart:
        assert apart.run({}, 0, soon(0.9), math.inf).error is None
        assert apart.run({}, 0, soon(0.9), math.inf).error is None
    with Apart(pack(task())) as late:
        assert late.run({}, 0, never, time.monotonic() + 0.01) == Ended(None)


def test_a_process_that_does_not_read_is_ended_at_the_deadline():
    """The rows are more than a pipe holds, and the process is stopped before it reads them."""
    many = training_data(numbers(60_000), "y")
    work = task()
    packed = pack(Task(work.recipe, many, tuple(folds(ValidationSpec(), many, 0, 3)), ("rmse",)))
    assert len(packed) > 1 << 20
    with Apart(packed) as apart:
        apart.begin({}, 0, soon(1.5), math.inf)
        line, _ = apart.wakes()
        assert line.poll(60)
        os.kill(apart.pid, signal.SIGSTOP)
        started = time.monotonic()
        while (ended := apart.settled()) is None:
            wait_for((apart,))
        assert ended == Ended(None)
        assert time.monotonic() - started < 10


def test_what_a_fit_has_started_ends_with_its_process():
    bagging = ModelSpec(
        model_name="m", algorithm="sklearn.ensemble.BaggingRegressor",
        hyperparameters={"n_estimators": 10_000_000, "n_jobs": 2},
    )  # fmt: skip
    work = task()
    recipe = Recipe(FEATURES, bagging, "regression", 0)
    with Apart(pack(Task(recipe, DATA, work.folds, ("rmse",)))) as apart:
        apart.begin({}, 0, never, math.inf)
        until = time.monotonic() + 60
        while len(below := psutil.Process(apart.pid).children(recursive=True)) < 2:
            assert time.monotonic() < until
            assert apart.settled() is None
            time.sleep(0.1)
        pids = [apart.pid, *(one.pid for one in below)]
    assert all(gone(pid) for pid in pids)


def searched(tmp_path, name, **settings):
    grid = GridSearchSpec(tuning_name="g", param_grid={"max_depth": [1, 2, 3], "n_estimators": [2, 4]}, **settings)
    return run_ml_workflow(
        list(FEATURES), FOREST, numbers(300), "y", "train_test", tuning_spec=grid, output_dir=tmp_path / name
    )


def told(result):
    return [(one.number, one.params, one.status, one.fold_scores) for one in result.trials]


def test_a_grid_gives_the_same_in_processes_as_here(tmp_path):
    here, beside = searched(tmp_path, "a", engine="inline"), searched(tmp_path, "b", engine="processes", n_jobs=2)
    assert told(here) == told(beside)
    assert here.best_params == beside.best_params
    assert (here.tuning_summary["engine"], beside.tuning_summary["engine"]) == ("inline", "processes")
    assert beside.tuning_summary["workers"] == 2
    again = searched(tmp_path, "b", engine="processes", n_jobs=2)
    assert all(one.remembered == len(one.fold_scores) for one in again.trials)
    assert told(again) == told(beside)


class Steps:
    """Configurations in their order."""

    def __init__(self, *params, then=lambda number: None):
        self.params, self.then = params, then

    def ask(self, number):
        return self.params[number - 1] if number <= len(self.params) else None

    def tell(self, number, status, losses, loss):
        self.then(number)


class Watched(Apart):
    """Knows what it is busy with."""

    def begin(self, params, fold, ends, up_by):
        self.params = params
        super().begin(params, fold, ends, up_by)


def raced(tmp_path, steps):
    work = task()
    return Race(work, Rules("t", "rmse"), steps, Journal(tmp_path, work, "s"))


def test_of_two_processes_one_dies_and_its_successor_and_the_other_do_the_rest(tmp_path):
    def kill(number):
        if number == 2:
            (endless,) = (one for one in both if one.params == ENDLESS)
            os.kill(endless.pid, signal.SIGKILL)

    others = [{"n_estimators": number} for number in range(3, 9)]
    race = raced(tmp_path, Steps(ENDLESS, *others, then=kill))
    with race.journal, Watched(pack(race.task)) as one, Watched(pack(race.task)) as other:
        both = (one, other)
        run_on_processes(race, race.next(), both)
    assert [(entry.status, entry.fold) for entry in race.entries] == [("done", 3), ("failed", 0), *[("done", 3)] * 6]
    assert race.entries[1].error == "its process was ended by SIGKILL; the search goes on in another"
    assert len(race.workers) == 2  # the one that was killed before it told of a fold, and its successor, are one


def test_no_process_is_left_where_the_race_fails(tmp_path):
    def fail(number):
        raise OutputError("the journal cannot be written")

    race, pids = raced(tmp_path, Steps(ENDLESS, then=fail)), []

    def run():
        with race.journal, processes(race, (), 2) as both:
            first = race.next()
            race.told(first, race.task.run({}, 0))
            race.told(first, race.task.run({}, 1))
            try:
                run_on_processes(race, first, both)
            finally:
                pids.extend(one.pid for one in both if one.pid)

    with pytest.raises(OutputError):
        run()
    assert pids
    assert all(gone(pid) for pid in pids)


def test_processes_end_what_runs_when_the_time_is_up(tmp_path):
    race = raced(tmp_path, Steps(ENDLESS, ENDLESS | {"max_depth": 3}))
    with race.journal, processes(race, (), 2) as both:
        first = race.next()
        assert race.told(first, race.task.run({}, 0))
        race.limit(time.monotonic() + 8.0, first)
        started = time.monotonic()
        run_on_processes(race, first, both)
        assert time.monotonic() - started < 20
    assert {one.status for one in race.entries[1:]} == {"stopped"}
    assert race.stopped_by == "time"


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["inline", "processes", "ray"])
def test_a_budget_holds_where_single_fits_are_slower_than_all_of_it(request, tmp_path, engine):
    """On Ray with a Ray that is up: one that has to start takes longer than ten seconds are worth, and is refused."""
    if engine == "ray":
        request.getfixturevalue("ray_session")
    spec = OptunaSearchSpec(space={"n_estimators": Choice((2, 3, 10_000_000))}, engine=engine, scoring="rmse")
    started = time.monotonic()
    result = run_ml_workflow(
        list(FEATURES), FOREST, numbers(2_000), "y", "train_test", tuning_spec=spec.replace(time_limit_s=8.0),
        time_limit_s=10.0, output_dir=tmp_path,
    )  # fmt: skip
    assert time.monotonic() - started < 15
    assert not result.skipped
    assert result.tuning_summary["stopped_by"] in ("time", "exhausted")
    assert result.metrics["rmse"].value < 2
