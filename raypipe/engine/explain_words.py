"""The words of `raypipe plan --explain`: values that hold a plan explained, and the text that a terminal gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

GIB, MIB = 1 << 30, 1 << 20
COLUMNS_SHOWN = 8


@dataclass(frozen=True)
class StageWords:
    """One stage: what comes in, what goes out, and what may become of rows."""

    name: str
    kind: str
    """source, map, model, reduce or sink."""
    does: str
    """First sentence of its description."""
    columns_in: int
    columns_out: int
    added: tuple[str, ...]
    dropped: tuple[str, ...]
    retyped: tuple[str, ...]
    """`column: from -> to`."""
    rows: str
    """What may become of rows."""
    extra: str | None


@dataclass(frozen=True)
class PoolWords:
    """One pool: its stages, why it begins where it does, its workers and what they take."""

    pool: int
    """From 1."""
    stages: tuple[StageWords, ...]
    why: str
    """Why its stages share it, and why it is apart from the pool before."""
    min_workers: int
    max_workers: int | None
    reserves: str
    """What each of its workers reserves; empty where it is this process that works."""
    can_run: int
    """Workers for which there is room now."""
    lack: str | None
    """Why no worker of it could ever start on the nodes that are there."""
    memory_bytes: int
    memory_formula: str


@dataclass(frozen=True)
class PlanWords:
    """A plan explained."""

    engine: str
    why: str
    where: str
    cpus: float
    gpus: float
    free_bytes: int | None
    store_bytes: int | None
    source: str
    parts: int
    source_bytes: int
    """Of all parts in memory, as estimated."""
    bundles: int
    block_bytes: int
    pools: tuple[PoolWords, ...]
    memory_bytes: int
    """At the peak, beside the interpreters."""
    interpreters_bytes: int
    queue_budget_bytes: int | None
    keep_budget_bytes: int
    read_again_bytes: int
    """What a second pass would read again, since the blocks of the first do not fit the budget."""
    resume: str
    limits: tuple[str, ...]
    """What would be reached first, the most likely one at the top."""
    steps: str = ""
    """The passes that follow the first for the steps of `processing.steps`; empty where there are none."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    def text(self) -> str:
        """For a terminal."""
        return "\n".join([*_head(self), *(line for pool in self.pools for line in _pool_lines(pool)), *_tail(self)])


def _head(words: PlanWords) -> list[str]:
    free = f", {words.free_bytes / GIB:.1f} GiB of memory free" if words.free_bytes is not None else ""
    store = f", {size_words(words.store_bytes)} object store" if words.store_bytes is not None else ""
    per = words.parts / words.bundles if words.bundles else 0.0
    joined = f", {words.bundles:,} bundles of {per:.3g} parts" if words.bundles != words.parts else ""
    gpus = f", {words.gpus:g} GPUs" if words.gpus else ", no GPU"
    parts = f"{words.parts:,} part{plural(words.parts)}, {size_words(words.source_bytes)} in memory{joined}"
    return [
        f"engine   {words.engine}: {words.why}",
        f"where    {words.where}: {words.cpus:g} CPUs{gpus}{free}{store}",
        f"source   {words.source}: {parts}",
    ]


def _pool_lines(pool: PoolWords) -> list[str]:
    can = f"cannot start now: {pool.lack}" if pool.lack else _room(pool)
    workers = f"{_span(pool)}, each reserves {pool.reserves}; {can}" if pool.reserves else "this process"
    lines = [
        "",
        f"pool {pool.pool}   {workers}",
        f"         {pool.why}",
    ]
    width = max(len(stage.name) for stage in pool.stages)
    for stage in pool.stages:
        lines.append(f"  {stage.name:<{width}}  {stage.kind:<6}  {stage.does}")
        lines += [f"  {'':<{width}}          {text}" for text in _stage_facts(stage)]
    return lines


def _stage_facts(stage: StageWords) -> list[str]:
    changed = "; ".join(
        f"{word} {_listed(names)}"
        for word, names in (("adds", stage.added), ("drops", stage.dropped), ("retypes", stage.retyped))
        if names
    )
    if stage.kind == "source":
        columns = f"{stage.columns_out} columns"
    elif changed:
        columns = f"{stage.columns_in} -> {stage.columns_out} columns: {changed}"
    else:
        columns = f"{stage.columns_out} columns, as before"
    facts = [f"{columns}; {stage.rows}" if stage.rows else columns]
    return facts + ([f"needs the extra raypipe[{stage.extra}]"] if stage.extra else [])


def _tail(words: PlanWords) -> list[str]:
    lines = [""]
    lines += [
        f"memory   pool {pool.pool}: {pool.memory_formula} = {size_words(pool.memory_bytes)}" for pool in words.pools
    ]
    beside = f", beside {size_words(words.interpreters_bytes)} for interpreters" if words.interpreters_bytes else ""
    lines.append(f"         {size_words(words.memory_bytes)} in all at the peak{beside}")
    if words.queue_budget_bytes is not None:
        lines.append(f"queues   blocks between pools: up to {size_words(words.queue_budget_bytes)}")
    keeps = f"kept     for a later pass: up to {size_words(words.keep_budget_bytes)} of blocks"
    again = words.read_again_bytes
    lines.append(
        "kept     nothing: the source is quick to read, and a later pass reads again what it looks at"
        if not words.keep_budget_bytes
        else f"{keeps}; all of {size_words(words.source_bytes)} fit, so that it reads nothing again"
        if not again
        else f"{keeps}; of {size_words(words.source_bytes)}, {size_words(again)} would be read again"
    )
    if words.steps:
        lines.append(f"steps    further passes: {words.steps}")
    lines.append(f"resume   {words.resume}")
    for number, limit in enumerate(words.limits):
        lines.append(f"{'limits' if not number else '':<9}{number + 1}. {limit}")
    return lines


def _span(pool: PoolWords) -> str:
    if pool.max_workers is None:
        return f"{pool.min_workers:,} worker{plural(pool.min_workers)} or more"
    if pool.min_workers == pool.max_workers:
        return f"{pool.max_workers:,} worker{plural(pool.max_workers)}"
    return f"{pool.min_workers:,} to {pool.max_workers:,} workers"


def _room(pool: PoolWords) -> str:
    wanted = pool.max_workers
    if wanted is None:
        return f"there is room for {pool.can_run:,} now"
    return (
        "there is room for all" if pool.can_run >= wanted else f"there is room for {pool.can_run:,} of {wanted:,} now"
    )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(name if name.isprintable() and name.strip() else repr(name) for name in names[:COLUMNS_SHOWN])
    return shown if len(names) <= COLUMNS_SHOWN else f"{shown} and {len(names) - COLUMNS_SHOWN:,} more"


def size_words(size: int) -> str:
    """Bytes as people say them before anything was measured."""
    return (
        f"about {size / GIB:,.1f} GiB"
        if size >= 10 * GIB
        else f"about {size / MIB:,.0f} MiB"
        if size >= MIB
        else "less than 1 MiB"
    )


def plural(count: int) -> str:
    """The ending of a noun beside a count."""
    return "" if count == 1 else "s"
