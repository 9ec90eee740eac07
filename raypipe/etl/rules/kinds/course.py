"""Values over the rows or over time: always rising or falling, no gap in a grid of days or hours, and freshness."""

from __future__ import annotations

import datetime as dt
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import NonNegativeInt, PositiveFloat

from raypipe.blocks.column import ColumnSummary
from raypipe.etl.rules.kinds.dates import fixed
from raypipe.etl.rules.measures import MAX_SLOTS, Slots, SourceOrder, SummaryOf
from raypipe.etl.rules.ranks import quantile
from raypipe.etl.rules.rule import CountingRule, Evidence, FigureRule, Judged, Measure, NotMeasuredError
from raypipe.etl.wording import counted


class _Ordered(CountingRule, FigureRule):
    """Values that only go one way, in the order of the source."""

    GROUP = "ranges"
    PROFILED = False
    strictly: bool = False
    """Equal neighbours break the rule as well."""

    def order(self, direction: Literal["increasing", "decreasing"]) -> SourceOrder:
        """What is measured."""
        return SourceOrder(column=self.columns[0], direction=direction, strictly=self.strictly, where=self.where)

    def judge(self, evidence: Evidence) -> Judged:
        found = evidence.measured[self.measures()[0]]
        level = self.level(found.breaks, found.rows)
        verb = "does" if found.breaks == 1 else "do"
        text = f"{counted(found.breaks, 'row')} of {found.rows:,} {verb} not go on so from the one before"
        return Judged(
            level is None,
            text if found.breaks else f"all {found.rows:,} rows do",
            failing_rows=found.breaks,
            rows=found.rows,
            share=found.breaks / found.rows if found.rows else 0.0,
            examples=tuple(row.value for row in found.places if row.value is not None),
            first=tuple(found.places),
            severity=level,
        )


class Increasing(_Ordered):
    """Values rise from row to row in the order of the source, also from block to block; nulls are passed over."""

    rule: Literal["increasing"] = "increasing"

    @property
    def wanted(self) -> str:
        return f"values that rise{'' if self.strictly else ' or stay'}"

    def measures(self) -> tuple[Measure, ...]:
        return (self.order("increasing"),)


class Decreasing(_Ordered):
    """Values fall from row to row in the order of the source, also from block to block; nulls are passed over."""

    rule: Literal["decreasing"] = "decreasing"

    @property
    def wanted(self) -> str:
        return f"values that fall{'' if self.strictly else ' or stay'}"

    def measures(self) -> tuple[Measure, ...]:
        return (self.order("decreasing"),)


class NoGaps(FigureRule):
    """Every day or hour between the first and the last has a row; at most `max` may lack one."""

    GROUP = "dates"
    PROFILED = False
    rule: Literal["no_gaps"] = "no_gaps"
    every: Literal["day", "hour"] = "day"
    weekends: bool = True
    """Whether Saturdays and Sundays must have rows, too."""
    max: NonNegativeInt = 0
    """Days or hours that may be missing."""

    @property
    def wanted(self) -> str:
        days = "" if self.weekends else ", but for weekends"
        return f"a row for every {self.every}{days}" + (f", with at most {self.max:,} missing" if self.max else "")

    def measures(self) -> tuple[Measure, ...]:
        return (Slots(column=self.columns[0], every=self.every, where=self.where),)

    def judge(self, evidence: Evidence) -> Judged:
        slots = evidence.measured[self.measures()[0]]
        if not len(slots):
            raise NotMeasuredError("there is no date or time")
        span = int(slots[-1] - slots[0]) + 1
        if span > MAX_SLOTS:
            raise NotMeasuredError(f"the first and the last are {span:,} {self.every}s apart, more than {MAX_SLOTS:,}")
        missing = np.setdiff1d(np.arange(slots[0], slots[-1] + 1), slots)
        if not self.weekends:
            days = missing if self.every == "day" else missing // 24
            missing = missing[(days + 3) % 7 < 5]  # 1970-01-01 was a Thursday
        told = [_slot_text(int(slot), self.every) for slot in missing[:5]]
        found = f"{counted(len(missing), self.every)} of {span:,} missing" + (f": {', '.join(told)}" if told else "")
        return Judged(len(missing) <= self.max, found, figure=len(missing), examples=tuple(told))


class Freshness(FigureRule):
    """The latest date or time is at most so many hours old; times without a zone are taken for UTC."""

    GROUP = "dates"
    PROFILED = False
    rule: Literal["freshness"] = "freshness"
    max_age_hours: PositiveFloat
    as_of: dt.datetime | None = None
    """What counts as now; left out, the moment the run began."""

    @property
    def wanted(self) -> str:
        return f"the latest at most {self.max_age_hours:g} hours old"

    def measures(self) -> tuple[Measure, ...]:
        return (SummaryOf(column=self.columns[0], where=self.where),)

    def check(self, schema: pa.Schema) -> None:
        Slots(column=self.columns[0], every="day").check(schema)

    def judge(self, evidence: Evidence) -> Judged:
        summary = evidence.measured[self.measures()[0]]
        if summary.finite == 0:
            raise NotMeasuredError("there is no date or time")
        latest = _latest(summary)
        now = fixed(self.as_of)
        age = (now - dt.datetime(1970, 1, 1)).total_seconds() - latest
        moment = dt.datetime(1970, 1, 1) + dt.timedelta(seconds=latest)
        hours = max(age, 0.0) / 3600
        return Judged(
            hours <= self.max_age_hours, f"the latest is {moment:%Y-%m-%d %H:%M}, {hours:.1f} hours old", hours
        )


def _latest(summary: ColumnSummary) -> float:
    """Seconds since 1970 of the latest time."""
    if summary.sketched is None:
        return quantile(summary, 1.0)[0]
    return float(summary.type.floats(np.array([summary.sketched.high]))[0])


def _slot_text(slot: int, every: str) -> str:
    moment = dt.datetime(1970, 1, 1) + (dt.timedelta(days=slot) if every == "day" else dt.timedelta(hours=slot))
    return f"{moment:%Y-%m-%d}" if every == "day" else f"{moment:%Y-%m-%d %H:00}"


RULES = (Increasing, Decreasing, NoGaps, Freshness)
