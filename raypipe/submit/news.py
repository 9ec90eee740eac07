"""What a job tells whoever follows it: lines of its log that begin with a word and hold JSON."""

from __future__ import annotations

import json
from typing import Any

PREFIX = "RAYPIPE_EVENT "


def event_line(event: str, **values: Any) -> str:
    """One line of a job's log.

    Examples
    --------
    >>> event_line("started", run_id="first")
    'RAYPIPE_EVENT {"event": "started", "run_id": "first"}'
    """
    return PREFIX + json.dumps({"event": event, **values}, default=str)


def event_of(line: str) -> dict[str, Any] | None:
    """What a line of a log tells; None for any other line.

    Examples
    --------
    >>> event_of('RAYPIPE_EVENT {"event": "started"}')
    {'event': 'started'}
    >>> event_of("RAYPIPE_EVENT {") is None
    True
    """
    if not line.startswith(PREFIX):
        return None
    try:
        told = json.loads(line[len(PREFIX) :])
    except ValueError:
        return None
    return told if isinstance(told, dict) and isinstance(told.get("event"), str) else None


def is_progress(told: dict[str, Any]) -> bool:
    """Whether an event has all that bars are drawn from; a log may hold anything."""
    payload = told.get("payload")
    if told["event"] != "progress" or not isinstance(payload, dict):
        return False
    progress, detail = payload.get("progress"), payload.get("detail", 0)
    return isinstance(progress, dict) and _fits_bars(progress) and (detail is None or _fits_table(detail))


def _fits_bars(progress: dict[str, Any]) -> bool:
    shares, messages = progress.get("stage_progress"), progress.get("stage_messages")
    if not isinstance(shares, dict) or not isinstance(messages, dict):
        return False
    numbers = all(isinstance(share, (int, float)) for share in shares.values())
    return numbers and all(isinstance(text, str) for text in messages.values()) and "current_stage" in progress


def _fits_table(detail: Any) -> bool:
    if not isinstance(detail, dict) or not {"eta_s", "waiting_for", "parts_done", "parts", "stages"} <= detail.keys():
        return False
    numbers = {"bytes_out", "busy_s", "workers", "rows_in", "rows_out", "rows_aside"}
    stages = detail["stages"]
    return isinstance(stages, (list, tuple)) and all(
        isinstance(stage, dict) and all(isinstance(stage.get(name), (int, float)) for name in numbers)
        for stage in stages
    )
