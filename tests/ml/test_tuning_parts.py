"""Laws of the parts of a search: who is given up, what is proposed, where folds run, what the journal keeps."""

from __future__ import annotations

import json
import math
import statistics
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.errors import ConfigError, MissingDependencyError, OutputError
from raypipe.ml.data import training_data
from raypipe.ml.metrics import compute
from raypipe.ml.model import Recipe, estimates, truth_of
from raypipe.ml.specs import (
    CalibrationSpec,
    CategoricalFeatureSpec,
    Choice,
    Float,
    GridSearchSpec,
    Int,
    ModelSpec,
    NumericFeatureSpec,
    OptunaSearchSpec,
    RandomSearchSpec,
    ValidationSpec,
)
from raypipe.ml.splits import folds
from raypipe.ml.tuning import choose
from raypipe.ml.tuning.candidates import candidates_of, default_space
from raypipe.ml.tuning.journal import Journal, task_key
from raypipe.ml.tuning.prepared import Shelf
from raypipe.ml.tuning.race import Limits, Race, Room, Rules
from raypipe.ml.tuning.rungs import falls_behind
from raypipe.ml.tuning.settle import MARGIN, room_of
from raypipe.ml.tuning.work import FoldResult, Task
from raypipe.ml.workflow.run import Options
from raypipe.ml.workflow.trial import fitted_on
from tests.ml.frames import numbers, people

FEATURES = (NumericFeatureSpec(feature_name="a"), NumericFeatureSpec(feature_name="b"))
DATA = training_data(numbers(90), "y")
FOLDS = tuple(folds(ValidationSpec(), DATA, 0, 3))
LOSSES = st.lists(st.floats(0, 1), min_size=1, max_size=5)


def recipe(algorithm="ridge", **settings):
    return Recipe(FEATURES, ModelSpec(model_name="m", algorithm=algorithm, hyperparameters=settings), "regression", 0)


def task(**change):
    return Task(**{"recipe": recipe(), "data": DATA, "folds": FOLDS, "metrics": ("rmse",), **change})


# ── who is given up ──────────────────────────────────────────────────────────────────────────────────────────────────


@given(LOSSES, st.lists(LOSSES, max_size=8), st.sampled_from(["asha", "median"]))
def test_a_trial_better_than_all_on_the_same_folds_goes_on(own, others, pruner):
    done = len(own)
    rivals = [statistics.fmean(one[:done]) for one in others if len(one) >= done]
    if all(statistics.fmean(own) < rival for rival in rivals):
        assert not falls_behind(pruner, own, others)


