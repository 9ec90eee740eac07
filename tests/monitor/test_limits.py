"""What limited a run is said by rules; each is tried on a log of which the answer is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raypipe.monitor.eventlog import read_events
from raypipe.monitor.facts import facts_of
from raypipe.monitor.limits import limits_of, stall_seconds
from raypipe.monitor.runlog import Mark, RunLog
from raypipe.monitor.usage import steps_up, up_spans, use_of
from tests.monitor.simulated import SimLog, SimPool, simulate_pass, simulate_run


def one_pass(folder: Path, *pools: SimPool, **options: Any) -> RunLog:
    """A run of one pass, which begins at once."""
    log = SimLog(folder / "events.jsonl")
    log.at(0.0, "run_started", run_id="r", engine="ray")
    end = simulate_pass(log, 0.1, "load", pools, **options)
    log.at(end + 0.01, "run_done", status="completed")
    return read_events(log.write())


def said(log: RunLog, kind: str) -> str:
    return " ".join(limit.text for limit in limits_of(log) if limit.kind == kind)


def test_a_slow_pool_is_named_with_what_the_others_waited_for(tmp_path: Path) -> None:
    pools = [SimPool(("read", "Summarise"), 2, 0.5, 0.2), SimPool(("Embed",), 2, 3.0, 0.2)]
    log = one_pass(tmp_path, *pools)
    text = said(log, "pool")
    assert "pool 2 (Embed) was busy 9" in text
    assert "for room" in text.partition("while")[2]
    assert "pool 1 (read > Summarise) had work and no room" in said(log, "queue")


def test_pools_that_share_too_few_cpus_are_told_so(tmp_path: Path) -> None:
    log = one_pass(tmp_path, SimPool(("read",), 2, 1.0, 0.1), SimPool(("Clean",), 2, 1.0, 0.1))
    log.passes[0].cpus = 2.0
    assert "worked at once on 2 CPUs: the CPUs were the limit" in said(log, "cpus")


def test_work_that_keeps_all_workers_busy_is_its_own_limit(tmp_path: Path) -> None:
    log = one_pass(tmp_path, SimPool(("read", "Summarise"), 3, 1.0, 0.1), bundles=60)
    assert "the work itself was the limit" in said(log, "cpus")
    assert not said(log, "pool")


def test_workers_that_start_slowly_are_told(tmp_path: Path) -> None:
    log = one_pass(tmp_path, SimPool(("read",), 2, 0.5, 40.0), bundles=20)
    assert "workers took 40 s to start" in said(log, "startup")


def test_one_long_call_at_the_end_is_told(tmp_path: Path) -> None:
    log = SimLog(tmp_path / "events.jsonl")
    log.at(0.0, "run_started", run_id="r", engine="ray")
    log.at(0.0, "pass_started", name="load", engine="ray", parts=3, bundles=3)
    for worker, seconds in ((0, 2.0), (1, 20.0)):
        log.at(0.0, "worker_up", pool=0, worker=worker, pid=worker)
        log.at(seconds, "bundle_done", pool=0, worker=worker, seconds=seconds)
    log.at(20.0, "pass_done", name="load")
    read = read_events(log.write())
    assert use_of(read)[0].alone_s == pytest.approx(18.0)
    assert "one worker worked alone for the last 18 s" in said(read, "tail")
    assert "3 bundles for 2 workers" in " ".join(limit.advice for limit in limits_of(read))


def test_a_full_queue_is_told_from_its_budget_where_the_log_has_it(tmp_path: Path) -> None:
    pools = [SimPool(("read",), 2, 0.5, 0.1), SimPool(("Embed",), 1, 2.0, 0.1)]
    log = one_pass(tmp_path, *pools)
    log.passes[0].queue_budget_bytes = 6 * (32 << 20)
    assert "filled their budget of 192 MiB" in said(log, "queue")


def test_time_outside_of_passes_is_the_driver_s(tmp_path: Path) -> None:
    log = SimLog(tmp_path / "events.jsonl")
    log.at(0.0, "run_started", run_id="r", engine="inline")
    log.at(4.0, "pass_started", name="load", engine="inline", parts=1)
    log.at(5.0, "part_done", part="0", rows_out=3, seconds=1.0)
    log.at(5.0, "pass_done", name="load", rows_in=3)
    log.at(5.0, "pipeline_stage_started", stage="dashboard_generation")
    log.at(9.0, "pipeline_stage_done", stage="dashboard_generation", seconds=4.0)
    log.at(9.1, "run_done", status="completed")
    read = read_events(log.write())
    assert said(read, "before").startswith("4 s passed before the first pass: the source was looked at.")
    assert said(read, "driver") == "4 s went to dashboard generation, in the driver alone."


def test_trouble_is_counted_and_comes_after_what_took_the_time(tmp_path: Path) -> None:
    log = read_events(simulate_run(tmp_path / "events.jsonl", trouble=True))
    limits = limits_of(log)
    trouble = [limit.trouble for limit in limits]
    assert trouble == sorted(trouble)
    assert "Blocks of 3 bundles were lost" in said(log, "blocks")
    assert said(log, "workers").startswith("1 worker lost")
    assert said(log, "rows").startswith("3 rows set aside")
    assert "Nothing moved for 60 s in all" in said(log, "stall")


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ("failed", "The run failed: stage Embed failed on part"),
        ("cancelled", "The run was cancelled"),
        (None, "ends without saying"),
    ],
)
def test_how_a_run_ended_comes_first(status: str | None, text: str, tmp_path: Path) -> None:
    log = read_events(simulate_run(tmp_path / "events.jsonl", status=status))
    assert text in limits_of(log)[0].text


def test_a_stall_that_is_told_again_while_it_lasts_counts_once() -> None:
    marks = [Mark(float(at), "stall", "", seconds=seconds) for at, seconds in enumerate((30, 60, 120, 30, 60))]
    assert stall_seconds(marks) == 180


def test_a_short_run_has_nothing_to_gain(tmp_path: Path) -> None:
    (tmp_path / "e").write_text(
        '{"event": "run_started", "t_s": 0}\n{"event": "run_done", "status": "completed", "t_s": 0.4}\n'
    )
    (limit,) = limits_of(read_events(tmp_path / "e"))
    assert limit.text == "The run took 0.4 s; nothing stands out, and there is little to gain."


@pytest.mark.parametrize("seed", range(5))
def test_the_time_of_workers_adds_up(seed: int, tmp_path: Path) -> None:
    pools = [SimPool(("read",), 2, 0.5, 0.3), SimPool(("Embed",), 3, 1.5, 0.3), SimPool(("Write",), 1, 0.2, 0.3)]
    for use in use_of(one_pass(tmp_path, *pools, seed=seed)):
        for pool in use.pools:
            assert pool.busy_s <= pool.up_s
            assert pool.no_work_s is not None
            assert pool.no_room_s is not None
            assert pool.busy_s + pool.no_work_s + pool.no_room_s <= pool.up_s + 1e-6
            assert 0 <= pool.busy_share <= 1
        assert [pool.workers for pool in use.pools] == [2, 3, 1]


def test_workers_that_come_and_go_are_counted_at_every_moment(tmp_path: Path) -> None:
    log = read_events(simulate_run(tmp_path / "events.jsonl", trouble=True))
    spans = up_spans(log.passes[0], 0)
    assert len(spans[1]) == 2, "one that was lost and came back was up twice"
    steps = steps_up(span for worker in spans.values() for span in worker)
    assert [count for _, count in steps][-1] == 0
    assert max(count for _, count in steps) == 2


def test_facts_hold_what_the_page_shows(tmp_path: Path) -> None:
    facts = facts_of(read_events(simulate_run(tmp_path / "events.jsonl", trouble=True)))
    assert facts["passes"][0]["pools"][1]["stages"] == ["Embed"]
    assert facts["trouble"]["probe"] == 4
    assert facts["passes"][1]["stages"][3]["stage"] == "WriteParquet"
    assert {limit["kind"] for limit in facts["limits"]} >= {"pool", "stall", "workers"}
