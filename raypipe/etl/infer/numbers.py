"""What a column of numbers, times or truth values holds: by its range, its wholeness and its name."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import chain

import numpy as np
import polars as pl

from raypipe.blocks.arrays import Floats, Mask
from raypipe.etl.infer.kernels import count_matches
from raypipe.etl.infer.names import currency_in, hints_at, time_unit_in, unit_in
from raypipe.etl.infer.verdict import GRADES, MATCHING, ROWS, Facts, Verdict, first_of

_YEARS = (1500, 2200)
_EPOCHS = {"s": 1e8, "ms": 1e11, "us": 1e14, "ns": 1e17}
_LATEST = 4.2
"""Seconds since 1970 up to which a number is taken for a time: 4.2e9 is the year 2103."""
_DAY_US = 86_400_000_000
_RUN = 20
"""Rows from which whole numbers without gap or repeat are taken for row numbers."""


class Numbers:
    """The different finite values of a number column, in the user's unit."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        sample = facts.evidence.sample
        stored = sample.values if sample else pl.Series([], dtype=pl.Float64)
        self.stored = stored
        raw = stored.cast(pl.Float64).to_numpy() if isinstance(stored.dtype, pl.Decimal) else stored.to_numpy()
        floats = facts.type.floats(raw) if not isinstance(stored.dtype, pl.Decimal) else raw
        self.values: Floats = floats[np.isfinite(floats)]
        self.looked = len(self.values)

    @cached_property
    def whole(self) -> bool:
        """Whether every row holds a whole number."""
        return self.facts.evidence.fractions == 0 and self.looked > 0

    @cached_property
    def complete(self) -> bool:
        """Whether every value of the column is at hand."""
        sample = self.facts.evidence.sample
        return sample is not None and not sample.full

    def hints(self, *kinds: str) -> bool:
        """Whether the name of the column points to one of the kinds."""
        return any(hints_at(self.facts.name, kind) for kind in kinds)

    def verdict(self, semantic: str, says: str, matches: Mask | None = None, **more: object) -> Verdict | None:
        """The verdict that a test of the values leads to, if most match."""
        matched = self.looked if matches is None else int(matches.sum())
        if not self.looked or matched < MATCHING * self.looked:
            return None
        return Verdict(semantic, matched, self.looked, says, **more)  # type: ignore[arg-type]  # the callers below name fields of Verdict

    def between(self, low: float, high: float) -> Mask:
        """Which values lie in a range."""
        found: Mask = (self.values >= low) & (self.values <= high)
        return found


def judge_number(facts: Facts) -> Verdict:
    """What a number column holds."""
    numbers = Numbers(facts)
    if not numbers.looked:
        return Verdict("unknown", 0, 0, "are no finite numbers")
    found = first_of(chain(*(kinds(numbers) for kinds in (_places, _times, _keys, _measures, _few))))
    if found is not None:
        return found
    says = "are whole numbers" if numbers.whole else "are numbers"
    return Verdict("number", numbers.looked, numbers.looked, says)


def judge_time(facts: Facts) -> Verdict:
    """What a column of dates, times or spans holds: what its type says."""
    sample = facts.evidence.sample
    looked = len(sample.hashes) if sample else 0
    dtype = facts.type.dtype
    if isinstance(dtype, pl.Duration):
        return Verdict("duration", looked, looked, "are spans of time, by their type", hinted=True)
    if dtype == pl.Time:
        return Verdict("time", looked, looked, "are times of day, by their type")
    if dtype == pl.Date:
        return Verdict("date", looked, looked, "are dates, by their type")
    says = "are dates with a time, by their type"
    per_day = _DAY_US * facts.type.ratio[1] // 1_000_000
    if sample is not None and looked and bool((sample.values % per_day == 0).all()):
        says += "; all that were looked at are midnight, so that dates would do"
    return Verdict("datetime", looked, looked, says)


def judge_truth(facts: Facts) -> Verdict:
    """A boolean column."""
    rows = facts.evidence.rows - facts.evidence.nulls
    return Verdict("boolean", rows, rows, "are true or false, by their type", of=ROWS, hinted=True)


def _places(numbers: Numbers) -> Iterator[Verdict | None]:
    if not numbers.whole or numbers.looked >= _RUN:
        for kind, most in (("latitude", 90.0), ("longitude", 180.0)):
            if numbers.hints(kind):
                says = f"lie between −{most:.0f} and {most:.0f}, and the name says {kind}"
                yield numbers.verdict(kind, says, numbers.between(-most, most), hinted=True, unit="°")
    if numbers.whole:
        if numbers.hints("postal_code"):
            says = "are four to six digits, and the name says postal code; leading zeros would be lost"
            yield numbers.verdict("postal_code", says, numbers.between(1000, 999_999), hinted=True)
        if numbers.hints("phone"):
            says = "are seven to fifteen digits, and the name says phone"
            yield numbers.verdict("phone", says, numbers.between(1e6, 1e15), hinted=True)
        yield _cards(numbers)


