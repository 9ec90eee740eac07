"""`TimelineGenerator`: one offline page that shows the course of a finished run from its `events.jsonl`."""

from __future__ import annotations

import logging
from datetime import UTC
from pathlib import Path
from typing import Any

import raypipe
from raypipe.dashboard import numbers
from raypipe.dashboard.files import write_whole
from raypipe.dashboard.payload import script_json
from raypipe.dashboard.shell import MAX_PAGE_BYTES, fill
from raypipe.dashboard.theme import theme_named
from raypipe.dashboard.timeline_page import sections_of
from raypipe.errors import OutputError
from raypipe.monitor.runlog import RunLog

logger = logging.getLogger(__name__)

_SECTIONS = (
    ("overview", "Overview"),
    ("limits", "What limited it"),
    ("course", "Course"),
    ("workers", "Workers"),
    ("queues", "Queues"),
    ("memory", "Memory"),
    ("rate", "Throughput"),
    ("passes", "Passes and stages"),
    ("events", "Events"),
    ("about", "About"),
)


class TimelineGenerator:
    """Renders the log of a run as one self-contained page.

    Parameters
    ----------
    theme : str
        light, dark, auto, corporate or enterprise.
    title : str, optional
        None makes one from the name of the run.

    Raises
    ------
    ConfigError
        If there is no such theme.
    """

    def __init__(self, theme: str = "auto", title: str | None = None) -> None:
        self._theme = theme_named(theme)
        self._title = title

    def render(self, log: RunLog) -> str:
        """The page as HTML of at most 5 MB, however long the log is."""
        sections = sections_of(log)
        marks = len(sections["events"]["lines"]) + sections["events"]["hidden"]
        tallies = {"events": marks, "limits": len(sections["limits"]), "passes": len(log.passes)}
        values: dict[str, Any] = {
            **sections,
            "title": numbers.clip(self._title or f"Timeline - {log.run_id or log.path.parent.name}", 160),
            "source": log.source or "source not named",
            "started": _started(log),
            "version": raypipe.__version__,
            "run_id": numbers.clip(log.run_id, 80),
            "nav": [(key, word, f"{tallies[key]:,}" if tallies.get(key) else "") for key, word in _SECTIONS],
            "payload": script_json({}),
        }
        html = fill(
            "timeline.html.j2",
            self._theme,
            live=True,
            styles=("page.css", "timeline.css"),
            scripts=("page.js", "timeline.js"),
            **values,
        )
        size = len(html.encode("utf-8", "replace"))
        if size > MAX_PAGE_BYTES:
            raise OutputError(f"timeline: the page would have {size:,} bytes, more than {MAX_PAGE_BYTES:,}")
        return html

    def write(self, log: RunLog, path: Path | str | None = None) -> Path:
        """Render into `path`, or as `timeline.html` beside the log; under a temporary name first.

        Raises
        ------
        OutputError
            If the folder cannot be written or the disk is full.
        """
        html = self.render(log).encode("utf-8", "replace")
        target = write_whole(Path(path) if path is not None else log.path.with_name("timeline.html"), html)
        logger.info("timeline: wrote %s, %d bytes", target, len(html))
        return target


def _started(log: RunLog) -> str:
    """When the first session began, by the wall clock."""
    begun = next((session.started for session in log.sessions if session.started), None)
    return numbers.clock(begun.astimezone(UTC).isoformat(timespec="minutes")) if begun else ""
