"""`insights.json`: everything that was found, in the sections of the older platform, for programs to read."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from raypipe.errors import ReadError
from raypipe.insights.actions import next_steps, recommendations
from raypipe.insights.business import business_insights
from raypipe.insights.facts import KEY_PRIORITY
from raypipe.insights.models import TargetReport
from raypipe.insights.overview import Overview
from raypipe.insights.quality import BANDS, formula
from raypipe.results import Insight

INSIGHTS_FILE = "insights.json"
INSIGHTS_VERSION = 1
"""Version of the layout; raised when a field changes its meaning or goes away."""
DETAILED_PRIORITY = 5
"""From this priority on an insight is a detailed one."""


def document(overview: Overview) -> dict[str, Any]:
    """Plain values; a number that JSON does not know is None."""
    insights = overview.insights
    sections = {
        "version": INSIGHTS_VERSION,
        "dataset_overview": _dataset(overview),
        "key_insights": _told(insights, KEY_PRIORITY, 10),
        "detailed_insights": _told(insights, DETAILED_PRIORITY, KEY_PRIORITY - 1),
        "additional_insights": _told(insights, 1, DETAILED_PRIORITY - 1),
        "actionable_recommendations": [
            one.model_dump(mode="json") for one in recommendations(insights, overview.run, overview.words)
        ],
        "data_quality_assessment": _quality(overview),
        "business_insights": [
            one.model_dump(mode="json") for one in business_insights(insights, overview.business, overview.words)
        ],
        "next_steps": [
            one.model_dump(mode="json") for one in next_steps(insights, overview.run, overview.context, overview.words)
        ],
        "target": None if overview.target is None else overview.target.model_dump(mode="json"),
        "metadata": {
            **overview.provenance,
            "business_context": overview.business,
            "language": overview.words.language,
            "told_in_english": list(overview.words.missing(insights)),
            "not_computed": dict(overview.not_computed),
        },
    }
    found: dict[str, Any] = _plain(sections)
    return found


@dataclass(frozen=True)
class StoredInsights:
    """What a run left of its findings."""

    insights: tuple[Insight, ...] | None
    """None: another version of raypipe wrote them."""
    target: TargetReport | None = None
    quality: float | None = None


def read_document(text: str, where: str) -> StoredInsights:
    """The findings of a run from its `insights.json`; ReadError if the file is damaged."""
    try:
        content = json.loads(text)
        if content["version"] != INSIGHTS_VERSION:
            return StoredInsights(None)
        told = [*content["key_insights"], *content["detailed_insights"], *content["additional_insights"]]
        target, quality = content["target"], content["data_quality_assessment"]
        return StoredInsights(
            insights=tuple(Insight.model_validate(one) for one in told),
            target=None if target is None else TargetReport.model_validate(target),
            quality=None if quality is None else float(quality["score"]),
        )
    except (ValidationError, ValueError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ReadError(f"{where} holds no findings of a run: {reason}; run it again") from None


def _dataset(overview: Overview) -> dict[str, Any]:
    profile = overview.profile
    kinds: dict[str, int] = {}
    for column in profile.columns:
        kinds[column.kind] = kinds.get(column.kind, 0) + 1
    return {
        "title": overview.title,
        "rows": profile.rows,
        "columns": len(profile.columns),
        "kinds": dict(sorted(kinds.items())),
        "bytes": profile.bytes,
        "missing_share": profile.missing_share,
        "duplicate_rows": None if profile.duplicates is None else profile.duplicates.model_dump(mode="json"),
        "target": overview.context.target,
        "time": overview.timeline.column if overview.timeline else overview.run.time,
    }


def _told(insights: tuple[Insight, ...], least: int, most: int) -> list[dict[str, Any]]:
    return [insight.model_dump(mode="json") for insight in insights if least <= insight.priority_score <= most]


def _quality(overview: Overview) -> dict[str, Any] | None:
    quality = overview.quality
    if quality is None:
        return None
    bands = {word: least for least, word in BANDS}
    deductions = [part.told(overview.words).model_dump(mode="json") for part in quality.deductions]
    told = {**quality.model_dump(mode="json"), "deductions": deductions}
    return {**told, "formula": formula(overview.words), "bands": bands}


def _plain(value: Any) -> Any:
    """The same without numbers that JSON does not know."""
    if isinstance(value, dict):
        return {str(key): _plain(held) for key, held in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(held) for held in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
