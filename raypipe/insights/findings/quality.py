"""Findings about the quality of the data: what is missing, repeated, constant, set aside or of the wrong type."""

from __future__ import annotations

from collections.abc import Iterator

from raypipe.blocks.profile import ColumnProfile
from raypipe.insights.facts import (
    MAX_VARIED_SHARE,
    MIN_ROWS,
    Facts,
    about,
    broken_rules,
    graded,
    is_varied_text,
    looks_like_id,
    never_varies,
    repeats_matter,
)
from raypipe.insights.words import count, has_have, is_are, name, names, percent, plain
from raypipe.results import Insight

MIN_MISSING_SHARE = 0.05
NEAR_CONSTANT_SHARE = 0.95
MANY_CONSTANT = 3
"""Columns with one value from which they are told together."""
SHOWN = 10
MIN_NUMBER_SHARE = 0.5
MIN_CLEANED_SHARE = 0.2


def empty_table(facts: Facts) -> Iterator[Insight]:
    """No rows, or no columns."""
    if facts.profile.rows and facts.profile.columns:
        return
    yield Insight(
        type="empty_table",
        category="data_quality",
        title="The table holds no data",
        description=f"There are {count(facts.profile.rows, 'row')} and {count(len(facts.profile.columns), 'column')}.",
        impact="Nothing can be computed.",
        priority_score=10,
        evidence={"rows": facts.profile.rows, "columns": len(facts.profile.columns), "threshold": "at least 1 row"},
        recommendation="Look at the source, and at quarantine.parquet for rows that were set aside.",
    )


def missing_values(facts: Facts) -> Iterator[Insight]:
    """Columns with at least 5 % null, and columns without any value."""
    for column in facts.profile.columns:
        if not column.rows or (column.present and column.rows < MIN_ROWS):
            continue
        if column.present == 0:
            yield _empty_column(column)
        elif column.null_share >= MIN_MISSING_SHARE:
            yield _missing(column, column.name == facts.target_name)


def _empty_column(column: ColumnProfile) -> Insight:
    return Insight(
        type="empty_column",
        category="data_quality",
        title=f"{name(column.name)} has no value at all",
        description=f"It is null in {'the only row' if column.rows == 1 else f'all {column.rows:,} rows'}.",
        impact="The column carries no information.",
        columns_affected=(column.name,),
        priority_score=graded(column.rows, (0, 4), (1000, 7)),
        evidence={"null_share": 1.0, "rows": column.rows, "threshold": "null share 100 %"},
        recommendation="Set processing.drop_empty_columns: true, or find out why the source does not fill it.",
    )


def _missing(column: ColumnProfile, is_target: bool) -> Insight:
    share = column.null_share
    fill = "median" if column.kind == "number" else "mode"
    if is_target:
        advice = "Rows without a target teach nothing about it: find out why it is missing before you leave them out."
    elif share > 0.5:
        advice = f"Consider leaving {name(column.name)} out, or turn whether it is known into a column of its own."
    else:
        advice = f"Find out why it is missing. To fill it, set processing.impute: {{{plain(column.name)}: {fill}}}."
    return Insight(
        type="missing_values",
        category="data_quality",
        title=f"{name(column.name)} is missing in {percent(share)} of rows",
        description=f"{column.nulls:,} of {count(column.rows, 'row')} {has_have(column.nulls)} no {name(column.name)}.",
        impact="Figures that need it rest on the other rows, which may differ from these.",
        columns_affected=(column.name,),
        priority_score=min(graded(share, (0.05, 3), (0.6, 9)) + is_target, 10),
        evidence={
            "null_share": share,
            "nulls": column.nulls,
            "rows": column.rows,
            "threshold": MIN_MISSING_SHARE,
            "fill": None if is_target or share > 0.5 else fill,
        },
        recommendation=advice,
    )


def duplicate_rows(facts: Facts) -> Iterator[Insight]:
    """Rows that repeat an earlier row, where that is more than chance and the error of the estimate make."""
    repeats = facts.profile.duplicates
    if repeats is None or not repeats_matter(facts.profile):
        return
    bound = "" if repeats.exact else f" (at most {percent(repeats.share_upper)})"
    yield Insight(
        type="duplicate_rows",
        category="data_quality",
        title=f"{about(repeats.exact).capitalize()}{percent(repeats.share)} of rows repeat an earlier row",
        description=f"{about(repeats.exact).capitalize()}{count(repeats.rows, 'row')} {is_are(repeats.rows)} equal"
        f" to an earlier row in every column{bound}.",
        impact="Repeated rows count twice in every figure, and let a model meet its test rows in training.",
        priority_score=graded(repeats.share, (0.0, 3), (0.3, 9)),
        evidence={"rows": repeats.rows, "share": repeats.share, "share_upper": repeats.share_upper, "threshold": 0.0},
        recommendation="If each row should be one event, set processing.drop_duplicates: true.",
    )


