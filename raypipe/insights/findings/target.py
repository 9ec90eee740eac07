"""Findings about the target: what goes with it, what may give it away, and how its classes balance."""

from __future__ import annotations

from collections.abc import Iterator

from raypipe.insights.effects import effect_word, score_limit
from raypipe.insights.facts import MIN_ROWS, Facts, graded, names_rows_or_things, sureness
from raypipe.insights.measures import LEAKAGE_STRENGTH
from raypipe.insights.models import Level, TargetRelation, TargetReport
from raypipe.insights.words import correlation, count, figure, moment, name, names, percent, plain
from raypipe.results import Insight

MIN_STRENGTH = 0.1
"""Cohen's small effect; weaker relations are not told, however certain."""
MAX_DRIVERS = 8
MIN_LEVEL_ROWS = 20
MAX_MAJORITY = 0.8
MIN_CLASS_SHARE = 0.05
MIN_DRIVERLESS_ROWS = 200


def unmeasured_target(facts: Facts) -> Iterator[Insight]:
    """A target that cannot be related to anything."""
    report = facts.target
    if report is None or report.column not in report.skipped or not facts.profile.rows:
        return
    yield Insight(
        type="target_unusable",
        category="feature_relationships",
        title=f"The target {name(report.column)} cannot be analysed",
        description=f"{name(report.column)} {report.skipped[report.column]}.",
        impact="No relation to the target was measured.",
        columns_affected=(report.column,),
        priority_score=graded(facts.profile.rows, (0, 6), (1000, 9)),
        evidence={"reason": report.skipped[report.column], "threshold": "2 to 200 classes, or a number that varies"},
        recommendation="Name another target_column, or mend this one.",
    )


def sure_relations(report: TargetReport) -> list[TargetRelation]:
    """Relations past the limits of strength and of chance (all columns tested together, also by ranks where that was
    tried), strongest first."""
    limit = score_limit(len(report.relations))
    return [
        relation
        for relation in report.relations
        if relation.rows >= MIN_ROWS
        and relation.strength >= MIN_STRENGTH
        and (relation.score or 0.0) >= limit
        and (relation.rank_score is None or relation.rank_score >= limit)
    ]


def drivers(facts: Facts) -> Iterator[Insight]:
    """The strongest relations to the target, and how strong they are.

    Numbers that name rows or things are left out: an id that grows with the rows follows whatever grows with time.
    """
    if facts.target is None:
        return
    naming = {column.name for column in facts.profile.columns if names_rows_or_things(column)}
    sure = [one for one in sure_relations(facts.target) if one.kind != "number" or one.column not in naming]
    leaked = {column for leak in facts.target.leaks if leak.kind != "too_good" for column in leak.columns}
    for relation in sure[:MAX_DRIVERS]:
        rank = facts.target.relations.index(relation) + 1
        if not relation.leakage_suspected and relation.column not in leaked:
            yield _driver(facts.target, relation, rank, len(facts.target.relations))
    weak = facts.target.relations and not sure and facts.target.rows >= MIN_DRIVERLESS_ROWS
    if weak:
        yield _driverless(facts.target)


def _driver(report: TargetReport, relation: TargetRelation, rank: int, tested: int) -> Insight:
    word = effect_word(relation.strength)
    return Insight(
        type="target_driver",
        category="feature_relationships",
        title=f"{name(relation.column)} goes with {name(report.column)} ({word})",
        description=f"{_measure_in_words(relation, report)}{_contrast(relation, report)}",
        impact=f"It ranks {rank} of {count(tested, 'column')} measured against the target.",
        columns_affected=(relation.column, report.column),
        priority_score=graded(relation.strength, (MIN_STRENGTH, 4), (0.8, 9)),
        evidence={
            "measure": relation.measure,
            "value": relation.value,
            "strength": relation.strength,
            "rows": relation.rows,
            "groups": relation.groups,
            "score": relation.score,
            "rank": rank,
            "kind": relation.kind,
            "threshold": {"strength": MIN_STRENGTH, "score": score_limit(tested)},
        },
        recommendation="Put it into the first model, after asking whether it is known before the target is; going"
        " together is no proof of cause.",
        effect_size=relation.value,
        effect_measure=relation.measure,
        interval=relation.interval,
        p_value=relation.q_value,
        confidence=None if relation.q_value is None else sureness(relation.q_value),
        chart="target",
    )


