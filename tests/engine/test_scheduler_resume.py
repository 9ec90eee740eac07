"""Results that outlive the process: computed again only where something changed, unpickled only where signed by us."""

from __future__ import annotations

import functools
import logging
import os
import pickle
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raypipe import RetryPolicy, SchedulerConfig, TaskScheduler
from raypipe.engine.fingerprint import fingerprint
from raypipe.engine.taskstore import TaskStore
from tests.engine.task_graphs import Graph, graphs

CALLS: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYPIPE_RESUME_KEY", "a secret of the test")
    CALLS.clear()


def keeping(folder: Path) -> SchedulerConfig:
    return SchedulerConfig(where="driver", retry=RetryPolicy(attempts=1), resume=folder / "kept")


# ---- laws ------------------------------------------------------------------------------------------------------------


FAILING: set[str] = set()


def compute(name: str, seed: int, *values: int) -> int:
    CALLS[name] += 1
    if name in FAILING:
        raise ValueError(name)
    return seed + sum(values)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(graph=graphs(), data=st.data())
def test_a_resumed_run_computes_only_what_was_missing_and_ends_with_equal_results(
    graph: Graph, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("resume")

    def execute(config: SchedulerConfig) -> dict[str, Any]:
        CALLS.clear()
        tasks = TaskScheduler("law", config)
        for place, (name, needed) in enumerate(graph.items()):
            tasks.add_task(name, functools.partial(compute, name, place), needed)
        return {name: (one.value, one.resumed) for name, one in tasks.execute_dag().items()}

    FAILING.clear()
    wanted = execute(SchedulerConfig(where="driver"))
    FAILING.update(data.draw(st.sets(st.sampled_from(sorted(graph)))))
    first = execute(keeping(folder))
    done = {name for name, (value, _) in first.items() if value is not None}
    FAILING.clear()
    lost = data.draw(st.sets(st.sampled_from(sorted(done)))) if done else set()
    for name in lost:
        TaskStore(folder / "kept", b"")._path(name).unlink()
    second = execute(keeping(folder))
    assert {name: value for name, (value, _) in second.items()} == {name: value for name, (value, _) in wanted.items()}
    assert set(CALLS) == set(graph) - (done - lost)
    assert {name for name, (_, resumed) in second.items() if resumed} == done - lost
    third = execute(keeping(folder))
    assert not CALLS
    assert all(resumed for _, resumed in third.values())


PLAIN = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.binary(max_size=5),
        st.complex_numbers(),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
        st.frozensets(st.integers(), max_size=3),
    ),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(one=PLAIN, other=PLAIN)
def test_fingerprints_are_equal_exactly_where_values_look_the_same(one: Any, other: Any) -> None:
    assert fingerprint(one) == fingerprint(pickle.loads(pickle.dumps(one)))
    assert (fingerprint(one) == fingerprint(other)) == (shape(one) == shape(other))


def shape(value: Any) -> str:
    if isinstance(value, frozenset):
        return f"frozenset({sorted(value)})"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}({[shape(one) for one in value]})"
    if isinstance(value, dict):
        return f"dict({[(shape(key), shape(one)) for key, one in value.items()]})"
    return repr(value)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10**6), bit=st.integers(0, 7), cut=st.booleans())
def test_a_file_that_was_changed_or_cut_anywhere_is_as_good_as_absent(
    place: int, bit: int, cut: bool, tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture
) -> None:
    store = TaskStore(tmp_path_factory.mktemp("kept"), b"key")
    mark = fingerprint("call")
    store.keep("a", mark, {"value": list(range(20))})
    path = store._path("a")
    content = bytearray(path.read_bytes())
    at = place % len(content)
    if cut:
        del content[at:]
    else:
        content[at] ^= 1 << bit
    path.write_bytes(bytes(content))
    assert store.find("a", mark) is None
    assert "is damaged, or was signed with another key" in caplog.text


# ---- what counts as the same call ------------------------------------------------------------------------------------


def run_twice(folder: Path, first: Any, second: Any, options: tuple[dict[str, Any], ...] = ({}, {})) -> bool:
    """Whether `second` was taken from what `first` left."""
    for fn, more in zip((first, second), options, strict=True):
        tasks = TaskScheduler(config=keeping(folder))
        tasks.add_task("a", fn, **more)
        result = tasks.execute_dag().check()["a"]
    return result.resumed


RATE = 2


def uses_rate() -> int:
    return RATE


def by_helper() -> int:
    return uses_rate() + 1


def add(n: int) -> Any:
    return lambda: n


def test_the_same_call_is_recognised(tmp_path: Path) -> None:
    assert run_twice(tmp_path, by_helper, by_helper)


@pytest.mark.parametrize(
    ("first", "second", "options"),
    [
        (lambda: 1, lambda: 2, ({}, {})),
        (add(1), add(2), ({}, {})),
        (lambda n: n, lambda n: n, ({"args": [1]}, {"args": [2]})),
        (lambda n: n, lambda n: n, ({"kwargs": {"n": 1}}, {"kwargs": {"n": True}})),
        (functools.partial(max, 1, 2), functools.partial(max, 1, 3), ({}, {})),
        (lambda n=1: n, lambda n=2: n, ({}, {})),
        ("a".upper, "b".upper, ({}, {})),
    ],
)
def test_another_function_or_other_arguments_are_computed_again(
    first: Any, second: Any, options: Any, tmp_path: Path
) -> None:
    assert not run_twice(tmp_path, first, second, options)


