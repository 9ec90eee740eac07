"""Keeps the progress of a run, and tells whoever asked for it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from raypipe.engine.events import EventLog
from raypipe.engine.run import PassProgress
from raypipe.results import PipelineProgress, PipelineStage, PipelineStatus

logger = logging.getLogger(__name__)

ProgressCallback = Callable[[dict[str, Any]], None]
"""Called with {"status": text, "progress": dict, "detail": dict or None}."""


class Tracker:
    """Status and progress of one run."""

    def __init__(self) -> None:
        self.status = PipelineStatus.PENDING
        self.progress = PipelineProgress()
        self.events = EventLog()
        self.seconds: dict[str, float] = {}
        """Stage -> seconds it took."""
        self._callbacks: list[ProgressCallback] = []
        self._started = 0.0
        self._stage_started = 0.0

    def add_callback(self, callback: ProgressCallback) -> None:
        """Call `callback` at each change; what it raises is logged, and the run goes on."""
        self._callbacks.append(callback)

    def start(self) -> None:
        """The run begins."""
        self.status = PipelineStatus.RUNNING
        self.seconds = {}
        self._started = time.monotonic()
        self.progress = PipelineProgress(start_time=datetime.now(UTC))

    def begin(self, stage: PipelineStage, message: str) -> None:
        """A stage begins."""
        self._stage_started = time.monotonic()
        # A pass may have run ahead for this stage already.
        self._update(stage, self.progress.stage_progress.get(stage, 0.0), message)
        self.events.emit("pipeline_stage_started", stage=stage.value)
        self._tell()

    def advance(self, stages: tuple[PipelineStage, ...], percent: float, detail: PassProgress | None = None) -> None:
        """The stages that one pass runs together are `percent` done."""
        shares = {**self.progress.stage_progress, **{stage: min(percent, 100.0) for stage in stages}}
        self.progress = self._now(stage_progress=shares)
        self._tell(detail)

    def end(self, stage: PipelineStage, message: str) -> None:
        """A stage is done."""
        seconds = time.monotonic() - self._stage_started
        self.seconds[stage.value] = seconds
        self._update(stage, 100.0, message)
        self.events.emit("pipeline_stage_done", stage=stage.value, seconds=round(seconds, 4), message=message)
        logger.info("%s: %s (%.2f s)", stage.value, message, seconds)
        self._tell()

    def conclude(self, status: PipelineStatus, error: str | None = None) -> None:
        """The run is over; `announce` says so, once it is written down."""
        self.status = status
        self.progress = self._now(end_time=datetime.now(UTC), error=error)

    def announce(self) -> None:
        """Tell where the run stands."""
        self._tell()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._started if self._started else 0.0

    def _update(self, stage: PipelineStage, percent: float, message: str) -> None:
        self.progress = self._now(
            current_stage=stage,
            stage_progress={**self.progress.stage_progress, stage: percent},
            stage_messages={**self.progress.stage_messages, stage: message},
        )

    def _now(self, **changes: Any) -> PipelineProgress:
        return self.progress.model_copy(update={**changes, "elapsed_s": self.elapsed_s})

    def _tell(self, detail: PassProgress | None = None) -> None:
        payload = {
            "status": self.status.value,
            "progress": self.progress.to_dict(),
            "detail": None if detail is None else {**asdict(detail), "share": detail.share, "eta_s": detail.eta_s},
        }
        for callback in self._callbacks:
            try:
                callback(payload)
            except Exception:  # a user's callback must not end the run; the log has what it raised
                logger.warning("a progress callback raised", exc_info=True)
