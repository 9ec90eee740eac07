"""Who proposes the next configuration: a list, or a sampler that learns from what was tried."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from sklearn.model_selection import ParameterGrid, ParameterSampler

from raypipe.errors import ConfigError
from raypipe.ml.estimators import ALGORITHMS
from raypipe.ml.model import Recipe, full_name
from raypipe.ml.specs.space import SPACES, Choice, Float, Int
from raypipe.ml.specs.tuning import AnySearchSpec, GridSearchSpec, PopulationSearchSpec, RandomSearchSpec
from raypipe.ml.tuning.outcome import Status
from raypipe.ml.tuning.population import settled_space
from raypipe.ml.tuning.study import StudyCandidates

AnySpec = AnySearchSpec


class Candidates(Protocol):
    """Proposes configurations, and hears what became of them."""

    def ask(self, number: int) -> dict[str, Any] | None:
        """The parameters of trial `number`; None: there are no more."""

    def tell(self, number: int, status: Status, losses: Sequence[float | None], loss: float | None) -> None:
        """How trial `number` ended: its losses by fold, and their mean where all are there."""


class Listed:
    """Configurations that were settled before the first was tried."""

    def __init__(self, configs: Iterator[dict[str, Any]]) -> None:
        self._configs = configs

    def ask(self, number: int) -> dict[str, Any] | None:
        return next(self._configs, None)

    def tell(self, number: int, status: Status, losses: Sequence[float | None], loss: float | None) -> None:
        """A list learns nothing."""


def candidates_of(spec: AnySpec, recipe: Recipe, seed: int, proposed: Mapping[int, dict[str, Any]]) -> Candidates:
    """The configurations that a spec asks for.

    Raises
    ------
    ConfigError
        A parameter that the model does not have, or nothing to search.
    MissingDependencyError
        The sampler wants a package that is not installed.
    """
    if isinstance(spec, GridSearchSpec):
        require_known(spec.tuning_name, recipe, spec.param_grid)
        return Listed(iter(ParameterGrid(spec.param_grid)))
    if isinstance(spec, RandomSearchSpec):
        require_known(spec.tuning_name, recipe, spec.param_distributions)
        return Listed(_drawn(spec, seed))
    if isinstance(spec, PopulationSearchSpec):
        settled_space(spec, recipe)
        return Listed(iter(()))  # its members are no trials of their own: they learn from each other
    space = spec.space if spec.space is not None else default_space(spec.tuning_name, recipe)
    require_known(spec.tuning_name, recipe, space)
    standing = recipe.make().get_params()
    defaults = {name: standing.get(full_name(name, recipe.task)) for name in space}
    return StudyCandidates(spec, space, (seed, proposed, defaults))


def require_known(who: str, recipe: Recipe, params: Mapping[str, Any]) -> None:
    """Refuse a parameter that the model does not have, and one that is named twice."""
    pipeline = recipe.make()
    known = pipeline.get_params()
    step = pipeline.steps[-1][0]
    takes_others = hasattr(pipeline[-1], "_other_params")  # LightGBM takes parameters under further names
    seen: dict[str, str] = {}
    for name in params:
        full = full_name(name, recipe.task)
        if full in seen:
            raise ConfigError(f"tuning {who!r}: {name!r} and {seen[full]!r} are the same parameter; name it once")
        seen[full] = name
        if full in known or (takes_others and full.startswith(f"{step}__")):
            continue
        own = [one.removeprefix(f"{step}__") for one in known if one.startswith(f"{step}__")]
        close = difflib.get_close_matches(name.rpartition("__")[2], own, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else f" It has {', '.join(own)}."
        raise ConfigError(f"tuning {who!r}: {type(pipeline[-1]).__name__} has no parameter {name!r}.{hint}")


def default_space(who: str, recipe: Recipe) -> dict[str, Float | Int | Choice]:
    """What is worth searching for an algorithm, without what the model spec sets itself.

    Raises
    ------
    ConfigError
        Nothing is left, or the algorithm is none of `ALGORITHMS`.
    """
    algorithm = recipe.model.algorithm
    if algorithm not in SPACES:
        why = "has nothing to search" if algorithm in ALGORITHMS else "is not known here"
        raise ConfigError(
            f'tuning {who!r}: {algorithm!r} {why}; say what to search, such as space={{"C": Float(0.01, 10, log=True)}}'
        )
    known = recipe.make()[-1].get_params()
    own = recipe.model.hyperparameters
    space = {name: domain for name, domain in SPACES[algorithm].items() if name in known and name not in own}
    if not space:
        raise ConfigError(
            f"tuning {who!r}: the model spec sets all that is worth searching of {algorithm!r} itself, or there is"
            " nothing; take values out of its hyperparameters, or give a space"
        )
    return space


@dataclass(frozen=True)
class _Drawable:
    """A range, as scikit-learn's sampler draws from it."""

    draw: Callable[[np.random.RandomState], float]

    def rvs(self, random_state: np.random.RandomState) -> float:
        return self.draw(random_state)


def _drawn(spec: RandomSearchSpec, seed: int) -> Iterator[dict[str, Any]]:
    lists = {name: list(one.values) for name, one in spec.param_distributions.items() if isinstance(one, Choice)}
    ranges = {name: _drawable(one) for name, one in spec.param_distributions.items() if not isinstance(one, Choice)}
    count = spec.n_iter
    if not ranges:
        # scikit-learn warns where fewer are there than were asked for; all of them is what was meant.
        count = min(count, len(ParameterGrid(lists)))
    return iter(ParameterSampler({**lists, **ranges}, count, random_state=seed))


def _drawable(domain: Float | Int) -> _Drawable:
    low, high = float(domain.low), float(domain.high)
    whole = isinstance(domain, Int)
    if whole:  # each whole number gets the room around it
        low, high = low - 0.5, high + 0.5
    bounds = (np.log(low), np.log(high)) if domain.log else (low, high)

    def draw(random: np.random.RandomState) -> float:
        value = random.uniform(*bounds)
        value = float(np.exp(value)) if domain.log else value
        clipped = min(max(round(value) if whole else value, domain.low), domain.high)
        return int(clipped) if whole else float(clipped)

    return _Drawable(draw)
