"""Whether rules can be held against the columns of a source at all, which is known before a row is read."""

from __future__ import annotations

from raypipe.config import PipelineConfig
from raypipe.etl.rules.cells import Cells, UnfitError
from raypipe.etl.rules.rule import FigureRule, RowRule, Rule, SchemaRule
from raypipe.etl.rules.ruleset import RuleSet
from raypipe.pipeline.ingest import open_source


def misfits(rules: RuleSet, config: PipelineConfig) -> list[dict[str, str]]:
    """Id and reason of each check that the columns of the source break, or that cannot be held against them.

    Only samples of the source are looked at, for names and types; a later row may still widen a type.
    """
    schema = open_source(config).schema()

    def reason(check: Rule) -> str | None:
        if isinstance(check, SchemaRule):
            return check.fault(schema)
        try:
            if isinstance(check, RowRule):
                check.breaks(Cells(schema))
            elif isinstance(check, FigureRule):
                check.check(schema)
                for measure in check.measures():
                    measure.check(schema)
        except UnfitError as error:
            return str(error)
        return None

    told = [(check.id, reason(check)) for check in rules.checks()]
    return [{"id": name, "reason": why} for name, why in told if why is not None]