def constant_columns(facts: Facts) -> Iterator[Insight]:
    """Columns with one value, or nearly so; many with one value are told together."""
    able = [column for column in facts.profile.columns if column.rows >= MIN_ROWS and column.top]
    constant = [column for column in able if never_varies(column)]
    others = [column for column in constant if column.name != facts.target_name]
    if len(others) >= MANY_CONSTANT:
        yield _constants(others)
        constant = [column for column in constant if column not in others]
    yield from (_constant(column, column.top[0].value) for column in constant)
    for column in able:
        if never_varies(column):
            continue
        top = column.top[0]
        share = top.count / column.present if column.present else 0.0
        if NEAR_CONSTANT_SHARE <= share < 1 and column.present >= 5 * MIN_ROWS and column.name != facts.target_name:
            yield _near_constant(column, top.value, share)


def _constant(column: ColumnProfile, value: str) -> Insight:
    return Insight(
        type="constant_column",
        category="data_quality",
        title=f"{name(column.name)} always has the same value",
        description=f"Every known value of {name(column.name)} is “{plain(value)}”.",
        impact="It cannot explain any difference between rows.",
        columns_affected=(column.name,),
        priority_score=graded(column.present, (MIN_ROWS, 2), (10_000, 4)),
        evidence={"distinct": 1, "rows": column.present, "value": plain(value), "threshold": "1 distinct value"},
        recommendation="Leave it out of models, or check whether the extract was filtered by it.",
    )


def _constants(columns: list[ColumnProfile]) -> Insight:
    most = max(column.present for column in columns)
    found = [column.name for column in columns]
    return Insight(
        type="constant_columns",
        category="data_quality",
        title=f"{len(columns)} columns always have the same value: {names(found, 3)}",
        description=f"All known values of each of them are equal: {names(found, SHOWN)}.",
        impact="They cannot explain any difference between rows.",
        columns_affected=tuple(found),
        priority_score=graded(most, (MIN_ROWS, 2), (10_000, 4)),
        evidence={
            "count": len(columns),
            "rows": most,
            "values": [plain(column.top[0].value) for column in columns[:SHOWN]],
            "threshold": "1 distinct value",
        },
        recommendation="Leave them out of models, or check whether the extract was filtered by them.",
    )


def _near_constant(column: ColumnProfile, value: str, share: float) -> Insight:
    return Insight(
        type="near_constant",
        category="data_quality",
        title=f"{name(column.name)} is “{plain(value)}” in {percent(share)} of its rows",
        description=f"One value makes up {percent(share)} of {count(column.present, 'known value')}.",
        impact="What sets the few other rows apart is easily lost in averages.",
        columns_affected=(column.name,),
        priority_score=graded(share, (NEAR_CONSTANT_SHARE, 2), (1.0, 5)),
        evidence={"share": share, "value": plain(value), "rows": column.present, "threshold": NEAR_CONSTANT_SHARE},
        recommendation="Look at the other rows on their own before you use it.",
    )


def identifiers(facts: Facts) -> Iterator[Insight]:
    """Columns that name rows, and text with more values than categories have."""
    for column in facts.profile.columns:
        distinct = column.distinct
        if distinct is None or column.present < 2 * MIN_ROWS:
            continue
        share = min(distinct.count / column.present, 1.0)
        if looks_like_id(column):
            yield _identifier(column, share, column.name == facts.target_name)
        elif is_varied_text(column):
            yield _high_cardinality(column, share)


def _identifier(column: ColumnProfile, share: float, is_target: bool) -> Insight:
    exact = bool(column.distinct and column.distinct.exact)
    return Insight(
        type="identifier",
        category="data_quality",
        title=f"{name(column.name)} looks like an identifier",
        description=f"{about(exact).capitalize()}{percent(share)} of its {column.present:,} values are different.",
        impact="It tells rows apart but says nothing about them; a model would learn it by heart.",
        columns_affected=(column.name,),
        priority_score=9 if is_target else graded(share, (0.9, 1), (1.0, 3)),
        evidence={"distinct_share": share, "rows": column.present, "exact": exact, "threshold": 0.99},
        recommendation="Choose another target." if is_target else "Keep it for joins, leave it out of models.",
    )


