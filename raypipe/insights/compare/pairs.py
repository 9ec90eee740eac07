"""Correlations and relations to the target that differ."""

from __future__ import annotations

import math
from collections.abc import Iterator

from raypipe.blocks.chance import normal_tail
from raypipe.blocks.profile import Profile
from raypipe.insights.compare.models import Effect, PairChange, Side, Thresholds
from raypipe.insights.facts import looks_like_id

_ALMOST = 1 - 1e-9


def correlation_changes(a: Profile, b: Profile, limits: Thresholds) -> list[PairChange]:
    """Each pair of number columns that both sides have correlated, over enough rows.

    The standard error of a Fisher z is widened for long tails, as it is for elliptical distributions.

    References
    ----------
    Fisher (1921), On the "probable error" of a coefficient of correlation; Muirhead (1982), section 5.1.4.
    """
    names = {c.name for c in a.columns if looks_like_id(c)} | {c.name for c in b.columns if looks_like_id(c)}
    places = {name: place for place, name in enumerate(b.correlation.columns)}
    known = [(i, places[name], name) for i, name in enumerate(a.correlation.columns) if name in places]
    kept = [entry for entry in known if entry[2] not in names]
    found = []
    for at, (i, j, first) in enumerate(kept):
        for k, m, second in kept[at + 1 :]:
            r, s = a.correlation.r[i][k], b.correlation.r[j][m]
            n = min(a.correlation.pairs[i][k], b.correlation.pairs[j][m])
            if r is None or s is None or n < limits.min_rows:
                continue
            tails = max(_tails(a, first, second), _tails(b, first, second))
            error = math.sqrt(tails / (a.correlation.pairs[i][k] - 3) + tails / (b.correlation.pairs[j][m] - 3))
            found.append(_pair((first, second), (r, s), error, n, limits.correlation))
    return found


def _pair(
    columns: tuple[str, str], values: tuple[float, float], error: float, rows: int, threshold: float
) -> PairChange:
    before, after = values
    shift = abs(math.atanh(_inside(before)) - math.atanh(_inside(after)))
    effect = Effect(
        measure="cohens_q",
        value=shift,
        least=shift,
        threshold=threshold,
        p_value=normal_tail(shift / error),
        rows=rows,
    )
    return PairChange(columns=columns, measure="pearson_r", before=before, after=after, effect=effect)


def _inside(r: float) -> float:
    return min(max(r, -_ALMOST), _ALMOST)


def _tails(profile: Profile, *names: str) -> float:
    """By how much long tails widen the variance of a Fisher z."""
    numbers = (profile.column(name).number for name in names)
    excess = [number.kurtosis or 0.0 for number in numbers if number]
    return 1 + max([0.0, *excess]) / 3


def target_changes(a: Side, b: Side, limits: Thresholds) -> Iterator[PairChange]:
    """Relations to the target whose strength moved by as much as matters; told, as no test covers every measure."""
    if a.target is None or b.target is None or a.target.column != b.target.column:
        return
    before = {relation.column: relation for relation in a.target.relations}
    for after in b.target.relations:
        was = before.get(after.column)
        if was is None or min(was.rows, after.rows) < limits.min_rows:
            continue
        shift = abs(was.strength - after.strength)
        if shift >= limits.strength:
            effect = Effect(measure="strength", value=shift, least=0.0, rows=min(was.rows, after.rows))
            yield PairChange(
                columns=(after.column, b.target.column),
                measure="strength",
                before=was.strength,
                after=after.strength,
                effect=effect,
            )
