"""From what was counted and measured to outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from raypipe.blocks.chance import false_discoveries
from raypipe.blocks.profile import Profile
from raypipe.etl.rules.cells import UnfitError, require_columns
from raypipe.etl.rules.counting import CountFaults, RowCounts, RuleCount, SetFaultsAside
from raypipe.etl.rules.measuring import Found, MeasureFigures, Task, profile_measure, tasks_of
from raypipe.etl.rules.rule import Evidence, FigureRule, Judged, NotMeasuredError, RowRule, Rule, SchemaRule
from raypipe.etl.rules.segments import Key
from raypipe.etl.wording import counted, percent, shown
from raypipe.results import RuleOutcome, SegmentOutcome, Severity
from raypipe.stage import Stage

ALPHA = 0.001
"""Share of alarms that may be false, over all comparisons of a file, where a rule does not say."""
WORSE_SEGMENTS = 20
"""Segments that an outcome names; those at fault come first."""


def row_rules(checks: Sequence[Rule]) -> tuple[RowRule, ...]:
    """The rules that each row keeps or breaks."""
    return tuple(check for check in checks if isinstance(check, RowRule))


def row_stages(checks: Sequence[Rule]) -> tuple[Stage, ...]:
    """What must see every row; the second sets rows aside, and is there only where a rule asks for it."""
    rules = row_rules(checks)
    if not rules:
        return ()
    acting = any(rule.action == "quarantine" for rule in rules)
    return (CountFaults(rules=rules), *((SetFaultsAside(rules=rules),) if acting else ()))


def figure_stages(checks: Sequence[Rule]) -> tuple[MeasureFigures, ...]:
    """What must see the rows that are kept."""
    tasks = dict.fromkeys(task for check in checks if isinstance(check, FigureRule) for task in tasks_of(check))
    return (MeasureFigures(tasks=tuple(tasks)),) if tasks else ()


def rule_outcomes(
    checks: Sequence[Rule], schema: pa.Schema, profile: Profile, results: Mapping[str, Any]
) -> tuple[RuleOutcome, ...]:
    """One outcome for each check, in their order.

    Parameters
    ----------
    checks : sequence of Rule
        As `RuleSet.checks` gives them.
    schema : pa.Schema
        Of the rows.
    profile : Profile
        Of the rows that were kept.
    results : mapping
        Stage name -> result of `row_stages` and `figure_stages`.
    """
    checks = tuple(checks)
    rows = results.get(CountFaults.__name__)
    found = results.get(MeasureFigures.__name__, Found())
    places = {id(rule): place for place, rule in enumerate(row_rules(checks))}
    figures = {id(check): _judged(check, schema, profile, found) for check in checks if isinstance(check, FigureRule)}
    _weigh_chance([check for check in checks if isinstance(check, FigureRule)], figures)
    outcomes = []
    for check in checks:
        if isinstance(check, RowRule):
            outcomes.append(_of_rows(check, places[id(check)], rows))
        elif isinstance(check, FigureRule):
            outcomes.append(_of_figure(check, figures[id(check)], schema, found))
        elif isinstance(check, SchemaRule):
            outcomes.append(column_outcome(check, schema))
    return tuple(outcomes)


def column_outcome(check: SchemaRule, schema: pa.Schema) -> RuleOutcome:
    """What a rule about the columns of a table says of them."""
    fault = check.fault(schema)
    return _outcome(check, fault is None, f"{fault or 'as it should be'}; wanted {check.wanted}")


def _outcome(check: Rule, passed: bool, text: str, severity: Severity | None = None, **more: Any) -> RuleOutcome:
    where = getattr(check, "where", None)
    message = f"{_called(check)}: {text}" + (f", where {where}" if where else "")
    return RuleOutcome(
        rule=check.rule,
        column=check.column,
        severity=severity or check.severity,
        passed=passed,
        bound=check.wanted,
        message=message,
        id=check.id,
        group=check.GROUP,
        columns=check.columns,
        tags=check.tags,
        description=check.description,
        **more,
    )


def _called(check: Rule) -> str:
    if len(check.columns) == 1:
        return shown(check.columns[0])
    return " + ".join(shown(name) for name in check.columns[:5]) if check.columns else check.id


def _cannot(check: Rule, reason: str) -> RuleOutcome:
    return _outcome(check, False, f"{check.rule} cannot hold: {reason}")


def _of_rows(check: RowRule, place: int, counts: RowCounts | None) -> RuleOutcome:
    if counts is None:
        return _outcome(check, False, "was not checked: its stage did not run", severity="warning", certain=False)
    if place in counts.unfit:
        return _cannot(check, counts.unfit[place])
    count = counts.rules.get(place, RuleCount())
    level = check.level(count.failing, count.rows)
    share = count.failing / count.rows if count.rows else 0.0
    verb = "set aside" if check.action == "quarantine" else "at fault"
    if count.failing:
        found = f"{counted(count.failing, 'row')} of {count.rows:,} ({percent(share)}) {verb}"
    else:
        found = f"all {count.rows:,} rows keep to it"
    allowed = f", in all but {check.bound_words}" if check.bound_words else ""
    return _outcome(
        check,
        level is None,
        f"{found}; wanted {check.wanted}{allowed}",
        severity=level,
        failing_rows=count.failing,
        rows=count.rows,
        share=share,
        examples=tuple(dict.fromkeys(shown(row.value) if row.value is not None else "null" for row in count.first)),
        first=tuple(count.first),
        segments=_row_segments(check, count),
        segments_left_out=count.segments.dropped or len(count.segments.counts) > WORSE_SEGMENTS,
    )


def _row_segments(check: RowRule, count: RuleCount) -> tuple[SegmentOutcome, ...]:
    told = [
        SegmentOutcome(values=key[1], rows=rows, failing_rows=failing, passed=check.level(failing, rows) is None)
        for key, (rows, failing) in count.segments.counts.items()
        if rows
    ]
    told.sort(key=lambda one: (-(one.failing_rows or 0) / one.rows, _sortable(one.values)))
    return tuple(told[:WORSE_SEGMENTS])


def _judged(
    check: FigureRule, schema: pa.Schema, profile: Profile, found: Found
) -> Judged | UnfitError | NotMeasuredError:
    try:
        require_columns(schema, check.segments)
        check.check(schema)
        for task in tasks_of(check):
            task.measure.check(schema)
        return check.judge(_evidence(check, schema, profile, found))
    except (UnfitError, NotMeasuredError) as error:
        return error


def _weigh_chance(checks: Sequence[FigureRule], figures: dict[int, Judged | UnfitError | NotMeasuredError]) -> None:
    """Let a comparison with a reference pass where its effect may be chance, over all comparisons together.

    A small p-value makes no comparison fail: only one whose effect is too large is weighed at all.
    """
    compared = [(check, judged) for check in checks if isinstance(judged := figures[id(check)], Judged)]
    compared = [(check, judged) for check, judged in compared if judged.p_value is not None]
    adjusted = false_discoveries([judged.p_value or 0.0 for _, judged in compared]).tolist()
    for (check, judged), p_value in zip(compared, adjusted, strict=True):
        if not judged.passed and p_value > getattr(check, "alpha", ALPHA):
            found = f"{judged.found}, which may be chance (p = {p_value:.2g} over {len(compared)} comparisons)"
            figures[id(check)] = replace(judged, passed=True, found=found)


def _of_figure(
    check: FigureRule, judged: Judged | UnfitError | NotMeasuredError, schema: pa.Schema, found: Found
) -> RuleOutcome:
    if isinstance(judged, UnfitError):
        return _cannot(check, str(judged))
    if isinstance(judged, NotMeasuredError):
        milder: Severity = "info" if check.severity == "info" else "warning"
        text = f"not available, because {judged}; wanted {check.wanted}"
        return _outcome(check, False, text, severity=milder, certain=False)
    segments = _figure_segments(check, schema, found)
    return _outcome(
        check,
        judged.passed,
        f"{judged.found}; wanted {check.wanted}",
        severity=judged.severity,
        failing_rows=judged.failing_rows,
        rows=judged.rows,
        share=judged.share,
        figure=judged.figure,
        figure_low=judged.low,
        figure_high=judged.high,
        certain=judged.certain,
        examples=judged.examples,
        first=judged.first,
        segments=segments[:WORSE_SEGMENTS],
        segments_left_out=len(segments) > WORSE_SEGMENTS or _left_out(check, found),
    )


def _evidence(check: FigureRule, schema: pa.Schema, profile: Profile, found: Found) -> Evidence:
    measured = {}
    for measure in check.measures():
        task = Task(measure=measure)
        if task not in found.values:
            raise NotMeasuredError("its stage did not run")
        measured[measure] = found.values[task]
    if check.PROFILED and check.where is not None:
        task = Task(measure=profile_measure(check))
        if task not in found.values:
            raise NotMeasuredError("its stage did not run")
        profile = found.values[task]
    return Evidence(profile, schema, measured)


def _figure_segments(check: FigureRule, schema: pa.Schema, found: Found) -> tuple[SegmentOutcome, ...]:
    if not check.segments:
        return ()
    measures = check.measures()
    profiled = profile_measure(check) if check.PROFILED and check.columns else None
    by_measure = {
        measure: found.values.get(Task(measure=measure, segments=check.segments), {})
        for measure in (*measures, *((profiled,) if profiled else ()))
    }
    keys: dict[Key, int] = {}
    for values in by_measure.values():
        keys |= {key: rows for key, (rows, _) in values.items()}
    told = []
    for key, rows in keys.items():
        measured = {measure: values[key][1] for measure, values in by_measure.items() if key in values}
        profile = measured.get(profiled, Profile(rows=rows, columns=())) if profiled else Profile(rows=rows, columns=())
        try:
            judged = check.judge(Evidence(profile, schema, measured))
        except NotMeasuredError:
            judged = Judged(True, "")
        told.append(
            SegmentOutcome(
                values=key, rows=rows, failing_rows=judged.failing_rows, figure=judged.figure, passed=judged.passed
            )
        )
    told.sort(key=lambda one: (one.passed, _sortable(one.values)))
    return tuple(told)


def _left_out(check: FigureRule, found: Found) -> bool:
    return any(task in found.dropped for task in tasks_of(check) if task.segments)


def _sortable(values: Key) -> tuple[str, ...]:
    return tuple(value if value is not None else "" for value in values)
