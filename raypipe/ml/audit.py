"""What can make a score too good to be true: looked for before anything is learnt, and told.

The audit sees the rows that a model may learn from, and, for what two sides have in common, those that it is tried on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from raypipe.config import Frozen
from raypipe.ml.data import TrainingData, shown
from raypipe.ml.metrics import Truth, compute
from raypipe.ml.splits import Fold

MAX_AUC = 0.995
MAX_R2 = 0.995
"""Of one column alone, from which it may hold the answer."""
MIN_ROWS = 50
MAX_ID_SHARE = 0.98
TELLING_VALUES, TELLING_SHARE = 20, 0.05
"""Rows of which no column has so many values, or values of so large a share of the rows, may be equal by chance."""
MAX_SHARED_SHARE = 0.01
"""Of the rows of the test that stand in the training rows too."""
SAMPLE_ROWS = 20_000


class AuditFinding(Frozen):
    """One thing that may make the score wrong."""

    check: Literal[
        "single_column", "shared_rows", "shared_groups", "identifier", "later_than_row", "time_overlap", "rare_class"
    ]
    severity: Literal["error", "warning"]
    message: str
    columns: tuple[str, ...] = ()
    figure: float | None = None


def audit(
    data: TrainingData,
    split: Fold | None = None,
    features: tuple[str, ...] | None = None,
    tried: tuple[TrainingData, TrainingData] | None = None,
) -> list[AuditFinding]:
    """Everything suspicious about rows and split.

    Parameters
    ----------
    split : places of training and test rows, optional
        None: what needs two sides is not looked at.
    features : names, optional
        The columns that take part; None: all.
    tried : rows to learn from and rows to be tried on, optional
        Looked through for rows that stand on both sides: those of the split, of a fold, or a test of their own. None
        takes those of the split.
    """
    train = data if split is None else data.take(split[0])
    names = [name for name in (features or tuple(data.X.columns)) if name in data.X.columns]
    found = [*_single_columns(train, names), *_identifiers(train, names), *_later(train, names), *_rare(train)]
    if split is not None:
        found += _shared(data, split)
        tried = tried or (data.take(split[0]), data.take(split[1]))
    return found if tried is None else [*found, *_shared_rows(*tried, names)]


def _single_columns(data: TrainingData, names: list[str]) -> Iterator[AuditFinding]:
    if data.rows < MIN_ROWS:
        return
    rows = np.random.default_rng(0).permutation(data.rows)[:SAMPLE_ROWS]
    half = len(rows) // 2
    for name in names:
        figure = _alone(data, name, (rows[:half], rows[half:]))
        limit = MAX_AUC if data.task == "classification" else MAX_R2
        if figure is not None and figure >= limit:
            measure = "AUC" if data.task == "classification" else "R²"
            yield AuditFinding(
                check="single_column",
                severity="error",
                message=f"{name!r} alone tells the target on rows that it did not see ({measure} {figure:.4f}): it may"
                " hold the answer. Leave it out unless it is known before the target is",
                columns=(name,),
                figure=figure,
            )


def _alone(data: TrainingData, name: str, halves: tuple[NDArray[np.int64], NDArray[np.int64]]) -> float | None:
    """How well a shallow tree on one column does on rows that it was not fitted on."""
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    column = data.X[name]
    numeric = pd.api.types.is_numeric_dtype(column.dtype)
    values = column.to_numpy(float, na_value=np.nan) if numeric else pd.factorize(column.astype(str))[0].astype(float)
    if not numeric and len(np.unique(values)) > len(values) // 2:
        return None
    values = np.where(np.isfinite(values), values, np.nan).reshape(-1, 1)
    fit, held = halves
    if data.task == "regression":
        tree = DecisionTreeRegressor(min_samples_leaf=5, max_leaf_nodes=256, random_state=0)
        tree.fit(values[fit], data.y[fit])
        return compute("r2", Truth("regression", data.y[held], tree.predict(values[held])))
    labels = np.unique(data.y[fit])
    if len(labels) < 2:
        return None
    tree = DecisionTreeClassifier(min_samples_leaf=5, max_leaf_nodes=256, random_state=0)
    tree.fit(values[fit], data.y[fit])
    known = np.isin(data.y[held], labels)
    places = np.searchsorted(labels, data.y[held][known]).astype(np.int64)
    return compute("roc_auc", Truth("classification", places, tree.predict_proba(values[held][known])))


def _identifiers(data: TrainingData, names: list[str]) -> Iterator[AuditFinding]:
    for name in names:
        column = data.X[name]
        whole = pd.api.types.is_integer_dtype(column.dtype)
        texts = column.dtype == object or isinstance(column.dtype, pd.StringDtype)
        if data.rows < MIN_ROWS or not (whole or texts):
            continue
        distinct = column.astype(str).nunique() if texts else column.nunique()
        spread = whole and float(column.max()) - float(column.min()) + 1 > 1.5 * distinct
        if distinct >= MAX_ID_SHARE * data.rows and not spread:
            yield AuditFinding(
                check="identifier",
                severity="warning",
                message=f"{name!r} differs in {distinct:,} of {data.rows:,} rows: it names rows, and a model learns it"
                " by heart. Leave it out",
                columns=(name,),
                figure=distinct / data.rows,
            )


def _later(data: TrainingData, names: list[str]) -> Iterator[AuditFinding]:
    """Dates that lie after the row's own time: not known yet when the row is to be judged."""
    if data.times is None:
        return
    for name in names:
        column = data.X[name]
        if not pd.api.types.is_datetime64_any_dtype(column.dtype):
            continue
        times = pd.to_datetime(column, utc=True).dt.tz_localize(None).to_numpy(dtype="datetime64[us]")
        known = ~np.isnat(times)
        later = (times > data.times) & known
        share = later.sum() / max(1, known.sum())
        if share > MAX_SHARED_SHARE:
            yield AuditFinding(
                check="later_than_row",
                severity="warning",
                message=f"{name!r} lies after the row's own time in {later.sum():,} rows ({share:.1%}): it was not"
                " known then",
                columns=(name,),
                figure=float(share),
            )


