"""The Columns section: one line a column, and what the page's script needs for the detail below it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from raypipe.blocks.profile import ColumnProfile, Profile
from raypipe.dashboard import numbers
from raypipe.dashboard.inputs import DashboardInput
from raypipe.dashboard.overview import Finding
from raypipe.dashboard.sparks import column_spark

_TEXT_LIMIT = 120
_NAME_LIMIT = 300


@dataclass(frozen=True)
class ColumnLine:
    """One row of the table of columns; `*_sort` are numbers to sort by, empty where unknown."""

    place: int
    name: str
    kind: str
    dtype: str
    role: str
    findings: int
    spark: Markup
    missing: str
    missing_share: float
    distinct: str
    distinct_sort: str
    low: str
    middle: str
    high: str
    low_sort: str
    middle_sort: str
    high_sort: str


def short_name(name: str) -> str:
    """A column's name as links and the script know it."""
    return name if len(name) <= _NAME_LIMIT else name[: _NAME_LIMIT - 1] + "…"


def charted_columns(given: DashboardInput, limit: int) -> set[str]:
    """Columns with a picture of their own: target and time, then those that findings name, then in order."""
    first = [given.target.column if given.target else None, given.timeline.column if given.timeline else None]
    named = [name for insight in given.insights for name in insight.columns_affected]
    everyone = [column.name for column in given.profile.columns]
    known = set(everyone)
    chosen = dict.fromkeys(name for name in (*first, *named, *everyone) if name in known)
    return set(list(chosen)[:limit])


def lines_of(given: DashboardInput, findings: Iterable[Finding], charted: set[str], limit: int) -> list[ColumnLine]:
    """The first `limit` columns, in the order of the table."""
    mentions = Counter(name for finding in findings for name in set(finding.columns))
    roles = {given.timeline.column: "time"} if given.timeline else {}
    if given.target:
        roles[given.target.column] = "target"
    return [
        _line(place, column, roles.get(column.name, ""), mentions[column.name], column.name in charted)
        for place, column in enumerate(given.profile.columns[:limit])
    ]


def detail_data(profile: Profile, charted: set[str], limit: int) -> list[dict[str, Any]]:
    """The columns as plain JSON values: whole where charted, else without histograms and with five top values."""
    return [_plain_column(column, column.name in charted) for column in profile.columns[:limit]]


def rounded(value: Any, digits: int = 10) -> Any:
    """The same structure with floats cut to `digits` significant digits, and None for what JSON cannot hold."""
    if isinstance(value, float):
        return float(f"{value:.{digits}g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: rounded(entry, digits) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(entry, digits) for entry in value]
    return value


def _line(place: int, column: ColumnProfile, role: str, mentions: int, charted: bool) -> ColumnLine:
    stats = column.number
    middle = stats.quantiles.at(0.5) if stats and stats.quantiles else None
    timed = column.kind == "temporal"
    low, high = (stats.min, stats.max) if stats else (None, None)
    return ColumnLine(
        place=place,
        name=column.name,
        kind=column.kind,
        dtype=column.dtype,
        role=role,
        findings=mentions,
        spark=column_spark(column) if charted else Markup(""),
        missing=numbers.share(column.null_share),
        missing_share=column.null_share,
        distinct=_distinct(column),
        distinct_sort=str(column.distinct.count) if column.distinct else "",
        low=_end(column.min, low, timed),
        middle=(numbers.moment(middle) if timed else numbers.number(middle)) if middle is not None else "–",
        high=_end(column.max, high, timed),
        low_sort=_sortable(low),
        middle_sort=_sortable(middle),
        high_sort=_sortable(high),
    )


def _end(text: str | None, value: float | None, timed: bool) -> str:
    if timed and text is not None:
        return numbers.clock(text)
    if value is not None:
        return numbers.number(value, 5)
    return numbers.clip(text, 24) if text is not None else "–"


def _distinct(column: ColumnProfile) -> str:
    if column.distinct is None:
        return "–"
    if column.distinct.exact:
        return numbers.count(column.distinct.count)
    return f"≈ {column.distinct.count:,} ± {numbers.share(column.distinct.relative_error)}"


def _sortable(value: float | None) -> str:
    return "" if value is None or not math.isfinite(value) else repr(value)


def _plain_column(column: ColumnProfile, charted: bool) -> dict[str, Any]:
    plain: dict[str, Any] = column.model_dump(mode="json", exclude_none=True)
    plain["name"] = short_name(column.name)
    plain["top"] = [
        {**top, "value": numbers.clip(top["value"], _TEXT_LIMIT)} for top in plain["top"][: None if charted else 5]
    ]
    for end in ("min", "max"):
        if end in plain:
            plain[end] = numbers.clip(plain[end], _TEXT_LIMIT)
    if not charted:
        plain["charted"] = False
        for part, picture in (("number", "histogram"), ("text", "chars")):
            plain.get(part, {}).pop(picture, None)
    return rounded(plain)  # type: ignore[no-any-return]  # a dict goes in, so a dict comes out
