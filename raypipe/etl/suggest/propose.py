"""From what was learned to rules, each with its evidence in words."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from raypipe.blocks.profile import ColumnProfile, Profile
from raypipe.etl.rules.registry import RULES
from raypipe.etl.suggest.bounds import mean_error as error_of_mean
from raypipe.etl.suggest.bounds import rank_error, share_lower, share_upper, strangers, unseen
from raypipe.etl.suggest.learn import Learned, by_chance, families
from raypipe.etl.wording import counted, percent

LEAST_ROWS = 100
"""Fewer rows teach nothing that their successors would keep to."""
MOST_CATEGORIES = 50
MOST_PATTERNS = 8
ROWS_A_CATEGORY = 20
"""A column is a set of categories if each has so many rows on average."""
MOST_UNSEEN = 0.005
"""... and values not seen yet have at most this share."""
CHANCE_ABOVE = 0.05
"""An order of two columns says something if chance would break it in at least this share of rows."""
HEAVY = 20.0
"""Rows a unit of excess kurtosis, below which a mean tells too little."""
VOLUME = 10


@dataclass
class Suggestion:
    """One rule, and why."""

    rule: dict[str, Any]
    evidence: str
    notes: list[str] = field(default_factory=list)
    """What became of it on the rows held out."""


@dataclass(frozen=True)
class Known:
    """All that proposals are made from."""

    profile: Profile
    learned: Learned
    schema: pa.Schema
    alpha: float
    """Chance of a false alarm that each rule may have."""

    @property
    def rows(self) -> int:
        return self.profile.rows

    def allowed(self, rows: int, extremes: int = 1, more: float = 0.0) -> str:
        """A bound on rows that break a rule, as a share of so many rows."""
        return as_percent((strangers(extremes, self.alpha) + 0.5) / rows + more)


def propose(known: Known) -> list[Suggestion]:
    """All rules that the rows suggest; kinds of rules that this release does not have are left out."""
    if known.rows < LEAST_ROWS:
        return []
    found = list(_table(known))
    for column in known.profile.columns:
        if column.present:
            for make in (_type, _nulls, _keys, _numbers, _figures, _times, _course, _texts):
                found += make(known, column)
    found += _orders(known)
    return [one for one in found if one.rule["rule"] in RULES]


def as_percent(share: float) -> str:
    """A share as a tolerance is written, rounded up to about three digits.

    Examples
    --------
    >>> as_percent(0.0123456)
    '1.24%'
    """
    percent_ = min(100.0, share * 100)
    digits = 2 if percent_ >= 1 else min(9, 2 - math.floor(math.log10(max(percent_, 1e-9))))
    step = 10.0**-digits
    text = f"{min(100.0, (int(percent_ / step) + 1) * step):.{digits}f}"
    return text.rstrip("0").rstrip(".") + "%"


def _table(known: Known) -> Iterator[Suggestion]:
    names = [column.name for column in known.profile.columns]
    yield Suggestion({"rule": "columns_exist", "columns": names}, "the columns of the table")
    least = max(1, known.rows // VOLUME)
    told = f"{known.rows:,} rows learned from; one table does not tell how the next differ, so this is a tenth of them"
    yield Suggestion({"rule": "row_count", "min": least}, told)


def _type(known: Known, column: ColumnProfile) -> Iterator[Suggestion]:
    # A type is held to as a whole: one odd value of the next table may change it, so that only kinds are asked for.
    kind = {"number": "number", "text": "text", "boolean": "boolean"}.get(column.kind)
    if column.kind == "temporal":
        kind = "date" if column.dtype.startswith("date") else "datetime" if "timestamp" in column.dtype else None
    if kind is not None:
        yield Suggestion(
            {"rule": "dtype_is", "columns": column.name, "dtype": kind},
            f"all values are read as {kind}s" if kind != "text" else "all values are read as text",
        )


def _nulls(known: Known, column: ColumnProfile) -> Iterator[Suggestion]:
    if not column.nulls:
        bound = known.allowed(column.rows)
        told = f"0 of {column.rows:,} null; chance alone explains up to {bound}. Put error: 0 if none is ever right"
        yield Suggestion({"rule": "not_null", "columns": column.name, "error": bound}, told)
        return
    most = share_upper(column.nulls, column.rows, known.alpha)
    rule = {"rule": "null_share", "columns": column.name, "max": _up(most)}
    least = share_lower(column.nulls, column.rows, known.alpha)
    if least > 0.05:
        rule["min"] = _down(least)
    seen = f"{column.nulls:,} of {column.rows:,} null ({percent(column.null_share)})"
    told = f"{seen}; chance alone explains up to {percent(most)}"
    yield Suggestion(rule, told)


def _keys(known: Known, column: ColumnProfile) -> Iterator[Suggestion]:
    distinct = column.distinct
    if distinct is None or column.kind not in ("number", "text") or column.dtype.startswith(("double", "float")):
        return
    if column.nulls or distinct.count < column.rows or not distinct.exact:
        return
    told = f"{column.rows:,} values, all different"
    yield Suggestion({"rule": "unique", "columns": column.name, "error": known.allowed(column.rows, 2)}, told)


def _is_key(column: ColumnProfile) -> bool:
    """Whether its values seem to number the rows, so that the next table goes on where this one ends."""
    whole = column.dtype.startswith(("int", "uint"))
    return whole and column.distinct is not None and column.distinct.count > 0.9 * column.present


def _numbers(known: Known, column: ColumnProfile) -> Iterator[Suggestion]:
    number = column.number
    if column.kind != "number" or number is None or not number.finite or column.min is None or column.max is None:
        return
    odd = column.present - number.finite
    more = share_upper(odd, column.present, known.alpha) if odd else 0.0
    if number.min is None or number.max is None:
        return
    low, high = _outward(column.min, down=True), _outward(column.max, down=False)
    if _is_key(column):
        bound, limits = known.allowed(column.present, 1, more), {"min": low}
        told = f"{column.present:,} values from {column.min}; it numbers the rows, so nothing is said of its end"
    else:
        bound, limits = known.allowed(column.present, 2, more), {"min": low, "max": high}
        told = f"{column.present:,} values from {column.min} to {column.max}; chance alone puts up to {bound} beyond"
    yield Suggestion({"rule": "between", "columns": column.name, **limits, "error": bound}, told)


def _figures(known: Known, column: ColumnProfile) -> Iterator[Suggestion]:
    number = column.number
    if column.kind != "number" or number is None or number.finite < LEAST_ROWS or _is_key(column):
        return
    if number.mean is not None and number.std and (number.kurtosis or 0.0) * HEAVY < number.finite:
        half = error_of_mean(number.std, number.finite, known.alpha)
        low, high = _nice(number.mean - half, down=True), _nice(number.mean + half, down=False)
        told = f"mean {number.mean:.6g} ± {half:.3g} of {number.finite:,} values, by its standard error"
        yield Suggestion({"rule": "mean_between", "columns": column.name, "min": low, "max": high}, told)
    histogram = number.histogram
    if histogram is None or not number.std:
        return
    slack = rank_error(0.5, number.finite, known.alpha) + histogram.rank_error
    edges, reached = histogram.edges, [0.0]
    for count in histogram.counts:
        reached.append(reached[-1] + count / max(1, sum(histogram.counts)))
    under = max((edge for edge, share in zip(edges, reached, strict=True) if share <= 0.5 - slack), default=None)
    over = min((edge for edge, share in zip(edges, reached, strict=True) if share >= 0.5 + slack), default=None)
    if under is not None and over is not None and (under > edges[0] or over < edges[-1]):
        told = f"the median lies between these with {percent(1 - known.alpha)}, whatever the distribution (ranks)"
        rule = {"rule": "median_between", "columns": column.name, "min": _nice(under, True), "max": _nice(over, False)}
        yield Suggestion(rule, told)


def _times(known: Known, column: ColumnProfile) -> Iterator[Suggestion]:
    if (
        column.kind != "temporal"
        or column.min is None
        or column.max is None
        or ("date" not in column.dtype and ("timestamp" not in column.dtype))
    ):
        return
    bound = known.allowed(column.present)
    told = f"{column.present:,} values from {column.min} to {column.max}; time goes on, so nothing is said of its end"
    yield Suggestion({"rule": "between", "columns": column.name, "min": column.min[:10], "error": bound}, told)
    if column.max[:10] < dt.datetime.now(dt.UTC).date().isoformat():
        rule = {"rule": "not_in_future", "columns": column.name, "error": bound}
        yield Suggestion(rule, f"{column.present:,} values, none in the future")


def _course(known: Known, column: ColumnProfile) -> Iterator[Suggestion]:
    falls, rises = known.learned.falls.get(column.name, 0), known.learned.rises.get(column.name, 0)
    if column.kind in ("number", "temporal") and not falls and rises >= LEAST_ROWS // 2:
        told = f"rises from row to row, or stays: {rises:,} times it rises"
        rule = {"rule": "increasing", "columns": column.name, "error": known.allowed(column.present)}
        yield Suggestion(rule, told)


def _texts(known: Known, column: ColumnProfile) -> Iterator[Suggestion]:
    text = column.text
    if column.kind != "text" or text is None or text.min_chars is None or text.max_chars is None:
        return
    values = known.learned.values.get(column.name)
    if values is not None and _are_categories(values):
        yield _set(known, column, values)
        return
    bound = known.allowed(column.present, 2)
    if text.min_chars == text.max_chars and text.max_chars:
        told = f"{column.present:,} texts, all of {counted(text.max_chars, 'character')}"
        length: dict[str, Any] = {"rule": "length_is", "columns": column.name, "chars": text.max_chars}
    else:
        told = f"{column.present:,} texts of {text.min_chars:,} to {counted(text.max_chars, 'character')}"
        limits = {"min": text.min_chars, "max": max(1, text.max_chars)}
        length = {"rule": "length_between", "columns": column.name, **limits}
    yield Suggestion({**length, "error": bound}, told)
    if not text.padded and not text.blank:
        rule = {"rule": "trimmed", "columns": column.name, "error": known.allowed(column.present)}
        yield Suggestion(rule, f"{column.present:,} texts, none with white space around it")
    shapes = known.learned.shapes.get(column.name)
    if shapes and len(shapes) <= MOST_PATTERNS and not any("\u2026" in shape for shape in shapes):
        yield _pattern(known, column, shapes)


def _are_categories(values: Counter[str]) -> bool:
    rows, once = sum(values.values()), sum(count == 1 for count in values.values())
    few = len(values) <= MOST_CATEGORIES and rows >= ROWS_A_CATEGORY * len(values)
    return few and once <= MOST_UNSEEN * rows


def _set(known: Known, column: ColumnProfile, values: Counter[str]) -> Suggestion:
    once = sum(count == 1 for count in values.values())
    bound = as_percent((unseen(once, known.alpha) + 0.5) / column.present)
    told = (
        f"{counted(len(values), 'value')} in {column.present:,} rows, {once:,} of them once: others have about "
        f"{percent(once / column.present)} (Good-Turing), and by chance up to {bound}"
    )
    return Suggestion({"rule": "in_set", "columns": column.name, "values": sorted(values), "error": bound}, told)


def _pattern(known: Known, column: ColumnProfile, shapes: Counter[str]) -> Suggestion:
    once = sum(count == 1 for count in shapes.values())
    bound = as_percent((unseen(once, known.alpha) + 0.5) / column.present)
    told = f"{column.present:,} texts of {counted(len(shapes), 'shape')}, {once:,} of them seen once"
    pattern = "|".join(regex_of(shape) for shape in without_runs_apart([shape for shape, _ in shapes.most_common()]))
    return Suggestion({"rule": "matches", "columns": column.name, "pattern": pattern, "error": bound}, told)


def without_runs_apart(shapes: list[str]) -> list[str]:
    """The shapes, those as one that differ only in whether a place holds one character or a run of them.

    Examples
    --------
    >>> without_runs_apart(["A+-9+", "a", "A+-9", "A-9"])
    ['A+-9+', 'a']
    """
    found: dict[str, list[bool]] = {}
    for shape in shapes:
        places = [char for char in shape if char != "+"]
        runs = [shape[at + 1 : at + 2] == "+" for at, char in enumerate(shape) if char != "+"]
        known = found.setdefault("".join(places), [False] * len(runs))
        found["".join(places)] = [one or other for one, other in zip(known, runs, strict=True)]
    pairs = [zip(places, runs, strict=True) for places, runs in found.items()]
    return ["".join(char + "+" * run for char, run in pair) for pair in pairs]


def regex_of(shape: str) -> str:
    r"""The pattern of a shape.

    Examples
    --------
    >>> print(regex_of("A+-9+"))
    \p{Lu}+-\d+
    """
    classes: dict[str, str] = {
        "A": r"\p{Lu}",
        "a": r"[\p{L}--\p{Lu}]",
        "9": r"\d",
        "+": "+",
        "\u0002": r"\+",
        "\u0003": r"[\x01-\x03]",
    }
    return "".join(classes.get(char) or (char if char in "- " else re.escape(char)) for char in shape)


def _orders(known: Known) -> Iterator[Suggestion]:
    names = [name for family in families(known.schema) for name in family]
    for (a, b), (both, above, equal) in known.learned.above.items():
        if both < LEAST_ROWS or equal == both:
            continue
        below = both - above - equal
        for left, right, wrong in ((a, b, above), (b, a, below)):
            chance = by_chance(known.learned.sample, names.index(left), names.index(right))
            if not wrong and chance >= CHANCE_ABOVE:
                bound = known.allowed(both)
                told = f"in all {both:,} rows; by chance {percent(chance)} would break it"
                rule: dict[str, Any] = {"rule": "columns_ascend", "columns": [left, right], "error": bound}
                yield Suggestion(rule | ({"or_equal": True} if equal else {}), told)


def _outward(text: str, down: bool) -> int | float:
    """The extreme of a column as a bound: whole numbers stay exact."""
    try:
        return int(text)
    except ValueError:
        return _nice(float(text), down)


def _nice(value: float, down: bool, digits: int = 6) -> float:
    """The number with six digits, rounded away from the values inside."""
    rounded = float(f"{value:.{digits - 1}e}")
    step = 10.0 ** (len(f"{abs(value):.0f}") - digits) if abs(value) >= 1 else abs(value) * 10.0**-digits
    if down and rounded > value:
        rounded -= step
    if not down and rounded < value:
        rounded += step
    bound = float(f"{rounded:.{digits + 3}g}")
    return bound if (bound <= value if down else bound >= value) else value


def _up(share: float) -> float:
    return min(1.0, round(share + 0.00005, 4))


def _down(share: float) -> float:
    return max(0.0, round(share - 0.00005, 4))