def _high_cardinality(column: ColumnProfile, share: float) -> Insight:
    exact = bool(column.distinct and column.distinct.exact)
    distinct = column.distinct.count if column.distinct else 0
    return Insight(
        type="high_cardinality",
        category="data_quality",
        title=f"{name(column.name)} has {about(exact)}{distinct:,} different texts",
        description=f"That is {about(exact)}{percent(share)} of its {column.present:,} values, too many to compare.",
        impact="Groups by it hold few rows each.",
        columns_affected=(column.name,),
        priority_score=graded(share, (MAX_VARIED_SHARE, 2), (1.0, 5)),
        evidence={"distinct": distinct, "exact": exact, "distinct_share": share, "threshold": MAX_VARIED_SHARE},
        recommendation="Group it into fewer values (for example by a prefix), or leave it out of models.",
    )


def untidy_text(facts: Facts) -> Iterator[Insight]:
    """White space around text, which makes equal values differ."""
    for column in facts.profile.columns:
        if column.text is None or column.present < MIN_ROWS or column.text.padded == 0:
            continue
        share = column.text.padded / column.present
        yield Insight(
            type="padded_text",
            category="data_quality",
            title=f"{percent(share)} of {name(column.name)} begin or end with white space",
            description=f"White space is around {column.text.padded:,} of {count(column.present, 'value')}.",
            impact="Equal values count as different ones, and joins miss them.",
            columns_affected=(column.name,),
            priority_score=graded(share, (0.0, 2), (0.5, 6)),
            evidence={"padded": column.text.padded, "share": share, "threshold": 0},
            recommendation="Set processing.trim_text: true.",
        )


def wrong_types(facts: Facts) -> Iterator[Insight]:
    """Text columns that hold numbers, wholly or partly, and columns whose type was widened while reading."""
    for column in facts.profile.columns:
        change = facts.context.type_changes.get(column.name)
        share = _number_share(column)
        if change:
            yield _mixed(column, change, share)
        elif share is not None and share >= MIN_NUMBER_SHARE and column.present >= MIN_ROWS:
            yield _numbers_as_text(column, share)


def _number_share(column: ColumnProfile) -> float | None:
    """Share of numbers among the most frequent texts, by rows; None for codes that must stay text (007, 16+ digits)."""
    seen = sum(top.count for top in column.top)
    if column.kind != "text" or not seen:
        return None
    values = [(top.value.strip(), top.count) for top in column.top]
    if any(len(value) > 15 or (value[:1] == "0" and value[1:2].isdigit()) for value, _ in values):
        return None
    return sum(n for value, n in values if _is_number(value)) / seen


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "").rstrip("%").lstrip("$€£"))
    except ValueError:
        return False
    return any(ch.isdigit() for ch in text)


def _mixed(column: ColumnProfile, change: str, share: float | None) -> Insight:
    return Insight(
        type="mixed_types",
        category="data_quality",
        title=f"{name(column.name)} mixes types and was read as {column.dtype}",
        description=f"When it was read: {plain(change, 300).rstrip('.')}.",
        impact="Numbers and dates among its values take no part in figures.",
        columns_affected=(column.name,),
        priority_score=graded(share or 0.0, (0.0, 5), (1.0, 8)),
        evidence={"dtype": column.dtype, "number_share_of_frequent": share, "threshold": "any widening"},
        recommendation=f"Fix the type with read_options.dtypes: {{{plain(column.name)}: TYPE}}; rows that do not fit"
        " go to quarantine.",
    )


def _numbers_as_text(column: ColumnProfile, share: float) -> Insight:
    examples = [plain(top.value, 30) for top in column.top if not _is_number(top.value.strip())][:3]
    others = f" The others read, for example, {', '.join(f'“{text}”' for text in examples)}." if examples else ""
    return Insight(
        type="numbers_as_text",
        category="data_quality",
        title=f"{name(column.name)} is text but holds numbers",
        description=f"Among its most frequent values, {percent(share)} of rows read as numbers.{others}",
        impact="It takes part in no figure that needs a number.",
        columns_affected=(column.name,),
        priority_score=graded(share, (MIN_NUMBER_SHARE, 4), (1.0, 6)),
        evidence={"number_share": share, "threshold": MIN_NUMBER_SHARE, "other_examples": examples},
        recommendation=f"Set read_options.dtypes: {{{plain(column.name)}: float64}}, with the other texts under"
        " read_options.null_values.",
    )


