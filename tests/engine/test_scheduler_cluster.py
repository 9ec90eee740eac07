"""`TaskScheduler` on Ray: resources, values, lost workers, limits that really end a task, Ctrl-C."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raypipe import RetryPolicy, SchedulerConfig, TaskScheduler
from raypipe.config import Resources
from raypipe.engine.events import EventLog
from raypipe.engine.session import Session
from raypipe.engine.tasks import TaskStatus
from raypipe.errors import ConfigError, RunCancelledError
from tests.engine.task_graphs import Graph, descendants, graphs

ONCE = RetryPolicy(attempts=1)
THERE = SchedulerConfig(where="cluster", retry=ONCE)
HALF = Resources(cpus=0.5)
NONE = Resources(cpus=0.0)


@pytest.fixture(autouse=True)
def _ray(ray_session: Session) -> None:
    """A private Ray with two CPUs."""


def there(**changes: Any) -> SchedulerConfig:
    return THERE.replace(**changes)


def wait_for(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("it never came true")


def log(path: str, word: str) -> None:
    with open(path, "a") as file:
        file.write(f"{word}\n")


def times_in(path: Path) -> list[tuple[str, str, float, float]]:
    return [(a, b, float(c), float(d)) for a, b, c, d in (line.split() for line in path.read_text().splitlines())]


def work(*values: int, path: str, name: str, cpus: float, fails: bool) -> int:
    begun = time.monotonic()
    time.sleep(0.005)
    log(path, f"{name} {cpus} {begun} {time.monotonic()}")
    if fails:
        raise ValueError(name)
    return 1 + sum(values)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(graph=graphs(8), data=st.data())
def test_the_laws_of_order_resources_and_skips_hold_on_the_cluster(
    graph: Graph, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("law") / "log"
    failing = data.draw(st.sets(st.sampled_from(sorted(graph)), max_size=2))
    tasks = TaskScheduler("law", there(capacity=Resources(cpus=1.0)))
    for name, needed in graph.items():
        cpus = data.draw(st.sampled_from([0.3, 0.5, 1.0]))
        given_values = {"path": str(path), "name": name, "cpus": cpus, "fails": name in failing}
        where = data.draw(st.sampled_from(["cluster", "driver"]))
        tasks.add_task(name, work, needed, kwargs=given_values, resources=Resources(cpus=cpus), where=where)
    results = tasks.execute_dag()
    skipped = descendants(graph, failing)
    wanted = {
        name: TaskStatus.SKIPPED if name in skipped else TaskStatus.FAILED if name in failing else TaskStatus.DONE
        for name in graph
    }
    assert {name: result.status for name, result in results.items()} == wanted
    ran = {name: (float(cpus), begun, ended) for name, cpus, begun, ended in times_in(path)}
    assert sorted(ran) == sorted(set(graph) - skipped)
    assert len(times_in(path)) == len(ran)
    for name, (_, begun, _) in ran.items():
        assert all(ran[needed][2] <= begun for needed in graph[name])
        at_once = sum(cpus for cpus, other, ended in ran.values() if other <= begun < ended)
        assert at_once <= 1.0 + 1e-9
        if results[name].is_done:
            assert results[name].value == 1 + sum(results[one].value for one in graph[name])


def test_values_travel_between_threads_and_workers_and_each_knows_where_it_ran() -> None:
    tasks = TaskScheduler(config=SchedulerConfig(retry=ONCE))  # auto: there is a Ray, so tasks run on it
    here: dict[str, Any] = {"where": "driver"}
    tasks.add_task("here", lambda: (os.getpid(), "here"), **here)
    tasks.add_task("there", lambda value: (os.getpid(), value[1] + " there"), ["here"])
    tasks.add_task(
        "back", lambda value, more: (os.getpid(), value[1] + more), ["there"], args=[" back"], where="driver"
    )
    tasks.add_task("without", lambda value: value, ["nothing"])
    tasks.add_task("nothing", lambda: None)
    results = tasks.execute_dag().check()
    assert results["back"].value == (os.getpid(), "here there back")
    assert results["there"].value[0] != os.getpid()
    assert [results[name].where for name in ("here", "there", "back")] == ["driver", "cluster", "driver"]
    assert results["without"].value is None


def test_a_lost_worker_is_counted_as_a_try_and_the_task_runs_again(tmp_path: Path) -> None:
    path = tmp_path / "log"

    def dies_twice() -> int:
        log(str(path), "try")
        if len(path.read_text().split()) < 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return 7

    tasks = TaskScheduler(config=there(retry=RetryPolicy(attempts=3, first_pause_s=0.01)))
    tasks.add_task("dies", dies_twice, resources=HALF)
    tasks.add_task("beside", lambda: 1, resources=HALF)
    result = tasks.execute_dag().check()["dies"]
    assert (result.value, result.attempts) == (7, 3)
    assert path.read_text().split() == ["try"] * 3


def test_a_task_that_always_kills_its_worker_fails_after_finite_tries(tmp_path: Path) -> None:
    path = tmp_path / "log"

    def dies() -> None:
        log(str(path), "try")
        os.kill(os.getpid(), signal.SIGKILL)

    tasks = TaskScheduler(config=there(retry=RetryPolicy(attempts=2, first_pause_s=0.01)))
    tasks.add_task("dies", dies)
    tasks.add_task("after", lambda: 1, after=["dies"])
    results = tasks.execute_dag()
    assert results["dies"].status is TaskStatus.FAILED
    assert results["dies"].error.startswith("its worker was lost: WorkerCrashedError")
    assert results["dies"].error.endswith("(2 tries)")
    assert results["after"].status is TaskStatus.SKIPPED
    assert path.read_text().split() == ["try"] * 2


def test_errors_are_tried_again_by_their_class_and_told_in_their_words() -> None:
    class OfTheScriptError(Exception):
        def __reduce__(self) -> Any:
            raise TypeError("this one does not pickle")

    def raises(error: str) -> None:
        raise {"net": ConnectionError("away"), "value": ValueError("wrong"), "own": OfTheScriptError("odd")}[error]

    tasks = TaskScheduler(config=there(retry=RetryPolicy(attempts=2, first_pause_s=0.0)))
    for name in ("net", "value", "own"):
        tasks.add_task(name, raises, args=[name], resources=HALF)
    tasks.add_task("exit", lambda: sys.exit(3), resources=HALF)
    results = tasks.execute_dag()
    assert {name: (one.error, one.attempts) for name, one in results.items()} == {
        "net": ("ConnectionError: away (2 tries)", 2),
        "value": ("ValueError: wrong", 1),
        "own": ("OfTheScriptError: odd", 1),
        "exit": ("SystemExit: 3", 1),
    }


def test_what_cannot_be_sent_fails_with_advice_and_what_cannot_be_sent_back_too() -> None:
    tasks = TaskScheduler(config=THERE)
    tasks.add_task("sent", lambda lock: 1, args=[threading.Lock()])
    tasks.add_task("back", threading.Lock)
    tasks.add_task("fine", lambda: 1)
    results = tasks.execute_dag()
    assert "it cannot be sent to a worker: TypeError" in results["sent"].error
    assert results["sent"].error.endswith('where="driver" runs it in this process')
    assert "cannot pickle '_thread.lock' object" in results["back"].error
    assert results["fine"].value == 1


def sleeps(path: str) -> None:
    log(path, str(os.getpid()))
    time.sleep(600)


def is_gone(path: Path) -> bool:
    return all(not psutil.pid_exists(int(pid)) for pid in path.read_text().split())


def test_a_task_past_its_limit_is_really_ended_and_its_room_is_free_again(tmp_path: Path) -> None:
    path = tmp_path / "log"
    tasks = TaskScheduler(config=there(capacity=Resources(cpus=1.0)))
    tasks.add_task("slow", sleeps, args=[str(path)], time_limit_s=0.3, priority=1)
    tasks.add_task("after", lambda: 1, after=["slow"])
    tasks.add_task("next", lambda: "ran")
    results = tasks.execute_dag()
    assert (results["slow"].status, results["slow"].error) == (TaskStatus.TIMED_OUT, "it ran longer than its 0.3 s")
    assert 0.3 <= results["slow"].seconds < 20
    assert results["after"].error == "'slow' ran past its time limit"
    assert results["next"].value == "ran"
    wait_for(lambda: is_gone(path))


def test_a_task_past_its_limit_is_tried_again_where_the_policy_says_so(tmp_path: Path) -> None:
    path = tmp_path / "log"

    def slow_once() -> str:
        log(str(path), str(os.getpid()))
        if len(path.read_text().split()) == 1:
            time.sleep(600)
        return "done"

    policy = RetryPolicy(attempts=2, first_pause_s=0.0, on_time_limit=True)
    tasks = TaskScheduler(config=there(retry=policy))
    tasks.add_task("slow", slow_once, time_limit_s=2.0)
    result = tasks.execute_dag().check()["slow"]
    assert (result.value, result.attempts) == ("done", 2)


def test_cancel_ends_tasks_on_the_cluster(tmp_path: Path) -> None:
    path = tmp_path / "log"
    tasks = TaskScheduler(config=THERE)
    tasks.add_task("slow", sleeps, args=[str(path)], resources=HALF)
    tasks.add_task("slow too", sleeps, args=[str(path)], resources=HALF)
    tasks.add_task("later", lambda: 1, after=["slow"])
    threading.Thread(
        target=lambda: (wait_for(lambda: path.exists() and len(path.read_text().split()) == 2), tasks.cancel())
    ).start()
    with pytest.raises(RunCancelledError, match="cancelled"):
        tasks.execute_dag()
    assert {result.status for result in tasks.results.values()} == {TaskStatus.CANCELLED}
    wait_for(lambda: is_gone(path))


def test_a_task_that_no_node_has_room_for_is_refused_on_a_private_ray() -> None:
    tasks = TaskScheduler("train", THERE)
    tasks.add_task("gpu", lambda: 1, resources=Resources(gpus=1.0))
    with pytest.raises(ConfigError, match="train: task 'gpu' asks for 1 GPU of 0 GPU that there are"):
        tasks.execute_dag()


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (Resources(gpus=1.0), "1 GPU (0 free)"),
        (Resources(labels={"ray.io/market-type": "spot"}), "a node with ray.io/market-type=spot"),
    ],
)
def test_it_says_which_resource_a_task_waits_for_and_for_how_long(wanted: Resources, text: str) -> None:
    seen: list[str] = []

    class Seen(EventLog):
        def emit(self, event: str, **fields: Any) -> None:
            if event == "stall":
                seen.append(fields["text"])
                tasks.cancel()

    # The capacity claims a GPU that this Ray does not have, as a cluster does whose nodes are all taken.
    config = there(capacity=Resources(cpus=2.0, gpus=1.0), stall_warning_s=0.3)
    tasks = TaskScheduler(config=config, events=Seen())
    tasks.add_task("train", lambda: 1, resources=wanted)
    with pytest.raises(RunCancelledError, match="cancelled"):
        tasks.execute_dag()
    assert seen == [
        f"task 'train' has waited 0 s for {text}. Add nodes, end what holds it, or ask for less in resources="
    ]
    assert tasks.results["train"].started_s is None


def test_memory_is_reserved_and_hostile_names_are_only_names() -> None:
    tasks = TaskScheduler(config=THERE)
    names = ["nul\0", "\ud800", "x" * 500, "a\nb", "<b>"]
    for name in names:
        tasks.add_task(name, lambda: 1, resources=Resources(cpus=0.5, memory_gib=0.1))
    assert [result.value for result in tasks.execute_dag().check().values()] == [1] * len(names)


def test_waiting_for_a_worker_does_not_count_as_running() -> None:
    config = there(task_limit_s=2.5, capacity=Resources(cpus=6.0))  # three times of what there is
    tasks = TaskScheduler(config=config)
    for number in range(6):
        tasks.add_task(f"t{number}", time.sleep, args=[1.0])
    results = tasks.execute_dag().check()
    assert max(result.waited_s + result.seconds for result in results.values()) > 2.5
    assert all(1.0 <= result.seconds < 2.5 for result in results.values())


def test_warm_workers_of_the_engine_make_room(ray_session: Session) -> None:
    whole = Resources(cpus=1.0)
    workers = ray_session.take_workers(2, whole, 0)
    wait_for(lambda: ray_session.ray.available_resources().get("CPU", 0.0) < 0.5)
    ray_session.give_back(workers, whole)
    del workers
    tasks = TaskScheduler(config=THERE)
    tasks.add_task("needs both", lambda: 1, resources=Resources(cpus=2.0))
    assert tasks.execute_dag().check()["needs both"].value == 1


def test_a_value_is_put_into_the_object_store_once_for_all_who_get_it() -> None:
    big = random.Random(1).randbytes(3 << 20)
    tasks = TaskScheduler(config=THERE)
    tasks.add_task("big", lambda: big)
    for number in range(4):
        tasks.add_task(f"t{number}", len, ["big"], resources=HALF)
    results = tasks.execute_dag().check()
    assert {results[f"t{number}"].value for number in range(4)} == {len(big)}


INTERRUPTED = """
import os, sys, time
from raypipe import SchedulerConfig, TaskScheduler

def sleeps():
    open(f"pid-{os.getpid()}", "w").close()
    time.sleep(600)

def main():
    tasks = TaskScheduler("job", SchedulerConfig(where=sys.argv[1]))
    tasks.add_task("one", sleeps)
    tasks.add_task("two", sleeps, where="driver")
    try:
        tasks.execute_dag()
    except KeyboardInterrupt:
        print(*(result.status.value for result in tasks.results.values()), flush=True)
        raise

main()
"""


@pytest.mark.parametrize("where", ["driver", "cluster"])
def test_ctrl_c_ends_everything_promptly(where: str, tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(INTERRUPTED)
    command = [sys.executable, str(tmp_path / "job.py"), where]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=kept,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A test run in the background of a shell ignores SIGINT, and its children would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        wanted = 1 if where == "driver" else 2
        wait_for(lambda: len(list(tmp_path.glob("pid-*"))) == wanted, 60)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        sent = time.monotonic()
        said = process.communicate(timeout=30)[0].decode()
    assert time.monotonic() - sent < 20
    assert said.split() == ["cancelled", "cancelled"]
    assert process.returncode != 0
    wait_for(lambda: not [path for path in tmp_path.glob("pid-*") if psutil.pid_exists(int(path.name[4:]))])
