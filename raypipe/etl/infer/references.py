"""Likely foreign keys: columns of one table whose values are among those of a key of another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from raypipe.config import Frozen, Share
from raypipe.etl.infer.evidence import TableEvidence
from raypipe.etl.infer.found import InferredColumn, InferredSchema
from raypipe.etl.infer.names import words_of
from raypipe.etl.infer.samples import ValueSample
from raypipe.etl.infer.verdict import wilson_lower
from raypipe.etl.wording import shown

_CONTAINED = 0.98
"""Share of the compared values that must be among those of the key: orphans happen."""
_MANY = 20
"""Compared texts from which the names of the columns need not say so, too."""
_UNNAMED = 0.6
"""Factor of the confidence where they do not."""
_NO_KEYS = frozenset(("free_text", "boolean", "number", "currency", "percentage", "duration", "latitude", "longitude"))


class Reference(Frozen):
    """A likely foreign key."""

    table: str
    column: str
    to_table: str
    to_column: str
    confidence: Share
    """Lower end of the 95 % Wilson interval of the share of values that the key has; 0.6 of it where the names of the
    columns do not fit."""
    reason: str


class Related(Frozen):
    """Several tables, and what ties them together."""

    schemas: dict[str, InferredSchema]
    references: tuple[Reference, ...] = ()


def find_references(tables: Mapping[str, tuple[InferredSchema, TableEvidence]]) -> Iterator[Reference]:
    """The likely foreign keys between tables, by samples of their values: nothing is read again.

    Both samples hold the values of smallest hash, so that those of the one which the other could have kept can be
    looked up in it. Whole numbers of a key without gaps contain any small numbers, so that names must fit for them.
    """
    for to_table, (schema, evidence) in tables.items():
        for place, key in enumerate(schema.columns):
            sample = evidence.columns[place].sample
            if key.unique and sample is not None:
                for table, (other, seen) in tables.items():
                    if table != to_table:
                        yield from _to(to_table, key, sample, str(evidence.types[place].storage), table, other, seen)


def _to(
    to_table: str, key: InferredColumn, kept: ValueSample, storage: str, table: str, schema: InferredSchema,
    evidence: TableEvidence,
) -> Iterator[Reference]:  # fmt: skip
    for place, column in enumerate(schema.columns):
        sample = evidence.columns[place].sample
        if sample is None or str(evidence.types[place].storage) != storage or column.constant:
            continue
        named = _fits(column.name, to_table, key.name)
        if not named and (column.semantic in _NO_KEYS or storage != "String"):
            continue
        looked, found = _contained(sample, kept)
        if looked < (1 if named else _MANY) or found < _CONTAINED * looked:
            continue
        yield Reference(
            table=table, column=column.name, to_table=to_table, to_column=key.name,
            confidence=round(wilson_lower(found, looked) * (1.0 if named else _UNNAMED), 4),
            reason=f"{found:,} of {looked:,} values of {shown(column.name)} that were looked up are among those of "
            f"{shown(key.name)} in {shown(to_table)}{', and the names fit' if named else ''}.",
        )  # fmt: skip


def _contained(child: ValueSample, parent: ValueSample) -> tuple[int, int]:
    """Values of one sample that the other could have kept, and how many of them it has."""
    hashes = child.hashes
    if parent.full:
        hashes = hashes[: int(np.searchsorted(hashes, parent.hashes[-1], side="right"))]
    return len(hashes), int(np.isin(hashes, parent.hashes).sum())


def _fits(column: str, table: str, key: str) -> bool:
    """Whether a name points to a key: `customer_id` to `customer_id`, or to `id` of `customers`.

    Examples
    --------
    >>> _fits("customer_id", "customers", "id"), _fits("id", "customers", "id"), _fits("day", "customers", "id")
    (True, False, False)
    """
    said, wanted = words_of(column), words_of(key)
    owner = {word.removesuffix("s") for word in words_of(table)}
    if said == wanted:
        return len(wanted) > 1 or wanted[0] not in ("id", "key", "code", "name", "no")
    return bool(owner & {word.removesuffix("s") for word in said})
