"""How every column goes with the target, in one pass: planned from the profile, summed by block, then measured."""

from __future__ import annotations

from typing import Literal

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from raypipe.blocks.frames import ROW
from raypipe.blocks.profile import ColumnProfile, NumberSummary, Profile
from raypipe.config import Frozen
from raypipe.insights.bins import NumberPlan, center_and_scale, few_values, plan_number, plan_time
from raypipe.insights.calendar import is_calendar
from raypipe.insights.cells import Numbers, numbers_of, series_of, texts_of, times_of
from raypipe.insights.measures import measure_relations
from raypipe.insights.models import TargetReport
from raypipe.insights.relation_sums import (
    OTHER,
    Codes,
    RelationSums,
    add_sums,
    encode,
    standardise,
    sum_classes,
    sum_regression,
)
from raypipe.stage import ReduceStage, require

MIN_REGRESSION_VALUES = 20
"""A whole-number target with fewer distinct values is taken for classes."""
MAX_LEVELS = 200
MAX_CLASSES = 200
MAX_LEVEL_CHARS = 1_000
MIN_TOP_SHARE = 0.5
"""A category with more than `MAX_LEVELS` values is measured if its most frequent ones cover this share of its rows."""

Task = Literal["regression", "classification"]


class CategoryPlan(Frozen):
    """How one category column is measured against the target."""

    column: str
    levels: tuple[str, ...] | None = None
    """Values with a level of their own, all others pooled; None: every value."""


class RelateTarget(ReduceStage):
    """Measure the relation of every column to the target, over rows where both are known (and finite).

    Built by `plan_relations`: bins and levels are fixed before the pass, so that summaries add up exactly.
    """

    target: str
    task: Task
    center: float = 0.0
    scale: float = 1.0
    """A regression target enters sums as (value - center) / scale."""
    numbers: tuple[NumberPlan, ...] = ()
    categories: tuple[CategoryPlan, ...] = ()
    skipped: dict[str, str] = Field(default_factory=dict)
    """Column -> why it is not measured; under the target's own name, why nothing is."""

    @property
    def measurable(self) -> bool:
        """Whether the target can be related to anything at all."""
        return self.target not in self.skipped

    @property
    def reads(self) -> frozenset[str]:
        return frozenset((self.target, *self._columns))

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        require(schema, self.target, *self._columns, by=self.name)
        return schema

    @property
    def _columns(self) -> list[str]:
        return [plan.column for plan in self.numbers] + [plan.column for plan in self.categories]

    def partial(self, block: pa.Table, part: str) -> RelationSums:
        if not self.measurable:
            return RelationSums()
        numbers = [(plan, self._number(block, plan)) for plan in self.numbers]
        categories = [_category(block, plan) for plan in self.categories]
        if self.task == "regression":
            target = standardise(numbers_of(block, self.target).values, self.center, self.scale)
            return sum_regression(Numbers.of(target), numbers, categories)
        return sum_classes(encode(_classes(block, self.target)), numbers, categories)

    def merge(self, a: RelationSums, b: RelationSums) -> RelationSums:
        return add_sums(a, b) if self.measurable else a

    def finish(self, state: RelationSums | None) -> TargetReport:
        if not self.measurable:
            return TargetReport(column=self.target, task=self.task, skipped=self.skipped)
        if state is None or state.rows == 0 or state.too_many_classes:
            many = f"has more than {MAX_CLASSES} classes; choose a target with fewer, or a number"
            reason = many if state and state.too_many_classes else "has no known value"
            return TargetReport(column=self.target, task=self.task, skipped={**self.skipped, self.target: reason})
        return measure_relations(self, state)

    def _number(self, block: pa.Table, plan: NumberPlan) -> Numbers:
        return numbers_of(block, plan.column) if plan.kind == "number" else times_of(block, plan.column).seconds


def _category(block: pa.Table, plan: CategoryPlan) -> Codes | None:
    text = texts_of(block[plan.column])
    if plan.levels is None:
        return encode(text)
    known = pc.is_in(text, value_set=pa.array(plan.levels, pa.large_string()))
    return encode(pc.if_else(pc.or_(known, pc.is_null(text)), text, pa.scalar(OTHER, pa.large_string())))


def _classes(block: pa.Table, target: str) -> pa.Array:
    """Classes as text: whole numbers without a fraction, NaN and infinity unknown."""
    series = series_of(block, target)
    column = block[target]
    if series.dtype.is_float() or series.dtype.is_decimal():
        value = series.cast(pl.Float64)
        column = pa.chunked_array([value.set(~value.is_finite(), None).cast(pl.Int64, strict=False).to_arrow()])
    return texts_of(column)


