"""Findings about the target that need rows: leaks by kind, segments, drift, and how far simple models come."""

from __future__ import annotations

import re
from collections.abc import Iterator

from raypipe.insights.facts import Facts, graded, sureness
from raypipe.insights.findings import series
from raypipe.insights.models import TargetReport
from raypipe.insights.target.models import Baseline, Leak, Segment, TargetDrift
from raypipe.insights.words import count, figure, name, names, percent, plain
from raypipe.results import Insight

MAX_SEGMENTS = 5
MIN_SKILL = 0.05
_BOUND = re.compile(r"^(.* (?:<|≤|>|≥)) \S+$", re.DOTALL)
"""A condition on a number, without its bound."""
CLOSE = 0.3
"""Strength from which a column that may be known too late is told to go with the target."""


def derived_or_later(facts: Facts) -> Iterator[Insight]:
    """Leaks that rows show: the target made of a column, or a column that is known only later. The merely too good
    are told by `target.leakage`."""
    report = facts.target
    if report is None:
        return
    by: dict[tuple[str, ...], list[Leak]] = {}
    together: list[Leak] = []
    for leak in report.leaks:
        if leak.how == "filled_with_target":
            together.append(leak)
        elif leak.kind != "too_good":
            by.setdefault(leak.columns, []).append(leak)
    for columns, leaks in by.items():
        yield _leak(report, columns, leaks)
    if together:
        # One cause, as a rule: rows for which nothing has happened yet.
        yield _leak(report, tuple(column for leak in together for column in leak.columns), together)


def _leak(report: TargetReport, columns: tuple[str, ...], leaks: list[Leak]) -> Insight:
    derived = any(leak.kind == "derived" for leak in leaks)
    sure = max(leak.share for leak in leaks)

    goal, given = name(report.column), names(columns, 5)
    what = f"{goal} can be worked out from {given}" if derived else f"{given} may be known only after {goal}"
    return Insight(
        type="leakage",
        category="feature_relationships",
        title=what,
        description=_how(report, leaks),
        impact=f"A model that uses {'it' if len(columns) == 1 else 'them'} looks better in tests than in use.",
        columns_affected=(*columns, report.column),
        priority_score=graded(sure, (0.9, 8), (1.0, 10)) if derived else 8,
        evidence={
            "kinds": [leak.kind for leak in leaks],
            "read_from": "target.json, leaks",
            "how": [leak.how for leak in leaks],
            "share": sure,
            "rows": max(leak.rows for leak in leaks),
            "threshold": 0.99 if derived else 0.9,
        },
        recommendation=f"Leave {names(columns, 5)} out, unless known before {name(report.column)} is.",
        effect_size=sure,
        effect_measure="share_of_rows",
        confidence=0.99 if derived else 0.9,
        chart="target",
    )


def _how(report: TargetReport, leaks: list[Leak]) -> str:
    """What was seen of each leak; where several columns are filled with the target, in one sentence for all."""
    if len(leaks) == 1 or any(leak.how != "filled_with_target" for leak in leaks):
        return " ".join(leak.text for leak in leaks)
    low, high = (percent(pick(leak.share for leak in leaks)) for pick in (min, max))
    shares = low if low == high else f"{low} to {high}"
    columns = [column for leak in leaks for column in leak.columns]
    told = f"They are filled where {name(report.column)} is known, and empty where it is not, in {shares} of"
    told += f" {leaks[0].rows:,} rows."
    best = next((one for one in report.relations if one.column in columns), None)
    if best is None or best.strength < CLOSE:
        return told
    return f"{told} {name(best.column)} goes with it most closely (strength {figure(round(best.strength, 3))})."


def segments(facts: Facts) -> Iterator[Insight]:
    """Groups of rows in which the target differs: those of two conditions, and of one where no driver tells it."""
    report = facts.target
    if report is None:
        return
    told: dict[tuple[str, ...], Segment] = {}
    for segment in report.segments:
        if segment.adds:
            told.setdefault(_sides(segment), segment)
    for segment in list(told.values())[:MAX_SEGMENTS]:
        yield _segment(report, segment)


def _sides(segment: Segment) -> tuple[str, ...]:
    """Conditions without their bounds: groups that differ in those alone are told by the one of largest effect."""
    return (str(segment.label), *sorted(_BOUND.sub(r"\1", condition) for condition in segment.conditions))


def _segment(report: TargetReport, one: Segment) -> Insight:
    goal = name(report.column)
    where = " and ".join(one.conditions)
    if one.label is None:
        what = f"the median of {goal} is {figure(one.inside)}, elsewhere {figure(one.outside)}"
    else:
        what = f"{goal} is “{plain(one.label, 40)}” in {percent(round(one.inside, 3))} of rows, elsewhere in"
        what += f" {percent(round(one.outside, 3))}"
    way = "higher" if one.effect > 0 else "lower"
    about = f"{goal} is {way}" if one.label is None else f"“{plain(one.label, 40)}” is {_often(one)}"
    return Insight(
        type="segment",
        category="feature_relationships",
        title=f"{about} where {where}",
        description=f"Where {where} ({percent(round(one.support, 3))} of rows), {what}. Found on one half of the"
        f" sampled rows, and confirmed on {count(one.rows, 'row')} of the other.",
        impact="Both conditions are needed: neither column alone shows it in full."
        if len(one.conditions) > 1
        else "An average over all rows hides it.",
        columns_affected=tuple(dict.fromkeys((*one.columns, report.column))),
        priority_score=graded(abs(one.effect), (0.1, 5), (0.7, 8)),
        evidence={
            "conditions": list(one.conditions),
            "label": one.label,
            "inside": one.inside,
            "outside": one.outside,
            "support": one.support,
            "rows": one.rows,
            "effect": one.effect,
            "p_value": one.p_value,
            "threshold": {"p_value": 0.001, "support": 0.02},
        },
        recommendation="Look at these rows apart, and let a model combine the two columns."
        if len(one.conditions) > 1
        else "Look at these rows apart.",
        effect_size=one.effect,
        effect_measure="rank_biserial" if one.label is None else "difference_of_shares",
        interval=one.interval,
        p_value=one.p_value,
        confidence=sureness(one.p_value),
        chart="target",
    )


