"""`events.jsonl`: every line whole, whoever writes, however much happens."""

from __future__ import annotations

import json
import logging
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.engine.events import MAX_REPEATED, EventLog, Repeated
from raypipe.engine.stalls import StallWatch


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_each_event_is_one_line_with_its_version_time_and_fields(tmp_path: Path) -> None:
    with EventLog(tmp_path / "events.jsonl") as log:
        log.emit("begun", path=tmp_path, text="größer\nnext")
        assert lines(tmp_path / "events.jsonl")[0]["event"] == "begun"  # there at once
        log.emit("done")
    first, second = lines(tmp_path / "events.jsonl")
    assert (first["v"], first["path"], first["text"]) == (1, str(tmp_path), "größer\nnext")
    assert datetime.fromisoformat(first["time"]).tzinfo is not None
    assert 0 <= first["t_s"] <= second["t_s"]
    assert log.count == 2


def test_a_log_without_a_path_or_after_its_end_only_counts(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.emit("one")
    log.close()
    log.close()
    log.emit("two")
    assert len(lines(tmp_path / "events.jsonl")) == 1
    assert log.count == 2


def test_lines_of_many_threads_stay_whole(tmp_path: Path) -> None:
    with EventLog(tmp_path / "events.jsonl") as log:
        threads = [
            threading.Thread(target=lambda name=name: [log.emit("tick", name=name, n=n) for n in range(200)])
            for name in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted((line["name"], line["n"]) for line in lines(tmp_path / "events.jsonl")) == [
        (name, n) for name in range(4) for n in range(200)
    ]


def test_a_file_name_that_is_no_utf8_reads_back(tmp_path: Path) -> None:
    with EventLog(tmp_path / "events.jsonl") as log:
        log.emit("part_done", part="caf\udce9.csv")
    assert lines(tmp_path / "events.jsonl")[0]["part"] == "caf\udce9.csv"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full to stand for a full disk")
def test_a_full_disk_ends_the_log_with_a_warning_and_not_the_run(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), EventLog(Path("/dev/full")) as log:
        for _ in range(3):
            log.emit("tick")
    assert log.count == 3
    assert [record.message for record in caplog.records] == [
        "events are no longer written: [Errno 28] No space left on device"
    ]


@settings(max_examples=60, deadline=None)
@given(count=st.integers(0, 4 * MAX_REPEATED), extra=st.integers(0, 50))
def test_repeated_events_lose_no_count_and_stay_few(count: int, extra: int) -> None:
    seen: list[dict[str, Any]] = []
    log = EventLog()
    log.emit = lambda event, **fields: seen.append({"event": event, **fields})  # type: ignore[method-assign]
    repeated = Repeated(log, "part_done", count + extra, ("rows",))
    for number in range(count):
        repeated.emit(rows=number, part=number)
    repeated.flush()
    repeated.flush()
    assert sum(line["rows"] for line in seen) == sum(range(count))
    assert len(seen) <= MAX_REPEATED
    assert not count or seen[-1]["part"] == count - 1
    if count + extra <= MAX_REPEATED:
        assert len(seen) == count


def test_the_stall_watch_speaks_after_a_while_then_less_and_less_and_falls_silent_when_something_moves() -> None:
    said: list[str] = []
    log = EventLog()
    log.emit = lambda event, **fields: said.append(fields["text"])  # type: ignore[method-assign]
    watch = StallWatch(log, warn_after_s=10.0)
    aged = 0
    for seconds in (1, 11, 12, 21, 25, 41):
        watch._moved_at -= seconds - aged  # as if that much time had gone by
        aged = seconds
        watch.watch(lambda still_s: f"still for {still_s:.0f} s")
    assert said == ["still for 11 s", "still for 21 s", "still for 41 s"]
    assert watch.text == "still for 41 s"
    watch.moved()
    watch.watch(lambda still_s: "never asked")
    assert watch.text is None
