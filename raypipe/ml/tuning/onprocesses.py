"""A race on several processes of this machine: what needs no Ray is not made to wait for one."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from raypipe.ml.tuning.apart import Apart, pack, wait_for
from raypipe.ml.tuning.race import Entry, Race
from raypipe.ml.tuning.work import FoldResult


@contextmanager
def processes(race: Race, first: Sequence[Apart], at_once: int) -> Iterator[list[Apart]]:
    """So many of them, those of `first` included, which belong to the caller."""
    packed = pack(race.task)
    with ExitStack() as stack:
        yield [*first, *(stack.enter_context(Apart(packed)) for _ in range(at_once - len(first)))]


def run_on_processes(race: Race, first: Entry | None, aparts: Sequence[Apart]) -> None:
    """Run a race to its end, with a trial at a time in each process.

    Parameters
    ----------
    first : Entry, optional
        A trial that has begun already.
    """
    idle, busy = list(aparts), dict[Apart, Entry]()
    waiting, over = first, False
    while True:
        while idle and not over:
            entry = waiting if waiting is not None and waiting.status == "running" else race.next()
            waiting, over = None, entry is None
            if entry is not None:
                busy[idle[-1]] = entry
                _begin(race, idle.pop(), entry)
        if not busy:
            return
        wait_for(tuple(busy))
        for apart, entry in list(busy.items()):
            if not _goes_on(race, apart, entry):
                del busy[apart]
                idle.append(apart)


def _begin(race: Race, apart: Apart, entry: Entry) -> None:
    apart.begin(entry.params, entry.fold, race.limits.patience_ends, race.limits.gives_up_at)


def _goes_on(race: Race, apart: Apart, entry: Entry) -> bool:
    """Whether the process is busy with the trial still, if need be with its next fold."""
    worker = apart.pid
    result = apart.settled()
    if result is None:
        return True
    if not isinstance(result, FoldResult):
        race.lost(entry, result.why)
        return False
    race.workers.add((platform.node(), worker))
    if not race.told(entry, result):
        return False
    _begin(race, apart, entry)
    return True
