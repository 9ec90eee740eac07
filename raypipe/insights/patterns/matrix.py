"""A sample as arrays: number columns and category codes, in an order that depends on the values alone."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from raypipe.blocks.chance import IQR_OF_NORMAL
from raypipe.blocks.frames import ROW, to_polars
from raypipe.config.insights.patterns import PatternsConfig
from raypipe.insights.areas import ID_WORDS, words_of
from raypipe.insights.chance import quick_normal_quantiles

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MIN_NUMBER_VALUES = 10
"""A number column with fewer distinct values is a category."""
MAX_NULL_SHARE = 0.3
MAX_TOP_SHARE = 0.5
"""A number column that mostly holds one value has no spread that a robust scale could measure."""
MAX_LEVEL_CHARS = 200
MAX_KEYS = 30
"""Columns by which rows are ordered, unless rows are equal in all of them."""
_SCREEN_ROWS = 500


@dataclass
class Matrix:
    """Rows in a fixed random order, so that the first half of them is a random half."""

    rows: int = 0
    numbers: list[str] = field(default_factory=list)
    values: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))
    """Shape (rows, numbers): finite values, NaN where there is none."""
    scaled: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))
    """The same, robustly scaled (median 0, interquartile range that of a standard normal), ties spread out over the
    resolution of their column, and the median in place of NaN."""
    categories: list[str] = field(default_factory=list)
    codes: IntArray = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    """Shape (rows, categories); -1 for null."""
    levels: list[list[str]] = field(default_factory=list)
    """A list of the texts behind the codes for each category."""
    frame: pl.DataFrame = field(default_factory=pl.DataFrame)
    """The rows themselves, all columns, in the same order."""
    key: str | None = None
    """A column that names rows."""
    left_out: dict[str, str] = field(default_factory=dict)


def prepare(
    table: pa.Table,
    settings: PatternsConfig,
    ids: frozenset[str] = frozenset(),
    naming: frozenset[str] = frozenset(),
) -> Matrix:
    """The arrays that all methods work on.

    Parameters
    ----------
    ids : frozenset of str
        Columns that are known to name rows, from the profile; columns that look so in the sample are added.
    naming : frozenset of str
        Columns whose numbers name things: they are categories, as long as they have few values.
    """
    frame = to_polars(table)
    frame = frame.drop(ROW) if ROW in frame.columns else frame
    out = Matrix(rows=min(frame.height, settings.max_rows))
    names = sorted(frame.columns)
    kinds = {name: _kind(column_of(frame, name), settings, (name, name in ids)) for name in names}
    for name in naming & {name for name in names if kinds[name] == "number"}:
        kinds[name] = _named_kind(column_of(frame, name), settings)
    numbers = [name for name in names if kinds[name] == "number"]
    categories = sorted((n for n in names if kinds[n] == "category"), key=lambda n: (frame[n].null_count(), n))
    keys = [name for name in names if kinds[name] == "id"]
    out.key = keys[0] if keys else None
    out.left_out = {name: why for name, why in kinds.items() if why not in ("number", "category", "id")}
    out.left_out |= dict.fromkeys(keys, "names rows rather than measuring them")
    frame = in_order(frame, [*numbers, *categories, *keys], settings.max_rows, settings.seed)
    out.frame = frame
    values = finite(frame, numbers)
    kept = _screened(values, settings.max_numbers)
    out.left_out |= {
        name: f"is not among the {settings.max_numbers} number columns that hang together most"
        for i, name in enumerate(numbers)
        if i not in set(kept)
    }
    fewest = f"is not among the {settings.max_categories} category columns with the fewest nulls"
    out.left_out |= dict.fromkeys(categories[settings.max_categories :], fewest)
    out.numbers = [numbers[i] for i in kept]
    out.values = values[:, kept]
    out.scaled = np.column_stack(
        [spread_ties(scale(out.values[:, i]), settings.seed + i) for i in range(len(kept))] or [np.zeros((out.rows, 0))]
    )
    out.categories = sorted(categories[: settings.max_categories])
    pairs = [coded(column_of(frame, name)) for name in out.categories]
    out.codes = np.column_stack([codes for codes, _ in pairs] or [np.zeros((out.rows, 0), np.int64)])
    out.levels = [levels for _, levels in pairs]
    return out


def column_of(frame: pl.DataFrame, name: str) -> pl.Series:
    """The column under a name that Polars cannot take for a pattern, as it does "^a.*$"."""
    return frame.get_column(name).alias("value")


def _kind(column: pl.Series, settings: PatternsConfig, named: tuple[str, bool]) -> str:
    """`number`, `category` or `id`, or why the column takes no part."""
    kind, rows = column.dtype, len(column)
    present = rows - column.null_count()
    if present == 0:
        return "has no known value"
    if kind.is_numeric():
        return _number_kind(column, *named)
    if kind == pl.Boolean:
        return "category" if column.n_unique() > 1 else "has the same value in every row"
    if kind in (pl.String, pl.Categorical, pl.Enum):
        distinct = column.drop_nulls().n_unique()
        if named[1] or (distinct == present and present >= MIN_NUMBER_VALUES):
            return "id" if present == rows else "has a different value in every row"
        if distinct > settings.max_levels:
            return f"has {distinct:,} distinct values; a category has at most {settings.max_levels}"
        if column.n_unique() < 2:
            return "has the same value in every row"
        longest = column.cast(pl.String).str.len_chars().max()
        return "category" if int(str(longest or 0)) <= MAX_LEVEL_CHARS else "holds long texts"
    return f"has type {kind}, which is not measured"


def _number_kind(column: pl.Series, name: str, known_id: bool) -> str:
    # NumPy, as a thread pool for each of thousands of columns costs more than it saves.
    values = column.cast(pl.Float64, strict=False).to_numpy()
    known = values[np.isfinite(values)]
    counts = np.unique(known, return_counts=True)[1]
    distinct, present = len(counts), len(known)
    if present < (1 - MAX_NULL_SHARE) * len(column):
        return f"has no finite value in more than {MAX_NULL_SHARE:.0%} of rows"
    if distinct < 2:
        return "has the same value in every row"
    if known_id or _counts_rows(column, name, distinct):
        return "id"
    if distinct < MIN_NUMBER_VALUES:
        return "category"
    top = int(counts.max())
    if top > MAX_TOP_SHARE * present:
        return f"holds one value in {top / present:.0%} of rows"
    low, high = np.quantile(known, [0.25, 0.75])
    return "number" if low != high else "has no spread between its quartiles"


def _named_kind(column: pl.Series, settings: PatternsConfig) -> str:
    """The kind of numbers that name things."""
    distinct = column.drop_nulls().n_unique()
    return "category" if distinct <= settings.max_levels else f"names things by number, {distinct:,} of them"


def _counts_rows(column: pl.Series, name: str, distinct: int) -> bool:
    """Whole numbers that are unique and called an id, or that leave few numbers out."""
    if not column.dtype.is_integer() or distinct < len(column) or distinct < MIN_NUMBER_VALUES:
        return False
    span = int(str(column.max())) - int(str(column.min())) + 1
    return bool(words_of(name) & ID_WORDS) or span <= 1.1 * distinct


def in_order(frame: pl.DataFrame, columns: list[str], most: int, seed: int) -> pl.DataFrame:
    """At most `most` rows: sorted by their values, then shuffled, so that the order in which they came is nothing."""
    if not columns or not frame.height:
        return frame.head(most)
    keys = pl.DataFrame([frame[name].alias(f"k{i}") for i, name in enumerate(columns)])
    few = keys.select(keys.columns[:MAX_KEYS])
    keys = few if few.n_unique() == few.height else keys
    order = keys.with_row_index("__at__").sort(keys.columns, nulls_last=True)["__at__"]
    drawn = np.random.default_rng(seed).permutation(frame.height)[:most]
    return frame[order.to_numpy()[drawn]]


def finite(frame: pl.DataFrame, names: list[str]) -> FloatArray:
    """The columns as floats, NaN where there is no finite value."""
    out = np.empty((frame.height, len(names)))
    for i, name in enumerate(names):
        out[:, i] = column_of(frame, name).cast(pl.Float64, strict=False).to_numpy()
    out[~np.isfinite(out)] = np.nan
    return out


def coded(column: pl.Series) -> tuple[IntArray, list[str]]:
    """A code for each row (-1 for null) and the texts behind the codes, in order."""
    text = column.cast(pl.String, strict=False)
    levels = sorted(text.drop_nulls().unique().to_list())
    place = pl.DataFrame({"text": levels, "code": range(len(levels))}, schema={"text": pl.String, "code": pl.Int64})
    found = pl.DataFrame({"text": text}).join(place, on="text", how="left", maintain_order="left")["code"]
    return found.fill_null(-1).to_numpy().astype(np.int64), levels


def _screened(values: FloatArray, most: int) -> list[int]:
    """Places of at most `most` columns: those whose rank correlations with the others, to the fourth power, sum
    to most: a few close ties count for more than many faint ones."""
    if values.shape[1] <= most:
        return list(range(values.shape[1]))
    z = standard(normal_scores(values[:_SCREEN_ROWS]))
    r = z.T @ z / len(z)
    strength = np.round((r**4).sum(axis=0), 9)
    return sorted(np.argsort(-strength, kind="stable")[:most].tolist())


def scale(values: FloatArray) -> FloatArray:
    """Distances from the median in IQRs of a normal distribution, in halves, as huge values overflow; NaN becomes 0."""
    known = values[np.isfinite(values)]
    low, middle, high = np.quantile(known, [0.25, 0.5, 0.75]) if len(known) else (0.0, 0.0, 0.0)
    width = (high / 2 - low / 2) / IQR_OF_NORMAL
    with np.errstate(over="ignore", invalid="ignore"):
        out = (values / 2 - middle / 2) / width if width > 0 else np.zeros_like(values)
    return np.clip(np.nan_to_num(out, nan=0.0, posinf=1e12, neginf=-1e12), -1e12, 1e12)


def spread_ties(values: FloatArray, seed: int) -> FloatArray:
    """The values with ties spread evenly over the resolution of the column.

    Whole numbers heap up on their grid, which a method for densities would take for groups.
    """
    distinct = np.unique(np.round(values, 12))
    if len(distinct) >= 0.99 * len(values) or len(distinct) < 2:
        return values
    step = float(np.median(np.diff(distinct)))
    step = min(step, float(np.diff(distinct).min()) * 4)
    return values + np.random.default_rng(seed).uniform(-step / 2, step / 2, len(values))


def normal_scores(values: FloatArray) -> FloatArray:
    """Each column as the normal quantiles of its ranks (ties in the order of rows); NaN becomes 0."""
    n = len(values)
    ranks = np.argsort(np.argsort(np.nan_to_num(values, nan=np.inf), axis=0, kind="stable"), axis=0)
    known = np.isfinite(values)
    total = np.maximum(known.sum(axis=0), 1)
    out = quick_normal_quantiles(np.minimum((ranks + 0.5) / total, 1 - 0.5 / max(n, 1)))
    return np.where(known, out, 0.0)


def standard(values: FloatArray) -> FloatArray:
    """Columns of mean 0 and standard deviation 1; constant ones 0."""
    centred = values - values.mean(axis=0)
    std = centred.std(axis=0)
    return np.asarray(centred / np.where(std > 0, std, 1.0))
