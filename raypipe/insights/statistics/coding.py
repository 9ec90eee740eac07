"""Columns as codes of few bins or values: planned on the sample, then the same on every block."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Literal

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from raypipe.blocks.frames import numbers_in, to_series
from raypipe.blocks.hashing import hash_values, places_among
from raypipe.blocks.profile import ColumnProfile, NumberSummary, Profile
from raypipe.config import Frozen
from raypipe.insights.bins import level_label
from raypipe.insights.cells import numbers_of, texts_of
from raypipe.insights.facts import is_constant, is_varied_text, looks_like_id
from raypipe.insights.relation_sums import OTHER
from raypipe.insights.words import figure

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MAX_BINS = 40
"""Bins of a number, about equally full; as many as it has values where those are fewer."""
COARSE_BINS = 10
MAX_LEVELS = 20
"""Values of a category that are told apart; the others are one."""
MIN_LEVEL_ROWS = 10
MIN_ROWS = 30
MAX_LEVEL_CHARS = 1_000
MAX_SIZE = 1e100
TOO_MANY = "pairs are measured for"
_CHUNK = 16_384


class ColumnCode(Frozen):
    """How a column becomes codes."""

    column: str
    kind: Literal["number", "category"]
    edges: tuple[float, ...] = ()
    """Numbers: bin i holds edges[i - 1] <= value < edges[i]."""
    each_value: bool = False
    """Numbers: whether every value has a bin of its own."""
    levels: tuple[str, ...] = ()
    """Categories: values with a code of their own."""
    other: bool = False
    """Categories: whether further values share one more code."""

    @property
    def size(self) -> int:
        """Number of codes."""
        return len(self.edges) + 1 if self.kind == "number" else len(self.levels) + self.other

    def labels(self, coarse: Ints | None = None) -> list[str]:
        """What each code stands for; of groups of bins, where `coarse` says which bin goes where."""
        if self.kind == "category":
            return [level_label(level) for level in self.levels] + [OTHER] * self.other
        of_bin = np.arange(self.size) if coarse is None else coarse
        starts = np.flatnonzero(np.diff(of_bin, prepend=-1))
        bounds = [self.edges[start - 1] for start in starts[1:].tolist()]
        if not bounds:
            return ["all"]
        inner = [f"{figure(a)} to < {figure(b)}" for a, b in itertools.pairwise(bounds)]
        return [f"< {figure(bounds[0])}", *inner, f"≥ {figure(bounds[-1])}"]

    def encode(self, block: pa.Table) -> tuple[Ints, Floats | None]:
        """A code for each row, -1 where unknown, and the numbers themselves where they are numbers."""
        if self.kind == "number":
            values = finite_numbers(block, self.column)
            return _bin(values, self.edges), values
        return _level_codes(texts_of(block[self.column]), self.levels, self.other), None


def _bin(values: Floats, edges: tuple[float, ...]) -> Ints:
    """Bin of each value, -1 for NaN. To compare within the cache takes a third of the time of searching."""
    codes = np.empty(len(values), np.int64)
    for start in range(0, len(values), _CHUNK):
        chunk = values[start : start + _CHUNK]
        found = np.zeros(len(chunk), np.int8)
        for edge in edges:
            found += chunk >= edge
        found[np.isnan(chunk)] = -1
        codes[start : start + _CHUNK] = found
    return codes


def _level_codes(texts: pa.Array, levels: tuple[str, ...], other: bool) -> Ints:
    """Place of each text among a few levels; to compare hashes takes a third of the time of looking texts up."""
    known = hash_values(pl.Series(levels, dtype=pl.String))
    found = places_among(hash_values(to_series(pa.chunked_array([texts]))), known).astype(np.int64)
    if other:
        found[found < 0] = len(levels)
    if texts.null_count:
        found[numbers_in(pc.is_null(texts))] = -1
    return found


def finite_numbers(block: pa.Table, column: str) -> Floats:
    """The column as float64; NaN where it is null or not finite."""
    numbers = numbers_of(block, column)
    return numbers.values if numbers.finite is None else np.where(numbers.finite, numbers.values, np.nan)


def plan_codes(
    profile: Profile, sample: pa.Table, most: int, first: Iterable[str] = ()
) -> tuple[tuple[ColumnCode, ...], dict[str, str]]:
    """Codes of up to `most` columns, those in `first` before the others, and why the rest has none."""
    wanted = set(first)
    order = sorted(profile.columns, key=lambda column: column.name not in wanted)
    codes: list[ColumnCode] = []
    skipped: dict[str, str] = {}
    for column in order:
        reason = _unsuited(column) or (f"{TOO_MANY} {most} columns" if len(codes) >= most else None)
        code = None if reason else _plan(column, sample)
        if code is None:
            skipped[column.name] = reason or "has too few values that repeat"
        else:
            codes.append(code)
    return tuple(codes), skipped


def _unsuited(column: ColumnProfile) -> str | None:
    """Why a column is in no pair, if so."""
    if column.kind not in ("number", "text", "boolean"):
        return f"has type {column.dtype}, which is not paired"
    if column.present < MIN_ROWS:
        return f"has fewer than {MIN_ROWS} values"
    if column.number is not None and is_huge(column.number):
        return "has values too large to be squared"
    if is_constant(column):
        return "has the same value in every row"
    if looks_like_id(column):
        return "is an identifier"
    if column.kind == "text" and (is_varied_text(column) or (column.text and (column.text.mean_chars or 0) > 100)):
        return "is free text"
    return None


def is_huge(number: NumberSummary) -> bool:
    """Whether sums of squares of the values would leave the floats."""
    return max(abs(number.min or 0.0), abs(number.max or 0.0)) > MAX_SIZE


def _plan(column: ColumnProfile, sample: pa.Table) -> ColumnCode | None:
    if column.kind != "number":
        return _plan_category(column.name, sample)
    values = finite_numbers(sample, column.name)
    values = np.sort(values[~np.isnan(values)])
    return plan_bins(column.name, values) if len(values) >= MIN_ROWS else None


def plan_bins(column: str, ordered: Floats) -> ColumnCode | None:
    """Bins of ascending numbers; None where there is one value."""
    changes = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    if len(changes) < MAX_BINS:
        edges, each = ordered[changes], True
    else:
        at = (np.arange(1, MAX_BINS) * len(ordered) / MAX_BINS).astype(np.int64)
        edges, each = np.unique(ordered[at]), False
        edges = edges[edges > ordered[0]]
    if not len(edges):
        return None
    return ColumnCode(column=column, kind="number", edges=tuple(edges.tolist()), each_value=each)


def _plan_category(column: str, sample: pa.Table) -> ColumnCode | None:
    counted = pc.value_counts(pc.drop_null(texts_of(sample[column])))
    values, counts = counted.field("values").to_pylist(), numbers_in(counted.field("counts"))
    ranked = sorted(zip(values, counts.tolist(), strict=True), key=lambda item: (-item[1], item[0]))
    levels = [value for value, rows in ranked[:MAX_LEVELS] if rows >= MIN_LEVEL_ROWS and len(value) <= MAX_LEVEL_CHARS]
    other = len(levels) < len(ranked)
    if len(levels) + other < 2 or not levels:
        return None
    return ColumnCode(column=column, kind="category", levels=tuple(levels), other=other)


def coarser(code: ColumnCode, counts: Ints, most: int) -> Ints:
    """For each code of a column, its place among at most `most`: neighbouring bins, or rare values, go together."""
    size = code.size
    if size <= most:
        return np.arange(size)
    if code.kind == "category":
        return np.minimum(np.arange(size), most - 1)
    middle = (np.cumsum(counts) - counts / 2) / max(int(counts.sum()), 1)
    places = np.minimum((middle * most).astype(np.int64), most - 1)
    return np.unique(places, return_inverse=True)[1]
