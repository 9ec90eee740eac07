"""The book of a search: which trials there are, how far each has come, and which goes on. It knows no engine."""

from __future__ import annotations

import json
import logging
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from raypipe.errors import ConfigError
from raypipe.ml.metrics import METRICS
from raypipe.ml.tuning.candidates import Candidates
from raypipe.ml.tuning.journal import Journal
from raypipe.ml.tuning.outcome import Status, Trial
from raypipe.ml.tuning.rungs import falls_behind
from raypipe.ml.tuning.work import FoldResult, Task

_log = logging.getLogger(__name__)
GRACE_S = 1.0
"""Past the deadline, after which folds that still run are ended: most are nearly done."""
REPEATS = 50
"""Proposals one after another that were all tried before, after which a space counts as searched through."""


@dataclass
class Entry:
    """A trial on its way."""

    number: int
    params: dict[str, Any]
    results: list[FoldResult] = field(default_factory=list)
    status: Status | Literal["running"] = "running"
    error: str | None = None
    remembered: int = 0
    ended_s: float | None = None

    @property
    def fold(self) -> int:
        """The fold that is to run next."""
        return len(self.results)


@dataclass(frozen=True)
class Room:
    """What is to be fitted with the winner's parameters once the search has ended, and by when."""

    fits: float = 0.0
    """Counted in fits of a fold of the search."""
    end_by: float = math.inf
    """By `time.monotonic()`."""

    def has(self, seconds: float, late_s: float = 0.0) -> bool:
        """Whether fits of so many seconds each are done in time, or late by no more than `late_s`."""
        return time.monotonic() + self.fits * seconds <= self.end_by + late_s

    def longest(self) -> float:
        """Seconds that a fold may take which begins now, so that there is time for the fits behind it."""
        return (self.end_by - time.monotonic()) / (self.fits + 1)


@dataclass(frozen=True)
class Limits:
    """What a fold is held to."""

    gives_up_at: float
    """When whatever runs is ended, by `time.monotonic()` of this machine."""
    room: Room

    def patience_ends(self) -> float:
        """When a fold that begins now is ended: past the deadline, or too slow to be fitted again."""
        return min(self.gives_up_at, time.monotonic() + max(0.0, self.room.longest()))

    def sent(self) -> tuple[float, float, float]:
        """As seconds from now, which mean the same on a machine with another clock."""
        now = time.monotonic()
        return self.gives_up_at - now, self.room.fits, self.room.end_by - now

    @classmethod
    def received(cls, sent: Sequence[float]) -> Self:
        """The limits that were sent just now."""
        now = time.monotonic()
        return cls(now + sent[0], Room(sent[1], now + sent[2]))


@dataclass(frozen=True)
class Rules:
    """What decides in a race."""

    name: str
    metric: str
    pruner: Literal["asha", "median", "none"] = "none"
    default_competes: bool = True
    """Whether the model spec's own parameters may win; else they are there to compare, and for want of others."""
    verbose: int = 0


