"""What a column of text holds: the first kind, the most telling ones first, that nine in ten different values match."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from itertools import chain

import polars as pl

from raypipe.etl.infer.kernels import NUMBERS, SHAPES, count_matches, kinds_among
from raypipe.etl.infer.names import currency_in, hints_at, time_unit_in
from raypipe.etl.infer.verdict import CATEGORIES, GRADES, MATCHING, ROWS, Facts, Verdict, first_of
from raypipe.etl.infer.vocabulary import GRADES as SCALES
from raypipe.etl.infer.vocabulary import TRUTHS, words

_HEAD = 64
"""Values of whose shape it is told which formats of dates are worth trying."""
_FEW = 3
_SOME = 10
_LONGEST_CATEGORY = 100
_AMBIGUOUS = 0.6
_RANKS = words("p priority sev severity level grade tier q stage rank class step phase")

_PLAIN: tuple[tuple[str, str], ...] = (
    ("uuid", "are UUIDs"),
    ("email", "are e-mail addresses"),
    ("url", "are URLs"),
    ("iban", "are account numbers (IBAN) with the right check digits"),
    ("credit_card", "are card numbers with the right check digit"),
    ("json", "are JSON objects or lists"),
    ("hash", "are hexadecimal digests"),
    ("ip_address", "are IP addresses"),
)
_MARKED: tuple[tuple[str, str], ...] = (
    ("percentage", "are numbers with a percent sign"),
    ("currency", "are amounts with a currency"),
)


class Texts:
    """The different values of a text column, trimmed, and how many of them each test matches."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        sample = facts.evidence.sample
        values = sample.values.drop_nulls().str.strip_chars() if sample else pl.Series([], dtype=pl.String)
        self.values = values.filter(values != "")
        self.looked = len(self.values)
        self.long = len(sample.values) - len(sample.values.drop_nulls()) if sample else 0
        self._counts: dict[str, int] = {}

    def count(self, test: str) -> int:
        """Values that match a test."""
        if test not in self._counts:
            none = not test.startswith("date") and test not in self._some
            self._counts[test] = 0 if none else int(count_matches(test, self.values).sum())
        return self._counts[test]

    @cached_property
    def _some(self) -> frozenset[str]:
        """Tests that one of the first values passes: of a quarter of all, one is there with odds of 1e8 to 1."""
        return kinds_among(self.values.head(_HEAD))

    def most(self, test: str) -> bool:
        """Whether nine in ten match it."""
        return self.looked > 0 and self.count(test) >= MATCHING * self.looked

    @cached_property
    def lower(self) -> frozenset[str]:
        """All values in lower case, where there are few."""
        return frozenset(self.values.head(CATEGORIES + 1).str.to_lowercase().to_list())

    @cached_property
    def complete(self) -> bool:
        """Whether every value of the column is at hand."""
        sample = self.facts.evidence.sample
        return sample is not None and not sample.full and not self.long

    def hints(self, kind: str) -> bool:
        """Whether the name of the column points to a kind."""
        return hints_at(self.facts.name, kind)

    def verdict(self, semantic: str, says: str, test: str, **more: object) -> Verdict | None:
        """The verdict that a test leads to, if most values match."""
        if not self.most(test):
            return None
        return Verdict(semantic, self.count(test), self.looked, says, kernel=test, **more)  # type: ignore[arg-type]  # the callers below name fields of Verdict


def judge_text(facts: Facts) -> Verdict:
    """What a text column holds."""
    texts = Texts(facts)
    if not texts.looked:
        says = "are longer than what is kept of a column" if texts.long else "are empty"
        return Verdict("free_text" if texts.long else "unknown", texts.long, texts.long, says)
    found = first_of(chain(_shaped(texts), _worded(texts), _general(texts))) or _free(texts)
    return found if found.alternatives else _with_alternatives(texts, found)


def _shaped(texts: Texts) -> Iterator[Verdict | None]:
    """Kinds with a shape of their own."""
    for kind, says in _PLAIN:
        yield texts.verdict(kind, says, kind, hinted=kind in ("credit_card", "hash") and texts.hints(kind))
    if texts.hints("national_id") or texts.looked >= _SOME:
        yield texts.verdict("national_id", "are written as US social security numbers", "national_id:us")
    yield _moment(texts)
    yield _phone_digits(texts)
    if texts.hints("postal_code"):
        yield texts.verdict("postal_code", "are four to six digits", "postal_code:digits", hinted=True)
        yield texts.verdict("postal_code", "are written as postal codes", "postal_code", hinted=True)
    for kind, says in _MARKED:
        yield texts.verdict(kind, says, kind, hinted=texts.hints(kind), unit=_unit_of(texts, kind))
    yield _span_or_measure(texts)
    if not _is_truth(texts):
        yield _number(texts)
    yield texts.verdict("coordinates", "are pairs of latitude and longitude", "coordinates")
    yield texts.verdict("phone", "are written as phone numbers", "phone", hinted=texts.hints("phone"))
    if texts.looked >= _SOME:
        yield texts.verdict("postal_code", "are written as postal codes", "postal_code")


