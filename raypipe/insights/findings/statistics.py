"""Findings that rest on the statistics of pairs: associations, curves, groups that differ, gaps that follow a column.

Each needs an effect that matters, a test that stays sure after correction for all that was tried, and (where it is a
comparison of means) a second test that no extreme value can decide. Benford's law, normality and the shape of single
columns stay figures: departures from them are no news without knowing what a column means.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from raypipe.insights.facts import Facts, graded, names_rows_or_things, names_things
from raypipe.insights.findings.associations import strong_pairs
from raypipe.insights.groups import linked_groups
from raypipe.insights.relation_sums import OTHER
from raypipe.insights.statistics.models import (
    GroupComparison,
    Interval,
    MissingRelation,
    PairStatistics,
    PartialCorrelation,
    Statistics,
)
from raypipe.insights.words import count, figure, name, percent, plain
from raypipe.results import Insight

MAX_P = 0.001
"""After correction."""
MIN_ROWS = 100
MIN_V = 0.3
"""Cohen's medium effect, as a correlation."""
MIN_EPSILON = 0.06
"""Cohen's medium effect, as a share of the spread."""
MIN_CURVE = 0.15
"""By how much a measure of any relation must pass that of a straight line, as a share of the spread."""
TOLD_R = 0.7
"""From this Pearson's r on, the correlation itself is told elsewhere."""
ALIKE_R = 0.9
"""From this Pearson's r on, what is told of one column is not told of the other again."""
MIN_LOST = 0.3
MAX_LEFT = 0.15
MIN_GAP_V = 0.2
MIN_GAP_CONTRAST = 0.1
SURE = 0.95
SURE_OF_SAMPLE = 0.9


def _pairs(facts: Facts) -> Iterator[tuple[PairStatistics, Statistics]]:
    """Sure pairs of columns, but for those with the target, which are told with it."""
    found = facts.statistics
    if found is None:
        return
    for pair in found.pairs:
        if pair.adjusted_p <= MAX_P and pair.rows >= MIN_ROWS and facts.target_name not in pair.columns:
            yield pair, found


def _same(facts: Facts, a: tuple[str, ...], b: tuple[str, ...]) -> bool:
    """Whether two tuples of columns are of the same or nearly the same ones, in any order."""
    return any(all(x == y or _alike(facts, x, y) for x, y in zip(a, order, strict=True)) for order in (b, b[::-1]))


def _alike(facts: Facts, a: str, b: str) -> bool:
    """Whether two number columns hold nearly the same information."""
    matrix = facts.profile.correlation
    if a not in matrix.columns or b not in matrix.columns:
        return False
    r = matrix.r[matrix.columns.index(a)][matrix.columns.index(b)]
    return r is not None and abs(r) >= ALIKE_R


def associations(facts: Facts) -> Iterator[Insight]:
    """Two categories that go together."""
    for pair, found in _pairs(facts):
        v = pair.measure("cramers_v")
        if pair.kinds != ("category", "category") or v is None or v.interval is None or v.interval[0] < MIN_V:
            continue
        (a, b), share = pair.columns, pair.measure("mutual_information_share")
        told = (
            ""
            if share is None
            else f" Knowing one takes up to {percent(share.value)} of the uncertainty about the other away."
        )
        yield Insight(
            type="association",
            category="feature_relationships",
            title=f"{name(a)} and {name(b)} go together",
            description=f"Cramér's V is {figure(v.value)} ({_interval(v.interval)}; {_basis(pair.rows, pair.exact)})."
            f"{told}",
            impact=_shared(v.value),
            columns_affected=pair.columns,
            priority_score=graded(v.value, (MIN_V, 3), (1.0, 7)),
            evidence=_evidence(pair, found, MIN_V),
            recommendation=f"Read effects of {name(a)} and {name(b)} together, and look at the table of their counts.",
            effect_size=v.value,
            effect_measure="cramers_v",
            interval=v.interval,
            p_value=pair.adjusted_p,
            confidence=_confidence(pair.exact),
        )


