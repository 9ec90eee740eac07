"""Which engine runs a plan, and why."""

from __future__ import annotations

import os
from collections.abc import Sequence

from raypipe.config import EngineConfig
from raypipe.engine.inline import InlineEngine
from raypipe.engine.run import Engine
from raypipe.stage import Stage

INLINE_BYTES = 16 << 20
"""Sources below this size run in this process under `engine: auto`: starting Ray would cost more than the work."""


WIDE_COLUMNS, WIDE_BYTES, FEW_CPUS = 1_000, 1 << 30, 2
"""A source of so many columns, below this size, runs in this process on a machine of so few CPUs: its summaries are put
together here in any case, so that Ray takes as long (20,000 x 2,000: 87 s and 83 s) and twice the memory."""


def choose_engine(
    config: EngineConfig, source_bytes: int, stages: Sequence[Stage] = (), columns: int = 0
) -> tuple[Engine, str]:
    """The engine, and the reason in words.

    Ray is neither imported nor started here.
    """
    mib = source_bytes / (1 << 20)
    if config.engine == "inline":
        return InlineEngine(config), "engine: inline was asked for"
    wants_gpu = any(stage.resources.gpus for stage in stages)
    if config.engine == "auto" and config.address is None and not wants_gpu and source_bytes < INLINE_BYTES:
        return InlineEngine(config), f"the source has {mib:.1f} MiB, less than {INLINE_BYTES >> 20} MiB"
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    is_wide = columns >= WIDE_COLUMNS and source_bytes < WIDE_BYTES and cpus <= FEW_CPUS
    if config.engine == "auto" and config.address is None and not wants_gpu and is_wide:
        return InlineEngine(
            config
        ), f"the source has {columns:,} columns, and this machine {cpus} CPUs: Ray would gain nothing"
    from raypipe.engine.rayengine import RayEngine

    if config.engine == "ray":
        return RayEngine(config), "engine: ray was asked for"
    if config.address is not None:
        return RayEngine(config), f"a cluster address was given ({config.address})"
    if wants_gpu:
        return RayEngine(config), "a stage wants a GPU"
    return RayEngine(config), f"the source has {mib:.1f} MiB, at least {INLINE_BYTES >> 20} MiB"
