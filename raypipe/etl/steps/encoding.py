"""Categories as numbers: by their order, by a given order, by their share, by a hash; and rare ones merged."""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar, Literal

import polars as pl
import pyarrow as pa
import pyarrow.types as pt

from raypipe.blocks.frames import polars_type
from raypipe.config import Frozen
from raypipe.config.steps import (
    EncodeFrequencySettings,
    EncodeHashSettings,
    EncodeLabelSettings,
    EncodeOrdinalSettings,
    Encoding,
    MergeRareSettings,
)
from raypipe.etl.aside import as_text
from raypipe.etl.steps.cells import ArrowType, Cell, array_of, cell_of
from raypipe.etl.steps.fitted import Edits, EditStep, FittedStep
from raypipe.etl.steps.learn import Place, Recipe
from raypipe.etl.steps.measure import Categories, CountValues
from raypipe.etl.steps.select import CATEGORIES, TEXT
from raypipe.etl.steps.step import cells_of
from raypipe.stage import ReduceStage

MAX_RARE = 1_000_000
"""Different values of a text column up to which rare ones can be told."""


class Codes(Frozen):
    """The numbers of the categories of one column."""

    column: str
    into: str
    """Column that the numbers go to; the column itself where they replace it."""
    type: ArrowType
    """Of the column."""
    texts: tuple[str, ...]
    """Categories as text, in order."""
    cells: tuple[Cell, ...] = ()
    """The same as values of the column's type, where the way back is wanted."""
    numbers: tuple[int | float, ...]


class Encode(EditStep):
    """Put a number in place of each category, or beside it; null stays null."""

    kind: Literal["encode"] = "encode"
    rewrites: ClassVar[bool] = True
    undoes: ClassVar[bool] = True
    number: ArrowType
    codes: tuple[Codes, ...]
    unseen: Literal["null", "quarantine", "overall"] = "null"
    overall: float | None = None
    """What an unseen category gets under `overall`."""

    @property
    def touched(self) -> tuple[str, ...]:
        return tuple(code.into for code in self.codes)

    def inputs(self) -> tuple[str, ...]:
        return tuple(code.column for code in self.codes)

    def types(self, schema: pa.Schema) -> dict[str, pa.DataType]:
        return dict.fromkeys(self.touched, self.number)

    def edit(self, block: pa.Table) -> Edits:
        made = Edits()
        for code in self.codes:
            texts = as_text(cells_of(block, code.column))
            numbers = mapped(texts, code.texts, code.numbers, polars_type(self.number))
            unseen = texts.is_not_null() & numbers.is_null()
            if unseen.any() and self.unseen == "quarantine":
                made.aside[code.column] = unseen, "is a category that the fitting did not see"
            elif unseen.any() and self.unseen == "overall":
                numbers = numbers.set(unseen, self.overall)
            elif unseen.any():
                made.nulled[code.into] = int(unseen.sum())
            made.columns[code.into] = numbers
        return made

    def undo(self, table: pa.Table) -> pa.Table:
        """Columns that numbers replaced, where each number stands for one category; else as it is."""
        for code in self.codes:
            if not code.cells or code.into not in table.column_names:
                continue
            values = pl.Series("", pl.from_arrow(array_of([*code.cells, None], code.type)))
            numbers = cells_of(table, code.into).cast(pl.Float64).round(0)
            place = mapped(numbers, [float(n) for n in code.numbers], list(range(len(code.numbers))), pl.UInt32())
            back = values.gather(place.fill_null(len(code.cells))).to_arrow().cast(code.type)
            index = table.schema.get_field_index(code.into)
            if code.into == code.column:
                table = table.set_column(index, pa.field(code.column, code.type), back)
            elif code.column in table.column_names:
                table = table.drop_columns([code.into])
            else:
                table = table.set_column(index, pa.field(code.column, code.type), back)
        return table

    def fitted_values(self) -> dict[str, Any]:
        return {code.into: {"categories": len(code.texts), **_first(code)} for code in self.codes}


def _first(code: Codes) -> dict[str, Any]:
    pairs = zip(code.texts[:5], code.numbers[:5], strict=True)
    return {"such as": ", ".join(f"{text} = {number:g}" for text, number in pairs)} if code.texts else {}