@given(LOSSES, st.lists(LOSSES, max_size=8), st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_folds_that_a_trial_has_not_run_decide_nothing(own, others, later):
    longer = [one + later for one in others if len(one) == len(own)] + [one for one in others if len(one) > len(own)]
    same = [one for one in others if len(one) >= len(own)]
    assert falls_behind("asha", own, others) == falls_behind("asha", own, same) == falls_behind("asha", own, longer)


def test_an_easy_first_fold_saves_nobody():
    others = [[0.1, 0.5, 0.5]] * 4
    assert not falls_behind("asha", [0.1], others)
    assert falls_behind("asha", [0.1, 0.9, 0.9], others)  # 0.1 was the easy fold of all
    assert not falls_behind("asha", [0.1, 0.9], others)  # no rung after two folds
    assert not falls_behind("none", [9.0], others)
    assert not falls_behind("median", [9.0], others)  # too few to have a median
    assert falls_behind("median", [9.0], [*others, [0.2]])


# ── what is proposed ─────────────────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_what_is_drawn_lies_inside_its_range(seed):
    space = {"alpha": Float(0.01, 5.0, log=True), "max_iter": Int(1, 9), "solver": Choice(("svd", "auto"))}
    drawn = RandomSearchSpec(tuning_name="r", param_distributions=space, n_iter=5)
    optuna = OptunaSearchSpec(space=space, sampler="random", n_trials=5)
    for spec in (drawn, optuna):
        source = candidates_of(spec, recipe(), seed, {})
        found = [source.ask(number) for number in range(1, 6)]
        assert source.ask(6) is None
        assert all(0.01 <= one["alpha"] <= 5 and 1 <= one["max_iter"] <= 9 for one in found)
        assert all(type(one["max_iter"]) is int and one["solver"] in ("svd", "auto") for one in found)


def test_a_random_search_of_few_values_tries_each_once():
    spec = RandomSearchSpec(tuning_name="r", param_distributions={"alpha": [1.0, 2.0, 3.0]}, n_iter=10)
    source = candidates_of(spec, recipe(), 0, {})
    assert sorted(source.ask(number)["alpha"] for number in range(1, 4)) == [1.0, 2.0, 3.0]
    assert source.ask(4) is None


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_study_goes_on_as_it_would_have(sampler):
    spec = OptunaSearchSpec(space={"alpha": Float(0.01, 5.0)}, sampler=sampler, n_trials=20)

    def went(source, count):
        found = {}
        for number in range(1, count + 1):
            found[number] = source.ask(number)
            loss = (found[number]["alpha"] - 1) ** 2
            source.tell(number, "done", [loss], loss)
        return found

    whole = went(candidates_of(spec, recipe(), 3, {}), 16)
    cut = {number: whole[number] for number in range(1, 13)}
    assert went(candidates_of(spec, recipe(), 3, cut), 16) == whole


def test_failed_and_given_up_trials_leave_the_study_working():
    spec = OptunaSearchSpec(space={"alpha": Float(0.01, 5.0)}, n_trials=40)
    source = candidates_of(spec, recipe(), 0, {})
    source.tell(0, "done", [1.0], 1.0)
    ends = [("failed", [None], None), ("pruned", [2.0], None), ("stopped", [], None), ("done", [0.5], 0.5)]
    for number in range(1, 17):
        source.ask(number)
        source.tell(number, *ends[number % 4])
    assert source.ask(17) is not None


def test_a_default_space_leaves_what_the_model_spec_sets():
    assert set(default_space("o", recipe())) == {"alpha"}
    with pytest.raises(ConfigError, match="sets all that is worth searching of 'ridge'"):
        default_space("o", recipe(alpha=2.0))
    with pytest.raises(ConfigError, match="'dummy' has nothing to search; say what to search"):
        default_space("o", recipe("dummy"))
    with pytest.raises(ConfigError, match="'sklearn.svm.SVR' is not known here"):
        default_space("o", recipe("sklearn.svm.SVR"))


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"alhpa": [1]}, "Ridge has no parameter 'alhpa'. Did you mean 'alpha'"),
        ({"preprocessor__f7__scale": [None]}, "has no parameter 'preprocessor__f7__scale'"),
        ({"alpha": [1], "model__alpha": [2]}, "'model__alpha' and 'alpha' are the same parameter"),
    ],
)
def test_parameters_that_there_are_not_are_said_before_a_trial_runs(grid, message):
    with pytest.raises(ConfigError, match=message):
        candidates_of(GridSearchSpec(tuning_name="g", param_grid=grid), recipe(), 0, {})


def test_a_sampler_without_its_package_says_what_to_install():
    pytest.importorskip("optuna")
    try:
        import cmaes  # noqa: F401
    except ImportError:
        with pytest.raises(MissingDependencyError, match="'cmaes' needs cmaes: pip install cmaes"):
            candidates_of(OptunaSearchSpec(sampler="cmaes"), recipe(), 0, {})


# ── the book of a race ───────────────────────────────────────────────────────────────────────────────────────────────


def run(race, losses):
    """A race whose folds give what `losses` says of the parameter."""
    while (entry := race.next()) is not None:
        result = FoldResult({"rmse": losses(entry.params.get("alpha"), entry.fold)}, seconds=0.0)
        while race.told(entry, result):
            result = FoldResult({"rmse": losses(entry.params.get("alpha"), entry.fold)}, seconds=0.0)
    return race


def race_of(tmp_path, spec, pruner="none", default_competes=False):
    journal = Journal(tmp_path, task(), "s").__enter__()
    return Race(task(), Rules("t", "rmse", pruner, default_competes), candidates_of(spec, recipe(), 0, {}), journal)


