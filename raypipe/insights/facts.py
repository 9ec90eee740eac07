"""What findings are drawn from, and what several of them ask about a column."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from pydantic import Field, NonNegativeInt

from raypipe.blocks.profile import ColumnProfile, Profile
from raypipe.config import Frozen
from raypipe.insights.areas import ID_WORDS, is_naming, words_of
from raypipe.insights.models import TargetReport, Timeline
from raypipe.insights.patterns.models import PatternsReport
from raypipe.insights.series.models import SeriesReport
from raypipe.insights.statistics.models import Statistics
from raypipe.results import RuleOutcome, StepReport, ValidationResult

MIN_ROWS = 20
"""Rows below which a share or a distinct count says nothing general."""
MIN_SHAPE_ROWS = 100
"""Values below which shape, tails and outliers of a column are not judged."""
MAX_ID_CHARS = 64
MAX_VARIED_SHARE = 0.5
"""Distinct values per row above which text is no category."""
MIN_PROSE_CHARS = 50
"""Mean length from which text is prose, whose values differ by nature."""
KEY_PRIORITY = 8
"""From this priority on an insight is a key insight."""
_TOLD_BY_PROFILE = frozenset(
    {"duplicate_rows", "empty_column", "missing_values", "unique_text", "few_categories", "outliers"}
)
"""Validation rules whose findings follow from the profile already."""


class InsightContext(Frozen):
    """What the run knows beside the data."""

    business: str | None = None
    """Free text; the names of `AREAS`, and words of column names, choose what is stressed."""
    target: str | None = None
    rows_read: NonNegativeInt | None = None
    rows_quarantined: NonNegativeInt = 0
    type_changes: dict[str, str] = Field(default_factory=dict)
    """Column -> why its type was widened while reading."""


@dataclass(frozen=True)
class Facts:
    """Everything that findings are drawn from."""

    profile: Profile
    validation: ValidationResult | None = None
    target: TargetReport | None = None
    timeline: Timeline | None = None
    steps: tuple[StepReport, ...] = ()
    context: InsightContext = field(default_factory=InsightContext)
    patterns: PatternsReport | None = None
    statistics: Statistics | None = None
    series: SeriesReport | None = None

    @property
    def target_name(self) -> str | None:
        """The target column, measured or not."""
        return self.target.column if self.target else self.context.target

    @cached_property
    def columns(self) -> dict[str, ColumnProfile]:
        """Profiles by name."""
        return {column.name: column for column in self.profile.columns}


def graded(value: float, low: tuple[float, int], high: tuple[float, int]) -> int:
    """Priority of an effect: linear between (effect, priority) pairs, level beyond them, within 1 to 10.

    Examples
    --------
    >>> graded(0.5, (0.0, 2), (1.0, 8)), graded(7.0, (0.0, 2), (1.0, 8))
    (5, 8)
    """
    (a, floor), (b, ceiling) = low, high
    share = min(max((value - a) / (b - a), 0.0), 1.0) if value == value else 0.0
    return min(max(round(floor + share * (ceiling - floor)), 1), 10)


def sureness(p_value: float | None) -> float:
    """Confidence that a test gives: at most 0.999, as it rests on assumptions."""
    return min(1 - (p_value or 0.0), 0.999)


def looks_like_id(column: ColumnProfile) -> bool:
    """Whether the column names rows rather than measures them: short unique text, or unique numbers that count or
    are called an id."""
    distinct = column.distinct
    if distinct is None or column.present < MIN_ROWS or column.null_share > 0.5:
        return False
    if distinct.count < (0.99 - 3 * distinct.relative_error) * column.present:
        return False
    if column.kind == "text":
        return bool(column.text and (column.text.max_chars or 0) <= MAX_ID_CHARS)
    number = column.number
    if not is_whole(column) or number is None or number.min is None or number.max is None:
        return False
    return bool(words_of(column.name) & ID_WORDS) or number.max - number.min + 1 <= 1.1 * distinct.count


def names_things(column: ColumnProfile) -> bool:
    """Whether whole numbers are called by a thing, or a number, code or key of it: their means say nothing.

    `number of rooms` and `rooms` count; `room number` and `room` name.
    """
    return is_whole(column) and is_naming(column.name)


def names_rows_or_things(column: ColumnProfile) -> bool:
    """Whether the column holds names, of its rows or of things: no numbers to measure distances with."""
    return looks_like_id(column) or names_things(column)


def is_quantity(column: ColumnProfile) -> bool:
    """Whether the column holds numbers that measure or count, so that means and shapes of them say something."""
    return column.kind == "number" and not names_rows_or_things(column)


def is_varied_text(column: ColumnProfile) -> bool:
    """Whether the text has more values than categories have, and is neither an identifier nor prose."""
    if column.kind != "text" or column.distinct is None or column.present < 2 * MIN_ROWS or looks_like_id(column):
        return False
    prose = column.text is not None and (column.text.mean_chars or 0) > MIN_PROSE_CHARS
    return not prose and column.distinct.count > MAX_VARIED_SHARE * column.present


def broken_rules(validation: ValidationResult | None) -> list[RuleOutcome]:
    """Rules that failed as errors, but for those whose findings the profile gives."""
    return [
        outcome
        for outcome in (validation.outcomes if validation else ())
        if outcome.is_error and outcome.rule not in _TOLD_BY_PROFILE
    ]


def is_whole(column: ColumnProfile) -> bool:
    """Whether the column holds whole numbers by type."""
    return column.kind == "number" and column.dtype.startswith(("int", "uint"))


def is_constant(column: ColumnProfile) -> bool:
    """Whether every value that there is is the same."""
    distinct = column.distinct
    return column.present > 0 and distinct is not None and distinct.exact and distinct.count == 1


def never_varies(column: ColumnProfile) -> bool:
    """Whether enough values are known, and all of them are the same."""
    return column.present >= MIN_ROWS and is_constant(column)


def chance_repeats(profile: Profile) -> float:
    """About how many rows would equal an earlier one if each column took its values by chance.

    Few columns of few values repeat by nature: that is no fault. Columns that hang together repeat more often still, so
    that this is a lower bound.
    """
    equal = 1.0
    for column in profile.columns:
        left = column.present - sum(item.count for item in column.top)
        rest = (column.distinct.count if column.distinct else column.present) - len(column.top)
        counts = [*(item.count for item in column.top), column.nulls]
        pairs = sum(n * (n - 1) for n in counts) + max(left, 0) * max(left / max(rest, 1) - 1, 0.0)
        equal *= pairs / max(column.rows * (column.rows - 1), 1)
    return min(profile.rows * (profile.rows - 1) / 2 * equal, float(profile.rows))


def repeats_matter(profile: Profile) -> bool:
    """Whether rows repeat an earlier one, surely and more than twice as often as chance has it."""
    repeats = profile.duplicates
    if repeats is None or repeats.rows == 0 or 2 * repeats.share - repeats.share_upper <= 0:
        return False
    return repeats.rows > 2 * chance_repeats(profile)


def about(exact: bool) -> str:
    """The word before an estimate."""
    return "" if exact else "about "
