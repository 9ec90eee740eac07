"""Optuna as the one who proposes: asked and told, so that the same study serves this process and Ray Tune."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from raypipe.errors import MissingDependencyError
from raypipe.ml.specs.space import Choice, Float, Int
from raypipe.ml.specs.tuning import OptunaSearchSpec
from raypipe.ml.tuning.outcome import Status

_WANTS = {"gp": ("torch", "pip install torch"), "cmaes": ("cmaes", "pip install cmaes")}
"""Sampler -> module that it wants beside Optuna, and how to get it."""

Space = Mapping[str, Float | Int | Choice]


class StudyCandidates:
    """Configurations from an Optuna study in memory.

    The sampler is made anew for each trial, with a seed of the trial's number: what it proposes depends on what the
    study knows, and on nothing else. So a search that was killed goes on as it would have.

    Parameters
    ----------
    known : (seed, proposed, defaults)
        `proposed` are the trials of an earlier run by number; `defaults` the parameters of trial 0.
    """

    def __init__(
        self, spec: OptunaSearchSpec, space: Space, known: tuple[int, Mapping[int, dict[str, Any]], dict[str, Any]]
    ) -> None:
        _require_sampler(spec)
        self._spec, self._space = spec, space
        self._seed, self._proposed, self._defaults = known
        self._distributions = {name: _distribution(domain) for name, domain in space.items()}
        self._trials: dict[int, optuna.trial.Trial] = {}
        self._seen: list[float] = []
        with _quiet():
            self._study = optuna.create_study(direction="minimize", sampler=self._sampler(0))

    def ask(self, number: int) -> dict[str, Any] | None:
        wanted = self._spec.trials_wanted
        if wanted is not None and number > wanted:
            return None
        with _quiet():
            fixed = _inside(self._proposed.get(number), self._space)
            if fixed is not None:
                self._study.enqueue_trial(fixed)
            self._study.sampler = self._sampler(number)
            trial = self._trials[number] = self._study.ask(self._distributions)
        return {name: _value(domain, trial.params[name]) for name, domain in self._space.items()}

    def tell(self, number: int, status: Status, losses: Sequence[float | None], loss: float | None) -> None:
        if loss is not None:
            self._seen.append(loss)
        with _quiet():
            if number == 0:
                self._tell_defaults(loss)
                return
            trial = self._trials.pop(number)
            if status == "stopped":
                self._study.tell(trial, state=TrialState.FAIL)
            elif status == "pruned":
                for step, mean in enumerate(_means(losses), start=1):
                    trial.report(mean, step)
                self._study.tell(trial, state=TrialState.PRUNED)
            elif loss is None and not self._seen:
                self._study.tell(trial, state=TrialState.FAIL)  # nothing to be worse than, yet
            else:
                self._study.tell(trial, loss if loss is not None else self._penalty())

    def _tell_defaults(self, loss: float | None) -> None:
        """What the model spec's own parameters gave, where they are inside the space."""
        fixed = _inside(self._defaults, self._space)
        if fixed is not None and loss is not None:
            self._study.add_trial(create_trial(value=loss, params=fixed, distributions=self._distributions))

    def _penalty(self) -> float:
        """Worse than all that was seen, and finite: a NaN would leave the trial running for ever."""
        worst, best = max(self._seen), min(self._seen)
        return worst + max(worst - best, 0.1 * abs(worst), 1e-6)

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        seed = (self._seed * 1_000_003 + number) % (1 << 31)
        kind = self._spec.sampler
        if kind == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        if kind == "gp":
            return optuna.samplers.GPSampler(seed=seed)
        if kind == "cmaes":
            return optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
        return optuna.samplers.TPESampler(seed=seed)


def _require_sampler(spec: OptunaSearchSpec) -> None:
    module, how = _WANTS.get(spec.sampler, (None, ""))
    if module is not None and importlib.util.find_spec(module) is None:
        raise MissingDependencyError(
            f"tuning {spec.tuning_name!r}: sampler {spec.sampler!r} needs {module}: {how}, or take sampler 'tpe'"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's lines for each trial and its warnings that a sampler is new; what the user set comes back."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)


def _distribution(domain: Float | Int | Choice) -> BaseDistribution:
    if isinstance(domain, Choice):
        return CategoricalDistribution(range(len(domain.values)))  # by place: Optuna takes no lists as values
    if isinstance(domain, Int):
        return IntDistribution(domain.low, domain.high, log=domain.log)
    return FloatDistribution(domain.low, domain.high, log=domain.log)


def _value(domain: Float | Int | Choice, given: Any) -> Any:
    return domain.values[given] if isinstance(domain, Choice) else given


def _inside(params: Mapping[str, Any] | None, space: Space) -> dict[str, Any] | None:
    """Parameters as the study has them; None where they are not all inside the space."""
    if params is None or set(params) != set(space):
        return None
    if not all(_holds(domain, params[name]) for name, domain in space.items()):
        return None
    return {
        name: domain.values.index(params[name]) if isinstance(domain, Choice) else params[name]
        for name, domain in space.items()
    }


def _holds(domain: Float | Int | Choice, value: Any) -> bool:
    if isinstance(domain, Choice):
        return value in domain.values
    if isinstance(value, bool) or not isinstance(value, int if isinstance(domain, Int) else int | float):
        return False
    return bool(domain.low <= value <= domain.high)


def _means(losses: Sequence[float | None]) -> list[float]:
    known = [loss for loss in losses if loss is not None]
    return [sum(known[: i + 1]) / (i + 1) for i in range(len(known))]
