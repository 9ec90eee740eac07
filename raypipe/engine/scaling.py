"""How many workers each pool should have: by what waits in it, and by what the slowest pool lets through."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

AHEAD = 1.5
"""A pool that does more than this many times the work of the slowest one gets no further worker."""
SPARE = 1.25
"""Workers that a pool keeps over those that the slowest pool can feed or empty."""
STARTING = 4
"""Workers of a pool that may be on their way at once on a cluster, until more than so many are up."""


@dataclass(frozen=True)
class PoolLoad:
    """One pool, as the driver sees it. Work is counted in bundles."""

    minimum: int
    maximum: int
    up: int = 0
    """Workers that answered."""
    starting: int = 0
    """Workers that were asked for and have not answered yet."""
    busy: int = 0
    """Workers of `up` with a call in flight."""
    calls: int = 0
    queued: int = 0
    to_come: int = 0
    """Bundles that have yet to reach its queue."""
    blocked: bool = False
    """Whether its output has nowhere to go."""
    seconds: float | None = None
    """Seconds that one worker needs for a bundle, the mean so far; None before the first."""
    idle_s: float = 0.0
    """How long it has had a worker with nothing to do."""

    @property
    def workers(self) -> int:
        """Those up, and those on their way."""
        return self.up + self.starting

    @property
    def work(self) -> int:
        """Bundles that it has yet to finish."""
        return self.calls + self.queued + self.to_come

    @property
    def rate(self) -> float | None:
        """Bundles a second that all its workers do together."""
        return self.workers / self.seconds if self.seconds else None


def pool_changes(loads: Sequence[PoolLoad], *, eager: bool, idle_worker_s: float) -> list[int]:
    """Workers to add to each pool, or, where negative, to let go.

    One worker of each pool comes before any pool gets a second. A pool grows while more bundles wait than it has
    workers, unless its output has nowhere to go or it is well ahead of the slowest pool; it shrinks to what the
    slowest pool can keep busy once a worker has been idle for `idle_worker_s`.

    Parameters
    ----------
    loads : sequence of PoolLoad
        From the source to the last stage.
    eager : bool
        Whether workers cost nothing but memory, as in a Ray of our own: then all that are wanted are asked for at
        once. Otherwise at most `STARTING` are on their way, or as many as are up, so that an autoscaler grows step by
        step and a short run does not ask for nodes that come when it is over.
    idle_worker_s : float
        Seconds.

    Examples
    --------
    >>> read, score = PoolLoad(1, 8, queued=20), PoolLoad(1, 8, to_come=20)
    >>> pool_changes([read, score], eager=False, idle_worker_s=10)
    [1, 1]
    >>> read, score = PoolLoad(1, 8, up=1, busy=1, queued=20), PoolLoad(1, 8, up=1, to_come=20)
    >>> pool_changes([read, score], eager=False, idle_worker_s=10)
    [4, 0]
    """
    first = [int(load.workers == 0 and load.work > 0 and load.maximum > 0) for load in loads]
    if any(first) and not eager:
        return first
    waits_for_first = not eager and any(load.up == 0 and load.work > 0 for load in loads)
    rates = [load.rate for load in loads if load.work and load.rate is not None]
    slowest = min(rates, default=None)
    grown = [0 if waits_for_first else _growth(load, slowest, eager) for load in loads]
    return [more or -_surplus(load, slowest, idle_worker_s) for more, load in zip(grown, loads, strict=True)]


def _growth(load: PoolLoad, slowest: float | None, eager: bool) -> int:
    wanted = min(load.minimum, load.work)
    ahead = load.rate is not None and slowest is not None and load.rate > AHEAD * slowest
    if not load.blocked and not ahead:
        # A call that waits behind another one in a worker cannot be taken from it.
        wanted = max(wanted, min(load.maximum, load.busy + load.queued))
    if load.work and not load.workers:
        wanted = max(wanted, 1)
    missing = max(0, min(wanted, load.maximum) - load.workers)
    return missing if eager else min(missing, max(0, max(STARTING, load.up) - load.starting))


def _surplus(load: PoolLoad, slowest: float | None, idle_worker_s: float) -> int:
    idle = load.up - load.busy
    if idle <= 0 or load.idle_s < idle_worker_s or (load.queued and not load.blocked):
        return 0
    kept = min(load.minimum, load.work)
    if load.seconds and slowest is not None and load.queued + load.to_come:
        kept = max(kept, min(load.work, math.ceil(SPARE * slowest * load.seconds)))
    return max(0, min(idle, load.up - max(kept, load.busy)))
