"""Room in the object store: for blocks between pools, and for blocks kept for a later pass."""

from __future__ import annotations

from raypipe.config import EngineConfig
from raypipe.engine.pools import Call
from raypipe.engine.rayframe import held_bytes
from raypipe.engine.session import Session

QUEUE_SHARE = 0.25
"""Share of the object store that blocks between pools may take."""
KEEP_SHARE = 0.5
"""Share of the object store that blocks kept for a later pass may take."""


class Room:
    """What the blocks of a pass take of the object store, by the driver's count.

    Room for the blocks that a call will make is set apart when the call is sent, at the mean size of those before, so
    that a stage whose output is much larger than its input fills the store no more than any other.
    """

    def __init__(self, session: Session, config: EngineConfig, pools: int) -> None:
        self._session = session
        self._memory_gib = config.memory_gib
        self._last = pools - 1
        self.keep_budget = self._budget(KEEP_SHARE)
        self.keep_left = self.keep_budget - held_bytes(session)
        self.queue_bytes = 0
        """Blocks between pools: those that wait, and those that calls in flight are going to make."""
        self.sizes: dict[tuple[int, int], int] = {}
        """(pool, bundle) -> bytes of the blocks that wait for it."""
        self.peak = 0

    def _budget(self, share: float) -> int:
        if self._memory_gib is not None:
            return int(self._memory_gib * (1 << 30) * share / (KEEP_SHARE + QUEUE_SHARE))
        return int(self._session.store_bytes * share)

    @property
    def queue_budget(self) -> int:
        """Bytes that blocks between pools may take; on a cluster it grows with the nodes."""
        return self._budget(QUEUE_SHARE)

    @property
    def kept_bytes(self) -> int:
        """Bytes of blocks that are kept for a later pass, or from an earlier one."""
        return self.keep_budget - self.keep_left

    def is_free(self, pool: int) -> bool:
        """Whether blocks of another call of a pool find room."""
        return pool == self._last or self.queue_bytes < self.queue_budget

    def set_apart(self, pool: int, expected: int) -> None:
        """A call was sent whose blocks are wanted."""
        if pool < self._last:
            self.queue_bytes += expected
        else:
            self.keep_left -= expected

    def settle(self, call: Call) -> None:
        """A call has ended: what was set apart for its blocks is free, and so are its inputs."""
        self.queue_bytes -= self.sizes.pop((call.group, call.bundle), 0)
        if call.group < self._last:
            self.queue_bytes -= call.expected
        else:
            self.keep_left += call.expected

    def take(self, pool: int, bundle: int, size: int) -> None:
        """Blocks of so many bytes are there: they wait for the next pool, or are kept."""
        if pool < self._last:
            self.sizes[pool + 1, bundle] = size
            self.queue_bytes += size
        else:
            self.keep_left -= size
        self.peak = max(self.peak, self.queue_bytes + self.kept_bytes)
