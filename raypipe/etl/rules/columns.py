"""Rules of a schema about whole columns: present, of the right type, and without repeated values."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from raypipe.blocks.chance import NORMAL_99
from raypipe.blocks.frames import ROW
from raypipe.blocks.profile import ColumnProfile, Profile
from raypipe.etl.processing.repeats import FindRepeats, Repeats
from raypipe.etl.wording import counted, listed, percent, shown
from raypipe.results import RuleOutcome

if TYPE_CHECKING:
    from raypipe.etl.rules.schema import ColumnSchema, DataSchema

PRIMARY_KEY = "primary_key"


def column_outcomes(declared: DataSchema, schema: pa.Schema, strict: bool) -> tuple[RuleOutcome, ...]:
    """Missing and unexpected columns, types, and rules that their column's type makes impossible."""
    have = [name for name in schema.names if name != ROW]
    outcomes: list[RuleOutcome] = []
    for column in declared.columns:
        if column.name in have:
            outcomes += _present(column, schema.field(column.name).type)
        elif column.required:
            outcomes.append(_missing(column.name, have))
    known = {column.name for column in declared.columns}
    outcomes += [_unexpected(name, known, strict) for name in have if name not in known]
    return tuple(outcomes)


def key_stages(declared: DataSchema, present: Sequence[str] | None = None) -> tuple[FindRepeats, ...]:
    """What must run over all rows to know whether keys and unique columns repeat."""
    stages = [
        FindRepeats(label=f"unique:{column.name}", columns=(column.name,), skip_nulls=True)
        for column in declared.columns
        if column.unique and declared.primary_key != (column.name,)
    ]
    if declared.primary_key:
        stages.insert(0, FindRepeats(label=PRIMARY_KEY, columns=declared.primary_key, skip_nulls=True))
    if present is None:
        return tuple(stages)
    return tuple(stage for stage in stages if set(stage.columns or ()) <= set(present))


def key_outcomes(
    declared: DataSchema, profile: Profile, found: Mapping[str, Repeats]
) -> tuple[tuple[RuleOutcome, ...], dict[str, str]]:
    """Outcomes of key and uniqueness rules, and for those that could not be measured, why.

    Parameters
    ----------
    declared : DataSchema
        The rules.
    profile : Profile
        Its distinct counts stand in where `found` has no answer.
    found : mapping
        Stage name -> result of the stages of `key_stages`.
    """
    have = {column.name for column in profile.columns}
    outcomes: list[RuleOutcome] = []
    unknown: dict[str, str] = {}
    for stage in key_stages(declared, sorted(have)):
        columns = stage.columns or ()
        rule = "unique"
        if stage.label == PRIMARY_KEY:
            rule = "duplicate_key" if len(columns) == 1 else "duplicate_composite_key"
        repeats = found.get(stage.name)
        if repeats is not None:
            outcomes.append(_counted_outcome(rule, columns, repeats))
        elif len(columns) == 1:
            outcome = _distinct_outcome(rule, profile.column(columns[0]))
            if outcome is None:
                unknown[f"{rule}:{columns[0]}"] = "distinct values were not counted"
            else:
                outcomes.append(outcome)
        else:
            unknown[f"{rule}:{', '.join(columns)}"] = f"the stage {stage.name} was not run"
    return tuple(outcomes), unknown


def _present(column: ColumnSchema, kind: pa.DataType) -> list[RuleOutcome]:
    outcomes = [
        RuleOutcome(
            rule=rule,
            column=column.name,
            severity="error",
            passed=False,
            bound=column.dtype if rule == "dtype" else None,
            message=f"{shown(column.name)}: {rule + ' cannot hold: ' if rule != 'dtype' else ''}{reason}",
        )
        for rule, reason in column.misfits(kind)
    ]
    if column.dtype is not None and not any(outcome.rule == "dtype" for outcome in outcomes):
        text = f"{shown(column.name)}: holds {kind}, wanted {column.dtype}"
        outcomes.insert(
            0,
            RuleOutcome(
                rule="dtype", column=column.name, severity="error", passed=True, bound=column.dtype, message=text
            ),
        )
    return outcomes


def _missing(name: str, have: Sequence[str]) -> RuleOutcome:
    close = difflib.get_close_matches(name, have, n=1)
    hint = f". Did you mean {close[0]!r}?" if close else ""
    return RuleOutcome(
        rule="required_column",
        column=name,
        severity="error",
        passed=False,
        bound="present",
        message=f"{shown(name)}: the required column is missing; the table has {listed(have, 20)}{hint}",
    )


def _unexpected(name: str, known: set[str], strict: bool) -> RuleOutcome:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    hint = f"; the nearest declared column is {close[0]!r}" if close else ""
    return RuleOutcome(
        rule="unexpected_column",
        column=name,
        severity="error" if strict else "warning",
        passed=False,
        bound="declared in the schema",
        message=f"{shown(name)}: the schema does not declare this column{hint}",
    )


def _called(rule: str, columns: Sequence[str]) -> str:
    names = " + ".join(shown(name) for name in columns)
    return f"primary key {names}" if rule.startswith("duplicate") else names


def _counted_outcome(rule: str, columns: Sequence[str], repeats: Repeats) -> RuleOutcome:
    share = repeats.repeats / repeats.rows if repeats.rows else 0.0
    places = "; ".join(f"row {row} of {shown(part)}" for part, row in repeats.first)
    found = (
        f"{counted(repeats.repeats, 'row')} of {repeats.rows:,} ({percent(share)}) repeat an earlier value: {places}"
        if repeats.repeats
        else f"{counted(repeats.rows, 'row')}, no value twice"
    )
    return RuleOutcome(
        rule=rule,
        column=columns[0] if len(columns) == 1 else None,
        severity="error",
        passed=repeats.repeats == 0,
        failing_rows=repeats.repeats,
        share=share,
        bound="no value twice",
        message=f"{_called(rule, columns)}: {found}; wanted no value twice",
    )


def _distinct_outcome(rule: str, column: ColumnProfile) -> RuleOutcome | None:
    """By the distinct count: decided where it is exact, or where even its upper bound leaves repeats."""
    if column.distinct is None:
        return None
    repeats = max(column.present - column.distinct.count, 0)
    upper = column.distinct.count * (1 + NORMAL_99 * column.distinct.relative_error)
    certain = column.distinct.exact or upper < column.present
    passed = repeats == 0 if column.distinct.exact else not certain
    share = repeats / column.present if column.present else 0.0
    if column.distinct.exact:
        found = f"{counted(repeats, 'row')} of {column.present:,} ({percent(share)}) repeat an earlier value"
    else:
        wide = percent(NORMAL_99 * column.distinct.relative_error)
        found = f"about {column.distinct.count:,} different values (± {wide}) in {counted(column.present, 'row')}"
        found += ", so some repeat" if certain else ", so that repeats cannot be ruled out"
    return RuleOutcome(
        rule=rule,
        column=column.name,
        severity="error" if certain else "warning",
        passed=passed,
        failing_rows=repeats if column.distinct.exact else None,
        share=share if certain else None,
        bound="no value twice",
        message=f"{_called(rule, [column.name])}: {found}; wanted no value twice",
    )
