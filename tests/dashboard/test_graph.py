"""Graphs of tasks as figures and as a page: everything is there, nothing of a name runs."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from raypipe import RetryPolicy, SchedulerConfig, TaskScheduler
from raypipe.dashboard.graph import MAX_BARS, MAX_BOXES, graph_chart, task_table, timing_chart, write_graph
from raypipe.dashboard.levelled import BOX, LINE, place
from raypipe.errors import ConfigError
from tests.dashboard.conftest import HOSTILE
from tests.engine.task_graphs import Graph, graphs

HERE = SchedulerConfig(where="driver", retry=RetryPolicy(attempts=1))


def scheduled(graph: Graph, fn: Any = lambda: None) -> TaskScheduler:
    tasks = TaskScheduler("law", HERE)
    for name, needed in graph.items():
        tasks.add_task(name, fn, after=needed)
    return tasks


@settings(max_examples=80, deadline=None)
@given(graph=graphs(16))
def test_boxes_never_lie_on_each_other_or_on_a_passing_line_and_every_line_joins_its_boxes(graph: Graph) -> None:
    nodes = scheduled(graph).graph().nodes
    placed = place([(node.name, node.level, node.waits_for) for node in nodes])
    assert set(placed.boxes) == set(graph)
    columns: dict[float, list[tuple[float, float]]] = {}
    for node in nodes:
        x, y = placed.boxes[node.name]
        assert x == node.level
        columns.setdefault(x, []).append((y, BOX))
    passing = {point for line in placed.lines for point in line[1:-1]}
    for x, y in passing:
        columns.setdefault(x, []).append((y, LINE))
    for column in columns.values():
        column.sort()
        for (low, low_size), (high, high_size) in pairwise(column):
            assert high - low >= (low_size + high_size) / 2 - 1e-9
        assert column[-1][0] + column[-1][1] / 2 <= placed.height / 2 + 1e-9
    joined = sorted((line[0], line[-1]) for line in placed.lines)
    wanted = sorted((placed.boxes[needed], placed.boxes[name]) for name in graph for needed in graph[name])
    assert joined == wanted
    assert all(right[0] - left[0] == 1 for line in placed.lines for left, right in pairwise(line))


def test_lines_of_a_ladder_do_not_cross() -> None:
    nodes = [(f"a{n}", 0, ()) for n in range(5)] + [(f"b{n}", 1, (f"a{4 - n}",)) for n in range(5)]
    lines = place(nodes).lines
    assert all(line[0][1] == line[1][1] for line in lines)


def texts_of(item: Any) -> str:
    return json.dumps(item, ensure_ascii=False)


def executed() -> TaskScheduler:
    tasks = TaskScheduler("nightly", HERE.replace(retry=RetryPolicy(attempts=2, first_pause_s=0.0)))

    def away() -> None:
        raise ConnectionError("away")

    tasks.add_task("load", lambda: time.sleep(0.01))
    tasks.add_task("fetch", away)
    tasks.add_task("join", lambda: 1, after=["load", "fetch"])
    tasks.add_task("report", lambda: 1, after=["join", "load"], always=True)
    tasks.execute_dag()
    return tasks


def test_figures_tell_state_time_tries_and_reason_of_each_task() -> None:
    graph = executed().graph()
    boxes, times = graph_chart(graph), timing_chart(graph)
    assert boxes is not None
    assert times is not None
    assert boxes.label == "Graph of 4 tasks in 3 levels: 2 done, 1 failed, 1 skipped"
    said = texts_of(boxes.item)
    for text in ("load", "fetch", "ConnectionError: away (2 tries)", "'fetch' failed", "2 tries"):
        assert text in said
    assert "'fetch' failed" not in texts_of(times.item)  # what never started has no bar
    rows = {row[0]: row for row in boxes.table.rows}
    assert rows["join"][1:] == ("skipped", "–", "–", "0", "load, fetch", "'fetch' failed")
    assert rows["fetch"][1] == "failed"
    assert boxes.table == times.table
    assert all(len(row) == len(boxes.table.headers) for row in boxes.table.rows)


def test_a_graph_that_has_not_run_has_boxes_and_no_times() -> None:
    graph = scheduled({"a": [], "b": ["a"]}).graph()
    boxes = graph_chart(graph)
    assert boxes is not None
    assert "2 waiting" in boxes.label
    assert timing_chart(graph) is None
    assert graph_chart(TaskScheduler("none", HERE).graph()) is None


def test_more_tasks_than_can_be_read_stand_in_the_table(tmp_path: Path) -> None:
    tasks = scheduled({f"t{number}": [] for number in range(MAX_BOXES + 1)})
    tasks.execute_dag()
    graph = tasks.graph()
    assert graph_chart(graph) is None
    times = timing_chart(graph)
    assert times is not None
    assert f"The {MAX_BARS} longest; {MAX_BOXES + 1 - MAX_BARS} shorter ones" in times.note
    assert len(task_table(graph).rows) == MAX_BOXES + 1
    page = write_graph(graph, tmp_path / "graph.html").read_text(encoding="utf-8")
    assert f"Graph: not available, because {MAX_BOXES + 1} boxes could not be read" in page
    assert page.count("<td") >= 7 * (MAX_BOXES + 1)


def test_an_unknown_theme_is_refused_and_no_tasks_make_a_page_that_says_so(tmp_path: Path) -> None:
    graph = TaskScheduler("none", HERE).graph()
    with pytest.raises(ConfigError, match="no theme 'drak'"):
        write_graph(graph, tmp_path / "graph.html", theme="drak")
    page = write_graph(graph, tmp_path / "sub" / "graph.html").read_text(encoding="utf-8")
    assert "Graph: not available, because there are no tasks." in page
    assert "Times: not available, because no task has started." in page


@pytest.mark.browser
def test_hostile_names_and_errors_run_nothing_and_ask_for_nothing(watch: Any, tmp_path: Path) -> None:
    tasks = TaskScheduler(HOSTILE[0], HERE)

    def raises(text: str) -> None:
        raise ValueError(text)

    names = [text for text in HOSTILE if text]
    for number, name in enumerate(names):
        tasks.add_task(name, raises if number % 2 else len, args=[name], after=names[:number:3], always=True)
    tasks.execute_dag()
    page = watch.open(write_graph(tasks.graph(), tmp_path / "graph.html", theme="dark"))
    page.evaluate("() => window.raypipeMountAll()")
    page.wait_for_function("() => [...document.querySelectorAll('[data-chart]')].every(e => e.dataset.ready === 'yes')")
    page.wait_for_function("() => Bokeh.documents.every(d => d.is_idle)")
    page.evaluate("() => document.querySelectorAll('details').forEach(d => { d.open = true })")
    for place_of_chart in page.query_selector_all(".canvas"):
        place_of_chart.hover()
        page.wait_for_timeout(60)
    page.click("[data-mode-switch]")
    assert watch.quiet()
    assert page.evaluate("() => document.querySelectorAll('main img, main iframe, main script').length") == 0


@pytest.mark.browser
def test_the_hover_box_names_the_task_under_the_pointer(watch: Any, tmp_path: Path) -> None:
    tasks = scheduled({"only <b>one</b>": []})
    tasks.execute_dag()
    page = watch.open(write_graph(tasks.graph(), tmp_path / "graph.html"))
    page.evaluate("() => window.raypipeMountAll()")
    page.wait_for_function("() => Bokeh && Bokeh.documents.every(d => d.is_idle)")
    box = page.query_selector("#plot-tasks").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 8, box["y"] + box["height"] / 2)
    shown = """() => { const find = node => [...(node.shadowRoot ? node.shadowRoot.children : []), ...node.children]
        .map(one => one.className?.includes?.('bk-Tooltip') ? one.shadowRoot.textContent : find(one)).join('');
        return find(document.body); }"""
    page.wait_for_function(f"() => ({shown})().includes('only <b>one</b>')")
    assert watch.quiet()
