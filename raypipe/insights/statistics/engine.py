"""The engine of statistics: what the profile, the sample and one pass over the rows say, put together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from raypipe.blocks.profile import Profile
from raypipe.blocks.table import TableSummary, finish, merge, summarise
from raypipe.config.insights.analysis import AnalysisConfig
from raypipe.config.insights.statistics import StatisticsConfig
from raypipe.engine.localframe import as_frame
from raypipe.insights.sample import SampleRows, sample_size
from raypipe.insights.statistics import between, gaps
from raypipe.insights.statistics.coding import plan_codes
from raypipe.insights.statistics.describe import describe_categories, describe_numbers
from raypipe.insights.statistics.models import PairStatistics, SampleFacts, Statistics
from raypipe.insights.statistics.pairs import MeasurePairs, PairPlan, measure_on
from raypipe.insights.statistics.summary import DatasetStatistics
from raypipe.insights.statistics.tails import CountTails, Tail, plan_tails
from raypipe.stage import ReduceStage

SCREENED = "pairs"


@dataclass(frozen=True)
class Draft:
    """Statistics that lack only what one pass over all rows finds."""

    statistics: Statistics
    profile: Profile
    plans: tuple[PairPlan, ...]
    sample: pa.Table | None

    def exact_stage(self) -> MeasurePairs | None:
        """What a pass over all rows has to measure; None where the sample is the table, or no pair stands out."""
        if self.statistics.sample.is_table or not self.plans:
            return None
        return MeasurePairs(plans=self.plans)

    def finished(
        self, exact: Iterable[PairStatistics] | None = None, tails: Mapping[str, Tail] | None = None
    ) -> Statistics:
        """With what the pass over all rows found.

        Parameters
        ----------
        exact : iterable of PairStatistics, optional
            From `exact_stage`; without them, the pairs are measured on the sample.
        tails : mapping, optional
            What `plan_tails` counted.
        """
        numbers = tuple(describe_numbers(self.profile, self.sample, dict(tails or {})))
        pairs = tuple(exact or ())
        if not pairs and self.sample is not None:
            pairs = measure_on(self.sample, self.plans, exact=self.statistics.sample.is_table)
        return self.statistics.replace(numbers=numbers, pairs=pairs)


class StatisticsEngine:
    """Statistics of the columns of a table and of their pairs, each with how sure it is.

    Single columns are described over all rows, as the profile has them. What needs rows (ranks, groups, patterns of
    gaps) comes from one seeded sample; the pairs that stand out there are then measured over all rows.

    Parameters
    ----------
    settings : StatisticsConfig, optional
        How many pairs and columns.
    seed : int
        Of the sample that `analyze_dataset` draws.

    Examples
    --------
    >>> table = pa.table({"size": [1.0, 2.0, 3.0, 4.0] * 10, "price": [2.0, 4.1, 6.0, 8.2] * 10})
    >>> found = StatisticsEngine().analyze_dataset(table)
    >>> found["descriptive_stats"]["numeric"]["size"]["mean"]
    2.5
    """

    def __init__(self, settings: StatisticsConfig | None = None, seed: int = 42) -> None:
        self.settings = settings or StatisticsConfig()
        self.seed = seed
        self._last: DatasetStatistics | None = None

    def draft(
        self,
        profile: Profile,
        sample: pa.Table | None,
        target: str | None = None,
    ) -> Draft:
        """All that needs no further pass.

        Parameters
        ----------
        profile : Profile
            Of all rows.
        sample : pa.Table, optional
            Rows drawn at random by `SampleRows`, or all of them; without it, only single columns are described.
        target : str, optional
            A column that is in the pairs however many there are.
        """
        facts = SampleFacts(rows=sample.num_rows if sample else 0, of_rows=profile.rows, seed=self.seed)
        found = Statistics(
            rows=profile.rows,
            sample=facts,
            categories=tuple(describe_categories(profile, sample)),
            correlations=(between.pearson_matrix(profile),) if profile.correlation.columns else (),
        )
        if sample is None or not sample.num_rows:
            reason = "the table has no rows" if not profile.rows else "there is no sample of the rows"
            return Draft(found.replace(not_computed={SCREENED: reason}), profile, (), None)
        return self._with_pairs(found, profile, sample, target)

    def _with_pairs(self, found: Statistics, profile: Profile, sample: pa.Table, target: str | None) -> Draft:
        first = [target] if target else []
        codes, skipped = plan_codes(profile, sample, self.settings.max_pair_columns, first)
        coded = between.Coded.of(codes, sample)
        masks = gaps.gap_masks(sample)
        indicators = gaps.testable(masks)
        screened = between.screened(coded, list(indicators.values()))
        plans, passing, tried = between.strongest(coded, screened, profile, self.settings.exact_pairs)
        groups, compared = between.compare_groups(coded, profile.rows)
        partial, why = between.partial_correlations(profile.correlation)
        exact = found.sample.is_table
        statistics = found.replace(
            correlations=(*found.correlations, *between.rank_matrices(coded, exact)),
            association=between.association_matrix(coded, screened, profile.rows) if len(codes) > 1 else None,
            pairs_screened=tried,
            pairs_found=passing,
            groups=tuple(groups),
            groups_tested=compared,
            partial=tuple(partial),
            missing=gaps.missing_of(profile, masks, sample.num_rows, coded, indicators, screened),
            skipped=skipped,
            not_computed={"partial correlations": why} if why else {},
        )
        return Draft(statistics, profile, tuple(plans), sample)

    def analyze_dataset(self, data: Any) -> DatasetStatistics:
        """Statistics of a whole table, under the names of the older platform.

        Parameters
        ----------
        data : Frame, pa.Table, polars or pandas frame
            A frame on the cluster is worked on there.

        Raises
        ------
        SchemaError
            If it is no table.
        """
        frame = as_frame(data)
        profile = frame.run_stages(ProfileRows())[ProfileRows.__name__]
        limits = AnalysisConfig()
        drawn: Mapping[str, Any] = {}
        if frame.schema.names:
            rows = sample_size(profile, limits.sample_rows, limits.sample_cells)
            stage = SampleRows(rows=rows, columns=tuple(frame.schema.names), seed=self.seed, of=profile.rows)
            drawn = frame.run_stages(stage)
        draft = self.draft(profile, drawn.get(SampleRows.__name__))
        exact = draft.exact_stage()
        seen = frame.run_stages(plan_tails(profile), *([exact] if exact else []))
        found = draft.finished(seen.get(MeasurePairs.__name__), seen[CountTails.__name__])
        self._last = DatasetStatistics(found, profile, frame.schema)
        return self._last

    def get_summary_insights(self) -> list[str]:
        """What the last `analyze_dataset` found, in sentences; empty before the first."""
        return self._last.get_summary_insights() if self._last else []


class ProfileRows(ReduceStage):
    """The profile of all blocks, which pass through unchanged."""

    def partial(self, block: pa.Table, part: str) -> TableSummary:
        return summarise(block)

    def merge(self, a: TableSummary, b: TableSummary) -> TableSummary:
        return merge(a, b)

    def finish(self, state: TableSummary | None) -> Profile:
        return Profile(rows=0, columns=()) if state is None else finish(state)
