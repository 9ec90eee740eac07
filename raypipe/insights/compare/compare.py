"""Two sides compared: the effects of all columns and pairs, corrected together, and the verdict that follows."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from raypipe.blocks.chance import false_discoveries
from raypipe.blocks.profile import Profile
from raypipe.insights.compare.columns import column_change, one_sided
from raypipe.insights.compare.models import ColumnChange, Comparison, Effect, PairChange, Side, Thresholds, Verdict
from raypipe.insights.compare.pairs import correlation_changes, target_changes
from raypipe.insights.generator import InsightGenerator
from raypipe.insights.merging import FACT_OF
from raypipe.insights.words import count, name, names, percent
from raypipe.results import Insight

ROUNDING = 1e-9
"""Floats that differ by less, relative to their size, are the same: sums depend on the order of rows so much."""
MIN_BREADTH = 0.2
"""Share of the threshold of a KS distance that its mean gap must have."""
MAX_PAIRS = 50
"""Correlations that are told."""
_WORST: tuple[Verdict, ...] = ("drifted", "cannot tell", "changed", "same", "stale")


def compare(a: Side, b: Side, thresholds: Thresholds | None = None) -> Comparison:
    """What changed from `a` to `b`.

    Only profiles are looked at, so that a run can be compared when its rows are gone. A difference counts as drift if
    it is past its threshold whatever the sketches leave open, and too large for chance, all tests taken together.

    Parameters
    ----------
    a, b : Side
        The effects are the same whichever comes first.
    thresholds : Thresholds, optional
    """
    limits = thresholds or Thresholds()
    columns = _columns(a.profile, b.profile, limits)
    pairs = correlation_changes(a.profile, b.profile, limits)
    columns, pairs, tests = _judged(columns, pairs, limits)
    came, went = _insights(a, b)
    found = Comparison(
        before=a.name,
        after=b.name,
        verdict="same",
        why=(),
        rows=(a.profile.rows, b.profile.rows),
        quality=(a.quality, b.quality),
        missing_share=(a.profile.missing_share, b.profile.missing_share),
        duplicate_share=tuple(side.profile.duplicates.share if side.profile.duplicates else None for side in (a, b)),
        columns=tuple(sorted(columns, key=_rank)),
        correlations=tuple(pairs[:MAX_PAIRS]),
        target=tuple(sorted(target_changes(a, b, limits), key=lambda pair: -pair.effect.value)),
        came=came,
        went=went,
        not_compared=_not_compared(a, b, columns, limits),
        tests=tests,
        thresholds=limits,
    )
    verdict, why = _verdict(a, b, found)
    return found.replace(verdict=verdict, why=why)


def _columns(a: Profile, b: Profile, limits: Thresholds) -> list[ColumnChange]:
    before = {column.name: column for column in a.columns}
    after = {column.name for column in b.columns}
    both = [
        column_change(before[column.name], column, limits) if column.name in before else one_sided(column, added=True)
        for column in b.columns
    ]
    return both + [one_sided(column, added=False) for column in a.columns if column.name not in after]


def _judged(
    columns: list[ColumnChange], pairs: list[PairChange], limits: Thresholds
) -> tuple[list[ColumnChange], list[PairChange], int]:
    """Both with p-values corrected over all tests, and with verdicts; only the pairs that differ are left."""
    deciding = [effect for column in columns for effect in column.effects if _is_test(effect, limits)]
    deciding += [pair.effect for pair in pairs]
    corrected = iter(false_discoveries([effect.p_value or 0.0 for effect in deciding]).tolist())
    told = [_with_verdict(column, corrected, limits) for column in columns]
    weighed = [pair.replace(effect=_weighed(pair.effect.replace(p_value=next(corrected)), limits)) for pair in pairs]
    differing = [pair for pair in weighed if pair.effect.verdict != "same"]
    return told, sorted(differing, key=lambda pair: -pair.effect.value), len(deciding)


def _is_test(effect: Effect, limits: Thresholds) -> bool:
    return effect.threshold is not None and effect.rows >= limits.min_rows


def _with_verdict(column: ColumnChange, corrected: Iterable[float], limits: Thresholds) -> ColumnChange:
    values = iter(corrected)
    effects = []
    for effect in column.effects:
        if _is_test(effect, limits):
            effects.append(_weighed(effect.replace(p_value=next(values)), limits))
        else:
            effects.append(effect.replace(p_value=None))
    tested = [effect.verdict for effect in effects if _is_test(effect, limits)]
    least: Verdict = "same" if column.status == "both" else "changed"
    if column.status == "both" and not tested:
        least = "cannot tell"
    worst = min([least, *tested], key=_WORST.index)
    return column.replace(effects=tuple(effects), verdict=worst)


def _weighed(effect: Effect, limits: Thresholds) -> Effect:
    """The effect with its verdict: large and sure, small and sure, or neither."""
    assert effect.threshold is not None
    sure = (effect.p_value if effect.p_value is not None else 1.0) < limits.alpha
    narrow = effect.breadth is not None and effect.breadth < MIN_BREADTH * effect.threshold
    large = effect.value > effect.threshold and not narrow
    verdict: Verdict = "same"
    if large:
        verdict = "drifted" if sure and effect.least > effect.threshold else "cannot tell"
    elif sure and effect.least > 0:
        verdict = "changed"
    return effect.replace(verdict=verdict)


def _rank(column: ColumnChange) -> tuple[int, float]:
    tested = [effect.value / effect.threshold for effect in column.effects if effect.threshold]
    return _WORST.index(column.verdict), -max([0.0, *tested])


def _insights(a: Side, b: Side) -> tuple[tuple[Insight, ...], tuple[Insight, ...]]:
    """Findings that came and that went, by their type and columns."""
    if a.insights is not None and b.insights is not None:
        before, after = a.insights, b.insights
    else:
        before, after = (InsightGenerator().generate(side.profile) for side in (a, b))
    was, now = ({_key(insight) for insight in told} for told in (before, after))
    return (
        tuple(insight for insight in after if _key(insight) not in was),
        tuple(insight for insight in before if _key(insight) not in now),
    )


def _key(insight: Insight) -> tuple[str, frozenset[str]]:
    """The fact that it tells, and of which columns."""
    return FACT_OF.get(insight.type, insight.type), frozenset(insight.columns_affected)


def _not_compared(a: Side, b: Side, columns: list[ColumnChange], limits: Thresholds) -> dict[str, str]:
    reasons = {f"column {column.column}": column.note for column in columns if column.note}
    for column in columns:
        few = [effect for effect in column.effects if effect.threshold is not None and effect.rows < limits.min_rows]
        if column.status in ("both", "retyped") and few:
            fewest = min(effect.rows for effect in few)
            reasons[f"column {column.column}"] = (
                f"{count(fewest, 'value')} on one side, and {limits.min_rows:,} are wanted"
            )
    if (a.insights is None) != (b.insights is None):
        reasons["insights of the run"] = "one side has none, so that those of both profiles are compared"
    if a.target is None or b.target is None:
        reasons["relations to the target"] = "they are known of a run with a target on both sides only"
    elif a.target.column != b.target.column:
        reasons["relations to the target"] = "the targets are different columns"
    skipped = sorted({*a.profile.correlation.skipped, *b.profile.correlation.skipped})
    if skipped:
        reasons["correlations"] = f"those of {names(skipped, 3)}: a profile holds those of the first 60 number columns"
    return reasons


def _verdict(a: Side, b: Side, found: Comparison) -> tuple[Verdict, tuple[str, ...]]:
    if _alike(a.profile.model_dump(), b.profile.model_dump()):
        return "stale", ("Both sides are the same table: every figure of their profiles agrees.",)
    reasons = _about_columns(found) + ([] if b.kind == "rest" else _about_table(found))
    if not any(column.status == "both" and column.verdict != "cannot tell" for column in found.columns):
        reasons.append(("cannot tell", "No column has enough values on both sides to be compared."))
    drifted = any(verdict == "drifted" for verdict, _ in reasons)
    order: tuple[Verdict, ...] = ("drifted", "changed", "cannot tell") if drifted else ("changed", "cannot tell")
    verdict: Verdict = next((word for word in order if any(word == known for known, _ in reasons)), "same")
    ranked = sorted(reasons, key=lambda reason: _WORST.index(reason[0]))
    told = tuple(text for _, text in ranked)
    return verdict, told or ("No difference that chance does not explain.",)


def _about_columns(found: Comparison) -> list[tuple[Verdict, str]]:
    told: list[tuple[Verdict, str]] = []
    for verdict, text in (
        ("drifted", "drifted"),
        ("cannot tell", "may have drifted: past a threshold, but chance or what a profile leaves open may make it so"),
        ("changed", "changed surely, but by less than the thresholds"),
    ):
        known = [
            column.column
            for column in found.columns
            if column.status == "both"
            and column.verdict == verdict
            and any(e.verdict == verdict for e in column.effects)
        ]
        if known:
            told.append((verdict, f"{names(known)} {text}."))  # type: ignore[arg-type]
    for status in ("added", "removed", "retyped"):
        known = [column.column for column in found.columns if column.status == status]
        if known:
            told.append(("changed", f"{count(len(known), 'column')} {status}: {names(known)}."))
    drifted = [" and ".join(map(name, pair.columns)) for pair in found.correlations if pair.effect.verdict == "drifted"]
    if drifted:
        told.append(("drifted", f"{count(len(drifted), 'correlation')} drifted: {'; '.join(drifted[:3])}."))
    return told


def _about_table(found: Comparison) -> list[tuple[Verdict, str]]:
    told: list[tuple[Verdict, str]] = []
    before, after = found.rows
    share = abs(before - after) / max(before, after, 1)
    if share > found.thresholds.rows:
        told.append(("changed", f"Rows went from {before:,} to {after:,}, by {percent(share)} of the larger side."))
    was, now = found.quality
    if was is not None and now is not None and abs(was - now) >= found.thresholds.quality:
        told.append(("changed", f"The quality score went from {was:.1f} to {now:.1f} of 100."))
    return told


def _alike(a: Any, b: Any) -> bool:
    """Equal but for the rounding of floats."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_alike(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(_alike, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=ROUNDING, abs_tol=ROUNDING) or (a != a and b != b)
    return bool(a == b)