def _shared(v: float) -> str:
    if v >= 0.9:
        return "One nearly gives the other away."
    return "They share much of their information." if v >= 0.5 else "They share a part of their information."


def curved_relations(facts: Facts) -> Iterator[Insight]:
    """Two numbers whose relation a straight line misses; for near copies of a column, once.

    Columns that are told to hang together are not told again.
    """
    told: list[tuple[str, ...]] = [
        pair for group in linked_groups(strong_pairs(facts)) for pair in combinations(group, 2)
    ]
    naming = {column.name for column in facts.profile.columns if names_rows_or_things(column)}
    for pair, found in _pairs(facts):
        v, r, rho = pair.measure("cramers_v"), pair.measure("pearson"), pair.measure("spearman")
        phi = pair.measure("phi_k")
        if pair.kinds != ("number", "number") or v is None or r is None or rho is None or phi is None:
            continue
        if naming & set(pair.columns):
            continue
        if abs(r.value) >= TOLD_R or v.interval is None or any(_same(facts, pair.columns, one) for one in told):
            continue
        monotone = rho.value**2 - r.value**2 >= MIN_CURVE and rho.interval is not None
        bent = phi.value**2 - max(rho.value**2, r.value**2) >= 2 * MIN_CURVE and v.interval[0] >= MIN_V
        if monotone or bent:
            told.append(pair.columns)
        if monotone:
            yield _curve(pair, found, "follow each other, but not along a line", "spearman", rho.value, rho.interval)
        elif bent:
            yield _curve(pair, found, "depend on each other on a curve that turns", "cramers_v", v.value, v.interval)


def _curve(
    pair: PairStatistics, found: Statistics, how: str, measure: str, value: float, interval: Interval | None
) -> Insight:
    a, b = pair.columns
    r, rho, v = (pair.measure(one) for one in ("pearson", "spearman", "cramers_v"))
    assert r is not None
    assert rho is not None
    assert v is not None
    return Insight(
        type="curved_relation",
        category="correlation",
        title=f"{name(a)} and {name(b)} {how}",
        description=f"Pearson's r is only {figure(r.value)}, while Spearman's is {figure(rho.value)} and Cramér's V of"
        f" their bins {figure(v.value)} ({_basis(pair.rows, pair.exact)}).",
        impact="A correlation matrix or a straight-line model understates how much one says about the other.",
        columns_affected=pair.columns,
        priority_score=graded(abs(value), (MIN_V, 4), (0.9, 7)),
        evidence={**_evidence(pair, found, MIN_CURVE), "bent": measure == "cramers_v"},
        recommendation="Plot the two against each other; transform one of them, or use a model that bends (trees).",
        effect_size=value,
        effect_measure=measure,
        interval=interval,
        p_value=pair.adjusted_p,
        confidence=_confidence(pair.exact),
    )


def group_differences(facts: Facts) -> Iterator[Insight]:
    """Numbers that differ between the values of a category; each number is told once, with its strongest category."""
    found = facts.statistics
    if found is None:
        return
    told: list[GroupComparison] = []
    for one in found.groups:
        if facts.target_name in (one.category, one.number) or not _differs(one):
            continue
        if names_things(facts.columns[one.number]):
            continue
        if any(one.number == other.number or _alike(facts, one.number, other.number) for other in told):
            continue
        told.append(one)
        yield _difference(one, facts, found)


def _differs(one: GroupComparison) -> bool:
    """Whether means and ranks agree that the groups differ by more than chance, and enough to matter."""
    sure = one.kruskal_p <= MAX_P and one.welch_p is not None and one.welch_p <= MAX_P
    large = one.interval[0] >= MIN_EPSILON / 2 and min(one.epsilon_squared, one.rank_epsilon_squared) >= MIN_EPSILON
    return sure and large and one.rows >= MIN_ROWS


