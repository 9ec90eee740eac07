"""The collector: whoever finished first, the result is that of the order of parts."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.engine.collect import Collector
from raypipe.engine.report import PartReport, StageTally
from raypipe.errors import ConfigError, ConservationError, StageFailedError
from raypipe.stage import ASIDE_SCHEMA, Part, ReduceStage
from tests.engine.stages import AddTo, BadMerge, Numbers, SumX

SCHEMA = Numbers().schema()


class Chained(ReduceStage):
    """A summary that remembers the order of merging: text, joined."""

    def partial(self, block: pa.Table, part: str) -> Any:
        return part

    def merge(self, a: Any, b: Any) -> Any:
        return f"({a}{b})"

    def finish(self, state: Any) -> Any:
        return state


STAGES = (AddTo(), Chained())


def parts_of(count: int, rows: int | None = 10) -> list[Part]:
    return [Part(id=f"{index:03d}", file=f"file{index}", rows=rows) for index in range(count)]


def aside_of(rows: list[int]) -> pa.Table:
    return pa.Table.from_pylist([{"row": row, "reason": "no"} for row in rows], schema=ASIDE_SCHEMA)


def reports_of(part: Part, bad: int) -> list[PartReport]:
    """Of two groups: the source with a map of which `bad` of 10 rows fail, then a summary."""
    left = 10 - bad
    first = PartReport(part.id, part.file, bytes_read=80, lines=10, rows_out=left)
    first.tallies = {
        "Numbers": StageTally(10, 10, bytes_out=80, seconds=0.5),
        "AddTo1": StageTally(10, left, bad, bad, counts=Counter(seen=10), failure=f"bad {part.id}" if bad else ""),
    }
    first.asides = [("AddTo1", aside_of(list(range(bad))))] if bad else []
    first.receipts = [{"part": part.id}]
    second = PartReport(part.id, part.file, rows_out=left)
    second.tallies, second.partials = {"Chained": StageTally(left, left)}, {"Chained": part.id}
    return [first, second]


def everything(collector: Collector, told: list[Any]) -> dict[str, Any]:
    return {
        "results": collector.finish(),
        "tallies": collector.tallies,
        "receipts": collector.receipts,
        "counts": (collector.rows_out, collector.bytes_read, collector.parts_done, collector.held_bytes),
        "told": told,
    }


def collector_of(parts: list[Part], **options: Any) -> tuple[Collector, list[Any]]:
    told: list[Any] = []
    collector = Collector(
        STAGES,
        (SCHEMA, SCHEMA),
        parts,
        2,
        on_aside=lambda stage, part, rows: told.append((stage, part.id, rows.to_pylist())),
        **options,
    )
    return collector, told


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[list[Part], list[int], list[tuple[int, int]]]:
    """Parts, bad rows of each, and an order of (group, part) in which a group follows the one before; some twice."""
    count = draw(st.integers(0, 12))
    bad = draw(st.lists(st.integers(0, 4), min_size=count, max_size=count))
    order = draw(st.permutations([index for index in range(count) for _ in range(2)]))
    seen: Counter[int] = Counter()
    events = []
    for index in order:
        events.append((seen[index], index))
        seen[index] += 1
    for again in draw(st.lists(st.integers(0, max(0, len(events) - 1)), max_size=4)) if events else []:
        events.insert(draw(st.integers(events.index(events[again]) + 1, len(events))), events[again])
    return parts_of(count), bad, events


@settings(max_examples=100, deadline=None)
@given(arrivals())
def test_any_order_of_arrival_gives_the_same_result(case: tuple[list[Part], list[int], list[tuple[int, int]]]) -> None:
    parts, bad, events = case
    reports = {
        (group, index): report
        for index, part in enumerate(parts)
        for group, report in enumerate(reports_of(part, bad[index]))
    }
    in_order, told_in_order = collector_of(parts)
    for index in range(len(parts)):
        for group in range(2):
            in_order.add(group, copy.deepcopy(reports[group, index]), 100)
    shuffled, told = collector_of(parts)
    for group, index in events:
        shuffled.add(group, copy.deepcopy(reports[group, index]), 100)
    wanted, got = everything(in_order, told_in_order), everything(shuffled, told)
    assert got == wanted


def add_all(collector: Collector, reports: list[PartReport]) -> None:
    for report in reports:
        collector.add(0, report)


def test_reports_that_wait_are_counted_until_they_are_in_order() -> None:
    parts = parts_of(3)
    collector, _ = collector_of(parts)
    told: list[str] = []
    collector.on_read = lambda report: told.append(report.part)
    reports = [reports_of(part, 0)[0] for part in parts]
    collector.add(0, reports[2], 70)
    collector.add(0, reports[1], 50)
    assert (collector.held_bytes, told) == (120, [])
    collector.add(0, reports[1], 50)
    assert collector.held_bytes == 120
    collector.add(0, reports[0], 10)
    assert (collector.held_bytes, told) == (0, ["000", "001", "002"])


def test_a_source_without_parts_has_tallies_of_nothing_and_results_of_an_empty_block() -> None:
    collector = Collector((AddTo(), SumX()), (SCHEMA, SCHEMA), [], 1)
    assert collector.finish() == {"SumX": {"sum": 0, "rows": 0, "parts": []}}
    assert {name: tally.rows_in for name, tally in collector.tallies.items()} == {"AddTo1": 0, "SumX": 0}


def test_two_parts_of_one_id_are_refused() -> None:
    with pytest.raises(ConfigError, match="names two parts '000'; ids of parts must be distinct"):
        Collector(STAGES, (SCHEMA, SCHEMA), [*parts_of(2), Part(id="000", file="other")], 1)


def test_rows_that_vanish_between_groups_are_noticed() -> None:
    parts = parts_of(1)
    collector, _ = collector_of(parts)
    first, second = reports_of(parts[0], 0)
    second.tallies["Chained"].rows_in = 9
    collector.add(0, first)
    with pytest.raises(ConservationError, match="part 000: 10 rows were handed on, 9 arrived"):
        collector.add(1, second)


def test_a_part_that_never_came_is_noticed() -> None:
    collector, _ = collector_of(parts_of(2))
    with pytest.raises(ConservationError, match=r"only \[0, 0\] of 2 parts came through"):
        collector.finish()


def test_a_share_of_failing_rows_beyond_the_bound_is_told_with_the_first_words() -> None:
    parts = parts_of(4)
    collector, told = collector_of(parts, max_failed_share=0.04)
    for part, bad in zip(parts, (0, 1, 1, 0), strict=True):
        for group, report in enumerate(reports_of(part, bad)):
            collector.add(group, report)
    with pytest.raises(
        StageFailedError,
        match=r"AddTo1 .* raised on 2 of 40 rows \(5.00%\), more than the 4.00% .* first with: bad 001",
    ):
        collector.finish()
    assert len([entry for entry in told if entry[0] == "AddTo1"]) == 2


def test_a_stage_that_fails_on_everything_is_given_up_at_the_same_part_whoever_came_first() -> None:
    parts = parts_of(100)
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        collector, told = collector_of(parts, max_failed_share=0.015)
        said = "AddTo1 failed on part 001: bad 000; it failed on each of the first 20 rows"
        with pytest.raises(StageFailedError, match=said):
            add_all(collector, [reports_of(parts[index], 10)[0] for index in order])
        assert [entry[1] for entry in told if entry[0] == "AddTo1"] == ["000", "001"]


def test_one_bad_file_among_many_does_not_end_the_run() -> None:
    parts = parts_of(100)
    collector, _ = collector_of(parts, max_failed_share=0.01)
    for part in parts:
        for group, report in enumerate(reports_of(part, 10 if part.id == "000" else 0)):
            collector.add(group, report)
    collector.finish()
    assert collector.tallies["AddTo1"].rows_failed == 10


def test_where_rows_are_not_known_some_parts_must_fail_before_the_stage_is_given_up() -> None:
    parts = parts_of(50, rows=None)
    collector, _ = collector_of(parts, max_failed_share=0.06)
    for part in parts[:5]:
        collector.add(0, reports_of(part, 10)[0])
    with pytest.raises(StageFailedError, match="on part 005: bad 000; it failed on each of the first 60 rows"):
        collector.add(0, reports_of(parts[5], 10)[0])


def test_a_summary_that_cannot_be_merged_is_told_in_the_name_of_its_stage() -> None:
    collector = Collector((BadMerge(),), (SCHEMA,), parts_of(2), 1)
    for part in parts_of(2)[:1]:
        collector.add(0, PartReport(part.id, part.file, partials={"BadMerge": part.id}))
    with pytest.raises(StageFailedError, match="BadMerge .* cannot be merged: IndexError: two is one too many"):
        collector.add(0, PartReport("001", "file1", partials={"BadMerge": "001"}))