def test_a_fold_on_which_nobody_has_a_score_does_not_count(tmp_path):
    spec = GridSearchSpec(tuning_name="g", param_grid={"alpha": [1.0, 2.0]})
    race = run(race_of(tmp_path, spec), lambda alpha, fold: None if fold == 1 else (alpha or 9.0))
    assert race.best().params == {"alpha": 1.0}
    assert race.score(race.best()) == 1.0


def test_a_trial_without_a_score_where_others_have_one_has_failed(tmp_path):
    spec = GridSearchSpec(tuning_name="g", param_grid={"alpha": [1.0, 2.0]})
    race = run(race_of(tmp_path, spec), lambda alpha, fold: None if alpha == 1.0 and fold == 1 else (alpha or 9.0))
    assert race.best().params == {"alpha": 2.0}
    assert [race.trial(one).status for one in race.entries] == ["done", "failed", "done"]
    assert race.entries[1].error == "rmse cannot be computed on fold 1"


def test_the_winner_has_run_all_folds(tmp_path):
    spec = OptunaSearchSpec(space={"alpha": Float(0.1, 5.0)}, n_trials=12, pruner="asha")
    race = run(race_of(tmp_path, spec, "asha"), lambda alpha, fold: (alpha or 9.0) * (fold + 1))
    best, told = race.best(), [race.trial(one) for one in race.entries]
    assert sum(one.status == "pruned" for one in told) > 3
    assert len(best.results) == 3
    assert best.params["alpha"] == min(one.params["alpha"] for one in told if one.number and one.status == "done")


@pytest.mark.parametrize(("own", "wins"), [(0.5, True), (2.0, False)])
def test_the_models_own_parameters_win_on_the_folds_that_there_was_time_for(tmp_path, own, wins):
    """A slow default must not lose to a quick and bad trial because the time was up before its last fold."""
    race = race_of(tmp_path, OptunaSearchSpec(space={"alpha": Float(0.1, 5.0)}), default_competes=True)
    slow, quick = race.next(), race.next()
    for fold in range(3):
        race.told(quick, FoldResult({"rmse": 1.0 + fold}, fit_s=0.1, seconds=0.1))
    race.told(slow, FoldResult({"rmse": own}, fit_s=8.0, seconds=8.0))
    race.told(slow, FoldResult({"rmse": own + 0.1}, fit_s=12.0, seconds=12.0))  # beside others it takes longer
    race.end(slow, "stopped")
    assert (race.best() is slow) is wins
    race.room = Room(2, time.monotonic() + 15.8)  # the deadline left room for two fits of the first, and a second is up
    assert (race.best() is slow) is wins
    race.room = Room(2, time.monotonic() + 5.0)  # less than two fits of it take
    assert race.best() is quick


@pytest.mark.parametrize(
    ("validation", "calibration", "fits"),
    [
        (ValidationSpec(strategy="train_test"), None, 1.5),
        (ValidationSpec(strategy="train_test"), CalibrationSpec(), 1.5 * 5),
        (ValidationSpec(), None, 1.5 * 5),  # all rows, and five times four fifths of them
        (ValidationSpec(n_splits=3), CalibrationSpec(), 1.5 * 3),  # the same folds, not fitted again
        (ValidationSpec(n_splits=3), CalibrationSpec(cv_strategy=4), 1.5 * 6),
        (ValidationSpec(strategy="repeated", n_splits=3, n_repeats=2), None, 1.5 * 5),
        (ValidationSpec(strategy="repeated", n_splits=3, n_repeats=2), CalibrationSpec(), 1.5 * 7),
        (ValidationSpec(strategy="nested"), None, 1.5),
    ],
)
def test_room_is_kept_for_the_fits_that_come_after_a_search(validation, calibration, fits):
    data = task().data
    parts = folds(ValidationSpec(), data, 0, 3)  # of two thirds of the rows each
    room = room_of(validation, Options(deadline=time.monotonic() + 60, calibration=calibration), data, parts)
    assert room.fits == pytest.approx(fits * MARGIN, rel=0.05)
    assert room_of(validation, Options(), data, parts).fits == 0


