"""Findings about keys: values that name rows, and are given twice."""

from __future__ import annotations

from collections.abc import Iterator

from raypipe.blocks.profile import ColumnProfile
from raypipe.insights.areas import ID_WORDS, words_of
from raypipe.insights.facts import MAX_ID_CHARS, MIN_SHAPE_ROWS, Facts, about, graded, is_whole
from raypipe.insights.words import count, is_are, name, names, percent
from raypipe.results import Insight

MIN_KEY_SHARE = 0.9
"""Distinct values per value below which a column refers to something rather than names its rows."""
MAX_EXAMPLES = 3


def duplicate_keys(facts: Facts) -> Iterator[Insight]:
    """Columns that name almost every row, but some rows alike.

    Not told where as many whole rows are repeated: that is another finding, and the cause of this one.
    """
    rows = facts.profile.duplicates
    for column in facts.profile.columns:
        repeats = _repeats(column)
        if repeats is None or (rows is not None and rows.rows >= 0.9 * repeats):
            continue
        yield _insight(column, repeats)


def _repeats(column: ColumnProfile) -> int | None:
    """Values beyond the first of their kind, if the column is a key but for them and surely so."""
    distinct = column.distinct
    if distinct is None or column.present < MIN_SHAPE_ROWS or column.null_share > 0.05 or not _is_called_key(column):
        return None
    share, error = distinct.count / column.present, 3 * distinct.relative_error
    if not MIN_KEY_SHARE <= share < 1 - error:
        return None
    return column.present - distinct.count


def _is_called_key(column: ColumnProfile) -> bool:
    """Whether the name says so, or the values are codes of one length."""
    if is_whole(column):
        return bool(words_of(column.name) & ID_WORDS)
    text = column.text
    if column.kind != "text" or text is None or not text.max_chars or text.max_chars > MAX_ID_CHARS:
        return False
    coded = text.min_chars == text.max_chars and text.max_chars >= 4
    return coded or bool(words_of(column.name) & ID_WORDS)


def _insight(column: ColumnProfile, repeats: int) -> Insight:
    exact = bool(column.distinct and column.distinct.exact)
    share = repeats / column.present
    seen = [item.value for item in column.top if item.count > 1][:MAX_EXAMPLES]
    examples = f" Values seen more than once: {names(seen)}." if seen else ""
    return Insight(
        type="duplicate_keys",
        category="data_quality",
        title=f"{name(column.name)} names almost every row, but {about(exact)}{count(repeats, 'value')}"
        f" {is_are(repeats)} seen before",
        description=f"{about(exact).capitalize()}{percent(1 - share)} of its {column.present:,} values are different,"
        f" as those of a key are, and {about(exact)}{count(repeats, 'row')} repeat the value of an earlier one."
        f"{examples}",
        impact="A join on it multiplies rows, and totals that are taken afterwards are too high.",
        columns_affected=(column.name,),
        priority_score=graded(share, (0.0, 8), (0.1, 6)),
        evidence={"repeats": repeats, "share": share, "exact": exact, "examples": seen, "threshold": MIN_KEY_SHARE},
        recommendation="If it is to name one row, check it and set repeats aside with the rule “unique”; if rows may"
        " share it, join on a key that is complete.",
        effect_size=share,
        effect_measure="share_of_rows",
        confidence=1.0 if exact else 0.99,
    )
