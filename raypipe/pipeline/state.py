"""What one run knows, and the law that its row counts obey."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from raypipe.blocks.profile import Profile
from raypipe.engine.frame import Frame
from raypipe.engine.journal import Journal
from raypipe.engine.report import StageTally
from raypipe.engine.run import Engine, Outcome
from raypipe.engine.tasks import Attempts
from raypipe.errors import ConservationError
from raypipe.etl.outputs import RunFolder
from raypipe.etl.processing.process import DataProcessor
from raypipe.etl.source import TableSource
from raypipe.etl.validate import DataValidator
from raypipe.pipeline.ingest import Ingested
from raypipe.pipeline.looks import Looks
from raypipe.results import Insight, StepReport, ValidationResult

if TYPE_CHECKING:
    from raypipe.insights.models import TargetReport, Timeline
    from raypipe.insights.patterns.models import PatternsReport
    from raypipe.insights.quality import QualityScore
    from raypipe.insights.series.models import SeriesReport
    from raypipe.insights.statistics.models import Statistics


@dataclass
class Analysis:
    """What the analysis stage found."""

    insights: tuple[Insight, ...] = ()
    quality: QualityScore | None = None
    target: TargetReport | None = None
    timeline: Timeline | None = None
    patterns: PatternsReport | None = None
    series: SeriesReport | None = None
    statistics: Statistics | None = None
    head: pa.Table | None = None
    points: pa.Table | None = None
    """The first rows of `sample`, and those columns that scatter charts show."""
    sample: pa.Table | None = None
    """All columns of rows drawn at random: for methods that need rows."""
    report: str = ""
    """Markdown."""
    document: dict[str, Any] = field(default_factory=dict)
    """The same for programs: `insights.json`."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Part of the analysis -> why it is absent."""


@dataclass
class RunState:
    """Everything that one run knows so far; a fresh one for each `execute()`."""

    run_id: str
    folder: RunFolder
    engine: Engine
    engine_reason: str
    source: TableSource
    validator: DataValidator | None
    processor: DataProcessor
    ingested: Ingested | None = None
    validation: ValidationResult | None = None
    frame: Frame | None = None
    profile: Profile | None = None
    """Of the rows as they now are."""
    looks: Looks | None = None
    """Rows themselves, of those that now are; None where nobody has looked."""
    steps: tuple[StepReport, ...] = ()
    rows_added: dict[str, int] = field(default_factory=dict)
    """Override -> rows that it made beyond those it got."""
    processing: dict[str, StageTally] = field(default_factory=dict)
    processed_files: list[dict[str, Any]] = field(default_factory=list)
    analysis: Analysis = field(default_factory=Analysis)
    attempts: Attempts = field(default_factory=Attempts)
    peak_rss_bytes: int = 0
    worker_restarts: int = 0
    journal: Journal | None = None
    """What is committed, for `--resume`."""
    resumed: bool = False
    passes: list[dict[str, Any]] = field(default_factory=list)
    """Seconds, rows and engine of each pass."""
    analysis_tasks: list[dict[str, Any]] = field(default_factory=list)
    """State, seconds and waiting of each task of the analysis, in the order of the graph."""

    @property
    def loaded(self) -> Ingested:
        """What pass 1 made."""
        assert self.ingested is not None
        return self.ingested

    @property
    def data(self) -> tuple[Frame, Profile]:
        """The rows as they now are, and their profile."""
        assert self.frame is not None
        assert self.profile is not None
        return self.frame, self.profile

    def account(self, name: str, outcome: Outcome) -> None:
        """Note what the pass of this name took."""
        self.peak_rss_bytes = max(self.peak_rss_bytes, outcome.peak_rss_bytes)
        self.worker_restarts += outcome.worker_restarts
        self.passes.append(
            {
                "name": name,
                "engine": self.engine.name,
                "seconds": round(outcome.seconds, 4),
                "rows_in": outcome.rows_in,
                "rows_out": outcome.rows_out,
                "bytes_read": outcome.bytes_read,
                "store_peak_bytes": outcome.store_peak_bytes,
                "stage_peak_rss_bytes": {stage: tally.peak_rss_bytes for stage, tally in outcome.tallies.items()},
            }
        )

    def row_counts(self) -> RowCounts:
        """Rows read, kept, quarantined, and dropped by which step."""
        frame, _ = self.data
        tallies = {**self.loaded.outcome.tallies, **self.processing}
        dropped = {name: tally.rows_dropped for name, tally in tallies.items() if tally.rows_dropped}
        for step in self.steps:
            if step.step not in tallies and step.rows_dropped:
                dropped[step.step] = step.rows_dropped
        aside = self.loaded.quarantine.rows
        return RowCounts(self.loaded.outcome.rows_in, len(frame), aside, dropped, dict(self.rows_added))


@dataclass(frozen=True)
class RowCounts:
    """Where the rows of the source went."""

    read: int
    kept: int
    quarantined: int
    dropped: dict[str, int]
    """Step -> rows."""
    added: dict[str, int] = field(default_factory=dict)
    """Override of a user -> rows that it made."""

    def check(self) -> None:
        """Raise ConservationError unless read + added = kept + quarantined + dropped."""
        if self.read + sum(self.added.values()) != self.kept + self.quarantined + sum(self.dropped.values()):
            raise ConservationError(
                f"rows read ({self.read:,}) are not rows kept ({self.kept:,}) + quarantined ({self.quarantined:,}) + "
                f"dropped ({self.dropped}); this is a defect of raypipe"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values; `added` only where a user's override made rows."""
        counts = {"read": self.read, "kept": self.kept, "quarantined": self.quarantined, "dropped": dict(self.dropped)}
        return {**counts, "added": dict(self.added)} if self.added else counts
