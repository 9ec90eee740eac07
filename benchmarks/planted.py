"""Small tables about which the truth is known: one fact is planted in noise, or none.

A finding is true if it tells what was planted, what follows from it, or what the noise columns have by their making (a
log-normal column is skewed). Everything else is false. Which findings count as what was written down before any was
seen, with what a careful reader would grant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from benchmarks.noise_tables import remembering

Arrays = dict[str, np.ndarray]
ROWS = (400, 800, 1_500, 3_000)
WORDS = ("north", "south", "east", "west", "centre")


@dataclass(frozen=True)
class Fact:
    """Something that is so: findings of these types or categories, about these columns, tell it."""

    told_by: frozenset[str]
    columns: frozenset[str]

    def matches(self, claim: Claim) -> bool:
        """Whether a finding tells this. It may name other columns too, as long as it names one of these."""
        named = {claim.type, f"category:{claim.category}"} & self.told_by or "anything" in self.told_by
        return bool(named) and (not self.columns or bool(self.columns & set(claim.columns)))


@dataclass(frozen=True)
class Claim:
    """One finding of a contender, in raypipe's names."""

    type: str
    category: str
    columns: tuple[str, ...]


@dataclass
class Planted:
    """A table, what it is to be asked about, and what is so."""

    kind: str
    table: pl.DataFrame
    target: str | None = None
    time: str | None = None
    truth: Fact | None = None
    """What was planted; None: nothing."""
    so: list[Fact] = field(default_factory=list)
    """What follows from it, and what the noise has by its making."""


def fact(told_by: str, columns: Iterable[str] = ()) -> Fact:
    """From names with blanks between."""
    return Fact(frozenset(told_by.split()), frozenset(columns))


def noise(rng: np.random.Generator, rows: int, width: int) -> tuple[Arrays, list[Fact]]:
    """Columns that have nothing to do with each other."""
    makers: tuple[Callable[[], np.ndarray], ...] = (
        lambda: rng.normal(50, 12, rows),
        lambda: rng.uniform(0, 10, rows),
        lambda: rng.poisson(6, rows),
        lambda: rng.choice(WORDS, rows, p=(0.3, 0.25, 0.2, 0.15, 0.1)),
        lambda: rng.random(rows) < 0.4,
        lambda: rng.integers(1, 1_000, rows),
        lambda: np.round(rng.lognormal(3, 0.8, rows), 2),
        lambda: rng.choice(["basic", "plus", "pro"], rows),
        lambda: rng.standard_t(8, rows),
        lambda: rng.gamma(5, 2, rows),
    )
    found: Arrays = {}
    so: list[Fact] = []
    for i in range(width):
        which = i % len(makers)
        name = f"noise_{i:02d}"
        found[name] = makers[which]()
        if which in (6, 8, 9):  # log-normal, Student's t, gamma
            so.append(fact("skewed heavy_tails outliers extreme_value category:outliers distribution_shape", [name]))
    return found, so


def times(rng: np.random.Generator, rows: int) -> np.ndarray:
    """One row a day, or every six hours; in order."""
    step = "D" if rows <= 1_000 else "h"
    every = 1 if step == "D" else 6
    return np.datetime64("2022-01-03", "us") + (np.arange(rows) * every).astype(f"timedelta64[{step}]")


def _start(seed: int, width: int) -> tuple[np.random.Generator, int, Arrays, list[Fact]]:
    rng = np.random.default_rng(seed)
    rows = int(rng.choice(ROWS))
    columns, so = noise(rng, rows, width)
    return rng, rows, columns, so


def _made(kind: str, columns: Arrays, so: list[Fact], truth: Fact | None, **asked: str) -> Planted:
    return Planted(kind, pl.DataFrame(columns), truth=truth, so=so, **asked)


def trend(seed: int) -> Planted:
    """The target rises by two to four standard deviations of its noise."""
    rng, rows, columns, so = _start(seed, 6)
    columns["at"] = times(rng, rows)
    columns["value"] = 100 + rng.uniform(2, 4) * np.linspace(0, 1, rows) * 8 + rng.normal(0, 8, rows)
    so.append(fact("category:trends category:feature_relationships target_drift non_stationary", ["value"]))
    return _made("trend", columns, so, fact("trend category:trends", ["value"]), time="at", target="value")


