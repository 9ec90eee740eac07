"""Whether tasks form a graph that can run, and in which order."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from raypipe.engine.tasks import Task, TaskResult, nearest, shown_name
from raypipe.errors import ConfigError

SHOWN = 10


@dataclass(frozen=True)
class TaskNode:
    """A task as it is drawn."""

    name: str
    waits_for: tuple[str, ...]
    level: int
    """0 for a task that waits for none, else one more than the highest level that it waits for."""
    result: TaskResult


@dataclass(frozen=True)
class TaskGraph:
    """All tasks with what became of them so far, each after those that it waits for."""

    name: str
    nodes: tuple[TaskNode, ...]

    @property
    def levels(self) -> int:
        """Length of the longest chain."""
        return 1 + max((node.level for node in self.nodes), default=-1)


def checked_order(who: str, tasks: Mapping[str, Task]) -> list[str]:
    """Names so that each comes after those that it waits for; among those that may, in the order of adding.

    Raises
    ------
    ConfigError
        If a task waits for one that was not added, or tasks wait for each other in a circle.
    """
    _check_names(who, tasks)
    place = {name: number for number, name in enumerate(tasks)}
    followers = followers_of(tasks)
    waiting = {name: len(task.waits_for) for name, task in tasks.items()}
    ready = [place[name] for name, count in waiting.items() if not count]
    names, order = list(tasks), []
    while ready:
        name = names[heapq.heappop(ready)]
        order.append(name)
        for follower in followers[name]:
            waiting[follower] -= 1
            if not waiting[follower]:
                heapq.heappush(ready, place[follower])
    if len(order) < len(tasks):
        left = {name: tasks[name].waits_for for name, count in waiting.items() if count}
        circle = " > ".join(plain_name(name) for name in _circle(left))
        raise ConfigError(
            f"{who}: tasks wait for each other in a circle, so none of them can start: {circle} (each waits for the "
            "one before it). Take one of these dependencies away"
        )
    return order


def followers_of(tasks: Mapping[str, Task]) -> dict[str, list[str]]:
    """Task -> those that wait for it, in the order of adding."""
    found: dict[str, list[str]] = {name: [] for name in tasks}
    for name, task in tasks.items():
        for needed in task.waits_for:
            found[needed].append(name)
    return found


def levels_of(order: list[str], tasks: Mapping[str, Task]) -> dict[str, int]:
    """Task -> length of the longest chain before it."""
    levels: dict[str, int] = {}
    for name in order:
        levels[name] = 1 + max((levels[needed] for needed in tasks[name].waits_for), default=-1)
    return levels


def _check_names(who: str, tasks: Mapping[str, Task]) -> None:
    wrong = [
        f"{shown_name(name)} waits for {shown_name(needed)}, which was not added{nearest(needed, tasks)}"
        for name, task in tasks.items()
        for needed in task.waits_for
        if needed not in tasks
    ]
    if wrong:
        more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        known = ", ".join(map(plain_name, list(tasks)[:30])) + (f", … ({len(tasks)} in all)" if len(tasks) > 30 else "")
        text = "; ".join(wrong[:SHOWN]) + more
        raise ConfigError(f"{who}: {text}{'' if text.endswith('?') else '.'} Tasks: {known}")


def _circle(waits: Mapping[str, tuple[str, ...]]) -> list[str]:
    """One circle, in the order in which its tasks would have to run, with the first one repeated at the end.

    Every task of `waits` is in a circle or waits for one that is, so that going back never ends elsewhere.
    """

    def back() -> Iterator[str]:
        name = next(iter(waits))
        while True:
            yield name
            name = next(needed for needed in waits[name] if needed in waits)

    path: list[str] = []
    seen: dict[str, int] = {}
    for name in back():
        if name in seen:
            return [name, *reversed(path[seen[name] :])]
        seen[name] = len(path)
        path.append(name)
    raise AssertionError("going back never ends")


def plain_name(name: str, limit: int = 60) -> str:
    """A name without quotes, if it stands on one line and is no riddle; at most about `limit` characters."""
    short = name if len(name) <= limit else name[: limit - 1] + "…"
    return short if short.isprintable() and short.strip() == short and short else repr(short)