def non_finite(facts: Facts) -> Iterator[Insight]:
    """Numbers that are NaN or infinite."""
    for column in facts.profile.columns:
        number = column.number
        bad = number.nan + number.positive_infinite + number.negative_infinite if number else 0
        if not number or not bad or not column.present:
            continue
        infinite = number.positive_infinite + number.negative_infinite
        yield Insight(
            type="non_finite",
            category="data_quality",
            title=f"{name(column.name)} holds {count(bad, 'value')} that {is_are(bad)} no finite number",
            description=f"{number.nan:,} NaN and {infinite:,} infinite among {count(column.present, 'value')}.",
            impact="Figures leave these values out; other tools may turn a whole column into NaN.",
            columns_affected=(column.name,),
            priority_score=graded(bad / column.present, (0.0, 3), (0.2, 8)),
            evidence={"nan": number.nan, "infinite": infinite, "share": bad / column.present, "threshold": 0},
            recommendation="Look for divisions by zero upstream, and store what is unknown as null.",
        )


def quarantined(facts: Facts) -> Iterator[Insight]:
    """Rows that were set aside."""
    aside = facts.context.rows_quarantined
    if not aside:
        return
    read = facts.context.rows_read or facts.profile.rows + aside
    share = min(aside / read, 1.0)
    yield Insight(
        type="quarantined_rows",
        category="data_quality",
        title=f"{count(aside, 'row')} ({percent(share)}) {'was' if aside == 1 else 'were'} set aside",
        description=f"Of {count(read, 'row')} read, {aside:,} could not be kept; each has its reason.",
        impact="All figures leave these rows out.",
        priority_score=graded(share, (0.0, 4), (0.1, 9)),
        evidence={"rows_quarantined": aside, "rows_read": read, "share": share, "threshold": 0},
        recommendation="Open quarantine.parquet, mend the rows by their reason, and read them again.",
    )


MAX_BROKEN_RULES = 100
"""Findings of this kind; validation.json has the others."""


def rules_broken(facts: Facts) -> Iterator[Insight]:
    """Validation rules that failed as errors, but for those whose findings the profile gives."""
    for outcome in broken_rules(facts.validation)[:MAX_BROKEN_RULES]:
        rows = facts.validation.rows_validated if facts.validation else 0
        share = outcome.share if outcome.share is not None else (outcome.failing_rows or 0) / max(rows, 1)
        yield Insight(
            type="broken_rule",
            category="data_quality",
            title=f"Rule {plain(outcome.rule)} is broken" + (f" by {name(outcome.column)}" if outcome.column else ""),
            description=plain(outcome.message, 400),
            impact="The data does not keep what its schema promises.",
            columns_affected=(outcome.column,) if outcome.column else (),
            priority_score=graded(share, (0.0, 6), (0.1, 10)),
            evidence={
                "rule": outcome.rule,
                "failing_rows": outcome.failing_rows,
                "share": share,
                "threshold": outcome.bound,
            },
            recommendation="Mend the source, or change the rule in the schema if the data is right.",
        )


REWRITES = frozenset({"ParseDates", "TrimText"})
"""Steps that write the same values in another form, so that no figure shows their work."""


def cleaning(facts: Facts) -> Iterator[Insight]:
    """Steps that changed so much that later figures partly show the cleaning."""
    rows = facts.profile.rows + sum(step.rows_dropped for step in facts.steps)
    for step in facts.steps:
        cells = step.cells_changed / max(facts.profile.rows * len(step.columns), 1)
        dropped = step.rows_dropped / max(rows, 1)
        if step.step in REWRITES or step.rewrites:
            continue
        if rows < MIN_ROWS or max(cells, dropped) < MIN_CLEANED_SHARE or not (step.columns or step.rows_dropped):
            continue
        yield Insight(
            type="heavy_cleaning",
            category="data_quality",
            title=f"Step {plain(step.step)} changed much of the data",
            description=f"It changed {count(step.cells_changed, 'cell')} ({percent(min(cells, 1.0))} of its columns)"
            f" and dropped {count(step.rows_dropped, 'row')}.",
            impact="Spread and relations of these columns partly show the cleaning, not the world.",
            columns_affected=step.columns,
            priority_score=graded(max(cells, dropped), (MIN_CLEANED_SHARE, 4), (1.0, 8)),
            evidence={"step": step.step, "cells_share": cells, "rows_share": dropped, "threshold": MIN_CLEANED_SHARE},
            recommendation="Compare with a run without this step.",
        )
