"""Which rows kill a worker: found exactly, in few deaths, whatever else goes wrong meanwhile."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.engine.inquest import Answer, CannotSurviveError, Care, Probe, Trial, inquest

STAGES = 4


class World:
    """Parts with rows that kill at a stage, and a bound on the rows that a stage survives at once."""

    def __init__(self, parts: list[tuple[int, dict[int, int]]], most_rows: int | None = None) -> None:
        self.parts = parts
        self.most_rows = most_rows
        self.deaths = 0
        self.probes = 0

    def answer(self, step: Probe | Trial) -> Answer:
        if isinstance(step, Trial):
            died = any(self._kills(part, step.care.get(part, Care())) for part in range(len(self.parts)))
            self.deaths += died
            return Answer(died)
        rows, killers = self.parts[step.part]
        first, stop = (0, rows) if step.first is None or step.stop is None else (step.first, step.stop)
        died = any(first <= row < stop and at < step.stages for row, at in killers.items())
        died = died or (self.most_rows is not None and step.stages > 0 and stop - first > self.most_rows)
        self.deaths += died
        self.probes += 1
        return Answer(died, first, stop)

    def _kills(self, part: int, care: Care) -> bool:
        rows, killers = self.parts[part]
        spared = {row: stage for stage, skipped in care.skip.items() for row in skipped}
        at_once = min(rows, care.block_rows or rows)
        too_many = self.most_rows is not None and at_once > self.most_rows
        return too_many or any(row not in spared or spared[row] > at for row, at in killers.items())

    def run(self, lie: Callable[[int], bool] = lambda step: False) -> dict[int, Care]:
        """The care of the trial that was survived; `lie(number of the step)` makes up a death."""
        steps = inquest(len(self.parts), STAGES, "it was killed")
        step, number = next(steps), 0
        try:
            while True:
                number += 1
                answer = self.answer(step)
                step = steps.send(Answer(True) if lie(number) else answer)
        except StopIteration:
            assert isinstance(step, Trial)
            return dict(step.care)


def blamed(care: dict[int, Care], part: int) -> dict[int, int]:
    return {row: stage for stage, rows in care.get(part, Care()).skip.items() for row in rows}


killers = st.dictionaries(st.integers(0, 2_999), st.integers(0, STAGES - 1), max_size=4)


@settings(max_examples=100, deadline=None)
@given(st.lists(killers, min_size=1, max_size=3))
def test_exactly_the_rows_at_fault_are_found_each_at_its_stage(found: list[dict[int, int]]) -> None:
    world = World([(3_000, killer) for killer in found])
    care = world.run()
    for part, killer in enumerate(found):
        assert blamed(care, part) == killer
        assert care.get(part, Care()).block_rows is None or not any(found)


@settings(max_examples=60, deadline=None)
@given(killers, st.integers(1, 3_000))
def test_too_much_at_once_and_rows_at_fault_are_told_apart(killer: dict[int, int], most_rows: int) -> None:
    care = World([(3_000, killer)], most_rows).run()
    assert blamed(care, 0) == killer
    if most_rows < 3_000:
        assert (care[0].block_rows or 0) <= most_rows


def test_a_bundle_that_was_lost_by_chance_takes_one_run() -> None:
    world = World([(1_000, {})])
    assert world.run() == {}
    assert (world.deaths, world.probes) == (0, 0)


def test_one_row_of_a_million_takes_few_deaths() -> None:
    world = World([(1_000_000, {765_432: 2})])
    assert blamed(world.run(), 0) == {765_432: 2}
    assert world.deaths <= 10


def test_too_much_at_once_takes_two_deaths_at_most() -> None:
    world = World([(1_000_000, {})], most_rows=70_000)
    assert world.run()[0].block_rows == 62_500
    assert world.deaths <= 2


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(2, 60), max_size=1), st.integers(0, 999))
def test_a_worker_lost_for_reasons_of_its_own_makes_no_row_guilty(lies: set[int], row: int) -> None:
    care = World([(1_000, {row: 1})]).run(lies.__contains__)
    assert set(blamed(care, 0)) == {row}


def test_a_source_that_kills_cannot_be_searched() -> None:
    steps = inquest(1, STAGES, "it was killed")
    assert next(steps) == Trial()
    assert steps.send(Answer(True)) == Probe(0, 0)
    assert steps.send(Answer(True)) == Probe(0, 0)  # once may be chance
    with pytest.raises(CannotSurviveError, match="it was killed, by reading alone"):
        steps.send(Answer(True))


def test_a_bundle_that_always_kills_is_given_up() -> None:
    world = World([(64, {})], most_rows=0)
    with pytest.raises(CannotSurviveError, match="however few rows"):
        world.run()
    assert world.deaths < 4 * 64
