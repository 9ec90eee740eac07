"""Settings of the analysis: what is measured beside the profile, and how far it may go."""

from __future__ import annotations

from pydantic import PositiveInt

from raypipe.config.base import Frozen
from raypipe.config.insights.patterns import PatternsConfig
from raypipe.config.insights.report import ReportConfig
from raypipe.config.insights.series import SeriesConfig
from raypipe.config.insights.statistics import StatisticsConfig
from raypipe.config.insights.target import TargetConfig


class AnalysisConfig(Frozen):
    """What the analysis measures. Each part can be switched off; what is off is said in the report."""

    sample_rows: PositiveInt = 20_000
    """Most rows of the sample that methods get which need rows. Drawn with `seed`; its size stands in the results."""
    sample_cells: PositiveInt = 2_000_000
    """Most cells of that sample: a wide table gives fewer rows."""
    statistics: StatisticsConfig = StatisticsConfig()
    series: SeriesConfig = SeriesConfig()
    patterns: PatternsConfig = PatternsConfig()
    target: TargetConfig = TargetConfig()
    report: ReportConfig = ReportConfig()
