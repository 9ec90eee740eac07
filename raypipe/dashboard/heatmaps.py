"""Squares of coloured cells: which number columns vary together, and which columns are missing together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

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
from raypipe.insights.statistics.models import PairMatrix, PairStatistics, Statistics

HEATMAP_COLUMNS = 30
"""More cells than 30 by 30 cannot be read; the table names further pairs."""
WRITTEN_COLUMNS = 14
"""Up to here there is room for the value in each cell."""
TABLE_ROWS = 200

Pair = tuple[int, int, float]
Scale = Literal["diverging", "sequential", "strength"]
Rows = tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True)
class _Cells:
    """Cells off the diagonal, by place from the left and from the top."""

    at: list[tuple[int, int, float, int]]
    """Place from the left, place from the top, value, rows."""
    scale: Scale

    @property
    def ramp(self) -> str:
        return "diverging" if self.scale == "diverging" else "sequential"

    def texts(self) -> list[str]:
        """What is written on the cells."""
        if self.scale == "diverging":
            return [signed(value) for _, _, value, _ in self.at]
        if self.scale == "strength":
            return [f"{value:.2f}" for _, _, value, _ in self.at]
        return [f"{value * 100:.0f} %" for _, _, value, _ in self.at]


def correlation_chart(correlation: Correlation, limit: int) -> Chart | None:
    """Pearson correlations of at most `limit` columns; None without a pair that has one."""
    pairs = strongest_pairs(correlation.r)
    if not pairs:
        return None
    order = strongest_columns(pairs, len(correlation.columns), min(HEATMAP_COLUMNS, limit))
    names = [correlation.columns[i] for i in order]
    known = [
        (x, y, value, correlation.pairs[i][j])
        for y, i in enumerate(order)
        for x, j in enumerate(order)
        if i != j and (value := correlation.r[i][j]) is not None and math.isfinite(value)
    ]
    cells = _Cells(known, "diverging")
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
    cells = _Cells(known, "sequential")
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


def association_chart(statistics: Statistics, limit: int) -> Chart | None:
    """How strongly columns of any kind go together (corrected Cramér's V); None without a pair that has one."""
    matrix = statistics.association
    pairs = strongest_pairs(matrix.values) if matrix else []
    if matrix is None or not pairs:
        return None
    order = strongest_columns(pairs, len(matrix.columns), min(HEATMAP_COLUMNS, limit))
    names = [matrix.columns[i] for i in order]
    known = [
        (x, y, value, matrix.rows)
        for y, i in enumerate(order)
        for x, j in enumerate(order)
        if i != j and (value := matrix.values[i][j]) is not None and math.isfinite(value)
    ]
    figure = _square(names, _Cells(known, "strength"), [("Column", "a"), ("with", "b"), ("Cramér's V", "text")])
    return Chart(
        "association",
        "Association of columns of any kind",
        f"Heatmap of how strongly {len(order)} columns of any kind go together",
        item_of(figure),
        figure.height,
        _association_table(statistics, pairs),
        _association_note(statistics, matrix, len(order)),
        legend="strength",
        min_width=len(names) * 40 + 130,
    )


def _association_note(statistics: Statistics, matrix: PairMatrix, shown: int) -> str:
    over = "all rows" if matrix.exact else f"a sample of {matrix.rows:,} rows"
    notes = [f"Bias-corrected Cramér's V of at most eight bins or values each, over {over}: 0 none, 1 full."]
    if shown < len(matrix.columns):
        notes.insert(0, f"The {shown} columns with the strongest pairs of {len(matrix.columns):,}.")
    if statistics.pairs_screened:
        notes.append(f"{statistics.pairs_found:,} of {statistics.pairs_screened:,} pairs are more than chance.")
    return " ".join(notes)


def _association_table(statistics: Statistics, pairs: Sequence[Pair]) -> DataTable:
    """The pairs that stood out, with the measure that suits their kinds; else the strongest of the matrix."""
    heads = ("Column", "with", "Cramér's V", "Measured closer", "Rows")
    if not statistics.pairs:
        matrix = statistics.association
        assert matrix is not None
        rows = tuple(
            (matrix.columns[i], matrix.columns[j], f"{v:.2f}", "", numbers.count(matrix.rows)) for i, j, v in pairs
        )
        return DataTable(heads, rows[:TABLE_ROWS], (2, 4), "No pair is more than chance.")
    listed = statistics.pairs[:TABLE_ROWS]
    told = tuple((*pair.columns, f"{pair.strength:.2f}", _closer(pair), numbers.count(pair.rows)) for pair in listed)
    note = (
        f"The {len(told)} strongest of {statistics.pairs_found:,} pairs." if len(told) < statistics.pairs_found else ""
    )
    return DataTable(heads, told, (2, 4), note, cell_chars=160)


def _closer(pair: PairStatistics) -> str:
    """Every measure of a pair with its 95 % interval."""
    return "; ".join(
        f"{one.measure.replace('_', ' ')} {numbers.number(one.value, 3)}"
        + (f" ({numbers.between(one.interval)})" if one.interval else "")
        for one in pair.measures[:4]
    )


def strongest_pairs(values: Rows) -> list[Pair]:
    """Pairs (i, j, value) with i < j and a defined value, strongest first."""
    pairs = [
        (i, j, value)
        for i in range(len(values))
        for j in range(i + 1, len(values))
        if (value := values[i][j]) is not None and math.isfinite(value)
    ]
    return sorted(pairs, key=lambda pair: -abs(pair[2]))


def strongest_columns(pairs: Sequence[Pair], columns: int, limit: int) -> list[int]:
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
    texts = cells.texts()
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
    low = -1 if cells.scale == "diverging" else 0
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
