"""What one column is taken for, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from raypipe.blocks.chance import wilson_interval
from raypipe.blocks.kinds import ColumnType
from raypipe.blocks.profile import ColumnProfile
from raypipe.etl.infer.evidence import ColumnEvidence
from raypipe.etl.infer.found import Semantic

MATCHING = 0.9
"""Share of the different values looked at that must match."""
CATEGORIES = 256
"""Most different texts of a category."""
GRADES = 12
"""Most different whole numbers of a category or an ordinal; what has more counts or measures something."""
ROWS = "rows with a value"

SPECIFIC: dict[str, tuple[float, float]] = {
    "boolean": (0.95, 1.0),
    "category": (0.9, 0.95),
    "country": (0.8, 1.0),
    "coordinates": (0.9, 1.0),
    "credit_card": (0.95, 1.0),
    "currency": (0.95, 1.0),
    "date": (1.0, 1.0),
    "duration": (0.9, 1.0),
    "file_path": (0.9, 1.0),
    "free_text": (0.9, 0.95),
    "hash": (0.95, 1.0),
    "identifier": (0.8, 0.95),
    "language": (0.7, 1.0),
    "latitude": (0.5, 0.95),
    "longitude": (0.5, 0.95),
    "number": (0.95, 0.95),
    "number_with_unit": (0.9, 0.95),
    "ordinal": (0.85, 0.95),
    "percentage": (0.9, 0.95),
    "phone": (0.85, 1.0),
    "postal_code": (0.75, 0.95),
    "unknown": (0.0, 0.0),
}
"""Semantic type -> how seldom such a shape means something else, without and with the name of the column saying so.
Types that are not listed have a shape that means nothing else, or check digits: 1. These are judgements; the table
of precision and recall in docs/guide/schemas.md shows what they come to."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A semantic type with what speaks for it."""

    semantic: Semantic
    matched: int
    looked: int
    says: str
    """What the matching values are, in words: "are e-mail addresses"."""
    of: str = "different values"
    """What is counted."""
    kernel: str | None = None
    """Test to count over every row."""
    hinted: bool = False
    unit: str | None = None
    format: str | None = None
    stored_as: str | None = None
    doubt: float = 1.0
    """Factor of the confidence where something stays open, such as which of two numbers is the month."""
    values: tuple[str, ...] | None = None
    alternatives: tuple[str, ...] = ()

    @property
    def confidence(self) -> float:
        """See `InferredColumn.confidence`."""
        plain, named = SPECIFIC.get(self.semantic, (1.0, 1.0))
        return wilson_lower(self.matched, self.looked) * (named if self.hinted else plain) * self.doubt


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known of a column when it is judged."""

    type: ColumnType
    profile: ColumnProfile
    evidence: ColumnEvidence

    @property
    def name(self) -> str:
        """Of the column."""
        return self.type.name

    @property
    def distinct(self) -> int | None:
        """Different values: exact while the sample holds them all, else as the profile counts or estimates."""
        sample = self.evidence.sample
        if sample is not None and not sample.full:
            return len(sample.hashes)
        return self.profile.distinct.count if self.profile.distinct else None

    @property
    def distinct_exact(self) -> bool:
        """Whether `distinct` is a count rather than an estimate."""
        sample = self.evidence.sample
        return (sample is not None and not sample.full) or bool(self.profile.distinct and self.profile.distinct.exact)

    @property
    def repeated(self) -> bool:
        """Whether all values are at hand, and nine in ten rows, or half of the values, are no value that stands once.

        The share of rows only grows with rows, so that a column of few values does not turn from a category into
        something else as a table grows, as it would with a limit on different values a row.
        """
        sample = self.evidence.sample
        if sample is None or sample.full:
            return False
        once = int((sample.counts == 1).sum())
        return 2 * once <= len(sample.counts) or once <= (1 - MATCHING) * sample.rows

    @property
    def seems_unique(self) -> bool:
        """Whether no value of the sample stands twice."""
        sample = self.evidence.sample
        return sample is not None and len(sample.counts) > 0 and int(sample.counts.max()) == 1


def wilson_lower(matched: int, looked: int) -> float:
    """Lower end of the 95 % interval of a share.

    Examples
    --------
    >>> round(wilson_lower(3, 3), 3), round(wilson_lower(2048, 2048), 3), wilson_lower(0, 0)
    (0.439, 0.998, 0.0)

    References
    ----------
    Wilson (1927), Probable inference, the law of succession, and statistical inference.
    """
    return wilson_interval(matched, looked)[0]


def first_of(verdicts: Iterable[Verdict | None]) -> Verdict | None:
    """The first that is one."""
    return next((verdict for verdict in verdicts if verdict is not None), None)
