"""Stated intervals hold the truth about as often as they say; `benchmarks/coverage.py` measures it closely."""

from __future__ import annotations

import math

import pytest

from benchmarks.coverage import count
from benchmarks.coverage_cases import FEW, Case, cases

DRAWS, FEW_DRAWS = 150, 20
SIGMAS = 4.0
"""How far a seeded count may lie below what is stated: one of 90 right intervals fails in 300 choices of seeds."""
ALL = [case for case in cases() if case.promised]


def named(case: Case) -> str:
    return f"{case.interval}, {case.of}"


def least(level: float, draws: int) -> float:
    return level * draws - SIGMAS * math.sqrt(level * (1 - level) * draws)


@pytest.mark.parametrize("case", [case for case in ALL if case.repeats > FEW], ids=named)
def test_an_interval_holds_the_truth_as_often_as_it_says(case: Case) -> None:
    stated, held = count(case, DRAWS)
    assert stated >= 0.9 * DRAWS
    assert held >= least(case.level, stated)


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in ALL if case.repeats <= FEW], ids=named)
def test_intervals_of_changes_and_forecasts_hold_the_truth_as_often_as_they_say(case: Case) -> None:
    stated, held = count(case, FEW_DRAWS)
    assert stated >= 0.5 * FEW_DRAWS
    assert held >= least(case.level, stated)
