"""The work that faults are let loose on: two passes through one stage of each kind, and a print of all they made."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from raypipe.config import EngineConfig, Resources
from raypipe.engine.events import EventLog
from raypipe.engine.frame import Frame
from raypipe.engine.inline import InlineEngine
from raypipe.engine.run import Engine, Outcome, Pass
from raypipe.stage import Part, Plan, Stage
from tests.faults.stages import Digest, DropOdd, Rows, Score, Sift, Trap, Write

KINDS = ("source", "map", "model", "reduce", "sink", "sink, right after a file is written")
ROWS, PER_PART = 600, 50
PLACES = {"first": 0, "middle": 312, "last": 598}
"""Row in the first, a middle and the last part; none is set aside or dropped."""


class DigestAgain(Digest):
    """The summary of the second pass."""

    column: str = "y"


@dataclass(frozen=True)
class Work:
    """What is run, and where a trap lies in it."""

    folder: Path
    """For files that are written, and for what traps remember."""
    kind: str | None = None
    """Kind of stage that the trap lies in; None: nowhere."""
    trap: Trap | None = None
    source: Mapping[str, Any] = field(default_factory=dict)
    cpus: float = 1.0
    """CPUs that each worker asks for on a cluster."""
    model_gib: float | None = 0.05
    """Memory that the model asks for, which puts it in a pool of its own; None leaves it with the others."""
    labels: tuple[Mapping[str, str], Mapping[str, str]] = field(default_factory=lambda: ({}, {}))
    """Nodes that the others, and that the model ask for."""
    later_cpus: float | None = None
    """What those of the second pass ask for; None: the same."""

    def _trap(self, *kinds: str) -> Trap | None:
        return self.trap if self.kind in kinds else None

    def _resources(self, cpus: float) -> Resources:
        return Resources(cpus=cpus, labels=self.labels[0])

    def first(self) -> Plan:
        """The first pass: source, two maps, a model in a pool of its own, a summary."""
        here = self._resources(self.cpus)
        apart = Resources(cpus=self.cpus, memory_gib=self.model_gib, labels=self.labels[1])
        rows = {"rows": ROWS, "per_part": PER_PART, **self.source}
        source = Rows(resources=here, trap=self._trap("source"), **rows)
        stages: tuple[Stage, ...] = (
            Sift(resources=here, trap=self._trap("map")),
            DropOdd(resources=here),
            Score(resources=apart, trap=self._trap("model")),
            Digest(resources=here, trap=self._trap("reduce")),
        )
        return Plan(source=source, stages=stages)

    def second(self, frame: Frame) -> Plan:
        """The second pass, over the blocks of the first: another summary, and files."""
        here = self._resources(self.later_cpus or self.cpus)
        late = self.kind == KINDS[-1]
        write = Write(folder=self.folder / "files", resources=here, trap=self._trap("sink", KINDS[-1]), late=late)
        source = frame.source.replace(resources=here)
        return Plan(source=source, prefix=frame.prefix, stages=(DigestAgain(resources=here), write))


@dataclass
class Made:
    """What a work made."""

    prints: dict[str, Any]
    """Hashes of the outputs; equal for equal outputs."""
    conserved: bool
    """Whether rows read are rows kept, set aside and dropped by name, in each pass."""
    rows: dict[str, int]
    restarts: int
    seconds: float


def do(engine: Engine, work: Work, between: Callable[[], None] = lambda: None, events: EventLog | None = None) -> Made:
    """Both passes; `between` is called after the first."""
    started = time.monotonic()
    asides: list[tuple[str, str, list[dict[str, Any]]]] = []

    def on_aside(stage: str, part: Part, rows: pa.Table) -> None:
        asides.append((stage, part.id, rows.to_pylist()))

    told = events or EventLog()
    one = engine.run(Pass(work.first(), keep=True, on_aside=on_aside, events=told))
    between()
    assert one.frame is not None
    two = engine.run(Pass(work.second(one.frame), frame=one.frame, keep=True, on_aside=on_aside, events=told))
    assert two.frame is not None
    prints = {
        "results": print_of([one.results, two.results]),
        "rows": print_of(two.frame.to_arrow().to_pylist()),
        "quarantine": print_of(asides),
        "files": files_print(work.folder / "files"),
        "receipts": print_of([receipt["rows"] for receipt in two.receipts]),
    }
    rows = {
        "read": one.rows_in,
        "kept": two.rows_out,
        "aside": sum(len(rows) for _, _, rows in asides),
        "dropped": one.tallies["DropOdd"].rows_dropped,
    }
    kept = rows["read"] == rows["kept"] + rows["aside"] + rows["dropped"]
    conserved = kept and all(is_conserved(outcome) for outcome in (one, two))
    restarts = one.worker_restarts + two.worker_restarts
    return Made(prints, conserved, rows, restarts, round(time.monotonic() - started, 2))


def is_conserved(outcome: Outcome) -> bool:
    """Whether every stage of a pass accounts for every row that it got."""
    return all(
        tally.rows_in == tally.rows_out + tally.rows_aside + tally.rows_dropped and tally.rows_dropped >= 0
        for tally in outcome.tallies.values()
    )


def print_of(value: Any) -> str:
    """A hash of a value that JSON can hold."""
    return hashlib.sha256(json.dumps(value, default=str).encode()).hexdigest()


def files_print(folder: Path) -> dict[str, str]:
    """File name -> hash of its rows, for all files, half-written ones included."""
    return {
        path.name: print_of(pq.read_table(path).to_pylist()) if path.suffix == ".parquet" else "no Parquet file"
        for path in sorted(folder.iterdir())
    }


def reference(folder: Path, **source: Any) -> Made:
    """What a run without faults makes, in this process."""
    folder.mkdir(parents=True, exist_ok=True)
    return do(InlineEngine(EngineConfig()), Work(folder, source=source))