def _moment(texts: Texts) -> Verdict | None:
    """Dates and times, in the format that most values fit."""
    head = texts.values.head(_HEAD).to_list()
    shaped = [name for name, shape in SHAPES.items() if 2 * sum(bool(shape.search(text)) for text in head) >= len(head)]
    if not shaped:
        return None
    best = max(shaped, key=texts.count)
    kind, _, layout = best.partition(":")
    if layout == "%Y%m%d" and not (texts.hints("moment") or texts.looked >= _SOME):
        return None
    rivals = [test for test in shaped if texts.count(test) == texts.count(best) and _swapped(test, best)]
    says = f"are {'dates' if kind == 'date' else 'dates with a time'}, written {layout}"
    if rivals:
        says += f" or {rivals[0].partition(':')[2]}: no day is past 12, so that it cannot be told"
    return texts.verdict(kind, says, best, format=layout, stored_as=kind, doubt=_AMBIGUOUS if rivals else 1.0)


def _swapped(a: str, b: str) -> bool:
    """Whether two formats differ only in the order of day and month."""
    return a != b and a.replace("%d", "%m") == b.replace("%d", "%m")


def _phone_digits(texts: Texts) -> Verdict | None:
    if not texts.hints("phone"):
        return None
    return texts.verdict("phone", "are seven to fifteen digits", "phone:digits", hinted=True)


def _span_or_measure(texts: Texts) -> Verdict | None:
    """`5 m` is five minutes or five metres: other values, or the name, decide."""
    spans, measures = texts.count("duration"), texts.count("number_with_unit")
    if spans > measures or (spans == measures and texts.hints("duration")):
        unit = time_unit_in(texts.facts.name)
        return texts.verdict("duration", "are spans of time", "duration", hinted=texts.hints("duration"), unit=unit)
    unit = _unit_of(texts, "number_with_unit")
    return texts.verdict("number_with_unit", "are numbers with a unit", "number_with_unit", unit=unit)


def _unit_of(texts: Texts, kind: str) -> str | None:
    """The one unit that all values share."""
    if kind == "percentage":
        return "%"
    found = texts.values.str.extract(r"([^\d\s.,+'’()-]+)").drop_nulls().unique()
    if len(found) == 1:
        return str(found[0])
    return currency_in(texts.facts.name) if kind == "currency" else None


def _number(texts: Texts) -> Verdict | None:
    """Numbers stored as text, as they are written."""
    style = next((style for style in NUMBERS if texts.most(f"number:{style}")), None)
    if style is None:
        return None
    test = f"number:{style}"
    whole = bool((texts.values.str.contains(r"^[+-]?\d{1,18}$")).all())
    key = texts.hints("identifier") and whole
    stored = "int64" if whole else "float64"
    if key:
        return texts.verdict(
            "identifier", "are whole numbers, and the name says key", test, hinted=True, stored_as=stored
        )
    semantic, unit = "number", None
    if texts.hints("currency"):
        semantic, unit = "currency", currency_in(texts.facts.name)
    says = f"are numbers stored as text, written as {style}"
    return texts.verdict(semantic, says, test, format=style, stored_as=stored, unit=unit, hinted=semantic == "currency")


def _is_truth(texts: Texts) -> bool:
    return texts.complete and texts.looked == 2 and any(texts.lower <= pair for pair in TRUTHS)


def _truth(texts: Texts) -> Verdict | None:
    """Two words of which one means yes."""
    one_word = texts.complete and texts.looked == 1 and texts.lower <= {"true", "false", "yes", "no"}
    if not (_is_truth(texts) or one_word):
        return None
    rows = texts.facts.evidence.rows - texts.facts.evidence.nulls
    says = f"are words for yes and no ({', '.join(map(repr, _listed(texts)))})"
    return Verdict("boolean", rows, rows, says, of=ROWS, values=_listed(texts), stored_as="boolean")


