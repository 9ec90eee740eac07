"""Memory that is left where this process runs, and what a block may take of it."""

from __future__ import annotations

from pathlib import Path

import psutil

NEED_COPIES = 4
"""Blocks' worth of memory that running one takes at its peak."""
SHARE = 0.5
"""Share of the memory left that one worker may count on: its neighbours want some too."""
MAX_PIECES = 64
SMALL_BYTES = 1 << 20
"""Blocks below this are not worth a look."""
CGROUPS = (
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current", "inactive_file"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""Where a container's limit and use stand, and how its cache of files is called, in cgroups of version 2 and 1."""


def free_memory() -> int:
    """Bytes left on this machine, or in its container where that has less."""
    free = int(psutil.virtual_memory().available)
    for folder, limit_name, used_name, cache_name in CGROUPS:
        try:
            limit, used = (folder / limit_name).read_text().strip(), (folder / used_name).read_text().strip()
            stat = (folder / "memory.stat").read_text()
        except OSError:
            continue
        if limit.isdigit() and used.isdigit():
            # The system gives back the cache of files before it ends a process.
            cache = next((int(line.split()[1]) for line in stat.splitlines() if line.startswith(f"{cache_name} ")), 0)
            free = min(free, max(0, int(limit) - int(used) + cache))
    return free


def pieces_for(block_bytes: int, free_bytes: int | None = None) -> int:
    """Pieces to cut a block of so many bytes into, so that running one fits into the memory that is left.

    Examples
    --------
    >>> pieces_for(64 << 20, free_bytes=4 << 30), pieces_for(64 << 20, free_bytes=256 << 20)
    (1, 2)
    """
    if block_bytes < SMALL_BYTES:
        return 1
    free = free_memory() if free_bytes is None else free_bytes
    need = block_bytes * NEED_COPIES
    room = max(1, int(free * SHARE))
    return min(MAX_PIECES, max(1, -(-need // room)))
