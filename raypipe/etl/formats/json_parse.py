"""One part of a JSON text: records in, typed rows and rows set aside out.

Arrow's parser reads pieces of a part where it is certain to give what the exact way gives: it refuses a value that is
not of the planned kind, a key that stands there twice, and text that is no JSON. What it refuses, and what it might
round, is read record by record.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.json as pj

from raypipe.blocks.frames import from_polars, no_rows
from raypipe.blocks.rowlines import RowLines
from raypipe.etl.aside import VALUE_CHARS
from raypipe.etl.formats.cells import count_wide
from raypipe.etl.formats.csv_layout import MARK
from raypipe.etl.formats.csv_typing import plain_floats, read_column
from raypipe.etl.formats.json_scan import Codes, Positions, Records
from raypipe.etl.formats.json_types import PlannedColumn, is_list, new_column, typed
from raypipe.etl.formats.json_values import MOST_DIGITS, Exact, significant, take_apart
from raypipe.etl.formats.schemas import conform
from raypipe.etl.types import kind_of
from raypipe.stage import ASIDE_SCHEMA, NONE_ASIDE, PartRead

PIECE = 1 << 20
"""Bytes that are read in one way or the other."""
_MOST_BRACKETS = 500
"""A record with more is read one by one: a parser may follow deep nesting with its stack."""
_ZERO, _TEN, _DOT = np.uint8(ord("0")), np.uint8(10), ord(".")
_LONG_WHOLE = 16
_MOST_DOUBTFUL = 1000


@dataclass(frozen=True)
class JsonLayout:
    """How to read the records of a source."""

    schema: pa.Schema
    nested: str
    null_values: tuple[str, ...]
    fixed: frozenset[str]
    """Columns whose type the user gave: texts are parsed for them, too."""
    takes_new: bool
    """A key that is no column yet is told, so that it becomes one; else only the wanted columns count."""
    dotted: frozenset[str] = frozenset()
    """Columns whose name is a key with dots in it, and not a field of a field."""

    def planned(self) -> list[PlannedColumn]:
        """The columns as the exact way reads them."""
        return [
            PlannedColumn(field.name, field.type, field.name in self.fixed, self.null_values) for field in self.schema
        ]


@dataclass
class _Read:
    """What a part gave so far."""

    blocks: list[pa.Table] = field(default_factory=list)
    aside: list[dict[str, Any]] = field(default_factory=list)
    lost: set[int] = field(default_factory=set)
    """Records that are no rows."""
    values: dict[str, int] = field(default_factory=dict)
    wide: dict[str, int] = field(default_factory=dict)
    misfits: dict[str, dict[str, Any]] = field(default_factory=dict)

    def count(self, name: str, kind: pa.DataType, column: pl.Series) -> None:
        """Count values of a column that is not text."""
        if kind == pa.large_string():
            return
        self.values[name] = self.values.get(name, 0) + column.len() - column.null_count()
        if kind == pa.int64() and (wide := count_wide(column)):
            self.wide[name] = self.wide.get(name, 0) + wide


def read_records(records: Records, layout: JsonLayout, first_line: int, marked: bool) -> PartRead:
    """Rows of a part, typed.

    Parameters
    ----------
    records : Records
        What to read.
    first_line : int
        Lines of the file in front of the part that count as part of it.
    marked : bool
        Some bytes did not belong to the encoding; `MARK` stands in front of them.
    """
    read = _Read()
    # Arrow's parser has rules of its own for what fits a decimal.
    exact_only = marked or any(pa.types.is_decimal(one.type) for one in layout.schema)
    fields = None if exact_only else _nested_fields(layout)
    for start, stop in _pieces(records):
        piece = records.chosen(np.arange(start, stop))
        table = _quick(piece, layout, fields) if fields is not None else None
        if table is None:
            exact = take_apart(piece, layout.nested, MARK.encode() if marked else None)
            table = _from_exact(piece, exact, layout, (read, start, first_line))
        for column in table.column_names:
            read.count(column, table.schema.field(column).type, pl.Series(pl.from_arrow(table[column])))
        read.blocks.append(table)
    notes: dict[str, Any] = {"values": read.values} | ({"wide": read.wide} if read.wide else {})
    for name, found in read.misfits.items():
        if not found.get("new"):
            read.values[name] = read.values.get(name, 0) + found["count"]
            found["values"] = read.values[name]
    return PartRead(
        block=pa.concat_tables(read.blocks).combine_chunks() if read.blocks else no_rows(layout.schema),
        aside=pa.Table.from_pylist(read.aside, ASIDE_SCHEMA) if read.aside else NONE_ASIDE,
        row_numbers=pa.array(_kept(read.lost, records.count)) if read.lost else None,
        lines=records.total_lines + first_line,
        row_lines=RowLines.of(np.arange(records.count), records.lines + first_line),
        notes=notes | ({"misfits": read.misfits} if read.misfits else {}),
    )


def _kept(lost: set[int], count: int) -> Positions:
    """Numbers of the records that are rows."""
    keep = np.ones(count, bool)
    keep[list(lost)] = False
    return np.flatnonzero(keep)


def _pieces(records: Records) -> list[tuple[int, int]]:
    """Ranges of records of about `PIECE` bytes."""
    if not records.count:
        return []
    marks = records.starts // PIECE
    edges = np.flatnonzero(np.diff(marks)) + 1
    bounds = [0, *edges.tolist(), records.count]
    return list(itertools.pairwise(bounds))


def _nested_fields(layout: JsonLayout) -> dict[str, Any] | None:
    """The columns as fields of fields; None where their names do not allow it."""
    made: dict[str, Any] = {}
    for one in layout.schema:
        steps = (one.name,) if one.name in layout.dotted else tuple(one.name.split("."))
        at = made
        for step in steps[:-1]:
            at = at.setdefault(step, {})
            if not isinstance(at, dict):
                return None
        if steps[-1] in at:
            return None
        at[steps[-1]] = _as_parsed(one.type)
    return made if layout.nested == "flatten" else None


def _as_parsed(kind: pa.DataType) -> pa.DataType:
    """The type that Arrow's parser is told."""
    if is_list(kind):
        return pa.list_(_as_parsed(kind.value_type))
    return kind if kind in (pa.int64(), pa.float64(), pa.bool_()) else pa.string()


