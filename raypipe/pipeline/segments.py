"""Segments compared: rows with a value of a column against all others, or against the same segment of another table."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from raypipe.blocks.profile import ColumnProfile
from raypipe.config import PipelineConfig
from raypipe.engine.choose import choose_engine
from raypipe.engine.run import Pass
from raypipe.errors import ConfigError, MissingColumnsError
from raypipe.etl.processing.process import DataProcessor
from raypipe.insights.compare.compare import compare
from raypipe.insights.compare.models import Comparison, Side, Thresholds
from raypipe.insights.compare.segments import SummariseSegments
from raypipe.insights.quality import quality_score
from raypipe.insights.words import plain
from raypipe.pipeline.check import NO_STEPS
from raypipe.pipeline.compare import is_run
from raypipe.pipeline.ingest import Ingest, Ingested, open_source
from raypipe.stage import Plan

MAX_SEGMENTS = 10
"""Values of `--by`, the most frequent ones."""


def compare_segment(
    sources: tuple[str, str | None], segment: str, config: PipelineConfig, thresholds: Thresholds | None = None
) -> Comparison:
    """The rows with a value against all others; with two sources, those of one against those of the other.

    Parameters
    ----------
    segment : str
        COLUMN=VALUE.
    """
    column, equals, value = segment.partition("=")
    if not equals or not column:
        raise ConfigError(f"--segment: got {plain(segment)!r}; wanted COLUMN=VALUE, such as --segment city=Ulm")
    first, second = sources
    mine, rest = _segments(first, column, (value,), config)[value]
    if second is None:
        return compare(mine, rest, thresholds)
    return compare(mine, _segments(second, column, (value,), config)[value][0], thresholds)


def compare_each(
    source: str, column: str, config: PipelineConfig, thresholds: Thresholds | None = None
) -> list[Comparison]:
    """Each of the most frequent values of a column against all other rows, the most different first."""
    order = ("drifted", "cannot tell", "changed", "same", "stale")
    found = [compare(*sides, thresholds) for sides in _segments(source, column, (), config).values()]
    return sorted(found, key=lambda one: (order.index(one.verdict), -len(one.drifted)))


def _segments(
    source: str, column: str, values: tuple[str, ...], config: PipelineConfig
) -> dict[str, tuple[Side, Side]]:
    """Value -> its rows and all others, in two passes; no values: the most frequent ones."""
    if is_run(source, config):
        raise ConfigError(
            f"compare: segments need rows, and of run {plain(source)} only profiles are kept; name the table itself"
        )
    settings = PipelineConfig.of(
        {**config.model_dump(exclude_unset=True), "data_source": source, "validate_data": False}, origin="compare"
    )
    opened = open_source(settings)
    if column not in opened.schema().names:
        raise MissingColumnsError("compare", [column], opened.schema().names)
    engine, _ = choose_engine(settings.engine, opened.size_bytes)

    def new_pass(plan: Plan, **options: Any) -> Pass:
        return Pass(plan, **options)

    with tempfile.TemporaryDirectory(prefix="raypipe-") as folder:
        path = Path(folder) / "quarantine.parquet"
        done = Ingest(settings, engine, None, DataProcessor(NO_STEPS, None, None), path, new_pass).run(opened)
        done.quarantine.close()
        stage = SummariseSegments(column=column, values=values or _frequent(done.profile.column(column)))
        try:
            found = engine.run(_pass_over(done, stage)).results[stage.name]
        finally:
            engine.release()
    for value, (profile, _) in found.items():
        if not profile.rows:
            raise ConfigError(
                f"compare: no row has {plain(column)} = {plain(value)}; frequent ones are:"
                f" {', '.join(_frequent(done.profile.column(column)))}"
            )
    return {value: _sides(source, column, value, pair) for value, pair in found.items()}


def _pass_over(done: Ingested, stage: SummariseSegments) -> Pass:
    frame = done.outcome.frame
    assert frame is not None
    stage.output_schema(frame.schema)
    return Pass(Plan(source=frame.source, prefix=frame.prefix, stages=(stage,)), name="segments", frame=frame)


def _frequent(column: ColumnProfile) -> tuple[str, ...]:
    values = tuple(top.value for top in column.top[:MAX_SEGMENTS])
    if not values:
        raise ConfigError(f"compare: {plain(column.name)} has no frequent value to make segments by")
    return values


def _sides(source: str, column: str, value: str, pair: tuple[Any, Any]) -> tuple[Side, Side]:
    name = f"{plain(column)} = {plain(value)}"
    mine, rest = pair
    return (
        Side(name=f"{name} in {source}", kind="segment", profile=mine, quality=quality_score(mine).score),
        Side(name=f"all other rows of {source}", kind="rest", profile=rest, quality=quality_score(rest).score),
    )