def test_a_space_that_is_searched_through_ends_the_search(tmp_path):
    spec = OptunaSearchSpec(space={"alpha": [1.0, 2.0]}, time_limit_s=60.0)
    race = run(race_of(tmp_path, spec), lambda alpha, fold: alpha or 9.0)
    assert race.stopped_by == "exhausted"
    assert race.best().params == {"alpha": 1.0}


def test_folds_that_a_worker_runs_again_after_another_died_count_once(tmp_path):
    from raypipe.ml.tuning.ontune import _Book

    race = race_of(tmp_path, GridSearchSpec(tuning_name="g", param_grid={"alpha": [1.0]}))
    book = _Book(race, None)
    entry = book.propose("t")
    told = json.dumps(FoldResult({"rmse": 1.0}).to_dict())
    assert book.told("t", {"folds": 1, "result": told})
    assert book.told("t", {"folds": 1, "result": told})  # from the worker that came after
    assert book.told("t", {"folds": 2, "result": told})
    assert not book.told("t", {"folds": 3, "result": told})
    assert (entry.status, len(entry.results), race.score(entry)) == ("done", 3, 1.0)


def test_a_fold_on_a_worker_that_took_too_long_stops_its_trial_and_one_that_died_fails_it(tmp_path):
    from raypipe.ml.tuning.ontune import _Book

    race = race_of(tmp_path, OptunaSearchSpec(space={"alpha": Float(0.1, 5.0)}), default_competes=True)
    book = _Book(race, None)
    slow, died, late, quick = (book.propose(name) for name in ("slow", "died", "late", "quick"))
    assert book.told("slow", {"folds": 1, "result": json.dumps(FoldResult({"rmse": 0.5}).to_dict())})
    assert not book.told("slow", {"folds": 2, "lost": None})
    book.lost("died", "its worker died")
    while race.told(quick, FoldResult({"rmse": 1.0}, fit_s=0.1)):
        pass
    race.deadline = time.monotonic() - 0.1
    book.lost("late", "its worker died")  # as Tune ends workers at the deadline
    assert [one.status for one in (slow, died, late)] == ["stopped", "failed", "stopped"]
    assert race.stopped_by == "time"
    assert race.best() is slow  # which was ahead on the fold that it ran


def test_limits_mean_the_same_by_the_clock_of_another_machine(monkeypatch):
    limits = Limits(time.monotonic() + 20, Room(2.0, time.monotonic() + 30))
    sent = json.loads(json.dumps(limits.sent()))
    monkeypatch.setattr(time, "monotonic", lambda now=time.monotonic: now() + 1e6)
    there = Limits.received(sent)
    assert there.patience_ends() - time.monotonic() == pytest.approx(10, abs=0.5)
    assert there.gives_up_at - time.monotonic() == pytest.approx(20, abs=0.5)
    assert Limits.received(Limits(math.inf, Room()).sent()).patience_ends() == math.inf


# ── folds that are prepared once ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("encoder", ["target", "onehot"])
@pytest.mark.parametrize("most_bytes", [0, 1 << 20])
def test_features_made_once_give_what_a_whole_pipeline_gives(encoder, most_bytes):
    data = training_data(people(200), "churn")
    features = (
        NumericFeatureSpec(feature_name="age"),
        CategoricalFeatureSpec(feature_name="city", encoder_type=encoder),
    )
    whole = Recipe(features, ModelSpec(model_name="m", algorithm="naive_bayes"), "classification", 0)
    parts = tuple(folds(ValidationSpec(), data, 0, 2))
    names = ("log_loss", "accuracy")
    work = Task(whole, data, parts, names, True, Shelf(most_bytes))
    smooth = {"var_smoothing": 1e-3, "preprocessor__f0__fill__strategy": "median"}
    for params in ({}, {"var_smoothing": 1e-3}, smooth, {}):
        for number, fold in enumerate(parts):
            model = fitted_on(whole, data.take(fold[0]), params)
            own, other = (
                truth_of(rows, estimates(model, rows, data.classes), data.classes) for rows in map(data.take, fold)
            )
            found = work.run(params, number)
            assert found.scores == {name: compute(name, other) for name in names}
            assert found.train_scores == {name: compute(name, own) for name in names}


