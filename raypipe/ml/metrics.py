"""Metrics in full, which way each is better, and how sure each is.

Estimates of classes are probabilities, rows by classes in the order of `labels`; labels at the most probable class, or
past a threshold where there are two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt
from scipy.stats import rankdata

from raypipe.config import Frozen
from raypipe.errors import ConfigError
from raypipe.ml.specs.models import Task

Array = NDArray[np.float64]
BINS = 15
"""Bins of the expected calibration error, each of as many rows."""
BOOTSTRAPS = 200
MIN_GROUPS = 5
"""Groups from which there are intervals: of a few, most samples would be alike."""
TOP_SHARE = 0.1
"""Of the rows, those rated highest, for lift."""
_TINY = 1e-15


@dataclass(frozen=True)
class Truth:
    """What a model was asked and what it said."""

    task: Task
    y: NDArray[np.int64] | Array
    """Places of the labels, or numbers."""
    estimate: Array
    """Probabilities, rows by classes; or numbers."""
    threshold: float | Array | None = None
    """Two classes: from this probability on it is the second; one for all rows, or one for each. None: the most
    probable, the first of equal ones, as scikit-learn's models say."""
    are_probabilities: bool = True
    """False: they rank rows and say classes, but no more; what needs probabilities is not available."""

    @property
    def chosen(self) -> NDArray[np.int64]:
        """Places of the labels that the estimate comes to."""
        if self.estimate.shape[1] == 2 and self.threshold is not None:
            return (self.estimate[:, 1] >= self.threshold).astype(np.int64)
        return np.asarray(np.argmax(self.estimate, axis=1))

    def take(self, places: NDArray[np.int64]) -> Truth:
        """The rows at these places."""
        threshold = self.threshold[places] if isinstance(self.threshold, np.ndarray) else self.threshold
        return replace(self, y=self.y[places], estimate=self.estimate[places], threshold=threshold)


Metric = Callable[[Truth], float]


class Score(Frozen):
    """One metric over one set of rows."""

    value: float | None
    """None: it cannot be computed for these rows."""
    interval: tuple[float, float] | None = None
    """95 %, by bootstrap of rows, or of groups where rows belong together. The calibration error has none."""
    fold_values: tuple[float | None, ...] = ()
    rows: NonNegativeInt = 0

    @property
    def std(self) -> float | None:
        """Spread of the folds (divisor n, as scikit-learn's users know it)."""
        known = [value for value in self.fold_values if value is not None]
        return float(np.std(known)) if known else None


# ── two classes and more ─────────────────────────────────────────────────────────────────────────────────────────────


def log_loss(t: Truth) -> float:
    """Mean of -log of the probability that the true class was given."""
    given = t.estimate[np.arange(len(t.y)), t.y] / t.estimate.sum(axis=1)
    return float(-np.log(np.clip(given, _TINY, 1.0)).mean())


def accuracy(t: Truth) -> float:
    """Share of rows whose label is right."""
    return float((t.chosen == t.y).mean())


def balanced_accuracy(t: Truth) -> float:
    """Mean over the classes that there are of the share found."""
    return _mean(_recalls(t))


def _confusion(t: Truth) -> Array:
    k = t.estimate.shape[1]
    return np.bincount(t.y * k + t.chosen, minlength=k * k).reshape(k, k).astype(float)


def _recalls(t: Truth) -> Array:
    counts = _confusion(t)
    rows = counts.sum(axis=1)
    return np.asarray(np.diag(counts)[rows > 0] / rows[rows > 0])


def _mean(values: Array) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _prf(t: Truth) -> tuple[Array, Array, Array]:
    """Precision, recall and F1 of each class that is there or was said; 0 where nothing was said."""
    counts = _confusion(t)
    hit, said, true = np.diag(counts), counts.sum(axis=0), counts.sum(axis=1)
    seen = (said > 0) | (true > 0)
    hit, said, true = hit[seen], said[seen], true[seen]
    with np.errstate(invalid="ignore"):
        p, r = np.where(said > 0, hit / said, 0.0), np.where(true > 0, hit / true, 0.0)
    return p, r, np.where(said + true > 0, 2 * hit / (said + true), 0.0)


def _two(t: Truth) -> bool:
    return bool(t.estimate.shape[1] == 2)


def precision(t: Truth) -> float:
    """Of the rows said to be of a class, those that are: of the second class of two, else the mean over classes."""
    if not _two(t):
        return _mean(_prf(t)[0])
    counts = _confusion(t)
    said = counts[:, 1].sum()
    return float(counts[1, 1] / said) if said else 0.0


def recall(t: Truth) -> float:
    """Of the rows of a class, those found: of the second class of two, else the mean over classes."""
    if not _two(t):
        return _mean(_prf(t)[1])
    counts = _confusion(t)
    true = counts[1].sum()
    return float(counts[1, 1] / true) if true else 0.0