def season(seed: int) -> Planted:
    """The target follows the day of the week, or the hour where there is one."""
    rng, rows, columns, so = _start(seed, 6)
    at = times(rng, rows)
    columns["at"] = at
    days = at.astype("datetime64[D]").astype(int)
    phase = 2 * np.pi * ((days + 3) % 7) / 7
    columns["value"] = 100 + rng.uniform(6, 12) * np.sin(phase + rng.uniform(0, 6)) + rng.normal(0, 8, rows)
    so.append(fact("category:seasonality category:trends category:feature_relationships autocorrelation", ["value"]))
    return _made("seasonality", columns, so, fact("category:seasonality", ["value"]), time="at", target="value")


def change(seed: int) -> Planted:
    """The target jumps by one and a half to three standard deviations, for good."""
    rng, rows, columns, so = _start(seed, 6)
    columns["at"] = times(rng, rows)
    place = int(rows * rng.uniform(0.3, 0.7))
    jump = rng.uniform(1.5, 3) * 8 * rng.choice([-1, 1])
    columns["value"] = 100 + jump * (np.arange(rows) >= place) + rng.normal(0, 8, rows)
    so.append(fact("category:trends category:feature_relationships target_drift non_stationary", ["value"]))
    return _made("change point", columns, so, fact("category:change_points", ["value"]), time="at", target="value")


def leak(seed: int) -> Planted:
    """A column is the target in another unit, but for a little noise; or the class under another name."""
    rng, rows, columns, so = _start(seed, 6)
    if seed % 2:
        target = rng.normal(1_000, 200, rows)
        columns["value"], columns["booked"] = target, target * 1.19 + rng.normal(0, 2, rows)
    else:
        target = rng.choice(["yes", "no"], rows, p=(0.35, 0.65))
        wrong = rng.random(rows) < 0.004
        columns["value"] = target
        columns["booked"] = np.where((target == "yes") ^ wrong, "closed", "open")
    so.append(fact("anything", ["booked"]))
    return _made("leak", columns, so, fact("leakage category:leakage leakage_suspect", ["booked"]), target="value")


