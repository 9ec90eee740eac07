"""Tables and series in which nothing is to be found, of many kinds of noise; each from a seeded generator."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

Rng = np.random.Generator
Floats = np.ndarray
LETTERS = "abcdefgh"


def remembering(rng: Rng, rows: int, memory: float, shocks: Callable[[int], Floats] | None = None) -> Floats:
    """Autoregressive noise of order one, after a hundred steps to forget its start."""
    steps = (shocks or rng.standard_normal)(rows + 100)
    out = np.zeros(rows + 100)
    for i in range(1, rows + 100):
        out[i] = memory * out[i - 1] + steps[i]
    return out[100:]


def _weekly(rows: int) -> Floats:
    return 3 * np.sin(2 * np.pi * np.arange(rows) / 7)


SERIES: dict[str, Callable[[Rng, int], Floats]] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "uniform": lambda rng, n: rng.uniform(size=n),
    "t3": lambda rng, n: rng.standard_t(3, n),
    "t2": lambda rng, n: rng.standard_t(2, n),
    "lognormal": lambda rng, n: rng.lognormal(size=n),
    "laplace": lambda rng, n: rng.laplace(size=n),
    "gamma": lambda rng, n: rng.gamma(0.5, size=n),
    "AR(1) 0.7": lambda rng, n: remembering(rng, n, 0.7),
    "AR(1) 0.9": lambda rng, n: remembering(rng, n, 0.9),
    "AR(1) 0.7 of t3": lambda rng, n: remembering(rng, n, 0.7, lambda m: rng.standard_t(3, m)),
    "random walk": lambda rng, n: np.cumsum(rng.normal(size=n)),
    "random walk of t3": lambda rng, n: np.cumsum(rng.standard_t(3, n)),
    "weekly": lambda rng, n: _weekly(n) + rng.normal(size=n),
    "weekly of t3": lambda rng, n: _weekly(n) + rng.standard_t(3, n),
    "Poisson 4": lambda rng, n: rng.poisson(4, n).astype(float),
    "Poisson 0.5": lambda rng, n: rng.poisson(0.5, n).astype(float),
    "negative binomial": lambda rng, n: rng.poisson(rng.gamma(0.7, 5, n)).astype(float),
    "spread that wanders": lambda rng, n: rng.normal(size=n) * np.exp(0.4 * remembering(rng, n, 0.9)),
}
"""One value a step."""
COURSES = ("normal", "t3", "lognormal", "AR(1) 0.7", "AR(1) 0.9", "random walk", "random walk of t3", "Poisson 4")
"""Those of `SERIES` whose whole course is looked at."""
FOLLOWS = frozenset(name for name in SERIES if name.startswith("weekly"))
"""Kinds with a cycle, which is to be found."""
REMEMBERS = frozenset(name for name in SERIES if name.startswith(("AR", "random walk", "spread")))
"""Kinds whose next value can be foretold better than by their mean, or by their last one."""


COUNTS: dict[str, Callable[[Rng, int], Floats]] = {
    "Poisson 50": lambda rng, n: rng.poisson(50, n).astype(float),
    "counts of Poisson 2": lambda rng, n: rng.poisson(2, n).astype(float),
    "overdispersed counts": lambda rng, n: rng.poisson(rng.gamma(2, 20, n)).astype(float),
    "means of 30 lognormal": lambda rng, n: rng.lognormal(size=(n, 30)).mean(axis=1),
    "means of 30 t3": lambda rng, n: rng.standard_t(3, size=(n, 30)).mean(axis=1),
    "means in AR(1) 0.7": lambda rng, n: remembering(rng, n, 0.7),
}
"""One number of rows, or one mean of many values, a step."""


def _spikes(y: Floats, rng: Rng, size: float) -> Floats:
    y[int(rng.integers(len(y) // 4, 3 * len(y) // 4))] += size
    return y


def _burst(y: Floats, rng: Rng) -> Floats:
    first = int(rng.integers(len(y) // 4, len(y) // 2))
    y[first : first + max(5, len(y) // 100)] += rng.uniform(10, 16)
    return y


PLANTED: dict[str, Callable[[Rng, int], Floats]] = {
    "burst of 10 to 16 in normal": lambda rng, n: _burst(rng.normal(size=n), rng),
    "burst of 10 to 16 in AR(1) 0.5": lambda rng, n: _burst(remembering(rng, n, 0.5), rng),
    "one value of 10 in normal": lambda rng, n: _spikes(rng.normal(size=n), rng, 10),
    "one value of 15 in normal": lambda rng, n: _spikes(rng.normal(size=n), rng, 15),
    "one value of 20 in t3": lambda rng, n: _spikes(rng.standard_t(3, n), rng, 20),
    "one value of 60 in t3": lambda rng, n: _spikes(rng.standard_t(3, n), rng, 60),
    "one value of 40 in Poisson 4": lambda rng, n: _spikes(rng.poisson(4, n).astype(float), rng, 40),
}
"""One value a step, and some that do not belong; sizes in standard deviations of normal noise, else as they are."""


def _names(x: Floats) -> dict[str, Floats]:
    return {f"x{i}": x[:, i] for i in range(x.shape[1])}


def _mixed(rng: Rng, rows: int, p: int) -> dict[str, Floats]:
    numbers = _names(rng.normal(size=(rows, p)) @ rng.normal(size=(p, p)))
    return numbers | {f"c{i}": rng.choice(list(LETTERS[: 2 + i]), rows) for i in range(6)}


def _bent(rng: Rng, rows: int, p: int) -> Floats:
    x = rng.normal(size=(rows, p))
    x[:, 1] = x[:, 0] ** 2 + 0.5 * x[:, 1]
    return x


CLOUDS: dict[str, Callable[[Rng, int, int], dict[str, Floats]]] = {
    "normal": lambda rng, n, p: _names(rng.normal(size=(n, p))),
    "uniform": lambda rng, n, p: _names(rng.uniform(size=(n, p))),
    "correlated": lambda rng, n, p: _names(rng.normal(size=(n, p)) @ rng.normal(size=(p, p))),
    "t2": lambda rng, n, p: _names(rng.standard_t(2, size=(n, p))),
    "elliptical t3": lambda rng, n, p: _names(rng.normal(size=(n, p)) / np.sqrt(rng.chisquare(3, size=(n, 1)) / 3)),
    "lognormal": lambda rng, n, p: _names(rng.lognormal(size=(n, p))),
    "correlated lognormal": lambda rng, n, p: _names(np.exp(0.6 * rng.normal(size=(n, p)) @ rng.normal(size=(p, p)))),
    "Poisson": lambda rng, n, p: _names(rng.poisson(3, size=(n, p)).astype(float)),
    "bent": lambda rng, n, p: _names(_bent(rng, n, p)),
    "two modes apart": lambda rng, n, p: _names(rng.normal(size=(n, p)) + 6 * (rng.random((n, p)) < 0.5)),
    "with categories": _mixed,
}
"""Rows that are one cloud, in 2 to 10 columns."""


def _surroundings(rng: Rng, rows: int) -> dict[str, Floats]:
    """Columns of all kinds that have nothing to do with any target."""
    return {
        "size": rng.normal(size=rows),
        "price": rng.lognormal(size=rows),
        "heavy": rng.standard_t(2, rows),
        "visits": rng.poisson(3, rows),
        "site": rng.choice(list(LETTERS), rows),
        "plan": rng.choice(["basic", "plus", "pro"], rows, p=(0.6, 0.3, 0.1)),
        "active": rng.random(rows) < 0.3,
        "gaps": np.where(rng.random(rows) < 0.3, np.nan, rng.normal(size=rows)),
    }


TARGETS: dict[str, Callable[[Rng, int], Floats]] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "t2": lambda rng, n: rng.standard_t(2, n),
    "lognormal": lambda rng, n: rng.lognormal(size=n),
    "counts": lambda rng, n: rng.poisson(30, n),
    "two classes": lambda rng, n: rng.choice(["yes", "no"], n),
    "rare class": lambda rng, n: np.where(rng.random(n) < 0.04, "yes", "no"),
    "five classes": lambda rng, n: rng.choice(list("abcde"), n, p=(0.4, 0.3, 0.15, 0.1, 0.05)),
}
"""Targets that hang on nothing."""


def over_days(y: Floats) -> pl.DataFrame:
    """The values, one a day."""
    days = np.datetime64("2021-01-01", "us") + np.arange(len(y)).astype("timedelta64[D]")
    return pl.DataFrame({"day": days, "y": y})


def cloud(kind: str, seed: int, rows: int, width: int) -> pl.DataFrame:
    """One of `CLOUDS`."""
    rng = np.random.default_rng((seed, rows, width, list(CLOUDS).index(kind)))
    return pl.DataFrame(CLOUDS[kind](rng, rows, width))


def with_target(kind: str, seed: int, rows: int) -> pl.DataFrame:
    """A target, called y, of one of `TARGETS` among columns and days that tell nothing of it."""
    rng = np.random.default_rng((seed, rows, list(TARGETS).index(kind)))
    days = np.datetime64("2021-01-01", "us") + np.arange(rows).astype("timedelta64[D]")
    frame = pl.DataFrame({"day": days, "y": TARGETS[kind](rng, rows), **_surroundings(rng, rows)})
    return frame.with_columns(pl.col("gaps").fill_nan(None))
