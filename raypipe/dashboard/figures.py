"""The parts that every live figure shares: a quiet frame, plain labels, hover boxes, and colours that follow the theme.

Colours are not fixed here. A model's tags say which colour of the page goes where ("fill_color:accent",
"palette:diverging"); the page's script sets them when the figure appears and when the mode changes.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from bokeh.embed import json_item
from bokeh.models import ColumnDataSource, FixedTicker, HoverTool, LayoutDOM, NumeralTickFormatter, Range1d
from bokeh.plotting import figure

from raypipe.dashboard.numbers import clip

FONT = "ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
_DIRECTIONS = dict.fromkeys([0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
"""Marks that would turn the writing of a whole canvas."""
_HOVER_LINE = '<span style="color:var(--muted)">{word}</span><span style="text-align:right">{column}</span>'
_HOVER_STYLE = (
    "margin:-6px;padding:8px 11px;background:var(--surface);color:var(--ink);border:1px solid var(--rule);"
    "font:12px/1.5 ui-sans-serif,system-ui,sans-serif;display:grid;grid-template-columns:auto auto;gap:1px 12px;"
    "font-variant-numeric:tabular-nums;max-width:340px"
)
_SHOWN_BEFORE_THEMED = "#888888"


@dataclass(frozen=True)
class DataTable:
    """The numbers of a chart as text, for those who do not see it; `numeric` are the columns set to the right."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[int, ...] = ()
    note: str = ""
    cell_chars: int = 60
    """Characters of a cell that are shown."""


@dataclass(frozen=True)
class Chart:
    """One live figure, ready for the page."""

    key: str
    """Id in the page; made of fixed words and numbers, never of data."""
    title: str
    label: str
    """What a screen reader says."""
    item: dict[str, Any]
    height: int
    table: DataTable
    note: str = ""
    legend: str = ""
    """Which scale to draw below: "", "diverging" (-1 to 1), "sequential" (0 to 100 %), "strength" (0 to 1)."""
    options: tuple[str, ...] = ()
    """Columns that the reader may choose between for the x axis."""
    extra: dict[str, Any] = field(default_factory=dict)
    """What the page's script needs besides the figure."""
    figures: int = 1
    min_width: int = 0
    """Below this many pixels the chart scrolls sideways instead of shrinking."""


def plain(text: str, limit: int = 28) -> str:
    """`text` as a canvas label: one line, cut, and never read as TeX, for which Bokeh would ask the network."""
    line = clip(text.translate(_DIRECTIONS), limit)
    for opening in ("$", "\\"):
        line = line.replace(opening, opening + "\u200b")
    return line


def quiet_figure(height: int, **options: Any) -> Any:
    """A figure without toolbar, outline and logo, as wide as its place."""
    made: Any = figure(
        height=height,
        sizing_mode="stretch_width",
        toolbar_location=None,
        outline_line_alpha=0,
        min_border_right=12,
        tools="",
        **options,
    )
    for axis in made.axis:
        axis.axis_label_text_font = axis.major_label_text_font = FONT
        axis.axis_label_text_font_size, axis.major_label_text_font_size = "12px", "11.5px"
        axis.axis_label_text_font_style = "normal"
        # The page's properties win over a colour of None, so what must not show is made transparent.
        axis.minor_tick_line_alpha = 0
        axis.major_tick_in, axis.major_tick_out = 0, 4
    made.title.text_font, made.title.text_font_size, made.title.text_font_style = FONT, "12.5px", "normal"
    made.title.standoff = 8
    made.title.tags = ["text_color:muted"]
    return made


def label_axis(axis: Any, labels: Sequence[str], limit: int = 28) -> None:
    """Name the places 0, 1, 2 … of an axis; labels may repeat, which factors may not."""
    axis.ticker = FixedTicker(ticks=list(range(len(labels))))
    axis.major_label_overrides = {place: plain(label, limit) for place, label in enumerate(labels)}
    axis.major_tick_line_alpha = 0


def place_range(n: int, downwards: bool = False) -> Range1d:
    """The range of an axis of `n` named places."""
    return Range1d(start=n - 0.5, end=-0.5) if downwards else Range1d(start=-0.5, end=n - 0.5)


def bars_only(made: Any) -> None:
    """Leave out what bars in rows do not need: lines across, axis lines and ticks."""
    made.ygrid.visible = False
    made.axis.axis_line_alpha = made.axis.major_tick_line_alpha = 0


def short_counts(axis: Any) -> None:
    """Tick labels such as 1.25k and 3m instead of long numbers."""
    axis.formatter = NumeralTickFormatter(format="0.[00]a")


def hover(lines: Sequence[tuple[str, str]], renderers: Sequence[Any], **options: Any) -> HoverTool:
    """A hover box: words of ours at the left, texts from the source's columns at the right (Bokeh escapes those)."""
    rows = "".join(_HOVER_LINE.format(word=html.escape(word), column=f"@{{{column}}}") for word, column in lines)
    box = f'<div style="{_HOVER_STYLE}">{rows}</div>'
    return HoverTool(
        tooltips=box, renderers=list(renderers), point_policy="follow_mouse", show_arrow=False, limit=1, **options
    )


def source(columns: Mapping[str, Sequence[Any] | np.ndarray]) -> ColumnDataSource:
    """A data source of these columns."""
    return ColumnDataSource(data=dict(columns))


def tint(renderer: Any, **colours: str) -> Any:
    """Say which colours of the page the glyph takes, e.g. `fill_color="accent"`."""
    renderer.glyph.tags = [f"{name}:{colour}" for name, colour in colours.items()]
    for state in (renderer.nonselection_glyph, renderer.muted_glyph):
        if state not in (None, "auto"):
            state.tags = renderer.glyph.tags
    return renderer


def unthemed() -> str:
    """The colour until the script sets the right one."""
    return _SHOWN_BEFORE_THEMED


def item_of(model: LayoutDOM) -> dict[str, Any]:
    """The figure as JSON that `Bokeh.embed.embed_item` takes."""
    return dict(json_item(model))


def signed(value: float) -> str:
    """A correlation with its sign and two digits."""
    return "0" if abs(value) < 0.005 else f"{value:+.2f}".replace("-", "−")