def _measure_in_words(relation: TargetRelation, report: TargetReport) -> str:
    if relation.measure == "pearson_r":
        way = "rises" if relation.value > 0 else "falls"
        return (
            f"{name(report.column)} {way} with it ({correlation(relation.value, relation.rows)});"
            f" a straight line explains {percent(relation.value**2)} of its spread."
        )
    if relation.measure == "eta_squared":
        if report.task == "classification":
            return f"Classes of the target explain {percent(relation.value)} of its spread ({relation.rows:,} rows)."
        groups = "bins" if relation.kind == "number" else "periods" if relation.kind == "time" else "values"
        return (
            f"Its {relation.groups or len(relation.levels)} {groups} explain {percent(relation.value)} of the spread of"
            f" {name(report.column)} (corrected eta squared, {relation.rows:,} rows)"
            + (", more than a straight line does." if relation.kind == "number" else ".")
        )
    return f"Bias-corrected Cramér's V is {figure(relation.value)} over {relation.rows:,} rows (0 none, 1 perfect)."


def _contrast(relation: TargetRelation, report: TargetReport) -> str:
    """The two levels farthest apart, among those with enough rows."""
    levels = [level for level in relation.levels if level.rows >= MIN_LEVEL_ROWS]
    if len(levels) < 2:
        return ""
    if report.task == "regression":
        known = sorted((level for level in levels if level.mean is not None), key=lambda level: level.mean or 0.0)
        low, high = known[0], known[-1]
        return (
            f" The mean of {name(report.column)} goes from {figure(low.mean or 0.0)} ({_level(low, relation.kind)}) to"
            f" {figure(high.mean or 0.0)} ({_level(high, relation.kind)})."
        )
    classes = sorted({label for level in levels for label in level.shares})
    if not classes:
        return ""
    spread = {label: [level.shares.get(label, 0.0) for level in levels] for label in classes}
    widest = max(classes, key=lambda label: max(spread[label]) - min(spread[label]))
    low, high = (pick(levels, key=lambda level: level.shares.get(widest, 0.0)) for pick in (min, max))
    first, last = (percent(level.shares.get(widest, 0.0)) for level in (low, high))
    return (
        f" The share of “{plain(widest)}” goes from {first} ({_level(low, relation.kind)}) to {last}"
        f" ({_level(high, relation.kind)})."
    )


def _level(level: Level, kind: str) -> str:
    label = f"from {moment(level.label)} on" if kind == "time" else f"“{plain(level.label, 40)}”"
    return f"{label}, {count(level.rows, 'row')}"


def _driverless(report: TargetReport) -> Insight:
    best = report.relations[0]
    return Insight(
        type="no_driver",
        category="feature_relationships",
        title=f"No column alone goes with {name(report.column)}",
        description=f"Of {count(len(report.relations), 'column')}, the strongest is {name(best.column)} with"
        f" {figure(best.strength)}, which chance or a negligible effect explains.",
        impact="A model that looks at columns one by one will do little better than the average.",
        columns_affected=(report.column,),
        priority_score=graded(report.rows, (MIN_DRIVERLESS_ROWS, 4), (10_000, 6)),
        evidence={
            "best": best.column,
            "strongest": best.strength,
            "score": best.score,
            "rows": report.rows,
            "threshold": MIN_STRENGTH,
        },
        recommendation="Look for columns that the table lacks, or for effects of columns in combination.",
    )


