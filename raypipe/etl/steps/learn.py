"""How a step of the list becomes a fitted one: what it must see, and what it makes of that."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from raypipe.config.steps import ColumnSteps, StepSettings
from raypipe.errors import ConfigError
from raypipe.etl.steps.fitted import FittedStep
from raypipe.etl.steps.select import ANY, Accepts, pick
from raypipe.etl.wording import shown
from raypipe.stage import ReduceStage, require


@dataclass(frozen=True)
class Place:
    """Where a step stands: the columns that the steps before it leave, and what is known there."""

    schema: pa.Schema
    label: str
    target: str | None = None
    time_column: str | None = None
    columns: tuple[str, ...] = ()
    """Those that the step works on."""
    results: Mapping[str, Any] = field(default_factory=dict)
    """Of the reduce stages that it needs."""

    @property
    def kept(self) -> tuple[str, ...]:
        """Target and time column."""
        return tuple(name for name in (self.target, self.time_column) if name is not None)

    def kind(self, column: str) -> pa.DataType:
        """Type of a column."""
        return self.schema.field(column).type

    def fail(self, text: str) -> ConfigError:
        """An error in the name of the step."""
        return ConfigError(f"step {self.label}: {text}")

    def refuse_taken(self, *names: str) -> None:
        """Raise ConfigError if a new column would have the name of one that is there."""
        for name in names:
            if name in self.schema.names:
                raise self.fail(f"there is a column {shown(name)} already; rename it, or drop it first")


Needs = Callable[[Any, Place], tuple[ReduceStage, ...]]


def _nothing(settings: Any, place: Place) -> tuple[ReduceStage, ...]:
    return ()


def _no_columns(settings: Any, place: Place) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True)
class Recipe:
    """How one kind of step is fitted."""

    learn: Callable[[Any, Place], FittedStep]
    """The fitted step; where `needs` has stages, from their results in `place.results`."""
    needs: Needs = _nothing
    """What must see all rows first."""
    accepts: Callable[[Any], Accepts] = lambda settings: ANY
    """Types of columns that it takes."""
    reads: Callable[[Any, Place], Sequence[str] | None] = _no_columns
    """Further columns that it looks at, beside those that it works on; None: all."""
    reshapes: bool = False
    """Whether it adds, drops or retypes columns."""
    by_data: bool = False
    """Whether the columns or types that it leaves depend on the data."""
    drops_rows: Callable[[Any], bool] = lambda settings: False
    """Whether rows may leave the table: dropped, or set aside."""
    undone: bool = False
    """Whether `FittedProcessor.inverse` brings the values back."""
    touches: Callable[[Any, Place], Sequence[str]] = lambda settings, place: place.columns
    """Columns, among those that are there, that it changes."""

    def placed(self, settings: StepSettings, place: Place) -> Place:
        """The place with the columns that the settings choose."""
        columns: tuple[str, ...] = ()
        if isinstance(settings, ColumnSteps):
            columns = pick(
                settings.columns, settings.but, place.schema, self.accepts(settings), place.kept, f"step {place.label}"
            )
        there = replace(place, columns=columns)
        require(place.schema, *(self.reads(settings, there) or ()), by=f"step {place.label}")
        return there


def labels_of(names: Sequence[tuple[str, str | None]], taken: Sequence[str] = ()) -> tuple[str, ...]:
    """What each step is called: the name that the user gave it, else the step, numbered where it comes again.

    Parameters
    ----------
    names : sequence of (step, name or None)
    taken : sequence of str
        Names that other stages have.

    Examples
    --------
    >>> labels_of([("scale", None), ("scale", None), ("cast", "types")])
    ('scale', 'scale 2', 'types')
    """
    given = [name for _, name in names if name is not None]
    for name in given:
        if given.count(name) > 1 or name in taken:
            raise ConfigError(f"processing.steps: the name {shown(name)} is taken; give each step one of its own")
    used = {*given, *taken}
    found: list[str] = []
    for step, given_name in names:
        label, number = given_name or step, 1
        while given_name is None and label in used:
            number += 1
            label = f"{step} {number}"
        used.add(label)
        found.append(label)
    return tuple(found)
