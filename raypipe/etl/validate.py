"""The verdict on a table: quality rules from its profile, and the rules of a declared schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from raypipe.blocks.profile import Profile
from raypipe.config import ValidationConfig
from raypipe.etl.repeats import Repeats
from raypipe.etl.rules.columns import column_outcomes, key_outcomes, key_stages
from raypipe.etl.rules.quality import quality_findings
from raypipe.etl.rules.rows import CHECKED, SET_ASIDE, CheckRows, RowCheck
from raypipe.etl.rules.schema import DataSchema
from raypipe.etl.wording import percent, shown
from raypipe.results import RuleOutcome, ValidationResult
from raypipe.stage import ReduceStage, Sifted


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
        if self.schema is None:
            return ()
        return key_stages(self.schema, None if schema is None else schema.names)

    def check_against(self, schema: pa.Schema) -> tuple[RuleOutcome, ...]:
        """What is known before a row is read; see `DataSchema.check_against`."""
        return () if self.schema is None else column_outcomes(self.schema, schema, self.strict)

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
                outcomes += self.check_against(schema)
            outcomes += self._row_outcomes(counts)
            repeats = {name: found for name, found in (results or {}).items() if isinstance(found, Repeats)}
            keys, unknown_keys = key_outcomes(self.schema, profile, repeats)
            outcomes += keys
            unknown |= unknown_keys
        return self._result(outcomes, unknown, profile, counts, source_notes)

    def validate(self, table: pa.Table, profile: Profile) -> ValidationResult:
        """The verdict on a table at hand, whose rows (those that `row_stage` keeps) have this profile."""
        stage = self.row_stage()
        sifted = stage.apply(table) if stage else Sifted(table)
        found = {}
        for reduce in self.reduce_stages(table.schema):
            found[reduce.name] = reduce.finish(reduce.partial(sifted.block, "table"))
        return self.verdict(profile, sifted.counts, {}, table.schema, found)

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
        errors = tuple(outcome.message for outcome in failed if outcome.severity == "error")
        tally: dict[str, dict[str, int]] = {}
        for outcome in outcomes:
            seen = tally.setdefault(outcome.rule, {"checked": 0, "failed": 0})
            seen["checked"] += 1
            seen["failed"] += not outcome.passed
        details = {
            "rules": tally,
            "rows_set_aside": counts.get(SET_ASIDE, 0),
            "not_measured": dict(unknown),
            "source": dict(source_notes),
        }
        return ValidationResult(
            is_valid=not errors,
            errors=errors,
            warnings=tuple(outcome.message for outcome in failed if outcome.severity == "warning"),
            schema_name=self.schema.name if self.schema else None,
            rows_validated=counts.get(CHECKED, profile.rows),
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
