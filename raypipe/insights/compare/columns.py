"""What became of one column: effects with what is sure of them, and figures of either side."""

from __future__ import annotations

import math
from collections.abc import Iterator

from raypipe.blocks.chance import kolmogorov_tail, normal_tail
from raypipe.blocks.cumulative import Cumulative, common_bins, kolmogorov, middle_gap, wasserstein
from raypipe.blocks.distances import homogeneity_p, jensen_shannon, stability_index, total_variation
from raypipe.blocks.profile import ColumnProfile
from raypipe.insights.compare.models import ColumnChange, Effect, Thresholds
from raypipe.insights.facts import is_varied_text, looks_like_id

MAX_VALUES = 20
"""New and gone categories that are named."""

Figures = dict[str, tuple[float | str | None, float | str | None]]


def column_change(a: ColumnProfile, b: ColumnProfile, limits: Thresholds) -> ColumnChange:
    """A column that both sides have; its p-values are not corrected yet, and it has no verdict."""
    status = "both" if a.dtype == b.dtype else "retyped"
    change = ColumnChange(
        column=a.name, status=status, kind=b.kind, dtype=(a.dtype, b.dtype), figures=dict(_figures(a, b))
    )
    effects, note = [_missing(a, b, limits)], ""
    if a.kind != b.kind:
        note = "its kind is another one, so that its values are not compared"
    elif a.kind == "temporal" or looks_like_id(a) or looks_like_id(b):
        note = "it names or dates rows, which differ by nature: its values are told and decide nothing"
        effects += _told_only(_numbers(a, b, limits))
    elif a.kind == "number":
        effects += _numbers(a, b, limits)
    elif is_varied_text(a) or is_varied_text(b):
        note = "it has more values than categories have: they are not compared"
    elif a.kind in ("text", "boolean"):
        effects += _categories(a, b, limits)
    new, gone = _churn(a, b) if a.kind == b.kind and a.kind in ("text", "boolean") else ((), ())
    return change.replace(effects=tuple(effects), note=note, new_values=new, gone_values=gone)


def one_sided(column: ColumnProfile, *, added: bool) -> ColumnChange:
    """A column that only one side has."""
    dtype = (None, column.dtype) if added else (column.dtype, None)
    return ColumnChange(
        column=column.name,
        status="added" if added else "removed",
        kind=column.kind,
        dtype=dtype,
        verdict="changed",
        figures={"missing share": (None, column.null_share) if added else (column.null_share, None)},
    )


def _missing(a: ColumnProfile, b: ColumnProfile, limits: Thresholds) -> Effect:
    shift = abs(a.null_share - b.null_share)
    n, m = max(a.rows, 1), max(b.rows, 1)
    pooled = (a.nulls + b.nulls) / (n + m)
    spread = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return Effect(
        measure="missing_share",
        value=shift,
        least=shift,
        threshold=limits.missing_share,
        p_value=normal_tail(shift / spread) if spread else 1.0,
        rows=min(a.rows, b.rows),
    )


def _numbers(a: ColumnProfile, b: ColumnProfile, limits: Thresholds) -> Iterator[Effect]:
    """Distances of two courses of numbers; KS and Wasserstein decide, the others are told."""
    one, two = Cumulative.of(a), Cumulative.of(b)
    if one is None or two is None:
        return
    n, m = one.number.finite, two.number.finite
    gap = kolmogorov(one, two)
    yield Effect(
        measure="kolmogorov_smirnov",
        value=gap.value,
        least=gap.least,
        threshold=limits.kolmogorov_smirnov,
        p_value=kolmogorov_tail(gap.value, n, m),
        breadth=middle_gap(one, two),
        rows=min(n, m),
    )
    moved = wasserstein(one, two)
    if moved is not None:
        yield Effect(
            measure="wasserstein",
            value=moved.value,
            least=moved.least,
            threshold=limits.wasserstein,
            # Two tests of the same, by the means and by the ranks, hence twice the smaller one.
            p_value=min(1.0, 2 * min(_mean_p(one, two), kolmogorov_tail(gap.value, n, m))),
            rows=min(n, m),
        )
    counts = common_bins(one, two)
    for measure, value in (
        ("population_stability_index", stability_index(*counts)),
        ("jensen_shannon", jensen_shannon(*counts)),
    ):
        yield Effect(measure=measure, value=value, least=0.0, rows=min(n, m))