def _type_of(fields: Mapping[str, Any]) -> list[pa.Field]:
    return [
        pa.field(name, pa.struct(_type_of(kind)) if isinstance(kind, dict) else kind) for name, kind in fields.items()
    ]


def _quick(records: Records, layout: JsonLayout, fields: Mapping[str, Any]) -> pa.Table | None:
    """The rows by Arrow's parser; None where it is not certain that they are those of the exact way."""
    start, stop = int(records.starts[0]), int(records.ends[-1])
    body = records.body[start:stop]
    if not _is_simple(np.frombuffer(body, np.uint8), records.starts - start, records.ends - start):
        return None
    if _may_round(body, layout.schema):
        return None
    takes_all = layout.takes_new or any("." in name for name in layout.schema.names)
    parse = pj.ParseOptions(
        explicit_schema=pa.schema(_type_of(fields)), unexpected_field_behavior="infer" if takes_all else "ignore"
    )
    options = pj.ReadOptions(use_threads=False, block_size=len(body) + 64)
    try:
        table = pj.read_json(pa.BufferReader(body), read_options=options, parse_options=parse)
    except pa.ArrowException:
        return None
    if table.num_rows != records.count:
        return None
    found = _flat_columns(table, fields, layout) if fields else {}
    return _converted(found, records.count, layout) if found is not None else None


def _is_simple(codes: Codes, starts: Any, ends: Any) -> bool:
    """Whether every record is an object by its first and last character, and none is deep."""
    if (ends - starts < len("{}")).any():
        return False
    if (codes[starts] != ord("{")).any() or (codes[ends - 1] != ord("}")).any():
        return False
    opens = ((codes == ord("{")) | (codes == ord("["))).astype(np.int32)
    return int(np.add.reduceat(opens, starts).max()) <= _MOST_BRACKETS


def _may_round(body: bytes, schema: pa.Schema) -> bool:
    """Whether a float of the exact way would be no float, or a number that is none stands in a list."""
    kinds = [one.type for one in schema]
    lists = [kind for kind in kinds if is_list(kind)]
    if lists and b"NaN" in body:
        return True
    if pa.float64() not in kinds and not lists:
        return False
    return _has_long_numbers(body)


def _has_long_numbers(body: bytes) -> bool:
    """Whether some number has more digits than a float64, or than a whole number that is surely one, can have."""
    codes = np.frombuffer(body, np.uint8)
    digits = np.diff((codes - _ZERO < _TEN).astype(np.int8), prepend=np.int8(0), append=np.int8(0))
    starts, ends = np.flatnonzero(digits == 1), np.flatnonzero(digits == -1)
    lengths = ends - starts
    fraction = np.zeros(starts.size, bool)
    fraction[1:] = (starts[1:] == ends[:-1] + 1) & (codes[ends[:-1]] == _DOT)
    if bool((lengths[~fraction] >= _LONG_WHOLE).any()):
        return True
    whole = np.flatnonzero(fraction) - 1
    counted = lengths[fraction] + np.where(codes[starts[whole]] == _ZERO, 0, lengths[whole])
    doubtful = whole[counted > MOST_DIGITS]
    if doubtful.size > _MOST_DOUBTFUL:
        return True
    numbers = (body[int(starts[at]) : int(ends[at + 1])].decode() for at in doubtful.tolist())
    return any(significant(number) > MOST_DIGITS for number in numbers)


