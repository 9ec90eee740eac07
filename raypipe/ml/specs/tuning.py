"""Searches for better parameters: which values, how they are chosen, and how each is judged."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, NonNegativeInt, PositiveFloat, PositiveInt, field_validator, model_validator

from raypipe.errors import ConfigError
from raypipe.ml.specs.base import Spec
from raypipe.ml.specs.space import Float, Space

DEFAULT_TRIALS = 50
"""Of a search that names neither a number nor seconds."""


class ParamTuningSpec(Spec):
    """What all searches have in common. Names of parameters: `C`, `model__C` and `classifier__C` mean the same, and
    `preprocessor__…` reaches the features."""

    tuning_name: Annotated[str, Field(min_length=1)]
    random_state: int | None = None
    """None takes that of the workflow."""
    cv_strategy: Literal["auto", "stratified_kfold", "kfold"] = "auto"
    """auto: as the workflow validates, by group or time where these are declared. The others deal rows at random, and
    are refused there."""
    n_splits: Annotated[int, Field(ge=2)] | None = None
    """Folds of each trial; None takes `inner_splits` of the validation."""
    scoring: str | tuple[str, ...] | dict[str, str] | None = None
    """Metrics of raypipe or their scorers in scikit-learn (`neg_log_loss`): one, several, or several under names of
    yours. None takes the model's first metric. Scores are told as the metric is, log loss above 0."""
    refit_score: str | None = None
    """The one that decides; None: the first."""
    n_jobs: int = -1
    """Trials at once, on Ray or in processes; -1: one for each CPU. 1 stays in this process."""
    return_train_score: bool = True
    """Scores on the rows learnt from, too, beside the others in the table of trials."""
    verbose: NonNegativeInt = 0
    """1: a line of the log for each trial; 2: for each fold."""
    time_limit_s: PositiveFloat | None = None
    """Seconds for the search, after which it ends with what it has."""
    engine: Literal["auto", "ray", "processes", "inline"] = "auto"
    """inline: one trial after another. processes: beside each other on this machine, without Ray. ray: on Ray Tune.
    auto: whichever is done first, going by the time that a first fold took: on Ray where one is up, else in processes;
    the summary says which ran and why."""
    ray_address: str | None = None
    """Cluster to connect to; None: the one that this process is connected to, else a private Ray."""

    @field_validator("n_jobs")
    @classmethod
    def _some_jobs(cls, value: int) -> int:
        if value < -1 or value == 0:
            raise ValueError("wanted -1, for all CPUs, or a number from 1")
        return value

    @model_validator(mode="after")
    def _settings_agree(self) -> Self:
        if self.engine in ("inline", "processes") and self.ray_address is not None:
            raise ValueError(
                f"engine {self.engine!r} runs on this machine; leave ray_address out, or take engine 'ray'"
            )
        if self.engine in ("ray", "processes") and self.n_jobs == 1:
            raise ValueError(
                f"engine {self.engine!r} with n_jobs 1 runs one trial at a time; take engine 'inline', or more jobs"
            )
        if self.refit_score is not None and self.scoring is not None and self.refit_score not in self.scorers:
            raise ValueError(f"refit_score {self.refit_score!r} is none of scoring: {', '.join(self.scorers)}")
        return self

    @property
    def scorers(self) -> dict[str, str]:
        """Name as it is told -> metric; empty: the model's own."""
        if isinstance(self.scoring, dict):
            return dict(self.scoring)
        named = (self.scoring,) if isinstance(self.scoring, str) else self.scoring or ()
        if not named and self.refit_score is not None:
            named = (self.refit_score,)
        return {name: name for name in named}

    @property
    def tuning_type(self) -> str:
        """As summaries call it."""
        raise NotImplementedError

    @property
    def trials_wanted(self) -> int | None:
        """None: as many as there is time for."""
        return None


class GridSearchSpec(ParamTuningSpec):
    """Every combination of some values."""

    kind: Literal["grid"] = "grid"
    param_grid: dict[str, Annotated[list[JsonValue], Field(min_length=1)]] = Field(min_length=1)
    """Name -> the values to try."""

    @property
    def tuning_type(self) -> str:
        return "grid_search"

    @property
    def trials_wanted(self) -> int | None:
        count = 1
        for values in self.param_grid.values():
            count *= len(values)
        return count


