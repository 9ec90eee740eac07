"""`TaskScheduler`: what is refused before anything starts, what functions get, where they run."""

from __future__ import annotations

import asyncio
import itertools
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe import RaypipeError, TaskScheduler
from raypipe.config import Resources
from raypipe.engine.tasks import TaskStatus
from raypipe.errors import ConfigError
from tests.engine.task_graphs import HERE, here, never

# ---- before anything starts ------------------------------------------------------------------------------------------


def test_a_circle_is_shown_and_nothing_starts() -> None:
    tasks = TaskScheduler("nightly", HERE)
    tasks.add_task("free", never)
    tasks.add_task("a", never, ["b"])
    tasks.add_task("b", never, ["a"])
    tasks.add_task("after", never, ["b"])
    with pytest.raises(ConfigError, match=r"nightly: .* in a circle.*: a > b > a \(each waits for the one before it\)"):
        tasks.execute_dag()
    with pytest.raises(ConfigError, match="in a circle"):
        tasks.draw()
    assert {result.status for result in tasks.results.values()} == {TaskStatus.WAITING}


@settings(max_examples=60, deadline=None)
@given(length=st.integers(1, 30), tail=st.integers(0, 5), seed=st.randoms(use_true_random=False))
def test_a_circle_of_any_length_is_shown_whole(length: int, tail: int, seed: Any) -> None:
    edges = {f"c{n}": [f"c{(n - 1) % length}"] for n in range(length)}
    edges |= {f"d{n}": [f"d{n - 1}" if n else "c0"] for n in range(tail)}
    names = list(edges)
    seed.shuffle(names)
    tasks = TaskScheduler("ring", HERE)
    for name in names:
        tasks.add_task(name, never, edges[name])
    with pytest.raises(ConfigError, match="in a circle") as caught:
        tasks.execute_dag()
    shown = str(caught.value).split("start: ")[1].split(" (")[0].split(" > ")
    assert len(shown) == length + 1
    assert shown[0] == shown[-1]
    assert all(edges[later] == [earlier] for earlier, later in itertools.pairwise(shown))


def test_every_missing_dependency_is_named_with_what_was_meant() -> None:
    tasks = TaskScheduler("nightly", HERE)
    tasks.add_task("clean", never)
    tasks.add_task("train", never, ["claen"])
    tasks.add_task("report", never, after=["nothing like it"])
    said = (
        r"'train' waits for 'claen', which was not added\. Did you mean 'clean'\?; 'report' waits for 'nothing like it'"
    )
    with pytest.raises(ConfigError, match=said + r".*Tasks: clean, train, report"):
        tasks.execute_dag()


async def coroutine() -> int:
    return 1


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"name": "load", "fn": never}, "'load': a task of this name was added already"),
        ({"name": "", "fn": never}, "got '' as its name"),
        ({"name": 3, "fn": never}, "got 3 as its name"),
        ({"name": "x", "fn": 3}, r"fn=3; wanted a function \(without calling it"),
        ({"name": "x", "fn": coroutine}, r"fn is async; wrap it: fn=lambda: asyncio.run\(coroutine\(\)\)"),
        ({"name": "x", "fn": never, "dependencies": "load"}, r"dependencies='load'; wanted a list: dependencies=\['lo"),
        ({"name": "x", "fn": never, "after": [never]}, "after holds <function never"),
        ({"name": "x", "fn": print, "args": "ab"}, r"args='ab'; wanted a list"),
        ({"name": "x", "fn": never, "where": "moon"}, "where='moon'; wanted one of cluster, driver, caller"),
        ({"name": "x", "fn": never, "time_limit_s": 0}, "time_limit_s=0; wanted seconds above 0"),
        ({"name": "x", "fn": never, "time_limit_s": 1, "where": "caller"}, "cannot have a time limit"),
        ({"name": "x", "fn": never, "priority": float("nan")}, "priority=nan; wanted a number"),
        (
            {"name": "x", "fn": lambda a, b: 0, "dependencies": ["load"]},
            r"\(a, b\) cannot be called with the value of 'load': missing.*'b'.*after=",
        ),
        ({"name": "x", "fn": lambda a: 0}, r"\(a\) cannot be called with nothing: missing"),
        ({"name": "x", "fn": never, "args": [1]}, r"never\(\).* cannot be called with args of 1: too many"),
        ({"name": "x", "fn": lambda a: 0, "kwargs": {"b": 1}}, "cannot be called with kwargs b"),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_added(given: dict[str, Any], text: str) -> None:
    tasks = TaskScheduler("nightly", HERE)
    tasks.add_task("load", never)
    with pytest.raises(ConfigError, match=f"nightly: task.*{text}"):
        tasks.add_task(**given)
    assert list(tasks.results) == ["load"]


