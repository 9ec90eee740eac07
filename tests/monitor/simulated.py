"""Logs of runs that never were, in the form in which the engine writes them: pools of workers in simulated time."""

from __future__ import annotations

import heapq
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STAGES = (
    "initialization",
    "data_loading",
    "data_validation",
    "data_processing",
    "analysis",
    "dashboard_generation",
    "finalization",
)
MIB = 1 << 20
ATTACKS = (
    "</script><script>window.hit=1</script>",
    "<img src=x onerror=window.hit=1>",
    '"onmouseover="window.hit=1',
    "'`${window.hit=1}`",
    "{{ 7 * 7 }}{% raw %}",
    "$$\\require{x}$$ \\(y\\) @{text}{safe} @$name",
    "line\nbreak\u2028para\u2029\ttab\x00nul",
    "\u202eright to left \u05d0\u05d1",
    "\x1b[31mred\x1b[0m [bold]markup[/]",
    "",
    "💥" * 400,
)
"""Texts that try to become markup, script, template, TeX, a request, or an order to a terminal."""


@dataclass
class SimPool:
    """A pool of the simulation: how many workers, how long a bundle takes in it."""

    stages: tuple[str, ...]
    workers: int = 2
    seconds: float = 1.0
    start_s: float = 1.5
    """How long a worker takes to come up."""
    rss_bytes: int = 300 * MIB
    cpus: float = 1.0


@dataclass
class SimLog:
    """Writes events with their seconds; the wall clock runs beside, and may be moved."""

    path: Path
    wall: float = 1_790_000_000.0
    t: float = 0.0
    lines: list[str] = field(default_factory=list)
    pending: list[tuple[float, int, str, dict[str, Any]]] = field(default_factory=list)
    run_id: str = "simulated"

    def at(self, t: float, event: str, **fields: Any) -> None:
        """Emit `event` at `t`; lines come out in the order of time."""
        heapq.heappush(self.pending, (t, len(self.pending) + len(self.lines), event, fields))

    def write(self) -> Path:
        """Append what is known to the file."""
        from datetime import UTC, datetime

        order = sorted(self.pending, key=lambda one: (one[0], one[1]))
        for t, _, event, fields in order:
            time = datetime.fromtimestamp(self.wall + t, UTC).isoformat(timespec="milliseconds")
            self.lines.append(json.dumps({"v": 1, "time": time, "t_s": round(t, 4), "event": event, **fields}))
        with self.path.open("a", encoding="utf-8") as file:
            file.write("".join(line + "\n" for line in self.lines))
        self.lines, self.pending = [], []
        return self.path


def simulate_pass(
    log: SimLog,
    start: float,
    name: str,
    pools: Sequence[SimPool],
    bundles: int = 40,
    *,
    queue_bundles: int = 6,
    rows: int = 50_000,
    block_bytes: int = 32 * MIB,
    seed: int = 1,
    every_s: float = 1.0,
    keep: bool = True,
) -> float:
    """One pass: a bundle leaves a pool when a worker is through with it and the next pool's queue has room."""
    plans = [
        {
            "pool": number,
            "stages": list(pool.stages),
            "cpus": pool.cpus,
            "gpus": 0.0,
            "memory_gib": None,
            "labels": {},
            "min": 1,
            "max": pool.workers,
        }
        for number, pool in enumerate(pools)
    ]
    log.at(start, "pass_started", name=name, engine="ray", parts=bundles, bundles=bundles, pools=plans)
    ready, spans = _schedule(log, start, pools, bundles, queue_bundles, random.Random(seed))
    rng = random.Random(seed)
    end = max(last for made in spans for _, last, _ in made)
    for number, pool in enumerate(pools):
        for bundle, (begin, done, worker) in enumerate(spans[number]):
            log.at(
                done, "bundle_done", pool=number, worker=worker, part=f"{bundle:05d}/sales.csv", parts=1,
                rows_out=rows, seconds=round(max(0.01, done - begin), 4),
                rss_bytes=int(pool.rss_bytes * rng.uniform(0.8, 1.1)), pid=1000 + 100 * number + worker,
                queued_bytes=block_bytes,
            )  # fmt: skip
    steps = max(1, int((end - start) / every_s))
    for step in range(steps):
        now = start + every_s * (step + 0.5)
        log.at(now, "sample", **_sample(now, pools, ready, spans, block_bytes, keep))
    total = rows * bundles
    for number, pool in enumerate(pools):
        for stage in pool.stages:
            log.at(
                end, "stage_done", stage=stage, rows_in=total, rows_out=total - 12, rows_aside=12, rows_failed=0,
                rows_dropped=0, bytes_out=block_bytes * bundles,
                busy_s=round(sum(b - a for a, b, _ in spans[number]) / len(pool.stages), 4),
                peak_rss_bytes=pool.rss_bytes,
            )  # fmt: skip
    log.at(
        end, "pass_done", name=name, seconds=round(end - start, 4), rows_in=total, rows_out=total - 12,
        peak_rss_bytes=max(pool.rss_bytes for pool in pools), store_peak_bytes=block_bytes * 8, worker_restarts=0,
    )  # fmt: skip
    return end


