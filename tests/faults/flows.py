"""What child processes with a private Ray do when asked to: passes over much data, and passes that are cut off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from raypipe.config import EngineConfig
from raypipe.engine import session
from raypipe.engine.choose import choose_engine
from raypipe.engine.events import EventLog
from raypipe.engine.journal import Journal
from raypipe.engine.rayengine import RayEngine
from raypipe.engine.run import Pass
from raypipe.stage import Plan
from tests.faults.stages import CountBytes, Digest, Inflate, Rows, Sift


def journaled_pass(engine: str, log: str, folder: str, parts: int, pause_s: float) -> dict[str, Any]:
    """A pass that commits what it has done many times a second, and goes on from the last commit."""
    source = Rows(rows=parts * 50, log=Path(log), pause_s=pause_s)
    asides: list[Any] = []
    resumed: list[int] = []
    events = EventLog()
    events.emit = lambda event, **fields: resumed.append(fields["parts_done"]) if event == "resumed" else None  # type: ignore[method-assign]
    journal = Journal(Path(folder), b"k" * 32, 0.02, events).next_pass("pass")
    work = Pass(Plan(source=source, stages=(Sift(), Digest(column="y"))), journal=journal, events=events)
    work.on_aside = lambda stage, part, rows: asides.append([stage, part.id, rows.to_pylist()])
    config = EngineConfig(engine=engine, workers=2 if engine == "ray" else None)
    made = choose_engine(config, 0)[0].run(work)
    return {"results": made.results, "asides": asides, "resumed": resumed[0] if resumed else 0}


def limit_the_store(store_bytes: int) -> None:
    """Let a private Ray that is started later have an object store of so many bytes."""
    session.MAX_STORE_BYTES = store_bytes


def flow(total_bytes: int, part_bytes: int, fuse: bool) -> dict[str, Any]:
    """Two passes over so many bytes, whose blocks are wanted again after the first."""
    row_bytes = 1 << 10
    source = Rows(rows=total_bytes // row_bytes, per_part=part_bytes // row_bytes, payload_bytes=row_bytes)
    ray = RayEngine(EngineConfig(workers=2, fuse=fuse))
    first = ray.run(Pass(Plan(source=source, stages=(CountBytes(),)), keep=True))
    assert first.frame is not None
    spilled = [spilled_bytes(ray)]
    again = Plan(source=source, prefix=first.frame.prefix, stages=(CountBytes(),))
    second = ray.run(Pass(again, frame=first.frame, keep=True, consume=True))
    return {
        "first": first.results["CountBytes"],
        "second": second.results["CountBytes"],
        "store_bytes": ray.session.store_bytes,
        "store_peak_bytes": max(first.store_peak_bytes, second.store_peak_bytes),
        "spilled_bytes": [*spilled, spilled_bytes(ray)],
    }


def spilled_bytes(ray: RayEngine) -> int:
    """Bytes of objects that Ray has put on the disk of its own accord, in files of its session's folder."""
    assert ray.session.temp_dir is not None
    return sum(path.stat().st_size for path in ray.session.temp_dir.rglob("ray_spilled_objects*/*"))


def inflate(rows: int, per_part: int, times: int) -> dict[str, Any]:
    """A pass through a stage that makes every row `times` as large, in a pool of its own."""
    stages = (Inflate(times=times), CountBytes(column="large"))
    plan = Plan(source=Rows(rows=rows, per_part=per_part, payload_bytes=64), stages=stages)
    made = RayEngine(EngineConfig(workers=2, fuse=False)).run(Pass(plan, keep=True))
    return {"result": made.results["CountBytes"], "bytes_in": made.tallies["Rows"].bytes_out}
