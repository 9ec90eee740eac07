"""One part through a chain of stages: without Ray, with whatever goes wrong in it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.engine import chain as chain_module
from raypipe.engine import halving
from raypipe.engine.chain import Chain, ChainSpec
from raypipe.engine.report import PartReport
from raypipe.errors import ReadError, SchemaError, StageFailedError
from raypipe.stage import BlockStage, MapStage, Part, PartRead, ReduceStage, Sifted, SinkStage, SourceStage, Stage
from tests.engine.stages import (
    AddTo,
    BreakPromise,
    CountFiles,
    ExitOn,
    FailOn,
    KeepEven,
    Numbers,
    PanicOn,
    Ragged,
    SetAsideMultiples,
    SumX,
)

PART = Part(id="00000", file="numbers")


def spec_of(source: SourceStage, *stages: Stage, **options: Any) -> ChainSpec:
    schemas = list(
        itertools.accumulate(stages, lambda schema, stage: stage.output_schema(schema), initial=source.schema())
    )
    return ChainSpec(source, stages=stages, schemas=tuple(schemas[1:]), **options)


def run(*stages: Stage, rows: int = 100, hand_on: bool = True, **options: Any) -> tuple[pa.Table | None, PartReport]:
    return Chain(spec_of(Numbers(rows=rows, per_part=max(rows, 1)), *stages, **options)).run(PART, None, hand_on)


def kept(block: pa.Table | None) -> list[int]:
    assert block is not None
    return block["x"].to_pylist()


def rows_aside(report: PartReport) -> list[tuple[str, int]]:
    return [(stage, row) for stage, rows in report.asides for row in rows["row"].to_pylist()]


# ---- bisection ------------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(
    rows=st.integers(1, 200), bad=st.sets(st.integers(0, 199)), block_rows=st.none() | st.integers(1, 250),
)  # fmt: skip
def test_halving_finds_exactly_the_bad_rows_however_many_and_however_the_block_is_cut(
    rows: int, bad: set[int], block_rows: int | None
) -> None:
    bad = {value for value in bad if value < rows}
    block, report = run(FailOn(values=tuple(bad)), rows=rows, block_rows=block_rows)
    assert kept(block) == [value for value in range(rows) if value not in bad]
    assert rows_aside(report) == [("FailOn", value) for value in sorted(bad)]
    tally = report.tallies["FailOn"]
    assert (tally.rows_in, tally.rows_out, tally.rows_failed) == (rows, rows - len(bad), len(bad))


@settings(max_examples=60, deadline=None)
@given(bad=st.sets(st.integers(0, 119)), block_rows=st.none() | st.integers(1, 130))
def test_what_is_set_aside_does_not_depend_on_how_the_block_is_cut(bad: set[int], block_rows: int | None) -> None:
    stages = (SetAsideMultiples(of=7), FailOn(values=tuple(bad)), KeepEven(), SumX())
    whole, one = run(*stages, rows=120)
    cut, other = run(*stages, rows=120, block_rows=block_rows)
    assert kept(cut) == kept(whole)
    assert [(name, rows.to_pylist()) for name, rows in other.asides] == [
        (name, rows.to_pylist()) for name, rows in one.asides
    ]
    assert other.partials == one.partials
    counted = [
        {
            name: (tally.rows_in, tally.rows_out, tally.rows_aside, tally.counts)
            for name, tally in report.tallies.items()
        }
        for report in (one, other)
    ]
    assert counted[0] == counted[1]


def test_a_long_run_of_bad_rows_at_the_head_does_not_condemn_the_stage() -> None:
    bad = tuple(range(5 * halving.ALONE))
    block, report = run(FailOn(values=bad), rows=2000)
    assert kept(block) == list(range(len(bad), 2000))
    assert report.tallies["FailOn"].rows_failed == len(bad)


class CountCalls(BlockStage):
    """Fails on every row and counts how often it is called."""

    calls: ClassVar[int] = 0

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def apply(self, block: pa.Table) -> pa.Table:
        type(self).calls += 1
        if block.num_rows:
            raise ValueError("never")
        return block


def test_a_stage_that_fails_everywhere_costs_no_two_calls_a_row_and_every_row_goes_aside() -> None:
    CountCalls.calls = 0
    block, report = run(CountCalls(), rows=20_000)
    assert CountCalls.calls < 1_000
    assert kept(block) == []
    assert rows_aside(report) == [("CountCalls", row) for row in range(20_000)]
    reasons = report.asides[0][1]["reason"].to_pylist()
    assert reasons[0] == "ValueError: never"
    assert "not tried alone: it raised on each of" in reasons[-1]


def test_a_panic_of_a_rust_library_is_halved_like_any_fault() -> None:
    block, report = run(PanicOn(value=42))
    assert kept(block) == [value for value in range(100) if value != 42]
    assert report.asides[0][1]["reason"].to_pylist() == ["PanicException: index out of bounds"]


def test_a_request_to_stop_is_no_fault_of_the_stage() -> None:
    with pytest.raises(SystemExit, match="3"):
        run(ExitOn(value=42, code=3))


class RaiseOn(BlockStage):
    """Raises what it is told to, on every row."""

    what: Callable[[], Exception]

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def apply(self, block: pa.Table) -> pa.Table:
        if block.num_rows:
            raise self.what()
        return block


class SpeechlessError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        (SpeechlessError, "SpeechlessError: (its text cannot be made: RuntimeError)"),
        (lambda: ValueError("caf\udce9"), "ValueError: caf\\udce9"),
        (lambda: ValueError("y" * 5_000), f"ValueError: {'y' * 2_000}… (5,000 characters)"),
        (ValueError, "ValueError"),
    ],
    ids=["without words", "surrogate", "endless", "empty"],
)  # fmt: skip
def test_whatever_an_error_says_a_row_gets_a_reason(what: Callable[[], Exception], reason: str) -> None:
    _, report = run(RaiseOn(what=what), rows=1)
    assert report.asides[0][1]["reason"].to_pylist() == [reason]


def test_an_error_of_ours_is_raised_on_purpose_and_ends_the_part() -> None:
    with pytest.raises(SchemaError, match="no such column"):
        run(RaiseOn(what=lambda: SchemaError("no such column")))


# ---- promises -------------------------------------------------------------------------------------------------------


class Return(BlockStage):
    """Returns whatever `make` makes of the block."""

    make: Callable[[pa.Table], Any]

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def apply(self, block: pa.Table) -> Any:
        return self.make(block)


def _only_on_many_rows(block: pa.Table) -> pa.Table:
    if block.num_rows > 1:
        raise ValueError("too many at once")
    kind = pa.int64() if block["x"][0].as_py() % 2 else pa.float64()
    return block.set_column(0, "x", block["x"].cast(kind))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda block: None, "it returned NoneType; wanted a pyarrow Table"),
        (lambda block: block.to_pydict(), "it returned dict; wanted a pyarrow Table"),
        (lambda block: Sifted(block, pa.table({"row": [1]})), r"rows set aside have the columns \['row'\]"),
        (lambda block: block.drop_columns(["__row__"]).slice(1), "changed the number of rows and left out the column"),
        (lambda block: block.set_column(2, "__row__", block["x"].cast(pa.float64())), "changed the column '__row__'"),
        (lambda block: block.select(["word", "x", "__row__"]), "its columns in another order"),
        (lambda block: block.append_column("new", block["x"]), "'new', which it did not promise"),
        (
            lambda block: block.cast(pa.schema([("x", pa.int64(), False), *list(block.schema)[1:]])),
            "'x' as int64 that is never null instead of int64",
        ),
        (lambda block: pa.concat_tables([block, block]), "made 100 more rows of 100"),
        (_only_on_many_rows, "returned 'x' as double instead of int64"),
    ],
)
def test_what_a_stage_may_not_return_is_told_in_its_name(make: Callable[[pa.Table], Any], text: str) -> None:
    with pytest.raises(StageFailedError, match=f"stage Return failed on part 00000: .*{text}"):
        run(Return(make=make))


def test_a_broken_promise_is_told_for_a_block_that_is_cut_too() -> None:
    with pytest.raises(StageFailedError, match="BreakPromise .* returned 'x' as double instead of int64"):
        run(BreakPromise(), block_rows=10)


class FailOnNothing(BlockStage):
    """Raises on every block, on an empty one as well."""

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def apply(self, block: pa.Table) -> pa.Table:
        raise LookupError("nothing here")


def test_a_stage_that_cannot_take_an_empty_block_is_told_in_its_name() -> None:
    with pytest.raises(StageFailedError, match="FailOnNothing .*LookupError: nothing here .on a block of 0 rows"):
        run(FailOnNothing(), rows=3)


class ForgetRow(BlockStage):
    """Keeps all rows and forgets their numbers; fails on one of them."""

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def apply(self, block: pa.Table) -> pa.Table:
        if 7 in block["x"].to_pylist():
            raise ValueError("seven")
        return block.drop_columns(["__row__"])


def test_row_numbers_are_put_back_also_where_a_whole_piece_failed() -> None:
    block, _ = run(ForgetRow(), rows=10, block_rows=1)
    assert block is not None
    assert block["__row__"].to_pylist() == [0, 1, 2, 3, 4, 5, 6, 8, 9]


# ---- summaries, sinks, opening --------------------------------------------------------------------------------------


class PanicPartial(ReduceStage):
    """Panics in its summary."""

    def partial(self, block: pa.Table, part: str) -> Any:
        PanicOn(value=0).apply(block)

    def merge(self, a: Any, b: Any) -> Any:
        return a

    def finish(self, state: Any) -> Any:
        return state


def test_a_panic_in_a_summary_is_told_in_the_name_of_the_stage() -> None:
    with pytest.raises(
        StageFailedError, match="PanicPartial failed on part 00000: PanicException: index out of bounds"
    ):
        run(PanicPartial())


class Collect(SinkStage):
    """Keeps what it was given."""

    seen: ClassVar[list[tuple[str, list[int]]]] = []

    def open(self) -> Callable[[pa.Table, str], dict[str, Any]]:
        def write(block: pa.Table, part: str) -> dict[str, Any]:
            assert "__row__" not in block.column_names
            self.seen.append((part, block["x"].to_pylist()))
            return {"rows": block.num_rows}

        return write


def test_a_sink_gets_a_part_whole_also_where_blocks_are_cut() -> None:
    Collect.seen.clear()
    _, report = run(AddTo(amount=0), Collect(), SumX(), rows=100, block_rows=30, hand_on=False)
    assert Collect.seen == [("00000", list(range(100)))]
    assert report.receipts == [{"rows": 100}]
    assert report.rows_out == report.tallies["Collect"].rows_in == report.tallies["SumX"].rows_in == 100


def test_a_sink_that_fails_is_told_in_its_name(tmp_path: Path) -> None:
    with pytest.raises(StageFailedError, match="CountFiles failed on part 00000: FileNotFoundError"):
        run(CountFiles(folder=tmp_path / "nowhere"))


class BadOpen(MapStage):
    """Cannot be opened."""

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def open(self) -> Any:
        raise OSError("no weights")


def test_a_stage_that_cannot_be_opened_is_told_in_its_name() -> None:
    with pytest.raises(
        StageFailedError, match="BadOpen failed on part .none yet.: it could not be opened: OSError: no w"
    ):
        run(BadOpen())


def test_stages_of_one_name_in_the_prefix_and_after_it_keep_their_own_functions() -> None:
    spec = spec_of(Numbers(rows=10, per_part=10), Return(make=lambda block: block.slice(0)))
    doubled = Return(make=lambda block: block.set_column(0, "x", pc.multiply(block["x"], 2)))
    block, report = Chain(ChainSpec(spec.source, (doubled, doubled), spec.stages, spec.schemas)).run(PART, None, True)
    assert kept(block) == [4 * value for value in range(10)]
    assert set(report.tallies) == {"Return"}


def test_a_later_pass_does_not_tell_again_what_reading_set_aside() -> None:
    source = Ragged(rows=10, per_part=10)
    _, first = Chain(spec_of(source, SumX())).run(PART, None, False)
    _, later = Chain(spec_of(source, SumX(), reads_again=True)).run(PART, None, False)
    assert [name for name, _ in first.asides] == ["Ragged"]
    assert list(first.tallies) == ["Ragged", "SumX"]
    assert later.asides == []
    assert list(later.tallies) == ["SumX"]
    assert later.partials == first.partials
    assert later.bytes_read == first.bytes_read > 0


def test_a_block_that_is_handed_on_holds_no_larger_one() -> None:
    block, report = run(Return(make=lambda block: Sifted(block)), rows=100_000)
    assert block is not None
    few, small = run(Head(rows=10), rows=100_000)
    assert few is not None
    assert few["x"].to_pylist() == list(range(10))
    assert small.bytes_out == few.get_total_buffer_size() < report.bytes_out / 100


class Head(BlockStage):
    """The first rows."""

    drops_rows: ClassVar[bool] = True
    rows: int

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def apply(self, block: pa.Table) -> pa.Table:
        return block.slice(0, self.rows)


# ---- reading --------------------------------------------------------------------------------------------------------


class Flaky(Numbers):
    """Raises `errors` in turn before it reads."""

    def open(self) -> Callable[[Part], PartRead]:
        read = super().open()

        def fail_first(part: Part) -> PartRead:
            self.tries.append(part.id)
            if self.errors:
                error = self.errors.pop(0)
                if isinstance(error, OSError):
                    raise error
                raise error from error.__cause__
            return read(part)

        return fail_first

    errors: ClassVar[list[BaseException]] = []
    tries: ClassVar[list[str]] = []


def read_with(errors: list[BaseException], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    monkeypatch.setattr(chain_module, "READ_BACKOFF_S", 0.001)
    Flaky.errors[:] = errors
    Flaky.tries.clear()
    block, _ = Chain(spec_of(Flaky(rows=5, per_part=5))).run(PART, None, True)
    return kept(block)


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [OSError(5, "Input/output error"), TimeoutError("slow"), caused(ReadError("in words"), ConnectionError("reset"))],
    ids=["io", "timeout", "in words of the source"],
)
def test_reading_is_tried_again_when_the_fault_may_pass(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_with([error, error], monkeypatch) == list(range(5))
    assert len(Flaky.tries) == 3


@pytest.mark.parametrize(
    ("errors", "kind", "text", "tries"),
    [
        ([OSError(5, "Input/output error")] * 3, StageFailedError, r"numbers: OSError: .*error \(3 tries\)", 3),
        ([caused(ReadError("in words"), ConnectionError("reset"))] * 3, ReadError, "^in words$", 3),
        ([FileNotFoundError(2, "No such file")], StageFailedError, "numbers: FileNotFoundError: .*No such file$", 1),
        ([caused(ReadError("in words"), FileNotFoundError("gone"))], ReadError, "^in words$", 1),
        ([ValueError("not a number")], StageFailedError, "numbers: ValueError: not a number$", 1),
    ],
)
def test_a_fault_that_stays_is_told_with_the_file(
    errors: list[BaseException], kind: type[Exception], text: str, tries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(kind, match=text):
        read_with(errors, monkeypatch)
    assert len(Flaky.tries) == tries


class Misread(Numbers):
    """Reads whatever `make` makes of the block."""

    make: Callable[[pa.Table], Any]

    def open(self) -> Callable[[Part], PartRead]:
        read = super().open()
        return lambda part: self.make(read(part).block)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda block: block, "it read Table; wanted a PartRead"),
        (lambda block: PartRead(block.select(["x"])), "it returned 'word' as None instead of large_string"),
        (
            lambda block: PartRead(block.append_column("__row__", block["x"])),
            "'__row__' is a name that the engine keeps",
        ),
        (lambda block: PartRead(block, row_numbers=pa.array([1])), "1 row numbers of type int64 for 10 rows"),
        (lambda block: PartRead(block, pa.table({"a": [1]})), "rows set aside have the columns"),
    ],
)
def test_a_source_is_held_to_its_promises(make: Callable[[pa.Table], Any], text: str) -> None:
    with pytest.raises(StageFailedError, match=f"stage Misread failed on part 00000: .*{text}"):
        Chain(spec_of(Misread(rows=10, per_part=10, make=make))).run(PART, None, True)