def _rare(data: TrainingData) -> Iterator[AuditFinding]:
    if data.task != "classification":
        return
    labels, counts = np.unique(data.y, return_counts=True)
    rare = counts.min()
    if rare < 20:
        yield AuditFinding(
            check="rare_class",
            severity="warning",
            message=f"the class {shown(labels[counts.argmin()])} stands in {rare} training rows: what is said of it is"
            " unsure",
            figure=float(rare),
        )


def _shared(data: TrainingData, split: Fold) -> Iterator[AuditFinding]:
    """What both sides have in common of groups and times."""
    train, test = split
    if data.groups is not None:
        both = np.intersect1d(data.groups[train], data.groups[test])
        if len(both):
            yield AuditFinding(
                check="shared_groups",
                severity="error",
                message=f"{len(both):,} groups stand on both sides of the split: use strategy 'group'",
                figure=float(len(both)),
            )
    if data.times is not None and len(train) and data.times[train].max() >= data.times[test].min():
        yield AuditFinding(
            check="time_overlap",
            severity="warning",
            message="rows to learn from lie at or after the time of rows of the test: use strategy 'time'",
        )


def _shared_rows(train: TrainingData, test: TrainingData, names: list[str]) -> Iterator[AuditFinding]:
    """Rows of the test that equal a row to learn from, where rows of different things are not alike by themselves."""
    shown = [name for name in names if name in train.X.columns and name in test.X.columns]
    if not shown or not test.rows:
        return
    most = max(int(train.X[name].astype(str).nunique()) for name in shown)
    if most < max(TELLING_VALUES, TELLING_SHARE * train.rows):
        return
    ours, theirs = (pd.util.hash_pandas_object(side.X[shown].astype(str), index=False) for side in (train, test))
    shared = int(np.isin(theirs.to_numpy(), ours.to_numpy()).sum())
    share = shared / test.rows
    if share > MAX_SHARED_SHARE:
        yield AuditFinding(
            check="shared_rows",
            severity="warning",
            message=f"{shared:,} rows of the test ({share:.1%}) stand among the training rows too, feature by feature:"
            " drop repeats, or name the column that ties them as group_column",
            figure=float(share),
        )
