"""What is missing together, and whether gaps go with the values of other columns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from raypipe.blocks.chance import false_discoveries, wilson_interval
from raypipe.blocks.frames import numbers_in
from raypipe.blocks.profile import Profile
from raypipe.insights.statistics.between import Coded
from raypipe.insights.statistics.models import Missing, MissingPattern, MissingRelation
from raypipe.insights.statistics.screen import Screen
from raypipe.insights.statistics.tables import cramers_v

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

TOP_PATTERNS = 10
MAX_INDICATORS = 100
MIN_GAPS = 20
"""Rows with and without a value that a column must have for its gaps to be tested."""
MIN_V = 0.1
MAX_ADJUSTED_P = 0.01
MAX_RELATIONS = 50


def gap_masks(sample: pa.Table) -> dict[str, Mask]:
    """Which rows of the sample lack a value, for each column where some do."""
    found = {}
    for name, column in zip(sample.column_names, sample.columns, strict=True):
        if column.null_count:
            found[name] = numbers_in(pc.is_null(column))
    return found


def testable(masks: dict[str, Mask]) -> dict[str, Ints]:
    """Indicators of gaps, 0 and 1, of the columns with enough of either."""
    few = {
        name: mask.astype(np.int64)
        for name, mask in masks.items()
        if MIN_GAPS <= int(mask.sum()) <= len(mask) - MIN_GAPS
    }
    return dict(list(few.items())[:MAX_INDICATORS])


def missing_of(
    profile: Profile, masks: dict[str, Mask], rows: int, coded: Coded, indicators: dict[str, Ints], found: Screen
) -> Missing:
    """All about gaps; `found` is the screening with the indicators behind the columns."""
    by_column = {column.name: column.nulls for column in profile.columns if column.nulls}
    patterns, different = _patterns(masks, rows, profile.rows)
    relations, tested = _relations(coded, indicators, found)
    return Missing(
        cells=sum(by_column.values()),
        percent=100 * profile.missing_share,
        by_column=by_column,
        patterns=patterns,
        pattern_count=different,
        exact=rows == profile.rows,
        relations=relations,
        tested=tested,
    )


def _patterns(masks: dict[str, Mask], rows: int, of_rows: int) -> tuple[tuple[MissingPattern, ...], int]:
    if not masks or not rows:
        return (), 0
    names = list(masks)
    packed = np.packbits(np.array(list(masks.values())), axis=0)
    kinds, counts = np.unique(packed, axis=1, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:TOP_PATTERNS]
    shown = []
    for place in order.tolist():
        lacking = np.unpackbits(kinds[:, place], count=len(names))
        count = int(counts[place])
        shown.append(
            MissingPattern(
                columns=tuple(name for name, is_null in zip(names, lacking, strict=True) if is_null),
                rows=count,
                share=count / rows,
                interval=None if rows == of_rows else wilson_interval(count, rows),
            )
        )
    return tuple(shown), len(counts)


def _relations(coded: Coded, indicators: dict[str, Ints], found: Screen) -> tuple[tuple[MissingRelation, ...], int]:
    """Gaps of one column against the values of each other one, all corrected together."""
    k = len(coded.codes)
    tried = [
        (gap, other)
        for gap, name in enumerate(indicators)
        for other in range(k)
        # Where a column is missing, its own values are too.
        if coded.codes[other].column != name and found.rows[k + gap, other] > 0
    ]
    if not tried:
        return (), 0
    gaps, others = np.array(tried).T
    p = false_discoveries(found.p[k + gaps, others])
    v = found.v[k + gaps, others]
    passing = np.flatnonzero((p < MAX_ADJUSTED_P) & (v >= MIN_V))
    order = passing[np.argsort(-v[passing], kind="stable")][:MAX_RELATIONS]
    coarse = coded.coarse()
    names = list(indicators)
    relations = []
    for n in order.tolist():
        gap, other = tried[n]
        cells, places = coarse[other]
        known = cells >= 0
        table = np.zeros((2, int(places.max()) + 1))
        np.add.at(table, (indicators[names[gap]][known], cells[known]), 1)
        measured = cramers_v(table)
        if measured is not None:
            relations.append(_relation(names[gap], coded, other, places, table, measured[:2], float(p[n])))
    return tuple(relations), len(tried)


def _relation(
    column: str,
    coded: Coded,
    other: int,
    places: Ints,
    table: NDArray[np.float64],
    measured: tuple[float, tuple[float, float]],
    p: float,
) -> MissingRelation:
    code = coded.codes[other]
    labels = code.labels(places)
    if code.kind == "category" and len(labels) > table.shape[1]:
        labels = [*labels[: table.shape[1] - 1], "(other)"]
    totals = table.sum(axis=0)
    rates = {label: float(gaps / total) for label, gaps, total in zip(labels, table[1], totals, strict=True) if total}
    return MissingRelation(
        column=column,
        other=code.column,
        cramers_v=measured[0],
        interval=measured[1],
        adjusted_p=p,
        rates=rates,
        rows=int(totals.sum()),
    )
