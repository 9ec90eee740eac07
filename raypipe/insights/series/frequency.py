"""The grid on which times lie: steps of the clock, days, business days, weeks, months by their start or end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from raypipe.insights.calendar import MICROS_A_DAY, IntArray, bucket_ids, hours, to_local, weekdays
from raypipe.insights.course_sums import Instants
from raypipe.insights.series.models import Frequency, Gap

MIN_TIMES = 4
"""Distinct times below which no step is named."""
REGULAR_SHARE = 0.7
WHOLE_SHARE = 0.95
MAX_GAPS = 20
HOUR = 3_600_000_000
_CLOCK = ((MICROS_A_DAY, "day"), (HOUR, "hour"), (60_000_000, "minute"), (1_000_000, "second"), (1_000, "millisecond"))


@dataclass(frozen=True)
class Grid:
    """A step, and the number of each time on it (-1: beside the grid)."""

    name: str
    slots: IntArray
    unit: str
    every: int = 1
    phase: int = 0
    """First unit of a slot, modulo `every`."""

    @property
    def steps(self) -> IntArray:
        """Slots from each time to the next; 0 where one of both lies beside the grid."""
        ok = self.slots >= 0
        return np.where(ok[1:] & ok[:-1], np.diff(self.slots), 0)

    @property
    def on_grid(self) -> float:
        """Share of single steps."""
        return float((self.steps == 1).mean()) if len(self.slots) > 1 else 0.0


def find_frequency(instants: Instants, zone: str) -> tuple[Frequency, Grid | None]:
    """What is known of steps, gaps and repeats; and the grid, where the times lie on one."""
    if instants.many:
        return Frequency(exact=False), None
    at, rows = instants.at, instants.rows
    known = Frequency(
        times=len(at),
        rows_per_time=float(rows.sum() / len(at)) if len(at) else None,
        repeated_times=int((rows > 1).sum()),
        rows_beyond_first=int(rows.sum() - len(at)),
        most_rows=int(rows.max()) if len(at) else None,
    )
    if len(at) < MIN_TIMES:
        return known, None
    grids = [*_calendar_grids(to_local(at, zone)), *_clock_grids(at, to_local(at, zone))]
    best = max(grids, key=lambda grid: round(grid.on_grid, 3))
    steps = best.steps
    if best.on_grid < REGULAR_SHARE or (steps > 0).mean() < WHOLE_SHARE:
        return known.replace(step=best.name if best.on_grid >= 0.5 else None, on_grid=best.on_grid), None
    return _with_gaps(known.replace(step=best.name, on_grid=best.on_grid, regular=True), best, at, rows, zone), best


def _calendar_grids(local: IntArray) -> list[Grid]:
    """Grids of whole days, coarsest first; none where two times share a day."""
    days = local // MICROS_A_DAY
    if np.any(np.diff(days) == 0) or np.ptp(local % MICROS_A_DAY) > MICROS_A_DAY // 2:
        return []
    clock = local % MICROS_A_DAY
    if float((clock == np.bincount(clock // 60_000_000).argmax() * 60_000_000).mean()) < WHOLE_SHARE and np.ptp(clock):
        return []
    months = bucket_ids(local, "month")
    first = (months.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64)
    next_first = ((months + 1).astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64)
    grids = []
    for name, place in (
        ("start", days - first == 0),
        ("end", next_first - days == 1),
        ("business start", days == _to_business(first, 1)),
        ("business end", days == _to_business(next_first - 1, -1)),
        ("day", days - first == np.bincount(days - first).argmax()),
    ):
        for unit, size in (("year", 12), ("quarter", 3), ("month", 1)):
            phase = int(np.bincount(months[place] % size).argmax()) if place.any() else 0
            slots = np.where(place & (months % size == phase), (months - months.min()) // size + 1, -1)
            kind, _, edge = name.rpartition(" ")
            label = unit if name == "day" else f"{kind} {unit} {edge}".strip()
            grids.append(Grid(label, slots, unit))
    business = np.where(weekdays(local) < 5, (days + 3) // 7 * 5 + (days + 3) % 7, -1)
    modal = int(np.bincount(np.diff(days)).argmax())
    phase = int(np.bincount(days % modal).argmax())
    by_days = np.where(days % modal == phase, (days - days.min()) // modal, -1)
    weeks, rest = divmod(modal, 7)
    name = ("week" if weeks == 1 else f"{weeks} weeks") if not rest else ("day" if modal == 1 else f"{modal} days")
    shifted = np.where(business >= 0, business - business.min(), -1) if (business >= 0).all() else business
    return [*grids, Grid(name, by_days, "day", modal, phase), Grid("business day", shifted, "business day")]


def _to_business(days: IntArray, way: int) -> IntArray:
    """The same days, those on weekends moved to the next (1) or the last (-1) weekday."""
    weekday = (days + 3) % 7
    beyond = np.where(weekday >= 5, np.where(way > 0, 7 - weekday, weekday - 4), 0)
    return np.asarray(days + way * beyond)


def _clock_grids(at: IntArray, local: IntArray) -> list[Grid]:
    """Grids of equal stretches of time: by the instants themselves, and by what clocks show."""
    grids = []
    for times in (at, local):
        gaps = np.diff(times)
        if np.any(gaps <= 0):
            continue
        sizes, counts = np.unique(gaps, return_counts=True)
        step = int(sizes[counts.argmax()])
        place = times % step
        values, counts = np.unique(place, return_counts=True)
        phase = values[counts.argmax()]
        slots = np.where(place == phase, (times - phase) // step - (times[0] - phase) // step, -1)
        size, unit = next(((s, u) for s, u in _CLOCK if step % s == 0), (1, "microsecond"))
        every = step // size
        grids.append(Grid(unit if every == 1 else f"{every} {unit}s", slots, unit, every, int(phase // size)))
    return grids


def _with_gaps(known: Frequency, grid: Grid, at: IntArray, rows: IntArray, zone: str) -> Frequency:
    """With the steps that are missing. An hour that clocks skip or repeat is none."""
    steps, local = grid.steps, to_local(at, zone)
    holes = np.flatnonzero(steps > 1)
    changed = np.array([_skips_an_hour(int(a), int(b), int(at[i + 1] - at[i])) for i, (a, b) in _ends(local, holes)])
    holes, skipped = (holes[~changed], int(changed.sum())) if len(holes) else (holes, 0)
    double = _double_hours(local, rows) if known.repeated_times and known.repeated_times <= len(at) // 50 else 0
    longest = holes[np.argsort(-steps[holes], kind="stable")][:MAX_GAPS]
    return known.replace(
        missing=int((steps[holes] - 1).sum()),
        gap_count=len(holes),
        gaps=tuple(Gap(after=_iso(local[i]), before=_iso(local[i + 1]), missing=int(steps[i] - 1)) for i in longest),
        clock_changes=skipped + double,
        repeated_times=(known.repeated_times or 0) - double,
        rows_beyond_first=(known.rows_beyond_first or 0) - double * int(max(rows.max() - 1, 0) if double else 0),
    )


def _ends(local: IntArray, holes: IntArray) -> list[tuple[int, tuple[int, int]]]:
    return [(int(i), (int(local[i]), int(local[i + 1]))) for i in holes]


def _skips_an_hour(before: int, after: int, apart: int) -> bool:
    """Whether the times are what clocks show, which miss an hour in a Sunday night of March, or of September to
    October in the south."""
    if not HOUR < apart <= 2 * HOUR:
        return False
    return _is_night_of_change(np.array([after]), (3, 9, 10))


def _is_night_of_change(local: IntArray, months: tuple[int, ...]) -> bool:
    month = int(local[0].astype("datetime64[us]").astype("datetime64[M]").astype(int)) % 12 + 1
    return bool(weekdays(local)[0] == 6 and 0 < hours(local)[0] <= 4 and month in months)


def _double_hours(local: IntArray, rows: IntArray) -> int:
    """Repeated times that lie in the night in which clocks are put back."""
    usual = int(np.median(rows))
    places = np.flatnonzero(rows == 2 * usual)
    return sum(_is_night_of_change(local[i : i + 1], (3, 4, 10, 11)) for i in places)


def _iso(local: int) -> str:
    text = str(np.int64(local).astype("datetime64[us]").astype("datetime64[s]"))
    return text.removesuffix("T00:00:00")
