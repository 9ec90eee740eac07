"""The generator: gathers what each kind of finding has to say, stresses what the business asked for, and ranks it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any

from raypipe.blocks.profile import Profile
from raypipe.config.insights.report import ReportConfig
from raypipe.insights.areas import AREAS, IDLE_WORDS, words_of
from raypipe.insights.facts import Facts, InsightContext
from raypipe.insights.findings import associations, closer, course, distributions, keys, quality, series, target
from raypipe.insights.findings import patterns as across
from raypipe.insights.findings import statistics as pairs
from raypipe.insights.measured import measured
from raypipe.insights.merging import merged
from raypipe.insights.models import TargetReport, Timeline
from raypipe.insights.patterns.models import PatternsReport
from raypipe.insights.series.models import SeriesReport
from raypipe.insights.statistics.models import Statistics
from raypipe.insights.wording.catalogue import Catalogue, catalogue_of
from raypipe.results import Insight, StepReport, ValidationResult

PLAIN = ("identifier",)
"""Types that are never stressed."""

Finder = Callable[[Facts], Iterator[Insight]]

FINDERS: tuple[Finder, ...] = (
    quality.empty_table,
    quality.quarantined,
    quality.rules_broken,
    quality.missing_values,
    quality.duplicate_rows,
    quality.constant_columns,
    quality.identifiers,
    keys.duplicate_keys,
    quality.untidy_text,
    quality.wrong_types,
    quality.non_finite,
    quality.cleaning,
    associations.missing_together,
    associations.strong_correlations,
    pairs.associations,
    pairs.curved_relations,
    pairs.explained_correlations,
    pairs.group_differences,
    pairs.gaps_that_follow,
    target.unmeasured_target,
    closer.derived_or_later,
    target.leakage,
    target.drivers,
    target.class_imbalance,
    target.unlabelled,
    closer.segments,
    closer.target_drift,
    closer.predictable,
    across.anomalous_rows,
    across.clusters,
    across.dependencies,
    across.going_together,
    distributions.skewed,
    distributions.heavy_tailed,
    distributions.outliers,
    distributions.extreme_values,
    distributions.zero_inflated,
    distributions.coded_categories,
    course.unusable_times,
    series.trends,
    series.seasonality,
    series.change_points,
    series.wandering,
    course.gaps,
    course.repeated_times,
    course.unusual_periods,
    series.forecasts,
)
"""Every kind of finding, in the order in which equals are told."""


class InsightGenerator:
    """Says what a careful analyst would say from the profile, the target's relations and the timeline.

    It looks at no rows itself. A finding must be large enough to matter, and surer than chance where many columns are
    tried at once; small tables give few findings.

    Parameters
    ----------
    settings : ReportConfig, optional
        How many findings are told one by one, and in which words.

    Raises
    ------
    ConfigError
        If there is no such language, or the catalogue of words cannot be used.
    """

    def __init__(self, settings: ReportConfig | None = None) -> None:
        self._settings = settings or ReportConfig()
        self._words: Catalogue = catalogue_of(self._settings.language, self._settings.catalogue)

    def generate(  # noqa: PLR0913 - what was measured of one table, each by its name; all but the first may be absent
        self,
        profile: Profile,
        validation: ValidationResult | None = None,
        target_report: TargetReport | None = None,
        timeline: Timeline | None = None,
        steps: Iterable[StepReport] = (),
        context: InsightContext | str | None = None,
        *,
        statistics: Statistics | None = None,
        patterns: PatternsReport | None = None,
        series_report: SeriesReport | None = None,
    ) -> tuple[Insight, ...]:
        """All findings, highest priority first.

        Parameters
        ----------
        context : InsightContext or str, optional
            What the run knows beside the data; a text alone is the business context.
        statistics : Statistics, optional
            Of the same table, from `StatisticsEngine`.
        patterns : PatternsReport, optional
            Of a sample of it, from `PatternDetector`.
        series_report : SeriesReport, optional
            The course over time taken apart, from `measure_series`; without it nothing is said of trends, seasons,
            changes and unusual periods.
        """
        known = context if isinstance(context, InsightContext) else InsightContext(business=context)
        facts = Facts(
            profile,
            validation,
            target_report,
            timeline,
            tuple(steps),
            known,
            statistics=statistics,
            patterns=patterns,
            series=series_report,
        )
        found = [self._words.reworded(insight) for insight in gather(facts)]
        stressed = [stress(insight, known.business, facts.target_name) for insight in merged(found, self._words)]
        return tuple(
            sorted(
                _crowded(stressed, self._settings.max_per_type, self._words),
                key=lambda insight: -insight.priority_score,
            )
        )

    def generate_comprehensive_insights(
        self,
        data: Any,
        target_column: str | None = None,
        time_column: str | None = None,
        business_context: str | None = None,
    ) -> dict[str, Any]:
        """Everything that can be said of a table in memory, in the sections of the older platform.

        Parameters
        ----------
        data : Frame, or an Arrow, Polars or pandas table
        target_column, time_column : str, optional

        Returns
        -------
        dict
            What `insights.json` holds: dataset_overview, key_insights (priority 8 and more), detailed_insights (5 to
            7), additional_insights, actionable_recommendations, data_quality_assessment, business_insights,
            next_steps, metadata.
        """
        from raypipe.insights.comprehensive import comprehensive_insights

        return comprehensive_insights(self, data, (target_column, time_column), business_context)

    @property
    def words(self) -> Catalogue:
        """The words that it tells findings in."""
        return self._words


def gather(facts: Facts) -> list[Insight]:
    """What every finder has to say, measured; not yet joined, stressed or ranked."""
    return [measured(insight, facts) for finder in FINDERS for insight in finder(facts)]


def stress(insight: Insight, business: str | None, target: str | None = None) -> Insight:
    """The finding, one point of priority higher, with the word that is why, where it bears on what was asked for.

    A finding about the target and another column is judged by the other: else all of them would be stressed alike. That
    a column names rows is no news for any area.
    """
    if not business or not insight.columns_affected or insight.type in PLAIN:
        return insight
    asked = words_of(business) - IDLE_WORDS
    areas = [area for area in AREAS if area in asked]
    others = [column for column in insight.columns_affected if column != target]
    for column in others or insight.columns_affected:
        words = words_of(column)
        area = next((area for area in areas if words & AREAS[area]), None)
        hit = area or next((word for word in sorted(words & asked) if len(word) > 3), None)
        if hit:
            raised = min(insight.priority_score + 1, 10)
            return insight.replace(priority_score=raised, evidence={**insight.evidence, "stressed_for": hit})
    return insight


def _crowded(insights: list[Insight], most: int, words: Catalogue) -> list[Insight]:
    """At most `most` findings a type; the others of the type in one."""
    kept: list[Insight] = []
    order = {kind: i for i, kind in enumerate(dict.fromkeys(insight.type for insight in insights))}
    ranked = sorted(insights, key=lambda insight: (order[insight.type], -insight.priority_score))
    for _, group in groupby(ranked, key=lambda insight: insight.type):
        same = list(group)
        kept += same[:most]
        if len(same) > most:
            kept.append(_together(same[most:], words))
    return kept


def _together(rest: list[Insight], words: Catalogue) -> Insight:
    first = rest[0]
    columns = tuple(dict.fromkeys(column for insight in rest for column in insight.columns_affected))
    kind = words.say(first.type.replace("_", " "))
    phrase = (
        "1 further finding of this kind: {kind}" if len(rest) == 1 else "{number} further findings of this kind: {kind}"
    )
    return first.replace(
        title=words.say(phrase, number=words.whole(len(rest)), kind=kind),
        description=words.say("The same holds, less markedly, for {columns}.", columns=words.named(columns, 20)),
        columns_affected=columns,
        evidence={"findings": len(rest), "columns": list(columns[:100]), "threshold": first.evidence.get("threshold")},
    )
