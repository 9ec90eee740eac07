"""Rules in Python. A rule file that names a function runs it: treat such files as you would a script."""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

import polars as pl
import pyarrow as pa
from pydantic import AfterValidator

from raypipe.errors import ConfigError
from raypipe.etl.rules.cells import Cells
from raypipe.etl.rules.conditions import Condition, parsed_condition
from raypipe.etl.rules.rule import Evidence, FigureRule, Judged, Measure, NotMeasuredError, RowRule
from raypipe.etl.wording import listed, shown

_NAME = re.compile(r"[\w.]+:\w+")


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"function: wanted 'module:function', got {shown(name)}")
    return name


FunctionName = Annotated[str, AfterValidator(_check_name)]


@functools.lru_cache(maxsize=64)
def function_of(name: str) -> Callable[..., Any]:
    """The function called `module:function`; ConfigError where it cannot be imported."""
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"rule: function {name!r}: {error}. It must be importable here, and on every worker"
        ) from None
    if not callable(found):
        raise ConfigError(f"rule: function {name!r} is {type(found).__name__}, which cannot be called")
    return found  # type: ignore[no-any-return]  # callable() cannot tell what it returns


class PythonRows(RowRule):
    """A function of your own says of each row whether it is right: a Polars frame of the columns in, booleans out."""

    GROUP = "custom"
    EACH = False
    rule: Literal["python"] = "python"
    function: FunctionName
    """As `module:function`. What it says of a row must depend on that row only."""

    @property
    def wanted(self) -> str:
        return f"what {self.function} asks for"

    def prepare(self) -> None:
        function_of(self.function)

    def breaks(self, cells: Cells) -> pl.Expr:
        found = [cells[name] for name in self.columns]
        struct = pl.struct(cell.expr.alias(f"c{n}") for n, cell in enumerate(found))
        names, function, name = self.columns, function_of(self.function), self.function

        def wrong(rows: pl.Series) -> pl.Series:
            frame = rows.struct.unnest()
            frame.columns = list(names)
            said = function(frame)
            right = said if isinstance(said, pl.Series) else pl.Series(said)
            if right.dtype != pl.Boolean or len(right) != len(rows):
                raise ValueError(f"{name} gave {right.dtype} for {len(right)} rows; wanted Boolean for {len(rows)}")
            return ~right

        return struct.map_batches(wrong, return_dtype=pl.Boolean)


class SumsOf(Measure):
    """Numbers that a function finds in each block, added up."""

    columns: tuple[str, ...]
    function: FunctionName

    def check(self, schema: pa.Schema) -> None:
        cells = Cells(schema)
        for name in self.columns:
            _ = cells[name]

    def partial(self, block: pa.Table, part: str) -> dict[str, float]:
        frame = pl.DataFrame([pl.Series(f"c{n}", pl.from_arrow(block[name])) for n, name in enumerate(self.columns)])
        frame.columns = list(self.columns)
        found = function_of(self.function)(frame)
        if not isinstance(found, dict) or not all(isinstance(value, int | float) for value in found.values()):
            raise ValueError(f"{self.function} gave {shown(found)}; wanted a dict of numbers")
        return dict(found)

    def merge(self, a: dict[str, float], b: dict[str, float]) -> dict[str, float]:
        return {name: a.get(name, 0) + b.get(name, 0) for name in {**a, **b}}

    def finish(self, state: dict[str, float]) -> dict[str, float]:
        return state


class PythonSums(FigureRule):
    """A condition on numbers that a function of your own finds in each block, added up over all blocks."""

    GROUP = "custom"
    EACH = False
    PROFILED = False
    rule: Literal["python_sums"] = "python_sums"
    function: FunctionName
    """As `module:function`: a Polars frame of the columns in, a dict of numbers out."""
    condition: Condition
    """SQL condition on those numbers."""

    @property
    def wanted(self) -> str:
        return f"{self.condition}, of the sums of {self.function}"

    def prepare(self) -> None:
        function_of(self.function)

    def measures(self) -> tuple[Measure, ...]:
        return (SumsOf(columns=self.columns, function=self.function, where=self.where),)

    def judge(self, evidence: Evidence) -> Judged:
        sums = evidence.measured[self.measures()[0]]
        expression, names = parsed_condition(self.condition)
        missing = [name for name in names if name not in sums]
        if missing:
            raise NotMeasuredError(f"{self.function} gives {listed(sums)}, and not {listed(missing)}")
        held = pl.DataFrame({name: [float(sums[name])] for name in names}).select(expression).to_series()[0]
        found = ", ".join(f"{name} = {sums[name]:g}" for name in names)
        return Judged(bool(held), found)


RULES = (PythonRows, PythonSums)
