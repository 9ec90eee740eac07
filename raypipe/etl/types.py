"""Types of text columns: which arrow type a kind is, and what becomes of a plan that the data disagree with."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from raypipe.blocks.frames import from_polars
from raypipe.config import CellFormat, Frozen
from raypipe.etl.formats.cells import EVERY_KIND, KINDS, Found, kind_type
from raypipe.etl.formats.decimal_cells import decimal_kind

Misfits = dict[str, dict[str, Any]]
"""Column -> counts of cells that did not fit its planned type, over any number of parts."""

APPEARED = "none"
"""`Promotion.from_type` of a column that no sample had: nothing was widened."""


class Promotion(Frozen):
    """A column whose planned type was given up, and why."""

    column: str
    from_type: str
    to_type: str
    reason: str
    example: str | None = None
    """A value that did not fit."""


@functools.cache
def arrow_type(kind: str) -> pa.DataType:
    """The arrow type of a kind.

    Examples
    --------
    >>> arrow_type("text")
    DataType(large_string)
    """
    return from_polars(pl.DataFrame({"x": pl.Series([], dtype=kind_type(kind))})).schema.field("x").type


@functools.cache
def kind_of(kind: pa.DataType) -> str | None:
    """The kind of an arrow type; None if text is never read as it.

    Examples
    --------
    >>> kind_of(pa.date32())
    'date'
    """
    if pa.types.is_decimal128(kind):
        return decimal_kind(kind.precision, kind.scale) if 0 <= kind.scale <= kind.precision else None
    return next((name for name in EVERY_KIND if arrow_type(name) == kind), None)


def join_kinds(kinds: Iterable[str]) -> str:
    """The narrowest kind that holds the values of all: text in the end."""
    found = set(kinds)
    for joined, parts in (("float64", {"int64", "float64"}), ("datetime", {"date", "datetime"})):
        if len(found) > 1 and found <= parts:
            return joined
    return found.pop() if len(found) == 1 else "text"


def join_found(found: Sequence[Found]) -> tuple[str, CellFormat | None]:
    """The kind that holds what several samples of a column hold, and the one way in which its cells are written.

    Files that write a column in different ways have no way in common: it is text, as it stands.
    """
    kind = join_kinds(one.kind for one in found) if found else "text"
    formats = {one.format for one in found if one.format is not None}
    if not formats or kind == "text":
        return kind, None
    plain = [one for one in found if one.format is None]
    if len(formats) > 1 or any(one.kind != "int64" for one in plain):
        return "text", None
    return kind, formats.pop()


def gather_misfits(notes: Iterable[Mapping[str, Any]]) -> Misfits:
    """Add up `PartRead.notes` of all parts, in the order of parts.

    Each note has `values` (column -> non-null values, for every column but text), `wide` (column -> whole numbers
    too long for float64) and, where cells did not fit, `misfits`. The result holds the columns with misfits, their
    `values` counted over all parts.
    """
    totals: dict[str, int] = {}
    wide: dict[str, int] = {}
    misfits: Misfits = {}
    for note in notes:
        for column, values in note.get("values", {}).items():
            totals[column] = totals.get(column, 0) + values
        for column, values in note.get("wide", {}).items():
            wide[column] = wide.get(column, 0) + values
        for column, found in note.get("misfits", {}).items():
            misfits[column] = _add(misfits[column], found) if column in misfits else dict(found)
    return {
        column: {**found, "values": max(totals.get(column, 0), found["count"]), "wide": wide.get(column, 0)}
        for column, found in misfits.items()
    }


def _add(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    kinds = {kind: a["as"].get(kind, 0) + b["as"].get(kind, 0) for kind in KINDS if kind in a["as"] or kind in b["as"]}
    counts = {name: a.get(name, 0) + b.get(name, 0) for name in ("count", "values", "codes", "grouped")}
    return {**a, **counts, "as": kinds}


def decide(column: str, kind: str, found: Mapping[str, Any], max_bad_share: float) -> Promotion | None:
    """What becomes of a column with misfits; None: it keeps its type, and the rows stay in quarantine."""

    def to(target: str, reason: str) -> Promotion:
        example = found.get("example")
        told = f"column {column!r} is read as {target}, not {kind}: {reason}" + (
            f", e.g. {example!r}" if example else ""
        )
        return Promotion(column=column, from_type=kind, to_type=target, reason=told, example=example)

    count, fits = found["count"], found["as"]
    values = max(found["values"], count)
    if not count:
        return None
    if found.get("codes"):
        return to("text", f"{found['codes']} values are digits that a number would change (leading zeros, or too many)")
    if found.get("grouped"):
        return to(
            "text", f"{found['grouped']} values have points between groups of digits, so others may have them, too"
        )
    wider = {"int64": "float64", "date": "datetime"}.get(kind)
    widened = fits.get(wider, 0) if wider else 0
    other = count - widened
    if other > max_bad_share * values:
        return to(
            "text",
            f"{other} of {values} values are no {kind}, more than the {max_bad_share:.2%} that may go to quarantine",
        )
    if widened and wider == "float64" and found.get("wide"):
        return to("text", f"{widened} values are fractions, and {found['wide']} whole numbers are too long for float64")
    if widened and wider:
        return to(wider, f"{widened} of {values} values are {'fractions' if wider == 'float64' else 'times of day'}")
    return None


def appeared(column: str, found: Mapping[str, Any]) -> Promotion:
    """A column that no sample had: it turned up in a later row, as a key of JSON may."""
    kind = "text" if found.get("codes") else join_kinds(found["as"])
    reason = f"column {column!r} is in no sampled row; it was found in {found['count']} others and is read as {kind}"
    return Promotion(column=column, from_type=APPEARED, to_type=kind, reason=reason, example=found.get("example"))
