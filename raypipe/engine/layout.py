"""From a plan to pools of workers: which stages share an actor, how many actors, what each reserves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from raypipe.config import EngineConfig, Resources
from raypipe.stage import Part, Plan, Stage

IN_FLIGHT = 2
"""Calls in flight per worker: one that runs, one that waits, so that a worker never waits for the driver."""
LOCAL_CPUS = 0.0
"""CPUs that a worker reserves in a Ray of our own: tasks of Ray Data and Modin beside it want whole ones."""
WORKING_COPIES = 4
"""Blocks' worth of memory that a call holds at its peak: the bytes read, the block, a step's input and its output."""
OPEN_WIDTH = 64
"""Workers that bundles are cut for where a pool has no upper bound: a cluster may begin with none and grow."""
BUNDLE_PARTS = 64
BUNDLE_SHARE = 0.25
"""Small parts travel together up to this share of a block."""
MIB = 1 << 20


@dataclass(frozen=True)
class Group:
    """Neighbouring stages that one pool of workers runs, fused."""

    stages: tuple[Stage, ...]
    schemas: tuple[pa.Schema, ...]
    reads: bool
    """Whether the group begins by reading parts."""
    min_workers: int
    max_workers: int | None
    """None: as many as there is work for."""
    resources: Resources
    """What one worker reserves."""

    @property
    def names(self) -> tuple[str, ...]:
        """Stage names in order."""
        return tuple(stage.name for stage in self.stages)


@dataclass(frozen=True)
class Layout:
    """How a plan runs."""

    plan: Plan
    groups: tuple[Group, ...]
    block_bytes: int

    def width(self, cpus: float) -> int:
        """Workers that the widest pool may have."""
        open_end = max(OPEN_WIDTH, int(cpus))
        return max(group.max_workers or open_end for group in self.groups)

    @property
    def memory_bytes(self) -> int:
        """Estimated peak of blocks in workers and in queues, beside the interpreters themselves."""
        workers = sum(group.max_workers or group.min_workers for group in self.groups)
        queued = sum((group.max_workers or group.min_workers) * IN_FLIGHT for group in self.groups[1:])
        return self.block_bytes * (workers * WORKING_COPIES + queued)


def lay_out(plan: Plan, config: EngineConfig, cpus: float, *, own_cluster: bool = True) -> Layout:
    """Group the plan's stages into pools.

    Neighbours with equal resources fuse, unless `config.fuse` is False. In a Ray of our own, workers reserve a small
    share of a CPU, so that pools that wait for each other can never deadlock however few cores there are; on a
    cluster they ask for what their stages state, so that an autoscaler sees the demand.
    """
    schemas = plan.schemas()
    runs = _fuse(plan, config.fuse)
    groups = []
    seen = 0
    for number, stages in enumerate(runs):
        wanted = stages[0].resources if stages else plan.source.resources
        resources = wanted.replace(cpus=min(wanted.cpus, LOCAL_CPUS)) if own_cluster else wanted
        after = schemas[1 + seen : 1 + seen + len(stages)]
        own = (plan.source, *stages) if number == 0 else stages
        least, most = _bounds(own, config, max(1, int(cpus)) if own_cluster else None)
        groups.append(Group(stages, after, number == 0, least, most, resources))
        seen += len(stages)
    return Layout(plan, tuple(groups), int(config.block_mib * MIB))


def _bounds(stages: Sequence[Stage], config: EngineConfig, most: int | None) -> tuple[int, int | None]:
    """Least and most workers of a pool that runs `stages`."""
    least = config.workers or config.min_workers
    most = config.workers or config.max_workers or most
    caps = [cap for cap in (most, *(stage.max_workers for stage in stages)) if cap is not None]
    most = min(caps, default=None)
    return (least if most is None else min(least, most)), most


def _fuse(plan: Plan, fuse: bool) -> list[tuple[Stage, ...]]:
    """Runs of stages; the first belongs to the source, and is empty where the source has a pool of its own."""
    runs: list[list[Stage]] = [[]]
    last: Stage = plan.source
    for stage in plan.stages:
        if fuse and (stage.resources, stage.max_workers) == (last.resources, last.max_workers):
            runs[-1].append(stage)
        else:
            runs.append([stage])
        last = stage
    return [tuple(run) for run in runs]


def explain(layout: Layout) -> str:
    """The layout in words, as `raypipe plan` prints it."""
    plan = layout.plan
    lines = [f"source  {plan.source.name}: {len(plan.source.parts()):,} parts, {len(plan.source.schema())} columns"]
    for number, group in enumerate(layout.groups, start=1):
        names = ([plan.source.name] if group.reads else []) + list(group.names)
        memory = f", {group.resources.memory_gib:g} GiB" if group.resources.memory_gib else ""
        gpus = f", {group.resources.gpus:g} GPU" if group.resources.gpus else ""
        labels = "".join(f", {name}={value}" for name, value in group.resources.labels)
        lines.append(
            f"pool {number}  {_workers(group)} x actor ({group.resources.cpus:g} CPU{gpus}{memory}{labels}), "
            f"fused: {' > '.join(names)}"
        )
    block, peak = layout.block_bytes / MIB, layout.memory_bytes / MIB
    lines.append(f"memory  blocks of about {block:.0f} MiB, about {peak:,.0f} MiB at the peak beside the interpreters")
    return "\n".join(lines)


def _workers(group: Group) -> str:
    if group.max_workers is None:
        return f"{group.min_workers} or more"
    return (
        f"{group.max_workers}"
        if group.min_workers == group.max_workers
        else f"{group.min_workers} to {group.max_workers}"
    )


def bundled(parts: Sequence[Part], block_bytes: int, workers: int, done: int) -> list[range]:
    """Parts that travel together: small ones, but so that each worker gets several bundles.

    Parameters
    ----------
    workers : int
        Workers that a pool may have.
    done : int
        Parts that an earlier process has committed; a bundle ends where they end.
    """
    most = max(1, min(BUNDLE_PARTS, len(parts) // (workers * 4) or 1))
    sizes = [part.bytes or block_bytes for part in parts]
    small = int(block_bytes * BUNDLE_SHARE)
    first = parts_in_bundles(sizes[:done], small, most)
    rest = parts_in_bundles(sizes[done:], small, most)
    return first + [range(bundle.start + done, bundle.stop + done) for bundle in rest]


def parts_in_bundles(sizes: Sequence[int], bundle_bytes: int, max_parts: int) -> list[range]:
    """Neighbouring parts that travel in one call, so that many small parts do not cost a call each.

    Examples
    --------
    >>> parts_in_bundles([10, 10, 90, 5], bundle_bytes=100, max_parts=8)
    [range(0, 2), range(2, 4)]
    """
    bundles: list[range] = []
    start, held = 0, 0
    for index, size in enumerate(sizes):
        if index > start and (held + size > bundle_bytes or index - start >= max_parts):
            bundles.append(range(start, index))
            start, held = index, 0
        held += size
    if len(sizes) > start:
        bundles.append(range(start, len(sizes)))
    return bundles
