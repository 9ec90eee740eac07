"""Champion and challenger on the same rows: promoted where the challenger is better by more than chance."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeFloat

from raypipe.config import Frozen
from raypipe.errors import ConfigError
from raypipe.ml.card import row_hashes, rows_hash
from raypipe.ml.data import TrainingData, training_data
from raypipe.ml.metrics import METRICS, Truth, compute, resamples
from raypipe.ml.model import estimates, truth_of
from raypipe.ml.saving import LoadedModel
from raypipe.ml.tracking.loading import load_model
from raypipe.ml.tracking.registry import give_stage, store_of, version_of

MAX_LEARNT_SHARE, LEAST_KNOWN = 0.1, 3
"""Rows that a model was learnt from: more than this share of those to judge by are refused; fewer than so many that are
known again may be equal by chance."""
MIN_ROWS = 30
"""Rows below which no interval is trusted."""
Verdict = Literal["promoted", "kept", "undecided", "first"]


class Promotion(Frozen):
    """What came of a comparison."""

    name: str
    verdict: Verdict
    """promoted: the challenger is better; kept: it is not; undecided: these rows cannot tell; first: there was no
    champion, so that nothing was compared."""
    challenger: str
    champion: str | None = None
    metric: str
    champion_value: float | None = None
    challenger_value: float | None = None
    gain: float | None = None
    """How much better the challenger is, above 0 better whatever the metric."""
    interval: tuple[float, float] | None = None
    """95 %, by bootstrap of rows of which both are tried on the same."""
    rows: int
    min_gain: NonNegativeFloat = 0.0

    @property
    def text(self) -> str:
        """In a sentence."""
        if self.verdict == "first":
            return f"{self.name}: version {self.challenger} is the first champion; there was none to compare it with"
        assert self.interval is not None
        assert self.gain is not None
        low, high = self.interval
        figures = f"{self.metric} better by {self.gain:.4g} (95 %: {low:.4g} to {high:.4g}, {self.rows:,} rows)"
        told = {
            "promoted": f"version {self.challenger} is now champion in place of {self.champion}",
            "kept": f"version {self.champion} stays champion, {self.challenger} is no better",
            "undecided": f"version {self.champion} stays champion: these rows cannot tell the two apart; bring more",
        }
        return f"{self.name}: {told[self.verdict]}; {figures}"


def promote(  # noqa: PLR0913 - keywords, each of which stands for itself
    name: str,
    X: Any,  # noqa: N803
    y: Any,
    *,
    challenger: str = "challenger",
    metric: str | None = None,
    min_gain: float = 0.0,
    groups: str | None = None,
    tracking_uri: str | None = None,
    registry_uri: str | None = None,
    seed: int = 0,
    dry_run: bool = False,
) -> Promotion:
    """Try champion and challenger on the same rows, and make the challenger champion where it is surely better.

    Parameters
    ----------
    X, y : table and column
        Rows that neither has learnt from; `y` may be the name of a column of `X`.
    challenger : str
        Alias or number of a version.
    metric : str, optional
        None: the one that decided when the challenger was learnt.
    min_gain : float
        The gain has to be above this, all of its interval.
    groups : str, optional
        Column of rows that belong together, which are drawn together.
    dry_run : bool
        Compare, and change nothing.

    Raises
    ------
    ConfigError
        There is no challenger, it is the champion, the rows are those that a model was learnt from, or too few.
    """
    client = store_of(tracking_uri, registry_uri)
    versions = _versions(client, name, challenger)
    uris = {"tracking_uri": client.tracking_uri, "registry_uri": registry_uri}
    models = [load_model(f"models:/{name}/{one}", **uris) for one in versions if one is not None]
    data = training_data(X, y, models[0].card.task, (groups, None, None))
    chosen = _metric(metric, models)
    _check_rows(data, models)
    _check_unseen(data if groups is None else training_data(X, y, models[0].card.task), models)
    if len(models) == 1:
        found = Promotion(name=name, verdict="first", challenger=versions[0], metric=chosen, rows=data.rows)
    else:
        found = _compared(name, (versions[0], str(versions[1])), models, data, (chosen, min_gain, seed))
    if not dry_run and found.verdict in ("promoted", "first"):
        give_stage(client, name, found.challenger, "Production")
    return found


def _versions(client: Any, name: str, challenger: str) -> tuple[str, str | None]:
    """Numbers of challenger and champion; None: there is no champion."""
    first = version_of(client, name, challenger)
    if first is None:
        raise ConfigError(f"promote: {name!r} has no version {challenger!r}; register one as Staging, or give a number")
    champion = version_of(client, name, "champion")
    if first == champion:
        raise ConfigError(f"promote: version {first} of {name!r} is the champion already")
    return first, champion


def _metric(metric: str | None, models: list[LoadedModel]) -> str:
    card = models[0].card
    chosen = metric or card.metric
    able = [known for known, kind in METRICS.items() if kind.task == card.task]
    if chosen not in able:
        raise ConfigError(f"promote: there is no metric {chosen!r} for {card.task}; there are {', '.join(able)}")
    for one in models[1:]:
        if (one.card.task, one.card.target) != (card.task, card.target):
            raise ConfigError(
                f"promote: the champion tells {one.card.target!r} ({one.card.task}), the challenger {card.target!r}"
                f" ({card.task}); they cannot be compared"
            )
    return chosen


def _check_rows(data: TrainingData, models: list[LoadedModel]) -> None:
    if data.rows < MIN_ROWS:
        raise ConfigError(f"promote: got {data.rows} rows; wanted {MIN_ROWS} or more, of which a model knows none")
    told = rows_hash(data)
    for one in models:
        if one.card.data.get("sha256") == told:
            raise ConfigError(
                f"promote: these are the rows that {one.card.name!r} was learnt from; bring rows that it has not seen"
            )


def _check_unseen(data: TrainingData, models: list[LoadedModel]) -> None:
    for one in models:
        share = _share_learnt(data, one)
        if share > MAX_LEARNT_SHARE:
            raise ConfigError(
                f"promote: {one.card.name!r} was learnt from about {share:.0%} of these rows; bring rows that it has"
                " not seen"
            )


def _share_learnt(data: TrainingData, model: LoadedModel) -> float:
    """About which share of the rows a model was learnt from, by the hashes that its card keeps of some of them."""
    kept, names = model.card.rows_sketch, [one.name for one in model.card.inputs]
    if not kept or not set(names) <= set(data.X.columns):
        return 0.0
    hashes = row_hashes(data, names)
    among = hashes[hashes <= int(kept[-1], 16)]
    known = int(np.isin(among, np.array([int(one, 16) for one in kept], dtype=np.uint64)).sum())
    return known / len(among) if known >= LEAST_KNOWN else 0.0


def _compared(
    name: str,
    versions: tuple[str, str],
    models: list[LoadedModel],
    data: TrainingData,
    how: tuple[str, float, int],
) -> Promotion:
    metric, min_gain, seed = how
    sides = [_truth(one, data) for one in models]
    sign = 1.0 if METRICS[metric].greater_is_better else -1.0
    values = [compute(metric, side) for side in sides]
    if None in values:
        raise ConfigError(f"promote: {metric} cannot be computed on these rows; choose another metric")
    gains = _gains(metric, sides, resamples(data.rows, data.groups, seed))
    low, high = (float(one) for one in np.quantile(sign * gains, [0.025, 0.975]))
    verdict: Verdict = "promoted" if low > min_gain else "kept" if high <= min_gain else "undecided"
    return Promotion(
        name=name, verdict=verdict, challenger=versions[0], champion=versions[1], metric=metric,
        challenger_value=values[0], champion_value=values[1], gain=sign * float(values[0] - values[1]),  # type: ignore[operator]
        interval=(low, high), rows=data.rows, min_gain=min_gain,
    )  # fmt: skip


def _truth(one: LoadedModel, data: TrainingData) -> Truth:
    labels = None
    if one.card.labels is not None:
        labels = np.asarray(one.card.labels, dtype=data.y.dtype)
        strange = sorted({str(value) for value in np.setdiff1d(data.y, labels)})
        if strange:
            raise ConfigError(f"promote: version of {one.card.name!r} knows no class {strange[0]!r}; drop its rows")
    return truth_of(data, estimates(one.model, data, labels), labels)


def _gains(metric: str, sides: list[Truth], drawn: list[NDArray[np.int64]]) -> NDArray[np.float64]:
    """Of each sample of rows, how much more the challenger has than the champion."""
    pairs = [[compute(metric, side.take(places)) for side in sides] for places in drawn]
    found = [ours - theirs for ours, theirs in pairs if ours is not None and theirs is not None]
    if len(found) < 0.9 * len(drawn):
        raise ConfigError(f"promote: {metric} cannot be computed on most samples of these rows; bring more rows")
    return np.asarray(found)
