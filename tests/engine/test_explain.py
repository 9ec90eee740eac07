"""A plan explained: what stages do to columns and rows, why pools are apart, what cannot start, what limits it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ConfigDict

from raypipe.config import EngineConfig, Resources
from raypipe.engine.explain import explain_layout, explain_plan, stage_words
from raypipe.engine.explain_words import PlanWords
from raypipe.engine.inline import InlineEngine
from raypipe.engine.layout import lay_out
from raypipe.engine.supply import GIB, Node, Supply, said
from raypipe.stage import BlockStage, MapStage, Part, PartRead, Plan, SinkStage, SourceStage

SCHEMA = pa.schema([("id", pa.int64()), ("price", pa.float64()), ("note", pa.large_string())])
TWO_CORES = Supply("here", (Node(2, 0, 8 * GIB),), 1 << 30, 4 * GIB, True)


class Numbered(SourceStage):
    """Parts of a given size. Nobody reads them."""

    sizes: tuple[int, ...] = (64 << 20,) * 8
    more_columns: int = 0

    def schema(self) -> pa.Schema:  # type: ignore[override]
        return pa.schema([*SCHEMA, *((f"column {at}", pa.int64()) for at in range(self.more_columns))])

    def parts(self) -> list[Part]:
        return [Part(id=f"{at:05d}", file="f", bytes=size) for at, size in enumerate(self.sizes)]

    def open(self) -> Any:
        return lambda part: PartRead(SCHEMA.empty_table())


class Reshape(BlockStage):
    """Adds, drops and retypes. The second sentence is left out."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    drops_rows = True

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return pa.schema([("id", pa.large_string()), ("price", pa.float64()), ("tax", pa.float64())])

    def apply(self, block: pa.Table) -> pa.Table:
        return block


class Embed(BlockStage):
    """Wants a GPU."""

    needs_part = True
    resources: Resources = Resources(gpus=1)

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def apply(self, block: pa.Table) -> pa.Table:
        return block


class Send(SinkStage):
    """Writes away."""

    max_workers: int | None = 1

    def open(self) -> Any:
        return lambda block, part: {}


def words_of(
    *stages: MapStage | SinkStage, supply: Supply = TWO_CORES, sizes: tuple[int, ...] | None = None, **config: Any
) -> PlanWords:
    plan = Plan(source=Numbered() if sizes is None else Numbered(sizes=sizes), stages=stages)
    engine = EngineConfig(**config)
    layout = lay_out(plan, engine, supply.cpus, own_cluster=supply.private)
    return explain_layout(layout, engine, supply, "ray", "a test asks")


def test_a_stage_says_what_becomes_of_columns_and_rows() -> None:
    stage = Reshape()
    words = stage_words(stage, SCHEMA, stage.output_schema(SCHEMA))
    assert (words.added, words.dropped, words.retyped) == (("tax",), ("note",), ("id: int64 -> large_string",))
    assert (words.kind, words.rows) == ("map", "may drop rows")
    assert words.does == "Adds, drops and retypes"
    assert "takes the part's id" in stage_words(Embed(), SCHEMA, SCHEMA).rows
    text = words_of(stage).text()
    assert "3 -> 3 columns: adds tax; drops note; retypes id: int64 -> large_string; may drop rows" in text


def test_pools_are_apart_for_reasons_that_are_told() -> None:
    first, second, third = words_of(Reshape(), Embed(), Send()).pools
    assert [stage.name for stage in first.stages] == ["Numbered", "Reshape"]
    assert "2 stages want the same and fuse" in first.why
    assert "a worker of Embed reserves 1 CPU, 1 GPU, one of Reshape 1 CPU" in second.why
    assert "Send bears at most 1 at a time, Embed any number of workers" in third.why
    assert (third.min_workers, third.max_workers) == (1, 1)


def test_stages_that_are_not_to_fuse_say_so() -> None:
    pools = words_of(Reshape(), fuse=False).pools
    assert [len(pool.stages) for pool in pools] == [1, 1]
    assert pools[1].why == "engine.fuse is false: each stage has a pool of its own"


def test_a_gpu_that_is_not_there_is_the_first_limit() -> None:
    words = words_of(Embed())
    assert words.limits[0] == "pool 2 cannot start: it wants 1 GPU, and there is none"
    assert "cannot start now: it wants 1 GPU" in words.text()


def test_on_a_cluster_what_is_lacking_may_still_come() -> None:
    cluster = Supply("there", (Node(8, 0, 32 * GIB), Node(4, 0, 16 * GIB)), 8 * GIB, None, False)
    limits = words_of(Embed(), supply=cluster).limits
    assert "until an autoscaler brings such a node" in limits[0]


