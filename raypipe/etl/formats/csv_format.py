"""CSV as a format: dialect and types found from samples, byte ranges between rows as parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl
import pyarrow as pa

from raypipe.blocks.frames import canonical_schema, no_rows
from raypipe.config import CellFormat, ReadOptions
from raypipe.errors import MissingColumnsError
from raypipe.etl.formats.cell_formats import find_formats
from raypipe.etl.formats.cells import Found, check_kind, find_kinds
from raypipe.etl.formats.csv_file import CsvFile, Sample
from raypipe.etl.formats.csv_guess import check_guess
from raypipe.etl.formats.csv_layout import Layout, Take, Wanted
from raypipe.etl.formats.csv_look import look_at
from raypipe.etl.formats.csv_parse import Task, read_part
from raypipe.etl.formats.csv_plan import Sampling, plan_csv
from raypipe.etl.formats.csv_typing import read_cells
from raypipe.etl.formats.format import OF_STORES, Cut, Cutting, Format, Joined, Look, ReadSlice
from raypipe.etl.formats.schemas import conform
from raypipe.etl.formats.slices import MISCUT, Slice, draw_seed
from raypipe.etl.formats.texts import is_text
from raypipe.etl.types import arrow_type, join_found, kind_of
from raypipe.stage import PartRead
from raypipe.storage.source import Place

if TYPE_CHECKING:
    from raypipe.etl.source import TableSource

TYPED_FILES = 24
"""Of many CSV files, rows of so many are looked at for types, spread over all of them."""

_OF_OTHERS = {"nested", "records"}
"""Read options that no text has."""


class CsvFormat(Format):
    """Lines of fields with a character between them."""

    name: ClassVar[str] = "csv"
    title: ClassVar[str] = "CSV"
    extensions: ClassVar[tuple[str, ...]] = (".csv", ".tsv", ".tab", ".txt")
    is_text: ClassVar[bool] = True
    honours: ClassVar[frozenset[str]] = frozenset(ReadOptions.model_fields) - _OF_OTHERS - OF_STORES
    settles: ClassVar[bool] = True

    def holds(self, head: bytes, suffix: str) -> bool:
        return is_text(head)

    def takes(self, found: str) -> bool:
        return found in ("csv", "json")

    def look(self, place: Place, options: ReadOptions) -> Look:
        for column, kind in options.dtypes.items():
            check_kind(kind, column)
        sample = look_at(place, options)
        rows, exact = _estimate_rows(sample)
        return Look(sample.file, rows=rows, rows_exact=exact, sample=sample)

    def join(self, looks: Sequence[Look], options: ReadOptions) -> Joined:
        kinds, formats, notes = _csv_kinds([look.sample for look in looks], options)
        schema = canonical_schema(pa.schema([(name, arrow_type(kind)) for name, kind in kinds.items()]))
        return Joined(schema, tuple(notes), tuple(options.dtypes), formats)

    def names_in(self, looks: Sequence[Look]) -> list[str]:
        return list(dict.fromkeys(name for look in looks for name in look.sample.file.names))

    def cut(self, files: Sequence[CsvFile], schema: pa.Schema, how: Cutting) -> Cut:
        sampling = Sampling(how.sample_rows, how.seed) if how.sample_rows else None
        plan = plan_csv(files, how.target, how.max_rows, sampling, guess=how.guess)
        return Cut(plan.slices, plan.notes)

    def open(self, source: TableSource) -> ReadSlice:
        schema = source.read_schema
        layouts = [_layout(file, schema, source.options) for file in source.files]

        def read(piece: Slice, part_id: str) -> PartRead:
            file: Any = source.files[piece.file]
            take = Take(piece.take, draw_seed(source.seed, part_id)) if piece.take is not None else None
            raw, clean = file.raw(piece.start, piece.end), piece.clean
            if piece.sought is not None:
                checked = check_guess(raw, file, piece)
                if checked is None:
                    return PartRead(no_rows(schema), bytes_read=len(raw), lines=0, notes={MISCUT: 1})
                clean = checked
            got = read_part(Task(raw, clean, piece.first_line, take), layouts[piece.file])
            block = conform(got.block, got.block.num_rows, schema)
            return replace(got, block=block, lines=None if take else got.lines)

        return read

    def info(self, looks: Sequence[Look]) -> dict[str, Any]:
        columns = list(dict.fromkeys(name for look in looks for name in look.sample.file.names))
        first: CsvFile = looks[0].sample.file
        return {
            "columns": columns,
            "estimated_columns": len(columns),
            "estimated_rows": sum(look.rows or 0 for look in looks),
            "rows_exact": all(look.rows_exact for look in looks),
            "encoding": first.dialect.encoding,
            "delimiter": first.dialect.delimiter,
            "header": first.has_header,
        }


def read_lines(file: CsvFile, text: str, schema: pa.Schema, options: ReadOptions) -> PartRead:
    """Rows of a text that is written as a file is, with its columns and without a header."""
    layout = replace(_layout(file, schema, options), encoding="utf-8")
    read = read_part(Task(text.encode("utf-8", "replace"), clean=False), layout)
    return replace(read, block=conform(read.block, read.block.num_rows, schema))


def read_fields(texts: pl.Series, field: pa.Field, options: ReadOptions) -> tuple[pl.Series, pl.Series | None]:
    """Values of a column's cells as a file has them, and which of them do not fit (None: all do)."""
    want = Wanted(0, field.name, kind_of(field.type) or "text", options.formats.get(field.name))
    values, wrong, _ = read_cells(texts, want, options.null_values)
    return values, wrong


