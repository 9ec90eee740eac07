"""Which rows a model learns from and which it is tried on: the last test first, then the folds of what is left."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    RepeatedKFold,
    RepeatedStratifiedKFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    train_test_split,
)

from raypipe.errors import ConfigError
from raypipe.ml.data import TrainingData, shown
from raypipe.ml.specs.validation import Strategy, ValidationSpec

Places = NDArray[np.int64]
Fold = tuple[Places, Places]
"""Places of the rows to learn from, and of those to be tried on."""


def settled(spec: ValidationSpec, data: TrainingData) -> Strategy:
    """The strategy that `auto`, and the names of the older system, come to for these rows.

    Raises
    ------
    ConfigError
        It deals rows at random that hang together.
    """
    tied: Strategy | None = None
    if data.times is not None:
        tied = "time"
    elif data.groups is not None:
        tied = "stratified_group" if data.task == "classification" else "group"
    if spec.strategy in ("auto", "cross_validation", "nested", "train_test"):
        return tied or ("stratified" if data.task == "classification" else "kfold")
    if spec.strategy == "stratified" and data.task == "regression":
        raise ConfigError("validation: strategy 'stratified' keeps the shares of classes; for numbers use 'kfold'")
    return spec.strategy


def hold_out(spec: ValidationSpec, data: TrainingData, seed: int) -> Fold:
    """Rows to work with, and rows that stay untouched until the end: the latest, whole groups, or drawn by class."""
    places = np.arange(data.rows)
    strategy = settled(spec, data)
    if data.times is not None and strategy in ("time", "purged"):
        return _latest(spec, data)
    _require_two_sides(spec, data)
    if data.groups is not None:
        splitter = GroupShuffleSplit(n_splits=1, test_size=spec.test_size, random_state=seed)
        train, test = next(splitter.split(places, data.y, data.groups))
    elif not spec.shuffle:
        cut = data.rows - max(1, round(spec.test_size * data.rows))
        train, test = places[:cut], places[cut:]
    else:
        by = data.y if _can_share_classes(spec, data) else None
        train, test = train_test_split(places, test_size=spec.test_size, random_state=seed, stratify=by)
        train, test = np.sort(train), np.sort(test)
    if data.task == "classification" and len(np.unique(data.y[train])) < 2:
        raise ConfigError(
            f"validation: the rows to learn from have the class {shown(data.y[train][0])} alone; use a smaller"
            " test_size, or more rows or groups of the other classes"
        )
    return train, test


def _require_two_sides(spec: ValidationSpec, data: TrainingData) -> None:
    """Enough rows, or groups, for one on either side."""
    what, count = ("rows", data.rows) if data.groups is None else ("groups", len(np.unique(data.groups)))
    if count < 2 or round(count * (1 - spec.test_size)) < 1:
        raise ConfigError(
            f"validation: {count} {what} cannot be split into rows to learn from and a test of {spec.test_size:g} of"
            f" them; use more {what}, or a smaller test_size"
        )


def _can_share_classes(spec: ValidationSpec, data: TrainingData) -> bool:
    """Whether each class can stand on both sides in its share."""
    if data.task != "classification" or _fewest(data) < 2:
        return False
    tested = math.ceil(spec.test_size * data.rows)
    return min(tested, data.rows - tested) >= len(data.classes)


def _latest(spec: ValidationSpec, data: TrainingData) -> Fold:
    assert data.times is not None
    order = np.argsort(data.times, kind="stable")
    cut = data.rows - max(1, round(spec.test_size * data.rows))
    # Rows of one time stay together: else the model would know the moment that it is tried on.
    first = data.times[order[cut]]
    before = np.flatnonzero(data.times < first - np.timedelta64(round(spec.horizon_days * 86_400), "s"))
    if not len(before):
        raise ConfigError("validation: no row lies before the test; give a smaller test_size, or check the time column")
    kept = before[np.argsort(data.times[before], kind="stable")]
    test = np.flatnonzero(data.times >= first)
    train = _apart(data, kept[: max(0, len(kept) - spec.gap)], test)
    if not len(train):
        raise ConfigError(f"validation: no row is left to learn from, {_why_none(spec, data)}")
    return train, test


def _apart(data: TrainingData, train: Places, test: Places) -> Places:
    """The rows to learn from whose group is not in the test: what belongs together never stands on both sides."""
    return train if data.groups is None else train[~np.isin(data.groups[train], data.groups[test])]


def _why_none(spec: ValidationSpec, data: TrainingData) -> str:
    """What may have taken the rows before a test, and what to do."""
    if data.groups is not None:
        return (
            "as the groups of the rows before the test are in the test too; leave group_column out where the same"
            " groups come again later"
        )
    return f"with a gap of {spec.gap:,} rows; use a smaller gap" if spec.gap else "before the test; use fewer n_splits"


def folds(spec: ValidationSpec, data: TrainingData, seed: int, n_splits: int | None = None) -> list[Fold]:
    """The folds, checked: each has rows on both sides, and classes to learn.

    Raises
    ------
    ConfigError
        Too few rows, groups, times or rows of a class for so many folds.
    """
    count = n_splits or spec.n_splits
    found = list(_folds(settled(spec, data), spec, data, (seed, count)))
    for train, test in found:
        if not len(train) and data.times is not None:
            raise ConfigError(f"validation: a fold has no row to learn from, {_why_none(spec, data)}")
        if not len(train) or not len(test):
            raise ConfigError(f"validation: a fold of {count} is empty with {data.rows:,} rows; use fewer n_splits")
        if data.task == "classification" and len(np.unique(data.y[train])) < 2:
            raise ConfigError("validation: a fold has one class alone to learn from; use fewer n_splits, or more rows")
    return found


def _folds(strategy: Strategy, spec: ValidationSpec, data: TrainingData, how: tuple[int, int]) -> Iterator[Fold]:
    seed, count = how
    drawn: dict[str, Any] = {"shuffle": spec.shuffle, "random_state": seed if spec.shuffle else None}
    places = np.arange(data.rows)
    if strategy in ("time", "purged"):
        yield from _by_time(strategy, spec, data, count)
    elif strategy == "predefined":
        yield from _predefined(data)
    elif strategy in ("group", "stratified_group"):
        _require_groups(data, count)
        splitter = (
            StratifiedGroupKFold(count, **drawn) if strategy == "stratified_group" else GroupKFold(count, **drawn)
        )
        yield from splitter.split(places, data.y, data.groups)
    elif strategy == "repeated":
        kind = RepeatedStratifiedKFold if data.task == "classification" else RepeatedKFold
        _require_rows(data, count)
        yield from kind(n_splits=count, n_repeats=spec.n_repeats, random_state=seed).split(places, data.y)
    else:
        _require_rows(data, count)
        kind = StratifiedKFold if strategy == "stratified" else KFold
        yield from kind(count, **drawn).split(places, data.y)


def _by_time(strategy: Strategy, spec: ValidationSpec, data: TrainingData, count: int) -> Iterator[Fold]:
    """Expanding or sliding windows over the moments that there are; rows of one moment stay together."""
    if data.times is None:
        raise ConfigError(f"validation: strategy {strategy!r} needs time_column")
    moments, position = np.unique(data.times, return_inverse=True)
    if len(moments) <= count:
        raise ConfigError(
            f"validation: {count} folds over time need more than {count} different times; there are {len(moments)}"
        )
    order = np.argsort(position, kind="stable")
    edges = [round(len(order) * (i + 1) / (count + 1)) for i in range(count + 1)]
    starts = [int(position[order[min(edge, len(order) - 1)]]) for edge in edges[:-1]]
    for i, start in enumerate(starts):
        end = starts[i + 1] if i + 1 < count else len(moments)
        if end <= start:
            continue
        test = np.flatnonzero((position >= start) & (position < end))
        train = _purged(spec, data, test) if strategy == "purged" else _before(spec, position, order, start)
        yield _apart(data, train, test), test


def _before(spec: ValidationSpec, position: Places, order: Places, start: int) -> Places:
    train = order[position[order] < start]
    train = train[: max(0, len(train) - spec.gap)]
    return train[-spec.window :] if spec.window else train


def _purged(spec: ValidationSpec, data: TrainingData, test: Places) -> Places:
    """All rows but those whose target reaches into the test, and those in the embargo after it (López de Prado,
    2018)."""
    assert data.times is not None
    first, last = data.times[test].min(), data.times[test].max()
    horizon = np.timedelta64(round(spec.horizon_days * 86_400_000_000), "us")
    embargo = np.timedelta64(round(spec.embargo_days * 86_400_000_000), "us")
    reaches = (data.times + horizon >= first) & (data.times <= last + horizon + embargo)
    return np.flatnonzero(~reaches)


def _predefined(data: TrainingData) -> Iterator[Fold]:
    if data.folds is None:
        raise ConfigError("validation: strategy 'predefined' needs fold_column")
    numbers = np.unique(data.folds[data.folds >= 0])
    if len(numbers) < 1:
        raise ConfigError(
            "validation: fold_column holds no fold; wanted numbers from 0, -1 for rows always learnt from"
        )
    for number in numbers:
        yield np.flatnonzero(data.folds != number), np.flatnonzero(data.folds == number)


def _require_groups(data: TrainingData, count: int) -> None:
    if data.groups is None:
        raise ConfigError("validation: this strategy needs group_column")
    groups = len(np.unique(data.groups))
    if groups < count:
        raise ConfigError(f"validation: {count} folds need {count} groups; there are {groups}: use fewer n_splits")


def _require_rows(data: TrainingData, count: int) -> None:
    if data.rows < count:
        raise ConfigError(f"validation: {count} folds need {count} rows; there are {data.rows}: use fewer n_splits")
    if data.task == "classification" and _fewest(data) < count:
        labels, counts = np.unique(data.y, return_counts=True)
        rare = labels[counts.argmin()]
        raise ConfigError(
            f"validation: {count} folds want each class {count} times; {shown(rare)} stands in {counts.min()} rows: use"
            " fewer n_splits, or drop or join the class"
        )


def _fewest(data: TrainingData) -> int:
    return int(np.unique(data.y, return_counts=True)[1].min())