def repeated_key(seed: int) -> Planted:
    """A few rows in a hundred bear the number of another row."""
    rng, rows, columns, so = _start(seed, 7)
    keys = 10_000 + rng.permutation(rows)
    hit = rng.choice(rows, max(6, rows // 40), replace=False)
    keys[hit] = keys[(hit + 1) % rows]
    columns = {"order_id": keys, **columns}
    so.append(fact("identifier high_cardinality", ["order_id"]))
    return _made("repeated key", columns, so, fact("duplicate_keys duplicate_key repeated_key", ["order_id"]))


def clusters(seed: int) -> Planted:
    """Two groups of rows, three standard deviations or more apart in two to four columns."""
    rng, rows, columns, so = _start(seed, 5)
    group = rng.random(rows) < rng.uniform(0.3, 0.5)
    names = [f"size_{i}" for i in range(int(rng.integers(2, 5)))]
    for name in names:
        columns[name] = rng.normal(0, 1, rows) + np.where(group, rng.uniform(4, 6) * rng.choice([-1, 1]), 0)
    so.append(fact("category:correlation category:data_distribution category:feature_relationships", names))
    so.append(fact("category:outliers", names))
    return _made("clusters", columns, so, fact("category:clustering", names))


def burst(seed: int) -> Planted:
    """A short run of rows in which two sensors read far too much."""
    rng, rows, columns, so = _start(seed, 5)
    names = ["sensor_a", "sensor_b"]
    first, length = int(rng.integers(rows // 4, rows // 2)), max(5, rows // 100)
    for name in names:
        values = rng.normal(20, 3, rows)
        values[first : first + length] += rng.uniform(10, 16) * 3
        columns[name] = values
    columns["at"] = times(rng, rows)
    so.append(fact("anything", names))
    told = "category:outliers category:anomalies extreme_value outliers unusual_period"
    return _made("outlier burst", columns, so, fact(told, names), time="at")


def mixed(seed: int) -> Planted:
    """Noise of any width; every second table has a time, every third a target."""
    rng, _, columns, so = _start(seed, 4 + seed * 7 % 27)
    return _empty("nothing, mixed", seed, rng, columns, so)


def autocorrelated(seed: int) -> Planted:
    """Columns that remember what they were; they go up and down, and come back."""
    rng = np.random.default_rng(seed)
    rows = int(rng.choice(ROWS))
    columns = {f"noise_{i:02d}": remembering(rng, rows, memory) for i, memory in enumerate((0.3, 0.5, 0.7, 0.7, 0.9))}
    made = _empty("nothing, autocorrelated", seed, rng, columns, [], time=True)
    made.so.append(fact("forecast autocorrelation"))
    return made


def heavy(seed: int) -> Planted:
    """Columns with values far out that belong to them."""
    rng = np.random.default_rng(seed)
    rows = int(rng.choice(ROWS))
    columns = {
        "noise_00": rng.standard_t(2, rows),
        "noise_01": rng.standard_t(3, rows),
        "noise_02": rng.laplace(10, 3, rows),
        "noise_03": rng.lognormal(2, 1.2, rows),
        "noise_04": rng.pareto(2.5, rows),
        "noise_05": rng.normal(5, 1, rows),
    }
    so = [fact(FAR_OUT, [name for name in columns if name != "noise_05"])]
    return _empty("nothing, heavy tails", seed, rng, columns, so)


def categorical(seed: int) -> Planted:
    """Categories, even and uneven, and yes and no."""
    rng = np.random.default_rng(seed)
    rows = int(rng.choice(ROWS))
    columns: Arrays = {}
    for i, levels in enumerate((2, 3, 4, 6, 9, 14)):
        shares = rng.dirichlet(np.full(levels, 4.0))
        columns[f"noise_{i:02d}"] = rng.choice(
            [f"kind {letter}" for letter in "abcdefghijklmn"[:levels]], rows, p=shares
        )
    columns["noise_06"], columns["noise_07"] = rng.random(rows) < 0.5, rng.random(rows) < 0.2
    return _empty("nothing, categories", seed, rng, columns, [])


def counts(seed: int) -> Planted:
    """Whole numbers that count something, many zeros among them."""
    rng = np.random.default_rng(seed)
    rows = int(rng.choice(ROWS))
    columns = {
        "noise_00": rng.poisson(0.3, rows),
        "noise_01": rng.poisson(2, rows),
        "noise_02": rng.poisson(6, rows),
        "noise_03": rng.poisson(40, rows),
        "noise_04": rng.poisson(rng.gamma(0.7, 8, rows)),
        "noise_05": rng.binomial(20, 0.3, rows),
        "noise_06": rng.geometric(0.2, rows),
    }
    so = [fact(f"{FAR_OUT} zero_inflated", ["noise_00", "noise_04", "noise_06"])]
    return _empty("nothing, counts", seed, rng, columns, so)


FAR_OUT = "skewed heavy_tails outliers extreme_value category:outliers distribution_shape"
"""What is so of a column with a long tail."""


def _empty(
    kind: str, seed: int, rng: np.random.Generator, columns: Arrays, so: list[Fact], *, time: bool = False
) -> Planted:
    """A table without a fact; every second one has a time, every third a target."""
    rows = len(next(iter(columns.values())))
    asked: dict[str, str] = {}
    if time or seed % 2 == 0:
        columns["at"] = times(rng, rows)
        asked["time"] = "at"
    if seed % 3 == 0:
        columns["value"] = rng.normal(0, 1, rows) if seed % 4 else rng.choice(["yes", "no"], rows)
        asked["target"] = "value"
        so.append(fact("no_driver no_better_than_guessing category:model_performance"))
    return _made(kind, columns, so, None, **asked)


KINDS: dict[str, tuple[Callable[[int], Planted], int]] = {
    "trend": (trend, 20),
    "seasonality": (season, 20),
    "change point": (change, 20),
    "leak": (leak, 20),
    "repeated key": (repeated_key, 20),
    "clusters": (clusters, 20),
    "outlier burst": (burst, 20),
    "nothing, mixed": (mixed, 25),
    "nothing, autocorrelated": (autocorrelated, 25),
    "nothing, heavy tails": (heavy, 25),
    "nothing, categories": (categorical, 25),
    "nothing, counts": (counts, 25),
}
"""How each kind is made, and how many of its kind are looked at: 140 with a fact, 125 without."""


def is_empty(kind: str) -> bool:
    """Whether tables of this kind have nothing in them."""
    return kind.startswith("nothing")


def tables(scale: float = 1.0, first: int = 0) -> Iterable[Planted]:
    """All tables, or a share of each kind; another `first` gives other ones."""
    for number, (make, wanted) in enumerate(KINDS.values()):
        for seed in range(max(1, round(wanted * scale))):
            yield make(100_000 * first + 1_000 * number + seed)