class Race:
    """Hands out trials, hears of folds, and says who goes on.

    An engine calls `next`, runs the folds of what it gets from `entry.fold` on, and tells each with `told`.
    """

    def __init__(self, task: Task, rules: Rules, candidates: Candidates, journal: Journal) -> None:
        self.task, self.rules = task, rules
        self.entries: list[Entry] = []
        self.stopped_by: Literal["trials", "time", "exhausted"] = "trials"
        self.deadline = math.inf
        """By `time.monotonic()`; set when it is known how long a fold takes."""
        self.room = Room()
        self.workers: set[tuple[str, int]] = set()
        """Host and process of those that ran folds, on Ray or beside each other."""
        self.started = time.monotonic()
        self._candidates, self.journal = candidates, journal
        self._sign = -1.0 if METRICS[rules.metric].greater_is_better else 1.0
        self._tried: set[str] = set()
        self._telling: set[int] = set()
        """Folds on which the metric can be computed."""

    def next(self) -> Entry | None:
        """The trial that is to run now; None: there are no more, or no time for one."""
        repeats = 0
        while repeats < REPEATS:
            if self.entries and not self._time_for(self.fold_s()):
                return None
            number = len(self.entries)
            params = {} if number == 0 else self._candidates.ask(number)
            if params is None:
                return None
            entry = Entry(number, {name: _plain(value) for name, value in params.items()})
            self.entries.append(entry)
            key = json.dumps(entry.params, sort_keys=True)
            repeats = repeats + 1 if key in self._tried else 0
            self._tried.add(key)
            self._replay(entry)
            if entry.status == "running":
                return entry
        self.stopped_by = "exhausted"
        return None

    def told(self, entry: Entry, result: FoldResult) -> bool:
        """Hear of a fold; whether the trial goes on with the next."""
        self.journal.add(entry.number, entry.params, entry.fold, result)
        if self.rules.verbose > 1:
            _log.info(
                "tuning %s: trial %d, fold %d: %s", self.rules.name, entry.number, entry.fold, dict(result.scores)
            )
        self._advance(entry, result)
        if entry.status == "running" and not self.room.has(result.fit_s + result.predict_s):
            self.end(entry, "stopped", f"a fit takes {result.fit_s:.2g} s, and {_too_long(self.room)}")
        if entry.status == "running" and not self._time_for(result.seconds):
            self.end(entry, "stopped")
        return entry.status == "running"

    @property
    def limits(self) -> Limits:
        """What a fold is held to, wherever it runs."""
        return Limits(self.deadline + GRACE_S, self.room)

    def lost(self, entry: Entry, why: str | None) -> None:
        """A fold gave nothing; None: since it took longer than there was patience."""
        if why is not None:
            self.end(entry, "failed", why)
        elif time.monotonic() < self.deadline:
            self.end(entry, "stopped", f"a fold was ended before it was done: {_too_long(self.room)}")
        else:
            self.end(entry, "stopped")
            self.stopped_by = "time"

    def end(self, entry: Entry, status: Status, error: str | None = None) -> None:
        """A trial is over."""
        entry.status, entry.error = status, error
        entry.ended_s = time.monotonic() - self.started
        losses = self._losses(entry)
        self._candidates.tell(entry.number, status, losses, self.loss(entry))
        if self.rules.verbose:
            _log.info(
                "tuning %s: trial %d is %s: %s", self.rules.name, entry.number, status, error or self.score(entry)
            )

    def limit(self, deadline: float, entry: Entry | None) -> None:
        """End by `deadline`, and at once where there is no time for the next fold of `entry`."""
        self.deadline = deadline
        if entry is not None and entry.status == "running" and not self._time_for(self.fold_s()):
            self.end(entry, "stopped")

    def fold_s(self) -> float:
        """Seconds that a fold takes: the median of those that ran."""
        known = [one.seconds for entry in self.entries for one in entry.results if one.error is None]
        return statistics.median(known) if known else 0.0

    def _time_for(self, seconds: float) -> bool:
        """Whether work of so many seconds ends before the deadline."""
        if time.monotonic() + seconds <= self.deadline:
            return True
        self.stopped_by = "time"
        return False

    def _replay(self, entry: Entry) -> None:
        while entry.status == "running":
            known = self.journal.known(entry.params, entry.fold)
            if known is None:
                return
            entry.remembered += 1
            self._advance(entry, known)

    def _advance(self, entry: Entry, result: FoldResult) -> None:
        entry.results.append(result)
        if result.error is not None:
            self.end(entry, "failed", result.error)
            return
        if _is_number(result.scores.get(self.rules.metric)):
            self._telling.add(entry.fold - 1)
        if entry.fold == len(self.task.folds):
            missing = self._missing(entry)
            self.end(entry, "failed" if missing else "done", missing)
        elif entry.number and self._is_behind(entry):
            self.end(entry, "pruned")

    def _missing(self, entry: Entry) -> str | None:
        """Why a trial that ran through has no score."""
        gaps = [i for i, loss in enumerate(self._losses(entry)) if loss is None and i in self._telling]
        if self._telling and not gaps:
            return None
        return f"{self.rules.metric} cannot be computed on fold {gaps[0] if gaps else 0}"

    def _is_behind(self, entry: Entry) -> bool:
        own = self._told_losses(entry, entry.fold)
        others = [self._told_losses(one, entry.fold) for one in self.entries if one is not entry]
        return bool(own) and falls_behind(self.rules.pruner, own, [one for one in others if one])

    def _told_losses(self, entry: Entry, folds: int) -> list[float]:
        """Losses on the first so many folds that tell something; empty where one of them is missing."""
        losses = self._losses(entry)
        if len(losses) < folds:
            return []
        wanted = [losses[i] for i in range(folds) if i in self._telling]
        known = [loss for loss in wanted if loss is not None]
        return known if len(known) == len(wanted) else []

    def _losses(self, entry: Entry) -> list[float | None]:
        scores = (one.scores.get(self.rules.metric) for one in entry.results)
        return [self._sign * float(score) if score is not None else None for score in scores]

    def loss(self, entry: Entry) -> float | None:
        """Mean over all folds, lower is better; None where not all are there."""
        known = self._told_losses(entry, len(self.task.folds)) if entry.error is None else []
        return statistics.fmean(known) if known else None

    def score(self, entry: Entry) -> float | None:
        """The same in the metric's own direction."""
        loss = self.loss(entry)
        return None if loss is None else self._sign * loss

    def best(self) -> Entry:
        """The winner: of the trials that ran through all folds the best, of equal ones the first.

        Where fits with it would take longer than there is time for, the best of those that leave room; where none does,
        the quickest. Where the time was up before one was done, that of the model spec's own parameters; also where it
        was up before they had run all folds, and they were better than the winner on those that they had.

        Raises
        ------
        ConfigError
            Trials ran, and none gave a score.
        """
        able = [entry for entry in self.entries if entry.number or self.rules.default_competes]
        # Sums of the same shares in another order differ in their last digits; such trials are equal.
        ended = [(round(loss, 12), entry.number) for entry in able if (loss := self.loss(entry)) is not None]
        if ended:
            in_time = [one for one in ended if self.room.has(self._fit_s(one[1]))]
            won = self.entries[min(in_time)[1] if in_time else min(ended, key=lambda one: self._fit_s(one[1]))[1]]
            return self.entries[0] if self._own_is_ahead(won) else won
        failed = [entry for entry in able if entry.status == "failed"]
        if failed and not any(entry.status == "stopped" for entry in able):
            raise ConfigError(
                f"tuning {self.rules.name!r}: none of {len(able)} trials gave a value of {self.rules.metric}; the first"
                f" {_shown(failed[0].params)}: {failed[0].error}"
            )
        return self.entries[0]

    def _own_is_ahead(self, won: Entry) -> bool:
        """Whether the model spec's own parameters, stopped for want of time, are better on the folds that they ran."""
        own = self.entries[0]
        if own is won or own.status != "stopped" or not own.fold or not self.rules.default_competes:
            return False
        # The deadline left room for fits of its own time, as it was alone; until then others took theirs beside it.
        # Past the deadline there was the grace, and folds had to be ended.
        if not self.room.has(min(one.fit_s + one.predict_s for one in own.results), 2 * GRACE_S):
            return False
        ours, theirs = (self._told_losses(one, own.fold) for one in (own, won))
        return bool(ours) and bool(theirs) and statistics.fmean(ours) < statistics.fmean(theirs)

    def _fit_s(self, number: int) -> float:
        return statistics.fmean(one.fit_s + one.predict_s for one in self.entries[number].results)

    def trial(self, entry: Entry) -> Trial:
        """What is told of a trial."""
        status = "stopped" if entry.status == "running" else entry.status
        return Trial(
            number=entry.number,
            params=entry.params,
            status=status,
            score=self.score(entry),
            fold_scores=tuple(one.scores.get(self.rules.metric) for one in entry.results),
            metrics=_means([one.scores for one in entry.results]),
            train_metrics=_means([one.train_scores for one in entry.results]),
            fit_s=sum(one.fit_s for one in entry.results),
            predict_s=sum(one.predict_s for one in entry.results),
            error=entry.error,
            warned=next((one.warned for one in entry.results if one.warned), None),
            remembered=entry.remembered,
            ended_s=entry.ended_s,
        )


def _means(told: list[Any]) -> dict[str, float | None]:
    found = {}
    for name in dict.fromkeys(name for one in told for name in one):
        known = [one[name] for one in told if _is_number(one.get(name))]
        found[name] = statistics.fmean(known) if known else None
    return found


def _is_number(value: Any) -> bool:
    return value is not None and math.isfinite(value)


def _too_long(room: Room) -> str:
    left = room.end_by - time.monotonic()
    return f"{max(left, 0.0):.0f} s are left for {room.fits:.2g} times as much with these parameters"


def _plain(value: Any) -> Any:
    """Without the types of numpy, which JSON does not hold."""
    return value.item() if hasattr(value, "item") else value


def _shown(params: dict[str, Any]) -> str:
    return "(the model spec's own)" if not params else f"({', '.join(f'{k}={v!r}' for k, v in params.items())})"
