"""Whatever a log holds, it is read, and what was lost of it is said."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.dashboard.timeline_course import KINDS
from raypipe.errors import ReadError
from raypipe.monitor.eventlog import read_events
from raypipe.monitor.facts import facts_of
from raypipe.monitor.markwords import MARKS
from raypipe.monitor.runlog import TROUBLE, RunLog
from tests.monitor.simulated import SimLog, SimPool, simulate_pass, simulate_run


def read_lines(folder: Path, *lines: dict[str, Any] | bytes) -> RunLog:
    path = folder / "events.jsonl"
    raw = [line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines]
    path.write_bytes(b"".join(raw))
    return read_events(path)


def event(t: float, kind: str, /, **fields: Any) -> dict[str, Any]:
    time = f"2026-05-01T10:{int(t) // 60:02d}:{int(t) % 60:02d}.000+00:00"
    return {"v": 1, "time": time, "t_s": t, "event": kind, **fields}


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate_run(tmp_path_factory.mktemp("log") / "events.jsonl", trouble=True)


def test_a_whole_run_is_read(troubled: Path) -> None:
    log = read_events(troubled)
    assert (log.status, log.run_id, log.source) == ("completed", "simulated", "sales.csv")
    assert [work.name for work in log.passes] == ["load", "process"]
    assert [len(work.calls) for work in log.passes] == [80, 40]
    assert all(work.finished for work in log.passes)
    assert [plan.brief for plan in log.passes[0].pools()] == ["read > CheckRows > Summarise", "Embed"]
    assert (log.cut_lines, log.unknown) == (0, {})
    assert log.sessions[0].rows == {"read": 2_000_000, "kept": 1_999_988, "quarantined": 12, "dropped": 0}


def test_every_call_lies_within_its_pass_and_lasts_what_it_says(troubled: Path) -> None:
    for work in read_events(troubled).passes:
        for call in work.calls:
            assert work.start_s <= call.start_s <= call.end_s <= work.end_s
            assert call.end_s - call.start_s == pytest.approx(call.busy_s, abs=1e-3)


def test_marks_say_what_happened_to_whom(troubled: Path) -> None:
    texts = {mark.kind: mark.text for mark in read_events(troubled).marks}
    assert texts["worker_lost"] == "pool 1, worker 2, process 1001 was lost"
    assert texts["rows_blamed"] == "3 rows of part 00011/sales.csv set aside by Embed: the worker was killed"
    assert "rows 300 to 399 tried alone" in texts["probe"]
    assert texts["pool_grew"].startswith("pool 2 grew by 1 to 2 workers")
    assert "worker_gone" not in texts, "a worker that was idle or at its end is no trouble"


def test_every_kind_of_mark_has_words_and_a_row_of_its_own() -> None:
    assert set(MARKS) == set(KINDS)
    assert set(MARKS) >= TROUBLE


@given(seed=st.integers(0, 10_000), cut=st.integers(1, 400))
@settings(max_examples=60, deadline=None)
def test_a_log_that_is_cut_and_spoilt_anywhere_is_read_as_far_as_it_goes(
    seed: int, cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    whole = simulate_run(folder / "whole.jsonl", trouble=True, bundles=6).read_bytes()
    rng = random.Random(seed)
    spoilt = bytearray(whole[: -cut * 20 or None] or whole[:200])
    for _ in range(rng.randrange(6)):
        spoilt[rng.randrange(len(spoilt))] = rng.randrange(256)
    path = folder / "spoilt.jsonl"
    path.write_bytes(bytes(spoilt))
    try:
        log = read_events(path)
    except ReadError:
        return  # nothing at all was left
    assert log.cut_lines <= log.lines
    assert_ordered(log)
    json.dumps(facts_of(log), allow_nan=False)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_FIELDS = [
    "t_s", "time", "name", "engine", "parts", "bundles", "pools", "pool", "worker", "pid", "seconds", "rows_out",
    "rss_bytes", "queued_bytes", "stage", "busy_s", "why", "waited_s", "workers", "by", "part", "first_row", "rows",
    "died", "pieces", "bytes", "parts_done", "text", "run_id", "source", "status", "message", "read", "dropped",
    "node", "old_pid", "new_pid", "task", "attempts", "cpus",
]  # fmt: skip
FIELDS = st.sampled_from(_FIELDS)
_NAMES = [
    "run_started", "run_done", "pipeline_stage_started", "pipeline_stage_done", "pass_started", "pass_done",
    "bundle_done", "part_done", "sample", "stage_done", "worker_up", "worker_gone", "worker_restarted", "pool_grew",
    "pool_shrank", "blocks_lost", "suspect", "probe", "trial", "rows_blamed", "memory_low", "stall", "committed",
    "resumed", "task_started", "task_done", "task_failed", "never_heard_of",
]  # fmt: skip
NAMES = st.sampled_from(_NAMES)


@given(lines=st.lists(st.tuples(NAMES, st.dictionaries(FIELDS, JSON, max_size=8)), min_size=1, max_size=25))
@settings(max_examples=100, deadline=None)
def test_fields_of_any_kind_are_taken_or_left(
    lines: list[tuple[str, dict[str, Any]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    log = read_lines(tmp_path_factory.mktemp("odd"), *({**fields, "event": name} for name, fields in lines))
    assert log.lines == len(lines)
    assert_ordered(log)
    json.dumps(facts_of(log), allow_nan=False)


def assert_ordered(log: RunLog) -> None:
    """Every span lies on the axis and does not run backwards."""
    assert math.isfinite(log.end_s)
    for before, after in zip(log.sessions, log.sessions[1:], strict=False):
        assert before.end_s < after.start_s
    for span in (*log.sessions, *log.passes, *log.bands, *log.tasks):
        assert 0 <= span.start_s <= span.end_s <= log.end_s + 1e-9
    for work in log.passes:
        assert all(work.start_s <= call.start_s <= call.end_s for call in work.calls)


def test_a_resumed_run_is_one_axis_with_a_break(tmp_path: Path) -> None:
    path = simulate_run(tmp_path / "events.jsonl", status=None)
    first = read_events(path)
    assert first.status == "unfinished"
    second = SimLog(path, wall=1_790_009_000.0)
    second.at(0.05, "run_started", run_id="simulated", source="sales.csv", engine="ray", why="resumed", resumed=True)
    second.at(0.3, "resumed", name="load", parts_done=24)
    end = simulate_pass(second, 1.0, "process", [SimPool(("read", "WriteParquet"), 2, 0.5)], bundles=16)
    second.at(end + 0.1, "run_done", status="completed", read=2_000_000, kept=2_000_000, quarantined=0, dropped={})
    second.write()
    log = read_events(path)
    assert [session.status for session in log.sessions] == ["", "completed"]
    assert log.sessions[1].away_s == pytest.approx(9000 - first.end_s, abs=1)
    assert log.seconds == pytest.approx(first.seconds + log.sessions[1].seconds)
    assert log.end_s > log.seconds, "the break has a width of its own"
    assert log.passes[-1].start_s == pytest.approx(log.sessions[1].start_s + 1.0)
    assert log.passes[-2].finished is False
    assert "24 parts were done already" in log.marks[-1].text


def test_a_line_that_a_kill_left_unfinished_does_not_swallow_the_next_session(tmp_path: Path) -> None:
    half = json.dumps(event(9.0, "bundle_done", pool=0, worker=0))[:60].encode()
    log = read_lines(
        tmp_path,
        event(0.1, "run_started", run_id="a"),
        half + json.dumps(event(0.1, "run_started", run_id="a", source="s")).encode() + b"\n",
        event(2.0, "run_done", status="completed"),
    )
    assert (len(log.sessions), log.cut_lines, log.status) == (2, 1, "completed")


def test_seconds_that_go_back_begin_a_session_even_where_its_first_line_is_lost(tmp_path: Path) -> None:
    log = read_lines(tmp_path, event(0.1, "run_started"), event(50.0, "stall", seconds=30), event(2.0, "run_done"))
    assert len(log.sessions) == 2
    assert log.seconds == pytest.approx(52.0)


def test_a_wall_clock_that_jumps_changes_nothing_but_the_rest_between_sessions(tmp_path: Path) -> None:
    lines = [event(0.1, "run_started"), event(4.0, "run_done", status="cancelled")]
    lines[1]["time"] = "1970-01-01T00:00:00+00:00"
    back = event(0.2, "run_started") | {"time": "1969-01-01T00:00:00+00:00"}
    log = read_lines(tmp_path, *lines, back)
    assert log.seconds == pytest.approx(4.2)
    assert log.sessions[1].away_s == 0.0


def test_logs_of_older_versions_are_read(tmp_path: Path) -> None:
    log = read_lines(
        tmp_path,
        event(0.1, "run_started", run_id="old", engine="ray"),
        event(1.0, "pass_started", engine="ray", parts=3, bundles=3),
        *(
            event(2.0 + at, "bundle_done", pool=0, pid=31_000 + at % 2, seconds=0.5, parts=1, rows_out=9)
            for at in range(3)
        ),
        event(4.1, "worker_restarted", pool=0, old_pid=31_000, new_pid=31_002),
        event(4.5, "stage_done", stage="read", rows_in=27, rows_out=27, busy_s=1.5),
        event(4.6, "pipeline_stage_done", stage="data_loading", seconds=4.0),
        event(9.0, "run_done", status="completed"),
    )
    (work,) = log.passes
    assert (work.end_s, work.finished) == (pytest.approx(4.5), True)
    assert {call.worker for call in work.calls} == {31_000, 31_001}
    assert work.stages[0].peak_rss_bytes is None


def test_parts_of_the_inline_engine_are_calls_of_one_worker(tmp_path: Path) -> None:
    log = read_lines(
        tmp_path,
        event(0.1, "run_started", engine="inline"),
        event(1.0, "pass_started", name="load", engine="inline", parts=3, pools=[]),
        event(2.0, "part_done", part="0", rows_out=5, seconds=0.75),
        event(3.0, "part_done", part="1", rows_out=5),
        event(3.5, "pass_done", name="load", seconds=2.5, rows_in=10, rows_out=10),
    )
    calls = log.passes[0].calls
    assert [(call.start_s, call.end_s, call.busy_s) for call in calls] == [(1.25, 2.0, 0.75), (2.0, 3.0, 1.0)]


def test_what_comes_after_the_end_of_a_pass_belongs_to_it(tmp_path: Path) -> None:
    log = read_lines(
        tmp_path,
        event(1.0, "pass_started", name="load", engine="ray"),
        event(2.0, "worker_up", pool=0, worker=0, pid=7),
        event(3.0, "pass_done", name="load"),
        event(3.5, "worker_gone", pool=0, worker=0, pid=7, why="end"),
    )
    (work,) = log.passes
    assert len(work.changes) == 2
    assert work.end_s == 3.0


def test_a_restarted_process_is_known_by_its_worker(tmp_path: Path) -> None:
    log = read_lines(
        tmp_path,
        event(1.0, "pass_started", name="load", engine="ray"),
        event(2.0, "worker_up", pool=0, worker=4, pid=7),
        event(3.0, "worker_restarted", pool=0, old_pid=7, new_pid=8),
        event(4.0, "worker_restarted", pool=0, old_pid=8, new_pid=9),
    )
    assert [mark.worker for mark in log.marks] == [4, 4]


def test_the_first_stage_counts_from_before_the_log_was_opened(tmp_path: Path) -> None:
    log = read_lines(
        tmp_path,
        event(0.1, "run_started"),
        event(0.2, "pipeline_stage_done", stage="initialization", seconds=3.2),
        event(1.0, "pipeline_stage_started", stage="data_loading"),
        event(2.0, "run_done", status="completed"),
    )
    assert [(band.start_s, band.end_s) for band in log.bands] == [(0.0, pytest.approx(3.2)), (4.0, 5.0)]
    assert log.seconds == pytest.approx(5.0)


def test_tasks_run_from_their_first_attempt_to_the_end_of_the_last(tmp_path: Path) -> None:
    log = read_lines(
        tmp_path,
        event(1.0, "task_started", graph="analysis", task="fit", where="driver", attempt=1, waited_s=0.5),
        event(2.0, "task_retry", task="fit", attempt=1, pause_s=0.1, why="OSError: gone"),
        event(2.1, "task_started", task="fit", attempt=2),
        event(4.0, "task_done", task="fit", seconds=0.5, attempts=2),
        event(4.5, "task_skipped", task="draw", why="fit failed"),
    )
    (task,) = log.tasks
    assert (task.start_s, task.end_s, task.attempts, task.status) == (1.0, pytest.approx(2.6), 2, "done")
    assert [mark.kind for mark in log.marks] == ["task_retry", "task_skipped"]


def test_unknown_events_are_counted_and_unreadable_lines_told(tmp_path: Path) -> None:
    log = read_lines(tmp_path, event(0.1, "comet"), event(0.2, "comet"), b"{]\n", b"[1]\n", b"\n", b'"x"\n')
    assert log.unknown == {"comet": 2}
    assert (log.lines, log.cut_lines) == (5, 3)


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "holds nothing"), (b"id,price\n1,2\n", "2 lines, and none of them")]
)
def test_a_file_that_is_no_log_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(ReadError, match=said):
        read_events(tmp_path / "x")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="cannot be read: No such file"):
        read_events(tmp_path / "nothing.jsonl")
