"""What the dashboard is made from. Everything but the profile may be absent; the page then says why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import pyarrow as pa
from pydantic import Field

from raypipe.blocks.profile import Profile
from raypipe.config import Frozen
from raypipe.insights.models import TargetReport, Timeline
from raypipe.insights.patterns.models import PatternsReport
from raypipe.insights.quality import QualityScore
from raypipe.insights.series.models import SeriesReport
from raypipe.insights.statistics.models import Statistics
from raypipe.results import Insight, StepReport, ValidationResult


class Approximation(Frozen):
    """One number of the report that is an estimate."""

    what: str
    bound: str
    """Its error, in words."""


class Provenance(Frozen):
    """Where the report comes from and how it was made."""

    run_id: str | None = None
    version: str | None = None
    engine: str | None = None
    source: str | None = None
    created: str | None = None
    """ISO 8601."""
    rows_read: int | None = None
    rows_kept: int | None = None
    rows_quarantined: int | None = None
    rows_dropped: int | None = None
    seconds: float | None = None
    seed: int | None = None
    approximations: tuple[Approximation, ...] = ()
    further: dict[str, str] = Field(default_factory=dict)
    """Other facts, shown as they are."""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """From a plain mapping; names that it does not know land in `further`, approximations may be texts or pairs."""
        known = {
            name: value
            for name, value in values.items()
            if name in cls.model_fields and name not in ("approximations", "further")
        }
        strange = {name: value for name, value in values.items() if name not in cls.model_fields}
        other = {name: str(value)[:400] for name, value in strange.items() if value is not None}
        listed = tuple(_approximation(entry) for entry in _entries(values.get("approximations")))
        further = {**dict(values.get("further") or {}), **other}
        return cls.model_validate({**known, "approximations": listed, "further": further})

    @property
    def conserved(self) -> bool | None:
        """Whether rows read = kept + quarantined + dropped; None where a count is unknown."""
        parts = (self.rows_kept, self.rows_quarantined, self.rows_dropped)
        if self.rows_read is None or any(part is None for part in parts):
            return None
        return self.rows_read == sum(part for part in parts if part is not None)


@dataclass(frozen=True)
class DashboardInput:
    """Everything that one page shows.

    Parameters
    ----------
    profile : Profile
        Of the rows kept.
    head : pyarrow.Table, optional
        The first rows.
    points : pyarrow.Table, optional
        A sample of rows for the scatter.
    reasons : mapping of str to str
        Why a part is absent, by the name of its field: `{"target": "no target column was named"}`.
    """

    profile: Profile
    provenance: Provenance | Mapping[str, Any] = field(default_factory=Provenance)
    validation: ValidationResult | None = None
    steps: tuple[StepReport, ...] = ()
    insights: tuple[Insight, ...] = ()
    quality: QualityScore | None = None
    target: TargetReport | None = None
    timeline: Timeline | None = None
    series: SeriesReport | None = None
    patterns: PatternsReport | None = None
    statistics: Statistics | None = None
    head: pa.Table | None = None
    points: pa.Table | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)

    def origin(self) -> Provenance:
        """The provenance, from a mapping if need be."""
        return self.provenance if isinstance(self.provenance, Provenance) else Provenance.of(self.provenance)

    def why_not(self, part: str, otherwise: str) -> str:
        """The reason why `part` is absent."""
        return self.reasons.get(part, otherwise)


def _entries(listed: Any) -> list[Any]:
    if isinstance(listed, Mapping):
        return list(listed.items())
    return [listed] if isinstance(listed, str) else list(listed or ())


def _approximation(entry: Any) -> Approximation:
    if isinstance(entry, Approximation):
        return entry
    if isinstance(entry, str):
        return Approximation(what=entry, bound="")
    if isinstance(entry, Mapping):
        return Approximation(what=str(entry.get("what", "")), bound=str(entry.get("bound", "")))
    return Approximation(what=str(entry[0]), bound=str(entry[1]))
