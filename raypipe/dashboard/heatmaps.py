"""Squares of coloured cells: which number columns vary together, and which columns are missing together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bokeh.core.properties import value as fixed
from bokeh.models import LinearColorMapper
from bokeh.transform import transform

from raypipe.blocks.profile import Correlation, Missingness
from raypipe.dashboard import numbers
from raypipe.dashboard.figures import (
    FONT,
    Chart,
    DataTable,
    hover,
    item_of,
    label_axis,
    place_range,
    quiet_figure,
    signed,
    source,
    unthemed,
)

HEATMAP_COLUMNS = 30
"""More cells than 30 by 30 cannot be read; the table names further pairs."""
WRITTEN_COLUMNS = 14
"""Up to here there is room for the value in each cell."""
TABLE_ROWS = 200

Pair = tuple[int, int, float]


@dataclass(frozen=True)
class _Cells:
    """Cells off the diagonal, by place from the left and from the top."""

    at: list[tuple[int, int, float, int]]
    """Place from the left, place from the top, value, rows."""
    diverging: bool

    @property
    def ramp(self) -> str:
        return "diverging" if self.diverging else "sequential"


def correlation_chart(correlation: Correlation, limit: int) -> Chart | None:
    """Pearson correlations of at most `limit` columns; None without a pair that has one."""
    pairs = strongest_pairs(correlation)
    if not pairs:
        return None
    order = _strongest_columns(pairs, len(correlation.columns), min(HEATMAP_COLUMNS, limit))
    names = [correlation.columns[i] for i in order]
    known = [
        (x, y, value, correlation.pairs[i][j])
        for y, i in enumerate(order)
        for x, j in enumerate(order)
        if i != j and (value := correlation.r[i][j]) is not None and math.isfinite(value)
    ]
    cells = _Cells(known, diverging=True)
    lines = [("Column", "a"), ("with", "b"), ("Pearson r", "text"), ("over rows", "rows_text")]
    figure = _square(names, cells, lines)
    label = f"Heatmap of the correlations between {len(order)} number columns"
    return Chart(
        "correlation",
        "Pairwise correlation",
        label,
        item_of(figure),
        figure.height,
        _pair_table(correlation, pairs),
        _left_out(correlation, pairs, len(order)),
        legend="diverging",
        min_width=len(names) * 40 + 130,
    )


def together_chart(missing: Missingness, limit: int) -> Chart | None:
    """How often columns are null in the same rows; None for fewer than two columns with nulls."""
    alone = [missing.together[i][i] for i in range(len(missing.columns))]
    ranked = sorted((i for i, nulls in enumerate(alone) if nulls), key=lambda i: -alone[i])
    order = ranked[: min(HEATMAP_COLUMNS, limit)]
    if len(order) < 2:
        return None
    names = [missing.columns[i] for i in order]
    known = [
        (x, y, missing.together[i][j] / max(1, alone[i] + alone[j] - missing.together[i][j]), missing.together[i][j])
        for y, i in enumerate(order)
        for x, j in enumerate(order)
        if i != j
    ]
    cells = _Cells(known, diverging=False)
    lines = [("Column", "a"), ("with", "b"), ("both missing", "rows_text"), ("of rows with either", "text")]
    figure = _square(names, cells, lines)
    once = sorted((cell for cell in known if cell[0] > cell[1]), key=lambda cell: -cell[2])[:TABLE_ROWS]
    rows = tuple((names[y], names[x], numbers.count(both), numbers.share(part)) for x, y, part, both in once)
    table = DataTable(("Column", "with", "Rows with both missing", "Share of rows with either missing"), rows, (2, 3))
    hidden = len(ranked) + len(missing.skipped) - len(order)
    return Chart(
        "together",
        "Missing together",
        f"Heatmap of how often {len(order)} columns are missing in the same rows",
        item_of(figure),
        figure.height,
        table,
        f"{hidden:,} further columns with missing values are left out." if hidden else "",
        legend="sequential",
        min_width=len(names) * 40 + 130,
    )


def strongest_pairs(correlation: Correlation) -> list[Pair]:
    """Pairs (i, j, r) with i < j and a defined r, strongest first."""
    pairs = [
        (i, j, value)
        for i in range(len(correlation.columns))
        for j in range(i + 1, len(correlation.columns))
        if (value := correlation.r[i][j]) is not None and math.isfinite(value)
    ]
    return sorted(pairs, key=lambda pair: -abs(pair[2]))


def _strongest_columns(pairs: Sequence[Pair], columns: int, limit: int) -> list[int]:
    """Places of the columns of the strongest pairs, in the order of the table."""
    if columns <= limit:
        return sorted({i for pair in pairs for i in pair[:2]})
    chosen: dict[int, None] = {}
    for i, j, _ in pairs:
        chosen.update({i: None, j: None})
        if len(chosen) >= limit:
            break
    return sorted(list(chosen)[: max(2, limit)])


def _left_out(correlation: Correlation, pairs: Sequence[Pair], shown: int) -> str:
    defined = len({i for pair in pairs for i in pair[:2]})
    dull = len(correlation.columns) - defined
    notes = [f"The {shown} columns with the strongest pairs of {defined}."] if shown < defined else []
    if dull:
        words = "1 number column" if dull == 1 else f"{dull:,} number columns"
        notes.append(f"{words} without a defined correlation left out: constant, or too few values.")
    return " ".join(notes)


def _pair_table(correlation: Correlation, pairs: Sequence[Pair]) -> DataTable:
    shown, columns = pairs[:TABLE_ROWS], correlation.columns
    rows = tuple((columns[i], columns[j], signed(r), numbers.count(correlation.pairs[i][j])) for i, j, r in shown)
    note = f"The {len(shown)} strongest of {len(pairs):,} pairs." if len(shown) < len(pairs) else ""
    return DataTable(("Column", "with", "Pearson r", "Rows"), rows, (2, 3), note)


def _square(names: list[str], cells: _Cells, lines: list[tuple[str, str]]) -> Any:
    n = len(names)
    height = int(min(760, max(220, n * 30 + 110)))
    figure = quiet_figure(height, x_range=place_range(n), y_range=place_range(n, downwards=True))
    texts = [signed(v) if cells.diverging else f"{v * 100:.0f} %" for _, _, v, _ in cells.at]
    data = source(
        {
            "x": [x for x, _, _, _ in cells.at],
            "y": [y for _, y, _, _ in cells.at],
            "v": [v for _, _, v, _ in cells.at],
            "text": texts,
            "ink": [unthemed()] * len(texts),
            "a": [numbers.clip(names[y], 120) for _, y, _, _ in cells.at],
            "b": [numbers.clip(names[x], 120) for x, _, _, _ in cells.at],
            "rows_text": [numbers.count(rows) for _, _, _, rows in cells.at],
        }
    )
    low = -1 if cells.diverging else 0
    mapper = LinearColorMapper(palette=[unthemed()] * 3, low=low, high=1, tags=[f"palette:{cells.ramp}"])
    colour = transform("v", mapper)
    rects = figure.rect("x", "y", width=0.96, height=0.94, source=data, line_color=None, fill_color=colour)
    figure.add_tools(hover(lines, [rects]))
    if n <= WRITTEN_COLUMNS:
        style = {"text_align": "center", "text_baseline": "middle", "text_font_size": "11px", "text_font": fixed(FONT)}
        written = figure.text("x", "y", "text", source=data, text_color="ink", **style)
        written.glyph.tags = [f"readable:{cells.ramp}"]
    label_axis(figure.xaxis[0], names, 14)
    label_axis(figure.yaxis[0], names, 16)
    figure.xaxis.major_label_orientation = 0.75
    figure.grid.visible = False
    figure.axis.axis_line_alpha = 0
    return figure
