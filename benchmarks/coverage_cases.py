"""Laws with a known truth, and the intervals that raypipe states of data drawn from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.noise_tables import remembering
from raypipe.blocks.chance import wilson_interval
from raypipe.blocks.profile import Correlation
from raypipe.insights.effects import fisher_interval, variance_explained
from raypipe.insights.patterns.profiles import rank_biserial_interval
from raypipe.insights.series.changes import find_changes
from raypipe.insights.series.forecast import make_forecast
from raypipe.insights.series.seasons import CYCLES, check_season
from raypipe.insights.series.trend import find_trend
from raypipe.insights.statistics.between import partial_correlations
from raypipe.insights.statistics.groups import GroupSums, cohens_d, eta_interval, eta_interval_of_sums, eta_squared
from raypipe.insights.statistics.ranks import correlations, kendall, kendall_interval, ranks, spearman_interval
from raypipe.insights.statistics.tables import cramers_v, mutual_information
from raypipe.insights.target.intervals import strength_interval

Rng = np.random.Generator
Interval = tuple[float, float] | None
Draw = Callable[[Rng], bool | None]
"""Whether the interval of one draw holds the truth; None where none is stated."""
MANY, SOME, FEW = 1_000, 300, 150


@dataclass(frozen=True)
class Case:
    """An interval over one law."""

    interval: str
    of: str
    draw: Draw
    level: float = 0.95
    repeats: int = MANY
    promised: bool = True
    """Whether the interval is meant for this law."""


def draws(case: Case, repeats: int, first: int) -> Iterator[bool | None]:
    """The outcomes of seeds from `first` on."""
    name = [ord(letter) for letter in case.interval + case.of]
    for seed in range(first, first + repeats):
        yield case.draw(np.random.default_rng((seed, *name)))


def cases() -> Iterator[Case]:
    """All of them."""
    yield from _shares()
    yield from _correlations()
    yield from _tables()
    yield from _groups()
    yield from _segments()
    yield from _course()


def holds(interval: Interval, truth: float) -> bool | None:
    """Whether an interval has the truth in it, to rounding; None without an interval."""
    return None if interval is None else interval[0] - 1e-12 <= truth <= interval[1] + 1e-12


def _shares() -> Iterator[Case]:
    for n, p in ((50, 0.1), (400, 0.02), (400, 0.4)):
        draw: Draw = lambda rng, n=n, p=p: holds(wilson_interval(int(rng.binomial(n, p)), n), p)  # noqa: E731
        yield Case("share (Wilson)", f"{p:g} of {n} rows", draw)


def _pair(rng: Rng, n: int, r: float) -> tuple[np.ndarray, np.ndarray]:
    x = rng.normal(size=n)
    return x, r * x + math.sqrt(1 - r * r) * rng.normal(size=n)


def _pearson(rng: Rng, n: int, r: float, tails: int = 0) -> bool | None:
    x, y = _pair(rng, n, r)
    if tails:
        spread = np.sqrt(rng.chisquare(tails, n) / tails)
        x, y = x / spread, y / spread
    return holds(fisher_interval(float(np.corrcoef(x, y)[0, 1]), n), r)


def _spearman(rng: Rng, n: int, r: float) -> bool | None:
    x, y = _pair(rng, n, r)
    rho = float(correlations(np.array([ranks(x), ranks(y)]))[0][0, 1])
    return holds(spearman_interval(rho, n), 6 / math.pi * math.asin(r / 2))


def _kendall(rng: Rng, n: int, r: float) -> bool | None:
    x, y = _pair(rng, n, r)
    return holds(kendall_interval(kendall(x, y), n), 2 / math.pi * math.asin(r))


def _partial(rng: Rng) -> bool | None:
    """Two columns that hang on a third, and on each other by 0.4 beyond it."""
    z = rng.normal(size=120)
    x, y = _pair(rng, 120, 0.4)
    table = np.corrcoef([x + z, y + z, z])
    cells = tuple(tuple(row) for row in table.tolist())
    found, _ = partial_correlations(Correlation(columns=("x", "y", "z"), r=cells, pairs=((120,) * 3,) * 3))
    return next(holds(one.interval, 0.4) for one in found if one.columns == ("x", "y"))


def _correlations() -> Iterator[Case]:
    for n, r in ((30, 0.0), (100, 0.5), (100, 0.9)):
        yield Case("Pearson's r", f"{r:g} over {n} rows", lambda rng, n=n, r=r: _pearson(rng, n, r))
        yield Case("Spearman's rho", f"normal pairs of {r:g}, {n} rows", lambda rng, n=n, r=r: _spearman(rng, n, r))
        yield Case("Kendall's tau", f"normal pairs of {r:g}, {n} rows", lambda rng, n=n, r=r: _kendall(rng, n, r))
    yield Case("Pearson's r", "0.5 of Student's t with 5", lambda rng: _pearson(rng, 200, 0.5, 5), promised=False)
    yield Case("partial correlation", "0.4 beside a third column", _partial, repeats=SOME)


TABLES = {
    "none, 2 x 2": np.outer([0.3, 0.7], [0.4, 0.6]),
    "none, 4 x 5": np.outer([0.4, 0.3, 0.2, 0.1], [0.2] * 5),
    "weak, 2 x 3": np.array([[0.22, 0.16, 0.12], [0.13, 0.17, 0.20]]),
    "strong, 2 x 3": np.array([[0.30, 0.10, 0.10], [0.05, 0.20, 0.25]]),
    "strong, 3 x 3": np.array([[0.25, 0.04, 0.04], [0.04, 0.25, 0.04], [0.04, 0.04, 0.26]]),
}


def _tables() -> Iterator[Case]:
    for name, cells in TABLES.items():
        free = np.outer(cells.sum(axis=1), cells.sum(axis=0))
        v = math.sqrt(float(((cells - free) ** 2 / free).sum()) / (min(cells.shape) - 1))
        bits = float((cells * np.log2(cells / free)).sum())
        for n in (100, 1_000):
            of = f"{name}, {n} rows"
            yield Case("Cramér's V", of, lambda rng, c=cells, n=n, v=v: _of_table(rng, c, n, cramers_v, v))
            yield Case(
                "mutual information", of, lambda rng, c=cells, n=n, t=bits: _of_table(rng, c, n, mutual_information, t)
            )
            yield Case(
                "Cramér's V with the target", of, lambda rng, c=cells, n=n, v=v: _strength_of_table(rng, c, n, v)
            )


def _drawn(rng: Rng, cells: np.ndarray, n: int) -> np.ndarray:
    return rng.multinomial(n, cells.ravel()).reshape(cells.shape).astype(float)


def _of_table(rng: Rng, cells: np.ndarray, n: int, measure: Callable[..., tuple | None], truth: float) -> bool | None:
    found = measure(_drawn(rng, cells, n))
    return None if found is None else holds(found[1], truth)


def _strength_of_table(rng: Rng, cells: np.ndarray, n: int, truth: float) -> bool | None:
    found = cramers_v(_drawn(rng, cells, n))
    df = (cells.shape[0] - 1) * (cells.shape[1] - 1)
    return None if found is None else holds(strength_interval(found[0], n, df), truth)


def _noise(rng: Rng, n: int, kind: str) -> np.ndarray:
    return {"normal": rng.normal(size=n), "lognormal": (rng.lognormal(size=n) - math.exp(0.5)) / 2.1612}[kind]


def _eta(rng: Rng, n: int, groups: int, step: float, kind: str) -> bool | None:
    codes = rng.integers(0, groups, n)
    values = step * codes + _noise(rng, n, kind)
    eta = eta_squared(GroupSums.of(codes, values, groups))
    between = step * step * (groups * groups - 1) / 12
    return None if eta is None else holds(eta_interval(codes, values, eta), between / (1 + between))


def _eta_of_sums(rng: Rng, n: int, groups: int, step: float, kind: str) -> bool | None:
    codes = rng.integers(0, groups, n)
    eta = eta_squared(GroupSums.of(codes, step * codes + _noise(rng, n, kind), groups))
    between = step * step * (groups * groups - 1) / 12
    return None if eta is None else holds(eta_interval_of_sums(eta, groups, n), between / (1 + between))


def _eta_with_target(rng: Rng, n: int, groups: int, step: float, kind: str) -> bool | None:
    codes = rng.integers(0, groups, n)
    values = step * codes + _noise(rng, n, kind)
    sizes, sums = np.bincount(codes, minlength=groups).astype(float), np.bincount(codes, values, groups)
    value, _ = variance_explained(sizes, sums, float((values * values).sum()))
    between = step * step * (groups * groups - 1) / 12
    return holds(strength_interval(math.sqrt(value), n, groups - 1), math.sqrt(between / (1 + between)))


def _cohen(rng: Rng, sizes: tuple[int, int], d: float) -> bool | None:
    codes = np.repeat([0, 1], sizes)
    found = cohens_d(GroupSums.of(codes, rng.normal(size=len(codes)) + d * codes, 2))
    return None if found is None else holds(found[1], d)


def _groups() -> Iterator[Case]:
    for groups, step in ((2, 0.0), (2, 0.5), (6, 0.0), (6, 0.3)):
        for n in (100, 600):
            of = f"{groups} groups {step:g} apart, {n} rows"
            args = (n, groups, step, "normal")
            yield Case("correlation ratio", of, lambda rng, a=args: _eta(rng, *a))
            yield Case("correlation ratio of a pair", of, lambda rng, a=args: _eta_of_sums(rng, *a))
            yield Case("correlation ratio with the target", of, lambda rng, a=args: _eta_with_target(rng, *a))
    wild = (600, 2, 0.5, "lognormal")
    of = "2 groups 0.5 apart, lognormal, 600 rows"
    yield Case("correlation ratio", of, lambda rng: _eta(rng, *wild), promised=False)
    yield Case("correlation ratio of a pair", of, lambda rng: _eta_of_sums(rng, *wild), promised=False)
    yield Case("correlation ratio with the target", of, lambda rng: _eta_with_target(rng, *wild), promised=False)
    for sizes, d in (((20, 20), 0.5), ((50, 200), 0.0), ((50, 200), 1.5)):
        yield Case("Cohen's d", f"{d:g}, {sizes[0]} and {sizes[1]} rows", lambda rng, s=sizes, d=d: _cohen(rng, s, d))


def _biserial(rng: Rng, sizes: tuple[int, int], d: float) -> bool | None:
    """P(a > b) - P(a < b) of normal values `d` apart is 2 Φ(d / √2) - 1."""
    a, b = rng.normal(size=sizes[0]) + d, rng.normal(size=sizes[1])
    return holds(rank_biserial_interval(a, b), math.erf(d / 2))


def _segments() -> Iterator[Case]:
    for sizes, d in (((40, 400), 0.5), ((200, 400), 0.5), ((40, 400), 1.5)):
        of = f"normal values {d:g} apart, {sizes[0]} and {sizes[1]} rows"
        yield Case("rank-biserial correlation", of, lambda rng, s=sizes, d=d: _biserial(rng, s, d))


def _trend(rng: Rng, n: int, memory: float) -> bool | None:
    t = np.arange(float(n))
    trend = find_trend(t, 0.01 * t + remembering(rng, n, memory))
    return None if trend is None else holds(trend.slope_interval, 0.01)


def _shift(rng: Rng, memory: float) -> tuple[bool, bool] | None:
    y = 2.0 * (np.arange(200) >= 120) + remembering(rng, 200, memory)
    found = find_changes(y, 0.01)
    if not found:
        return None
    one = max(found, key=lambda shift: abs(shift.size))
    return one.first <= 120 <= one.last, abs(one.size - 2.0) <= 1.96 * one.error


def _place(rng: Rng, memory: float) -> bool | None:
    found = _shift(rng, memory)
    return None if found is None else found[0]


def _size(rng: Rng, memory: float) -> bool | None:
    found = _shift(rng, memory)
    return None if found is None else found[1]


def _season(rng: Rng, memory: float) -> bool | None:
    """Weekdays whose means are spread as 1, in noise of spread 2."""
    n = 350
    phases = next(one for one in CYCLES if one.cycle == "day of the week")
    starts = (np.arange(n) * 86_400_000_000).astype(np.int64)
    week = math.sqrt(2) * np.sin(2 * np.pi * phases.of(starts) / 7)
    noise = 2 * math.sqrt(1 - memory * memory) * remembering(rng, n, memory)
    test = check_season(phases, starts, week + noise)
    return None if test is None else holds(test.interval, 0.2)


def _forecast(rng: Rng, memory: float, n: int, rise: float = 0.0) -> bool | None:
    """The value that lies three steps ahead."""
    y = remembering(rng, n + 5, memory) + rise * np.arange(n + 5)
    found = make_forecast(y[:n], (), tuple(str(step) for step in range(5)), None)
    return None if found is None else bool(found.low[2] <= y[n + 2] <= found.high[2])


def _course() -> Iterator[Case]:
    for n, memory in ((60, 0.0), (200, 0.0), (200, 0.6), (200, 0.9), (200, 1.0)):
        of = f"{n} steps, noise with memory {memory:g}"
        yield Case("slope of a trend", of, lambda rng, n=n, m=memory: _trend(rng, n, m), repeats=SOME)
    for memory in (0.0, 0.5):
        of = f"a shift of 2 in noise with memory {memory:g}"
        yield Case("date of a change", of, lambda rng, m=memory: _place(rng, m), repeats=FEW)
        yield Case("size of a change", of, lambda rng, m=memory: _size(rng, m), repeats=FEW)
        of = f"0.2 by weekday, memory {memory:g}"
        yield Case("strength of a season", of, lambda rng, m=memory: _season(rng, m), repeats=SOME)
    for n, memory, rise in ((80, 0.0, 0.0), (200, 0.7, 0.0), (200, 1.0, 0.0), (200, 0.3, 0.05)):
        of = f"{n} steps, memory {memory:g}" + (f", rising {rise:g} a step" if rise else "")
        draw: Draw = lambda rng, m=memory, n=n, r=rise: _forecast(rng, m, n, r)  # noqa: E731
        yield Case("forecast", of, draw, level=0.8, repeats=FEW)
