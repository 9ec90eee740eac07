"""`TaskScheduler` on random graphs: order, resources, skips, priorities, tries."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe import RetryPolicy, TaskScheduler
from raypipe.config import Resources
from raypipe.engine.tasks import TaskStatus
from tests.engine.task_graphs import HERE, Graph, Watch, descendants, graphs, here, never

CAPACITY = Resources(cpus=2.0, gpus=1.0, memory_gib=4.0)
needs = st.builds(
    Resources,
    cpus=st.sampled_from([0.0, 0.1, 0.5, 0.7, 1.0, 2.0]),
    gpus=st.sampled_from([0.0, 0.3, 1.0]),
    memory_gib=st.sampled_from([None, 0.5, 3.0]),
)


@settings(max_examples=60, deadline=None)
@given(graph=graphs(), data=st.data())
def test_every_task_runs_once_after_its_dependencies_within_what_there_is(graph: Graph, data: st.DataObject) -> None:
    watch = Watch()
    tasks = TaskScheduler("law", here(capacity=CAPACITY))
    for name, needed in graph.items():
        wanted = data.draw(needs)
        priority = data.draw(st.integers(0, 2))
        tasks.add_task(name, watch.task(name, needed, wanted), needed, resources=wanted, priority=priority)
    results = tasks.execute_dag()
    assert watch.calls == dict.fromkeys(graph, 1)
    assert watch.early == []
    for kind, most in watch.peak.items():
        assert most <= getattr(CAPACITY, kind) + 1e-9
    assert list(results) == list(graph)
    for name, needed in graph.items():
        result = results[name]
        assert result.value == 1 + sum(results[one].value for one in needed)
        assert (result.status, result.attempts, result.error) == (TaskStatus.DONE, 1, "")
        assert result.started_s is not None
        assert result.ended_s is not None
        assert 0 <= result.seconds <= result.ended_s - result.started_s + 1e-6
        assert all((results[one].ended_s or 0) <= result.started_s for one in needed)


@settings(max_examples=60, deadline=None)
@given(graph=graphs(), data=st.data())
def test_exactly_the_descendants_of_failed_tasks_are_skipped(graph: Graph, data: st.DataObject) -> None:
    failing = data.draw(st.sets(st.sampled_from(sorted(graph))))
    watch = Watch()
    tasks = TaskScheduler("law", here(capacity=CAPACITY))
    for name, needed in graph.items():
        tasks.add_task(name, watch.task(name, needed, Resources(), name in failing), needed)
    results = tasks.execute_dag()
    skipped = descendants(graph, failing)
    got = {name: result.status for name, result in results.items()}
    wanted = {
        name: TaskStatus.SKIPPED if name in skipped else TaskStatus.FAILED if name in failing else TaskStatus.DONE
        for name in graph
    }
    assert got == wanted
    assert set(watch.calls) == set(graph) - skipped
    for name in skipped:
        assert results[name].error.endswith(" failed")
        assert results[name].error.split("'")[1] in failing - skipped


@settings(max_examples=60, deadline=None)
@given(graph=graphs(), data=st.data())
def test_tasks_that_always_run_do_whatever_failed_before_them(graph: Graph, data: st.DataObject) -> None:
    failing = data.draw(st.sets(st.sampled_from(sorted(graph))))
    always = data.draw(st.sets(st.sampled_from(sorted(graph))))
    watch = Watch()
    tasks = TaskScheduler("law", here(capacity=CAPACITY))
    for name, needed in graph.items():
        tasks.add_task(name, watch.task(name, [], Resources(), name in failing), after=needed, always=name in always)
    results = tasks.execute_dag()
    assert always <= set(watch.calls)
    for name in graph.keys() - always:
        bad = any(results[one].status.is_bad for one in graph[name])
        assert (results[name].status is TaskStatus.SKIPPED) == bad


@settings(max_examples=60, deadline=None)
@given(priorities=st.lists(st.integers(-3, 3), min_size=1, max_size=12))
def test_ready_tasks_start_by_priority_and_then_in_the_order_of_adding(priorities: list[int]) -> None:
    begun: list[int] = []
    tasks = TaskScheduler("law", here(capacity=Resources(cpus=1.0)))
    for number, priority in enumerate(priorities):
        tasks.add_task(f"t{number}", begun.append, args=[number], priority=priority)
    tasks.execute_dag()
    assert begun == sorted(range(len(priorities)), key=lambda number: (-priorities[number], number))


@settings(max_examples=40, deadline=None)
@given(graph=graphs(8), failures=st.lists(st.integers(0, 4), min_size=8, max_size=8), attempts=st.integers(1, 4))
def test_a_task_is_tried_until_it_is_done_and_never_more_often_than_allowed(
    graph: Graph, failures: list[int], attempts: int
) -> None:
    calls: Counter[str] = Counter()
    tasks = TaskScheduler("law", here(retry=RetryPolicy(attempts=attempts, first_pause_s=0.0)))

    def flaky(name: str, fails: int) -> int:
        calls[name] += 1
        if calls[name] <= fails:
            raise ConnectionError(f"try {calls[name]}")
        return calls[name]

    fails = dict(zip(sorted(graph), failures, strict=False))
    for name, needed in graph.items():
        tasks.add_task(name, flaky, after=needed, args=(name, fails[name]))
    results = tasks.execute_dag()
    for name, result in results.items():
        if result.status is TaskStatus.SKIPPED:
            assert calls[name] == 0
        else:
            assert calls[name] == result.attempts == min(fails[name] + 1, attempts)
            assert result.is_done == (fails[name] < attempts)


def test_a_long_chain_and_a_wide_graph_end() -> None:
    tasks = TaskScheduler(config=HERE)
    for number in range(1500):
        tasks.add_task(f"c{number}", lambda: None, [f"c{number - 1}"] if number else [])
        tasks.add_task(f"w{number}", lambda: None)
    tasks.add_task("fails", lambda: 1 / 0)
    for number in range(1500):
        tasks.add_task(f"s{number}", never, [f"s{number - 1}"] if number else ["fails"])
    counts = Counter(result.status for result in tasks.execute_dag().values())
    assert counts == {TaskStatus.DONE: 3000, TaskStatus.SKIPPED: 1500, TaskStatus.FAILED: 1}
