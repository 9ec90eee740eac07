"""Everything that can be said of a table in memory, without a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import raypipe
from raypipe.engine.localframe import as_frame
from raypipe.errors import MissingColumnsError
from raypipe.insights.actions import Run
from raypipe.insights.calendar import is_calendar
from raypipe.insights.document import document
from raypipe.insights.facts import InsightContext
from raypipe.insights.models import TargetReport, Timeline
from raypipe.insights.overview import Overview
from raypipe.insights.quality import quality_score
from raypipe.insights.relations import plan_relations
from raypipe.insights.statistics.engine import StatisticsEngine
from raypipe.insights.timeline import plan_timeline
from raypipe.stage import ReduceStage

if TYPE_CHECKING:
    from raypipe.engine.frame import Frame
    from raypipe.insights.generator import InsightGenerator


def comprehensive_insights(
    generator: InsightGenerator, data: Any, columns: tuple[str | None, str | None], business: str | None
) -> dict[str, Any]:
    """What `insights.json` holds, of a table in memory or a frame; see `InsightGenerator`."""
    frame = as_frame(data)
    target, time = columns
    for role, column in (("target column", target), ("time column", time)):
        if column is not None and column not in frame.schema.names:
            raise MissingColumnsError(role, [column], frame.schema.names)
    found = StatisticsEngine().analyze_dataset(frame)
    profile = found.profile
    reasons = {} if time is None or is_calendar(frame.schema.field(time).type) else {
        "timeline": f"the time column {time!r} holds {frame.schema.field(time).type}, which is no date"
    }  # fmt: skip
    relations = None if target is None else plan_relations(profile, frame.schema, target)
    course = None if time is None or reasons else plan_timeline(profile, frame.schema, time, target)
    report: TargetReport | None = _measured(relations, frame)
    line: Timeline | None = _measured(course, frame)
    context = InsightContext(business=business, target=target, rows_read=profile.rows)
    return document(
        Overview(
            profile=profile,
            insights=generator.generate(profile, None, report, line, (), context, statistics=found.statistics),
            quality=quality_score(profile),
            target=report,
            timeline=line,
            not_computed=reasons,
            provenance={"raypipe": raypipe.__version__, "rows_read": profile.rows},
            context=context,
            run=Run(target=target, time=time),
            words=generator.words,
        )
    )


def _measured(stage: ReduceStage | None, frame: Frame) -> Any:
    """One pass over the blocks of a frame."""
    if stage is None:
        return None
    state: Any = None
    for number, block in enumerate(frame.iter_blocks()):
        made = stage.partial(block, str(number))
        state = made if state is None else stage.merge(state, made)
    return stage.finish(state)