def f1_score(t: Truth) -> float:
    """Harmonic mean of precision and recall: of the second class of two, else the mean over classes."""
    if not _two(t):
        return _mean(_prf(t)[2])
    counts = _confusion(t)
    total = counts[:, 1].sum() + counts[1].sum()
    return float(2 * counts[1, 1] / total) if total else 0.0


def mcc(t: Truth) -> float:
    """Matthews' correlation of labels said and true (Gorodkin 2004 for more than two)."""
    counts = _confusion(t)
    n, hit = counts.sum(), np.trace(counts)
    said, true = counts.sum(axis=0), counts.sum(axis=1)
    below = np.sqrt(n * n - said @ said) * np.sqrt(n * n - true @ true)
    return float((hit * n - said @ true) / below) if below else 0.0


def roc_auc(t: Truth) -> float:
    """Chance that a row of a class is rated above one of another: of the second class, else the mean of one against
    the rest over the classes that there are."""
    if _two(t):
        return _auc(t.y == 1, t.estimate[:, 1])
    found = [_auc(t.y == k, t.estimate[:, k]) for k in range(t.estimate.shape[1]) if (t.y == k).any()]
    return float(np.mean(found)) if found else float("nan")


def _auc(positive: NDArray[np.bool_], rating: Array) -> float:
    n = int(positive.sum())
    m = len(positive) - n
    if not n or not m:
        return float("nan")
    return float((rankdata(rating)[positive].sum() - n * (n + 1) / 2) / (n * m))


def average_precision(t: Truth) -> float:
    """Area under precision over recall, by steps: of the second class, else the mean over classes."""
    if _two(t):
        return _ap(t.y == 1, t.estimate[:, 1])
    found = [_ap(t.y == k, t.estimate[:, k]) for k in range(t.estimate.shape[1]) if (t.y == k).any()]
    return float(np.mean(found)) if found else float("nan")


def _ap(positive: NDArray[np.bool_], rating: Array) -> float:
    if not positive.any():
        return float("nan")
    order = np.argsort(-rating, kind="stable")
    hits = np.cumsum(positive[order])
    last = np.flatnonzero(np.append(np.diff(rating[order]) != 0, True))
    precision_at, recall_at = hits[last] / (last + 1), hits[last] / hits[-1]
    return float((np.diff(recall_at, prepend=0.0) * precision_at).sum())


def brier(t: Truth) -> float:
    """Mean squared error of the probabilities: of the second class of two, else summed over classes."""
    if _two(t):
        return float(((t.estimate[:, 1] - t.y) ** 2).mean())
    hot = np.eye(t.estimate.shape[1])[t.y]
    return float(((t.estimate - hot) ** 2).sum(axis=1).mean())


def ece(t: Truth) -> float:
    """Expected calibration error in bins of about as many rows: of the second class of two, else of the one said."""
    said = t.estimate[:, 1] if _two(t) else t.estimate.max(axis=1)
    right = (t.y == 1) if _two(t) else (t.estimate.argmax(axis=1) == t.y)
    return calibration_error(said, right)


def calibration_error(said: Array, right: NDArray[np.bool_], bins: int = BINS) -> float:
    """Mean distance between what was said and what was so, over bins."""
    parts = equal_bins(said, bins)
    return float(sum(abs(said[rows].mean() - right[rows].mean()) * len(rows) for rows in parts) / len(said))


def equal_bins(values: Array, bins: int) -> list[NDArray[np.int64]]:
    """Places of the rows of each bin, from the least value on: about as many in each, equal values in one.

    Cut among equal values, what a bin holds would depend on the order of the rows.
    """
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    cuts = [part[-1] for part in np.array_split(ranked, min(bins, len(ranked)))]
    ends = np.unique(np.searchsorted(ranked, cuts, side="right"))
    return np.split(order, ends[:-1])


def lift(t: Truth) -> float:
    """How many times more of the second class stand in the tenth rated highest than in all rows."""
    if not _two(t) or not (t.y == 1).any():
        return float("nan")
    rating, positive = t.estimate[:, 1], t.y == 1
    count = max(1, round(TOP_SHARE * len(t.y)))
    last = np.partition(rating, len(rating) - count)[len(rating) - count]
    above, tied = rating > last, rating == last
    # Of rows rated alike any may stand in the tenth: each counts by its share of the places.
    hits = positive[above].sum() + (count - above.sum()) * positive[tied].mean()
    return float(hits / count / positive.mean())


# ── numbers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def rmse(t: Truth) -> float:
    """Root of the mean squared error, in the unit of the target."""
    return float(np.sqrt(((t.y - t.estimate) ** 2).mean()))


