"""`ChartEngine`: the live figures of the dashboard, each with its table, from profiles and reports that are small."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from bokeh.core.properties import value as fixed

from raypipe.blocks.profile import Correlation, Missingness
from raypipe.config import DashboardConfig
from raypipe.dashboard import numbers
from raypipe.dashboard.apart import apart_chart
from raypipe.dashboard.figures import (
    FONT,
    Chart,
    DataTable,
    bars_only,
    hover,
    item_of,
    label_axis,
    place_range,
    quiet_figure,
    signed,
    source,
    tint,
    unthemed,
)
from raypipe.dashboard.further import further_chart
from raypipe.dashboard.heatmaps import association_chart, correlation_chart, together_chart
from raypipe.dashboard.levels import levels_chart
from raypipe.dashboard.mapchart import map_chart
from raypipe.dashboard.scatter import scatter_chart
from raypipe.dashboard.timechart import timeline_chart
from raypipe.insights.models import TargetRelation, TargetReport, Timeline
from raypipe.insights.patterns.models import PatternsReport
from raypipe.insights.series.models import SeriesFacts, SeriesReport
from raypipe.insights.statistics.models import Statistics

DRIVERS_SHOWN = 20
TABLE_ROWS = 200
MEASURES = {"pearson_r": "Pearson r", "eta_squared": "eta squared", "cramers_v": "Cramér's V"}


class ChartEngine:
    """Builds figures; what cannot be drawn is None, and the page says why.

    Parameters
    ----------
    config : DashboardConfig
        Bounds on columns and raw points.
    """

    def __init__(self, config: DashboardConfig | None = None) -> None:
        self._config = config or DashboardConfig()

    def correlation(self, correlation: Correlation) -> Chart | None:
        """Heatmap of Pearson correlations; needs two columns with a defined r."""
        return correlation_chart(correlation, self._config.max_columns)

    def association(self, statistics: Statistics) -> Chart | None:
        """Heatmap of how columns of any kind go together; needs two columns with a defined measure."""
        return association_chart(statistics, self._config.max_columns)

    def missing_together(self, missing: Missingness) -> Chart | None:
        """Heatmap of columns that are null in the same rows; needs two columns with nulls."""
        return together_chart(missing, self._config.max_columns)

    def drivers(self, report: TargetReport) -> Chart | None:
        """Bars of the columns that go with the target, strongest first; needs one relation."""
        shown = report.relations[:DRIVERS_SHOWN]
        if not shown:
            return None
        figure = _driver_bars(shown)
        return Chart(
            "drivers",
            "What goes with the target",
            f"Bars of how strongly {len(shown)} columns go with {report.column}",
            item_of(figure),
            figure.height,
            _driver_table(report),
            "Strength: |r| for numbers, √(eta squared) for a category with a number, Cramér's V for two categories.",
        )

    def levels(self, relation: TargetRelation, target: str, key: str) -> Chart | None:
        """The target over the levels or bins of one column; needs two levels."""
        return levels_chart(relation, target, key)

    def scatter(self, points: pa.Table, report: TargetReport) -> Chart | None:
        """A sample of rows, target against its strongest number columns; needs a number target."""
        return scatter_chart(points, report, self._config.max_points)

    def map(self, report: PatternsReport) -> Chart | None:
        """Rows on the plane that shows most of their spread; needs two number columns."""
        return map_chart(report, self._config.max_points)

    def apart(self, report: SeriesReport, facts: SeriesFacts, key: str) -> Chart | None:
        """A series with its trend, season and rest; needs a decomposition."""
        return apart_chart(report, facts, key)

    def further(self, timeline: Timeline, series: SeriesReport | None, shown: str | None) -> Chart | None:
        """The means of columns other than `shown` over time; needs two buckets."""
        return further_chart(timeline, series, shown, self._config.max_points)

    def timeline(self, timeline: Timeline, target: str | None, series: SeriesReport | None = None) -> Chart | None:
        """Rows and target mean over time with one shared axis, and what was found in them; needs two buckets."""
        return timeline_chart(timeline, target, self._config.max_points, series)


def _driver_bars(shown: tuple[TargetRelation, ...]) -> Any:
    data: dict[str, list[Any]] = {
        "y": list(range(len(shown))),
        "strength": [r.strength for r in shown],
        "name": [numbers.clip(r.column, 120) for r in shown],
        "measure": [f"{MEASURES[r.measure]} {signed(r.value)}" for r in shown],
        "text": [numbers.number(r.strength, 2 if r.strength < 0.1 else 3) for r in shown],
        "rows": [numbers.count(r.rows) for r in shown],
        "leak": ["yes: may hold the answer" if r.leakage_suspected else "no" for r in shown],
    }
    places = place_range(len(shown), downwards=True)
    figure = quiet_figure(len(shown) * 26 + 56, x_range=(0, 1.12), y_range=places)
    style = {"text_baseline": "middle", "text_font_size": "11px", "text_font": fixed(FONT), "x_offset": 5}
    bars = []
    for suspected, colour in ((False, "accent"), (True, "bad")):
        keep = [place for place, r in enumerate(shown) if r.leakage_suspected is suspected]
        part = source({key: [values[place] for place in keep] for key, values in data.items()})
        bar = figure.hbar("y", right="strength", height=0.68, source=part, fill_color=unthemed(), line_color=None)
        bars.append(tint(bar, fill_color=colour))
        tint(figure.text("strength", "y", "text", source=part, **style), text_color="muted")
    lines = [("Column", "name"), ("Strength", "text"), ("Measure", "measure"), ("Rows", "rows"), ("Leakage", "leak")]
    figure.add_tools(hover(lines, bars))
    label_axis(figure.yaxis[0], [("⚠ " if r.leakage_suspected else "") + r.column for r in shown], 22)
    bars_only(figure)
    figure.xaxis.ticker = [0, 0.25, 0.5, 0.75, 1]
    figure.xaxis.axis_label = "strength, 0 to 1"
    return figure


def _driver_table(report: TargetReport) -> DataTable:
    rows = tuple(
        (
            r.column,
            numbers.number(r.strength, 3),
            MEASURES[r.measure],
            signed(r.value),
            numbers.between(r.interval, 2),
            numbers.p_value(r.q_value),
            numbers.count(r.rows),
            "yes" if r.leakage_suspected else "no",
        )
        for r in report.relations[:TABLE_ROWS]
    )
    note = f"The {TABLE_ROWS} strongest of {len(report.relations):,}." if len(report.relations) > TABLE_ROWS else ""
    heads = (
        "Column",
        "Strength",
        "Measure",
        "Value",
        "95 % interval",
        "False discovery rate",
        "Rows",
        "Suspect of leakage",
    )
    return DataTable(heads, rows, (1, 3, 5, 6), note)
