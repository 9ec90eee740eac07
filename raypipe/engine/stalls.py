"""The stall detector: says what waits, and for what, when nothing has moved for long."""

from __future__ import annotations

import time
from collections.abc import Callable

from raypipe.engine.events import EventLog


class StallWatch:
    """Notices that nothing moves; says so after `warn_after_s`, and again each time the wait has doubled."""

    def __init__(self, events: EventLog, warn_after_s: float) -> None:
        self.text: str | None = None
        """What is said while nothing moves."""
        self._events = events
        self._first_s = self._next_s = warn_after_s
        self._moved_at = time.monotonic()

    def moved(self) -> None:
        """Something got done."""
        self._moved_at, self._next_s, self.text = time.monotonic(), self._first_s, None

    def watch(self, why: Callable[[float], str]) -> None:
        """Ask `why(seconds)` for the reason, if it is time."""
        still_s = time.monotonic() - self._moved_at
        if still_s < self._next_s:
            return
        self._next_s *= 2
        self.text = why(still_s)
        self._events.emit("stall", seconds=round(still_s, 1), text=self.text)
