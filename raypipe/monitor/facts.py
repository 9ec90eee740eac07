"""The course of a run as plain values: for `--json`, and for other programs."""

from __future__ import annotations

from collections import Counter
from typing import Any

from raypipe.monitor.limits import limits_of
from raypipe.monitor.runlog import RunLog
from raypipe.monitor.usage import PassUse, PoolUse, use_of

FACTS_VERSION = 1
"""Version of the layout of these values."""
TOLD = 100
"""Passes, and stages or pools of one, that are told at most."""


def facts_of(log: RunLog) -> dict[str, Any]:
    """What a log says, added up; every number is finite, and None where the log does not tell."""
    trouble = Counter(mark.kind for mark in log.marks if mark.is_trouble)
    return {
        "version": FACTS_VERSION,
        "run_id": log.run_id,
        "source": log.source,
        "status": log.status,
        "error": log.sessions[-1].error or None,
        "seconds": _s(log.seconds),
        "sessions": [
            {
                "seconds": _s(session.seconds),
                "status": session.status or "unfinished",
                "started": session.started.isoformat() if session.started else None,
                "engine": session.engine,
                "why": session.why,
                "away_s": None if session.away_s is None else _s(session.away_s),
            }
            for session in log.sessions[:TOLD]
        ],
        "stages": [
            {"stage": band.stage, "start_s": _s(band.start_s), "seconds": _s(band.end_s - band.start_s)}
            for band in log.bands[:TOLD]
        ],
        "passes": [_pass(use) for use in use_of(log)[:TOLD]],
        "limits": [
            {"kind": limit.kind, "text": limit.text, "rule": limit.rule, "seconds": _s(limit.seconds)}
            for limit in limits_of(log)
        ],
        "trouble": dict(sorted(trouble.items())),
        "log": {
            "lines": log.lines,
            "unreadable_lines": log.cut_lines,
            "unknown_events": dict(log.unknown.most_common(TOLD)),
        },
    }


def _pass(use: PassUse) -> dict[str, Any]:
    work = use.work
    return {
        "pass": work.number,
        "name": work.name,
        "engine": work.engine,
        "start_s": _s(work.start_s),
        "seconds": _s(work.seconds),
        "finished": work.finished,
        "parts": work.parts,
        "bundles": work.bundles,
        "rows_in": work.rows_in,
        "rows_out": work.rows_out,
        "worker_restarts": work.worker_restarts,
        "peak_rss_bytes": work.peak_rss_bytes,
        "store_peak_bytes": work.store_peak_bytes,
        "startup_s": _s(use.startup_s),
        "alone_s": _s(use.alone_s),
        "pools": [_pool(pool) for pool in use.pools[:TOLD]],
        "stages": [
            {
                "stage": stage.stage,
                "rows_in": stage.rows_in,
                "rows_out": stage.rows_out,
                "rows_aside": stage.rows_aside,
                "rows_dropped": stage.rows_dropped,
                "bytes_out": stage.bytes_out,
                "busy_s": _s(stage.busy_s),
                "peak_rss_bytes": stage.peak_rss_bytes,
            }
            for stage in work.stages[:TOLD]
        ],
    }


def _pool(pool: PoolUse) -> dict[str, Any]:
    return {
        "pool": pool.plan.pool + 1,
        "stages": list(pool.plan.stages),
        "most_workers": pool.workers,
        "calls": pool.calls,
        "up_s": _s(pool.up_s),
        "busy_s": _s(pool.busy_s),
        "busy_share": round(pool.busy_share, 4),
        "waited_for_work_s": None if pool.no_work_s is None else _s(pool.no_work_s),
        "waited_for_room_s": None if pool.no_room_s is None else _s(pool.no_room_s),
        "most_queued": pool.most_queued,
        "most_queued_bytes": pool.most_queued_bytes,
        "peak_rss_bytes": pool.peak_rss_bytes or None,
    }


def _s(seconds: float) -> float:
    return round(seconds, 3)