def mapped(cells: pl.Series, old: Any, new: Any, kind: pl.DataType) -> pl.Series:
    """Each value by its partner in `new`; null where it has none."""
    if not len(old):
        return pl.Series("", [], dtype=kind).extend_constant(None, len(cells))
    return cells.replace_strict(
        pl.Series("", list(old), dtype=cells.dtype),
        pl.Series("", list(new), dtype=kind),
        default=None,
        return_dtype=kind,
    )


class EncodeHash(EditStep):
    """Put the number of a bucket in place of each category, or beside it; null stays null."""

    kind: Literal["encode_hash"] = "encode_hash"
    rewrites: ClassVar[bool] = True
    buckets: int
    columns: tuple[tuple[str, str], ...]
    """(column, column that the numbers go to)."""

    @property
    def touched(self) -> tuple[str, ...]:
        return tuple(into for _, into in self.columns)

    def inputs(self) -> tuple[str, ...]:
        return tuple(column for column, _ in self.columns)

    def types(self, schema: pa.Schema) -> dict[str, pa.DataType]:
        return dict.fromkeys(self.touched, pa.int64())

    def edit(self, block: pa.Table) -> Edits:
        made = Edits()
        for column, into in self.columns:
            texts = as_text(cells_of(block, column))
            distinct = texts.drop_nulls().unique().to_list()  # hashed once each; the rows are mapped
            made.columns[into] = mapped(
                texts, distinct, [bucket_of(text, self.buckets) for text in distinct], pl.Int64()
            )
        return made


def bucket_of(text: str, buckets: int) -> int:
    """The bucket of a text: the same on every machine and in every version.

    Examples
    --------
    >>> bucket_of("Ulm", 256)
    133
    """
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") % buckets


class MergeRare(EditStep):
    """Put one value in place of all categories but the frequent ones; null stays null."""

    kind: Literal["merge_rare"] = "merge_rare"
    other: str
    columns: tuple[tuple[str, tuple[str, ...]], ...]
    """(column, categories that stay)."""

    @property
    def touched(self) -> tuple[str, ...]:
        return tuple(column for column, _ in self.columns)

    def types(self, schema: pa.Schema) -> dict[str, pa.DataType]:
        return {column: schema.field(column).type for column in self.touched}

    def edit(self, block: pa.Table) -> Edits:
        made = Edits()
        for column, stay in self.columns:
            cells = cells_of(block, column).cast(pl.String)
            rare = cells.is_not_null() & ~cells.is_in(pl.Series(list(stay), dtype=pl.String).implode())
            if rare.any():
                made.columns[column] = cells.set(rare, self.other)
        return made

    def fitted_values(self) -> dict[str, Any]:
        return {column: {"categories that stay": len(stay)} for column, stay in self.columns}


# ---- fitting --------------------------------------------------------------------------------------------------------


def into(settings: Encoding, column: str, suffix: str, place: Place) -> str:
    """The column that numbers go to."""
    if settings.replace_column:
        return column
    place.refuse_taken(f"{column}_{suffix}")
    return f"{column}_{suffix}"


def count_needs(settings: Any, place: Place) -> tuple[ReduceStage, ...]:
    """Counts of the categories of all columns."""
    return (CountValues(label=place.label, columns=place.columns, most=settings.max_categories),)


def counts_of(place: Place, column: str) -> Categories:
    """The categories of a column; ConfigError where there are too many."""
    found: Categories = next(iter(place.results.values()))[column]
    if found.table is None:
        raise place.fail(
            f"column {column!r} has more than {found.most:,} categories; raise max_categories, or use merge_rare or "
            "encode_hash"
        )
    return found


def typed(categories: Categories, kind: pa.DataType) -> tuple[Cell, ...]:
    """The categories as values of the column's type."""
    if categories.table is None or pt.is_null(kind):
        return ()
    return tuple(cell_of(value, kind) for value in categories.table["value"].to_arrow().cast(kind))