def _often(one: Segment) -> str:
    return "more frequent" if one.effect > 0 else "rarer"


def target_drift(facts: Facts) -> Iterator[Insight]:
    """A target that changes over time, unless its trend is told with the course over time already."""
    report = facts.target
    if report is None or report.drift is None or not report.drift.drifts:
        return
    if report.drift.label is None and facts.series is not None and _told_as_trend(facts):
        return
    yield _drift(report, report.drift)


def _told_as_trend(facts: Facts) -> bool:
    told = (*series.trends(facts), *series.change_points(facts), *series.wandering(facts))
    return any(facts.target_name in insight.columns_affected for insight in told)


def _drift(report: TargetReport, drift: TargetDrift) -> Insight:
    low, high = min(drift.values), max(drift.values)
    at = {value: drift.periods[i][:10] for i, value in reversed(list(enumerate(drift.values)))}
    first, last = (low, high) if drift.effect > 0 else (high, low)
    if drift.label is None:
        what = f"Its mean goes from {figure(first)} (from {at[first]}) to {figure(last)} (from {at[last]})"
    else:
        what = f"The share of “{plain(drift.label, 40)}” goes from {percent(round(first, 3))} (from {at[first]}) to"
        what += f" {percent(round(last, 3))} (from {at[last]})"
    return Insight(
        type="target_drift",
        category="trends",
        title=f"{name(report.column)} is not the same over time",
        description=f"{what}, by {len(drift.periods)} periods of about equal numbers of rows; its own memory does not"
        " explain that.",
        impact="A model of the past meets another target in the future; a random split into training and test rows"
        " would hide it.",
        columns_affected=(report.column, drift.column),
        priority_score=graded(abs(drift.effect), (0.1, 6), (1.0, 8)),
        evidence={
            "periods": list(drift.periods),
            "label": drift.label,
            "values": [round(value, 6) for value in drift.values],
            "effect": drift.effect,
            "p_value": drift.p_value,
            "threshold": {"p_value": 0.001, "effect": 0.2 if drift.label is None else 0.1},
        },
        recommendation="Split by time when testing models, weight recent rows, and watch the target in use.",
        effect_size=drift.effect,
        effect_measure="standard_deviations" if drift.label is None else "difference_of_shares",
        interval=drift.interval,
        p_value=drift.p_value,
        confidence=sureness(drift.p_value),
        chart="target",
    )


def predictable(facts: Facts) -> Iterator[Insight]:
    """How much of the target simple models explain on rows that they did not see, if anything for sure."""
    report = facts.target
    if report is None or report.baselines is None:
        return
    models = [model for model in report.baselines.models if model.model != "average"]
    best = max(models, key=lambda model: model.skill, default=None)
    if best is None or not is_sure(best):
        return
    yield _predictable(report, best, models)


def is_sure(model: Baseline) -> bool:
    """Whether it beats the average in every part, and by more than the parts differ."""
    return model.skill >= MIN_SKILL and min(model.skill_folds) > 0 and model.skill > 2 * model.skill_std


def _predictable(report: TargetReport, best: Baseline, models: list[Baseline]) -> Insight:
    baselines = report.baselines
    assert baselines is not None
    how = "later rows than it learned from" if baselines.split == "time" else "rows that it did not learn from"
    share = "of its spread" if report.task == "regression" else "of the surprise (log loss) of its classes"
    rest = [model for model in models if model.model != best.model]
    others = ", ".join(f"{model.model} {percent(max(round(model.skill, 3), 0.0))}" for model in rest)
    beside = f" Others: {others}." if rest else ""
    used = f" It leans most on {names(best.columns, 3)}." if best.columns else ""
    auc = f" (area under the ROC curve {figure(round(best.auc, 3))})" if best.auc is not None else ""
    half, parts = best.skill_std, baselines.folds
    return Insight(
        type="predictable_target",
        category="model_performance",
        title=f"A simple model explains {percent(round(best.skill, 2))} of {name(report.column)}",
        description=f"The best simple model ({best.model}) explains {percent(round(best.skill, 3))} {share} on"
        f" {how}{auc}, give or take {percent(round(half, 3))} between {parts} parts.{beside}{used}",
        impact="A better model has to beat this; suspects of leakage were left out.",
        columns_affected=(report.column, *best.columns[:3]),
        priority_score=graded(best.skill, (0.05, 4), (0.8, 7)),
        evidence={
            "best": best.skill,
            "model": best.model,
            "skill": {model.model: round(model.skill, 4) for model in models},
            "folds": [round(value, 4) for value in best.skill_folds],
            "split": baselines.split,
            "rows": baselines.rows,
            "threshold": MIN_SKILL,
        },
        recommendation="Take it as the mark that any model must beat.",
        effect_size=best.skill,
        effect_measure="r_squared" if report.task == "regression" else "log_loss_saved",
        interval=(best.skill - 2 * half, best.skill + 2 * half),
        confidence=0.95,
        chart="target",
    )
