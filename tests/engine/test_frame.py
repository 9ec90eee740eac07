"""Frames: blocks that are there or made again, and functions over them."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any, ClassVar

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from raypipe.config import EngineConfig
from raypipe.engine.frame import Frame
from raypipe.engine.inline import InlineEngine
from raypipe.engine.localframe import LocalFrame, as_frame
from raypipe.engine.rayengine import RayEngine
from raypipe.engine.rayframe import RayFrame, held_bytes
from raypipe.engine.run import Engine, Pass
from raypipe.engine.session import Session
from raypipe.errors import ReadError, SchemaError, StageFailedError
from raypipe.stage import Part, PartRead, Plan
from tests.engine.exchanges import lost_ref
from tests.engine.stages import AddTo, FailOn, Numbers, SumX

NUMBERS = Plan(source=Numbers(rows=100, per_part=30), stages=(AddTo(amount=1),))
TIGHT = EngineConfig(memory_gib=1e-6)
"""Room for no block at all."""


def frame_of(engine: Engine, plan: Plan = NUMBERS) -> Frame:
    outcome = engine.run(Pass(plan, keep=True))
    assert outcome.frame is not None
    return outcome.frame


def add(amount: int) -> Callable[[pa.Table], pa.Table]:
    return lambda block: block.set_column(0, "x", pc.add(block["x"], amount))


def xs(frame: Frame) -> list[int]:
    return frame.to_arrow()["x"].to_pylist()


def test_functions_over_blocks_add_up_also_when_no_block_is_kept(engine: Engine) -> None:
    for each in (engine, type(engine)(TIGHT)):
        frame = frame_of(each).map_blocks(add(10)).map_blocks(add(100)).map_blocks(add(1000))
        assert xs(frame) == [value + 1111 for value in range(100)]
        frame.release()
        assert xs(frame) == [value + 1111 for value in range(100)]
        assert frame.head(3)["x"].to_pylist() == [1111, 1112, 1113]


def test_a_pass_over_a_frame_gives_what_its_stages_find(engine: Engine) -> None:
    frame = frame_of(engine)
    assert frame.run_stages(SumX())["SumX"]["sum"] == sum(range(1, 101))
    frame.release()
    assert frame.run_stages(SumX())["SumX"]["sum"] == sum(range(1, 101))


def test_the_schema_of_a_frame_is_that_of_its_blocks_also_without_any(engine: Engine) -> None:
    frame = frame_of(engine, NUMBERS.replace(source=Numbers(rows=0)))
    wider = frame.map_blocks(lambda block: block.append_column("y", block["x"]))
    assert wider.schema.names == wider.to_arrow().schema.names == ["x", "word", "y"]
    assert wider.head().num_rows == len(wider) == 0


def _fail_on_42(block: pa.Table) -> pa.Table:
    if 42 in block["x"].to_pylist():
        raise ValueError("forty-two")
    return block


@pytest.mark.parametrize(
    ("fn", "text"),
    [
        (_fail_on_42, "part 00001: ValueError: forty-two"),
        (lambda block: block.slice(1), "the function returned .* rows for .*; it must keep every row"),
        (lambda block: block.to_pydict(), "the function returned dict; wanted a pyarrow Table"),
        (lambda block: block.append_column("__row__", block["x"]), "returned a table with a column '__row__'"),
    ],
)
def test_a_function_that_fails_on_a_row_loses_none_and_says_so(
    engine: Engine, fn: Callable[[pa.Table], Any], text: str
) -> None:
    with pytest.raises(StageFailedError, match=f"stage map_blocks failed on .*{text}"):
        frame_of(engine).map_blocks(fn)


def test_rows_that_failed_before_stay_out_when_a_block_is_made_again(engine: Engine) -> None:
    frame = frame_of(engine, Plan(source=Numbers(rows=1000, per_part=300), stages=(FailOn(values=(5, 7)),)))
    before = xs(frame)
    frame.release()
    assert xs(frame) == before == [value for value in range(1000) if value not in (5, 7)]


class Growing(Numbers):
    """A source that has more rows each time it is read."""

    reads: ClassVar[list[str]] = []

    def open(self) -> Callable[[Part], PartRead]:
        read = super().open()

        def longer(part: Part) -> PartRead:
            block = read(part).block
            self.reads.append(part.id)
            return PartRead(pa.concat_tables([block] * len(self.reads)))

        return longer


def test_a_source_that_changed_in_between_is_an_error_and_no_other_number_of_rows() -> None:
    engine = InlineEngine(TIGHT)
    Growing.reads.clear()
    frame = frame_of(engine, Plan(source=Growing(rows=10, per_part=10)))
    frame.release()
    with pytest.raises(
        ReadError, match="a later reading found 20 rows where the first one found 10; the source changed"
    ):
        frame.to_arrow()
    work = Pass(Plan(source=frame.source, prefix=frame.prefix, stages=(SumX(),)), frame=frame)
    with pytest.raises(ReadError, match="a later reading found 30 rows where the first one found 10"):
        engine.run(work)


@pytest.mark.parametrize("config", [EngineConfig(), TIGHT])
def test_a_pass_that_consumes_a_frame_leaves_one_that_is_read_again(
    config: EngineConfig, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue("ray_session")
    for engine in (InlineEngine(config), RayEngine(config)):
        frame = frame_of(engine)
        plan = Plan(source=frame.source, prefix=frame.prefix, stages=(AddTo(amount=5),))
        outcome = engine.run(Pass(plan, frame=frame, keep=True, consume=True))
        assert outcome.frame is not None
        assert xs(outcome.frame) == [value + 6 for value in range(100)]
        assert xs(frame) == [value + 1 for value in range(100)]
        if isinstance(frame, LocalFrame):
            assert all(frame.kept(index) is None for index in range(len(frame.parts)))


def test_what_a_user_hands_back_becomes_a_frame_of_canonical_types() -> None:
    table = pa.table({"t": pa.array(["a", None], pa.string()), "n": [1, 2]})
    for value in (table, pl.from_arrow(table)):
        frame = as_frame(value)
        assert frame.schema.field("t").type == pa.large_string()
        assert frame.to_arrow().to_pydict() == table.to_pydict()
    assert as_frame(frame) is frame


@pytest.mark.parametrize("value", [None, 3, {"a": [1]}, pa.table({"__row__": [1]})])
def test_what_is_no_table_is_refused(value: object) -> None:
    with pytest.raises(SchemaError, match=r"frame: (got|the table has a column '__row__')"):
        as_frame(value)


def test_a_frame_whose_blocks_were_lost_reads_them_again(ray_session: Session) -> None:
    engine = RayEngine(EngineConfig(workers=2))
    frame = frame_of(engine)
    assert isinstance(frame, RayFrame)
    lost = lost_ref(ray_session)
    frame.kept.refs[0] = lost
    assert xs(frame) == list(range(1, 101))
    frame.kept.refs[:] = [lost] * len(frame.kept.refs)
    plan = Plan(source=frame.source, prefix=frame.prefix, stages=(SumX(),))
    assert engine.run(Pass(plan, frame=frame)).results["SumX"]["sum"] == sum(range(1, 101))


def test_frames_that_are_still_held_count_against_the_room_for_further_ones(ray_session: Session) -> None:
    gc.collect()
    before = held_bytes(ray_session)
    engine = RayEngine(EngineConfig(workers=2))
    first = frame_of(engine)
    size = held_bytes(ray_session) - before
    assert size > 0
    exact = RayEngine(EngineConfig(workers=2, memory_gib=(before + 1.5 * size) * 1.5 / (1 << 30)))
    second = frame_of(exact)
    assert size < held_bytes(ray_session) - before < 2 * size  # some were kept, and some found no room
    assert xs(second) == xs(first)
    first.release()
    del second
    gc.collect()
    assert held_bytes(ray_session) == before
