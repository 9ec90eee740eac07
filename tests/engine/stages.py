"""Small stages for tests of the engine: a source that makes rows from arithmetic, and maps that fail on demand."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from raypipe.config import Resources
from raypipe.errors import RaypipeError, SchemaError
from raypipe.stage import ASIDE_SCHEMA, BlockStage, Part, PartRead, ReduceStage, Sifted, SinkStage, SourceStage


class Numbers(SourceStage):
    """Rows 0..rows-1 in parts of `per_part`; column `x` counts up, `word` repeats three words."""

    rows: int = 1000
    per_part: int = 100

    def schema(self) -> pa.Schema:
        return pa.schema([("x", pa.int64()), ("word", pa.large_string())])

    def parts(self) -> Sequence[Part]:
        starts = range(0, self.rows, self.per_part)
        return [
            Part(
                id=f"{index:05d}", file="numbers", rows=min(self.per_part, self.rows - start), bytes=self.per_part * 24
            )
            for index, start in enumerate(starts)
        ]

    def open(self) -> Callable[[Part], PartRead]:
        def read(part: Part) -> PartRead:
            start = int(part.id) * self.per_part
            x = list(range(start, min(start + self.per_part, self.rows)))
            words = [("alpha", "beta", "gamma")[value % 3] for value in x]
            return PartRead(pa.table({"x": x, "word": words}, schema=self.schema()), bytes_read=len(x) * 8)

        return read


class AddTo(BlockStage):
    """x + amount."""

    amount: int = 1

    @property
    def name(self) -> str:
        return f"AddTo{self.amount}"

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def apply(self, block: pa.Table) -> pa.Table:
        index = block.schema.get_field_index("x")
        return block.set_column(index, "x", pc.add(block["x"], self.amount))


class KeepEven(BlockStage):
    """Drops odd x by name."""

    drops_rows: ClassVar[bool] = True

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def apply(self, block: pa.Table) -> pa.Table:
        return block.filter(pc.equal(pc.bit_wise_and(block["x"], 1), 0))


class SetAsideMultiples(BlockStage):
    """Sets rows aside whose x is a multiple of `of`."""

    of: int = 10

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def apply(self, block: pa.Table) -> Sifted:
        values = block["x"].to_pylist()
        bad = pa.array([value % self.of == 0 for value in values], pa.bool_())
        rows = block.filter(bad)
        aside = pa.Table.from_pylist(
            [
                {
                    "row": row,
                    "line": None,
                    "column": "x",
                    "value": str(x),
                    "reason": f"multiple of {self.of}",
                    "raw": None,
                }
                for row, x in zip(rows["__row__"].to_pylist(), rows["x"].to_pylist(), strict=True)
            ],
            schema=ASIDE_SCHEMA,
        )
        return Sifted(block.filter(pc.invert(bad)), aside, {"seen": block.num_rows})


class FailOn(BlockStage):
    """Raises when the block holds one of `values`."""

    values: tuple[int, ...] = ()

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def apply(self, block: pa.Table) -> pa.Table:
        hit = sorted(set(self.values) & set(block["x"].to_pylist()))
        if hit:
            raise ZeroDivisionError(f"cannot digest {hit[0]}")
        return block


class AlwaysFail(BlockStage):
    """Raises on every row."""

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def apply(self, block: pa.Table) -> pa.Table:
        if block.num_rows:
            raise KeyError("nothing works")
        return block


class LoseRows(BlockStage):
    """Loses a row without saying so."""

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def apply(self, block: pa.Table) -> pa.Table:
        return block.slice(1)


class BreakPromise(BlockStage):
    """Promises int64 and returns float64."""

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def apply(self, block: pa.Table) -> pa.Table:
        index = block.schema.get_field_index("x")
        return block.set_column(index, "x", pc.cast(block["x"], pa.float64()))


class SumX(ReduceStage):
    """Sum and order-sensitive digest of x."""

    def partial(self, block: pa.Table, part: str) -> Any:
        return {
            "sum": pc.sum(block["x"]).as_py() or 0,
            "rows": block.num_rows,
            "parts": [part] if block.num_rows else [],
        }

    def merge(self, a: Any, b: Any) -> Any:
        parts = a["parts"] + [part for part in b["parts"] if part not in a["parts"]]
        return {"sum": a["sum"] + b["sum"], "rows": a["rows"] + b["rows"], "parts": parts}

    def finish(self, state: Any | None) -> Any:
        return state or {"sum": 0, "rows": 0, "parts": []}


class KillOnce(BlockStage):
    """Kills its own process the first time it meets `value`; `marker` remembers that across processes."""

    value: int
    marker: Path

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def apply(self, block: pa.Table) -> pa.Table:
        if self.value in block["x"].to_pylist() and not self.marker.exists():
            self.marker.write_text("killed")
            os.kill(os.getpid(), signal.SIGKILL)
        return block


class KillAlways(BlockStage):
    """Kills its own process whenever it meets `value`."""

    value: int

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def apply(self, block: pa.Table) -> pa.Table:
        if self.value in block["x"].to_pylist():
            os.kill(os.getpid(), signal.SIGKILL)
        return block


class DeadlyNumbers(Numbers):
    """Reading `deadly_part` kills the process that reads it."""

    deadly_part: str

    def open(self) -> Callable[[Part], PartRead]:
        read = super().open()

        def read_or_die(part: Part) -> PartRead:
            if part.id == self.deadly_part:
                os.kill(os.getpid(), signal.SIGKILL)
            return read(part)

        return read_or_die


class CountReads(Numbers):
    """`Numbers` that leaves a file in `folder` for each part that is read, and cannot read from `stop_at` on."""

    folder: Path | None = None
    stop_at: int | None = None

    @property
    def name(self) -> str:
        return "Numbers"

    def open(self) -> Callable[[Part], PartRead]:
        read = super().open()

        def read_and_tell(part: Part) -> PartRead:
            if self.stop_at is not None and int(part.id) >= self.stop_at:
                raise SchemaError("stopped on purpose")
            if self.folder is not None:
                (self.folder / part.id).touch()
            return read(part)

        return read_and_tell


class NeverReturn(BlockStage):
    """Sleeps for an hour whenever it meets `value`."""

    value: int

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def apply(self, block: pa.Table) -> pa.Table:
        if self.value in block["x"].to_pylist():
            time.sleep(3600)
        return block


class Dawdle(BlockStage):
    """Takes `seconds` for each block."""

    seconds: float = 0.1

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def apply(self, block: pa.Table) -> pa.Table:
        time.sleep(self.seconds)
        return block


class WantsGpus(BlockStage):
    """Asks for a GPU that is not there."""

    resources: Resources = Resources(gpus=1)

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def apply(self, block: pa.Table) -> pa.Table:
        return block


class CountFiles(SinkStage):
    """Writes one small file a part."""

    folder: Path

    def open(self) -> Callable[[pa.Table, str], dict[str, Any]]:
        def write(block: pa.Table, part: str) -> dict[str, Any]:
            path = self.folder / f"{part}.txt"
            path.write_text(str(block.num_rows))
            return {"path": str(path), "rows": block.num_rows}

        return write


class PanicException(BaseException):
    """What a Rust library raises; no Exception."""


class PanicOn(BlockStage):
    """Panics, as a Rust library does, when the block holds `value`."""

    value: int

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def apply(self, block: pa.Table) -> pa.Table:
        if self.value in block["x"].to_pylist():
            raise PanicException("index out of bounds")
        return block


class ExitOn(BlockStage):
    """Calls sys.exit when the block holds `value`."""

    value: int
    code: int = 0

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def apply(self, block: pa.Table) -> pa.Table:
        if self.value in block["x"].to_pylist():
            sys.exit(self.code)
        return block


class BadPartial(ReduceStage):
    """Its partials cannot be sent anywhere."""

    def partial(self, block: pa.Table, part: str) -> Any:
        return threading.Lock()

    def merge(self, a: Any, b: Any) -> Any:
        return a

    def finish(self, state: Any) -> Any:
        return None


class BadMerge(ReduceStage):
    """Its partials cannot be merged."""

    def partial(self, block: pa.Table, part: str) -> Any:
        return part

    def merge(self, a: Any, b: Any) -> Any:
        raise IndexError("two is one too many")

    def finish(self, state: Any) -> Any:
        return state


class OddError(RaypipeError):
    """An error that cannot be made from its own args."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


class RaiseOddError(BlockStage):
    """Raises an error that does not survive pickling."""

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def apply(self, block: pa.Table) -> pa.Table:
        raise OddError("salt", "pepper")


class Ragged(Numbers):
    """Numbers whose reader sets the last row of each part aside."""

    def open(self) -> Callable[[Part], PartRead]:
        read = super().open()

        def read_all_but_one(part: Part) -> PartRead:
            got = read(part)
            rows = got.block.num_rows - 1
            aside = pa.Table.from_pylist(
                [{"row": None, "line": rows, "column": None, "value": None, "reason": "ragged", "raw": "x"}],
                schema=ASIDE_SCHEMA,
            )
            return PartRead(got.block.slice(0, rows), aside, bytes_read=got.bytes_read, lines=rows + 1)

        return read_all_but_one