def _mean_p(a: Cumulative, b: Cumulative) -> float:
    """Probability by chance of so large a difference of means (Welch's test, for large samples)."""
    n, m = a.number.finite, b.number.finite
    spread = math.sqrt((a.number.variance or 0.0) / n + (b.number.variance or 0.0) / m)
    difference = abs((a.number.mean or 0.0) - (b.number.mean or 0.0))
    return normal_tail(difference / spread) if 0 < spread < math.inf else float(not difference)


def _categories(a: ColumnProfile, b: ColumnProfile, limits: Thresholds) -> Iterator[Effect]:
    """How many rows would have to change their category."""
    if not a.present or not b.present:
        return
    one, two, slack = _counted(a, b)
    distance = total_variation(one, two)
    yield Effect(
        measure="total_variation",
        value=distance,
        least=max(distance - slack, 0.0),
        threshold=limits.total_variation,
        p_value=homogeneity_p(one, two),
        rows=min(a.present, b.present),
    )
    yield Effect(measure="jensen_shannon", value=jensen_shannon(one, two), least=0.0, rows=min(a.present, b.present))


def _counted(a: ColumnProfile, b: ColumnProfile) -> tuple[list[float], list[float], float]:
    """Counts of each category on either side, all others pooled, and by how much shares may be off.

    A category that only one list of frequent values has is given, on the other side, the count that is nearest to that
    of this one: which values get into a list is chance where many are about as frequent.
    """
    first, second = ({top.value: float(top.count) for top in side.top} for side in (a, b))
    values = sorted({*first, *second})
    one = [first.get(value, _nearest(a, second.get(value, 0.0) / b.present)) for value in values]
    two = [second.get(value, _nearest(b, first.get(value, 0.0) / a.present)) for value in values]
    slack = sum((t.count_upper - t.count) / side.present for side in (a, b) for t in side.top)
    one.append(max(a.present - sum(one), 0.0))
    two.append(max(b.present - sum(two), 0.0))
    return one, two, slack / 2


def _nearest(side: ColumnProfile, share: float) -> float:
    """The count nearest to `share` that a value outside of the list of frequent ones can have."""
    if _is_complete(side):
        return 0.0
    return min(share * side.present, float(side.top[-1].count_upper)) if side.top else share * side.present


def _is_complete(column: ColumnProfile) -> bool:
    """Whether the profile tells every value of the column."""
    distinct = column.distinct
    return column.top_exact and distinct is not None and distinct.exact and distinct.count <= len(column.top)


def _churn(a: ColumnProfile, b: ColumnProfile) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Categories that surely came, and that surely went."""
    first, second = ([top.value for top in side.top] for side in (a, b))
    new = tuple(value for value in second if value not in first) if _is_complete(a) else ()
    gone = tuple(value for value in first if value not in second) if _is_complete(b) else ()
    return new[:MAX_VALUES], gone[:MAX_VALUES]


def _told_only(effects: Iterator[Effect]) -> list[Effect]:
    return [effect.replace(threshold=None, p_value=None) for effect in effects]


def _figures(a: ColumnProfile, b: ColumnProfile) -> Iterator[tuple[str, tuple[float | str | None, float | str | None]]]:
    yield "missing share", (a.null_share, b.null_share)
    if a.distinct and b.distinct:
        yield "distinct", (a.distinct.count, b.distinct.count)
    if a.kind == b.kind == "temporal":
        yield "smallest", (a.min, b.min)
        yield "largest", (a.max, b.max)
    elif a.number and b.number:
        for name in ("min", "mean", "std", "max"):
            yield name, (getattr(a.number, name), getattr(b.number, name))
        for word, probability in (("median", 0.5), ("5 % quantile", 0.05), ("95 % quantile", 0.95)):
            one, two = (side.quantiles.at(probability) if side.quantiles else None for side in (a.number, b.number))
            yield word, (one, two)
    if a.text and b.text:
        yield "mean characters", (a.text.mean_chars, b.text.mean_chars)
    if a.true_count is not None and b.true_count is not None:
        yield "share true", tuple(side.true_count / side.present if side.present else None for side in (a, b))  # type: ignore[misc,operator]
