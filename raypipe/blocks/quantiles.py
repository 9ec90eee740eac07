"""Quantiles: exact ones from value counts, and a mergeable sketch with a guaranteed rank error past that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Self

import numpy as np

from raypipe.blocks.arrays import Array, Counts, Floats

PROBABILITIES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


def exact_quantiles(values: Floats, counts: Counts, probabilities: Sequence[float] = PROBABILITIES) -> list[float]:
    """Quantiles of a multiset, interpolated linearly between neighbouring order statistics.

    The definition is number 7 of Hyndman and Fan (1996), NumPy's `method="linear"`: position p * (n - 1).

    Parameters
    ----------
    values : array of float64, ascending
    counts : array of int64, each at least 1
    probabilities : sequence of float in [0, 1]

    Examples
    --------
    >>> exact_quantiles(np.array([1.0, 3.0]), np.array([3, 1]), [0.5, 1.0])
    [1.0, 3.0]
    """
    reached = np.cumsum(counts)
    position = np.asarray(probabilities, np.float64) * (reached[-1] - 1)
    below = np.floor(position).astype(np.int64)
    share = position - below
    low = values[np.searchsorted(reached, below, side="right")]
    high = values[np.searchsorted(reached, np.minimum(below + 1, reached[-1] - 1), side="right")]
    blend = np.where(low == high, low, low * (1 - share) + high * share)
    return [float(value) for value in blend]


class _Node(NamedTuple):
    """Equally weighted stand-ins for a run of rows."""

    values: Floats
    """Ascending, at most `k`."""
    weight: float
    """Rows that each value stands for."""
    error: float
    """Rows by which the rank of a value may be off, guaranteed."""

    @property
    def rows(self) -> float:
        return self.weight * len(self.values)


class QuantileSketch:
    """Quantiles of a stream of float64 values, with a guaranteed rank error, the same in every run.

    Rows are kept as nodes of at most `k` equally weighted values. Two nodes of about equal size merge into one: the
    values are sorted together, and the `k` at evenly spaced ranks stay, which moves a rank by at most rows / 2k. A row
    takes part in log2(rows / k) merges at most, so that the error stays near log2(rows / k) / 2k of the rows; what it
    came to is added up and reported. Nothing is drawn by chance, as KLL does, so that two runs over one file agree.

    References
    ----------
    Manku, Rajagopalan, Lindsay (1998), Approximate medians and other quantiles in one pass and with limited memory.
    """

    __slots__ = ("_merged", "count", "k", "nodes")

    def __init__(self, k: int, nodes: dict[int, _Node] | None = None, count: int = 0) -> None:
        self.k = k
        self.nodes = nodes or {}
        """Size class (bit length of rows / k) -> node."""
        self.count = count
        """Values fed, repeats included."""
        self._merged: tuple[Floats, Floats] | None = None

    @classmethod
    def of_sorted(
        cls, values: Array, counts: Counts | None, k: int, to_float: Callable[[Array], Floats] | None = None
    ) -> Self:
        """Sketch of ascending `values`, each taken `counts` times; `to_float` converts those that are kept.

        Examples
        --------
        >>> QuantileSketch.of_sorted(np.arange(101.0), None, k=400).quantiles([0.5])
        [50.0]
        """
        reached = None if counts is None else np.cumsum(counts)
        n = len(values) if reached is None else int(reached[-1]) if len(reached) else 0
        if not n:
            return cls(k)
        size = min(n, k)
        middles = ((np.arange(size) + 0.5) * (n / size)).astype(np.int64)
        kept = values[middles if reached is None else np.searchsorted(reached, middles, side="right")]
        floats = np.asarray((to_float or _as_float)(kept), np.float64)
        node = _Node(floats, n / size, n / (2 * k) if n > k else 0.0)
        return cls(k, {_size_class(node, k): node}, n)

    def merge(self, other: QuantileSketch) -> QuantileSketch:
        """Sketch of both together; neither is changed."""
        nodes = dict(self.nodes)
        for node in other.nodes.values():
            while (known := nodes.pop(_size_class(node, self.k), None)) is not None:
                node = _together(known, node, self.k)
            nodes[_size_class(node, self.k)] = node
        return QuantileSketch(self.k, nodes, self.count + other.count)

    @property
    def rank_error(self) -> float:
        """Normalised rank error that no quantile exceeds; 0 while every value is kept."""
        if not self.count:
            return 0.0
        heaviest = max(node.weight for node in self.nodes.values())
        return (sum(node.error for node in self.nodes.values()) + heaviest - 1.0) / self.count

    def quantiles(self, probabilities: Sequence[float] = PROBABILITIES) -> list[float]:
        """Value at each probability, within `rank_error`; one of the values fed."""
        values, reached = self._all()
        places = np.searchsorted(reached, np.asarray(probabilities) * self.count, side="left")
        return [float(value) for value in values[np.minimum(places, len(values) - 1)]]

    def ranks(self, values: Sequence[float], inclusive: bool = False) -> list[float]:
        """Share of values below each of `values` (at most it, if `inclusive`), within `rank_error`."""
        kept, reached = self._all()
        places = np.searchsorted(kept, np.asarray(values, np.float64), side="right" if inclusive else "left")
        below = np.concatenate([[0.0], reached])[places]
        return [float(rank) for rank in below / self.count]

    def weighted(self) -> tuple[Floats, Floats]:
        """Every kept value in order, and the rows that it stands for."""
        values, reached = self._all()
        return values, np.diff(reached, prepend=0.0)

    def _all(self) -> tuple[Floats, Floats]:
        """Every kept value in order, and the rows up to and with it."""
        if self._merged is None:
            nodes = list(self.nodes.values())
            values = np.concatenate([node.values for node in nodes])
            weights = np.concatenate([np.full(len(node.values), node.weight) for node in nodes])
            order = np.argsort(values, kind="stable")
            self._merged = values[order], np.cumsum(weights[order])
        return self._merged

    def __reduce__(self) -> tuple[type[QuantileSketch], tuple[int, dict[int, _Node], int]]:
        return QuantileSketch, (self.k, self.nodes, self.count)


def _size_class(node: _Node, k: int) -> int:
    return int(node.rows // k).bit_length()


def _together(a: _Node, b: _Node, k: int) -> _Node:
    """One node of at most `k` values for the rows of both."""
    values = np.concatenate([a.values, b.values])
    weights = np.repeat([a.weight, b.weight], [len(a.values), len(b.values)])
    order = np.argsort(values, kind="stable")
    values, error, rows = values[order], a.error + b.error, a.rows + b.rows
    if len(values) <= k and a.weight == b.weight:
        return _Node(values, a.weight, error)
    reached = np.cumsum(weights[order])
    size = min(len(values), k)
    middles = (np.arange(size) + 0.5) * (rows / size)
    kept = values[np.minimum(np.searchsorted(reached, middles, side="left"), len(values) - 1)]
    return _Node(kept, rows / size, error + rows / (2 * size))


def _as_float(values: Array) -> Floats:
    return values.astype(np.float64)