def test_a_constant_or_a_helper_of_the_module_that_changed_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fingerprint(by_helper)
    monkeypatch.setattr(sys.modules[__name__], "RATE", 3)
    assert fingerprint(by_helper) != before


def test_what_gets_another_value_is_computed_again_and_what_gets_the_same_is_not(tmp_path: Path) -> None:
    def execute(source: Any) -> list[str]:
        CALLS.clear()
        tasks = TaskScheduler(config=keeping(tmp_path))
        tasks.add_task("source", source)
        tasks.add_task("half", lambda n: (CALLS.update(["half"]), n // 2)[1], ["source"])
        tasks.add_task("last", lambda n: (CALLS.update(["last"]), n)[1], ["half"])
        tasks.execute_dag().check()
        return sorted(CALLS)

    assert execute(lambda: 6) == ["half", "last"]
    assert execute(lambda: 7) == ["half"]  # half of 7 is that of 6, so the last one gets the same
    assert execute(lambda: 8) == ["half", "last"]


def test_tasks_that_always_run_do_so_on_resume_too(tmp_path: Path) -> None:
    for _ in range(2):
        tasks = TaskScheduler(config=keeping(tmp_path))
        tasks.add_task("a", lambda: 1)
        tasks.add_task("tidy", lambda: CALLS.update(["tidy"]), after=["a"], always=True)
        tasks.add_task("last", lambda: CALLS.update(["last"]), after=["tidy"])
        tasks.execute_dag().check()
    assert CALLS == {"tidy": 2, "last": 1}


def test_what_cannot_be_pickled_is_computed_again_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        tasks = TaskScheduler(config=keeping(tmp_path))
        tasks.add_task("lock", threading.Lock)
        tasks.add_task("given a lock", lambda lock: CALLS.update(["given"]), args=[threading.Lock()])
        tasks.add_task("after", lambda lock: CALLS.update(["after"]), ["lock"])
        tasks.execute_dag().check()
    assert CALLS == {"given": 2, "after": 2}
    assert "task 'lock' is not kept for a later run: its value cannot be pickled" in caplog.text
    assert "task 'given a lock' is not kept for a later run" in caplog.text


# ---- the folder ------------------------------------------------------------------------------------------------------


class Dangerous:
    """Unpickling it would leave a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = str(mark)

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (self.mark, "w"))


def test_nothing_is_unpickled_that_was_not_signed_with_our_key(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mark, digest = tmp_path / "mark", fingerprint("call")
    TaskStore(tmp_path, b"theirs").keep("a", digest, Dangerous(mark))
    assert TaskStore(tmp_path, b"ours").find("a", digest) is None
    assert not mark.exists()
    assert "signed with another key" in caplog.text


def test_a_file_cannot_stand_in_for_that_of_another_task_or_call(tmp_path: Path) -> None:
    store = TaskStore(tmp_path, b"ours")
    store.keep("a", fingerprint("call"), 1)
    store._path("a").rename(store._path("b"))
    assert store.find("b", fingerprint("call")) is None
    store.keep("a", fingerprint("call"), 1)
    assert store.find("a", fingerprint("another call")) is None
    assert store.find("a", fingerprint("call")) is not None


@pytest.mark.parametrize("name", ["../../escape", "a/b", "nul\0", "\ud800", "x" * 5000, "..", "a\nb"])
def test_no_name_leaves_the_folder(name: str, tmp_path: Path) -> None:
    tasks = TaskScheduler(config=keeping(tmp_path))
    tasks.add_task(name, lambda: 1)
    tasks.execute_dag().check()
    assert [path.parent.name for path in tmp_path.rglob("*") if path.is_file()] == ["kept"]
    assert len(list((tmp_path / "kept").iterdir())) == 1


def test_a_folder_that_cannot_be_written_is_said_and_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "kept").write_text("a file, where a folder should be")
    tasks = TaskScheduler(config=keeping(tmp_path))
    tasks.add_task("a", lambda: 1)
    with caplog.at_level(logging.WARNING):
        assert tasks.execute_dag()["a"].value == 1
    assert "task 'a' is not kept for a later run: " in caplog.text


SCRIPT = """
import os, signal
from raypipe import SchedulerConfig, TaskScheduler

def step(*before, number):
    print(number, flush=True)
    if number == int(os.environ["KILL_AT"]):
        os.kill(os.getpid(), signal.SIGKILL)
    return {"numbers": {number, *(one for kept in before for one in kept["numbers"])}}

tasks = TaskScheduler("steps", SchedulerConfig(where="driver", resume="kept"))
for number in range(4):
    tasks.add_task(f"step {number}", step, [f"step {number - 1}"] if number else [], kwargs={"number": number})
print("result", sorted(tasks.execute_dag().check()["step 3"].value["numbers"]))
"""


def test_a_process_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    script = tmp_path / "steps.py"
    script.write_text(textwrap.dedent(SCRIPT))

    def run(kill_at: int) -> list[str]:
        done = subprocess.run(
            [sys.executable, str(script)],
            cwd=tmp_path,
            env={**os.environ, "KILL_AT": str(kill_at)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode == 0) == (kill_at < 0), done.stderr
        return done.stdout.split("\n")[:-1]

    assert run(2) == ["0", "1", "2"]
    assert run(3) == ["2", "3"]
    assert run(-1) == ["3", "result [0, 1, 2, 3]"]
    assert run(-1) == ["result [0, 1, 2, 3]"]