class RandomSearchSpec(ParamTuningSpec):
    """Combinations drawn at random; of lists alone, none twice."""

    kind: Literal["random"] = "random"
    param_distributions: Space = Field(min_length=1)
    """Lists of values, or `Float`, `Int`, `Choice`."""
    n_iter: PositiveInt = 10
    """Combinations; of lists alone, no more than there are."""

    @property
    def tuning_type(self) -> str:
        return "random_search"

    @property
    def trials_wanted(self) -> int | None:
        return self.n_iter


class OptunaSearchSpec(ParamTuningSpec):
    """Combinations that what was tried before makes promising; those that fall behind are given up after some folds."""

    kind: Literal["optuna"] = "optuna"
    tuning_name: Annotated[str, Field(min_length=1)] = "optuna"
    space: Space | None = None
    """None: a space that fits the algorithm, without what the model spec sets itself."""
    sampler: Literal["tpe", "gp", "cmaes", "random"] = "tpe"
    """tpe: for most. gp: few, expensive trials of numbers (wants torch). cmaes: many of numbers (wants cmaes)."""
    pruner: Literal["asha", "median", "none"] = "asha"
    """asha: after 1, 3, 9 … folds the best third goes on. median: what is worse than half of the others is given up.
    Trials are compared on the same folds only."""
    n_trials: PositiveInt | None = None
    """None: until `time_limit_s`, or 50."""
    return_train_score: bool = False

    @property
    def tuning_type(self) -> str:
        return "optuna"

    @property
    def trials_wanted(self) -> int | None:
        if self.n_trials is None and self.time_limit_s is None:
            return DEFAULT_TRIALS
        return self.n_trials


def _paced() -> Space:
    return {
        "learning_rate": Float(1e-4, 3e-2, log=True),
        "weight_decay": Float(1e-6, 1.0, log=True),
        "dropout": Float(0.0, 0.5),
    }


class PopulationSearchSpec(ParamTuningSpec):
    """Networks that learn side by side on Ray Tune; those behind go on from a copy of one ahead, with settings near its
    own. What is found is a schedule of settings over the epochs. For the algorithm `mlp`."""

    kind: Literal["population"] = "population"
    tuning_name: Annotated[str, Field(min_length=1)] = "population"
    space: Space = Field(default_factory=_paced, min_length=1)
    """Settings that may change while a network learns: learning_rate, weight_decay, dropout."""
    population: Annotated[int, Field(ge=2)] = 8
    """Networks, one for each fold of each member."""
    generations: PositiveInt = 10
    """Turns; between two of them the last quarter goes on from copies of the first."""
    epochs: PositiveInt = 5
    """Of each turn."""
    return_train_score: bool = False

    @model_validator(mode="after")
    def _runs_on_ray(self) -> Self:
        if self.engine in ("inline", "processes"):
            raise ValueError("a population learns on Ray Tune; leave engine out, or take 'ray'")
        return self

    @property
    def tuning_type(self) -> str:
        return "population_based_training"

    @property
    def trials_wanted(self) -> int | None:
        return self.population


TuningSpec = Annotated[
    GridSearchSpec | RandomSearchSpec | OptunaSearchSpec | PopulationSearchSpec, Field(discriminator="kind")
]


AnySearchSpec = GridSearchSpec | RandomSearchSpec | OptunaSearchSpec | PopulationSearchSpec


class ParamTuningSpecBuilder:
    """Specs of several searches."""

    def __init__(self) -> None:
        self._specs: list[AnySearchSpec] = []

    def add_grid_search(self, name: str, param_grid: dict[str, Any], **settings: Any) -> Self:
        """Every combination."""
        return self._add(GridSearchSpec, name, {"param_grid": param_grid, **settings})

    def add_random_search(self, name: str, param_distributions: dict[str, Any], **settings: Any) -> Self:
        """Combinations drawn at random."""
        return self._add(RandomSearchSpec, name, {"param_distributions": param_distributions, **settings})

    def add_optuna(self, name: str, space: dict[str, Any] | None = None, **settings: Any) -> Self:
        """Combinations that look promising."""
        return self._add(OptunaSearchSpec, name, {"space": space, **settings})

    def add_population(self, name: str, **settings: Any) -> Self:
        """Networks that learn side by side."""
        return self._add(PopulationSearchSpec, name, settings)

    def _add(
        self,
        kind: type[AnySearchSpec],
        name: str,
        settings: dict[str, Any],
    ) -> Self:
        if any(spec.tuning_name == name for spec in self._specs):
            raise ConfigError(f"tuning builder: {name!r} was added already")
        self._specs.append(kind.from_dict({"tuning_name": name, **settings}, f"tuning {name!r}"))
        return self

    def build(self) -> list[AnySearchSpec]:
        """The specs, in the order of adding."""
        return list(self._specs)
