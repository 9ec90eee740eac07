"""The marks of a timeline: which events are one, and what each says in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from raypipe.monitor.runlog import Mark

_MIB = 1 << 20
Fields = Mapping[str, Any]
_GONE = {"lost": "worker_lost", "stuck": "worker_stuck"}


def mark_of(event: str, at: float, fields: Fields) -> Mark | None:
    """The mark of an event; None where it is none."""
    kind = _GONE.get(_word(fields, "why"), "") if event == "worker_gone" else event
    words = MARKS.get(kind)
    if words is None:
        return None
    return Mark(
        at,
        kind,
        words(fields)[:1000],
        pool=_int(fields, "pool"),
        worker=_int(fields, "worker"),
        seconds=_number(fields, "seconds"),
        count=_int(fields, _COUNTED.get(kind, "")) or 0,
    )


def _who(fields: Fields) -> str:
    pool, worker = _int(fields, "pool"), _int(fields, "worker")
    pid = _int(fields, "pid")
    parts = [f"pool {pool + 1}" if pool is not None else "a pool"]
    parts += [f"worker {worker + 1}"] if worker is not None else []
    parts += [f"process {pid}"] if pid is not None else []
    return ", ".join(parts)


def _stall(fields: Fields) -> str:
    return _word(fields, "text") or f"nothing moved for {_number(fields, 'seconds'):.0f} s"


def _restarted(fields: Fields) -> str:
    return f"{_who(fields)}: process {_word(fields, 'old_pid')} was lost, {_word(fields, 'new_pid')} took its place"


def _lost(fields: Fields) -> str:
    bundles = _int(fields, "bundles")
    what = "blocks" if not bundles or bundles == 1 else f"blocks of {bundles:,} bundles"
    return f"{_who(fields)}: {what} from part {_word(fields, 'part') or '?'} on were lost and are made again"


def _suspect(fields: Fields) -> str:
    why = _word(fields, "why")
    return f"{_who(fields)}: part {_word(fields, 'part')} is suspected" + (f": {why}" if why else "")


def _probe(fields: Fields) -> str:
    first, rows = _int(fields, "first_row"), _int(fields, "rows")
    span = f" rows {first:,} to {first + rows - 1:,}" if first is not None and rows else ""
    return f"{_who(fields)}: part {_word(fields, 'part')}{span} tried alone: {_ended(fields)}"


def _trial(fields: Fields) -> str:
    parts = _int(fields, "parts")
    what = f"part {_word(fields, 'part')}" + (f" and {parts - 1:,} more" if parts and parts > 1 else "")
    return f"{_who(fields)}: {what} run again, without the rows at fault: {_ended(fields)}"


def _ended(fields: Fields) -> str:
    return "its worker died" if fields.get("died") is True else "it went through"


def _blamed(fields: Fields) -> str:
    rows = _int(fields, "rows") or 0
    stage, why = _word(fields, "stage"), _word(fields, "why")
    said = f"{rows:,} row{'' if rows == 1 else 's'} of part {_word(fields, 'part')} set aside"
    return said + (f" by {stage}" if stage else "") + (f": {why}" if why else "")


def _memory(fields: Fields) -> str:
    pieces = _int(fields, "pieces")
    cut = f", cut into {pieces:,} pieces" if pieces else ""
    return f"{_who(fields)}: memory was low, part {_word(fields, 'part')}{cut}"


def _task(fields: Fields) -> str:
    return f"task {_word(fields, 'task')}"


def _sized(verb: str) -> Callable[[Fields], str]:
    def say(fields: Fields) -> str:
        why = _word(fields, "why")
        return f"{_who(fields)} {verb} by {_word(fields, 'by')} to {_word(fields, 'workers')} workers" + (
            f": {why}" if why else ""
        )

    return say


def _committed(fields: Fields) -> str:
    parts, size = _int(fields, "parts_done") or 0, _number(fields, "bytes")
    return f"{parts:,} parts committed ({size / _MIB:,.1f} MiB in {_number(fields, 'seconds'):.2f} s)"


def _resumed(fields: Fields) -> str:
    return f"{_word(fields, 'name') or 'the run'} resumed; {_int(fields, 'parts_done') or 0:,} parts were done already"


MARKS: dict[str, Callable[[Fields], str]] = {
    "stall": _stall,
    "worker_lost": lambda fields: f"{_who(fields)} was lost",
    "worker_stuck": lambda fields: f"{_who(fields)} never returned, and was ended",
    "worker_restarted": _restarted,
    "blocks_lost": _lost,
    "suspect": _suspect,
    "probe": _probe,
    "trial": _trial,
    "rows_blamed": _blamed,
    "memory_low": _memory,
    "pool_grew": _sized("grew"),
    "pool_shrank": _sized("shrank"),
    "committed": _committed,
    "not_committed": lambda fields: f"what is done could not be committed: {_word(fields, 'why')}",
    "task_retry": lambda fields: f"{_task(fields)} is tried again: {_word(fields, 'why')}",
    "task_failed": lambda fields: f"{_task(fields)} failed: {_word(fields, 'why')}",
    "task_timed_out": lambda fields: f"{_task(fields)} took too long: {_word(fields, 'why')}",
    "task_overrun": lambda fields: f"{_task(fields)} runs on: {_word(fields, 'text')}",
    "task_skipped": lambda fields: f"{_task(fields)} was left out: {_word(fields, 'why')}",
    "resumed": _resumed,
}
"""Kind of mark -> its words."""
_COUNTED = {
    "blocks_lost": "bundles", "rows_blamed": "rows", "probe": "rows", "trial": "rows",
    "pool_grew": "by", "pool_shrank": "by", "committed": "parts_done", "resumed": "parts_done",
}  # fmt: skip


def _word(fields: Fields, name: str) -> str:
    value = fields.get(name)
    return "" if value is None else str(value)[:600]


def _number(fields: Fields, name: str) -> float:
    value = fields.get(name)
    if not isinstance(value, (int, float)) or abs(value) > 1e15 or math.isnan(value):
        return 0.0
    return float(value)


def _int(fields: Fields, name: str) -> int | None:
    value = fields.get(name)
    return int(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**62 else None
