"""Types of the columns of a JSON text: planned from samples, and values of the exact way turned into them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import pyarrow as pa

from raypipe.blocks.frames import from_polars
from raypipe.etl.formats.cells import PLAN_SHARE, count_codes, find_kinds, narrowest, parse, trimmed
from raypipe.etl.formats.csv_typing import read_column
from raypipe.etl.formats.decimal_cells import decimal_type
from raypipe.etl.formats.json_values import (
    MOST_DIGITS,
    NOT_A_NUMBER,
    Column,
    as_json,
    list_or_none,
    list_type,
    significant,
    text_of,
)
from raypipe.etl.types import arrow_type, join_kinds, kind_of

_TIMES = ("date", "datetime", "datetime_utc")
_NUMBERS = ("int64", "float64")
_WORDS = {"n": "numbers", "s": "texts", "b": "true or false", "l": "arrays", "o": "objects"}


@dataclass(frozen=True)
class PlannedColumn:
    """A column to read."""

    name: str
    type: pa.DataType
    is_fixed: bool
    null_values: tuple[str, ...]

    @property
    def title(self) -> str:
        """What it wants, in words."""
        return kind_of(self.type) or str(self.type).replace("large_", "").replace("item: ", "")


@dataclass(frozen=True)
class Typed:
    """Values of one column of a piece, one for each record, and those that do not fit."""

    values: pa.Array
    wrong: Sequence[tuple[int, str]] = ()
    misfit: dict[str, Any] | None = None


def is_list(kind: pa.DataType) -> bool:
    """Whether a column of this type holds lists."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def find_type(column: Column) -> tuple[pa.DataType, str | None]:
    """The type that a sample of a column asks for, and what a reader of the plan should know."""
    tokens = Counter(column.tokens())
    if not tokens:
        return pa.large_string(), None
    token, most = tokens.most_common(1)[0]
    values = [value for value, own in zip(column.values, column.tokens(), strict=True) if own == token]
    mixed = None
    if len(tokens) > 1:
        counts = " and ".join(f"{_WORDS[kind]} ({count})" for kind, count in tokens.most_common())
        mixed = f"holds {counts}"
    if most < PLAN_SHARE * sum(tokens.values()):
        return pa.large_string(), f"{mixed}; it is read as text"
    if token == "l":
        found = list_type(values)
        why = None if found is not None else "holds arrays without one plain type, so they are JSON text"
        return (found, mixed) if found is not None else (pa.large_string(), why)
    if token == "o":
        return pa.large_string(), "holds objects nested too deeply or not to be flattened; they are JSON text"
    kind, note = _scalar_kind(token, values)
    return arrow_type(kind), mixed or note


def _scalar_kind(token: str, values: Sequence[Any]) -> tuple[str, str | None]:
    if token == "b":
        return "boolean", None
    found = find_kinds(pl.DataFrame({"x": pl.Series([str(value) for value in values], dtype=pl.String)}), ())[0]
    if token == "n":
        if found.kind == "float64" and any(significant(value) > MOST_DIGITS for value in values):
            return "text", "has numbers with more digits than float64 holds, so it stays text"
        return (found.kind, found.note) if found.kind in _NUMBERS else ("text", found.note or _too_long())
    return (found.kind, found.note) if found.kind in _TIMES else ("text", None)


def _too_long() -> str:
    return "has numbers with more digits than int64 or float64 hold, so it stays text"


def join_found(found: Sequence[pa.DataType]) -> pa.DataType:
    """One type for what several files ask for."""
    kinds = [kind_of(kind) for kind in found]
    if all(kind is not None for kind in kinds):
        return arrow_type(join_kinds(str(kind) for kind in kinds))
    return found[0] if len(set(found)) == 1 else pa.large_string()


def typed(column: Column | None, count: int, planned: PlannedColumn) -> Typed:
    """The values of a column for `count` records."""
    if column is None or not column.rows:
        return Typed(pa.nulls(count, planned.type))
    tokens = column.tokens()
    texts = [text_of(value) for value in column.values]
    kind = kind_of(planned.type)
    if kind is None:
        return _lists(column, texts, count, planned)
    series = pl.Series("", texts, dtype=pl.String)
    values, fits = _parsed(series, tokens, kind, planned)
    if fits.all():
        return Typed(_spread(values, column.rows, count))
    bad = (~fits).arg_true().to_list()
    wrong = [(column.rows[at], texts[at]) for at in bad]
    misfit = _misfit([column.values[at] for at in bad], [tokens[at] for at in bad])
    return Typed(_spread(values, column.rows, count), wrong, misfit | {"values": len(texts)})