def _schedule(
    log: SimLog, start: float, pools: Sequence[SimPool], bundles: int, queue_bundles: int, rng: random.Random
) -> tuple[list[list[float]], list[list[tuple[float, float, int]]]]:
    """When each worker is up, and for each pool and bundle when it was worked on, and by whom."""
    ready: list[list[float]] = []
    for number, pool in enumerate(pools):
        ups = [start + pool.start_s * (1 + 0.3 * worker) for worker in range(pool.workers)]
        ready.append(ups)
        for worker, up in enumerate(ups):
            pid = 1000 + 100 * number + worker
            waited = round(up - start, 3)
            log.at(up, "worker_up", pool=number, worker=worker, pid=pid, node="node-1", waited_s=waited)
    arrive = [[start] * bundles, *([0.0] * bundles for _ in pools[1:])]
    spans: list[list[tuple[float, float, int]]] = []
    for number, pool in enumerate(pools):
        workers = [(up, worker) for worker, up in enumerate(ready[number])]
        heapq.heapify(workers)
        made: list[tuple[float, float, int]] = []
        for bundle in range(bundles):
            at, worker = heapq.heappop(workers)
            begin = max(at, arrive[number][bundle])
            end = begin + pool.seconds * rng.uniform(0.75, 1.3)
            heapq.heappush(workers, (end, worker))
            made.append((begin, end, worker))
            if number + 1 < len(pools):
                arrive[number + 1][bundle] = end
        spans.append(made)
    # Queues with a bound: an earlier pool waits until the later one has taken what lies `queue_bundles` before.
    for number in range(len(pools) - 2, -1, -1):
        for bundle in range(queue_bundles, bundles):
            begin, end, worker = spans[number][bundle]
            wait = max(0.0, spans[number + 1][bundle - queue_bundles][0] - begin)
            spans[number][bundle] = (begin + wait, min(end + wait, spans[number + 1][bundle][0]), worker)
    return ready, spans


def _sample(
    now: float,
    pools: Sequence[SimPool],
    ready: list[list[float]],
    spans: list[list[tuple[float, float, int]]],
    block_bytes: int,
    keep: bool,
) -> dict[str, Any]:
    rows = []
    for number, pool in enumerate(pools):
        up = sum(at <= now for at in ready[number])
        busy = sum(begin <= now < end for begin, end, _ in spans[number])
        before = [0.0] * len(spans[number]) if number == 0 else [end for _, end, _ in spans[number - 1]]
        queued = sum(at <= now < span[0] for at, span in zip(before, spans[number], strict=True))
        done = sum(end <= now for _, end, _ in spans[number])
        rows.append(
            {
                "pool": number,
                "up": up,
                "starting": pool.workers - up,
                "busy": min(busy, up),
                "queued": queued,
                "queued_bytes": queued * block_bytes if number else 0,
                "done": done,
            }
        )
    done = rows[-1]["done"]
    return {
        "pools": rows,
        "queued_bytes": sum(row["queued_bytes"] for row in rows),
        "kept_bytes": done * block_bytes if keep else 0,
        "held_bytes": 2 * MIB,
        "driver_rss_bytes": 180 * MIB + done * 20_000,
        "parts_done": done,
    }


