"""The verdict on a table: quality rules from its profile, and the rules of a declared schema."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import pyarrow as pa

from raypipe.blocks.profile import Profile
from raypipe.config import ValidationConfig
from raypipe.engine.report import StageTally
from raypipe.etl.processing.repeats import Repeats
from raypipe.etl.rules.columns import column_outcomes, key_outcomes, key_stages
from raypipe.etl.rules.counting import SET_ASIDE as RULES_SET_ASIDE
from raypipe.etl.rules.counting import SetFaultsAside
from raypipe.etl.rules.judging import column_outcome, figure_stages, row_stages, rule_outcomes
from raypipe.etl.rules.losers import SetRepeatsAside, acting, measured_again, repeats_stage
from raypipe.etl.rules.measuring import Found, MeasureFigures
from raypipe.etl.rules.quality import quality_findings
from raypipe.etl.rules.rows import CHECKED, SET_ASIDE, CheckRows, RowCheck
from raypipe.etl.rules.rule import Rule, SchemaRule
from raypipe.etl.rules.ruleset import RuleSet
from raypipe.etl.rules.schema import DataSchema
from raypipe.etl.wording import percent, shown
from raypipe.results import RuleOutcome, ValidationResult
from raypipe.stage import BlockStage, ReduceStage, Sifted, Stage


@dataclass(frozen=True)
class DataValidator:
    """Holds a table to the quality rules of a config and, if there is one, to a schema.

    `row_stage` and `reduce_stages` are what must run over the blocks; `verdict` is a pure function of what they found.

    Examples
    --------
    >>> from raypipe.etl.rules import ColumnSchema
    >>> schema = DataSchema(name="people", columns=(ColumnSchema(name="age", min_value=0),))
    >>> validator = DataValidator(ValidationConfig(), schema)
    >>> validator.validate(pa.table({"age": [3, -1]}), Profile(rows=1, columns=())).errors
    ("'age': 1 row of 2 (50 %) set aside; wanted at least 0",)
    """

    config: ValidationConfig
    schema: DataSchema | None = None
    strict: bool = False
    """Whether a column that the schema does not declare is an error rather than a warning."""
    rules: RuleSet | None = None
    now: dt.datetime | None = None
    """What counts as now in rules about the future and freshness; None takes the moment at which they are asked."""

    @classmethod
    def of(cls, config: ValidationConfig, strict: bool = False) -> Self:
        """With the schema and the rules that the config names; ConfigError where their files are at fault."""
        schema = DataSchema.load(config.schema_path) if config.schema_path is not None else None
        rules = RuleSet.load(config.rules_path) if config.rules_path is not None else None
        found = cls(config, schema, strict, rules, dt.datetime.now(dt.UTC))
        for check in found.checks:
            check.prepare()
        return found

    @cached_property
    def checks(self) -> tuple[Rule, ...]:
        """The rules, each for each of its columns."""
        if self.rules is None:
            return ()
        checks = self.rules.checks(self.now)
        if self.config.quarantine:
            return checks
        kept = {"action": "count"}
        return tuple(check.model_copy(update=kept) if hasattr(check, "action") else check for check in checks)

    def stages(self, schema: pa.Schema | None = None) -> tuple[Stage, ...]:
        """All that must run over the blocks, in order: what sets rows aside comes first."""
        row_stage = self.row_stage()
        first = (row_stage,) if row_stage is not None else ()
        return (*first, *row_stages(self.checks), *self.reduce_stages(schema))

    @property
    def acts_later(self) -> bool:
        """Whether a rule sets rows aside that are known only when all were seen."""
        return bool(acting(self.checks))

    def repeats_stage(self, results: Mapping[str, Any]) -> SetRepeatsAside | None:
        """What sets those rows aside in a second pass, from the results of the first; None where there are none."""
        return repeats_stage(self.checks, results.get(MeasureFigures.__name__, Found()))

    def joined(self, first: Mapping[str, Any], again: Mapping[str, Any]) -> dict[str, Any]:
        """The results that `verdict` judges, of both passes."""
        both = {**first, **again}
        if MeasureFigures.__name__ in first:
            name = MeasureFigures.__name__
            both[name] = measured_again(self.checks, first[name], again[name])
        return both

    def counts(self, tallies: Mapping[str, StageTally]) -> dict[str, int]:
        """What the stages that set rows aside counted, of all that a pass tells of its stages."""
        found: Counter[str] = Counter()
        for name in (CheckRows.__name__, SetFaultsAside.__name__, SetRepeatsAside.__name__):
            if name in tallies:
                found.update(tallies[name].counts)
        return dict(found)

    def row_stage(self) -> CheckRows | None:
        """The row rules as one stage; None where the schema has none."""
        return CheckRows.of(self.schema, self.config.quarantine) if self.schema else None

    def reduce_stages(self, schema: pa.Schema | None = None) -> tuple[ReduceStage, ...]:
        """What must see every row that `row_stage` keeps, to know whether keys and unique columns repeat.

        Parameters
        ----------
        schema : pa.Schema or None
            Of the source; keys with a column that is not there are left out (`check_against` tells of it).
        """
        keys = () if self.schema is None else key_stages(self.schema, None if schema is None else schema.names)
        return (*keys, *figure_stages(self.checks))

    def check_against(self, schema: pa.Schema) -> tuple[RuleOutcome, ...]:
        """What is known before a row is read; see `DataSchema.check_against`."""
        told = () if self.schema is None else column_outcomes(self.schema, schema, self.strict)
        return (*told, *(column_outcome(check, schema) for check in self.checks if isinstance(check, SchemaRule)))

    def verdict(
        self,
        profile: Profile,
        counts: Mapping[str, int],
        source_notes: Mapping[str, Any],
        schema: pa.Schema | None = None,
        results: Mapping[str, Any] | None = None,
    ) -> ValidationResult:
        """Judge what the stages found.

        Parameters
        ----------
        profile : Profile
            Of the rows that `row_stage` kept.
        counts : mapping
            Of `row_stage`, added up over all blocks.
        source_notes : mapping
            Facts that the reader gives; they are passed on under `validation_details["source"]`.
        schema : pa.Schema or None
            Of the rows behind `profile`; without it, rules about columns and types are not judged.
        results : mapping or None
            Stage name -> result of `reduce_stages`.
        """
        quality = quality_findings(profile, self.config)
        outcomes = list(quality.outcomes)
        unknown = dict(quality.not_measured)
        if self.schema is not None:
            if schema is None:
                unknown["dtype"] = "the columns of the source were not given"
            else:
                outcomes += column_outcomes(self.schema, schema, self.strict)
            outcomes += self._row_outcomes(counts)
            repeats = {name: found for name, found in (results or {}).items() if isinstance(found, Repeats)}
            keys, unknown_keys = key_outcomes(self.schema, profile, repeats)
            outcomes += keys
            unknown |= unknown_keys
        if self.checks and schema is None:
            unknown["rules"] = "the columns of the source were not given"
        elif self.checks:
            outcomes += rule_outcomes(self.checks, schema, profile, results or {})
        return self._result(outcomes, unknown, profile, counts, source_notes)

    def validate(self, table: pa.Table, profile: Profile) -> ValidationResult:
        """The verdict on a table at hand, whose rows (those that `row_stage` keeps) have this profile."""
        found: dict[str, Any] = {}
        counts: Counter[str] = Counter()
        block = table
        for stage in self.stages(table.schema):
            if isinstance(stage, ReduceStage):
                found[stage.name] = stage.finish(stage.partial(block, "table"))
            elif isinstance(stage, BlockStage):
                sifted = stage.apply(block)
                block = sifted.block if isinstance(sifted, Sifted) else sifted
                counts.update(sifted.counts if isinstance(sifted, Sifted) else {})
        return self.verdict(profile, counts, {}, table.schema, found)

    def _row_outcomes(self, counts: Mapping[str, int]) -> list[RuleOutcome]:
        stage = self.row_stage()
        rows = counts.get(CHECKED, 0)
        verb = "set aside" if self.config.quarantine else "at fault, and kept"
        checks = [check for check in stage.checks if check.key in counts] if stage else []
        return [_row_outcome(check, counts[check.key], rows, verb) for check in checks]

    def _result(
        self,
        outcomes: list[RuleOutcome],
        unknown: Mapping[str, str],
        profile: Profile,
        counts: Mapping[str, int],
        source_notes: Mapping[str, Any],
    ) -> ValidationResult:
        failed = [outcome for outcome in outcomes if not outcome.passed]
        errors = tuple(outcome.message for outcome in failed if outcome.is_error)
        tally: dict[str, dict[str, int]] = {}
        for outcome in outcomes:
            seen = tally.setdefault(outcome.rule, {"checked": 0, "failed": 0})
            seen["checked"] += 1
            seen["failed"] += not outcome.passed
        details = {
            "rules": tally,
            "rows_set_aside": counts.get(SET_ASIDE, 0) + counts.get(RULES_SET_ASIDE, 0),
            "not_measured": dict(unknown),
            "source": dict(source_notes),
        }
        return ValidationResult(
            is_valid=not errors,
            errors=errors,
            warnings=tuple(outcome.message for outcome in failed if outcome.severity == "warning"),
            schema_name=self.schema.name if self.schema else None,
            rows_validated=counts.get(CHECKED, profile.rows + counts.get(RULES_SET_ASIDE, 0)),
            columns_validated=len(profile.columns),
            validation_details=details,
            outcomes=tuple(outcomes),
        )


def _row_outcome(check: RowCheck, failing: int, rows: int, verb: str) -> RuleOutcome:
    share = failing / rows if rows else 0.0
    found = (
        f"{failing:,} row{'s' if failing != 1 else ''} of {rows:,} ({percent(share)}) {verb}"
        if failing
        else f"all {rows:,} rows keep to it"
    )
    return RuleOutcome(
        rule=check.rule,
        column=check.column,
        severity="error",
        passed=failing == 0,
        failing_rows=failing,
        share=share,
        bound=check.wanted,
        message=f"{shown(check.column)}: {found}; wanted {check.wanted}",
    )
