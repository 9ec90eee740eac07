"""What changed, as Markdown and as the rows of a table."""

from __future__ import annotations

from collections.abc import Iterator

from raypipe.insights.compare.models import ColumnChange, Comparison, Effect, PairChange
from raypipe.insights.markdown import escape, table
from raypipe.insights.words import figure, percent, plain

MAX_ROWS = 100
"""Columns that are told one by one."""
MEASURES = {
    "missing_share": "missing",
    "kolmogorov_smirnov": "KS distance",
    "wasserstein": "Wasserstein, in std",
    "population_stability_index": "PSI",
    "jensen_shannon": "JS distance",
    "total_variation": "total variation",
    "cohens_q": "Cohen's q",
    "strength": "strength",
}
"""Measure -> as a reader knows it."""
HEADS = ("Column", "Verdict", "Effect", "Threshold", "p", "Before", "After")


def comparison_report(found: Comparison) -> str:
    """The whole comparison as Markdown; names of columns and values are escaped."""
    sections = (
        (f"{found.before} against {found.after}", _verdict(found)),
        ("Columns", _columns(found)),
        ("Correlations and the target", _pairs(found)),
        ("Insights that came and went", _insights(found)),
        ("Not compared", (f"- {escape(what)}: {escape(why)}" for what, why in found.not_compared.items())),
        ("How it was judged", _method(found)),
    )
    lines: list[str] = []
    for level, (heading, body) in enumerate(sections):
        lines += [f"{'#' if level == 0 else '##'} {escape(heading)}", "", *(list(body) or ["Nothing."]), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def column_row(change: ColumnChange) -> tuple[str, ...]:
    """A column as a row under `HEADS`: its largest effect, and the figure that shows it best."""
    effect = leading(change)
    before, after = _shown(change, effect)
    verdict = change.verdict if change.status == "both" else f"{change.verdict} ({change.status})"
    if effect is None:
        return change.column, verdict, "", "", "", before, after
    value = percent(effect.value) if effect.measure == "missing_share" else figure(effect.value)
    limit = "" if effect.threshold is None else figure(effect.threshold)
    return (
        change.column,
        verdict,
        f"{MEASURES.get(effect.measure, effect.measure)} {value}{_least(effect)}",
        limit,
        chance(effect.p_value),
        before,
        after,
    )


def leading(change: ColumnChange) -> Effect | None:
    """The effect that decides: the worst, and among equals the one furthest past its threshold."""
    order = ("drifted", "cannot tell", "changed", "same", "stale")
    tested = [effect for effect in change.effects if effect.threshold is not None]
    if change.status in ("added", "removed") or not tested:
        return None
    return min(tested, key=lambda e: (order.index(e.verdict), -e.value / (e.threshold or 1.0)))


def chance(p: float | None) -> str:
    """A probability in a few characters."""
    return "" if p is None else "< 0.0001" if p < 0.0001 else f"{p:.2g}"


def _least(effect: Effect) -> str:
    return f" (at least {figure(effect.least)})" if effect.least < 0.9 * effect.value else ""


def _shown(change: ColumnChange, effect: Effect | None) -> tuple[str, str]:
    """The figure of either side that shows the effect best."""
    if change.status != "both" and change.dtype[0] != change.dtype[1]:
        return change.dtype[0] or "absent", change.dtype[1] or "absent"
    if effect is None or effect.measure == "missing_share":
        return tuple(_figure("missing share", value) for value in change.figures["missing share"])  # type: ignore[return-value]
    for name in ("mean", "share true", "distinct"):
        pair = change.figures.get(name)
        if pair is not None and (name != "mean" or pair[0] != pair[1]):
            return f"{name} {_figure(name, pair[0])}", f"{name} {_figure(name, pair[1])}"
    return "", ""


def _figure(name: str, value: float | str | None) -> str:
    if value is None:
        return "none"
    if isinstance(value, str):
        return plain(value, 40)
    return percent(value) if "share" in name else figure(value)


def _verdict(found: Comparison) -> Iterator[str]:
    yield f"**{found.verdict.capitalize()}.**"
    yield ""
    yield from (f"- {escape(text)}" for text in found.why)
    yield ""
    rows: list[tuple[str, str, str]] = [("Rows", *(f"{n:,}" for n in found.rows))]  # type: ignore[list-item]
    rows.append(("Missing cells", percent(found.missing_share[0]), percent(found.missing_share[1])))
    if None not in found.duplicate_share:
        rows.append(("Repeated rows", *(percent(share or 0.0) for share in found.duplicate_share)))  # type: ignore[arg-type]
    if None not in found.quality:
        rows.append(("Quality score", *(f"{score or 0.0:.1f}" for score in found.quality)))  # type: ignore[arg-type]
    yield from table(("", found.before, found.after), rows)


def _columns(found: Comparison) -> Iterator[str]:
    told = [change for change in found.columns if change.verdict not in ("same", "stale")]
    same = len(found.columns) - len(told)
    if told:
        yield from table(HEADS, (column_row(change) for change in told[:MAX_ROWS]))
        yield ""
    if len(told) > MAX_ROWS:
        yield f"{len(told) - MAX_ROWS:,} more stand in the JSON (--json)."
    for change in told[:MAX_ROWS]:
        for word, values in (("new", change.new_values), ("gone", change.gone_values)):
            if values:
                listed = ", ".join(f"“{plain(value, 40)}”" for value in values[:10])
                yield f"- “{escape(change.column)}”: {word} {escape(listed)}"
    yield f"{same:,} of {len(found.columns):,} columns are the same."


def _pairs(found: Comparison) -> Iterator[str]:
    pairs = [*found.correlations, *found.target]
    if pairs:
        heads = ("Columns", "Measure", "Before", "After", "Effect", "p", "Verdict")
        yield from table(heads, (_pair_row(pair) for pair in pairs[:MAX_ROWS]))


def _pair_row(pair: PairChange) -> tuple[str, ...]:
    tested = pair.effect.threshold is not None
    return (
        " and ".join(f"“{name}”" for name in pair.columns),
        pair.measure.replace("_", " "),
        f"{pair.before:.3f}",
        f"{pair.after:.3f}",
        f"{MEASURES[pair.effect.measure]} {figure(pair.effect.value)}",
        chance(pair.effect.p_value),
        pair.effect.verdict if tested else "told",
    )


def _insights(found: Comparison) -> Iterator[str]:
    for word, insights in (("Came", found.came), ("Went", found.went)):
        yield from (f"- {word}: {escape(insight.title)}" for insight in insights[:20])
        if len(insights) > 20:
            yield f"- {word}: {len(insights) - 20:,} more"


def _method(found: Comparison) -> Iterator[str]:
    limits = found.thresholds
    yield (
        f"{found.tests:,} tests, corrected together (Benjamini-Hochberg): of sure differences, a share of at most"
        f" {limits.alpha:g} is expected to be chance. Drift is a sure difference past the threshold of its"
        " effect, whatever the error of a sketch leaves open; past the threshold and not sure is “cannot tell”;"
        " sure and below it is “changed”."
        f" Sides of fewer than {limits.min_rows:,} values are not compared. PSI and JS distance are told and decide"
        " nothing. Times and identifiers differ by nature and decide nothing. A KS distance"
        " is drift only if the mean gap over the middle 90 % is a fifth of its threshold: else many equal values moved"
        " by a hair."
    )
