"""Where nothing is, hardly anything is found; `benchmarks/noise.py` measures it closely, for more kinds and sizes."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import noise
from benchmarks import noise_tables as made
from raypipe.insights.series.anomalies import find_anomalies
from raypipe.insights.series.decompose import decompose

DRAWS = 25


def hits(case: noise.Case, draws: int) -> list[str]:
    return [one for seed in range(draws) for one in case.ask(case.table(seed), case.kind)]


def of(family: str, *sizes: str) -> list[noise.Case]:
    return [case for case in noise.cases() if case.family == family and (not sizes or case.size in sizes)]


@pytest.mark.parametrize("family", ["single values", "counts and means"])
@pytest.mark.parametrize("size", ["60 steps", "200 steps"])
def test_anomalies_of_noise_keep_to_their_rate_whatever_its_tails_and_memory(family: str, size: str) -> None:
    # At 5 % a series, 5 of 25 series of one kind happen once in 140 times; over all kinds 5 % have to hold.
    found = {case.kind: len(hits(case, DRAWS)) for case in of(family, size) if case.kind not in noise.HEAVIER}
    assert max(found.values()) <= 5, found
    assert sum(found.values()) <= 0.05 * DRAWS * len(found), found


@pytest.mark.parametrize(("kind", "least"), [
    ("burst of 10 to 16 in normal", 18),
    ("burst of 10 to 16 in AR(1) 0.5", 10),
    ("one value of 15 in normal", 15),
    ("one value of 40 in Poisson 4", 15),
])  # fmt: skip
def test_planted_values_are_still_found(kind: str, least: int) -> None:
    case = next(case for case in of("planted values", "700 steps") if case.kind == kind)
    assert len(hits(case, 20)) >= least


def test_a_value_beyond_any_promised_tail_is_found_in_a_heavy_one_too() -> None:
    for case in of("planted values"):
        if case.kind == "one value of 60 in t3":
            assert len(hits(case, 20)) >= 18


def test_holidays_that_are_far_out_together_do_not_hide_each_other() -> None:
    rng = np.random.default_rng(11)
    counts = rng.poisson(900, 360).astype(float)
    holidays = [30, 31, 90, 150, 151, 210, 270, 330, 331]
    counts[holidays] -= rng.uniform(200, 400, len(holidays)).round()
    parts = decompose(counts, [], 1.0)
    found = find_anomalies(counts, parts, np.zeros(360), [str(day) for day in range(360)], "counts")
    assert found is not None
    told = {int(one.start) for one in found.found}
    assert told <= set(holidays)
    assert len(told) >= 7


def test_a_shock_that_fades_is_told_apart_from_a_burst() -> None:
    rng = np.random.default_rng(3)
    fading = [made.remembering(rng, 300, 0.8, lambda m: rng.standard_t(2.5, m)) for _ in range(30)]
    found = [noise.in_values(made.over_days(y), "fading") for y in fading]
    assert sum(map(bool, found)) <= 4


@pytest.mark.parametrize("case", of("cloud", "150 x 3", "600 x 2"), ids=lambda case: f"{case.kind}, {case.size}")
def test_a_cloud_of_rows_has_no_patterns(case: noise.Case) -> None:
    assert hits(case, 6) == []


@pytest.mark.slow
@pytest.mark.parametrize("family", ["series", "target"])
def test_hardly_any_series_or_target_of_noise_has_a_finding(family: str) -> None:
    draws = 4
    found = {(case.kind, case.size): told for case in of(family) if (told := hits(case, draws))}
    assert sum(map(len, found.values())) <= 0.05 * draws * len(of(family)), found
