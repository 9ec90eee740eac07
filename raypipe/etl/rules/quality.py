"""Six rules about the quality of any table, each a threshold on a figure of its profile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from raypipe.blocks.chance import NORMAL_99
from raypipe.blocks.profile import ColumnProfile, Profile
from raypipe.config import ValidationConfig
from raypipe.etl.wording import counted, percent, shown
from raypipe.results import RuleOutcome


@dataclass(frozen=True)
class Measured:
    """A share, with the interval it lies in; both ends equal it where it is exact."""

    share: float
    low: float
    high: float

    @classmethod
    def exactly(cls, share: float) -> Measured:
        """A share without error."""
        return cls(share, share, share)

    @classmethod
    def within(cls, share: float, error: float) -> Measured:
        """A share known to within `error` on either side."""
        return cls(share, max(0.0, share - error), min(1.0, share + error))

    def words(self, bound: float) -> str:
        """The share; "about" where the threshold lies inside the interval."""
        if self.low == self.high:
            return percent(self.share)
        if self.low <= bound < self.high:
            return f"about {percent(self.share)} (between {percent(self.low)} and {percent(self.high)})"
        return f"{percent(self.share)} (± {percent((self.high - self.low) / 2)})"


@dataclass(frozen=True)
class Findings:
    """Outcomes, and for rules that could not be measured, why."""

    outcomes: tuple[RuleOutcome, ...] = ()
    not_measured: tuple[tuple[str, str], ...] = ()


def quality_findings(profile: Profile, config: ValidationConfig) -> Findings:
    """All six rules over one profile."""
    rules: tuple[Callable[[Profile, ValidationConfig], Findings], ...] = (
        duplicate_rows,
        empty_columns,
        missing_values,
        unique_text,
        few_categories,
    )
    if config.check_outliers:
        rules += (outliers,)
    found = [rule(profile, config) for rule in rules]
    return Findings(
        tuple(outcome for findings in found for outcome in findings.outcomes),
        tuple(reason for findings in found for reason in findings.not_measured),
    )


def duplicate_rows(profile: Profile, config: ValidationConfig) -> Findings:
    """Rows that repeat an earlier one: at most `max_duplicate_share` of all."""
    found = profile.duplicates
    if found is None:
        return Findings(not_measured=(("duplicate_rows", "repeated rows were not counted"),))
    measured = (
        Measured.exactly(found.share) if found.exact else Measured.within(found.share, found.share_upper - found.share)
    )
    bound = config.max_duplicate_share
    return Findings(
        (
            RuleOutcome(
                rule="duplicate_rows",
                severity="warning",
                passed=found.share <= bound,
                failing_rows=found.rows,
                share=found.share,
                bound=f"at most {percent(bound)} repeated rows",
                message=f"{measured.words(bound)} of {counted(profile.rows, 'row')} repeat an earlier row"
                f" ({found.rows:,}); wanted at most {percent(bound)}",
            ),
        )
    )


def empty_columns(profile: Profile, config: ValidationConfig) -> Findings:
    """Columns without a single value: an error. White space alone is no value."""
    if profile.rows == 0:
        return Findings(not_measured=(("empty_column", "the table has no rows"),))
    return Findings(
        tuple(
            RuleOutcome(
                rule="empty_column",
                column=column.name,
                severity="error",
                passed=not is_empty(column),
                failing_rows=_missing(column),
                share=_missing(column) / column.rows,
                bound="at least one value",
                message=f"{shown(column.name)}: "
                + ("no value in " if is_empty(column) else f"{counted(column.rows - _missing(column), 'value')} in ")
                + f"{counted(column.rows, 'row')}; wanted at least one",
            )
            for column in profile.columns
            if column.rows
        )
    )


def missing_values(profile: Profile, config: ValidationConfig) -> Findings:
    """Null, or text of white space only: at most `max_null_share` of a column; empty columns have their own rule."""
    bound = config.max_null_share
    return Findings(
        tuple(
            RuleOutcome(
                rule="missing_values",
                column=column.name,
                severity="warning",
                passed=share <= bound,
                failing_rows=_missing(column),
                share=share,
                bound=f"at most {percent(bound)} missing",
                message=f"{shown(column.name)}: {percent(share)} missing ({_missing(column):,} of {column.rows:,} rows"
                + (f", {_blank(column):,} of them blank" if _blank(column) else "")
                + f"); wanted at most {percent(bound)}",
            )
            for column in profile.columns
            if column.rows and not is_empty(column)
            for share in (_missing(column) / column.rows,)
        )
    )


def unique_text(profile: Profile, config: ValidationConfig) -> Findings:
    """Text of which nearly every value differs, such as names or ids: at most `max_unique_text_share` of values.

    Columns with fewer than two values are passed over: one value always differs from all others.
    """
    outcomes: list[RuleOutcome] = []
    unknown: list[tuple[str, str]] = []
    bound = config.max_unique_text_share
    for column in _texts(profile):
        if column.distinct is None:
            unknown.append((f"unique_text:{column.name}", "distinct values were not counted"))
        elif column.present > 1:
            measured = _distinct_share(column)
            outcomes.append(
                RuleOutcome(
                    rule="unique_text",
                    column=column.name,
                    severity="warning",
                    passed=measured.share <= bound,
                    share=measured.share,
                    bound=f"at most {percent(bound)} different values",
                    message=f"{shown(column.name)}: {measured.words(bound)} of {counted(column.present, 'text value')}"
                    f" are different from all others before; wanted at most {percent(bound)}",
                )
            )
    return Findings(tuple(outcomes), tuple(unknown))


def few_categories(profile: Profile, config: ValidationConfig) -> Findings:
    """Text with fewer than `min_categories` different values: better kept as a category.

    A column nearly all of whose values differ is no category, however short, and is passed over.
    """
    outcomes: list[RuleOutcome] = []
    for column in _texts(profile):
        if column.distinct is None or column.distinct.count == 0 or column.present < 2:
            continue
        if _distinct_share(column).share > config.max_unique_text_share:
            continue
        count, bound = column.distinct.count, config.min_categories
        few = count < bound
        outcomes.append(
            RuleOutcome(
                rule="few_categories",
                column=column.name,
                severity="warning",
                passed=not few,
                bound=f"at least {bound} different values",
                message=f"{shown(column.name)}: {'' if column.distinct.exact else 'about '}"
                f"{counted(count, 'different value')}" + (f", fewer than {bound}; make it a category" if few else ""),
                examples=tuple(shown(value.value) for value in column.top[:5]) if few else (),
            )
        )
    return Findings(tuple(outcomes))


def outliers(profile: Profile, config: ValidationConfig) -> Findings:
    """Numbers outside [q25 - 1.5 IQR, q75 + 1.5 IQR]: at most `max_outlier_share` of finite values.

    Where quantiles are estimated, the count at each fence is off by at most their rank error, and each fence itself
    by the error of two quantiles; the interval takes the first, twice.
    """
    outcomes: list[RuleOutcome] = []
    unknown: list[tuple[str, str]] = []
    bound = config.max_outlier_share
    for column in profile.columns:
        number = column.number
        if column.kind != "number" or number is None or number.finite == 0:
            continue
        if number.iqr_outliers is None:
            unknown.append((f"outliers:{column.name}", "quantiles were not computed"))
            continue
        share = number.iqr_outliers / number.finite
        exact = number.quantiles is None or number.quantiles.exact
        error = 0.0 if exact or number.quantiles is None else 2 * number.quantiles.rank_error
        measured = Measured.exactly(share) if exact else Measured.within(share, error)
        outcomes.append(
            RuleOutcome(
                rule="outliers",
                column=column.name,
                severity="warning",
                passed=share <= bound,
                failing_rows=number.iqr_outliers,
                share=share,
                bound=f"at most {percent(bound)} beyond 1.5 IQR of the quartiles",
                message=f"{shown(column.name)}: {measured.words(bound)} of {counted(number.finite, 'value')} lie beyond"
                f" 1.5 IQR of the quartiles ({number.iqr_outliers:,}); wanted at most {percent(bound)}",
            )
        )
    return Findings(tuple(outcomes), tuple(unknown))


def is_empty(column: ColumnProfile) -> bool:
    """Whether a column of at least one row has no value but null and white space."""
    return column.rows > 0 and _missing(column) >= column.rows


def _blank(column: ColumnProfile) -> int:
    return column.text.blank if column.text else 0


def _missing(column: ColumnProfile) -> int:
    return column.nulls + _blank(column)


def _texts(profile: Profile) -> list[ColumnProfile]:
    return [column for column in profile.columns if column.kind == "text" and not is_empty(column)]


def _distinct_share(column: ColumnProfile) -> Measured:
    if column.distinct is None or column.present == 0:
        return Measured.exactly(0.0)
    share = min(1.0, column.distinct.count / column.present)
    if column.distinct.exact:
        return Measured.exactly(share)
    return Measured.within(share, share * NORMAL_99 * column.distinct.relative_error)