def _parsed(series: pl.Series, tokens: list[str], kind: str, planned: PlannedColumn) -> tuple[pl.Series, pl.Series]:
    """Values, and which of the texts fit."""
    everything = pl.Series([True]).new_from_index(0, series.len())
    if kind == "text":
        return (read_column(series, "text", planned.null_values)[0] if planned.null_values else series), everything
    exact = () if decimal_type(kind) is None else (kind,)
    wanted = {"n": (*_NUMBERS, *exact), "b": ("boolean",), "s": _TIMES}
    if planned.is_fixed:
        wanted |= {"s": (*_TIMES, *_NUMBERS, *exact, "boolean")}
    right = pl.Series([kind in wanted.get(token, ()) for token in tokens])
    clean = trimmed(series, planned.null_values)
    clean = clean.set((clean == NOT_A_NUMBER).fill_null(False) & pl.Series([token == "n" for token in tokens]), None)
    values = parse(clean.set(~right, None), kind)
    if kind == "float64":
        sure = pl.Series([token != "n" or significant(text) <= MOST_DIGITS for text, token in zip(series, tokens)])
        values = values.set(~sure, None)
    return values, clean.is_null() | (values.is_not_null() & right)


def _misfit(values: Sequence[Any], tokens: Sequence[str]) -> dict[str, Any]:
    """What the values that do not fit are."""
    counts: Counter[str] = Counter()
    numbers = [str(value) for value, token in zip(values, tokens, strict=True) if token == "n"]
    codes = 0
    if numbers:
        series = pl.Series("", numbers, dtype=pl.String)
        exact = pl.Series([significant(text) <= MOST_DIGITS for text in numbers])
        codes = count_codes(series) + int((~exact).sum())
        found = narrowest(series)
        counts.update({name: number for name, number in found.items() if name in _NUMBERS})
        counts["text"] += sum(number for name, number in found.items() if name not in _NUMBERS)
    texts = [value for value, token in zip(values, tokens, strict=True) if token == "s"]
    if texts:
        found = narrowest(pl.Series("", [str(text) for text in texts], dtype=pl.String))
        counts.update({name: number for name, number in found.items() if name in _TIMES})
        counts["text"] += sum(number for name, number in found.items() if name not in _TIMES)
    counts["boolean"] += tokens.count("b")
    counts["text"] += sum(token in "lo" for token in tokens)
    said = {name: number for name, number in counts.items() if number}
    return {
        "count": len(values),
        "as": said,
        "codes": codes,
        "values": len(values),
        "example": text_of(values[0])[:200],
    }


def new_column(column: Column) -> dict[str, Any]:
    """What `settle_types` wants to know of a key that no sample had."""
    return _misfit(column.values, column.tokens()) | {"new": True}


def _lists(column: Column, texts: list[str], count: int, planned: PlannedColumn) -> Typed:
    kept, rows, wrong = [], [], []
    for row, value, text in zip(column.rows, column.values, texts, strict=True):
        try:
            kept.append(list_or_none(value, planned.type))
            rows.append(row)
        except ValueError:
            wrong.append((row, text))
    cells: list[Any] = [None] * count
    for row, value in zip(rows, kept, strict=True):
        cells[row] = value
    values = pa.array(cells, planned.type)
    if not wrong:
        return Typed(values)
    bad = {row for row, _ in wrong}
    odd = [value for row, value in zip(column.rows, column.values, strict=True) if row in bad]
    counts = {"count": len(wrong), "as": {"text": len(wrong)}, "codes": 0, "values": len(texts)}
    return Typed(values, wrong, counts | {"example": as_json(odd[0])[:200]})


def _spread(values: pl.Series, rows: list[int], count: int) -> pa.Array:
    """Values at their records; null elsewhere."""
    full = pl.Series("x", [None], dtype=values.dtype).new_from_index(0, count)
    made = values.alias("x") if len(rows) == count else full.scatter(rows, values)
    return from_polars(pl.DataFrame({"x": made}))["x"].combine_chunks()
