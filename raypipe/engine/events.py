"""`events.jsonl`: everything that happens in a run, one JSON object a line, each flushed when it happens."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

logger = logging.getLogger(__name__)

EVENTS_VERSION = 1
MAX_REPEATED = 5_000
"""Lines of one kind of event that a pass writes at most, however many parts it has."""


class EventLog:
    """Appends events to a file; without a path it only counts them.

    A log that cannot be written any more, as on a full disk, says so once and ends no run.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._file: TextIO | None = _open(path) if path is not None else None
        self.count = 0

    def emit(self, event: str, **fields: Any) -> None:
        """Write one event with the wall-clock time (UTC, ISO 8601) and the seconds since the start of the run.

        Seconds come from a clock that never jumps; the wall clock is only for people.
        """
        with self._lock:
            self.count += 1
            if self._file is None:
                return
            line = {
                "v": EVENTS_VERSION,
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "t_s": round(time.monotonic() - self._started, 4),
                "event": event,
                **fields,
            }
            try:
                self._file.write(json.dumps(line, default=str, ensure_ascii=False) + "\n")
                self._file.flush()
            except OSError as error:
                logger.warning("events are no longer written: %s", error)
                self._close()

    def close(self) -> None:
        """Close the file; later events are counted only."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):  # what could not be written was told when it failed
                file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Repeated:
    """An event that comes once a part or bundle: beyond `MAX_REPEATED` of them, one line stands for several.

    Counts of `sums` add up over the line; the other fields are those of the last one.
    """

    def __init__(self, log: EventLog, event: str, expected: int, sums: tuple[str, ...]) -> None:
        self._log = log
        self._event = event
        self._every = max(1, -(-expected // MAX_REPEATED))
        self._sums = dict.fromkeys(sums, 0)
        self._last: dict[str, Any] = {}
        self._held = 0

    def emit(self, **fields: Any) -> None:
        """Write the event, or hold it until enough came together."""
        for name in self._sums:
            self._sums[name] += fields[name]
        self._last = fields
        self._held += 1
        if self._held >= self._every:
            self.flush()

    def flush(self) -> None:
        """Write what is held."""
        if self._held:
            self._log.emit(self._event, **{**self._last, **self._sums})
        self._sums, self._held = dict.fromkeys(self._sums, 0), 0


def _open(path: Path) -> TextIO:
    # A lone surrogate, from a file name that is no UTF-8, becomes an escape that JSON reads back.
    file = path.open("a", encoding="utf-8", errors="backslashreplace")
    if file.tell() and not path.read_bytes().endswith(b"\n"):
        file.write("\n")  # a process that was killed may have left half a line
    return file
