"""The laws of stages, held by every fitted step of a list, and by everything that fitting looks at rows with."""

import dataclasses

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from raypipe.config import ProcessingConfig
from raypipe.engine.localframe import canonical
from raypipe.etl.processing.course import Course, wishes_of
from raypipe.etl.processing.figures import TakeFigures
from raypipe.etl.steps.grouped import MeasureGroups
from raypipe.etl.steps.measure import CountValues, Measure
from raypipe.etl.steps.neighbours import FindNeighbours
from raypipe.etl.steps.shape import FindWidths
from raypipe.etl.steps.target import SumByFold
from raypipe.etl.steps.winners import FindLosers
from tests.etl.steps.lists import BARE
from tests.etl.steps.test_lists import LISTS, mixed
from tests.laws import PART, assert_reduce_laws, assert_stage_laws, numbered, opened

SHORT = canonical(mixed().slice(2, 5))
"""Enough for gaps, a far value and repeats."""


@pytest.mark.parametrize("name", LISTS)
def test_every_step_keeps_the_laws_of_stages(name):
    config = ProcessingConfig.model_validate({**BARE, "steps": LISTS[name]})
    course = Course(wishes_of(config.steps), SHORT.schema)
    block = numbered(SHORT)
    while True:
        stages = course.gather()
        for step in course.applied():
            assert_stage_laws(step, block)
            block = opened(step)(block).block
        if not stages:
            break
        course.learn({stage.name: stage.finish(stage.partial(block, PART)) for stage in stages})
    assert block.drop_columns(["__row__"]).schema.equals(course.schema)


def plain(value):
    """A result in plain values, numbers rounded as far as merging may move them."""
    if dataclasses.is_dataclass(value):
        return {one.name: plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, pl.DataFrame | pa.Table):
        return plain(value.to_dict(as_series=False) if isinstance(value, pl.DataFrame) else value.to_pydict())
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(one) for one in value]
    return round(float(value), 9) if isinstance(value, float | np.floating) else value


LOOKS = {
    "measure": Measure(label="s", columns=("x", "k", "same")),
    "count": CountValues(label="s", columns=("x", "city", "flag"), most=10),
    "count too many": CountValues(label="s", columns=("x", "city"), most=2),
    **{f"groups {way}": MeasureGroups(label="s", columns=("x", "k"), by=("city",), method=way)
       for way in ("mean", "median", "mode")},
    **{f"neighbours {way}": FindNeighbours(label="s", columns=("x", "k"), direction=way, by=by)
       for way, by in (("forward", ()), ("interpolate", ("city",)))},
    "widths": FindWidths(label="s", columns=("x", "k")),
    "folds": SumByFold(label="s", columns=("city",), target="y", folds=3, most=10),
    **{f"losers {keep}": FindLosers(label="s", by=("city",), keep=keep, of="x" if keep == "max" else None)
       for keep in ("first", "max", "most_complete")},
    "figures": TakeFigures(before="s", before_columns=("x", "city", "flag", "nothing")),
}  # fmt: skip


@pytest.mark.parametrize("name", LOOKS)
def test_what_looks_at_rows_depends_on_no_cut(name):
    assert_reduce_laws(LOOKS[name], SHORT, same=lambda a, b: plain(a) == plain(b))