def _flat_columns(table: pa.Table, fields: Mapping[str, Any], layout: JsonLayout) -> dict[str, pa.Array] | None:
    """Column -> values; None where a key turned up that decides something."""
    found: dict[str, pa.Array] = {}
    batch = table.combine_chunks().to_batches()[0]
    waiting: list[tuple[tuple[str, ...], pa.Array, Mapping[str, Any]]] = [
        ((name,), batch.column(at), fields) for at, name in enumerate(batch.schema.names)
    ]
    while waiting:
        path, values, level = waiting.pop()
        planned = level.get(path[-1]) if isinstance(level, Mapping) else None
        if isinstance(planned, dict):
            kind, flat = values.type, values.flatten()
            waiting += [((*path, kind.field(at).name), flat[at], planned) for at in range(kind.num_fields)]
        elif planned is not None:
            found[".".join(path)] = values
        elif not _is_nothing(values) and (layout.takes_new or _names_in(path, values.type) & set(layout.schema.names)):
            return None
    return found


def _names_in(path: tuple[str, ...], kind: pa.DataType) -> set[str]:
    if not pa.types.is_struct(kind):
        return {".".join(path)}
    return {
        name for at in range(kind.num_fields) for name in _names_in((*path, kind.field(at).name), kind.field(at).type)
    }


def _is_nothing(values: pa.Array) -> bool:
    """Whether a key that is no column has no value in any record: null, or an object without fields."""
    if pa.types.is_struct(values.type):
        return all(_is_nothing(inner) for inner in values.flatten())
    return bool(values.null_count == len(values))


def _converted(found: Mapping[str, pa.Array], rows: int, layout: JsonLayout) -> pa.Table | None:
    """Values as blocks carry them; None where a text does not fit."""
    columns = {}
    for one in layout.schema:
        if one.name not in found:
            return None
        values, kind = found[one.name], kind_of(one.type)
        if kind is None or one.type in (pa.int64(), pa.bool_()):
            columns[one.name] = values
            continue
        series = pl.Series("", pl.from_arrow(values))
        if kind == "float64":
            series = series.fill_nan(None)
            if not plain_floats(series) and not _exact_floats(series):
                return None
        elif kind != "text" or layout.null_values:
            series, wrong = read_column(series, kind, layout.null_values)
            if wrong is not None:
                return None
        columns[one.name] = from_polars(pl.DataFrame({"x": series}))["x"]
    return conform(pa.table(columns) if columns else None, rows, layout.schema)


def _exact_floats(series: pl.Series) -> bool:
    """Whether no value is endless: digits beyond those of a float were looked for in the text."""
    return not bool(series.is_infinite().any())


def _from_exact(records: Records, exact: Exact, layout: JsonLayout, into: tuple[_Read, int, int]) -> pa.Table:
    """Rows of the exact way; records that are none, and rows with a value that does not fit, go aside."""
    read, offset, first_line = into
    faults: dict[int, tuple[str | None, str | None, str]] = {
        index: (None, None, reason) for index, reason in exact.bad.items()
    }
    columns = {}
    for planned in layout.planned():
        got = typed(exact.columns.get(planned.name), records.count, planned)
        columns[planned.name] = got.values
        for row, text in got.wrong:
            shown = text if len(text) <= VALUE_CHARS else text[:VALUE_CHARS] + "…"
            faults.setdefault(
                row, (planned.name, shown, f"column {planned.name!r} wants {planned.title}, got {shown!r}")
            )
        if got.misfit is not None:
            _add(read, planned.name, got.misfit | {"line": first_line + int(records.lines[got.wrong[0][0]])})
    if layout.takes_new:
        for name, found in exact.columns.items():
            if name not in columns:
                line = first_line + int(records.lines[found.rows[0]])
                _add(read, name, new_column(found) | {"line": line})
    for row in sorted(faults):
        column, value, reason = faults[row]
        read.aside.append(
            {
                "row": None if column is None else offset + row,
                "line": first_line + int(records.lines[row]),
                "column": column,
                "value": value,
                "reason": reason,
                "raw": records.text(row).decode("utf-8", "replace").replace(MARK, ""),
            }
        )
        read.lost.add(offset + row)
    table = conform(pa.table(columns) if columns else None, records.count, layout.schema)
    if not faults:
        return table
    keep = np.ones(records.count, bool)
    keep[list(faults)] = False
    return table.filter(pa.array(keep))


def _add(read: _Read, name: str, found: Mapping[str, Any]) -> None:
    known = read.misfits.get(name)
    if known is None:
        read.misfits[name] = dict(found)
        return
    known["count"] += found["count"]
    known["codes"] += found["codes"]
    known["values"] += found["values"]
    known["as"] = _sum(known["as"], found["as"])


def _sum(a: Mapping[str, int], b: Mapping[str, int]) -> dict[str, int]:
    return {name: a.get(name, 0) + b.get(name, 0) for name in dict.fromkeys((*a, *b))}