def _cards(numbers: Numbers) -> Verdict | None:
    if numbers.stored.dtype != pl.Int64 or not numbers.between(1e12, 1e19).mean() >= MATCHING:
        return None
    good = count_matches("credit_card", numbers.stored.cast(pl.String)).to_numpy()
    says = "are card numbers with the right check digit"
    return numbers.verdict("credit_card", says, good, hinted=numbers.hints("credit_card"))


def _times(numbers: Numbers) -> Iterator[Verdict | None]:
    if not numbers.whole:
        return
    if numbers.hints("year"):
        says = "are years, and the name says so"
        yield numbers.verdict("date", says, numbers.between(*_YEARS), hinted=True, format="%Y", unit="year")
    if numbers.hints("moment"):
        for unit, least in _EPOCHS.items():
            says = f"are times in {unit} since 1970, and the name says time"
            inside = numbers.between(least, least * 10 * _LATEST)
            yield numbers.verdict("datetime", says, inside, hinted=True, unit=f"{unit} since 1970")
        days = count_matches("date:%Y%m%d", numbers.stored.cast(pl.String)).to_numpy()
        says = "are dates written %Y%m%d, and the name says date"
        yield numbers.verdict("date", says, days, hinted=True, format="%Y%m%d", stored_as="date")


def _keys(numbers: Numbers) -> Iterator[Verdict | None]:
    if not numbers.whole:
        return
    if numbers.hints("identifier"):
        yield numbers.verdict("identifier", "are whole numbers, and the name says key", hinted=True)
    profile, rows = numbers.facts.profile, numbers.facts.evidence.rows
    summary = profile.number
    if summary is None or summary.min is None or summary.max is None or not numbers.facts.seems_unique:
        return
    if rows >= _RUN and summary.max - summary.min + 1 == rows - numbers.facts.evidence.nulls == rows:
        yield numbers.verdict(
            "identifier", "are row numbers, whole without gap or repeat", hinted=numbers.hints("code")
        )


def _measures(numbers: Numbers) -> Iterator[Verdict | None]:
    """Numbers whose name says what they measure."""
    if numbers.complete and numbers.looked == 2 and set(numbers.values.tolist()) == {0.0, 1.0}:
        rows = numbers.facts.evidence.rows - numbers.facts.evidence.nulls
        counted = numbers.hints("measure")
        if not counted:
            yield Verdict("boolean", rows, rows, "are 0 or 1", of=ROWS, stored_as="boolean")
    name = numbers.facts.name
    if numbers.hints("percentage"):
        share = numbers.between(-1, 1).mean() >= MATCHING
        says = f"lie between {'−1 and 1' if share else '−100 and 100'}, and the name says share or percent"
        inside = numbers.between(-1, 1) if share else numbers.between(-100, 100)
        yield numbers.verdict("percentage", says, inside, hinted=True, unit="share" if share else "%")
    spans = time_unit_in(name)
    if spans or numbers.hints("duration"):
        says = "are numbers, and the name says span of time" + (f" in {spans}" if spans else "")
        yield numbers.verdict("duration", says, hinted=spans is not None, unit=spans)
    if numbers.hints("currency"):
        yield numbers.verdict("currency", "are numbers, and the name says money", hinted=True, unit=currency_in(name))
    unit = unit_in(name)
    if unit:
        yield numbers.verdict("number_with_unit", f"are numbers, and the name says {unit}", hinted=True, unit=unit)


def _few(numbers: Numbers) -> Iterator[Verdict | None]:
    """Few whole numbers that come again and again: grades if they follow each other, else codes."""
    few = numbers.complete and numbers.whole and 1 < numbers.looked <= GRADES and numbers.facts.repeated
    if not few or numbers.hints("measure"):
        return
    rows = numbers.facts.evidence.rows - numbers.facts.evidence.nulls
    low, high = numbers.values.min(), numbers.values.max()
    if high - low + 1 == numbers.looked and numbers.looked > 2:
        says = f"are the {numbers.looked} whole numbers from {low:.0f} to {high:.0f}"
        yield Verdict("ordinal", rows, rows, says, of=ROWS)
    elif high - low < 1000:
        says = f"hold one of {numbers.looked} whole numbers; at most {GRADES} make a category"
        yield Verdict("category", rows, rows, says, of=ROWS)
