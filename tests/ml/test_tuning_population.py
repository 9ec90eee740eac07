"""Networks that learn side by side: a history decides a member, and nothing that was learnt is learnt again."""

from __future__ import annotations

import random
import time

import pytest

from raypipe.errors import ConfigError
from raypipe.ml.data import training_data
from raypipe.ml.model import Recipe
from raypipe.ml.specs import (
    Choice,
    Float,
    ModelSpec,
    NumericFeatureSpec,
    ParamTuningSpecBuilder,
    PopulationSearchSpec,
    ValidationSpec,
)
from raypipe.ml.splits import folds
from raypipe.ml.tuning.population import WORST, Population, drawn, explored, settled_space
from raypipe.ml.tuning.work import FoldResult, Task
from raypipe.ml.workflow import run_ml_workflow
from tests.ml.frames import numbers

TABLE = numbers(120)
DATA = training_data(TABLE, "y")
FEATURES = (NumericFeatureSpec(feature_name="a"), NumericFeatureSpec(feature_name="b"))
NETWORK = ModelSpec(model_name="m", algorithm="mlp", hyperparameters={"width": 8, "max_epochs": 2})
FAST, SLOW = {"learning_rate": 0.03}, {"learning_rate": 1e-4}


def population(tmp_path):
    pytest.importorskip("torch", reason="the extra torch is not installed")
    recipe = Recipe(FEATURES, NETWORK, "regression", 0)
    task = Task(recipe, DATA, tuple(folds(ValidationSpec(), DATA, 0, 2)), ("rmse",))
    return Population(task, "rmse", tmp_path)


def test_a_history_is_learnt_once_and_gives_the_same_whoever_learns_it(tmp_path):
    one = population(tmp_path)
    first, known = one.turn([[2, FAST]])
    assert (known, first.error) == (0, None)
    second, known = one.turn([[2, FAST], [2, SLOW]])
    assert known == 0
    assert one.turn([[2, FAST], [2, SLOW]])[1] == 2
    assert one.loss(second) < one.loss(first)
    elsewhere = population(tmp_path / "new")
    elsewhere.folder.mkdir()
    anew, known = elsewhere.turn([[2, FAST], [2, SLOW]])  # without the state behind the first stretch
    assert (anew.scores, known) == (second.scores, 0)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"{"])
def test_files_that_were_cut_off_are_made_again(tmp_path, content):
    one = population(tmp_path)
    one.turn([[1, FAST]])
    wanted, _ = one.turn([[1, FAST], [1, SLOW]])
    for path in tmp_path.iterdir():
        path.write_bytes(content)
    again, known = one.turn([[1, FAST], [1, SLOW]])
    assert (again.scores, known) == (wanted.scores, 0)


def test_a_member_that_runs_away_is_the_last_of_all(tmp_path):
    one = population(tmp_path)
    result, _ = one.turn([[3, {"learning_rate": 1e30}]])
    assert "run away to infinity" in result.error
    assert one.loss(result) == WORST > one.loss(FoldResult({"rmse": 1e9}))


@pytest.mark.parametrize("seed", range(5))
def test_settings_stay_inside_the_space_and_near_those_that_they_come_from(seed):
    space = {"learning_rate": Float(1e-4, 1e-2, log=True), "dropout": Float(0.0, 0.5), "weight_decay": Choice((0, 1))}
    rng = random.Random(seed)
    params = drawn(space, rng)
    for _ in range(20):
        params = explored(params, space, rng)
        assert 1e-4 <= params["learning_rate"] <= 1e-2
        assert 0 <= params["dropout"] <= 0.5
        assert params["weight_decay"] in (0, 1)


@pytest.mark.parametrize(
    ("spec", "model", "message"),
    [
        (PopulationSearchSpec(), NETWORK.replace(algorithm="ridge"), "as 'mlp' does; got 'ridge'"),
        (PopulationSearchSpec(space={"width": Choice((1, 2))}), NETWORK, "'width' cannot change while a network"),
        (PopulationSearchSpec(), NETWORK.replace(hyperparameters={"schedule": []}), "the schedule is what it finds"),
    ],
)
def test_what_no_population_can_learn_is_said_first(spec, model, message):
    with pytest.raises(ConfigError, match=message):
        settled_space(spec, Recipe(FEATURES, model, "regression", 0))


def test_a_population_is_a_spec_as_others():
    spec = ParamTuningSpecBuilder().add_population("p", population=4, generations=2).build()[0]
    assert PopulationSearchSpec.from_dict(spec.to_dict(), "p") == spec
    with pytest.raises(ConfigError, match="a population learns on Ray Tune; leave engine out"):
        PopulationSearchSpec.from_dict({"engine": "inline"}, "p")


@pytest.mark.slow
def test_a_population_copies_those_ahead_and_a_second_run_learns_nothing_again(ray_session, tmp_path):
    pytest.importorskip("torch", reason="the extra torch is not installed")
    spec = PopulationSearchSpec(population=4, generations=3, epochs=2, n_splits=2)

    def grown(place):
        result = run_ml_workflow(
            list(FEATURES), NETWORK, TABLE, "y", "train_test", tuning_spec=spec, output_dir=tmp_path / place
        )
        assert not result.skipped
        return result

    one = grown("one")
    told = one.tuning_summary
    assert (told["engine"], told["generations"], told["turns"], told["trials"]) == ("ray tune", 3, 12, 5)
    assert told["copies"] == sum(len(trial.copied) for trial in one.trials) == 2
    schedule = one.best_params["schedule"]
    assert one.pipeline[-1].schedule == schedule
    assert one.pipeline[-1].n_iter_ == 2 * len(schedule)
    assert told["best_score"] <= told["default_score"]
    again = grown("one")
    assert again.tuning_summary["folds_remembered"] == 12 * 2 + 2
    for other in (again, grown("two")):
        assert other.best_params == one.best_params
        assert [trial.fold_scores for trial in other.trials] == [trial.fold_scores for trial in one.trials]
    started = time.monotonic()
    endless = spec.replace(generations=100_000, time_limit_s=12.0)
    result = run_ml_workflow(
        list(FEATURES), NETWORK, TABLE, "y", "train_test", tuning_spec=endless, output_dir=tmp_path / "late"
    )
    assert time.monotonic() - started < 20
    assert result.tuning_summary["stopped_by"] == "time"
