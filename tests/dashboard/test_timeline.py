"""The timeline of a run: every part is drawn, nothing of the log is trusted, no log is too long."""

from __future__ import annotations

import json
import math
import random
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.dashboard.shell import MAX_PAGE_BYTES
from raypipe.dashboard.timeline import TimelineGenerator
from raypipe.dashboard.timeline_course import shown_marks
from raypipe.dashboard.timeline_figures import Clock
from raypipe.dashboard.timeline_lanes import MAX_BARS, lanes_of, rate_of, table_of, thinned
from raypipe.dashboard.timeline_page import sections_of
from raypipe.errors import ConfigError, OutputError
from raypipe.monitor.eventlog import read_events
from raypipe.monitor.runlog import Call
from tests.monitor.simulated import ATTACKS, SimLog, SimPool, simulate_pass, simulate_run

SECTIONS = ("overview", "limits", "course", "workers", "queues", "memory", "rate", "passes", "events", "about")


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate_run(tmp_path_factory.mktemp("log") / "events.jsonl", trouble=True)


def long_log(path: Path, bundles: int, workers: int) -> Path:
    """A pass of so many calls of so many workers, a sample for each, and an event of trouble for each tenth."""
    rng = random.Random(7)
    with path.open("w", encoding="utf-8") as file:

        def put(t: float, event: str, **fields: Any) -> None:
            file.write(json.dumps({"v": 1, "t_s": round(t, 3), "event": event, **fields}) + "\n")

        pools = [{"pool": pool, "stages": [f"Stage{pool}"], "cpus": 1.0, "min": 1, "max": workers} for pool in (0, 1)]
        put(0, "run_started", run_id="long", engine="ray")
        put(1, "pass_started", name="load", engine="ray", parts=bundles, bundles=bundles, pools=pools)
        for number in range(workers):
            put(2, "worker_up", pool=number % 2, worker=number // 2, pid=number, waited_s=1.0)
        for number in range(bundles):
            t = 3 + number * 0.5
            worker = rng.randrange(workers)
            who = {"pool": worker % 2, "worker": worker // 2}
            put(t, "bundle_done", **who, seconds=rng.random() * 3, rows_out=1000, rss_bytes=3e8)
            rows = [
                {"pool": pool, "up": workers // 2, "busy": rng.randrange(9), "queued": 5, "queued_bytes": 1e6 * number}
                for pool in (0, 1)
            ]
            put(t, "sample", pools=rows, queued_bytes=1e6, kept_bytes=2e6, driver_rss_bytes=1e8 + number)
            if number % 10 == 0:
                put(t, "blocks_lost", pool=1, part=f"{number:05d}/some file.csv", bundles=2)
        put(4 + bundles * 0.5, "run_done", status="completed")
    return path


def test_every_section_is_there_and_every_figure_has_its_table(troubled: Path) -> None:
    page = TimelineGenerator().render(read_events(troubled))
    for section in SECTIONS:
        assert f'<section id="{section}"' in page
        assert f'href="#{section}"' in page
    assert page.count('class="card chart"') == page.count('<details class="alt">') == 6
    assert "In pass 1 (load), pool 2 (Embed) was busy" in page
    assert "Completed, with trouble" in page


def test_all_of_a_hostile_log_is_text(tmp_path: Path) -> None:
    log = SimLog(tmp_path / "events.jsonl", run_id=ATTACKS[0])
    log.at(0.0, "run_started", run_id=ATTACKS[0], source=ATTACKS[1], engine=ATTACKS[2], why=ATTACKS[3])
    for at, text in enumerate(ATTACKS):
        log.at(0.1, "pipeline_stage_started", stage=text)
        log.at(0.5 + at, "pipeline_stage_done", stage=text, seconds=0.1, message=text)
        end = simulate_pass(log, 1.0 + at, text, [SimPool((text, text), 1, 0.01, 0.1)], bundles=2, every_s=0.05)
        for kind in ("stall", "suspect", "rows_blamed", "comet", "task_failed", "not_committed"):
            log.at(end, kind, text=text, why=text, part=text, stage=text, task=text, pool=0, rows=2)
        log.at(end, "task_started", task=text, where=text)
        log.at(end, text or "nameless")
    log.at(99.0, "run_done", status=ATTACKS[0], error=ATTACKS[1])
    page = TimelineGenerator(title=ATTACKS[0]).render(read_events(log.write()))
    body = re.sub(r"<(script|style)\b[^>]*>.*?</\1>", "", page, flags=re.DOTALL)
    for text in ATTACKS:
        if "<" in text:
            assert text not in page
    assert "<img" not in body


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled", None])
def test_a_run_that_ended_in_any_way_has_a_page(status: str | None, tmp_path: Path) -> None:
    log = read_events(simulate_run(tmp_path / "events.jsonl", status=status, bundles=8))
    verdict = sections_of(log)["verdict"]
    assert (
        verdict[1]
        == {"completed": "Completed", "failed": "Failed", "cancelled": "Cancelled", None: "Unfinished"}[status]
    )
    assert "did not end" in TimelineGenerator().render(log) or status == "completed"


def test_an_inline_run_has_a_page_that_says_what_it_has_not(tmp_path: Path) -> None:
    log = SimLog(tmp_path / "events.jsonl")
    log.at(0.0, "run_started", run_id="r", engine="inline", why="small")
    log.at(0.1, "pass_started", name="load", engine="inline", parts=2, pools=[])
    log.at(0.3, "part_done", part="0", rows_out=5, seconds=0.2)
    log.at(0.5, "part_done", part="1", rows_out=5, seconds=0.2)
    log.at(0.5, "pass_done", name="load", rows_in=10, rows_out=10, peak_rss_bytes=2e8)
    log.at(0.6, "run_done", status="completed")
    read = read_events(log.write())
    figures = sections_of(read)["figures"]
    assert {name for name, made in figures.items() if made is not None} == {"course", "lanes", "rate"}
    page = TimelineGenerator().render(read)
    assert "the inline engine has no queues" in page
    assert "this process" in page


def test_a_log_of_which_only_the_first_line_is_left_has_a_page(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text('{"event": "run_started", "run_id": "r", "t_s": 0.01}\n')
    page = TimelineGenerator().render(read_events(tmp_path / "events.jsonl"))
    assert "no pass began" in page


@pytest.mark.slow
def test_a_hundred_thousand_events_make_a_page_of_less_than_five_megabytes(tmp_path: Path) -> None:
    log = read_events(long_log(tmp_path / "events.jsonl", bundles=48_000, workers=120))
    assert log.lines > 100_000
    lanes = lanes_of(log)
    assert len(lanes.bars) <= MAX_BARS
    assert sum(bar.bundles for bar in lanes.bars) == 48_000
    marks, hidden = shown_marks(log)
    assert len(marks) + hidden == 4_800
    page = TimelineGenerator().render(log)
    assert len(page.encode()) < MAX_PAGE_BYTES
    assert "are drawn as" in page
    assert "further marks are not drawn" in page
    assert "further</" in page or "37 further" in page


@given(
    seed=st.integers(0, 999),
    workers=st.integers(1, 40),
    bundles=st.integers(1, 150),
    most=st.sampled_from([20, 100, 3000]),
)
@settings(max_examples=25, deadline=None)
def test_joining_calls_loses_none_and_keeps_their_time(
    seed: int, workers: int, bundles: int, most: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("lanes") / "events.jsonl"
    log = SimLog(path)
    simulate_pass(log, 0.0, "p", [SimPool(("a",), workers), SimPool(("b",), 3)], bundles, seed=seed)
    read = read_events(log.write())
    lanes = lanes_of(read, max_bars=most, max_lanes=12)
    calls = read.passes[0].calls
    assert len(lanes.lanes) <= 12
    assert len(lanes.bars) <= max(most, len(lanes.lanes))
    assert sum(bar.bundles for bar in lanes.bars) == len(calls)
    assert sum(bar.busy_s for bar in lanes.bars) == pytest.approx(sum(call.busy_s for call in calls))
    assert sum(bar.rows_out for bar in lanes.bars) == sum(call.rows_out for call in calls)
    assert all(bar.start_s <= bar.end_s for bar in lanes.bars)


@given(values=st.lists(st.floats(0, 1e6), min_size=1, max_size=3000), most=st.integers(5, 500))
@settings(max_examples=50, deadline=None)
def test_a_thinned_line_keeps_its_peak_and_its_gaps(values: list[float], most: int) -> None:
    line = [(float(at), value) for at, value in enumerate(values)] + [(float(len(values)), math.nan)]
    kept = thinned(line, most)
    assert len(kept) <= 2 * most + 2
    assert max(value for _, value in kept if not math.isnan(value)) == max(values)
    assert math.isnan(kept[-1][1])
    assert [at for at, _ in kept] == sorted(at for at, _ in kept)


def test_lines_on_common_moments_hold_their_last_value() -> None:
    moments, (first, second) = table_of([[(0.0, 1.0), (2.0, 3.0)], [(1.0, 5.0)]])
    assert moments == [0.0, 1.0, 2.0]
    assert first == [1.0, 1.0, 3.0]
    assert second[1:] == [5.0, 5.0]
    assert math.isnan(second[0])


@given(spans=st.lists(st.tuples(st.floats(0, 50), st.floats(0, 50), st.integers(0, 10_000)), min_size=1, max_size=30))
@settings(max_examples=50, deadline=None)
def test_rows_that_are_spread_over_time_add_up(spans: list[tuple[float, float, int]]) -> None:
    calls = [Call(0, 0, min(a, b), max(a, b), 1.0, rows_out=rows) for a, b, rows in spans]
    rate = rate_of(calls, 0.0, 50.0, 0.5)
    assert sum(value * 0.5 for _, value in rate) == pytest.approx(sum(call.rows_out for call in calls), abs=1e-3)


@pytest.mark.parametrize(("seconds", "unit"), [(40.0, "seconds"), (900.0, "minutes"), (90_000.0, "hours")])
def test_the_axis_has_a_unit_that_suits_the_run(seconds: float, unit: str) -> None:
    clock = Clock(seconds)
    assert clock.word == unit
    assert clock.at(seconds) * clock.unit_s == pytest.approx(seconds)


def test_the_page_lies_beside_its_log_unless_told_otherwise(troubled: Path, tmp_path: Path) -> None:
    log = read_events(troubled)
    assert TimelineGenerator().write(log) == troubled.with_name("timeline.html")
    assert TimelineGenerator(theme="dark").write(log, tmp_path / "deep" / "x.html").stat().st_size > 100_000
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        TimelineGenerator().write(log, tmp_path / "file" / "x.html")


def test_a_misspelt_theme_is_refused() -> None:
    with pytest.raises(ConfigError, match="no theme 'drak'"):
        TimelineGenerator(theme="drak")
