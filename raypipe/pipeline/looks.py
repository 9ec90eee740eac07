"""Rows themselves, for methods that need them: the first ones, and a sample, taken by passes that run anyway."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from raypipe.blocks.frames import ROW
from raypipe.blocks.profile import Profile
from raypipe.config import PipelineConfig
from raypipe.etl.source import TableSource
from raypipe.etl.steps.step import Step
from raypipe.insights.sample import FirstRows, SampleRows, sample_size
from raypipe.stage import ReduceStage, Sifted, Stage

EXACT_FACTOR = 2
"""A source that knows its rows is believed to keep at least one of this many: rules may set others aside."""
LookStages = Callable[[pa.Schema], tuple[ReduceStage, ...]]


@dataclass(frozen=True)
class Looks:
    """What a pass took of the rows that it left."""

    head: pa.Table | None = None
    """The first rows."""
    sample: pa.Table | None = None
    """Rows drawn at random, in random order; None where there is no column, or they have to be drawn again."""

    @classmethod
    def of(cls, results: Mapping[str, Any]) -> Looks | None:
        """From the results of a pass with `look_stages`; None where it had none of them."""
        if FirstRows.__name__ not in results:
            return None
        return cls(results[FirstRows.__name__], results.get(SampleRows.__name__))

    def after(self, steps: Iterable[Step]) -> Looks:
        """The same rows after steps that keep every row."""
        busy = [step for step in steps if not step.idle]
        return Looks(_applied(busy, self.head), _applied(busy, self.sample))

    def cut(self, profile: Profile, config: PipelineConfig) -> Looks:
        """With no more rows in the sample than suit the width and the bytes of the table that was profiled."""
        if self.sample is None:
            return self
        limits = config.analysis
        return Looks(self.head, self.sample.slice(0, sample_size(profile, limits.sample_rows, limits.sample_cells)))


def look_stages(
    config: PipelineConfig, schema: pa.Schema, *, rows: int | None = None, guess: int | None = None
) -> tuple[ReduceStage, ...]:
    """The stages that take the first rows and a sample.

    Parameters
    ----------
    rows : int, optional
        Rows that there are at least.
    guess : int, optional
        Bytes that they may take in memory, where their number is not known.
    """
    head = FirstRows(rows=config.dashboard.max_table_rows)
    names = tuple(name for name in schema.names if name != ROW)
    if not names:
        return (head,)
    limits = config.analysis
    most = max(1, min(limits.sample_rows, limits.sample_cells // len(names)))
    return head, SampleRows(rows=most, columns=names, seed=config.seed, of=rows, of_bytes=guess)


def looks_at(config: PipelineConfig, source: TableSource) -> LookStages:
    """The stages for the pass that reads a source."""
    parts = source.parts()
    known = [part.rows for part in parts if part.rows is not None]
    rows = sum(known) // EXACT_FACTOR if len(known) == len(parts) else None
    guess = sum(part.bytes for part in parts) if all(part.bytes for part in parts) else None
    return lambda schema: look_stages(config, schema, rows=rows, guess=guess)


def seen(
    config: PipelineConfig,
    profile: Profile,
    schema: pa.Schema,
    looks: Looks | None,
    run_pass: Callable[[tuple[Stage, ...]], Mapping[str, Any]],
) -> Looks:
    """What passes took on their way, or one pass takes now where they could not; cut to suit the table."""
    if looks is None or (looks.sample is None and schema.names):
        looks = Looks.of(run_pass(look_stages(config, schema, rows=profile.rows)))
        assert looks is not None
    return looks.cut(profile, config)


def _applied(steps: Iterable[Step], rows: pa.Table | None) -> pa.Table | None:
    if rows is None:
        return None
    for step in steps:
        made = step.open()(rows)
        rows = made.block if isinstance(made, Sifted) else made
    return rows
