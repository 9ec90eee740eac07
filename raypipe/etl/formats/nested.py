"""Nested columns: what becomes of records in a column, by one rule for every format.

`flatten` turns field `b` of column `a` into column `a.b`, at any depth, and leaves lists as they are; where the record
is null, its fields are. `text` turns each nested column into JSON text. `keep` leaves all as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from raypipe.etl.aside import as_text
from raypipe.etl.formats.names import unique_names
from raypipe.etl.formats.schemas import conform, travelling_type

_TEXT = pa.large_string()


@dataclass(frozen=True)
class Leaf:
    """A column as it is seen: its name, and where it stands in the file."""

    name: str
    path: tuple[str, ...]
    kind: pa.DataType
    as_text: bool = False

    @property
    def top(self) -> str:
        """The column of the file that holds it."""
        return self.path[0]


@dataclass(frozen=True)
class Shape:
    """The columns of a file as they are seen."""

    leaves: tuple[Leaf, ...]
    notes: tuple[str, ...] = ()

    @property
    def schema(self) -> pa.Schema:
        """Names and types."""
        return pa.schema([(leaf.name, leaf.kind) for leaf in self.leaves])


def shape_of(schema: pa.Schema, nested: str) -> Shape:
    """How the columns of a file are seen.

    A field whose dotted name is already that of another column gets a number, and a note says so.

    Examples
    --------
    >>> shape_of(pa.schema([("a", pa.struct([("b", pa.int64())]))]), "flatten").schema.names
    ['a.b']
    """
    found = [leaf for field in schema for leaf in _leaves(field.name, (field.name,), field.type, nested)]
    own = [leaf for leaf in found if len(leaf.path) == 1]
    if len({leaf.name for leaf in found}) == len(found):
        return Shape(tuple(found))
    ranked = [*own, *(leaf for leaf in found if len(leaf.path) > 1)]
    names, notes = unique_names([leaf.name for leaf in ranked])
    renamed = {leaf.path: name for leaf, name in zip(ranked, names, strict=True)}
    leaves = (Leaf(renamed[leaf.path], leaf.path, leaf.kind, leaf.as_text) for leaf in found)
    return Shape(tuple(leaves), tuple(notes))


def _leaves(name: str, path: tuple[str, ...], kind: pa.DataType, nested: str) -> Iterator[Leaf]:
    names = [kind.field(at).name for at in range(kind.num_fields)] if pa.types.is_struct(kind) else []
    if nested == "flatten" and names and len(set(names)) == len(names):
        for at in range(kind.num_fields):
            field = kind.field(at)
            yield from _leaves(f"{name}.{field.name}", (*path, field.name), field.type, nested)
    elif pa.types.is_nested(kind) and (nested == "text" or (nested == "flatten" and pa.types.is_struct(kind))):
        yield Leaf(name, path, _TEXT, as_text=True)
    else:
        yield Leaf(name, path, kind)


def physical(shape: Shape, schema: pa.Schema, stored: pa.Schema) -> pa.Schema:
    """The columns of the file that hold those of `schema`, under the types to read them with."""
    tops = dict.fromkeys(leaf.top for leaf in shape.leaves if leaf.name in schema.names)
    kinds = {leaf.top: schema.field(leaf.name).type for leaf in shape.leaves if _is_plain(leaf, schema)}
    return pa.schema([(top, kinds.get(top) or travelling_type(stored.field(top).type)) for top in tops])


def _is_plain(leaf: Leaf, schema: pa.Schema) -> bool:
    return leaf.name in schema.names and leaf.path == (leaf.name,) and not leaf.as_text


def shaped(table: pa.Table, shape: Shape, rows: int, schema: pa.Schema) -> pa.Table:
    """Rows of a file as they are seen, under `schema`."""
    wanted = [leaf for leaf in shape.leaves if leaf.name in schema.names]
    if all(_is_plain(leaf, schema) for leaf in wanted):
        return conform(table, rows, schema)
    columns = {leaf.name: _column(table[leaf.top], leaf) for leaf in wanted}
    return conform(pa.table(columns), rows, schema)


def _column(values: pa.ChunkedArray, leaf: Leaf) -> pa.ChunkedArray:
    for step in leaf.path[1:]:
        values = pc.struct_field(values, [values.type.get_field_index(step)])
    if leaf.as_text:
        text = as_text(pl.Series("", pl.from_arrow(values)))
        return pa.chunked_array([text.to_arrow()])
    return values
