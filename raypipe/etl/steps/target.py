"""Categories as the mean of a number over their rows, without letting a row see its own value."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.types as pt
from pydantic import Field

from raypipe.blocks.counts import own_memory
from raypipe.blocks.frames import row_numbers
from raypipe.config.steps import EncodeTargetSettings
from raypipe.etl.aside import as_text
from raypipe.etl.steps.encoding import Codes, Encode, into, replaced
from raypipe.etl.steps.fitted import Edits, EditStep, FittedStep
from raypipe.etl.steps.learn import Place, Recipe
from raypipe.etl.steps.select import CATEGORIES, Accepts, check_type, is_number
from raypipe.etl.steps.step import Step, cells_of
from raypipe.stage import ReduceStage, Sifted, require

MEANS = Accepts(
    lambda kind: is_number(kind) or bool(pt.is_boolean(kind)),
    "numbers or booleans",
    "make numbers of it by encode_label",
)


def folds_of(part: str, rows: np.ndarray[Any, np.dtype[np.int64]], folds: int) -> pl.Series:
    """The fold of each row: a hash (SplitMix64) of its part and its number in it, so that no cut of blocks moves it."""
    mixed = rows.astype(np.uint64) + np.uint64((zlib.crc32(part.encode()) + 1) * 0x9E3779B97F4A7C15 % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return pl.Series((mixed ^ (mixed >> np.uint64(31))) % np.uint64(folds)).cast(pl.Int64)


@dataclass
class FoldSums:
    """For each column, frames of category, fold, sum and count."""

    frames: dict[str, list[pl.DataFrame]]
    over: bool = False


class SumByFold(ReduceStage):
    """Sum and count of a number for each category of some columns and each fold of rows."""

    label: str
    columns: tuple[str, ...]
    target: str
    folds: int
    most: int

    @property
    def name(self) -> str:
        return f"folds for {self.label}"

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        require(schema, *self.columns, self.target, by=self.name)
        return schema

    def partial(self, block: pa.Table, part: str) -> FoldSums:
        number = cells_of(block, self.target).cast(pl.Float64)
        number = number.set(~number.is_finite().fill_null(True), None)
        fold = folds_of(part, row_numbers(block), self.folds)
        frames = {}
        for name in self.columns:
            texts = own_memory(as_text(cells_of(block, name)))
            frame = pl.DataFrame([texts.alias("text"), fold.alias("fold"), number.alias("sum")]).drop_nulls("sum")
            frames[name] = [_added([frame.with_columns(pl.lit(1, pl.Int64).alias("count"))])]
        return FoldSums(frames)

    def merge(self, a: FoldSums, b: FoldSums) -> FoldSums:
        a.over |= b.over
        for name in self.columns:
            a.frames[name] = [*a.frames[name], *b.frames[name]]
            if sum(frame.height for frame in a.frames[name]) > 2 * self.most * self.folds:
                a.frames[name] = [_added(a.frames[name])]
                a.over |= a.frames[name][0]["text"].n_unique() > self.most + 1
        if a.over:
            a.frames = {name: [frames[0].clear()] for name, frames in a.frames.items()}
        return a

    def finish(self, state: FoldSums) -> dict[str, pl.DataFrame] | None:
        """Column -> its sums; None where a column has too many categories."""
        tables = {name: _added(state.frames[name]).sort("text", "fold") for name in self.columns}
        over = state.over or any(table["text"].drop_nulls().n_unique() > self.most for table in tables.values())
        return None if over else tables


def _added(frames: list[pl.DataFrame]) -> pl.DataFrame:
    return (
        pl.concat(frames).group_by("text", "fold", maintain_order=True).agg(pl.col("sum").sum(), pl.col("count").sum())
    )


class EncodeTarget(Encode):
    """Put the mean of a number over a category's rows in place of the category, or beside it."""

    kind: Literal["encode_target"] = "encode_target"  # type: ignore[assignment]  # narrower on purpose
    undoes: ClassVar[bool] = False
    unseen: Literal["overall"] = "overall"
    target: str
    folds: int
    smoothing: float
    sums: dict[str, pa.Table] = Field(default_factory=dict, exclude=True)
    """Column -> category, fold, sum, count: for the rows that it was fitted on, and not saved."""

    def training(self) -> Step:
        pairs = tuple((code.column, code.into) for code in self.codes)
        return CrossFitted(
            label=self.label, pairs=pairs, folds=self.folds, smoothing=self.smoothing, sums=self.sums, notes=self.notes
        )