def _difference(one: GroupComparison, facts: Facts, found: Statistics) -> Insight:
    pooled = _pooled(facts, one)
    ordered = sorted(
        (group for group in one.groups if not pooled or group.value != OTHER), key=lambda group: group.mean
    )
    low, high = ordered[0], ordered[-1]
    apart = "" if one.cohens_d is None else f" (Cohen's d {figure(abs(one.cohens_d))})"
    return Insight(
        type="group_difference",
        category="feature_relationships",
        title=f"{name(one.number)} differs between the values of {name(one.category)}",
        description=f"{_values(facts, one)} explain {percent(one.epsilon_squared)} of its spread"
        f" ({_interval(one.interval, share=True)};"
        f" {_basis(one.rows, one.exact)}). The mean goes from {figure(low.mean)} (“{plain(low.value, 40)}”,"
        f" {count(low.rows, 'row')}) to {figure(high.mean)} (“{plain(high.value, 40)}”, {count(high.rows, 'row')})"
        f"{' among them' if pooled else ''}{apart}.",
        impact="One average over all rows mixes groups that are not alike.",
        columns_affected=(one.number, one.category),
        priority_score=graded(one.epsilon_squared, (MIN_EPSILON, 4), (0.6, 8)),
        evidence={
            "epsilon_squared": one.epsilon_squared,
            "rank_epsilon_squared": one.rank_epsilon_squared,
            "welch_f": one.welch_f,
            "kruskal_h": one.kruskal_h,
            "groups": len(one.groups),
            "pooled": pooled,
            "lowest": low.model_dump(),
            "highest": high.model_dump(),
            "rows": one.rows,
            "comparisons_tried": found.groups_tested,
            "threshold": {"epsilon_squared": MIN_EPSILON, "p": MAX_P},
        },
        recommendation=f"Report {name(one.number)} by {name(one.category)}, and ask what makes the groups differ before"
        " comparing anything else across them.",
        effect_size=one.epsilon_squared,
        effect_measure="epsilon_squared",
        interval=one.interval,
        p_value=max(one.welch_p or 0.0, one.kruskal_p),
        confidence=_confidence(one.exact),
    )


def _pooled(facts: Facts, one: GroupComparison) -> bool:
    """Whether rare values of the category were compared as one."""
    distinct = facts.columns[one.category].distinct
    return distinct is None or distinct.count > len(one.groups)


def _values(facts: Facts, one: GroupComparison) -> str:
    """What was compared: all values of the category, or the most frequent and the rest."""
    if not _pooled(facts, one):
        return f"The {len(one.groups):,} values of {name(one.category)}"
    told = sum(group.value != OTHER for group in one.groups)
    return f"The {told:,} most frequent values of {name(one.category)}, the others taken as one,"


def explained_correlations(facts: Facts) -> Iterator[Insight]:
    """Correlations that vanish when the other number columns are held fixed."""
    found = facts.statistics
    if found is None or found.rows < MIN_ROWS:
        return
    told: list[tuple[str, ...]] = []
    for one in found.partial:
        interval = one.interval
        if facts.target_name in one.columns or interval is None or abs(one.r) < MIN_LOST or abs(one.r) >= TOLD_R:
            continue
        vanished = interval[0] >= -MAX_LEFT and interval[1] <= MAX_LEFT
        turned = one.r * one.partial < 0 and abs(one.partial) >= MIN_LOST and one.p_value <= MAX_P
        if (vanished or turned) and not any(_same(facts, one.columns, other) for other in told):
            told.append(one.columns)
            yield _explained(one, found, turned=turned)


