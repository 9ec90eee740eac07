"""Numbers bent by a function that can be undone: logarithms, the square root, and the power of Yeo and Johnson."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl
import pyarrow as pa

from raypipe.blocks.arrays import Floats
from raypipe.config import Frozen
from raypipe.config.steps import TransformSettings
from raypipe.etl.steps.cells import ArrowType
from raypipe.etl.steps.fitted import Edits, EditStep, FittedStep
from raypipe.etl.steps.learn import Place, Recipe
from raypipe.etl.steps.measure import Measure, Numbers
from raypipe.etl.steps.scaling import FLOAT, put_back
from raypipe.etl.steps.select import NUMBERS
from raypipe.etl.steps.step import cells_of
from raypipe.stage import ReduceStage

Method = Literal["log", "log1p", "sqrt", "yeo_johnson"]
FORWARD: dict[str, Callable[[Floats], Floats]] = {"log": np.log, "log1p": np.log1p, "sqrt": np.sqrt}
BACKWARD: dict[str, Callable[[Floats], Floats]] = {"log": np.exp, "log1p": np.expm1, "sqrt": np.square}
FLOORS = {"log": 0.0, "log1p": -1.0, "sqrt": 0.0}
POWERS = (-5.0, 5.0)
"""Between which the power of Yeo and Johnson is looked for."""
GOLDEN = (5**0.5 - 1) / 2


class ColumnPower(Frozen):
    """How one column is bent."""

    column: str
    type: ArrowType
    """Of the column before."""
    power: float | None = None
    """Of `yeo_johnson`."""


class Transform(EditStep):
    """Bend numbers by a function, as float64. A row with a value outside its domain is set aside."""

    kind: Literal["transform"] = "transform"
    rewrites: ClassVar[bool] = True
    undoes: ClassVar[bool] = True
    method: Method
    columns: tuple[ColumnPower, ...]

    @property
    def touched(self) -> tuple[str, ...]:
        return tuple(one.column for one in self.columns)

    def types(self, schema: pa.Schema) -> dict[str, pa.DataType]:
        return dict.fromkeys(self.touched, FLOAT)

    def edit(self, block: pa.Table) -> Edits:
        made = Edits()
        for one in self.columns:
            cells = cells_of(block, one.column).cast(pl.Float64)
            bad = _outside(cells, self.method)
            if bad.any():
                made.aside[one.column] = bad, f"has no {self.method}"
                cells = cells.set(bad, None)
            made.columns[one.column] = _through(cells, partial(self._bend, one))
        return made

    def _bend(self, one: ColumnPower, values: Floats) -> Floats:
        return FORWARD[self.method](values) if one.power is None else yeo_johnson(values, one.power)

    def _unbend(self, one: ColumnPower, values: Floats) -> Floats:
        return BACKWARD[self.method](values) if one.power is None else undo_yeo_johnson(values, one.power)

    def undo(self, table: pa.Table) -> pa.Table:
        for one in self.columns:
            if one.column not in table.column_names:
                continue
            cells = cells_of(table, one.column).cast(pl.Float64)
            cells = _through(cells, partial(self._unbend, one))
            table = put_back(table, one.column, cells, one.type)
        return table

    def fitted_values(self) -> dict[str, Any]:
        return {
            one.column: {"method": self.method, "power": one.power} for one in self.columns if one.power is not None
        }


def _outside(cells: pl.Series, method: str) -> pl.Series:
    if method not in FLOORS:
        return pl.repeat(False, len(cells), eager=True)
    floor = FLOORS[method]
    return ((cells < floor) if method == "sqrt" else (cells <= floor)).fill_null(False)


def _through(cells: pl.Series, fn: Callable[[Floats], Floats]) -> pl.Series:
    with np.errstate(all="ignore"):
        values = pl.Series("", fn(cells.fill_null(1.0).to_numpy()))
    return values.set(cells.is_null(), None)


def yeo_johnson(values: Floats, power: float) -> Floats:
    """The values under the power transformation of Yeo and Johnson (2000), which takes any sign.

    Examples
    --------
    >>> yeo_johnson(np.array([-1.0, 0.0, 3.0]), 1.0).tolist()
    [-1.0, 0.0, 3.0]
    """
    made = np.array(values, np.float64)
    up = made >= 0
    above, below = np.log1p(made[up]), np.log1p(-made[~up])
    made[up] = above if power == 0 else np.expm1(power * above) / power
    made[~up] = -below if power == 2 else -np.expm1((2 - power) * below) / (2 - power)
    return made


def undo_yeo_johnson(values: Floats, power: float) -> Floats:
    """The way back from `yeo_johnson`."""
    made = np.array(values, np.float64)
    up = made >= 0
    above, below = made[up], -made[~up]
    made[up] = np.expm1(above if power == 0 else np.log1p(power * above) / power)
    made[~up] = -np.expm1(below if power == 2 else np.log1p((2 - power) * below) / (2 - power))
    return made


def likely_power(values: Floats, weights: Floats) -> float:
    """The power under which weighted values are most likely to be normal: a grid, then golden section."""
    signs = np.sign(values) * np.log1p(np.abs(values))
    n = float(weights.sum())

    def unlikely(power: float) -> float:
        with np.errstate(all="ignore"):
            bent = yeo_johnson(values, power)
            mean = float(np.dot(weights, bent)) / n
            variance = float(np.dot(weights, (bent - mean) ** 2)) / n
            found = 0.5 * n * np.log(variance) - (power - 1) * float(np.dot(weights, signs))
        return found if np.isfinite(found) else np.inf

    grid = np.linspace(*POWERS, 101)
    best = int(np.argmin([unlikely(power) for power in grid]))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    for _ in range(60):
        a, b = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        low, high = (low, b) if unlikely(a) <= unlikely(b) else (a, high)
    return float(round((low + high) / 2, 10))


def _needs(settings: TransformSettings, place: Place) -> tuple[ReduceStage, ...]:
    return (Measure(label=place.label, columns=place.columns),)


def _fit(settings: TransformSettings, place: Place) -> FittedStep:
    found: dict[str, Numbers] = next(iter(place.results.values()))
    columns: list[ColumnPower] = []
    notes: dict[str, str] = {}
    for name in place.columns:
        numbers, power = found[name], None
        if settings.method == "yeo_johnson":
            power = 1.0
            if numbers.low is None or numbers.constant:
                notes[name] = "it has fewer than two different finite values, and stays as it is"
            else:
                power = likely_power(numbers.values, numbers.weights)
                if numbers.note:
                    notes[name] = f"the power is {numbers.note}"
        else:
            _check_domain(settings.method, name, numbers, place)
        columns.append(ColumnPower(column=name, type=place.kind(name), power=power))
    return Transform(label=place.label, method=settings.method, columns=tuple(columns), notes=notes)


def _check_domain(method: str, name: str, numbers: Numbers, place: Place) -> None:
    floor, low = FLOORS[method], numbers.low
    if low is None or low > floor or (method == "sqrt" and low == floor):
        return
    wanted = "from 0" if method == "sqrt" else f"above {floor:g}"
    raise place.fail(
        f"the smallest value of column {name!r} is {low:g}, and {method} takes numbers {wanted}; use yeo_johnson, or "
        "drop such rows with the step filter_rows"
    )


RECIPES: dict[str, Recipe] = {
    "transform": Recipe(
        undone=True,
        learn=_fit,
        needs=_needs,
        accepts=lambda settings: NUMBERS,
        reshapes=True,
        drops_rows=lambda settings: settings.method in FLOORS,
    ),
}
FITTED: tuple[type[FittedStep], ...] = (Transform,)
