"""Settings: the order, wording and form of the findings."""

from __future__ import annotations

from pathlib import Path

from pydantic import PositiveInt

from raypipe.config.base import Frozen


class ReportConfig(Frozen):
    """The order, wording and form of the findings."""

    max_per_type: PositiveInt = 10
    """Findings of one type that are told one by one; further ones are told together."""
    language: str = "en"
    """Words of the report and of the findings: en or de; what a language lacks is told in English, and the report says
    so."""
    catalogue: Path | None = None
    """YAML with words of your own, which win over those of the language; see [Insights](insights.md#your-words)."""
    template: Path | None = None
    """Jinja2 template of `insights_report.md`; see [Insights](insights.md#your-template). None: the one that raypipe
    has."""
