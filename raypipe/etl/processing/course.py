"""The steps of a list on their way: which are fitted, which wait, and what they have to see.

A step is fitted on the table that the steps before it leave. So a step that learns from rows waits for a pass over that
table. It shares the pass with a step before it, unless one that waits there may take rows away or changes a column that
it looks at. Steps that learn nothing from rows take no pass of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from raypipe.blocks.frames import no_rows
from raypipe.config.steps import ColumnSteps, StepSettings
from raypipe.errors import ConfigError, MissingColumnsError
from raypipe.etl.steps.fitted import FittedStep
from raypipe.etl.steps.learn import Place, Recipe, labels_of
from raypipe.etl.steps.registry import RECIPES
from raypipe.etl.steps.select import by_name_only
from raypipe.etl.steps.step import Step
from raypipe.stage import ReduceStage


@dataclass(frozen=True)
class Wish:
    """One step of the list: its settings, or as it was fitted before."""

    label: str
    settings: StepSettings | None = None
    fitted: FittedStep | None = None

    @property
    def recipe(self) -> Recipe:
        """How it is fitted."""
        assert self.settings is not None
        return RECIPES[self.settings.step]  # type: ignore[attr-defined]  # every class of settings has it


@dataclass
class _Waiting:
    """A step that waits for the pass to come."""

    wish: Wish
    place: Place
    stages: tuple[ReduceStage, ...]


@dataclass
class Course:
    """The list, as far as it has come."""

    wishes: Sequence[Wish]
    schema: pa.Schema
    """Of the table that the steps in `ready` leave."""
    target: str | None = None
    time_column: str | None = None
    fitted: list[FittedStep] = field(default_factory=list)
    """Every step that is fitted, in order."""
    ready: list[Step] = field(default_factory=list)
    """Those that no pass has applied yet, as they are to be applied."""
    by_data: bool = False
    """Whether the columns that there are depend on the data."""
    _waiting: list[_Waiting] = field(default_factory=list)

    def gather(self) -> tuple[ReduceStage, ...]:
        """What the next pass must see behind the steps in `ready`; empty once every step is fitted."""
        self._waiting = []
        for wish in self.wishes[len(self.fitted) :]:
            if not self._waiting:
                place, stages = self._asked(wish)
                if not stages:
                    self._settle(wish, {})
                else:
                    self._waiting.append(_Waiting(wish, place, stages))
            elif not self._join(wish):
                break
        return tuple(stage for waiting in self._waiting for stage in waiting.stages)

    @property
    def labels(self) -> tuple[str, ...]:
        """The steps that the next pass lets be fitted."""
        return tuple(waiting.wish.label for waiting in self._waiting if waiting.stages)

    def learn(self, results: Mapping[str, Any]) -> None:
        """Fit the steps that waited, from the results of `gather`."""
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            self._settle(one.wish, {stage.name: results[stage.name] for stage in one.stages})

    def applied(self) -> list[Step]:
        """The steps in `ready`, for the pass that applies them now."""
        steps, self.ready = self.ready, []
        return steps

    def _place(self, wish: Wish) -> Place:
        return Place(self.schema, wish.label, self.target, self.time_column)

    def _asked(self, wish: Wish) -> tuple[Place, tuple[ReduceStage, ...]]:
        """Where a step stands at the table as it is now, and what it has to see."""
        place = self._place(wish)
        if wish.fitted is not None:
            return place, wish.fitted.needs()
        place = wish.recipe.placed(wish.settings, place)  # type: ignore[arg-type]  # one of both is given
        stages = wish.recipe.needs(wish.settings, place)
        return place, stages or wish.recipe.learn(wish.settings, place).needs()

    def _join(self, wish: Wish) -> bool:
        """Let the step wait for the same pass, if what it has to see is there already."""
        if wish.settings is None:
            return False
        named = tuple(wish.settings.columns) if isinstance(wish.settings, ColumnSteps) else ()
        reshaped = any(one.wish.settings is not None and one.wish.recipe.reshapes for one in self._waiting)
        if reshaped and not by_name_only(named, self.schema):
            return False
        try:
            place, stages = self._asked(wish)
        except (ConfigError, MissingColumnsError):
            return False  # a step that waits may make the column, or give it another type
        reads = wish.recipe.reads(wish.settings, place)
        if stages and (reads is None or not self._untouched({*place.columns, *reads})):
            return False
        self._waiting.append(_Waiting(wish, place, stages))
        return True

    def _untouched(self, columns: set[str]) -> bool:
        """Whether the steps that wait leave all rows, and these columns, as they are."""
        for one in self._waiting:
            recipe, settings = one.wish.recipe, one.wish.settings
            if recipe.drops_rows(settings) or columns & set(recipe.touches(settings, one.place)):
                return False
        return True

    def _settle(self, wish: Wish, results: Mapping[str, Any]) -> None:
        """Fit a step at its own place."""
        if wish.fitted is not None:
            fitted, step = wish.fitted, wish.fitted.bind(results) if wish.fitted.needs() else wish.fitted
        else:
            recipe = wish.recipe
            place = recipe.placed(wish.settings, self._place(wish))  # type: ignore[arg-type]  # as above
            fitted = recipe.learn(wish.settings, replace(place, results=results))
            step = fitted.bind(results) if fitted.needs() else fitted.training()
            self.by_data |= recipe.by_data
        self.schema = step.output_schema(self.schema)
        self.fitted.append(fitted)
        self.ready.append(step)


@dataclass(frozen=True)
class Rehearsal:
    """The passes that a list will take, told before any row is read."""

    rounds: tuple[tuple[str, ...], ...]
    """Of each pass that fits steps: which ones."""
    schema: pa.Schema
    """After the last step that can be foreseen."""
    open_from: str | None = None
    """The first step that cannot be foreseen, since it works on columns that a step before it makes from the data."""

    @property
    def passes(self) -> int:
        """Passes after loading: one for each round, and the last one, which applies what was fitted then."""
        return len(self.rounds) + 1

    def words(self) -> str:
        """In one line."""
        parts = [f"{number}. fits {', '.join(labels)}" for number, labels in enumerate(self.rounds, 1)]
        if self.open_from is not None:
            return "; ".join([*parts, f"more may follow: {self.open_from} works on columns that the data decide"])
        return "; ".join([*parts, f"{len(parts) + 1}. applies the rest, summarises and writes"])


def wishes_of(steps: Sequence[StepSettings], taken: Sequence[str] = ()) -> tuple[Wish, ...]:
    """The list of a config, each step with its label."""
    labels = labels_of([(step.step, step.name) for step in steps], taken)  # type: ignore[attr-defined]  # as above
    return tuple(Wish(label, settings) for label, settings in zip(labels, steps, strict=True))


def rehearse(
    wishes: Sequence[Wish], schema: pa.Schema, target: str | None = None, time_column: str | None = None
) -> Rehearsal:
    """Go through the list without rows: finds what cannot work before anything is read.

    Raises
    ------
    ConfigError, MissingColumnsError
        If a step cannot work on the columns that the steps before it leave.
    """
    course = Course(wishes, schema, target, time_column)
    rounds: list[tuple[str, ...]] = []
    nothing = no_rows(schema)
    while True:
        try:
            stages = course.gather()
            if not stages:
                return Rehearsal(tuple(rounds), course.schema)
            rounds.append(course.labels)
            for step in course.applied():
                nothing = _applied(step, nothing)
            course.learn({stage.name: stage.finish(stage.partial(nothing, "")) for stage in stages})
        except ConfigError:
            raise
        except MissingColumnsError:
            if not course.by_data:
                raise
            return Rehearsal(tuple(rounds), course.schema, wishes[len(course.fitted)].label)


def _applied(step: Step, nothing: pa.Table) -> pa.Table:
    return no_rows(step.output_schema(nothing.schema))