class CrossFitted(EditStep):
    """Put the mean over the rows of the other folds in place of each category, or beside it."""

    needs_part: ClassVar[bool] = True
    rewrites: ClassVar[bool] = True
    kind: Literal["cross_fitted"] = "cross_fitted"
    pairs: tuple[tuple[str, str], ...]
    folds: int
    smoothing: float
    sums: dict[str, pa.Table]

    @property
    def touched(self) -> tuple[str, ...]:
        return tuple(target for _, target in self.pairs)

    def inputs(self) -> tuple[str, ...]:
        return tuple(column for column, _ in self.pairs)

    def types(self, schema: pa.Schema) -> dict[str, pa.DataType]:
        return dict.fromkeys(self.touched, pa.float64())

    def open(self) -> Callable[..., pa.Table | Sifted]:
        tables = {name: _others(pl.DataFrame(table), self.folds, self.smoothing) for name, table in self.sums.items()}
        return lambda block, part: self.finished(block, self._edits(block, part, tables))

    def edit(self, block: pa.Table) -> Edits:
        raise TypeError(f"{self.name}: it needs the id of the part")

    def _edits(self, block: pa.Table, part: str, tables: dict[str, tuple[pl.DataFrame, list[float | None]]]) -> Edits:
        made = Edits()
        fold = folds_of(part, row_numbers(block), self.folds)
        for column, target in self.pairs:
            table, priors = tables[column]
            texts = as_text(cells_of(block, column))
            frame = pl.DataFrame([texts.alias("text"), fold.alias("fold")])
            found = frame.join(table, on=["text", "fold"], how="left", maintain_order="left")["mean"].alias("")
            prior = pl.Series(priors, dtype=pl.Float64).gather(fold)
            made.columns[target] = found.zip_with(found.is_not_null(), prior).set(texts.is_null(), None)
        return made

    def fitted_values(self) -> dict[str, Any]:
        return {
            target: {"categories": _categories(self.sums[column]), "folds": self.folds} for column, target in self.pairs
        }


def _categories(table: pa.Table) -> int:
    return int(pl.DataFrame(table)["text"].drop_nulls().n_unique())


def _others(table: pl.DataFrame, folds: int, smoothing: float) -> tuple[pl.DataFrame, list[float | None]]:
    """(category, fold, mean over the other folds), and the mean of all rows outside each fold."""
    total, rows = float(table["sum"].sum()), int(table["count"].sum())
    own = table.group_by("fold").agg(pl.col("sum").sum(), pl.col("count").sum())
    inside = {fold: (total_, count) for fold, total_, count in own.iter_rows()}
    priors: list[float | None] = []
    for fold in range(folds):
        of_fold, count = inside.get(fold, (0.0, 0))
        priors.append((total - of_fold) / (rows - count) if rows > count else None)
    whole = table.group_by("text").agg(pl.col("sum").sum().alias("all"), pl.col("count").sum().alias("rows"))
    grid = whole.join(pl.DataFrame({"fold": pl.Series(range(folds), dtype=pl.Int64), "prior": priors}), how="cross")
    grid = grid.join(table, on=["text", "fold"], how="left", nulls_equal=True).fill_null(0)
    left, count_left = pl.col("all") - pl.col("sum"), pl.col("rows") - pl.col("count")
    mean = (left + smoothing * pl.col("prior")) / (count_left + smoothing)
    grid = grid.with_columns(pl.when(count_left > 0).then(mean).alias("mean"))
    return grid.select("text", "fold", "mean"), priors


# ---- fitting --------------------------------------------------------------------------------------------------------


def _target(settings: EncodeTargetSettings, place: Place) -> str:
    target = settings.target or place.target
    if target is None:
        raise place.fail("it needs a number to take the mean of; give `target`, or set target_column")
    return target


def _needs(settings: EncodeTargetSettings, place: Place) -> tuple[ReduceStage, ...]:
    target = _target(settings, place)
    check_type(place.schema, target, MEANS, f"step {place.label}")
    if target in place.columns:
        raise place.fail(f"column {target!r} cannot be encoded by its own mean; leave it out of `columns`")
    return (
        SumByFold(
            label=place.label, columns=place.columns, target=target, folds=settings.folds, most=settings.max_categories
        ),
    )


def _fit(settings: EncodeTargetSettings, place: Place) -> FittedStep:
    tables: dict[str, pl.DataFrame] | None = next(iter(place.results.values()))
    if tables is None:
        raise place.fail(f"a column has more than {settings.max_categories:,} categories; use merge_rare first")
    codes: list[Codes] = []
    overall: float | None = None
    for name in place.columns:
        whole = tables[name].group_by("text").agg(pl.col("sum").sum(), pl.col("count").sum()).sort("text")
        rows = int(whole["count"].sum())
        overall = float(whole["sum"].sum()) / rows if rows else None
        whole = whole.drop_nulls("text")
        means = (whole["sum"] + settings.smoothing * (overall or 0.0)) / (whole["count"] + settings.smoothing)
        codes.append(
            Codes(
                column=name,
                into=into(settings, name, "target", place),
                type=place.kind(name),
                texts=tuple(whole["text"]),
                numbers=tuple(means),
            )
        )
    return EncodeTarget(
        label=place.label, number=pa.float64(), codes=tuple(codes), overall=overall, target=_target(settings, place),
        folds=settings.folds, smoothing=settings.smoothing,
        sums={name: table.to_arrow() for name, table in tables.items()},
    )  # fmt: skip


RECIPES: dict[str, Recipe] = {
    "encode_target": Recipe(
        learn=_fit,
        needs=_needs,
        accepts=lambda settings: CATEGORIES,
        reads=lambda settings, place: (_target(settings, place),),
        reshapes=True,
        touches=replaced,
    ),
}
FITTED: tuple[type[FittedStep], ...] = (EncodeTarget,)