# ── where folds run ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_small_work_stays_here_and_large_work_goes_to_a_ray_that_is_up_or_to_processes(monkeypatch):
    spec, work = OptunaSearchSpec(n_trials=40), task()  # of three folds
    monkeypatch.setattr(choose, "_cpus", lambda up: 8)
    monkeypatch.setattr(choose, "free_memory", lambda: 64 << 30)
    for up, wide in ((True, "ray"), (False, "processes")):
        monkeypatch.setattr(choose, "ray_is_up", lambda up=up: up)
        assert choose.choose_engine(spec, work, 0.01, math.inf).engine == "inline"
        assert choose.choose_engine(spec, work, 1.0, math.inf).engine == wide
        assert choose.choose_engine(spec, work, 1.0, 4.0).engine == "inline"  # too little time to start
        assert choose.choose_engine(spec.replace(n_jobs=1), work, 9.0, math.inf).engine == "inline"
        assert choose.choose_engine(spec.replace(n_jobs=3), work, 1.0, math.inf).at_once == 3
        assert choose.choose_engine(spec.replace(engine="inline"), work, 9.0, math.inf).engine == "inline"
        assert choose.choose_engine(spec.replace(n_trials=1), work, 9.0, math.inf).engine == "inline"
        two = choose.choose_engine(spec.replace(n_trials=2), work, 9.0, math.inf)
        assert (two.engine, two.at_once, "54 s here, 30 s" in two.reason) == (wide, 2, True)
    for engine in ("ray", "processes"):
        asked = choose.choose_engine(spec.replace(engine=engine), work, 0.01, 2.0)
        assert (asked.engine, "2 s are left" in asked.reason) == ("inline", True)


def test_there_are_no_more_processes_than_there_is_memory_for(monkeypatch):
    spec = OptunaSearchSpec(n_trials=40, engine="processes")
    monkeypatch.setattr(choose, "_cpus", lambda up: 8)
    monkeypatch.setattr(choose, "ray_is_up", lambda: False)  # the session's Ray may be, by the tests that ran before
    texts = numbers(100).assign(t=["x" * 1_000_000] * 100)  # pandas counts 8 bytes of each, unless asked
    for table, free, at_once in (
        (numbers(100), 64 << 30, 8),
        (numbers(100), 3 << 30, 2),
        (numbers(100), 100 << 20, 1),
        (texts, 8 << 30, 4),
    ):
        monkeypatch.setattr(choose, "free_memory", lambda free=free: free)
        work = task(data=training_data(table, "y"))
        assert choose.choose_engine(spec, work, 1.0, math.inf).at_once == at_once
    monkeypatch.setattr(choose, "free_memory", lambda: 100 << 20)
    few = choose.choose_engine(spec.replace(engine="auto"), task(), 1.0, math.inf)
    assert (few.engine, few.reason) == ("inline", "there is one CPU, or memory for one process")


# ── what the journal keeps ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_journal_remembers_folds_whose_lines_are_whole(tmp_path):
    with Journal(tmp_path, task(), "s") as journal:
        journal.add(1, {"alpha": 1.0}, 0, FoldResult({"rmse": 0.5}))
        journal.add(1, {"alpha": 1.0}, 1, FoldResult(error="ValueError: no"))
        path = journal.path
    path.write_bytes(path.read_bytes()[:-9])  # as a kill in the middle of a write leaves it
    with Journal(tmp_path, task(), "s") as journal:
        assert journal.known({"alpha": 1.0}, 0) == FoldResult({"rmse": 0.5})
        assert journal.known({"alpha": 1.0}, 1) is None
        assert journal.proposed == {1: {"alpha": 1.0}}
        journal.add(2, {"alpha": 2.0}, 0, FoldResult({"rmse": 0.25}))
    with Journal(tmp_path, task(), "other") as journal:
        assert journal.known({"alpha": 2.0}, 0) == FoldResult({"rmse": 0.25})
        assert journal.proposed == {}


