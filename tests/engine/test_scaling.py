"""How many workers a pool gets: never too few to go on, never more than it may have, and no more than it can use."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.engine.scaling import STARTING, PoolLoad, pool_changes


@st.composite
def pool_loads(draw: st.DrawFn) -> PoolLoad:
    minimum = draw(st.integers(0, 4))
    maximum = draw(st.integers(max(1, minimum), 12))
    up = draw(st.integers(0, maximum))
    starting = draw(st.integers(0, maximum - up))
    busy = draw(st.integers(0, up))
    return PoolLoad(
        minimum,
        maximum,
        up,
        starting,
        busy,
        calls=draw(st.integers(busy, 2 * busy)),
        queued=draw(st.integers(0, 50)),
        to_come=draw(st.integers(0, 50)),
        blocked=draw(st.booleans()),
        seconds=draw(st.one_of(st.none(), st.floats(0.001, 100))),
        idle_s=draw(st.floats(0, 60)),
    )


@settings(max_examples=300, deadline=None)
@given(st.lists(pool_loads(), min_size=1, max_size=5), st.booleans())
def test_bounds_hold_whatever_the_load(loads: list[PoolLoad], eager: bool) -> None:
    for load, change in zip(loads, pool_changes(loads, eager=eager, idle_worker_s=10), strict=True):
        assert load.workers + change <= load.maximum
        assert load.up - load.busy + min(change, 0) >= 0, "only idle workers may go"
        if change < 0:
            assert load.idle_s >= 10
            assert load.workers + change >= min(load.minimum, load.work)


@settings(max_examples=300, deadline=None)
@given(st.lists(pool_loads(), min_size=2, max_size=5))
def test_on_a_cluster_no_pool_gets_a_second_worker_before_each_has_one(loads: list[PoolLoad]) -> None:
    changes = pool_changes(loads, eager=False, idle_worker_s=10)
    lacking = [load.up == 0 and load.work > 0 for load in loads]
    for load, change in zip(loads, changes, strict=True):
        if any(lacking) and change > 0:
            assert load.workers == 0
            assert change == 1


@settings(max_examples=300, deadline=None)
@given(st.lists(pool_loads(), min_size=1, max_size=5), st.booleans())
def test_a_pool_with_work_and_without_workers_gets_one(loads: list[PoolLoad], eager: bool) -> None:
    for load, change in zip(loads, pool_changes(loads, eager=eager, idle_worker_s=10), strict=True):
        if load.work and not load.workers:
            assert change >= 1


def test_a_pool_grows_to_what_waits_and_on_a_cluster_step_by_step() -> None:
    load = PoolLoad(1, 64, up=1, busy=1, calls=2, queued=100)
    assert pool_changes([load], eager=True, idle_worker_s=10) == [63]
    assert pool_changes([load], eager=False, idle_worker_s=10) == [STARTING]
    on_its_way = replace(load, starting=STARTING)
    assert pool_changes([on_its_way], eager=False, idle_worker_s=10) == [0]
    larger = replace(load, up=16, busy=16)
    assert pool_changes([larger], eager=False, idle_worker_s=10) == [16]


def test_calls_that_a_worker_holds_already_are_no_reason_for_another_worker() -> None:
    held = PoolLoad(1, 8, up=2, busy=2, calls=4)
    assert pool_changes([held], eager=False, idle_worker_s=10) == [0]


def test_a_pool_far_ahead_of_the_slowest_does_not_grow() -> None:
    read = PoolLoad(1, 8, up=2, busy=2, calls=4, queued=50, seconds=0.1)
    score = PoolLoad(1, 8, up=1, busy=1, calls=2, queued=9, to_come=50, seconds=5.0)
    assert pool_changes([read, score], eager=True, idle_worker_s=10) == [0, 7]


def test_a_pool_whose_output_has_nowhere_to_go_does_not_grow() -> None:
    blocked = PoolLoad(1, 8, up=1, busy=1, calls=2, queued=50, blocked=True)
    assert pool_changes([blocked], eager=True, idle_worker_s=10) == [0]


def test_idle_workers_go_after_a_while_but_not_those_that_the_slowest_pool_can_use() -> None:
    slow = PoolLoad(1, 2, up=2, busy=2, calls=4, queued=20, seconds=4.0)
    fast = PoolLoad(1, 8, up=8, busy=1, calls=1, to_come=24, seconds=4.0, idle_s=11)
    assert pool_changes([slow, fast], eager=False, idle_worker_s=10)[1] == -5  # 2 would do, 3 with some to spare
    assert pool_changes([slow, replace(fast, idle_s=9)], eager=False, idle_worker_s=10)[1] == 0


@pytest.mark.parametrize("left", [0, 3])
def test_without_work_all_but_the_busy_go(left: int) -> None:
    done = PoolLoad(1, 8, up=8, busy=left, calls=left, idle_s=11)
    assert pool_changes([done], eager=False, idle_worker_s=10) == [-(8 - left)]
