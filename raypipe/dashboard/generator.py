"""`DashboardGenerator`: one offline HTML file from a profile and what was found in it.

What the page shares with others stands in `raypipe.dashboard.shell`: its policy, its styles, its templates.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from raypipe.config import DashboardConfig
from raypipe.dashboard import numbers
from raypipe.dashboard.charts import ChartEngine
from raypipe.dashboard.files import write_whole
from raypipe.dashboard.inputs import Approximation, DashboardInput, Provenance
from raypipe.dashboard.page import budgeted_sections, budgets, fixed_sections
from raypipe.dashboard.shell import MAX_PAGE_BYTES, fill
from raypipe.dashboard.theme import theme_named
from raypipe.errors import OutputError

__all__ = ["MAX_PAGE_BYTES", "Approximation", "DashboardGenerator", "DashboardInput", "Provenance"]

_log = logging.getLogger(__name__)
_SECTIONS = (
    ("overview", "Overview"),
    ("findings", "Findings"),
    ("quality", "Quality"),
    ("columns", "Columns"),
    ("correlations", "Correlations"),
    ("patterns", "Patterns"),
    ("target", "Target"),
    ("time", "Time"),
    ("models", "Models"),
    ("data-rows", "Data"),
    ("steps", "Processing steps"),
    ("about", "About"),
)


class DashboardGenerator:
    """Renders `DashboardInput` as one self-contained page.

    Parameters
    ----------
    config : DashboardConfig, optional
        Bounds on columns, rows and points.
    theme : str
        light, dark, auto, corporate or enterprise.
    title : str, optional
        None makes one from the name of the source.

    Raises
    ------
    ConfigError
        If there is no such theme.
    """

    def __init__(self, config: DashboardConfig | None = None, theme: str = "light", title: str | None = None) -> None:
        self._config = config or DashboardConfig()
        self._theme = theme_named(theme)
        self._title = title

    def render(self, given: DashboardInput) -> str:
        """The page as HTML of at most 5 MB; a table too wide for that gets less detail, and the page says so."""
        fixed = fixed_sections(given, ChartEngine(self._config))
        for budget in budgets(self._config):
            context = {**fixed, **budgeted_sections(given, fixed["findings"]["all"], budget)}
            html = self._fill(given, context)
            size = len(html.encode("utf-8", "replace"))
            if size <= MAX_PAGE_BYTES:
                return html
            _log.info("dashboard: %d bytes with %s, trying less detail", size, budget)
        raise OutputError(
            f"dashboard: the page would have {size:,} bytes, more than {MAX_PAGE_BYTES:,}, even with the least detail. "
            "Shorten findings, validation messages or provenance."
        )

    def write(self, given: DashboardInput, path: Path | str) -> Path:
        """Render into `path`: under a temporary name first, so that a reader never sees half a page.

        Raises
        ------
        OutputError
            If the folder cannot be written or the disk is full.
        """
        html = self.render(given).encode("utf-8", "replace")
        target = write_whole(Path(path), html)
        _log.info("dashboard: wrote %s, %d bytes", target, len(html))
        return target

    def _fill(self, given: DashboardInput, context: dict[str, Any]) -> str:
        origin, profile = given.origin(), given.profile
        source = origin.source or "source not named"
        tallies = {
            "findings": len(context["findings"]["shown"]) + context["findings"]["hidden"],
            "columns": len(profile.columns),
        }
        return fill(
            "page.html.j2",
            self._theme,
            live=bool(context["charts"]),
            styles=("page.css",),
            scripts=("page.js",),
            **context,
            title=numbers.clip(self._title or f"Analytics Dashboard - {Path(source).stem or source}", 160),
            source=source,
            shape=f"{profile.rows:,} rows × {len(profile.columns):,} columns",
            created=numbers.clock(origin.created)[:16] if origin.created else "",
            version=origin.version,
            run_id=numbers.clip(origin.run_id or "", 80),
            nav=[
                (key, word, f"{tallies[key]:,}" if tallies.get(key) else "")
                for key, word in _SECTIONS
                if key != "models" or context[key]["report"] or context[key]["why_not"]
            ],
        )