def test_two_processes_share_a_journal_and_see_each_others_folds(tmp_path):
    with Journal(tmp_path, task(), "s") as one, Journal(tmp_path, task(), "s") as two:
        one.add(1, {"alpha": 1.0}, 0, FoldResult({"rmse": 0.5}))
        assert two.known({"alpha": 1.0}, 0) == FoldResult({"rmse": 0.5})
        assert two.known({"alpha": 1.0}, 1) is None
        two.add(1, {"alpha": 1.0}, 1, FoldResult({"rmse": 0.25}))
        assert one.known({"alpha": 1.0}, 1) == FoldResult({"rmse": 0.25})
        assert len(one.path.read_bytes().splitlines()) == 2


def test_lines_cut_anywhere_cost_their_own_fold_alone(tmp_path):
    with Journal(tmp_path, task(), "s") as journal:
        for fold in range(3):
            journal.add(1, {"alpha": 1.0}, fold, FoldResult({"rmse": float(fold)}))
        whole = journal.path.read_bytes()
    last = whole[:-1].rfind(b"\n") + 1
    for cut in range(last, len(whole), 7):
        journal.path.write_bytes(whole[:cut])
        with Journal(tmp_path, task(), "s") as again:
            assert [again.known({"alpha": 1.0}, fold) is not None for fold in range(3)] == [True, True, False]
            again.add(1, {"alpha": 1.0}, 2, FoldResult({"rmse": 2.0}))
        with Journal(tmp_path, task(), "s") as again:
            assert again.known({"alpha": 1.0}, 2) == FoldResult({"rmse": 2.0})


@pytest.mark.parametrize("line", [b"[]", b"7", b"null", b'{"result": null}', b'{"result": {}, "params": []}', b"\xff"])
def test_lines_that_tell_of_no_fold_are_passed_over(tmp_path, line):
    with Journal(tmp_path, task(), "s") as journal:
        path = journal.path
    path.write_bytes(line + b"\n")
    with Journal(tmp_path, task(), "s") as journal:
        assert journal.proposed == {}


def test_a_winner_leaves_room_for_the_fits_behind_it(tmp_path):
    spec = GridSearchSpec(tuning_name="g", param_grid={"alpha": [1.0, 2.0, 3.0]})
    race = race_of(tmp_path, spec)
    while (entry := race.next()) is not None:
        alpha = entry.params.get("alpha", 9.0)
        while race.told(entry, FoldResult({"rmse": alpha}, fit_s=100.0 if alpha == 1.0 else 1.0)):
            pass
    assert race.best().params == {"alpha": 1.0}
    race.room = Room(fits=2, end_by=time.monotonic() + 50)
    assert race.best().params == {"alpha": 2.0}
    race.room = Room(fits=2, end_by=time.monotonic() - 1)
    assert race.best().params == {"alpha": 2.0}  # the quickest, of equally quick ones the best


def test_a_trial_too_slow_to_be_fitted_again_is_stopped_and_says_so(tmp_path):
    race = race_of(tmp_path, GridSearchSpec(tuning_name="g", param_grid={"alpha": [1.0]}))
    race.room = Room(fits=5, end_by=time.monotonic() + 50)
    entry = race.next()
    assert not race.told(entry, FoldResult({"rmse": 1.0}, fit_s=20.0))
    assert entry.status == "stopped"
    assert "a fit takes 20 s, and" in entry.error
    assert "s are left for 5 times as much" in entry.error


def test_other_rows_folds_or_recipes_have_another_journal():
    other = numbers(90)
    other.loc[5, "a"] += 1e-9
    changed = [
        task(data=training_data(other, "y")),
        task(data=training_data(numbers(90)[["b", "a", "c", "y"]], "y")),
        task(folds=FOLDS[:2]),
        task(recipe=recipe(alpha=2.0)),
        task(metrics=("mae",)),
    ]
    assert len({task_key(one) for one in [task(), *changed]}) == 6
    assert task_key(task()) == task_key(task(data=training_data(numbers(90), "y")))


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write the journal .*give another output_dir"):
        Journal(tmp_path / "file", task(), "s").__enter__()
