"""Findings about patterns across columns: clusters, odd rows, dependencies and values that go together."""

from __future__ import annotations

from collections.abc import Iterator

from raypipe.insights.facts import Facts, graded, sureness
from raypipe.insights.groups import linked_groups
from raypipe.insights.patterns.models import Cluster, Contrast, Dependency, PatternsReport, Rule
from raypipe.insights.words import count, figure, name, names, percent, plain, sentence, times
from raypipe.results import Insight

MAX_TOLD = 3
"""Clusters, contrasts or rows that a text names."""
MIN_STABILITY = 0.6
"""Adjusted Rand index over resamples below which clusters are not told."""
MIN_PART = 0.1
"""Part in the distances of odd rows from which a column is named."""


def clusters(facts: Facts) -> Iterator[Insight]:
    """Groups of rows with little between them."""
    report = facts.patterns
    if report is None or not report.clusters.k or (report.clusters.stability or 0.0) < MIN_STABILITY:
        return
    found = report.clusters
    told = " ".join(_cluster(i, one, found.columns) for i, one in enumerate(found.clusters[:MAX_TOLD], 1))
    more = f" {len(found.clusters) - MAX_TOLD} more are smaller." if len(found.clusters) > MAX_TOLD else ""
    valley = found.valley if found.valley is not None else 1.0
    yield Insight(
        type="clusters",
        category="clustering",
        title=f"Rows fall into {found.k} clusters by {names(found.columns, 3)}",
        description=f"{told}{more} Between them rows are {_thin(valley)}; on resampled rows the same clusters come back"
        f" (adjusted Rand index {figure(round(found.stability or 0.0, 2))}, silhouette"
        f" {figure(round(found.silhouette or 0.0, 2))}).",
        impact="Means and models over all rows mix kinds that behave differently.",
        columns_affected=found.columns,
        priority_score=graded(found.silhouette or 0.0, (0.2, 5), (0.8, 7)),
        evidence={
            "clusters": found.k,
            "shares": [round(one.share, 4) for one in found.clusters],
            "valley": found.valley,
            "silhouette": found.silhouette,
            "stability": found.stability,
            "prediction_strength": {str(k): round(v, 3) for k, v in found.prediction_strength.items()},
            "rows": found.rows,
            "threshold": {"prediction_strength": 0.8, "valley": 0.6},
        },
        recommendation="Look at the clusters apart, or give models a column that tells them apart.",
        effect_size=found.silhouette,
        effect_measure="silhouette",
        p_value=found.p_value,
        confidence=min(0.99, found.stability or 0.0),
    )


def _thin(valley: float) -> str:
    return "nearly absent" if valley < 0.02 else f"{percent(round(valley, 2))} as dense as at the lower peak"


def _cluster(number: int, one: Cluster, columns: tuple[str, ...]) -> str:
    own = [contrast for contrast in one.contrasts if contrast.column in columns]
    rest = [contrast for contrast in one.contrasts if contrast.column not in columns]
    told = "; ".join(_contrast(contrast) for contrast in [*own[:2], *rest[:1]])
    return f"Cluster {number} ({percent(round(one.share, 3))} of rows)" + (f": {told}." if told else ".")


def _contrast(one: Contrast) -> str:
    if one.kind == "number":
        return f"{name(one.column)} around {figure(one.inside)} (elsewhere {figure(one.outside)})"
    where = f"{percent(round(one.inside, 3))} (elsewhere {percent(round(one.outside, 3))})"
    return f"{name(one.column)} is “{plain(one.level or '', 40)}” in {where}"


