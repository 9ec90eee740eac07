"""Gaps filled from the rows above and below, in the order of the source, also across parts and blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.types as pt

from raypipe.blocks.counts import own_memory
from raypipe.blocks.frames import row_numbers
from raypipe.config.steps import FillMissingSettings
from raypipe.etl.steps.fitted import Edits, EditStep, FittedStep, missing
from raypipe.etl.steps.grouped import key_texts
from raypipe.etl.steps.learn import Place
from raypipe.etl.steps.step import Step, cells_of
from raypipe.stage import ReduceStage, Sifted, require

Direction = Literal["forward", "backward", "interpolate"]


@dataclass
class Edges:
    """Of each block: where it stands, how many rows each group has in it, and the cells around its gaps."""

    blocks: list[tuple[str, int, pl.DataFrame, dict[str, pl.DataFrame]]] = field(default_factory=list)


class FindNeighbours(ReduceStage):
    """Find the fill of every gap exactly, from the values next to it in the order of the source.

    A block hands on its gaps, the values beside them, and the first and last value of each group in it; with these,
    all fills follow from one pass over what was handed on. That takes about 50 bytes a gap in the driver.
    """

    label: str
    columns: tuple[str, ...]
    direction: Direction
    by: tuple[str, ...] = ()
    along: str | None = None

    @property
    def name(self) -> str:
        return f"neighbours for {self.label}"

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        along = (self.along,) if self.along else ()
        require(schema, *self.columns, *self.by, *along, by=self.name)
        return schema

    @property
    def _keys(self) -> list[str]:
        return [f"k{number}" for number in range(max(1, len(self.by)))]

    def partial(self, block: pa.Table, part: str) -> Edges:
        if block.num_rows == 0:
            return Edges()
        rows = row_numbers(block)
        keys = key_texts(block, self.by) or [pl.repeat("", block.num_rows, eager=True).alias("k0")]
        frame = pl.DataFrame([*keys, pl.Series("row", rows)])
        frame = frame.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).over(self._keys).alias("at"))
        if self.along is not None:
            frame = frame.with_columns(_places(cells_of(block, self.along)).alias("at"))
        sizes = frame.group_by(self._keys, maintain_order=True).agg(pl.len().cast(pl.Int64).alias("rows"))
        edges = {name: self._edges(frame, cells_of(block, name)) for name in self.columns}
        return Edges([(part, int(rows[0]), sizes, edges)])

    def _edges(self, frame: pl.DataFrame, cells: pl.Series) -> pl.DataFrame:
        """The gaps of a column, and the values that stand beside one or at the end of their group."""
        cells = cells.set(missing(cells), None) if cells.dtype.is_float() else cells
        gap = pl.col("value").is_null()
        beside = [gap.shift(step).over(self._keys).fill_null(True) for step in (1, -1)]
        found = frame.with_columns(cells.alias("value")).filter(gap | beside[0] | beside[1])
        return pl.DataFrame([own_memory(column) for column in found])

    def merge(self, a: Edges, b: Edges) -> Edges:
        a.blocks.extend(b.blocks)
        return a

    def finish(self, state: Edges) -> dict[str, dict[str, pa.Table]]:
        """Column -> part id -> row numbers of its gaps in order, and the fill of each."""
        blocks = sorted(state.blocks, key=lambda block: block[:2])
        if not blocks:
            return {name: {} for name in self.columns}
        offsets = self._offsets([sizes for _, _, sizes, _ in blocks])
        parts = [part for part, _, _, _ in blocks]
        found: dict[str, dict[str, pa.Table]] = {}
        for name in self.columns:
            tables = [
                edges[name].with_columns(pl.lit(n, pl.Int64).alias("block")) for n, (*_, edges) in enumerate(blocks)
            ]
            found[name] = _by_part(self._filled(pl.concat(tables), offsets), parts)
        return found

    def _offsets(self, sizes: list[pl.DataFrame]) -> pl.DataFrame:
        """Rows of each group before each block."""
        frame = pl.concat([size.with_columns(pl.lit(n, pl.Int64).alias("block")) for n, size in enumerate(sizes)])
        before = pl.col("rows").cum_sum().over(self._keys) - pl.col("rows")
        return frame.select(*self._keys, "block", before.alias("before"))

    def _filled(self, edges: pl.DataFrame, offsets: pl.DataFrame) -> pl.DataFrame:
        value, keys = pl.col("value"), self._keys
        gap = value.is_null()
        if self.direction != "interpolate":
            fill = (value.forward_fill() if self.direction == "forward" else value.backward_fill()).over(keys)
            return edges.with_columns(fill.alias("fill")).filter(gap & pl.col("fill").is_not_null())
        if self.along is None:
            edges = edges.join(
                offsets, on=[*keys, "block"], how="left", nulls_equal=True, maintain_order="left"
            ).with_columns((pl.col("at") + pl.col("before")).alias("at"))
        anchor = pl.when(~gap).then(pl.col("at"))
        frame = edges.with_columns(
            value.forward_fill().over(keys).alias("v0"), value.backward_fill().over(keys).alias("v1"),
            anchor.forward_fill().over(keys).alias("x0"), anchor.backward_fill().over(keys).alias("x1"),
        )  # fmt: skip
        within = (pl.col("x0") <= pl.col("at")) & (pl.col("at") <= pl.col("x1")) & (pl.col("x0") < pl.col("x1"))
        return _on_the_line(frame.filter(gap & within.fill_null(False)))


class FillFromNeighbours(FittedStep):
    """Fill null, and NaN, from the rows above and below. Every table that it is applied to is looked through first."""

    kind: Literal["fill_missing_from_neighbours"] = "fill_missing_from_neighbours"
    columns: tuple[str, ...]
    direction: Direction
    by: tuple[str, ...] = ()
    along: str | None = None

    @property
    def touched(self) -> tuple[str, ...]:
        return self.columns

    def needs(self) -> tuple[ReduceStage, ...]:
        return (
            FindNeighbours(
                label=self.label, columns=self.columns, direction=self.direction, by=self.by, along=self.along
            ),
        )

    def bind(self, results: Mapping[str, Any]) -> Step:
        found = next(iter(results.values()))
        return PatchCells(label=self.label, columns=self.columns, patches=found, notes=self.notes)

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        require(schema, *self.columns, by=self.name)
        return schema

    def open(self) -> Callable[[pa.Table], pa.Table]:
        """See `MapStage.open`; it has to be bound to the table first."""
        raise TypeError(f"{self.name}: bind it to the table that it is applied to first")


class PatchCells(EditStep):
    """Put known values into known cells of one table."""

    needs_part: ClassVar[bool] = True
    kind: Literal["patch"] = "patch"
    columns: tuple[str, ...]
    patches: Mapping[str, Mapping[str, pa.Table]]
    """Column -> part id -> rows in order, and the value of each."""

    @property
    def touched(self) -> tuple[str, ...]:
        return self.columns

    def types(self, schema: pa.Schema) -> dict[str, pa.DataType]:
        return {name: schema.field(name).type for name in self.columns}

    def open(self) -> Callable[..., pa.Table | Sifted]:
        return self._applied

    def _applied(self, block: pa.Table, part: str) -> pa.Table | Sifted:
        edits = Edits()
        rows = row_numbers(block)
        for name in self.columns:
            patch = self.patches[name].get(part)
            if patch is None:
                continue
            cells = cells_of(block, name)
            known = patch["row"].to_numpy()
            place = np.minimum(np.searchsorted(known, rows), len(known) - 1)
            hit = pl.Series(known[place] == rows)
            fills = pl.Series("", pl.from_arrow(patch["value"])).gather(pl.Series(place.astype(np.uint32)))
            edits.columns[name] = fills.cast(cells.dtype).zip_with(hit & missing(cells), cells)
        return self.finished(block, edits)

    def edit(self, block: pa.Table) -> Edits:
        raise TypeError(f"{self.name}: it needs the id of the part")


def fit_neighbours(settings: FillMissingSettings, place: Place) -> FittedStep:
    """Fill from the rows above and below."""
    empty = {name: "every value is null" for name in place.columns if pt.is_null(place.kind(name))}
    columns = tuple(name for name in place.columns if name not in empty)
    for name in (*settings.by, *((settings.along,) if settings.along else ())):
        if name in columns:
            raise place.fail(f"column {name!r} stands in `columns` and in `by` or `along`; leave it out of one")
    return FillFromNeighbours.model_validate(
        {"label": place.label, "columns": columns, "direction": settings.method, "by": settings.by,
         "along": settings.along, "notes": empty}
    )  # fmt: skip


def _places(cells: pl.Series) -> pl.Series:
    """How far along rows are, as numbers."""
    if cells.dtype.is_temporal():
        return cells.to_physical().cast(pl.Int64)
    return cells.cast(pl.Int64) if cells.dtype.is_integer() and cells.dtype != pl.UInt64 else cells.cast(pl.Float64)


def _on_the_line(frame: pl.DataFrame) -> pl.DataFrame:
    """The gaps of a frame with their fills between (x0, v0) and (x1, v1), rounded to the type of the column."""
    kind = frame["value"].dtype
    low, high = (frame[name].to_physical() if kind.is_temporal() else frame[name] for name in ("v0", "v1"))
    share = ((frame["at"] - frame["x0"]).cast(pl.Float64) / (frame["x1"] - frame["x0"]).cast(pl.Float64)).alias("")
    if kind.is_integer() or kind.is_temporal():
        gap = (high.cast(pl.Int64) - low.cast(pl.Int64)).cast(pl.Float64) * share
        fill = low.cast(pl.Int64) + gap.round(0).cast(pl.Int64)
        fill = fill.cast(low.dtype).cast(kind) if kind.is_temporal() else fill.cast(kind)
    else:
        fill = (low.cast(pl.Float64) * (1 - share) + high.cast(pl.Float64) * share).cast(kind)
    return frame.with_columns(fill.alias("fill"))


def _by_part(filled: pl.DataFrame, parts: list[str]) -> dict[str, pa.Table]:
    """Part id -> rows and fills in the order of rows."""
    names = pl.DataFrame({"block": pl.Series(range(len(parts)), dtype=pl.Int64), "part": parts})
    frame = filled.select("block", "row", pl.col("fill").alias("value")).join(names, on="block", how="left")
    found = {}
    for (part,), rows in frame.partition_by("part", as_dict=True, include_key=False).items():
        found[str(part)] = rows.select("row", "value").sort("row").to_arrow()
    return found


FITTED: tuple[type[FittedStep], ...] = (FillFromNeighbours,)