def _layout(file: Any, schema: pa.Schema, options: ReadOptions) -> Layout:
    kinds = {field.name: kind_of(field.type) or "text" for field in schema}
    wanted = tuple(
        Wanted(at, name, kinds[name], options.formats.get(name)) for at, name in enumerate(file.names) if name in kinds
    )
    return Layout(
        file.dialect.grammar_in("utf-8"),
        file.part_encoding,
        len(file.names),
        wanted,
        options.null_values,
        marks=file.dialect.marks_in("utf-8"),
        comment=file.dialect.comment_in("utf-8"),
        ragged=options.ragged,
        lenient=options.bad_bytes == "cp1252",
        path=file.path,
    )


def _estimate_rows(sample: Sample) -> tuple[int, bool]:
    """Rows of the file by the mean length of those sampled, and whether the sample is the file."""
    if sample.is_whole:
        return sample.texts.height, True
    body = max(0, sample.file.data_end - sample.file.data_start)
    return round(body / sample.bytes_per_row), False


def _csv_kinds(
    samples: Sequence[Sample], options: ReadOptions
) -> tuple[dict[str, str], dict[str, CellFormat], list[str]]:
    """Kind of every wanted column, formats of those not written plainly, and notes."""
    names = list(dict.fromkeys(name for sample in samples for name in sample.file.names))
    for given in (options.columns, tuple(options.dtypes), tuple(options.formats)):
        missing = [name for name in given or () if name not in names]
        if missing:
            raise MissingColumnsError("read_options", missing, names)
    notes = [f"{sample.file.path}: {note}" for sample in samples for note in sample.file.notes]
    if len(samples) > 1:
        notes += [
            f"column {name!r} is not in every file; it is null where it is missing"
            for name in names
            if any(name not in sample.file.names for sample in samples)
        ]
    step = max(1, -(-len(samples) // TYPED_FILES))
    looked = [*samples[::step], *([samples[-1]] if (len(samples) - 1) % step else [])]
    found = _found(looked, options)
    kinds: dict[str, str] = {}
    formats: dict[str, CellFormat] = {}
    for name in options.columns or names:
        known = [one for one in found.get(name, ()) if one.values]
        joined, how = join_found(known)
        wanted = options.dtypes.get(name, joined)
        kinds[name] = joined if (wanted, joined) == ("datetime", "datetime_utc") else wanted
        if (how := options.formats.get(name, how)) is not None:
            formats[name] = how
        if len({one.kind for one in known}) > 1 and name not in options.dtypes:
            notes.append(_join_note(name, joined, looked, found[name]))
        if name not in options.dtypes:
            said = [one.note for one in known if one.format is None or one.format == formats.get(name)]
            notes += [f"column {name!r} {note}" for note in dict.fromkeys(said) if note]
    return kinds, formats, notes


def _join_note(name: str, joined: str, samples: Sequence[Sample], found: Sequence[Found]) -> str:
    holding = [sample.file.path for sample in samples if name in sample.file.names]
    places = dict(reversed([(one.kind, path) for one, path in zip(found, holding, strict=True) if one.values]))
    said = " and ".join(f"{kind} in {path}" for kind, path in places.items())
    return f"column {name!r} is {said}; it is read as {joined}"


def _found(samples: Sequence[Sample], options: ReadOptions) -> dict[str, list[Found]]:
    """What each sample says of each of its columns."""
    found: dict[str, list[Found]] = {}
    for sample in samples:
        plain = find_kinds(sample.texts, options.null_values)
        told = find_formats(sample.texts, sample.file.names, plain, options)
        for name, one in zip(sample.file.names, told, strict=True):
            found.setdefault(name, []).append(one)
    return found