def anomalous_rows(facts: Facts) -> Iterator[Insight]:
    """Rows that lie apart from all others in several columns at once, or in one."""
    report = facts.patterns
    if report is None or not report.anomalies.count:
        return
    found = report.anomalies
    columns = [column for column, part in found.columns.items() if part >= MIN_PART][:5] or list(found.columns)[:1]
    low, high = found.interval or (0.0, 1.0)
    sampled = report.rows_used < facts.profile.rows
    about = f" of {found.rows:,} sampled rows (in the whole table {percent(low)} to {percent(high)})" if sampled else ""
    first = found.odd[0] if found.odd else None
    example = ""
    if first is not None and first.values:
        known = {column: first.values[column] for column in columns if column in first.values}
        known = known if len(known) > 1 else first.values
        values = ", ".join(f"{name(column)} {_shown(value)}" for column, value in known.items())
        key = f" ({name(found.key_column)} {plain(first.key, 40)})" if found.key_column and first.key else ""
        example = f" The farthest one{key} has {values}."
    rows, verb = count(found.count, "row"), "lies" if found.count == 1 else "lie"
    yield Insight(
        type="anomalous_rows",
        category="anomalies",
        title=f"{rows}{' of the sample' if sampled else ''} {verb} apart in {names(columns, 3)}",
        description=f"{rows}{about} {verb} beyond a gap: at least {times(found.gap or 1)}"
        f" times as far from the core of the rows as any other, which their tail does not explain.{example}",
        impact="A few rows of another kind, such as errors of entry or of a sensor, can bend means, correlations and"
        " models.",
        columns_affected=tuple(columns),
        priority_score=graded(found.share, (0.0, 6), (0.05, 8)),
        evidence={
            "rows": found.count,
            "rows_looked_at": found.rows,
            "share": found.share,
            "gap": found.gap,
            "tail_index": found.tail_index,
            "columns": {column: round(part, 3) for column, part in list(found.columns.items())[:5]},
            "examples": [one.model_dump() for one in found.odd[:MAX_TOLD]],
            "threshold": "p < 0.001 for all gaps tried",
        },
        recommendation="Look at these rows; if they are errors set them aside by a rule, if not report them apart.",
        effect_size=found.share,
        effect_measure="share_of_rows",
        interval=found.interval,
        p_value=found.p_value,
        confidence=sureness(found.p_value),
    )


def _shown(value: object) -> str:
    return figure(value) if isinstance(value, int | float) and not isinstance(value, bool) else plain(str(value), 40)


def dependencies(facts: Facts) -> Iterator[Insight]:
    """Columns that follow from others: groups that tell the same thing, and one-way dependencies by what they follow
    from."""
    report = facts.patterns
    if report is None:
        return
    same = [one for one in report.dependencies if one.both_ways]
    for group in linked_groups((one.determinant[0], one.dependent) for one in same):
        inside = [one for one in same if one.dependent in group]
        yield _one_to_one(group, inside, report, facts)
    by: dict[tuple[str, ...], list[Dependency]] = {}
    for one in report.dependencies:
        if not one.both_ways and facts.target_name not in (one.dependent, *one.determinant):
            by.setdefault(one.determinant, []).append(one)
    for determinant, found in by.items():
        if len(determinant) == 1:
            yield _follows(determinant, found, report, facts)


def _one_to_one(group: list[str], found: list[Dependency], report: PatternsReport, facts: Facts) -> Insight:
    worst = max(one.g3 for one in found)
    return Insight(
        type="same_information",
        category="feature_relationships",
        title=f"{names(group, 4)} tell the same thing",
        description=f"Each value of one goes with one value of the other{_but(worst, found[0].rows, report, facts)}.",
        impact="Keeping both in a model or a report counts one fact twice.",
        columns_affected=tuple(group),
        priority_score=graded(worst, (0.0, 5), (0.01, 4)),
        evidence={"g3": worst, "lambda": min(one.lift for one in found), "rows": found[0].rows, "threshold": 0.01},
        recommendation=f"Keep {name(group[0])} or whichever is easiest to read, and leave out the rest.",
        effect_size=min(one.lift for one in found),
        effect_measure="lambda",
        confidence=_confidence(found[0]),
    )


