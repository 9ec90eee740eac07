"""Tables, their profiles, and comparison of results up to rounding."""

import math
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from pydantic import BaseModel

from raypipe.blocks.frames import from_polars
from raypipe.blocks.profile import Profile
from raypipe.blocks.table import finish, summarise
from raypipe.config.insights.series import SeriesConfig
from raypipe.insights.facts import Facts, InsightContext, looks_like_id, names_things
from raypipe.insights.generator import InsightGenerator, gather
from raypipe.insights.models import TargetReport, Timeline
from raypipe.insights.patterns.detector import PatternDetector
from raypipe.insights.relations import plan_relations
from raypipe.insights.series.measure import measure_series
from raypipe.insights.target.analysis import analyse_target
from raypipe.insights.timeline import plan_timeline
from raypipe.results import Insight


def profile_of(table: pa.Table) -> Profile:
    return finish(summarise(table))


def as_table(**columns: Any) -> pa.Table:
    return from_polars(pl.DataFrame(columns, strict=False))


def relate(table: pa.Table, target: str, profile: Profile | None = None) -> TargetReport:
    stage = plan_relations(profile or profile_of(table), table.schema, target)
    return stage.finish(stage.partial(table, "0"))


def follow(table: pa.Table, time_column: str, target: str | None = None, profile: Profile | None = None) -> Timeline:
    stage = plan_timeline(profile or profile_of(table), table.schema, time_column, target)
    return stage.finish(stage.partial(table, "0"))


def findings(
    table: pa.Table, target: str | None = None, time_column: str | None = None, **more: Any
) -> tuple[Insight, ...]:
    """What is said of a table, from profile to insights."""
    profile = profile_of(table)
    report = relate(table, target, profile) if target else None
    line = follow(table, time_column, target, profile) if time_column else None
    ids = frozenset(column.name for column in profile.columns if looks_like_id(column))
    naming = frozenset(column.name for column in profile.columns if names_things(column))
    patterns = PatternDetector().detect(table, ids, naming)
    if report is not None:
        report = analyse_target(report, table, time=time_column)
    series = measure_series(line.course, SeriesConfig()) if line and line.course else None
    return InsightGenerator().generate(
        profile,
        more.pop("validation", None),
        report,
        line,
        patterns=patterns,
        series_report=series,
        **more,
    )


def alone(table: pa.Table, target: str | None = None, time_column: str | None = None, **more: Any) -> list[Insight]:
    """What each finder says by itself, before findings of one fact are joined."""
    profile = profile_of(table)
    report = relate(table, target, profile) if target else None
    line = follow(table, time_column, target, profile) if time_column else None
    context = more.get("context")
    known = context if isinstance(context, InsightContext) else InsightContext(business=context)
    series = measure_series(line.course, SeriesConfig()) if line and line.course else None
    steps = tuple(more.get("steps", ()))
    return gather(Facts(profile, more.get("validation"), report, line, steps, known, series=series))


def noise(rows: int, seed: int, columns: int = 18) -> pa.Table:
    """Independent columns of several kinds, with a target and a time that have nothing to do with them."""
    rng = np.random.default_rng(seed)
    frame: dict[str, Any] = {"y": rng.normal(size=rows)}
    for i in range(columns):
        made = (
            rng.normal(size=rows),
            rng.exponential(size=rows),
            rng.integers(0, 50, rows),
            rng.choice(list("abcdef"), rows),
        )
        frame[f"c{i}"] = made[i % 4]
    span = 200 * 86_400_000_000
    frame["t"] = pl.Series(np.sort(rng.integers(0, span, rows)) + 1_700_000_000_000_000).cast(pl.Datetime("us"))
    return as_table(**frame)


def close(a: Any, b: Any, tolerance: float = 1e-9) -> bool:
    """Equal but for the rounding of floats."""
    if isinstance(a, BaseModel):
        return type(a) is type(b) and close(a.model_dump(), b.model_dump(), tolerance)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(close(a[key], b[key], tolerance) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(close(x, y, tolerance) for x, y in zip(a, b, strict=True))
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance) or (math.isnan(a) and math.isnan(b))
    return bool(a == b)