def _worded(texts: Texts) -> Iterator[Verdict | None]:
    """Kinds with a closed list of words."""
    yield _truth(texts)
    land, tongue = texts.hints("country"), texts.hints("language")
    if tongue:
        yield texts.verdict("language", "are language codes (ISO 639-1)", "language:code", hinted=True)
    if tongue or texts.looked >= _FEW:
        yield texts.verdict("language", "are names of languages", "language:name", hinted=tongue)
    if land or texts.looked >= _SOME:
        yield texts.verdict("country", "are country codes (ISO 3166-1)", "country:code", hinted=land)
    if land or texts.looked >= _FEW:
        yield texts.verdict("country", "are names of countries", "country:name", hinted=land)
    yield _grade(texts)


def _grade(texts: Texts) -> Verdict | None:
    """Words of one scale, or one word with small numbers."""
    if not texts.complete or not 2 <= texts.looked <= GRADES:
        return None
    named = bool(_RANKS & set(texts.facts.name.lower().replace("_", " ").split()))
    scale = next((scale for scale in SCALES if texts.lower <= scale), None)
    short = max(map(len, texts.lower)) < 2
    says = "are words of one scale"
    if scale is None or (short and not named):
        heads = {value.rstrip("0123456789 -_") for value in texts.lower}
        numbered = all(value[-1:].isdigit() for value in texts.lower)
        if len(heads) != 1 or not numbered or not (named or heads <= _RANKS):
            return None
        says = "are one word with small numbers"
    rows = texts.facts.evidence.rows - texts.facts.evidence.nulls
    listing = ", ".join(map(repr, _listed(texts)))
    return Verdict("ordinal", rows, rows, f"{says} ({listing})", of=ROWS, hinted=named, values=_listed(texts))


def _listed(texts: Texts) -> tuple[str, ...]:
    sample = texts.facts.evidence.sample
    return () if sample is None else tuple(sample.values.drop_nulls().sort().to_list())


def _general(texts: Texts) -> Iterator[Verdict | None]:
    """Paths, keys and categories, by their form."""
    yield texts.verdict("file_path", "are file paths", "file_path", hinted=texts.hints("path"))
    named = texts.hints("identifier")
    if named:
        yield texts.verdict(
            "identifier", "are single words of letters, digits and marks, and the name says key", "code", hinted=True
        )
    yield _category(texts)
    if named and texts.facts.seems_unique and texts.looked >= _SOME:
        yield texts.verdict("identifier", "are short and all different, and the name says key", "short", hinted=True)
    if texts.facts.seems_unique and texts.looked >= _SOME:
        yield texts.verdict("identifier", "are codes of capitals and digits, all different", "capitals")
    digits = int(texts.values.str.contains(r"\d").sum())
    if digits >= MATCHING * texts.looked:
        yield texts.verdict(
            "identifier",
            "are single words with digits, too many for a category",
            "code",
            hinted=named or texts.hints("code"),
        )


def _category(texts: Texts) -> Verdict | None:
    facts = texts.facts
    distinct = facts.distinct
    if not texts.complete or distinct is None or distinct > CATEGORIES or not facts.repeated:
        return None
    if int(texts.values.str.len_chars().max() or 0) > _LONGEST_CATEGORY:  # type: ignore[arg-type]  # lengths are whole
        return None
    sample = facts.evidence.sample
    assert sample is not None
    rows, once = sample.rows, int((sample.counts == 1).sum())
    many = "the one value" if distinct == 1 else f"one of {distinct:,} values"
    says = f"hold {many} that stand{'s' * (distinct == 1)} more than once; at most {CATEGORIES} make a category"
    return Verdict("category", rows - once, rows, says, of=ROWS, values=_listed(texts))


def _free(texts: Texts) -> Verdict:
    """What is left: text of several words, or words without a form."""
    several = texts.count("words")
    if 2 * several >= texts.looked:
        return Verdict("free_text", several + texts.long, texts.looked + texts.long, "are several words")
    says = "are words without a common form, too many or too rare for a category"
    return Verdict("free_text", texts.looked - several, texts.looked, says, doubt=_AMBIGUOUS)


def _with_alternatives(texts: Texts, found: Verdict) -> Verdict:
    """Say so where a quarter of the values look like something that the verdict is not."""
    if found.semantic not in ("free_text", "category", "identifier"):
        return found
    tests = [kind for kind, _ in (*_PLAIN, *_MARKED)] + ["number:1,234.5", "phone", "date:%Y-%m-%d"]
    near = tuple(
        f"{test.partition(':')[0]} ({texts.count(test):,} of {texts.looked:,})"
        for test in tests
        if 4 * texts.count(test) >= texts.looked
    )
    return replace(found, alternatives=near)
