"""JSON as a format: lines and documents, byte ranges between records as parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa

from raypipe.config import ReadOptions
from raypipe.errors import ConfigError, MissingColumnsError, ReadError
from raypipe.etl.formats.cells import check_kind
from raypipe.etl.formats.csv_layout import MARK, Take, to_utf8
from raypipe.etl.formats.csv_parse import draw
from raypipe.etl.formats.format import EVERYWHERE, Cut, Cutting, Format, Joined, Look, ReadSlice
from raypipe.etl.formats.json_cut import cut_json
from raypipe.etl.formats.json_file import JsonFile, JsonSample, look_at
from raypipe.etl.formats.json_parse import JsonLayout, read_records
from raypipe.etl.formats.json_scan import Records, records_of_array, records_of_lines
from raypipe.etl.formats.json_types import find_type, join_found
from raypipe.etl.formats.json_values import Column, Exact, names_in, record_of, take_apart
from raypipe.etl.formats.slices import Slice, draw_seed, take_rows
from raypipe.etl.formats.texts import is_text
from raypipe.etl.types import arrow_type
from raypipe.stage import PartRead
from raypipe.storage.source import Place

if TYPE_CHECKING:
    from raypipe.etl.source import TableSource

_BOM = "\ufeff".encode()
_MOST_COLUMNS = 20_000


class JsonFormat(Format):
    """JSON lines, arrays of objects, objects with an array of objects in them, objects of arrays."""

    name: ClassVar[str] = "json"
    title: ClassVar[str] = "JSON"
    extensions: ClassVar[tuple[str, ...]] = (".json", ".jsonl", ".ndjson")
    is_text: ClassVar[bool] = True
    honours: ClassVar[frozenset[str]] = EVERYWHERE | {"nested", "records", "encoding", "dtypes", "null_values"}
    why_refused: ClassVar[str] = "whose grammar is fixed"
    settles: ClassVar[bool] = True

    def holds(self, head: bytes, suffix: str) -> bool:
        body = head.replace(b"\0", b"").lstrip(b"\xff\xfe\xef\xbb\xbf \t\r\n")
        if suffix in self.extensions:
            return body[:1] in (b"{", b"[", b"") and is_text(head)
        inner = body[1:].lstrip()
        is_object = body[:1] == b"{" and (inner[:1] == b"}" or (inner[:1] == b'"' and b":" in inner))
        return is_text(head) and (is_object or (body[:1] == b"[" and inner[:1] == b"{" and b'"' in inner))

    def takes(self, found: str) -> bool:
        return found in ("json", "csv")

    def look(self, place: Place, options: ReadOptions) -> Look:
        if options.nested == "keep":
            raise ConfigError(
                "read_options: nested='keep' has no meaning for JSON, whose records have no types of their own. Choose"
                " 'flatten' or 'text'."
            )
        for column, kind in options.dtypes.items():
            check_kind(kind, column)
        file, sample = look_at(place, options)
        body = max(0, file.size - file.start)
        rows = sample.records.count if sample.is_all else round(body / sample.bytes_per_record)
        types, dotted = _types_of(file, sample, options)
        return Look(file.replace(dotted=dotted), rows=rows, rows_exact=sample.is_all, sample=types)

    def join(self, looks: Sequence[Look], options: ReadOptions) -> Joined:
        found = [look.sample for look in looks]
        names = list(dict.fromkeys(name for types in found for name in types))
        if not names:
            raise ReadError(f"{looks[0].file.path}: has no field in any row, so there is no column.")
        for given in (options.columns, tuple(options.dtypes)):
            missing = [name for name in given or () if name not in names]
            if missing:
                raise MissingColumnsError("read_options", missing, names)
        if len(names) > _MOST_COLUMNS:
            raise ReadError(
                f"{looks[0].file.path}: its records have more than {_MOST_COLUMNS:,} different fields; keys may be"
                " data. Set read_options.nested to 'text', or name columns."
            )
        notes = [note for look in looks for note in look.file.notes]
        fields = []
        for name in options.columns or names:
            types = [one[name] for one in found if name in one]
            joined = join_found([kind for kind, _, known in types if known] or [pa.large_string()])
            wanted = arrow_type(options.dtypes[name]) if name in options.dtypes else joined
            fields.append((name, wanted))
            if name not in options.dtypes:
                notes += [f"column {name!r} {note}" for note in dict.fromkeys(note for _, note, _ in types if note)]
        return Joined(pa.schema(fields), tuple(notes), tuple(options.dtypes))

    def names_in(self, looks: Sequence[Look]) -> list[str]:
        return list(dict.fromkeys(name for look in looks for name in look.sample))

    def cut(self, files: Sequence[JsonFile], schema: pa.Schema, how: Cutting) -> Cut:
        slices = tuple(piece for index, file in enumerate(files) for piece in cut_json(file, index, how.target))
        if how.max_rows is not None:
            slices = tuple(_first_rows(files, slices, how.max_rows))
        if how.sample_rows is None:
            return Cut(slices)
        rows = [_records_of(files[piece.file], piece)[0].count for piece in slices]
        drawn = min(how.sample_rows, sum(rows))
        note = f"simple random sample of {drawn:,} of {sum(rows):,} rows, exact (rows were counted)"
        return Cut(tuple(take_rows(slices, rows, how.sample_rows, how.seed)), (note,))

    def open(self, source: TableSource) -> ReadSlice:
        layout = layout_of(source)

        def read(piece: Slice, part_id: str) -> PartRead:
            file: Any = source.files[piece.file]
            records, size, blank, marked = _records_of(file, piece)
            if piece.take is not None:
                records = records.chosen(draw(records.count, Take(piece.take, draw_seed(source.seed, part_id))))
            got = read_records(records, layout, piece.first_line, marked)
            notes = got.notes | ({"blank_lines": blank} if blank and piece.take is None else {})
            lines = None if piece.take is not None else got.lines
            return replace(got, bytes_read=size, lines=lines, notes=notes)

        return read

    def info(self, looks: Sequence[Look]) -> dict[str, Any]:
        columns = self.names_in(looks)
        return {
            "columns": columns,
            "estimated_columns": len(columns),
            "estimated_rows": sum(look.rows or 0 for look in looks),
            "rows_exact": all(look.rows_exact for look in looks),
            "encoding": getattr(looks[0].file, "encoding", "utf-8"),
            "layout": getattr(looks[0].file, "layout", "lines"),
        }


def layout_of(source: TableSource) -> JsonLayout:
    """How the records of a source are read."""
    options = source.options
    return JsonLayout(
        schema=source.read_schema,
        nested=options.nested,
        null_values=null_values_of(options),
        fixed=frozenset(source.fixed),
        takes_new=options.columns is None,
        dotted=frozenset(name for file in source.files for name in getattr(file, "dotted", ())),
    )


def null_values_of(options: ReadOptions) -> tuple[str, ...]:
    """Texts that mean "no value": JSON has a null of its own, so that there are none unless some are given."""
    return () if options.null_values == ReadOptions().null_values else options.null_values


def _types_of(
    file: JsonFile, sample: JsonSample, options: ReadOptions
) -> tuple[dict[str, tuple[pa.DataType, str | None, bool]], tuple[str, ...]]:
    """Column -> the type it asks for, a note, and whether it has a value; and the keys with dots in them."""
    exact = take_apart(sample.records, options.nested, MARK.encode() if sample.is_marked else None)
    if len(exact.bad) == sample.records.count and exact.bad:
        first = min(exact.bad)
        line = file.first_line + int(sample.records.lines[first]) + 1
        raise ReadError(f"{file.path}: has no row: line {line} {exact.bad[first]}, and so with every other.")
    names, dotted = _names_of(sample, exact, options)
    made = {}
    for name in names:
        column = exact.columns.get(name, Column())
        kind, note = find_type(column)
        made[name] = (kind, note, bool(column.rows))
    return made, dotted


def _names_of(sample: JsonSample, exact: Exact, options: ReadOptions) -> tuple[list[str], tuple[str, ...]]:
    """Columns in the order in which they turn up; one without a value counts, but not where others hold its fields."""
    names, keys = dict[str, None](), dict[str, None]()
    for index in range(sample.records.count):
        if index not in exact.bad:
            record = record_of(sample.records.text(index).decode())
            names.update(dict.fromkeys(names_in(record, options.nested)))
            keys.update(dict.fromkeys(key for key in record if "." in key))
    parents = {name[:at] for name in names for at, letter in enumerate(name) if letter == "."}
    return [name for name in names if name not in parents or name in exact.columns], tuple(keys)


def _records_of(file: Any, piece: Slice) -> tuple[Records, int, int, bool]:
    """Records of a slice, bytes read, blank lines, and whether some bytes did not belong to the encoding."""
    raw = file.raw(piece.start, piece.end)
    body, marked = to_utf8(raw.removeprefix(_BOM) if piece.start == 0 else raw, file.part_encoding)
    if file.layout == "array":
        return records_of_array(body), len(raw), 0, bool(marked)
    records, blank = records_of_lines(body)
    return records, len(raw), blank, bool(marked)


def _first_rows(files: Sequence[JsonFile], slices: Sequence[Slice], max_rows: int) -> Iterator[Slice]:
    """Slices up to that row; of the last, the first rows."""
    left = max_rows
    for piece in slices:
        records = _records_of(files[piece.file], piece)[0]
        if records.count <= left:
            left -= records.count
            yield piece.replace(rows=records.count)
        else:
            yield _shortened(files[piece.file], piece, left)
            return
        if not left:
            return


def _shortened(file: JsonFile, piece: Slice, rows: int) -> Slice:
    """The slice up to the end of its row `rows`."""
    raw = file.raw(piece.start, piece.end)
    lead = len(_BOM) if piece.start == 0 and raw.startswith(_BOM) else 0
    find = records_of_array if file.layout == "array" else lambda body: records_of_lines(body)[0]
    end = int(np.asarray(find(raw[lead:]).ends)[rows - 1]) + lead
    return piece.replace(end=piece.start + end, rows=rows, bytes=end)
