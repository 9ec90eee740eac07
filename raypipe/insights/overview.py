"""Everything that the report and its JSON tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from raypipe.blocks.profile import Profile
from raypipe.insights.actions import Run
from raypipe.insights.facts import InsightContext
from raypipe.insights.models import TargetReport, Timeline
from raypipe.insights.quality import QualityScore
from raypipe.insights.series.models import SeriesReport
from raypipe.insights.wording.catalogue import Catalogue
from raypipe.results import Insight, StepReport, ValidationResult


@dataclass(frozen=True)
class Overview:
    """Everything that the report tells. Only the profile must be there."""

    profile: Profile
    title: str = "Insights report"
    insights: tuple[Insight, ...] = ()
    quality: QualityScore | None = None
    validation: ValidationResult | None = None
    target: TargetReport | None = None
    timeline: Timeline | None = None
    series: SeriesReport | None = None
    steps: tuple[StepReport, ...] = ()
    not_computed: Mapping[str, str] = field(default_factory=dict)
    """What -> why not."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Run id, rows in and out, seed, versions: shown as they are."""
    context: InsightContext = field(default_factory=InsightContext)
    run: Run = field(default_factory=Run)
    """For the commands of recommendations and next steps."""
    words: Catalogue = field(default_factory=Catalogue)

    @property
    def business(self) -> str | None:
        """What is to be stressed."""
        return self.context.business