def mae(t: Truth) -> float:
    """Mean absolute error, in the unit of the target."""
    return float(np.abs(t.y - t.estimate).mean())


def median_ae(t: Truth) -> float:
    """Median absolute error, in the unit of the target."""
    return float(np.median(np.abs(t.y - t.estimate)))


def r2(t: Truth) -> float:
    """Share of the target's spread that is explained; below 0 it is worse than the mean."""
    total = ((t.y - t.y.mean()) ** 2).sum()
    return float(1 - ((t.y - t.estimate) ** 2).sum() / total) if total else float("nan")


def mape(t: Truth) -> float:
    """Mean absolute error relative to the target, over rows where it is not 0."""
    known = t.y != 0
    return float((np.abs(t.y - t.estimate)[known] / np.abs(t.y[known])).mean()) if known.any() else float("nan")


def smape(t: Truth) -> float:
    """Mean absolute error relative to the mean of both sizes, 0 to 2."""
    size = (np.abs(t.y) + np.abs(t.estimate)) / 2
    return float(np.where(size > 0, np.abs(t.y - t.estimate) / np.where(size > 0, size, 1), 0.0).mean())


@dataclass(frozen=True)
class Kind:
    """A metric, and how it is read."""

    compute: Metric
    greater_is_better: bool
    task: Task
    needs_probabilities: bool = False
    has_interval: bool = True
    """False: rows drawn again make it larger than it is, so that a bootstrap interval may lie above the value."""


_OF_CLASSES = (
    accuracy, roc_auc, f1_score, precision, recall, balanced_accuracy, average_precision, mcc, lift,
)  # fmt: skip


METRICS: Mapping[str, Kind] = {
    **{fn.__name__: Kind(fn, True, "classification") for fn in _OF_CLASSES},
    **{fn.__name__: Kind(fn, False, "classification", True, fn is not ece) for fn in (log_loss, brier, ece)},
    **{fn.__name__: Kind(fn, fn is r2, "regression") for fn in (rmse, mae, r2, median_ae, mape, smape)},
}
"""Name -> metric; the first of a task decides where none is named: accuracy, as in the older system, and RMSE."""


def metrics_for(task: Task, named: Iterable[str] = ()) -> list[str]:
    """Names of the metrics of a task: those named, first the one that decides; else all.

    Raises
    ------
    ConfigError
        A metric that there is not, or of the other task.
    """
    able = [name for name, kind in METRICS.items() if kind.task == task]
    for name in named:
        if name not in able:
            raise ConfigError(f"metrics: there is no {name!r} for {task}; there are {', '.join(able)}")
    return list(dict.fromkeys(named)) or able


def compute(name: str, truth: Truth) -> float | None:
    """One metric, or None where these rows do not give it."""
    if not len(truth.y) or (METRICS[name].needs_probabilities and not truth.are_probabilities):
        return None
    value = METRICS[name].compute(truth)
    return value if np.isfinite(value) else None


def score(
    names: Iterable[str],
    truth: Truth,
    folds: Iterable[NDArray[np.int64]] = (),
    groups: NDArray[np.int64] | None = None,
    seed: int = 0,
) -> dict[str, Score]:
    """Each metric over all rows, with its bootstrap interval, and over each fold.

    Parameters
    ----------
    folds : iterable of places
        Rows of each fold among those of `truth`.
    groups : int64[rows], optional
        Rows of one group are drawn together, as they were not drawn independently.
    """
    wanted, parts = list(names), [truth.take(places) for places in folds]
    few = groups is not None and len(np.unique(groups)) < MIN_GROUPS
    drawn = [] if few else [truth.take(places) for places in resamples(len(truth.y), groups, seed)]
    found = {}
    for name in wanted:
        able = drawn if METRICS[name].has_interval else ()
        values = [value for value in (compute(name, one) for one in able) if value is not None]
        enough = len(values) >= 0.9 * BOOTSTRAPS
        low, high = np.quantile(values, [0.025, 0.975]) if enough else (0.0, 0.0)
        found[name] = Score(
            value=compute(name, truth),
            interval=(float(low), float(high)) if enough else None,
            fold_values=tuple(compute(name, part) for part in parts),
            rows=len(truth.y),
        )
    return found


def resamples(rows: int, groups: NDArray[np.int64] | None, seed: int) -> list[NDArray[np.int64]]:
    """Places of `BOOTSTRAPS` samples with replacement, of rows or of groups."""
    rng = np.random.default_rng(seed)
    if groups is None:
        return [rng.integers(0, rows, rows) for _ in range(BOOTSTRAPS)]
    _, codes = np.unique(groups, return_inverse=True)
    members = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])
    draws = (rng.integers(0, len(members), len(members)) for _ in range(BOOTSTRAPS))
    return [np.concatenate([members[i] for i in draw]) for draw in draws]