def _follows(determinant: tuple[str, ...], found: list[Dependency], report: PatternsReport, facts: Facts) -> Insight:
    told = [one.dependent for one in found]
    worst = max(found, key=lambda one: one.g3)
    odd = f" Values with exceptions: {', '.join(plain(text, 30) for text in worst.exceptions)}." if worst.g3 else ""
    return Insight(
        type="dependency",
        category="feature_relationships" if not worst.g3 else "data_quality",
        title=f"{names(told, 3)} {'follows' if len(told) == 1 else 'follow'} from {names(determinant)}",
        description=f"Each of the {worst.groups:,} values of {names(determinant)} goes with one value of"
        f" {names(told, 3)}{_but(worst.g3, worst.rows, report, facts)}.{odd}",
        impact="The exceptions may be errors of entry."
        if worst.g3
        else f"Beside {names(determinant)} {'it says' if len(told) == 1 else 'they say'} nothing new.",
        columns_affected=(*determinant, *told),
        priority_score=graded(worst.g3, (0.0, 3), (0.01, 6)),
        evidence={
            "g3": worst.g3,
            "lambda": min(one.lift for one in found),
            "follow": told,
            "rows": worst.rows,
            "groups": worst.groups,
            "exceptions": list(worst.exceptions),
            "threshold": 0.01,
        },
        recommendation="Look at the exceptions; if they are errors, make it a rule of validation that sets them aside."
        if worst.g3
        else f"In a model keep one of them: {names(determinant)} for detail, or the coarser {names(told, 3)}.",
        effect_size=min(one.lift for one in found),
        effect_measure="lambda",
        confidence=_confidence(worst),
    )


def _but(g3: float, rows: int, report: PatternsReport, facts: Facts) -> str:
    of = f"{rows:,} sampled rows" if report.rows_used < facts.profile.rows else f"{rows:,} rows"
    return f" in each of {of}" if not g3 else f", but for {percent(g3)} of {of}"


def _confidence(one: Dependency) -> float:
    """Less for a sample: the upper end of the share of exceptions."""
    return max(0.0, 1 - one.interval[1])


def going_together(facts: Facts) -> Iterator[Insight]:
    """Values of two or three columns that occur together: one finding for each set of columns."""
    report = facts.patterns
    if report is None:
        return
    by: dict[tuple[str, ...], list[Rule]] = {}
    for rule in report.rules:
        by.setdefault(tuple(sorted(column for column, _ in rule.items)), []).append(rule)
    for columns, rules in by.items():
        if facts.target_name not in columns:
            yield _together(columns, rules, report)


def _together(columns: tuple[str, ...], rules: list[Rule], report: PatternsReport) -> Insight:
    best = rules[0]
    told = "; ".join(_rule(rule) for rule in rules[:MAX_TOLD])
    more = f" (and {len(rules) - MAX_TOLD} more)" if len(rules) > MAX_TOLD else ""
    return Insight(
        type="frequent_pattern",
        category="feature_relationships",
        title=f"Values of {names(columns)} go together",
        description=f"{sentence(told)}{more}.",
        impact="The columns are not independent: a share in one of them is explained in part by the other.",
        columns_affected=columns,
        priority_score=graded(best.phi, (0.3, 3), (0.9, 6)),
        evidence={
            "phi": best.phi,
            "rules": [rule.model_dump(mode="json") for rule in rules[:5]],
            "rows": report.rows_used,
            "threshold": {"phi": 0.3, "p_value": 0.001},
        },
        recommendation="Compare groups of one column within the values of the other.",
        effect_size=best.phi,
        effect_measure="phi",
        p_value=best.p_value,
        confidence=sureness(best.p_value),
    )


def _rule(rule: Rule) -> str:
    *given, last = (f"{name(column)} = “{plain(value, 40)}”" for column, value in rule.items)
    return (
        f"where {' and '.join(given)}, {last} in {percent(round(rule.confidence, 3))} of rows,"
        f" {times(rule.lift)} times as often as by chance"
    )
