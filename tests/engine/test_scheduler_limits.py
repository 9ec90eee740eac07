"""`TaskScheduler` when things go wrong: retries, time limits, cancel, Ctrl-C."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe import RetryPolicy, TaskScheduler
from raypipe.config import Resources
from raypipe.engine import execution
from raypipe.engine.events import EventLog
from raypipe.engine.tasks import TaskStatus, stop_requested
from raypipe.errors import ConfigError, RunCancelledError
from tests.engine.task_graphs import HERE, here, never

NO_PAUSE = RetryPolicy(attempts=3, first_pause_s=0.0)

# ---- retries ---------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    name=st.text(max_size=9),
    attempt=st.integers(1, 3000),
    seed=st.integers(),
    first=st.floats(0, 10),
    factor=st.floats(1, 100),
    longest=st.floats(0, 1e4),
)
def test_pauses_are_the_same_for_a_seed_and_never_longer_than_the_cap(
    name: str, attempt: int, seed: int, first: float, factor: float, longest: float
) -> None:
    policy = RetryPolicy(first_pause_s=first, factor=factor, max_pause_s=longest, seed=seed)
    pause_s = policy.pause_s(name, attempt)
    assert pause_s == policy.replace().pause_s(name, attempt)
    assert 0 <= pause_s <= min(longest, first * factor ** min(attempt - 1, 64)) * (1 + 1e-9)


def test_pauses_fill_the_whole_range_that_grows() -> None:
    policy = RetryPolicy(first_pause_s=1.0, factor=2.0, max_pause_s=6.0)
    for attempt, longest in ((1, 1.0), (2, 2.0), (3, 4.0), (4, 6.0), (50, 6.0)):
        drawn = [policy.pause_s(f"t{n}", attempt) for n in range(400)]
        assert max(drawn) <= longest
        assert max(drawn) > 0.95 * longest
        assert min(drawn) < 0.05 * longest
    assert policy.pause_s("t", 1) != policy.replace(seed=1).pause_s("t", 1)


@pytest.mark.parametrize(
    ("policy", "error", "worth_it"),
    [
        (RetryPolicy(), ConnectionError(), True),
        (RetryPolicy(), TimeoutError(), True),
        (RetryPolicy(), FileNotFoundError(), False),
        (RetryPolicy(), ConfigError("x"), False),
        (RetryPolicy(), ValueError(), False),
        (RetryPolicy(), KeyboardInterrupt(), False),
        (RetryPolicy(on=(FileNotFoundError,)), FileNotFoundError(), True),
        (RetryPolicy(on=(Exception,), not_on=(ValueError,)), ValueError(), False),
        (RetryPolicy(on=(Exception,), not_on=(ValueError,)), KeyError(), True),
        (RetryPolicy(on=(UnicodeError,), not_on=(ValueError,)), UnicodeDecodeError("u", b"", 0, 0, ""), True),
    ],
)
def test_the_nearest_class_that_a_policy_names_decides(
    policy: RetryPolicy, error: BaseException, worth_it: bool
) -> None:
    assert policy.is_worth_it(error) is worth_it


def test_tries_and_pauses_are_told(tmp_path: Path) -> None:
    def fails() -> None:
        raise ConnectionError("away")

    with EventLog(tmp_path / "events.jsonl") as log:
        tasks = TaskScheduler("net", here(retry=NO_PAUSE), events=log)
        tasks.add_task("fetch", fails)
        tasks.add_task("read", never, after=["fetch"])
        result = tasks.execute_dag()["fetch"]
    assert (result.attempts, result.error) == (3, "ConnectionError: away (3 tries)")
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == [
        "tasks_started", "task_started", "task_retry", "task_started", "task_retry", "task_started", "task_failed",
        "task_skipped", "tasks_done",
    ]  # fmt: skip
    assert (lines[2]["task"], lines[2]["attempt"], lines[2]["why"]) == ("fetch", 1, "ConnectionError: away")
    assert (lines[-1]["graph"], lines[-1]["failed"], lines[-1]["skipped"]) == ("net", 1, 1)
    assert lines[-2]["why"] == "'fetch' failed"


def test_long_silence_is_told_with_what_runs(tmp_path: Path) -> None:
    with EventLog(tmp_path / "events.jsonl") as log:
        tasks = TaskScheduler(config=here(stall_warning_s=0.1), events=log)
        tasks.add_task("slow", lambda: time.sleep(0.5))
        tasks.execute_dag()
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    texts = [line["text"] for line in lines if line["event"] == "stall"]
    assert texts[0] == "nothing ended for 0 s; running: 'slow'"
    assert len(texts) <= 3


def test_other_tasks_run_while_one_pauses() -> None:
    order: list[str] = []

    def flaky() -> None:
        order.append("flaky")
        if order.count("flaky") == 1:
            raise ConnectionError

    policies = (RetryPolicy(attempts=2, first_pause_s=0.6, seed=seed) for seed in range(99))
    policy = next(policy for policy in policies if policy.pause_s("flaky", 1) > 0.3)
    tasks = TaskScheduler(config=here(capacity=Resources(cpus=1.0)))
    tasks.add_task("flaky", flaky, retry=policy)
    tasks.add_task("other", lambda: order.append("other"))
    tasks.execute_dag().check()
    assert order == ["flaky", "other", "flaky"]


# ---- limits and cancel -----------------------------------------------------------------------------------------------


def test_a_thread_past_its_limit_is_waited_for_no_longer() -> None:
    go_on = threading.Event()
    tasks = TaskScheduler(config=here(capacity=Resources(cpus=2.0)))
    tasks.add_task("slow", lambda: go_on.wait(30), time_limit_s=0.1)
    tasks.add_task("after", never, after=["slow"])
    tasks.add_task("beside", lambda: 1)
    started = time.monotonic()
    results = tasks.execute_dag()
    go_on.set()
    assert time.monotonic() - started < 10
    assert results["slow"].status is TaskStatus.TIMED_OUT
    assert results["slow"].error == "it ran longer than its 0.1 s, and still runs: a thread cannot be ended"
    assert results["slow"].value is None
    assert (results["after"].status, results["after"].error) == (TaskStatus.SKIPPED, "'slow' ran past its time limit")
    assert results["beside"].is_done


def test_what_a_thread_past_its_limit_reserved_is_used_again_once_it_has_ended() -> None:
    ended: list[float] = []
    over = threading.Event()

    def asks() -> None:
        while not stop_requested():
            time.sleep(0.01)
        time.sleep(0.2)
        ended.append(time.monotonic())
        over.set()

    tasks = TaskScheduler(config=here(capacity=Resources(cpus=1.0), task_limit_s=0.1))
    tasks.add_task("asks", asks, priority=1)
    tasks.add_task("beside", lambda: over.wait(20), resources=Resources(cpus=0.0), priority=1, time_limit_s=30)
    tasks.add_task("next", time.monotonic)
    results = tasks.execute_dag()
    assert results["asks"].status is TaskStatus.TIMED_OUT
    assert results["next"].value > ended[0]
    assert not stop_requested()


def test_room_that_only_a_stuck_thread_holds_is_used_again_rather_than_waited_for_forever(tmp_path: Path) -> None:
    go_on = threading.Event()
    with EventLog(tmp_path / "events.jsonl") as log:
        tasks = TaskScheduler(config=here(capacity=Resources(cpus=1.0)), events=log)
        tasks.add_task("stuck", lambda: go_on.wait(30), time_limit_s=0.1, priority=1)
        tasks.add_task("next", lambda: "ran")
        results = tasks.execute_dag()
    go_on.set()
    assert results["next"].value == "ran"
    told = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    texts = [line["text"] for line in told if line["event"] == "task_overrun"]
    assert texts == ["task 'stuck' still runs past its time limit; what it reserved is used again"]


def test_a_limit_on_the_whole_ends_what_runs_and_starts_only_what_always_runs() -> None:
    go_on = threading.Event()
    tasks = TaskScheduler(config=here(capacity=Resources(cpus=1.0), time_limit_s=0.2))
    tasks.add_task("quick", lambda: 1, priority=2)
    tasks.add_task("slow", lambda: go_on.wait(30), priority=1)
    tasks.add_task("waiting", never)
    tasks.add_task("tidy", lambda: "tidied", after=["slow", "waiting"], always=True, resources=Resources(cpus=0.0))
    results = tasks.execute_dag()
    go_on.set()
    assert {name: result.status.value for name, result in results.items()} == {
        "quick": "done", "slow": "timed_out", "waiting": "cancelled", "tidy": "done",
    }  # fmt: skip
    assert results["slow"].error == "the tasks together had 0.2 s; it still runs in its thread"
    assert results["waiting"].error == "not run: the tasks together had 0.2 s"


@pytest.mark.parametrize("given_event", [False, True])
def test_cancel_ends_what_runs_and_keeps_what_is_done(given_event: bool) -> None:
    event = threading.Event() if given_event else None
    tasks = TaskScheduler("job", here(capacity=Resources(cpus=2.0)), cancel=event)
    tidied: list[int] = []

    def waits() -> None:
        (event.set if event else tasks.cancel)()
        while not stop_requested():
            time.sleep(0.01)

    tasks.add_task("done", lambda: 1)
    tasks.add_task("waits", waits, after=["done"])
    tasks.add_task("later", never, after=["waits"])
    tasks.add_task("tidy", lambda: tidied.append(1), after=["later"], always=True)
    started = time.monotonic()
    with pytest.raises(RunCancelledError, match="job: the tasks were cancelled"):
        tasks.execute_dag()
    assert time.monotonic() - started < 5
    status = {name: result.status.value for name, result in tasks.results.items()}
    assert status == {"done": "done", "waits": "cancelled", "later": "cancelled", "tidy": "done"}
    assert tidied == [1]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("task waits")]


def test_cancel_before_the_start_holds_for_one_execution() -> None:
    tasks = TaskScheduler(config=HERE)
    tasks.add_task("one", lambda: 1)
    tasks.cancel()
    with pytest.raises(RunCancelledError, match="cancelled"):
        tasks.execute_dag()
    assert tasks.results["one"].status is TaskStatus.CANCELLED
    assert tasks.execute_dag()["one"].value == 1


def test_tasks_that_always_run_have_a_while_after_a_cancel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "GRACE_S", 0.1)
    monkeypatch.setattr(execution, "LINGER_S", 0.1)
    go_on = threading.Event()
    tasks = TaskScheduler(config=HERE)
    tasks.add_task("tidy", lambda: go_on.wait(30), always=True)
    tasks.cancel()
    with pytest.raises(RunCancelledError, match="cancelled"):
        tasks.execute_dag()
    go_on.set()
    assert "tasks that always run had 0.1 s more" in tasks.results["tidy"].error


@pytest.mark.parametrize("where", ["driver", "caller"])
@pytest.mark.parametrize("error", [KeyboardInterrupt("stop"), RunCancelledError("stop")])
def test_a_request_to_stop_ends_everything_at_once(error: BaseException, where: Any) -> None:
    cancel = threading.Event()

    def asks_to_stop() -> None:
        raise error

    def sees_it() -> None:
        assert cancel.wait(20)

    tasks = TaskScheduler(config=here(capacity=Resources(cpus=2.0)), cancel=cancel)
    tasks.add_task("beside", sees_it)
    tasks.add_task("stop", asks_to_stop, where=where)
    tasks.add_task("tidy", never, after=["stop"], always=True)
    started = time.monotonic()
    with pytest.raises(type(error), match="stop"):
        tasks.execute_dag()
    assert time.monotonic() - started < 5
    assert all(result.status.is_final for result in tasks.results.values())


def test_one_scheduler_executes_once_at_a_time() -> None:
    begun, go_on = threading.Event(), threading.Event()
    tasks = TaskScheduler("one", HERE)
    tasks.add_task("waits", lambda: (begun.set(), go_on.wait(30)))
    thread = threading.Thread(target=tasks.execute_dag)
    thread.start()
    assert begun.wait(30)
    assert tasks.results["waits"].status is TaskStatus.RUNNING
    assert "◐ waits  running" in tasks.draw()
    with pytest.raises(ConfigError, match="one: the tasks are being executed already"):
        tasks.execute_dag()
    go_on.set()
    thread.join(30)
    assert tasks.results["waits"].is_done
