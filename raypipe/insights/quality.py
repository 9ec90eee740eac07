"""The quality score: 100 less what the data's faults cost, each deduction with its reason.

The formula keeps the spirit and the bands of the older platform's: 100 - min(2 x missing %, 40) - min(3 x duplicate %,
30) - 5 a constant column - 2 a high-cardinality column. What differs: columns are charged up to a cap, so that wide
tables do not fall to 0 for it; identifiers and prose cost nothing, since many values are their nature; and rows set
aside, broken rules, non-finite numbers and padded text count, which that formula did not see. Rows that repeat no more
often than chance makes rows of such values repeat cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field

from raypipe.blocks.profile import Profile
from raypipe.config import Frozen
from raypipe.insights.facts import MIN_ROWS, broken_rules, is_varied_text, never_varies, repeats_matter
from raypipe.insights.wording.catalogue import Catalogue
from raypipe.results import ValidationResult

Grade = Literal["Excellent", "Good", "Fair", "Poor"]
BANDS: tuple[tuple[float, Grade], ...] = ((85.0, "Excellent"), (70.0, "Good"), (50.0, "Fair"), (0.0, "Poor"))

MISSING_POINTS, MISSING_CAP = 2.0, 40.0
"""Points a percent of missing cells."""
DUPLICATE_POINTS, DUPLICATE_CAP = 3.0, 30.0
"""Points a percent of repeated rows."""
CONSTANT_POINTS, CONSTANT_CAP = 5.0, 15.0
"""Points a column."""
CARDINALITY_POINTS, CARDINALITY_CAP = 2.0, 10.0
"""Points a column."""
QUARANTINE_POINTS, QUARANTINE_CAP = 2.0, 20.0
"""Points a percent of rows set aside."""
RULE_POINTS, RULE_CAP = 5.0, 15.0
"""Points a broken rule of the schema."""
NON_FINITE_POINTS, NON_FINITE_CAP = 2.0, 10.0
"""Points a percent of numbers that are NaN or infinite."""
PADDED_POINTS, PADDED_CAP = 0.1, 5.0
"""Points a percent of padded texts."""
_TERMS = (
    (MISSING_POINTS, "missing %", MISSING_CAP),
    (DUPLICATE_POINTS, "repeated rows %", DUPLICATE_CAP),
    (CONSTANT_POINTS, "constant columns", CONSTANT_CAP),
    (CARDINALITY_POINTS, "columns of too varied text", CARDINALITY_CAP),
    (QUARANTINE_POINTS, "rows set aside %", QUARANTINE_CAP),
    (RULE_POINTS, "broken rules", RULE_CAP),
    (NON_FINITE_POINTS, "not finite %", NON_FINITE_CAP),
    (PADDED_POINTS, "padded texts %", PADDED_CAP),
)


def formula(words: Catalogue) -> str:
    """How the score is computed, in one line; it is at least 0."""
    terms = (f"min({words.figure(points)} x {words.say(what)}; {cap:g})" for points, what, cap in _TERMS)
    told = "100 - " + " - ".join(terms)
    return told if words.decimal == "," else told.replace("; ", ", ")


FORMULA = formula(Catalogue())
"""The formula in English."""


class Deduction(Frozen):
    """What one fault costs."""

    reason: str
    points: float
    """Points taken off, above 0."""
    rule: str = ""
    """How the points follow."""
    phrases: tuple[str, str] = Field(default=("", ""), exclude=True, repr=False)
    """Reason and rule before their fields are filled in, for other languages."""
    share: float | None = Field(default=None, exclude=True, repr=False)
    columns: tuple[str, ...] = Field(default=(), exclude=True, repr=False)
    number: int = Field(default=0, exclude=True, repr=False)
    rate: tuple[float, float] = Field(default=(0.0, 0.0), exclude=True, repr=False)
    """Points, and at most how many."""

    def told(self, words: Catalogue) -> Deduction:
        """The same in the words of a language."""
        if not self.phrases[0]:
            return self.replace(reason=words.say(self.reason), rule=words.say(self.rule))
        points, most = map(words.figure, self.rate)
        reason = words.say(
            self.phrases[0],
            share="" if self.share is None else words.percent(self.share),
            columns=words.named(self.columns),
            number=words.whole(self.number),
        )
        return self.replace(reason=reason, rule=words.say(self.phrases[1], points=points, most=most))


class QualityScore(Frozen):
    """The score with everything that was taken off."""

    score: float
    """0 to 100."""
    grade: Grade
    deductions: tuple[Deduction, ...] = ()
    """Largest first."""

    @property
    def parts(self) -> tuple[Deduction, ...]:
        """The deductions, largest first."""
        return self.deductions


def quality_score(
    profile: Profile, validation: ValidationResult | None = None, quarantined_rows: int = 0
) -> QualityScore:
    """The score of a table; a table without rows or columns scores 0.

    Parameters
    ----------
    quarantined_rows : int
        Rows set aside before the profile was taken.
    """
    if not profile.rows or not profile.columns:
        return QualityScore(
            score=0.0,
            grade="Poor",
            deductions=(Deduction(reason="The table has no data.", points=100.0, rule="nothing to score"),),
        )
    found = [*_cells(profile), *_rows(profile, quarantined_rows), *_columns(profile), *_rules(validation)]
    charged = sorted((part for part in found if part.points > 0), key=lambda part: -part.points)
    score = max(100.0 - sum(part.points for part in charged), 0.0)
    return QualityScore(score=score, grade=grade(score), deductions=tuple(charged))


def grade(score: float) -> Grade:
    """The band of a score: Excellent from 85, Good from 70, Fair from 50, else Poor."""
    return next(word for least, word in BANDS if score >= least)


def _cells(profile: Profile) -> Iterator[Deduction]:
    yield _per_percent(profile.missing_share, MISSING_POINTS, MISSING_CAP, "{share} of cells are missing")
    numbers = [column.number for column in profile.columns if column.kind == "number" and column.number]
    bad = sum(n.nan + n.positive_infinite + n.negative_infinite for n in numbers)
    share = bad / max(sum(n.finite for n in numbers) + bad, 1)
    yield _per_percent(share, NON_FINITE_POINTS, NON_FINITE_CAP, "{share} of numbers are NaN or infinite")
    texts = [column for column in profile.columns if column.text]
    padded = sum(column.text.padded for column in texts if column.text) / max(sum(c.present for c in texts), 1)
    yield _per_percent(padded, PADDED_POINTS, PADDED_CAP, "{share} of texts have white space around them")


def _rows(profile: Profile, quarantined_rows: int) -> Iterator[Deduction]:
    repeats = profile.duplicates
    if repeats and repeats_matter(profile):
        reason = "{share} of rows repeat an earlier row"
        reason = reason if repeats.exact else f"about {reason}"
        yield _per_percent(repeats.share, DUPLICATE_POINTS, DUPLICATE_CAP, reason)
    share = quarantined_rows / (profile.rows + quarantined_rows)
    yield _per_percent(share, QUARANTINE_POINTS, QUARANTINE_CAP, "{share} of rows were set aside")


def _columns(profile: Profile) -> Iterator[Deduction]:
    if profile.rows < MIN_ROWS:
        return
    constant = [column.name for column in profile.columns if never_varies(column)]
    yield _per_one(constant, CONSTANT_POINTS, CONSTANT_CAP, "with a single value")
    varied = [column.name for column in profile.columns if is_varied_text(column)]
    yield _per_one(varied, CARDINALITY_POINTS, CARDINALITY_CAP, "of text with too many different values")


def _rules(validation: ValidationResult | None) -> Iterator[Deduction]:
    broken = len(broken_rules(validation))
    reason = "1 rule of the schema is broken" if broken == 1 else "{number} rules of the schema are broken"
    yield _deduction(broken, RULE_POINTS, RULE_CAP, (reason, "{points} points a rule, at most {most}"), number=broken)


def _per_percent(share: float, points: float, cap: float, reason: str) -> Deduction:
    return _deduction(100 * share, points, cap, (reason, "{points} points a percent, at most {most}"), share=share)


def _per_one(columns: list[str], points: float, cap: float, what: str) -> Deduction:
    many = f"1 column {what}: {{columns}}" if len(columns) == 1 else f"{{number}} columns {what}: {{columns}}"
    phrases = many, "{points} points a column, at most {most}"
    return _deduction(len(columns), points, cap, phrases, columns=tuple(columns), number=len(columns))


def _deduction(amount: float, points: float, cap: float, phrases: tuple[str, str], **found: Any) -> Deduction:
    """What `amount` times `points` takes off, in English."""
    made = Deduction(reason="", points=min(points * amount, cap), phrases=phrases, rate=(points, cap), **found)
    return made.told(Catalogue())