def _explained(one: PartialCorrelation, found: Statistics, *, turned: bool) -> Insight:
    a, b = one.columns
    what = "turns around" if turned else "vanishes"
    return Insight(
        type="explained_correlation",
        category="correlation",
        title=f"The correlation of {name(a)} and {name(b)} {what} when other columns are held fixed",
        description=f"Alone it is r = {figure(one.r)}; with the other number columns held fixed, {figure(one.partial)}"
        f" ({_interval(one.interval)}).",
        impact="What looks like a link between the two is consistent with both following other columns.",
        columns_affected=one.columns,
        priority_score=graded(abs(one.r - one.partial), (MIN_LOST, 4), (1.0, 7)),
        evidence={
            "r": one.r,
            "partial": one.partial,
            "rows": found.rows,
            "threshold": {"r": MIN_LOST, "left": MAX_LEFT},
        },
        recommendation="Do not read the one as acting on the other; put the columns that both follow into the model.",
        effect_size=one.partial,
        effect_measure="partial_correlation",
        interval=one.interval,
        p_value=one.p_value,
        confidence=SURE,
    )


def gaps_that_follow(facts: Facts) -> Iterator[Insight]:
    """Columns whose gaps depend on the values of another; each is told once, with the strongest of those."""
    found = facts.statistics
    if found is None:
        return
    told: set[str] = set()
    for one in found.missing.relations:
        rates = list(one.rates.values())
        contrast = max(rates, default=0.0) - min(rates, default=0.0)
        sure = one.adjusted_p <= MAX_P and one.rows >= MIN_ROWS and one.interval[0] >= MIN_GAP_V / 2
        if one.column in told or not sure or one.cramers_v < MIN_GAP_V or contrast < MIN_GAP_CONTRAST:
            continue
        told.add(one.column)
        yield _gap(one, found)


def _gap(one: MissingRelation, found: Statistics) -> Insight:
    exact = found.sample.is_table
    ordered = sorted(one.rates.items(), key=lambda item: item[1])
    (low, least), (high, most) = ordered[0], ordered[-1]
    return Insight(
        type="missing_depends",
        category="data_quality",
        title=f"Whether {name(one.column)} is missing depends on {name(one.other)}",
        description=f"It is missing in {percent(most)} of rows where {name(one.other)} is “{plain(high, 40)}”, and in"
        f" {percent(least)} where it is “{plain(low, 40)}” (Cramér's V {figure(one.cramers_v)},"
        f" {_interval(one.interval)}; {_basis(one.rows, exact)}).",
        impact="Rows without a value are not like the others, so leaving them out shifts results. This is consistent"
        " with data missing at random given that column; whether gaps also depend on the missing values themselves, the"
        " table cannot tell.",
        columns_affected=(one.column, one.other),
        priority_score=graded(one.cramers_v, (MIN_GAP_V, 4), (0.8, 8)),
        evidence={
            "cramers_v": one.cramers_v,
            "missing_share_by_value": one.rates,
            "rows": one.rows,
            "relations_tried": found.missing.tested,
            "threshold": {"cramers_v": MIN_GAP_V, "p": MAX_P},
        },
        recommendation=f"Fill {name(one.column)} within the values of {name(one.other)}, or mark its gaps, and"
        " ask where they come from.",
        effect_size=one.cramers_v,
        effect_measure="cramers_v",
        interval=one.interval,
        p_value=one.adjusted_p,
        confidence=_confidence(exact),
    )


def _interval(interval: Interval | None, *, share: bool = False) -> str:
    if interval is None:
        return "no interval"
    low, high = (percent(max(end, 0.0)) if share else figure(round(end, 3)) for end in interval)
    return f"95 % interval {low} to {high}"


def _basis(rows: int, exact: bool) -> str:
    return count(rows, "row") if exact else f"a sample of {count(rows, 'row')}"


def _confidence(exact: bool) -> float:
    return SURE if exact else SURE_OF_SAMPLE


def _evidence(pair: PairStatistics, found: Statistics, threshold: float) -> dict[str, object]:
    return {
        **{one.measure: one.value for one in pair.measures},
        "rows": pair.rows,
        "all_rows": pair.exact,
        "pairs_tried": found.pairs_screened,
        "threshold": {"effect": threshold, "p": MAX_P},
    }
