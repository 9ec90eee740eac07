"""`events.jsonl`: everything that happens in a run, one JSON object a line, each flushed when it happens."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

EVENTS_VERSION = 1


class EventLog:
    """Appends events to a file; without a path it only counts them."""

    def __init__(self, path: Path | None = None) -> None:
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._file: TextIO | None = path.open("a", encoding="utf-8") if path is not None else None
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
            self._file.write(json.dumps(line, default=str, ensure_ascii=False) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file; later events are counted only."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