def _fit_label(settings: EncodeLabelSettings, place: Place) -> FittedStep:
    codes = []
    for name in place.columns:
        found, kind = counts_of(place, name), place.kind(name)
        codes.append(
            Codes(
                column=name,
                into=into(settings, name, "encoded", place),
                type=kind,
                texts=tuple(found.texts),
                cells=typed(found, kind),
                numbers=tuple(range(len(found.texts))),
            )
        )
    return Encode(label=place.label, number=pa.int64(), codes=tuple(codes), unseen=settings.unseen)


def _fit_ordinal(settings: EncodeOrdinalSettings, place: Place) -> FittedStep:
    codes = []
    for name in place.columns:
        kind = place.kind(name)
        try:
            cells = tuple(cell_of(pa.scalar(value).cast(kind), kind) for value in settings.order)
            texts = as_text(pl.Series("", pl.from_arrow(array_of(cells, kind)))).to_list()
        except (pa.ArrowException, TypeError) as error:
            raise place.fail(f"column {name!r} is {kind}, and `order` has a value that is not: {error}") from None
        target = into(settings, name, "encoded", place)
        numbers = tuple(range(len(texts)))
        codes.append(Codes(column=name, into=target, type=kind, texts=tuple(texts), cells=cells, numbers=numbers))
    return Encode(label=place.label, number=pa.int64(), codes=tuple(codes), unseen=settings.unseen)


def _fit_frequency(settings: EncodeFrequencySettings, place: Place) -> FittedStep:
    codes = []
    for name in place.columns:
        found = counts_of(place, name)
        rows = max(1, sum(found.counts) + found.nulls)
        shares = tuple(count / rows for count in found.counts)
        target = into(settings, name, "frequency", place)
        codes.append(Codes(column=name, into=target, type=place.kind(name), texts=tuple(found.texts), numbers=shares))
    return Encode(label=place.label, number=pa.float64(), codes=tuple(codes), unseen="overall", overall=0.0)


def _fit_hash(settings: EncodeHashSettings, place: Place) -> FittedStep:
    pairs = tuple((name, into(settings, name, "hash", place)) for name in place.columns)
    return EncodeHash(label=place.label, buckets=settings.buckets, columns=pairs)


def _rare_needs(settings: MergeRareSettings, place: Place) -> tuple[ReduceStage, ...]:
    return (CountValues(label=place.label, columns=place.columns, most=MAX_RARE),)


def _fit_rare(settings: MergeRareSettings, place: Place) -> FittedStep:
    columns: list[tuple[str, tuple[str, ...]]] = []
    for name in place.columns:
        found = counts_of(place, name)
        rows = sum(found.counts)
        ranked = found.by_frequency()[: settings.max_categories]
        least = max(settings.min_count or 0, (settings.min_share or 0.0) * rows)
        columns.append((name, tuple(sorted(text for text, count in ranked if count >= least))))
    return MergeRare(label=place.label, other=settings.other, columns=tuple(columns))


def replaced(settings: Any, place: Place) -> tuple[str, ...]:
    """Columns that numbers are put in place of."""
    return place.columns if settings.replace_column else ()


def _set_aside(settings: Any) -> bool:
    return bool(settings.unseen == "quarantine")


RECIPES: dict[str, Recipe] = {
    "encode_label": Recipe(
        undone=True,
        learn=_fit_label,
        needs=count_needs,
        accepts=lambda settings: CATEGORIES,
        reshapes=True,
        drops_rows=_set_aside,
        touches=replaced,
    ),
    "encode_ordinal": Recipe(
        undone=True,
        learn=_fit_ordinal,
        accepts=lambda settings: CATEGORIES,
        reshapes=True,
        drops_rows=_set_aside,
        touches=replaced,
    ),
    "encode_frequency": Recipe(
        learn=_fit_frequency, needs=count_needs, accepts=lambda settings: CATEGORIES, reshapes=True, touches=replaced
    ),
    "encode_hash": Recipe(learn=_fit_hash, accepts=lambda settings: CATEGORIES, reshapes=True, touches=replaced),
    "merge_rare": Recipe(learn=_fit_rare, needs=_rare_needs, accepts=lambda settings: TEXT),
}
FITTED: tuple[type[FittedStep], ...] = (Encode, EncodeHash, MergeRare)
