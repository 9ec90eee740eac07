"""The JSON block of the page: the same numbers for its script and for other programs."""

from __future__ import annotations

import json
from typing import Any

from markupsafe import Markup

from raypipe.dashboard import numbers
from raypipe.dashboard.columns import detail_data, rounded, short_name
from raypipe.dashboard.inputs import DashboardInput
from raypipe.dashboard.overview import FINDINGS_SHOWN, Finding, deductions_of
from raypipe.results import StepReport

DATA_VERSION = 1
"""Version of the layout of this block."""
OUTCOMES_SHOWN = 1000
NOT_IN_PAGE = {"examples", "message", "first", "segments", "description"}
RELATIONS_SHOWN = 200
NOT_IN_SERIES = {"series": {"__all__": {"decomposition", "autocorrelation"}}}


def script_json(value: Any) -> Markup:
    """JSON that is safe inside a script element: no markup, no line separators, no NaN."""
    text = json.dumps(rounded(value, 12), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Markup(text)  # every character that could end the script element is escaped above


def payload(given: DashboardInput, findings: list[Finding], charted: set[str], columns: int) -> dict[str, Any]:
    """Plain values of everything that the page shows but raw rows; the first `columns` columns."""
    profile, quality, outcomes = given.profile, given.quality, given.validation.outcomes if given.validation else ()
    return {
        "version": DATA_VERSION,
        "provenance": given.origin().model_dump(mode="json"),
        "rows": profile.rows,
        "missing_share": profile.missing_share,
        "duplicates": profile.duplicates.model_dump(mode="json") if profile.duplicates else None,
        "quality": quality and {"score": quality.score, "grade": quality.grade, "deductions": deductions_of(quality)},
        "columns": detail_data(profile, charted, columns),
        "validation": [
            outcome.model_dump(mode="json", exclude=NOT_IN_PAGE, exclude_defaults=True)
            for outcome in outcomes[:OUTCOMES_SHOWN]
        ],
        "findings": [_finding(finding) for finding in findings[:FINDINGS_SHOWN]],
        "target": _target(given),
        "timeline": given.timeline.model_dump(mode="json", exclude_none=True) if given.timeline else None,
        "series": given.series.model_dump(mode="json", exclude=NOT_IN_SERIES, exclude_none=True)
        if given.series
        else None,
        "patterns": _patterns(given),
        "missing": given.statistics.missing.model_dump(mode="json", exclude={"by_column"})
        if given.statistics
        else None,
        "steps": [_step(step) for step in given.steps],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    facts = {fact.name: fact.value for fact in finding.facts}
    return {
        "level": finding.level,
        "title": numbers.clip(finding.title, 300),
        "text": numbers.clip(finding.text, 600),
        "columns": [short_name(name) for name in finding.columns[:20]],
        "facts": facts,
    }


def _target(given: DashboardInput) -> dict[str, Any] | None:
    if given.target is None:
        return None
    relations = [r.model_dump(mode="json", exclude={"levels"}) for r in given.target.relations[:RELATIONS_SHOWN]]
    told = given.target.model_dump(mode="json", include={"leaks", "baselines", "segments", "drift"})
    return {
        **told,
        "column": given.target.column,
        "task": given.target.task,
        "rows": given.target.rows,
        "relations": relations,
    }


def _patterns(given: DashboardInput) -> dict[str, Any] | None:
    """Without the points of the map, and without lists of all columns."""
    if given.patterns is None:
        return None
    told = given.patterns.model_dump(mode="json", exclude={"map", "columns", "left_out"}, exclude_none=True)
    axes = [{"explained": axis.explained, "words": axis.words} for axis in given.patterns.map.components]
    return {**told, "axes": axes}


def _step(step: StepReport) -> dict[str, Any]:
    names = {"columns": step.columns[:100], "columns_dropped": step.columns_dropped[:100]}
    return {"step": step.step, "rows_dropped": step.rows_dropped, "cells_changed": step.cells_changed, **names}