@pytest.mark.parametrize(
    ("wanted", "places", "lack"),
    [
        (Resources(cpus=1), 12, None),
        (Resources(cpus=3), 3, None),
        (Resources(cpus=0.01, memory_gib=20), 1, None),
        (Resources(gpus=0.5), 2, None),
        (Resources(cpus=6, gpus=1), 0, "the largest node has 4 CPU, 1 GPU, 16.0 GiB"),
        (Resources(cpus=9), 0, "it wants 9 CPU"),
        (Resources(labels={"zone": "a"}), 8, None),
        (Resources(labels={"zone": "b"}), 0, "no node has the labels zone=b"),
    ],
)
def test_places_for_workers_are_counted_node_by_node(wanted: Resources, places: int, lack: str | None) -> None:
    nodes = (Node(8, 0, 32 * GIB, {"zone": "a"}), Node(4, 1, 16 * GIB))
    supply = Supply("there", nodes, None, None, False)
    assert supply.places(wanted) == places
    found = supply.lack(wanted)
    assert (found is None) == (places > 0) == (lack is None)
    assert lack is None or lack in (found or "")


def test_what_a_worker_reserves_is_said_in_full() -> None:
    wanted = Resources(cpus=2, gpus=0.5, memory_gib=4, labels={"ray.io/market-type": "spot"})
    assert said(wanted) == "2 CPU, 0.5 GPU, 4 GiB, label ray.io/market-type=spot"


def test_memory_is_told_with_its_formula() -> None:
    words = words_of(Reshape(), Send(), block_mib=64)
    assert words.pools[0].memory_formula == "2 workers x (4 blocks at work) x about 64 MiB"
    assert words.pools[1].memory_formula == "1 worker x (4 blocks at work + 2 that wait) x about 64 MiB"
    assert words.memory_bytes == (2 * 4 + 6) * (64 << 20) == sum(pool.memory_bytes for pool in words.pools)


def test_pools_that_share_the_cpus_are_told_so() -> None:
    assert words_of(Reshape(), fuse=False).limits[-1].startswith("CPUs: up to 4 workers share 2")
    assert words_of(Reshape()).limits[-1].startswith("CPUs: 2 of them")


def test_small_parts_take_less_than_a_whole_block() -> None:
    words = words_of(sizes=(1 << 20,) * 64)
    assert words.block_bytes == 1 << 20
    assert words.bundles < words.parts == 64


def test_what_a_second_pass_reads_again_is_what_does_not_fit_the_budget() -> None:
    words = words_of(Reshape(), memory_gib=0.375)
    assert words.keep_budget_bytes == 256 << 20
    assert words.read_again_bytes == (512 - 256) << 20
    assert "of about 512 MiB, about 256 MiB would be read again" in words.text()
    assert any(limit.startswith("object store: about 256 MiB of about 512 MiB") for limit in words.limits)
    assert words_of(Reshape(), memory_gib=4).read_again_bytes == 0


def test_too_little_memory_and_too_few_parts_are_limits() -> None:
    tight = Supply("here", (Node(16, 0, 8 * GIB),), 1 << 30, 1 << 30, True)
    limits = words_of(supply=tight, sizes=(64 << 20,) * 3).limits
    assert any(limit.startswith("memory: about") for limit in limits)
    assert any("3 bundles for up to 16 workers" in limit for limit in limits)


def test_the_inline_engine_is_explained_without_ray() -> None:
    plan = Plan(source=Numbered(), stages=(Reshape(),))
    words = explain_plan(InlineEngine(EngineConfig(engine="inline")), "small", plan)
    assert words.limits[-1].startswith("one core")
    assert (words.store_bytes, words.queue_budget_bytes, words.interpreters_bytes) == (None, None, 0)
    assert "--resume RUN_ID" in words.text()


def test_it_all_goes_into_json() -> None:
    found = json.loads(json.dumps(words_of(Reshape(), Embed(), Send()).to_dict(), allow_nan=False))
    assert found["pools"][1]["lack"] == "it wants 1 GPU, and there is none"
    assert found["pools"][0]["stages"][1]["dropped"] == ["note"]


def test_a_line_stays_a_line_however_many_columns_there_are() -> None:
    plan = Plan(source=Numbered(more_columns=300), stages=(Reshape(),))
    words = explain_plan(InlineEngine(EngineConfig(engine="inline")), "small", plan)
    assert len(words.pools[0].stages[1].dropped) == 301
    assert "column 6 and 293 more" in words.text()
    stages = (replace(words.pools[0].stages[1], added=("two\nlines", "")),)
    odd = replace(words, pools=(replace(words.pools[0], stages=stages),))
    assert "adds 'two\\nlines', ''" in odd.text()
    assert max(map(len, words.text().splitlines())) < 300
