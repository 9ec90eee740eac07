"""Specs of searches: what they refuse, that they can be written down, and what the builder gives."""

from __future__ import annotations

import pytest

from raypipe.errors import ConfigError
from raypipe.ml.estimators import ALGORITHMS, make_estimator
from raypipe.ml.specs import (
    Choice,
    Float,
    GridSearchSpec,
    Int,
    ModelSpec,
    OptunaSearchSpec,
    ParamTuningSpecBuilder,
    RandomSearchSpec,
)
from raypipe.ml.specs.space import SPACES

GRID = {"tuning_name": "g", "param_grid": {"C": [1]}}


@pytest.mark.parametrize("ending", ["json", "yaml"])
def test_searches_are_written_and_read(tmp_path, ending):
    space = {
        "C": Float(1e-3, 10.0, log=True),
        "depth": Int(2, 8),
        "kind": Choice(("a", None, 3)),
        "flag": [True, False],
    }
    for spec in (
        GridSearchSpec(tuning_name="g", param_grid={"C": [0.1, 1], "model__penalty": ["l2", None]}, scoring="f1"),
        RandomSearchSpec(tuning_name="r", param_distributions=space, n_iter=3, scoring=("accuracy", "roc_auc")),
        OptunaSearchSpec(space=space, sampler="gp", pruner="median", time_limit_s=3.0, scoring={"mine": "f1_score"}),
    ):
        assert type(spec).load(spec.save(tmp_path / f"spec.{ending}")) == spec


def test_the_builder_gives_the_specs_in_their_order():
    builder = ParamTuningSpecBuilder().add_grid_search("a", {"C": [1]}).add_random_search("b", {"C": [1, 2]}, n_iter=2)
    made = builder.add_optuna("c", n_trials=4).build()
    assert [(spec.tuning_name, spec.tuning_type) for spec in made] == [
        ("a", "grid_search"), ("b", "random_search"), ("c", "optuna"),
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="'a' was added already"):
        builder.add_grid_search("a", {"C": [1]})


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (GridSearchSpec, {**GRID, "param_grid": {}}, "param_grid: got {}"),
        (GridSearchSpec, {**GRID, "param_grid": {"C": []}}, "param_grid.C: got"),
        (GridSearchSpec, {**GRID, "param_grid": {"C": 3}}, "param_grid.C: got 3; input should be a valid list"),
        (GridSearchSpec, {**GRID, "n_splits": 1}, "n_splits: got 1"),
        (GridSearchSpec, {**GRID, "n_jobs": 0}, "n_jobs: got 0; wanted -1, for all CPUs"),
        (GridSearchSpec, {**GRID, "cv_strategy": "loo"}, "cv_strategy: got 'loo'"),
        (GridSearchSpec, {**GRID, "scoring": ["accuracy"], "refit_score": "f1"}, "'f1' is none of scoring: accuracy"),
        (GridSearchSpec, {**GRID, "n_iters": 3}, "there is no setting 'n_iters'"),
        (GridSearchSpec, {**GRID, "engine": "ray", "n_jobs": 1}, "one trial at a time; take engine 'inline'"),
        (GridSearchSpec, {**GRID, "engine": "inline", "ray_address": "h:1"}, "leave ray_address out"),
        (RandomSearchSpec, {"tuning_name": "r", "param_distributions": {"C": 3}}, "wanted a list of values, or Float"),
        (OptunaSearchSpec, {"space": {"C": {"kind": "float", "low": 3, "high": 1}}}, "wanted the smaller number first"),
        (OptunaSearchSpec, {"space": {"C": {"kind": "float", "low": 0, "high": 1, "log": True}}}, "a low above 0"),
        (OptunaSearchSpec, {"sampler": "bayes"}, "sampler: got 'bayes'"),
        (OptunaSearchSpec, {"n_trials": 0}, "n_trials: got 0"),
    ],
)
def test_what_cannot_work_is_said_in_words(kind, values, message):
    with pytest.raises(ConfigError, match=message):
        kind.from_dict(values)


def test_a_search_without_a_number_of_trials_ends_with_its_time_or_after_fifty():
    assert OptunaSearchSpec().trials_wanted == 50
    assert OptunaSearchSpec(time_limit_s=5.0).trials_wanted is None
    assert OptunaSearchSpec(time_limit_s=5.0, n_trials=7).trials_wanted == 7
    assert GridSearchSpec(tuning_name="g", param_grid={"a": [1, 2], "b": [1, 2, 3]}).trials_wanted == 6


@pytest.mark.parametrize("algorithm", sorted(set(SPACES) - {"xgboost", "catboost"}))
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_every_default_space_names_parameters_of_its_algorithm(algorithm, task):
    if algorithm == "mlp":
        pytest.importorskip("torch", reason="the extra torch is not installed")
    if ALGORITHMS[algorithm].path(task) is None:
        return
    known = make_estimator(ModelSpec(model_name="m", algorithm=algorithm), task, 0).get_params()
    # Linear regression alone has nothing to search, and says so.
    assert [name for name in SPACES[algorithm] if name in known] or (algorithm, task) == ("linear", "regression")
