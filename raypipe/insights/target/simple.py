"""Simple models: a shallow tree over yes-no conditions, ridge regression, logistic regression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from raypipe.insights.patterns.matrix import FloatArray, IntArray

DEPTH = 3
MIN_LEAF = 20
SMOOTH = 2.0
"""Rows of the whole's mean that each leaf starts with."""
RIDGES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Penalties as multiples of the number of rows; the best by generalised cross-validation is taken."""
ROUNDS = 12


@dataclass
class Node:
    """A split on a condition, or a leaf."""

    value: FloatArray
    condition: int = -1
    gain: float = 0.0
    yes: Node | None = None
    no: Node | None = None


def grow(holds: FloatArray, y: FloatArray, allowed: IntArray | None = None, depth: int = DEPTH) -> Node:
    """A regression tree on `y` of shape (rows, outputs); for 0/1 outputs the splits are those of Gini's index.

    Parameters
    ----------
    allowed : array, optional
        Conditions that may be used.

    References
    ----------
    Breiman, Friedman, Olshen, Stone (1984), Classification and regression trees.
    """
    places = np.arange(holds.shape[1]) if allowed is None else allowed
    return _grown(holds[:, places], y, places, (y.mean(axis=0), depth))


def _grown(holds: FloatArray, y: FloatArray, places: IntArray, about: tuple[FloatArray, int]) -> Node:
    whole, depth = about
    n, total = len(y), y.sum(axis=0)
    node = Node(value=(total + SMOOTH * whole) / (n + SMOOTH))
    if depth == 0 or n < 2 * MIN_LEAF or not len(places):
        return node
    inside = holds.sum(axis=0, dtype=np.float64)
    sums = holds.T.astype(np.float64) @ y
    outside = n - inside
    fits = (inside >= MIN_LEAF) & (outside >= MIN_LEAF)
    if not fits.any():
        return node
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = (sums**2).sum(axis=1) / inside + ((total - sums) ** 2).sum(axis=1) / outside - (total**2).sum() / n
    gain = np.where(fits, gain, -np.inf)
    best = int(gain.argmax())
    if not gain[best] > 1e-12 * max(float((y**2).sum()), 1e-300):
        return node
    node.condition, node.gain = int(places[best]), float(gain[best])
    yes = holds[:, best] > 0
    node.yes = _grown(holds[yes], y[yes], places, (whole, depth - 1))
    node.no = _grown(holds[~yes], y[~yes], places, (whole, depth - 1))
    return node


def predict(node: Node, holds: FloatArray) -> FloatArray:
    """Output of the tree for each row."""
    out = np.empty((len(holds), len(node.value)))
    waiting = [(node, np.arange(len(holds)))]
    while waiting:
        one, rows = waiting.pop()
        if one.yes is None or one.no is None:
            out[rows] = one.value
            continue
        yes = holds[rows, one.condition] > 0
        waiting += [(one.yes, rows[yes]), (one.no, rows[~yes])]
    return out


def gains(node: Node) -> dict[int, float]:
    """Condition -> what it explains."""
    out: dict[int, float] = {}
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if one.yes is not None and one.no is not None:
            out[one.condition] = out.get(one.condition, 0.0) + one.gain
            waiting += [one.yes, one.no]
    return out


@dataclass(frozen=True)
class Linear:
    """Coefficients over standardised columns."""

    center: FloatArray
    spread: FloatArray
    weights: FloatArray
    """Shape (columns, outputs)."""
    start: FloatArray
    logistic: bool = False

    def predict(self, x: FloatArray) -> FloatArray:
        """Output for each row; for a logistic model, the chances of both classes."""
        raw = (x - self.center) / self.spread @ self.weights + self.start
        if not self.logistic:
            return np.asarray(raw)
        chance = 1 / (1 + np.exp(-np.clip(raw[:, 0], -30, 30)))
        return np.stack([1 - chance, chance], axis=1)


def ridge(x: FloatArray, y: FloatArray) -> Linear:
    """Ridge regression of every output, with the penalty that generalised cross-validation prefers.

    References
    ----------
    Golub, Heath, Wahba (1979), Generalized cross-validation as a method for choosing a good ridge parameter.
    """
    center, spread = _units(x)
    z, goal = (x - center) / spread, y - y.mean(axis=0)
    u, s, vt = np.linalg.svd(z, full_matrices=False)
    along, n = u.T @ goal, len(z)
    rest = float((goal**2).sum() - (along**2).sum())
    best, least = RIDGES[-1], np.inf
    for penalty in RIDGES:
        shrink = s**2 / (s**2 + penalty * n)
        error = rest + float((((1 - shrink)[:, None] * along) ** 2).sum())
        score = error / max(n - 1 - shrink.sum(), 1e-9) ** 2
        if score < least * (1 - 1e-9):
            best, least = penalty, score
    weights = vt.T @ ((s / (s**2 + best * n))[:, None] * along)
    return Linear(center, spread, weights, y.mean(axis=0))


def logistic(x: FloatArray, second: FloatArray) -> Linear:
    """Logistic regression of the chance of the second class (`second` holds 0 or 1), with a light ridge penalty."""
    center, spread = _units(x)
    z = np.column_stack([np.ones(len(x)), (x - center) / spread])
    penalty = np.full(z.shape[1], max(0.01 * len(x), 1.0))
    penalty[0] = 1e-6
    w = np.zeros(z.shape[1])
    for _ in range(ROUNDS):
        chance = 1 / (1 + np.exp(-np.clip(z @ w, -30, 30)))
        weight = np.maximum(chance * (1 - chance), 1e-6)
        step = np.linalg.solve((z * weight[:, None]).T @ z + np.diag(penalty), z.T @ (second - chance) - penalty * w)
        w = w + np.clip(step, -5, 5)
        if float(np.abs(step).max()) < 1e-6:
            break
    return Linear(center, spread, w[1:, None], w[:1], logistic=True)


def _units(x: FloatArray) -> tuple[FloatArray, FloatArray]:
    spread = x.std(axis=0)
    return x.mean(axis=0), np.where(spread > 1e-12, spread, 1.0)
