"""Target analysis: the relations that all rows give, with their uncertainty, and what a sample of rows adds."""

from __future__ import annotations

import polars as pl
import pyarrow as pa

from raypipe.blocks.frames import ROW, to_polars
from raypipe.config.insights.target import TargetConfig
from raypipe.insights.calendar import is_calendar
from raypipe.insights.models import TargetReport
from raypipe.insights.target.baselines import measure_baselines
from raypipe.insights.target.design import design
from raypipe.insights.target.drift import measure_drift
from raypipe.insights.target.intervals import with_uncertainty
from raypipe.insights.target.leaks import find_leaks
from raypipe.insights.target.ranks import with_rank_scores
from raypipe.insights.target.segments import find_segments


def analyse_target(
    report: TargetReport, sample: pa.Table | None, settings: TargetConfig | None = None, time: str | None = None
) -> TargetReport:
    """The report with intervals and false discovery rates, leaks, baselines, segments and drift.

    Parameters
    ----------
    report : TargetReport
        Of all rows (`plan_relations`).
    sample : pa.Table or None
        Rows with all columns; None leaves out all that needs rows.
    time : str, optional
        Column of the time of each row: models are then tested on later rows than those they learn from.

    Returns
    -------
    TargetReport
        `not_computed` says what is absent, and why.
    """
    chosen = settings or TargetConfig()
    reason = _reason(report, sample, chosen)
    if reason or sample is None:
        parts = ("leaks", "baselines", "segments", "drift")
        missing = dict.fromkeys(parts, reason or "there is no sample of rows")
        return with_uncertainty(report).replace(not_computed=missing)
    frame = to_polars(sample)
    frame = frame.drop(ROW) if ROW in frame.columns else frame
    usable = time if time is not None and is_calendar(sample.schema.field(time).type) else None
    return _deepened(report, frame, chosen, usable)


def _reason(report: TargetReport, sample: pa.Table | None, settings: TargetConfig) -> str:
    if not settings.enabled:
        return "switched off (analysis.target.enabled: false)"
    if report.column in report.skipped:
        return f"the target {report.skipped[report.column]}"
    if sample is None or not sample.num_rows:
        return "there is no sample of rows"
    return "" if report.column in sample.column_names else "the sample lacks the target"


def _deepened(report: TargetReport, frame: pl.DataFrame, settings: TargetConfig, time: str | None) -> TargetReport:
    report = with_uncertainty(*with_rank_scores(report, frame))
    leaks = find_leaks(frame, report, time)
    suspects = {column: "may give the target away" for leak in leaks for column in leak.columns}
    data = design(frame, report.column, report.task, settings, time=time, left_out=suspects)
    drift = measure_drift(data, time, settings.alpha) if time is not None else None
    missing = {} if drift is not None else {"drift": "no time column was named (--time), or it holds no dates"}
    return report.replace(
        leaks=leaks,
        baselines=measure_baselines(data, settings.folds),
        segments=find_segments(data, settings),
        drift=drift,
        sample_rows=frame.height,
        not_computed=missing,
    )
