"""Which columns may hold what identifies a person."""

from __future__ import annotations

from raypipe.etl.infer.evidence import INSIDE, ColumnEvidence
from raypipe.etl.infer.found import PiiFlag
from raypipe.etl.infer.names import hints_at, words_of
from raypipe.etl.infer.verdict import Verdict
from raypipe.etl.infer.vocabulary import words

_BY_KIND = {
    "email": "email", "phone": "phone", "credit_card": "credit_card", "iban": "iban", "ip_address": "ip_address",
    "national_id": "national_id", "coordinates": "location", "latitude": "location", "longitude": "location",
}  # fmt: skip
_BY_NAME = ("person_name", "address", "birth_date", "national_id")
_CALLED = {"email": "an e-mail address", "credit_card": "a card number that passes its check", "iban": "a valid IBAN"}
_NO_PERSON = words("ip mac url web site file host")


def pii_flags(name: str, verdict: Verdict, evidence: ColumnEvidence) -> tuple[PiiFlag, ...]:
    """Flags of a column: by what it is taken for, by what stands inside its texts, and by its name.

    Texts are searched in every row, so that one address in a million of notes is found.
    """
    found: dict[str, str] = {}
    kind = _BY_KIND.get(verdict.semantic)
    if kind:
        found[kind] = f"its values {verdict.says}"
    for inside, count in zip(INSIDE, evidence.inside, strict=True):
        if count:
            found.setdefault(inside, f"{count:,} texts contain {_CALLED[inside]}")
    for hint in _BY_NAME:
        if hints_at(name, hint) and not _NO_PERSON & set(words_of(name)) and verdict.semantic != "boolean":
            found.setdefault(hint, f"its name says {hint.replace('_', ' ')}")
    return tuple(PiiFlag(kind=kind, reason=reason) for kind, reason in found.items())