def simulate_run(
    path: Path,
    *,
    pools: Sequence[SimPool] | None = None,
    bundles: int = 40,
    trouble: bool = False,
    status: str | None = "completed",
    source: str = "sales.csv",
    **options: Any,
) -> Path:
    """A whole run with two passes; `status` None leaves the log as a killed driver does, in the second pass."""
    log = SimLog(path)
    first = (
        pools if pools is not None else [SimPool(("read", "CheckRows", "Summarise"), 2, 1.0), SimPool(("Embed",), 2, 2)]
    )
    log.at(0.02, "run_started", run_id=log.run_id, source=source, engine="ray", why="engine: ray was asked for")
    log.at(0.05, "pipeline_stage_done", stage="initialization", seconds=0.05, message="engine ray")
    log.at(0.06, "pipeline_stage_started", stage="data_loading")
    end = simulate_pass(log, 4.0, "load", first, bundles, **options)
    if trouble:
        add_trouble(log, 4.0, end)
    log.at(end + 0.01, "pipeline_stage_done", stage="data_loading", seconds=end, message="2,000,000 rows read")
    log.at(end + 0.02, "pipeline_stage_started", stage="data_validation")
    log.at(end + 0.2, "pipeline_stage_done", stage="data_validation", seconds=0.18, message="0 errors, 1 warning")
    log.at(end + 0.21, "pipeline_stage_started", stage="data_processing")
    second = [SimPool(("read", "TrimText", "Summarise", "WriteParquet"), 3, 0.6, 0.1)]
    last = simulate_pass(log, end + 0.3, "process", second, bundles, seed=2, keep=False)
    if status is None:
        cut = end + (last - end) * 0.6
        log.pending = [one for one in log.pending if one[0] <= cut]
        return log.write()
    if status != "completed":
        log.pending = [one for one in log.pending if one[0] <= last - 2]
        error = "stage Embed failed on part 00003/sales.csv: ValueError: no such word" if status == "failed" else ""
        log.at(last - 1.9, "run_done", status=status, error=error)
        return log.write()
    log.at(last + 0.1, "pipeline_stage_done", stage="data_processing", seconds=last - end, message="3 steps")
    log.at(last + 0.11, "pipeline_stage_started", stage="analysis")
    log.at(last + 2.0, "pipeline_stage_done", stage="analysis", seconds=1.9, message="8 findings")
    log.at(last + 2.01, "pipeline_stage_started", stage="dashboard_generation")
    log.at(last + 4.0, "pipeline_stage_done", stage="dashboard_generation", seconds=2.0, message="dashboard.html")
    log.at(last + 4.01, "pipeline_stage_started", stage="finalization")
    log.at(last + 4.1, "pipeline_stage_done", stage="finalization", seconds=0.1, message="output/simulated")
    log.at(last + 4.11, "run_done", status="completed", read=2_000_000, kept=1_999_988, quarantined=12, dropped={})
    return log.write()


def add_trouble(log: SimLog, start: float, end: float) -> None:
    """Everything that can go wrong, spread over a pass."""
    span = end - start

    def at(share: float, event: str, **fields: Any) -> None:
        log.at(start + span * share, event, **fields)

    at(0.2, "pool_grew", pool=1, workers=2, by=1, why="5 bundles wait, 0 workers are free")
    at(0.3, "worker_gone", pool=0, worker=1, pid=1001, why="lost")
    at(0.34, "worker_restarted", pool=0, old_pid=1001, new_pid=2001)
    at(0.34, "worker_up", pool=0, worker=1, pid=2001, node="node-2", waited_s=round(span * 0.04, 2))
    at(0.35, "blocks_lost", pool=1, part="00007/sales.csv", bundles=3)
    at(0.45, "suspect", pool=1, part="00011/sales.csv", why="its worker was lost 2 times")
    for step in range(4):
        at(
            0.46 + 0.02 * step, "probe", pool=1, part="00011/sales.csv", first_row=step * 100, rows=100,
            stages=["Embed"], died=step == 2, seconds=0.4,
        )  # fmt: skip
    at(0.55, "rows_blamed", part="00011/sales.csv", stage="Embed", rows=3, why="the worker was killed")
    at(0.6, "memory_low", pool=1, part="00013/sales.csv", pieces=4)
    at(0.7, "stall", seconds=30.0, text="Embed: no block finished for 30 s; the oldest call works on part 00020")
    at(0.75, "stall", seconds=60.0, text="Embed: no block finished for 60 s; the oldest call works on part 00020")
    at(0.8, "committed", parts_done=20, seconds=0.2, bytes=4 * MIB)
    at(0.97, "pool_shrank", pool=0, workers=1, by=1, why="idle for 10 s")
    at(0.97, "worker_gone", pool=0, worker=0, pid=1000, why="idle")
