"""Deterministic stages, one of each kind, with a place at which something happens once over all processes."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raypipe.config import Frozen, Resources
from raypipe.etl.write import WriteParquet
from raypipe.stage import ASIDE_SCHEMA, BlockStage, ModelStage, Part, PartRead, ReduceStage, Sifted, SourceStage

PRIME = (1 << 61) - 1
BASE = 1_000_003
WAIT_S = 90.0
"""How long a process waits to be released or killed, before it gives up."""


class Trap(Frozen):
    """Goes off in the first process that meets row `at`; files in `folder` remember that across processes."""

    folder: Path
    at: int
    does: Literal["kill", "segfault", "wait"] = "kill"
    """wait: until it is killed, or `go` lies in the folder."""
    times: int = 1

    def step_on(self, x: Sequence[int]) -> None:
        """Go off if `x` has the row, and it has not gone off often enough."""
        if self.at in x and self._claimed():
            harm(self.does, self.folder)

    def _claimed(self) -> bool:
        for number in range(self.times):
            try:
                claim = os.open(self.folder / f"sprung-{number}", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            except FileExistsError:
                continue
            os.write(claim, f"{os.getpid()} {node_of_this_process()}".encode())
            os.close(claim)
            return True
        return False


def harm(does: str, folder: Path) -> None:
    """Do to this process what a fault would."""
    if does == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif does == "segfault":
        ctypes.string_at(0)
    elif does == "wait":
        until = time.monotonic() + WAIT_S
        while not (folder / "go").exists():
            if time.monotonic() > until:
                raise TimeoutError(f"nobody released the trap in {folder}")
            time.sleep(0.02)


def node_of_this_process() -> str:
    """Ray's id of the node that this process runs on; empty outside of Ray."""
    ray = sys.modules.get("ray")
    return str(ray.get_runtime_context().get_node_id()) if ray is not None and ray.is_initialized() else ""


