"""`raypipe plan --explain`: what each stage does, why it runs where it runs, what that takes, and what limits it.

Every number is an estimate made before a row was read, and says from what it was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from raypipe.config import EngineConfig
from raypipe.engine.explain_words import PlanWords, PoolWords, StageWords, plural, size_words
from raypipe.engine.inline import KEEP_BYTES
from raypipe.engine.layout import IN_FLIGHT, MIB, WORKING_COPIES, Group, Layout, bundled
from raypipe.engine.run import Engine
from raypipe.engine.supply import GIB, Supply, said
from raypipe.stage import MapStage, ModelStage, Part, Plan, ReduceStage, SinkStage, SourceStage, Stage

INTERPRETER_BYTES = 250 * MIB
"""About what a worker takes before it has a block: Python, Arrow, Polars and Ray."""


def explain_plan(engine: Engine, why: str, plan: Plan) -> PlanWords:
    """What `engine` would do with `plan`, without doing it; starts Ray where the engine is Ray."""
    layout = engine.layout(plan)
    return explain_layout(layout, engine.config, Supply.of(engine), engine.name, why)


def explain_layout(layout: Layout, config: EngineConfig, supply: Supply, engine: str, why: str) -> PlanWords:
    """The layout in words.

    Parameters
    ----------
    engine, why : str
        Name of the engine, and why it was chosen.
    """
    plan, parts = layout.plan, layout.plan.source.parts()
    sizes = [part.bytes or layout.block_bytes for part in parts]
    block = min(layout.block_bytes, max(sizes, default=layout.block_bytes))
    inline = engine == "inline"
    bundles = len(parts) if inline else len(_bundles(layout, supply, parts))
    pools = tuple(_pool_words(layout, number, config, supply, (bundles, block)) for number in range(len(layout.groups)))
    if inline:
        pools = tuple(replace(pool, reserves="") for pool in pools)
    queue, keep = _budgets(config, supply, inline)
    keep = 0 if plan.is_quick and not inline else keep
    memory = sum(pool.memory_bytes for pool in pools)
    workers = sum(_likely(group, pool, bundles) for group, pool in zip(layout.groups, pools, strict=True))
    words = PlanWords(
        engine=engine,
        why=why,
        where=supply.where,
        cpus=supply.cpus,
        gpus=supply.gpus,
        free_bytes=supply.free_bytes,
        store_bytes=supply.store_bytes,
        source=plan.source.name,
        parts=len(parts),
        source_bytes=sum(sizes),
        bundles=bundles,
        block_bytes=block,
        pools=pools,
        memory_bytes=memory,
        interpreters_bytes=0 if inline else INTERPRETER_BYTES * workers,
        queue_budget_bytes=queue if len(pools) > 1 else None,
        keep_budget_bytes=keep,
        read_again_bytes=max(0, sum(sizes) - keep),
        resume=_resume(config, len(parts)),
        limits=(),
    )
    return _with_limits(words, supply)


def _bundles(layout: Layout, supply: Supply, parts: Sequence[Part]) -> list[range]:
    """As the driver loop joins small parts."""
    return bundled(parts, layout.block_bytes, layout.width(supply.cpus), 0)


def _budgets(config: EngineConfig, supply: Supply, inline: bool) -> tuple[int, int]:
    """Bytes for blocks between pools, and for blocks kept for a later pass."""
    if inline:
        return 0, int(config.memory_gib * GIB) if config.memory_gib else KEEP_BYTES
    from raypipe.engine.room import KEEP_SHARE, QUEUE_SHARE

    if config.memory_gib is not None:
        whole = config.memory_gib * GIB / (KEEP_SHARE + QUEUE_SHARE)
    else:
        whole = float(supply.store_bytes or 0)
    return int(whole * QUEUE_SHARE), int(whole * KEEP_SHARE)


# ---- pools ----------------------------------------------------------------------------------------------------------


def _pool_words(layout: Layout, number: int, config: EngineConfig, supply: Supply, work: tuple[int, int]) -> PoolWords:
    """Words of one pool; `work` is how many bundles there are, and how large a block is."""
    bundles, block = work
    group = layout.groups[number]
    before = layout.plan.schemas()[sum(len(one.stages) for one in layout.groups[:number])]
    stages: list[StageWords] = []
    if group.reads:
        stages.append(_source_words(layout.plan))
    for stage, after in zip(group.stages, group.schemas, strict=True):
        stages.append(stage_words(stage, before, after))
        before = after
    places = supply.places(group.resources)
    workers = _workers(group, places, bundles)
    copies = WORKING_COPIES + (0 if group.reads else IN_FLIGHT)
    waiting = "" if group.reads else f" + {IN_FLIGHT} that wait"
    formula = f"{workers:,} worker{plural(workers)} x ({WORKING_COPIES} blocks at work{waiting}) x {size_words(block)}"
    return PoolWords(
        pool=number + 1,
        stages=tuple(stages),
        why=_why_apart(layout, number, config),
        min_workers=group.min_workers,
        max_workers=group.max_workers,
        reserves=said(group.resources),
        can_run=places,
        lack=supply.lack(group.resources),
        memory_bytes=workers * copies * block,
        memory_formula=formula,
    )


def _workers(group: Group, places: int, bundles: int) -> int:
    """Workers that the pool is likely to reach: no more than its bound, its work, or its room."""
    most = min(group.max_workers or places, max(1, bundles))
    return max(group.min_workers, min(most, places) if places else most)


def _likely(group: Group, pool: PoolWords, bundles: int) -> int:
    return _workers(group, pool.can_run, bundles)


def _why_apart(layout: Layout, number: int, config: EngineConfig) -> str:
    group = layout.groups[number]
    names = ([layout.plan.source.name] if group.reads else []) + list(group.names)
    fused = (
        "alone in its pool"
        if len(names) == 1
        else f"{len(names)} stages want the same and fuse: a block stays in its worker"
    )
    if number == 0:
        return f"begins with the source; {fused}"
    if not config.fuse:
        return "engine.fuse is false: each stage has a pool of its own"
    own = group.stages[0]
    last = (layout.plan.source, *layout.plan.stages)[sum(len(one.stages) for one in layout.groups[:number])]
    reasons = []
    if own.resources != last.resources:
        reasons.append(
            f"a worker of {own.name} reserves {said(own.resources)}, one of {last.name} {said(last.resources)}"
        )
    if own.max_workers != last.max_workers:
        reasons.append(f"{own.name} bears {_bound(own)}, {last.name} {_bound(last)}")
    return f"apart from the pool before, since {' and '.join(reasons)}; {fused}"


def _bound(stage: Stage) -> str:
    return "any number of workers" if stage.max_workers is None else f"at most {stage.max_workers} at a time"


# ---- stages ---------------------------------------------------------------------------------------------------------


def stage_words(stage: Stage, before: pa.Schema, after: pa.Schema) -> StageWords:
    """One stage between two schemas."""
    had = {field.name: field.type for field in before}
    has = {field.name: field.type for field in after}
    return StageWords(
        name=stage.name,
        kind=_kind(stage),
        does=_does(stage),
        columns_in=len(had),
        columns_out=len(has),
        added=tuple(name for name in has if name not in had),
        dropped=tuple(name for name in had if name not in has),
        retyped=tuple(f"{name}: {had[name]} -> {kind}" for name, kind in has.items() if had.get(name, kind) != kind),
        rows=_rows(stage),
        extra=stage.extra,
    )


def _source_words(plan: Plan) -> StageWords:
    source = plan.source
    columns = len(source.schema())
    again = f"; then again, uncounted: {', '.join(stage.name for stage in plan.prefix)}" if plan.prefix else ""
    rows = f"rows that cannot be placed are set aside{again}"
    return StageWords(source.name, "source", _does(source), 0, columns, (), (), (), rows, source.extra)


def _kind(stage: Stage) -> str:
    kinds = (
        (SourceStage, "source"),
        (ReduceStage, "reduce"),
        (SinkStage, "sink"),
        (ModelStage, "model"),
        (MapStage, "map"),
    )
    return next((word for kind, word in kinds if isinstance(stage, kind)), "stage")


def _does(stage: Stage) -> str:
    """The first sentence of its description, if it stands in the first line."""
    line = next(iter((type(stage).__doc__ or "").strip().splitlines()), "")
    return line.partition(". ")[0].strip().rstrip(".")


def _rows(stage: Stage) -> str:
    if isinstance(stage, ReduceStage):
        return "rows pass through; partials of blocks merge in the order of parts"
    if isinstance(stage, SinkStage):
        return "rows pass through; one file a part, and writing a part twice leaves one"
    if isinstance(stage, MapStage):
        words = "may drop rows" if stage.drops_rows else "drops no row"
        return f"{words}; takes the part's id" if stage.needs_part else words
    return ""


# ---- what it comes to -----------------------------------------------------------------------------------------------


def _resume(config: EngineConfig, parts: int) -> str:
    return (
        f"done parts are committed in their order about every {config.checkpoint_s:g} s; after a kill, `raypipe run "
        f"--resume RUN_ID` goes on behind the last of {parts:,} part{plural(parts)} that was committed"
    )


def _with_limits(words: PlanWords, supply: Supply) -> PlanWords:
    """What would be reached first, by rules over the numbers above."""
    found: list[str] = []
    for pool in words.pools:
        if pool.lack:
            grows = "" if supply.private else "; it waits until an autoscaler brings such a node, or for ever"
            found.append(f"pool {pool.pool} cannot start: {pool.lack}{grows}")
    need = words.memory_bytes + words.interpreters_bytes
    if words.free_bytes is not None and need > words.free_bytes:
        found.append(
            f"memory: {size_words(need)} wanted with the interpreters, {size_words(words.free_bytes)} free; smaller "
            "engine.block_mib or fewer engine.max_workers need less"
        )
    reach = [pool for pool in words.pools if not pool.lack]
    most = max((pool.max_workers or pool.can_run for pool in reach), default=1)
    if words.bundles < most:
        found.append(
            f"parts: {words.bundles:,} bundle{plural(words.bundles)} for up to {most:,} workers, so that some have "
            "nothing to do; a smaller engine.block_mib cuts finer"
        )
    if words.read_again_bytes and words.keep_budget_bytes:
        found.append(
            f"object store: {size_words(words.read_again_bytes)} of {size_words(words.source_bytes)} would be read "
            "again by a second pass; engine.memory_gib sets the budget"
        )
    if words.engine == "inline":
        found.append("one core: the inline engine works in this process; --engine ray uses all")
    else:
        workers = words.interpreters_bytes // INTERPRETER_BYTES
        shared = (
            f"up to {workers:,} workers share {words.cpus:g}" if workers > words.cpus else f"{words.cpus:g} of them"
        )
        found.append(f"CPUs: {shared}, for reading and for the heaviest stage")
    return replace(words, limits=tuple(found))
