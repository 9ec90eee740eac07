"""How plans become pools, in words and in numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raypipe.config import EngineConfig
from raypipe.engine.choose import choose_engine
from raypipe.engine.layout import explain, lay_out, parts_in_bundles
from raypipe.errors import MissingDependencyError
from raypipe.stage import Plan
from tests.engine.stages import AddTo, FailOn, KeepEven, Numbers, SumX, WantsGpus

PLAN = Plan(source=Numbers(), stages=(AddTo(), KeepEven(), WantsGpus(), SumX()))


def test_neighbours_with_equal_resources_fuse() -> None:
    layout = lay_out(PLAN, EngineConfig(), cpus=2)
    assert [group.names for group in layout.groups] == [("AddTo1", "KeepEven"), ("WantsGpus",), ("SumX",)]


def test_without_fusing_each_stage_has_a_pool() -> None:
    layout = lay_out(PLAN, EngineConfig(fuse=False), cpus=2)
    assert [group.names for group in layout.groups] == [(), ("AddTo1",), ("KeepEven",), ("WantsGpus",), ("SumX",)]


def test_a_ray_of_our_own_reserves_shares_and_a_cluster_whole_cpus() -> None:
    assert lay_out(PLAN, EngineConfig(), cpus=2).groups[0].resources.cpus < 0.1
    assert lay_out(PLAN, EngineConfig(), cpus=64, own_cluster=False).groups[0].resources.cpus == 1.0


@pytest.mark.parametrize(
    ("config", "own", "bounds"),
    [
        ({}, True, (1, 2)),
        ({}, False, (1, None)),
        ({"workers": 3}, True, (3, 3)),
        ({"min_workers": 4}, True, (2, 2)),
        ({"min_workers": 2, "max_workers": 16}, False, (2, 16)),
    ],
)
def test_pools_grow_within_bounds(config: dict[str, int], own: bool, bounds: tuple[int, int | None]) -> None:
    group = lay_out(PLAN, EngineConfig(**config), cpus=2, own_cluster=own).groups[0]
    assert (group.min_workers, group.max_workers) == bounds


def test_a_stage_that_bears_few_workers_has_a_pool_of_its_own() -> None:
    plan = Plan(source=Numbers(), stages=(AddTo(amount=1), AddTo(amount=2, max_workers=1), SumX()))
    groups = lay_out(plan, EngineConfig(), cpus=8).groups
    assert [(group.names, group.max_workers) for group in groups] == [
        (("AddTo1",), 8), (("AddTo2",), 1), (("SumX",), 8)
    ]  # fmt: skip


def test_the_plan_in_words_names_pools_resources_and_memory() -> None:
    text = explain(lay_out(PLAN, EngineConfig(workers=3), cpus=2))
    assert "pool 1  3 x actor (0 CPU), fused: Numbers > AddTo1 > KeepEven" in text
    assert "pool 2  3 x actor (0 CPU, 1 GPU), fused: WantsGpus" in text
    assert "MiB at the peak" in text


@given(st.lists(st.integers(0, 100), max_size=60), st.integers(1, 200), st.integers(1, 10))
def test_bundles_hold_every_part_once_in_order_and_within_bounds(sizes: list[int], limit: int, most: int) -> None:
    bundles = parts_in_bundles(sizes, limit, most)
    assert [index for bundle in bundles for index in bundle] == list(range(len(sizes)))
    assert all(0 < len(bundle) <= most for bundle in bundles)
    assert all(len(bundle) == 1 or sum(sizes[index] for index in bundle) <= limit for bundle in bundles)


@pytest.mark.parametrize(
    ("config", "size", "stages", "name", "why"),
    [
        ({}, 1000, (), "inline", "the source has 0.0 MiB, less than 16 MiB"),
        ({}, 64 << 20, (), "ray", "the source has 64.0 MiB, at least 16 MiB"),
        ({}, 1000, (WantsGpus(),), "ray", "a stage wants a GPU"),
        ({"address": "head:6379"}, 1000, (), "ray", "a cluster address was given"),
        ({"engine": "ray"}, 1000, (), "ray", "engine: ray was asked for"),
        ({"engine": "inline"}, 64 << 20, (), "inline", "engine: inline was asked for"),
    ],
)
def test_the_engine_is_chosen_for_a_stated_reason(
    config: dict[str, str], size: int, stages: tuple[WantsGpus, ...], name: str, why: str
) -> None:
    engine, reason = choose_engine(EngineConfig.model_validate(config), size, stages)
    assert engine.name == name
    assert reason.startswith(why)


def test_a_missing_extra_is_told_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    from raypipe import _optional

    monkeypatch.setitem(_optional.EXTRA_MODULES, "magic", ("no_such_module",))
    monkeypatch.setattr(FailOn, "extra", "magic")
    with pytest.raises(MissingDependencyError, match=r"FailOn needs no_such_module: pip install 'raypipe\[magic\]'"):
        Plan(source=Numbers(), stages=(FailOn(),)).schemas()


@pytest.mark.parametrize(
    ("columns", "size", "cpus", "given", "name"),
    [
        (2_000, 100 << 20, 2, {}, "inline"),
        (2_000, 100 << 20, 8, {}, "ray"),
        (500, 100 << 20, 2, {}, "ray"),
        (2_000, 2 << 30, 2, {}, "ray"),
        (2_000, 100 << 20, 2, {"engine": "ray"}, "ray"),
        (2_000, 100 << 20, 2, {"address": "auto"}, "ray"),
    ],
)
def test_a_wide_table_stays_in_one_process_where_there_are_few_cpus(
    columns: int, size: int, cpus: int, given: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cpus)))
    engine, reason = choose_engine(EngineConfig.model_validate(given), size, columns=columns)
    assert engine.name == name
    assert ("columns" in reason) == (name == "inline")