class Rows(SourceStage):
    """Rows 0..rows-1 in parts of `per_part`; each reading of a part is one line in `log`."""

    rows: int = 600
    per_part: int = 50
    payload_bytes: int = 0
    """Bytes of a payload that each row carries."""
    trap: Trap | None = None
    log: Path | None = None
    pause_s: float = 0.0

    def schema(self) -> pa.Schema:
        fields = [("x", pa.int64()), ("city", pa.large_string()), ("amount", pa.float64())]
        return pa.schema(fields + ([("payload", pa.large_binary())] if self.payload_bytes else []))

    def parts(self) -> Sequence[Part]:
        size = self.per_part * (32 + self.payload_bytes)
        return [
            Part(id=f"{number:05d}", file=f"rows-{number}", rows=min(self.per_part, self.rows - start), bytes=size)
            for number, start in enumerate(range(0, self.rows, self.per_part))
        ]

    def open(self) -> Callable[[Part], PartRead]:
        return self._read

    def _read(self, part: Part) -> PartRead:
        start = int(part.id) * self.per_part
        x = np.arange(start, min(start + self.per_part, self.rows), dtype=np.int64)
        if self.log is not None:
            with self.log.open("a") as log:
                log.write(f"{part.id} {os.getpid()}\n")
        time.sleep(self.pause_s)
        if self.trap is not None:
            self.trap.step_on(x.tolist())
        columns: list[Any] = [x, [f"city {value % 7}" for value in x.tolist()], x * 0.25]
        if self.payload_bytes:
            columns.append(pa.array([value.to_bytes(8) * (self.payload_bytes // 8) for value in x.tolist()]))
        return PartRead(pa.table(columns, schema=self.schema()), bytes_read=x.nbytes)


class Sift(BlockStage):
    """Adds `y`, and sets every hundredth row aside."""

    trap: Trap | None = None

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema.append(pa.field("y", pa.int64()))

    def apply(self, block: pa.Table) -> Sifted:
        x = block["x"]
        if self.trap is not None:
            self.trap.step_on(x.to_pylist())
        bad = pc.equal(pc.subtract(x, pc.multiply(pc.divide(x, 100), 100)), 99)
        taken = block.filter(bad)
        aside = pa.Table.from_pylist(
            [
                {"row": row, "line": None, "column": "x", "value": str(value), "reason": "a hundredth", "raw": None}
                for row, value in zip(taken["__row__"].to_pylist(), taken["x"].to_pylist(), strict=True)
            ],
            schema=ASIDE_SCHEMA,
        )
        kept = block.filter(pc.invert(bad))
        place = kept.schema.get_field_index("__row__")
        kept = kept.add_column(place, "y", pc.add(pc.multiply(kept["x"], 3), 1))
        return Sifted(kept, aside, {"seen": block.num_rows})


class DropOdd(BlockStage):
    """Drops every row whose x leaves 3 when divided by 10, by name."""

    drops_rows: ClassVar[bool] = True

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def apply(self, block: pa.Table) -> pa.Table:
        x = block["x"]
        return block.filter(pc.not_equal(pc.subtract(x, pc.multiply(pc.divide(x, 10), 10)), 3))


class Score(ModelStage):
    """A model with weights that are loaded first; in a pool of its own, since it asks for other resources."""

    resources: Resources = Resources(memory_gib=0.05)
    trap: Trap | None = None

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema.append(pa.field("score", pa.int64()))

    def open(self) -> Callable[[pa.Table], pa.Table]:
        weights = np.random.default_rng(7).integers(1, 1000, size=64)

        def score(block: pa.Table) -> pa.Table:
            x = block["x"].to_numpy()
            if self.trap is not None:
                self.trap.step_on(x.tolist())
            made = pa.array(weights[x % 64] * (x + 1), pa.int64())
            place = block.schema.get_field_index("__row__")
            return block.add_column(place, "score", made)

        return score


class Digest(ReduceStage):
    """Count, sum, and a digest of all rows that depends on their order and not on how they are cut."""

    column: str = "score"
    trap: Trap | None = None

    def partial(self, block: pa.Table, part: str) -> Any:
        if self.trap is not None:
            self.trap.step_on(block["x"].to_pylist())
        digest = 0
        for value in block[self.column].to_pylist():
            digest = (digest * BASE + value + 1) % PRIME
        return {"rows": block.num_rows, "sum": pc.sum(block[self.column]).as_py() or 0, "digest": digest}

    def merge(self, a: Any, b: Any) -> Any:
        digest = (a["digest"] * pow(BASE, b["rows"], PRIME) + b["digest"]) % PRIME
        return {"rows": a["rows"] + b["rows"], "sum": a["sum"] + b["sum"], "digest": digest}

    def finish(self, state: Any) -> Any:
        return state


class Write(WriteParquet):
    """One Parquet file a part; its trap goes off before a part is written, or right after."""

    trap: Trap | None = None
    late: bool = False

    def open(self) -> Callable[[pa.Table, str], dict[str, Any]]:
        write = super().open()

        def trapped(block: pa.Table, part: str) -> dict[str, Any]:
            if self.trap is not None and not self.late:
                self.trap.step_on(block["x"].to_pylist())
            receipt = write(block, part)
            if self.trap is not None and self.late:
                self.trap.step_on(block["x"].to_pylist())
            return receipt

        return trapped


class Deadly(BlockStage):
    """Kills its worker, crashes it, or never lets go of it, whenever it meets one of `rows`."""

    rows: tuple[int, ...]
    does: Literal["kill", "segfault", "wait"] = "kill"
    folder: Path = Path("/nonexistent")
    """Where `go` would release it."""

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def apply(self, block: pa.Table) -> pa.Table:
        if set(self.rows) & set(block["x"].to_pylist()):
            harm(self.does, self.folder)
        return block


class Inflate(BlockStage):
    """Makes every row `times` as large."""

    times: int = 100

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema.append(pa.field("large", pa.large_binary()))

    def apply(self, block: pa.Table) -> pa.Table:
        each = max(1, block.nbytes // max(1, block.num_rows)) * self.times
        place = block.schema.get_field_index("__row__")
        large = pa.array([value.to_bytes(8) * (each // 8) for value in block["x"].to_pylist()], pa.large_binary())
        return block.add_column(place, pa.field("large", pa.large_binary()), large)


class CountBytes(ReduceStage):
    """Rows and bytes of the payload, and the sum of x."""

    column: str = "payload"

    def partial(self, block: pa.Table, part: str) -> Any:
        return [block.num_rows, pc.sum(pc.binary_length(block[self.column])).as_py() or 0, pc.sum(block["x"]).as_py()]

    def merge(self, a: Any, b: Any) -> Any:
        return [a[0] + b[0], a[1] + b[1], (a[2] or 0) + (b[2] or 0)]

    def finish(self, state: Any) -> Any:
        return state
