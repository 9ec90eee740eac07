"""`DashboardGenerator`: one offline HTML file from a profile and what was found in it.

The page asks nothing of the network: its policy allows only the two scripts that it holds, named by their
hashes, so that no text of the data can ever run.
"""

from __future__ import annotations

import base64
import hashlib
import logging
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from bokeh.resources import INLINE
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from raypipe.config import DashboardConfig
from raypipe.dashboard import numbers
from raypipe.dashboard.charts import ChartEngine
from raypipe.dashboard.columns import short_name
from raypipe.dashboard.files import write_whole
from raypipe.dashboard.inputs import Approximation, DashboardInput, Provenance
from raypipe.dashboard.page import budgeted_sections, budgets, fixed_sections
from raypipe.dashboard.payload import script_json
from raypipe.dashboard.theme import chart_colours, theme_css, theme_named
from raypipe.errors import OutputError

__all__ = ["Approximation", "DashboardGenerator", "DashboardInput", "Provenance"]

MAX_PAGE_BYTES = 5_000_000
_log = logging.getLogger(__name__)
_SECTIONS = (
    ("overview", "Overview"),
    ("findings", "Findings"),
    ("quality", "Quality"),
    ("columns", "Columns"),
    ("correlations", "Correlations"),
    ("target", "Target"),
    ("time", "Time"),
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
        script = _asset("page.js")
        bokeh = _bokeh_script() if context["charts"] else ""
        source = origin.source or "source not named"
        tallies = {
            "findings": len(context["findings"]["shown"]) + context["findings"]["hidden"],
            "columns": len(profile.columns),
        }
        return (
            _environment()
            .get_template("page.html.j2")
            .render(
                **context,
                theme=self._theme,
                title=numbers.clip(self._title or f"Analytics Dashboard - {Path(source).stem or source}", 160),
                source=source,
                shape=f"{profile.rows:,} rows × {len(profile.columns):,} columns",
                created=numbers.clock(origin.created)[:16] if origin.created else "",
                version=origin.version,
                run_id=numbers.clip(origin.run_id or "", 80),
                nav=[(key, word, f"{tallies[key]:,}" if tallies.get(key) else "") for key, word in _SECTIONS],
                css=_safe(theme_css(self._theme) + _asset("page.css")),
                colours=script_json(chart_colours(self._theme)),
                bokeh=_safe(bokeh),
                script=_safe(script),
                policy=_policy([part for part in (bokeh, script) if part]),
            )
        )


def _policy(scripts: list[str]) -> str:
    """No network, no frames, no forms, and only these scripts; Bokeh sets styles, hence the leave for those."""
    digests = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in scripts
    )
    rest = "style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'"
    return f"default-src 'none'; script-src {digests}; {rest}"


def _safe(text: str) -> Markup:
    return Markup(text)  # our own asset or Bokeh's, without any text of the data


@cache
def _asset(name: str) -> str:
    return (resources.files("raypipe.dashboard") / "assets" / name).read_text(encoding="utf-8")


@cache
def _bokeh_script() -> str:
    """Bokeh's core bundle alone: no widgets, tables or WebGL."""
    core = INLINE.clone(components=["bokeh"]) if hasattr(INLINE, "clone") else INLINE
    return "\n".join(core.js_raw).replace("\r\n", "\n")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_asset), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        clip=_clip,
        count=numbers.count,
        share=numbers.share,
        number=numbers.number,
        clock=numbers.clock,
        script_json=script_json,
        short_name=short_name,
        capitalize_first=lambda text: text[:1].upper() + text[1:],
    )
    return environment


def _clip(value: Any, limit: int) -> str:
    return numbers.clip(str(value), limit)