def test_a_task_that_asks_for_more_than_there_is_is_refused_before_anything_starts() -> None:
    tasks = TaskScheduler("nightly", here(capacity=Resources(cpus=2.0, memory_gib=1.0)))
    tasks.add_task("small", never)
    tasks.add_task("big", never, resources=Resources(cpus=2.5, gpus=1.0, memory_gib=3.0))
    said = "'big' asks for 2.5 CPU of 2 CPU, 1 GPU of 0 GPU, 3 GiB of memory of 1 GiB of memory that there are"
    with pytest.raises(ConfigError, match=said):
        tasks.execute_dag()


# ---- values ----------------------------------------------------------------------------------------------------------


def test_values_come_in_the_order_of_the_dependencies_before_other_arguments() -> None:
    tasks = TaskScheduler(config=HERE)
    tasks.add_task("a", lambda: "A")
    tasks.add_task("b", lambda: "B")
    tasks.add_task("waits", lambda: "no values asked for", ["a", "b"])
    tasks.add_task("only_after", lambda x: x, args=["x"], after=["a"])
    tasks.add_task("all", lambda *v, **k: (v, k), ["b", "a"], args=("c", None), kwargs={"d": 4})
    tasks.add_task("partly", lambda a, b="default": (a, b), ["a"])
    results = tasks.execute_dag().check()
    values = {name: result.value for name, result in results.items()}
    assert values["all"] == (("B", "A", "c", None), {"d": 4})
    assert (values["waits"], values["only_after"], values["partly"]) == ("no values asked for", "x", ("A", "default"))


def test_a_task_that_always_runs_gets_none_for_a_value_that_there_is_not() -> None:
    tasks = TaskScheduler(config=HERE)
    tasks.add_task("good", lambda: 1)
    tasks.add_task("bad", lambda: 1 / 0)
    tasks.add_task("report", lambda good, bad: (good, bad, tasks.results["bad"].error), ["good", "bad"], always=True)
    results = tasks.execute_dag()
    assert results["report"].value == (1, None, "ZeroDivisionError: division by zero")
    with pytest.raises(RaypipeError, match="tasks: 1 of 3 tasks have no result. 'bad' failed: ZeroDivisionError"):
        results.check()
    assert [result.name for result in results.failed] == ["bad"]
    with pytest.raises(KeyError, match="there is no task 'god'. Did you mean 'good'"):
        results["god"]


def test_no_tasks_are_no_work() -> None:
    assert dict(TaskScheduler(config=HERE).execute_dag()) == {}


@pytest.mark.parametrize("error", [SystemExit(3), MemoryError(), asyncio.CancelledError()])
def test_whatever_a_task_raises_fails_it_alone(error: BaseException) -> None:
    def raises() -> None:
        raise error

    tasks = TaskScheduler(config=HERE)
    tasks.add_task("bad", raises)
    tasks.add_task("good", lambda: 1)
    results = tasks.execute_dag()
    assert results["good"].is_done
    assert results["bad"].error.startswith(type(error).__name__)


def test_a_task_may_run_tasks_of_its_own() -> None:
    def inner() -> int:
        tasks = TaskScheduler("inner", HERE)
        tasks.add_task("one", lambda: 1)
        return tasks.execute_dag()["one"].value

    tasks = TaskScheduler("outer", HERE)
    tasks.add_task("inner", inner)
    assert tasks.execute_dag()["inner"].value == 1


def test_tasks_run_at_the_same_time() -> None:
    meet = threading.Barrier(3)
    tasks = TaskScheduler(config=here(capacity=Resources(cpus=3.0)))
    for name in "abc":
        tasks.add_task(name, lambda: meet.wait(20) >= 0)
    assert not tasks.execute_dag().failed


def test_a_task_of_the_caller_runs_in_its_thread_beside_the_others() -> None:
    other, met = threading.Event(), threading.Event()

    def in_thread() -> int:
        other.set()
        assert met.wait(20)
        return threading.get_ident()

    def in_caller() -> int:
        assert other.wait(20)
        met.set()
        return threading.get_ident()

    tasks = TaskScheduler(config=here(capacity=Resources(cpus=2.0)))
    tasks.add_task("first", in_caller, where="caller")
    tasks.add_task("second", in_caller, where="caller")
    tasks.add_task("thread", in_thread)
    results = tasks.execute_dag().check()
    assert results["first"].value == results["second"].value == threading.get_ident() != results["thread"].value
    assert results["first"].where == "caller"


def test_a_task_that_finds_no_room_holds_back_those_of_lower_priority_but_not_its_equals() -> None:
    begun: list[str] = []
    go_on = threading.Event()
    tasks = TaskScheduler(config=here(capacity=Resources(cpus=2.0)))
    tasks.add_task("holds one", lambda: (begun.append("holds one"), go_on.wait(20)), priority=9)
    tasks.add_task("big", lambda: begun.append("big"), resources=Resources(cpus=2.0), priority=5)
    tasks.add_task("equal", lambda: begun.append("equal"), priority=5)
    tasks.add_task("low", lambda: begun.append("low"), priority=1)
    tasks.add_task("opens", go_on.set, after=["equal"], priority=6)
    tasks.execute_dag().check()
    assert begun == ["holds one", "equal", "big", "low"]
