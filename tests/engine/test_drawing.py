"""The graph as text: what waits for what can be read off the lanes, whatever the names are."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe import RetryPolicy, SchedulerConfig, TaskScheduler
from raypipe.engine.drawing import MARKS, MAX_LANES
from tests.engine.task_graphs import HERE, Graph, graphs

CUT = "x" * 48 + "…"
UP, DOWN, LEFT, RIGHT = 1, 2, 4, 8
SIDES = {
    "╭": DOWN | RIGHT, "┬": DOWN | RIGHT | LEFT, "├": UP | DOWN | RIGHT, "┼": UP | DOWN | LEFT | RIGHT,
    "╰": UP | RIGHT, "┴": UP | LEFT | RIGHT, "│": UP | DOWN, "─": LEFT | RIGHT, " ": 0,
}  # fmt: skip


def read(text: str) -> dict[str, set[str]]:
    """Task -> those that it waits for, read from the lanes alone, as an eye does."""
    lines = text.splitlines()[1:]
    marks = "".join(MARKS.values())
    found: dict[str, set[str]] = {}
    owner: dict[int, str] = {}
    for line in lines:
        match = re.match(rf"(.*?)[{marks}] (\S+)", line)
        assert match
        lanes, name = match.groups()
        found[name] = set()
        for place in range(0, len(lanes), 2):
            sides = SIDES[lanes[place]]
            if sides & UP and sides & RIGHT:
                found[name].add(owner[place])
            elif sides & DOWN and sides & RIGHT:
                owner[place] = name
            assert bool(sides & UP) <= (place in owner)
            if sides & UP and not sides & DOWN:
                del owner[place]
    assert not owner
    return found


@settings(max_examples=100, deadline=None)
@given(graph=graphs(20))
def test_what_waits_for_what_can_be_read_off_the_lanes(graph: Graph) -> None:
    tasks = TaskScheduler(config=HERE)
    for name, needed in graph.items():
        tasks.add_task(name, print, after=needed)
    drawn = tasks.draw()
    assert read(drawn) == {name: set(needed) for name, needed in graph.items()}
    assert len({re.search("[○]", line).start() for line in drawn.splitlines()[1:]}) == 1  # type: ignore[union-attr]


@settings(max_examples=60, deadline=None)
@given(names=st.lists(st.text(min_size=1, max_size=80), min_size=1, max_size=6, unique=True))
def test_a_task_takes_one_line_whatever_its_name(names: list[str]) -> None:
    tasks = TaskScheduler("odd\nname", config=HERE)
    for name in names:
        tasks.add_task(name, print)
    drawn = tasks.draw()
    assert len(drawn.splitlines()) == 1 + len(names)
    assert all(character.isprintable() or character == "\n" for character in drawn)


def test_twenty_tasks_with_all_that_can_become_of_them() -> None:
    tasks = TaskScheduler("nightly", SchedulerConfig(where="driver", retry=RetryPolicy(attempts=2, first_pause_s=0)))

    def away() -> None:
        raise ConnectionError("away\nfor long " + "x" * 200)

    tasks.add_task("load", lambda: 1)
    tasks.add_task("fetch", away)
    tasks.add_task("clean", lambda: 1, after=["load"])
    tasks.add_task("join", lambda: 1, after=["clean", "fetch"])
    tasks.add_task("report", lambda: 1, after=["clean", "join"], always=True)
    for number in range(15):
        tasks.add_task(f"publish {number}", lambda: 1, after=["report"])
    tasks.execute_dag()
    lines = re.sub(r"\d\.\d\d", "0.00", tasks.draw()).splitlines()
    assert lines[:6] == [
        "nightly: 20 tasks, 5 in the longest chain",
        "╭─────────● load        done       0.00 s, waited 0.00 s",
        "│ ╭───────✗ fetch       failed     2 tries, 0.00 s, waited 0.00 s  ConnectionError: away for long " + CUT,
        "╰─│─┬─────● clean       done       0.00 s, waited 0.00 s",
        "  ╰─┼─┬───↷ join        skipped    'fetch' failed",
        "    ╰─┴─┬─● report      done       0.00 s, waited 0.00 s",
    ]
    assert lines[6:] == [
        f"        {corner}─● {f'publish {number}':<10}  done       0.00 s, waited 0.00 s"
        for number, corner in enumerate("├" * 14 + "╰")
    ]


def test_a_graph_with_too_many_lanes_says_in_words_what_waits_for_what() -> None:
    tasks = TaskScheduler(config=HERE)
    names = [f"t{number}" for number in range(MAX_LANES + 1)]
    for name in names:
        tasks.add_task(name, print)
    tasks.add_task("last", print, after=names)
    lines = tasks.draw().splitlines()
    assert lines[1] == "○ t0    waiting"
    assert lines[-1].startswith("○ last  waiting    after t0, t1, t2")


def test_no_tasks_are_drawn_as_none() -> None:
    assert TaskScheduler("idle", HERE).draw() == "idle: 0 tasks, 0 in the longest chain"


@pytest.mark.parametrize("mark", MARKS.values())
def test_every_state_has_a_mark_of_its_own(mark: str) -> None:
    assert list(MARKS.values()).count(mark) == 1