def leakage(facts: Facts) -> Iterator[Insight]:
    """Columns so close to the target that they may hold the answer, but for those of which rows show how they leak."""
    report = facts.target
    if report is None:
        return
    told = {column for leak in report.leaks if leak.kind != "too_good" for column in leak.columns}
    suspects = [r for r in sure_relations(report) if r.leakage_suspected and r.column not in told]
    for relation in suspects:
        yield Insight(
            type="leakage",
            category="feature_relationships",
            title=f"{name(relation.column)} may give {name(report.column)} away",
            description=f"{_measure_in_words(relation, report)} That is past the limit of {LEAKAGE_STRENGTH} from which"
            " a column may be the target under another name, or known only after it.",
            impact="A model that uses it looks better in tests than in use.",
            columns_affected=(relation.column, report.column),
            priority_score=graded(relation.strength, (LEAKAGE_STRENGTH, 9), (1.0, 10)),
            evidence={
                "measure": relation.measure,
                "value": relation.value,
                "strength": relation.strength,
                "rows": relation.rows,
                "threshold": LEAKAGE_STRENGTH,
            },
            recommendation=f"Leave {name(relation.column)} out, unless it is known before {name(report.column)} is.",
            effect_size=relation.value,
            effect_measure=relation.measure,
            interval=relation.interval,
            p_value=relation.q_value,
            confidence=0.9,
            chart="target",
        )


def class_imbalance(facts: Facts) -> Iterator[Insight]:
    """A target with one dominant class, or with very rare ones."""
    report = facts.target
    if report is None or report.task != "classification" or report.rows < 5 * MIN_ROWS or len(report.classes) < 2:
        return
    ordered = list(report.classes.items())
    (major, most), (minor, least) = ordered[0], ordered[-1]
    rare = [label for label, n in ordered if n < MIN_CLASS_SHARE * report.rows]
    majority = most / report.rows
    if majority < MAX_MAJORITY and (not rare or len(ordered) > 1 / MIN_CLASS_SHARE):
        return
    yield Insight(
        type="class_imbalance",
        category="data_distribution",
        title=f"Classes of {name(report.column)} are out of balance",
        description=f"“{plain(major)}” makes up {percent(majority)} of {report.rows:,} rows, “{plain(minor)}"
        f"” {percent(least / report.rows)} ({count(least, 'row')})."
        + (f" {count(len(rare), 'class', 'classes')} have less than {percent(MIN_CLASS_SHARE)}." if rare else ""),
        impact=f"Always saying “{plain(major)}” is right in {percent(majority)} of cases, and useless.",
        columns_affected=(report.column,),
        priority_score=graded(max(majority, 1 - least / report.rows), (0.8, 5), (0.999, 9)),
        evidence={
            "majority": plain(major),
            "minority": plain(minor),
            "majority_share": majority,
            "minority_share": least / report.rows,
            "classes": len(ordered),
            "rare_classes": rare[:10],
            "threshold": {"majority_share": MAX_MAJORITY, "class_share": MIN_CLASS_SHARE},
        },
        effect_size=majority,
        effect_measure="share_of_rows",
        confidence=1.0,
        chart="target",
        recommendation="Judge models by recall and precision of the rare class (or average precision), split by class,"
        " and weight classes.",
    )


def unlabelled(facts: Facts) -> Iterator[Insight]:
    """Columns that could not be measured against the target, told once."""
    report = facts.target
    if report is None or report.column in report.skipped or not report.skipped or not report.rows:
        return
    columns = list(report.skipped)
    share = len(columns) / (len(columns) + len(report.relations))
    if share < 0.5 or report.rows < MIN_ROWS:
        return
    yield Insight(
        type="columns_unmeasured",
        category="feature_relationships",
        title=f"{count(len(columns), 'column')} could not be measured against {name(report.column)}",
        description=f"{names(columns)}: for example, {name(columns[0])} {plain(report.skipped[columns[0]], 200)}.",
        impact="Relations that they may have stay unknown.",
        columns_affected=tuple(columns),
        priority_score=graded(share, (0.5, 2), (1.0, 6)),
        evidence={"columns": len(columns), "share": share, "threshold": 0.5},
        recommendation="Group rare values, or derive numbers from these columns.",
    )
