"""Logging: text for people, JSON lines for machines, and the `pipeline.log` of a run."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from raypipe.errors import ConfigError

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
TEXT_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC, ISO 8601), level, logger, message, and the error if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def setup_logging(level: str = "INFO", format: Literal["text", "json"] = "text") -> logging.Logger:
    """Send raypipe's log to standard error; calling it again changes level and format.

    Parameters
    ----------
    level : str
        DEBUG, INFO, WARNING, ERROR or CRITICAL, in any case.
    format : {"text", "json"}
        Lines for people, or a JSON object a line.

    Returns
    -------
    logging.Logger
        The logger `raypipe`, above all of this package; the root logger is left alone.
    """
    if level.upper() not in LEVELS:
        raise ConfigError(f"setup_logging: got level {level!r}; it takes {', '.join(LEVELS)}")
    logger = logging.getLogger("raypipe")
    for handler in [handler for handler in logger.handlers if getattr(handler, "raypipe_console", False)]:
        logger.removeHandler(handler)
    console = logging.StreamHandler()
    console.raypipe_console = True  # type: ignore[attr-defined]  # marks the handler as ours, to replace it later
    console.setFormatter(JsonFormatter() if format == "json" else logging.Formatter(TEXT_FORMAT))
    console.setLevel(level.upper())
    logger.addHandler(console)
    logger.setLevel(min(logging.INFO, getattr(logging, level.upper())))
    logger.propagate = False
    return logger


@contextlib.contextmanager
def log_to_file(path: Path) -> Iterator[None]:
    """Write raypipe's log at INFO and above to `path` as well, as long as the block lasts."""
    logger = logging.getLogger("raypipe")
    handler = _LastingFileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter(TEXT_FORMAT))
    handler.setLevel(logging.INFO)
    before = logger.level
    logger.addHandler(handler)
    if before == logging.NOTSET or before > logging.INFO:
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        with contextlib.suppress(OSError):  # a full disk: what fails for it says so itself
            handler.close()
        logger.setLevel(before)


class _LastingFileHandler(logging.FileHandler):
    """A log that goes without the lines that its disk has no room for."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the name is that of the base class
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)
