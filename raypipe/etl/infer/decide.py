"""From evidence to findings: one column at a time, then keys and dependencies with what the second pass found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from raypipe.blocks.profile import Profile
from raypipe.etl.infer.candidates import MAX_ERROR, MAX_PAIR_ERROR, Candidates, ColumnCount
from raypipe.etl.infer.checks import KeyCheck, MatchCount, PairCheck
from raypipe.etl.infer.evidence import TableEvidence
from raypipe.etl.infer.found import CandidateKey, Dependency, InferredColumn
from raypipe.etl.infer.names import HINTS, words_of
from raypipe.etl.infer.numbers import judge_number, judge_time, judge_truth
from raypipe.etl.infer.pii import pii_flags
from raypipe.etl.infer.texts import judge_text
from raypipe.etl.infer.verdict import Facts, Verdict
from raypipe.etl.rules.dtypes import dtype_of
from raypipe.etl.wording import percent, shown

_JUDGES = {"text": judge_text, "number": judge_number, "temporal": judge_time, "boolean": judge_truth}
_LIKELY = {"identifier": 3, "uuid": 3, "hash": 1, "date": 1, "datetime": 1, "category": 1, "ordinal": 1, "url": 1}
_UNLIKELY = frozenset(("free_text", "currency", "percentage", "number_with_unit", "duration", "json", "boolean"))
_LOG_100 = 4.605170185988091
_SHOWN_CHARS = 60


@dataclass(frozen=True)
class Judged:
    """A table after the first pass: what is known of each column, and what it is taken for."""

    schema: pa.Schema
    evidence: TableEvidence
    facts: tuple[Facts, ...]
    verdicts: Mapping[str, Verdict]

    @classmethod
    def of(cls, schema: pa.Schema, evidence: TableEvidence, profile: Profile) -> Judged:
        """Judge every column."""
        facts = tuple(map(Facts, evidence.types, profile.columns, evidence.columns))
        return cls(schema, evidence, facts, {one.name: _judge(one) for one in facts})

    @property
    def tests(self) -> tuple[tuple[str, str], ...]:
        """(column, test) of the text columns whose matching rows are to be counted."""
        return tuple((name, verdict.kernel) for name, verdict in self.verdicts.items() if verdict.kernel is not None)

    def counts(self) -> list[ColumnCount]:
        """What the search for keys and dependencies needs to know of each column that can be compared."""
        return [self._count(cell, self.facts[place]) for cell, place in enumerate(self.evidence.hashed)]

    def _count(self, cell: int, facts: Facts) -> ColumnCount:
        semantic = self.verdicts[facts.name].semantic
        return ColumnCount(
            place=cell,
            name=facts.name,
            nulls=facts.evidence.nulls,
            distinct=facts.distinct or 0,
            exact=facts.distinct_exact,
            whole=facts.evidence.fractions == 0 and facts.type.kind != "other",
            once=facts.seems_unique,
            likely=-1 if semantic in _UNLIKELY else _LIKELY.get(semantic, 0),
        )

    def columns(self, matches: Mapping[str, MatchCount], keys: Sequence[CandidateKey]) -> tuple[InferredColumn, ...]:
        """The findings on all columns."""
        unique = {key.columns[0] for key in keys if len(key.columns) == 1 and key.exact}
        found = []
        for facts, field in zip(self.facts, self.schema, strict=True):
            column = _column(facts, self.verdicts[facts.name], matches.get(facts.name))
            found.append(column.replace(dtype=dtype_of(field.type), unique=facts.name in unique))
        return tuple(found)


def _judge(facts: Facts) -> Verdict:
    judging = _JUDGES.get(facts.type.kind)
    if judging is not None and facts.evidence.sample is not None:
        return judging(facts)
    if facts.type.kind == "null":
        return Verdict("unknown", 0, 0, "are all null")
    binary = "binary" in facts.type.arrow
    says = "are bytes, by their type" if binary else "are nested, by their type"
    rows = facts.evidence.rows - facts.evidence.nulls
    return Verdict("binary" if binary else "nested", rows, rows, says, of="rows with a value")


def _column(facts: Facts, verdict: Verdict, match: MatchCount | None) -> InferredColumn:
    seen, profile = facts.evidence, facts.profile
    distinct = facts.distinct
    return InferredColumn(
        name=facts.name,
        arrow=facts.type.arrow,
        dtype=None,
        semantic=verdict.semantic,
        confidence=round(verdict.confidence, 4),
        reason=_reason(facts, verdict, match),
        matched=verdict.matched,
        looked=verdict.looked,
        rows=seen.rows,
        nulls=seen.nulls,
        nullable=seen.nulls > 0 or seen.rows == 0,
        matching_rows=match.matching if match else None,
        misfits=tuple(value[:_SHOWN_CHARS] for _, value in match.misfits) if match else (),
        distinct=distinct,
        distinct_exact=facts.distinct_exact,
        constant=distinct == 1 and facts.distinct_exact,
        stored_as_text=verdict.stored_as if facts.type.kind == "text" else None,
        unit=verdict.unit,
        format=verdict.format,
        min=profile.min,
        max=profile.max,
        values=verdict.values,
        pii=pii_flags(facts.name, verdict, seen),
        alternatives=verdict.alternatives,
    )


def _reason(facts: Facts, verdict: Verdict, match: MatchCount | None) -> str:
    """One sentence with the counts behind a verdict."""
    seen = facts.evidence
    if verdict.looked == 0:
        return f"No value in {seen.rows:,} rows." if seen.nulls == seen.rows else f"Its values {verdict.says}."
    what = verdict.of if verdict.looked != 1 else verdict.of.replace("values", "value").replace("rows", "row")
    text = f"{verdict.matched:,} of {verdict.looked:,} {what} {verdict.says}"
    if verdict.hinted and "name" not in verdict.says and "type" not in verdict.says:
        text += "; the name says so, too"
    if match is not None:
        text += f"; {match.matching:,} of {match.rows:,} rows with a value match"
        if match.misfits:
            text += f", {shown(match.misfits[0][1])} does not"
    if verdict.alternatives:
        text += f"; some look like {', '.join(verdict.alternatives)}"
    return text + "."


def points_of(verdicts: Mapping[str, Verdict]) -> tuple[tuple[str, str], ...]:
    """Columns of latitude and longitude whose names are alike otherwise."""
    sides: dict[str, dict[tuple[str, ...], str]] = {"latitude": {}, "longitude": {}}
    for name, verdict in verdicts.items():
        if verdict.semantic in sides:
            rest = tuple(word for word in words_of(name) if word not in HINTS[verdict.semantic])
            sides[verdict.semantic].setdefault(rest, name)
    return tuple(
        (name, sides["longitude"][rest]) for rest, name in sides["latitude"].items() if rest in sides["longitude"]
    )


def keys_of(candidates: Sequence[tuple[str, ...]], checks: Sequence[KeyCheck], rows: int) -> list[CandidateKey]:
    """The candidates that no row refuted."""
    found = []
    for names, check in zip(candidates, checks, strict=True):
        if not check.holds:
            continue
        called = " + ".join(map(shown, names))
        if check.share == 1.0:
            reason = f"{rows:,} rows, no two with the same {called}, and none without."
        else:
            most = round(_LOG_100 / check.share)
            reason = (
                f"No value of {called} stands twice among {percent(check.share)} of them, chosen by hash from all "
                f"{rows:,} rows; with 99 % certainty at most {most:,} values repeat."
            )
        found.append(CandidateKey(columns=names, share=check.share, reason=reason))
    return found


def shortest(keys: Sequence[CandidateKey]) -> list[CandidateKey]:
    """The keys that contain no other."""
    sets = [set(key.columns) for key in keys]
    return [key for key in keys if not any(one < set(key.columns) for one in sets)]


def dependencies_of(candidates: Candidates, checks: Sequence[PairCheck]) -> list[Dependency]:
    """The dependencies that every row bears out, the plainest first; what a shorter one says is left out."""
    found: list[Dependency] = []
    held: set[tuple[tuple[str, ...], str]] = set()
    for (left, right), check in zip(candidates.dependencies, checks, strict=True):
        error = check.error(MAX_ERROR if len(left) == 1 else MAX_PAIR_ERROR)
        if error is None or any(((name,), right) in held for name in left if len(left) > 1):
            continue
        held.add((left, right))
        found.append(_dependency(left, right, check, error))
    return sorted(found, key=lambda one: (len(one.determinant), one.error))


def _dependency(left: tuple[str, ...], right: str, check: PairCheck, error: float) -> Dependency:
    called = " + ".join(map(shown, left))
    groups = f"each of {check.groups:,} values of {called} has one value of {shown(right)}"
    if error:
        groups = f"{called} decides {shown(right)} in all but {percent(error)} of rows"
    where = f"in {check.rows:,} rows"
    if check.share < 1.0:
        where += f", those of {percent(check.share)} of its values, chosen by hash"
    return Dependency(
        determinant=left,
        dependent=right,
        error=error,
        share=check.share,
        reason=f"{groups[0].upper()}{groups[1:]} {where}.",
    )
