"""Small pictures as inline SVG, drawn from numbers only, so that no text of the data can enter the markup."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from raypipe.blocks.profile import ColumnProfile

SPARK_WIDTH, SPARK_HEIGHT = 120, 30


def column_spark(column: ColumnProfile) -> Markup:
    """The distribution of a column at a glance: histogram, shares of values, or nothing."""
    if column.number is not None and column.number.histogram is not None:
        return bars(column.number.histogram.counts, "histogram")
    if column.kind == "boolean" and column.true_count is not None and column.present:
        return split(column.true_count / column.present)
    if column.top:
        return bars([value.count for value in column.top[:12]], "most frequent values", gap=2.0)
    return Markup("")  # nothing to draw


def bars(
    counts: Sequence[float | None], what: str, gap: float = 0.6, width: int = SPARK_WIDTH, height: int = SPARK_HEIGHT
) -> Markup:
    """Bars from the left, the highest as high as the picture; one that is not empty is at least a pixel high."""
    heights = [max(0.0, value) if value is not None and math.isfinite(value) else 0.0 for value in counts]
    top = max(heights, default=0.0)
    if not top:
        return Markup("")
    step = width / max(len(heights), 6)
    thick = max(0.8, step - gap)
    path = "".join(
        f"M{place * step:.1f} {height}v-{max(1.0, value / top * (height - 1)):.1f}h{thick:.1f}V{height}z"
        for place, value in enumerate(heights)
        if value
    )
    return _svg(f'<path d="{path}"/>', width, height, what)


def split(share: float) -> Markup:
    """Two parts of a whole, such as true and false."""
    first = min(max(share, 0.0), 1.0) * SPARK_WIDTH
    inner = (
        f'<rect y="9" width="{first:.1f}" height="12" rx="2"/>'
        f'<rect class="rest" x="{first:.1f}" y="9" width="{SPARK_WIDTH - first:.1f}" height="12" rx="2"/>'
    )
    return _svg(inner, SPARK_WIDTH, SPARK_HEIGHT, "true and false")


def ring(share: float) -> Markup:
    """A ring that is filled to `share`."""
    full = 2 * math.pi * 42
    part = min(max(share, 0.0), 1.0) * full
    return Markup(
        '<svg class="ring" viewBox="0 0 100 100" aria-hidden="true"><circle class="track" cx="50" cy="50" r="42"/>'
        '<circle class="fill" cx="50" cy="50" r="42" transform="rotate(-90 50 50)" '
        f'stroke-dasharray="{part:.1f} {full:.1f}"/></svg>'
    )  # numbers only


def _svg(inner: str, width: int, height: int, what: str) -> Markup:
    return Markup(
        f'<svg class="spark" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{what}">{inner}</svg>'
    )  # `inner` holds numbers only, `what` is a fixed text