def plan_relations(profile: Profile, schema: pa.Schema, target: str) -> RelateTarget:
    """The stage that relates each column of `schema` to `target`.

    A number with at least 20 distinct values, or with fractions, is a regression target; other numbers, booleans and
    text are classes.

    Parameters
    ----------
    profile : Profile
        Of the same table: means, quantiles and frequent values fix bins and levels.
    schema : pa.Schema
        Of the blocks that will come.

    Raises
    ------
    MissingColumnsError
        If there is no such target.
    """
    require(schema, target, by=f"target {target!r}")
    profiles = {column.name: column for column in profile.columns}
    goal = profiles.get(target)
    task = _task(goal)
    reason = _target_problem(goal, task)
    if reason or goal is None:
        return RelateTarget(target=target, task=task, skipped={target: reason or "is not in the profile"})
    numbers: list[NumberPlan] = []
    categories: list[CategoryPlan] = []
    skipped: dict[str, str] = {}
    for field in schema:
        if field.name in (target, ROW):
            continue
        plan = _plan_column(profiles.get(field.name), field.type)
        if isinstance(plan, str):
            skipped[field.name] = plan
        elif isinstance(plan, NumberPlan):
            numbers.append(plan)
        else:
            categories.append(plan)
    center, scale = center_and_scale(goal.number) if task == "regression" and goal.number else (0.0, 1.0)
    return RelateTarget(
        target=target,
        task=task,
        center=center,
        scale=scale,
        numbers=tuple(numbers),
        categories=tuple(categories),
        skipped=skipped,
    )


def _task(goal: ColumnProfile | None) -> Task:
    if goal is None or goal.kind != "number":
        return "classification"
    distinct = goal.distinct.count if goal.distinct else MIN_REGRESSION_VALUES
    if distinct >= MIN_REGRESSION_VALUES:
        return "regression"
    return "regression" if any(value != int(value) for value in few_values(goal)) else "classification"


def _target_problem(goal: ColumnProfile | None, task: Task) -> str | None:
    """Why nothing can be related to the target, if so."""
    if goal is None:
        return "is not in the profile"
    if goal.kind not in ("number", "boolean", "text", "null"):
        return f"has type {goal.dtype}; a target is a number, a boolean or text"
    if goal.present == 0 or (goal.kind == "number" and goal.number is not None and goal.number.finite == 0):
        return "has no known value"
    if goal.text and (goal.text.max_chars or 0) > MAX_LEVEL_CHARS:
        return f"holds texts of up to {goal.text.max_chars:,} characters: free text, not classes"
    if goal.distinct and goal.distinct.count <= 1:
        return "has the same value in every row"
    if task == "classification" and goal.distinct and goal.distinct.count > MAX_CLASSES:
        about = "" if goal.distinct.exact else "about "
        return f"has {about}{goal.distinct.count:,} classes; at most {MAX_CLASSES} can be related"
    return None


def _plan_column(column: ColumnProfile | None, kind: pa.DataType) -> NumberPlan | CategoryPlan | str:
    """The plan for one column, or why it has none."""
    if column is None:
        return "is not in the profile"
    if column.present == 0:
        return "has no known value"
    if column.distinct and column.distinct.exact and column.distinct.count == 1:
        return "has the same value in every row"
    number = column.number
    if column.kind == "number" or (column.kind == "temporal" and is_calendar(kind)):
        return _plan_number(column, number)
    if column.kind in ("text", "boolean"):
        return _plan_category(column)
    return f"has type {column.dtype}, which is not measured"


def _plan_number(column: ColumnProfile, number: NumberSummary | None) -> NumberPlan | str:
    if number is None or number.finite == 0:
        return "has no finite value"
    if number.min == number.max:
        return "has the same value in every row"
    return plan_number(column, number) if column.kind == "number" else plan_time(column, number)


def _plan_category(column: ColumnProfile) -> CategoryPlan | str:
    if column.text and (column.text.max_chars or 0) > MAX_LEVEL_CHARS:
        return f"holds texts of up to {column.text.max_chars:,} characters: free text, not a category"
    distinct = column.distinct
    if distinct is None or distinct.count <= MAX_LEVELS:
        return CategoryPlan(column=column.name)
    covered = sum(top.count for top in column.top) / column.present
    if covered >= MIN_TOP_SHARE:
        return CategoryPlan(column=column.name, levels=tuple(top.value for top in column.top))
    about = "" if distinct.exact else "about "
    return f"has {about}{distinct.count:,} distinct values, and the most frequent ones cover only {covered:.0%} of rows"
