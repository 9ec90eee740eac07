"""What is learned of the rows beyond their profile: all values of columns with few, shapes of texts, and orders of
columns."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.types as pt

from raypipe.blocks.frames import ROW, data_columns, row_numbers
from raypipe.etl.aside import as_text
from raypipe.etl.rules.dtypes import is_text
from raypipe.etl.suggest.split import draws
from raypipe.stage import ReduceStage

MOST_VALUES = 200
MOST_SHAPES = 100
SHAPE_CHARS = 60
MOST_PAIRED = 24
"""Columns of one family that are compared with each other."""
SAMPLE_ROWS = 1_000


@dataclass
class Learned:
    """Adds up over blocks."""

    rows: int = 0
    values: dict[str, Counter[str] | None] = field(default_factory=dict)
    """Column -> how often each value occurs; None: there are more than `MOST_VALUES`."""
    shapes: dict[str, Counter[str] | None] = field(default_factory=dict)
    """Text column -> how often each shape occurs; None: too many."""
    above: dict[tuple[str, str], tuple[int, int, int]] = field(default_factory=dict)
    """Two columns -> rows with both, rows in which the first is above the second, rows in which they are equal."""
    falls: dict[str, int] = field(default_factory=dict)
    """Column of whole numbers or times -> rows below the one before them."""
    rises: dict[str, int] = field(default_factory=dict)
    """Likewise, above it."""
    ends: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Likewise, first and last value."""
    sample: pl.DataFrame | None = None
    """Rows with the smallest draws, `draw` among the columns."""


class LearnRows(ReduceStage):
    """See the module."""

    seed: int = 0

    def partial(self, block: pa.Table, part: str) -> Learned:
        learned = Learned(rows=block.num_rows)
        for name in data_columns(block):
            kind = block.schema.field(name).type
            if is_text(kind):
                cells = as_text(pl.Series("", pl.from_arrow(block[name])).drop_nulls())
                learned.values[name] = _counted(cells, MOST_VALUES)
                learned.shapes[name] = _counted(shapes_of(cells), MOST_SHAPES)
            if pt.is_integer(kind) or pt.is_date(kind) or pt.is_timestamp(kind):
                _follow(learned, name, pl.Series("", pl.from_arrow(block[name])).to_physical().drop_nulls())
        self._compare(block, part, learned)
        return learned

    def _compare(self, block: pa.Table, part: str, learned: Learned) -> None:
        names = [name for family in families(block.schema) for name in family]
        frame = pl.DataFrame([pl.Series(f"c{n}", pl.from_arrow(block[name])) for n, name in enumerate(names)])
        for family in families(block.schema):
            for a, b in itertools.combinations(family, 2):
                left, right = frame[f"c{names.index(a)}"], frame[f"c{names.index(b)}"]
                both = int((left.is_not_null() & right.is_not_null()).sum())
                learned.above[a, b] = both, int((left > right).sum()), int((left == right).sum())
        if names and ROW in block.column_names:
            order = draws(part, row_numbers(block), self.seed + 1)
            learned.sample = _least(frame.with_columns(draw=pl.Series(order, dtype=pl.UInt64)))

    def merge(self, a: Learned, b: Learned) -> Learned:
        pairs = dict(a.above)
        for key, counts in b.above.items():
            known = pairs.get(key, (0, 0, 0))
            pairs[key] = (known[0] + counts[0], known[1] + counts[1], known[2] + counts[2])
        samples = [side.sample for side in (a, b) if side.sample is not None]
        return Learned(
            a.rows + b.rows,
            _joined(a.values, b.values, MOST_VALUES),
            _joined(a.shapes, b.shapes, MOST_SHAPES),
            pairs,
            *_in_course(a, b),
            _least(pl.concat(samples)) if samples else None,
        )

    def finish(self, state: Any) -> Learned:
        return state if state is not None else Learned()


def _follow(learned: Learned, name: str, values: pl.Series) -> None:
    """Note how a column goes on from row to row."""
    before, after = values.head(max(0, len(values) - 1)), values.slice(1)
    learned.falls[name], learned.rises[name] = int((after < before).sum()), int((after > before).sum())
    if len(values):
        learned.ends[name] = int(values[0]), int(values[-1])


def _in_course(a: Learned, b: Learned) -> tuple[dict[str, int], dict[str, int], dict[str, tuple[int, int]]]:
    """Falls, rises and ends of both, `a` that of earlier rows."""
    falls, rises, ends = Counter(a.falls), Counter(a.rises), {**b.ends, **a.ends}
    falls.update(b.falls)
    rises.update(b.rises)
    for name in a.ends.keys() & b.ends.keys():
        last, first = a.ends[name][1], b.ends[name][0]
        falls[name] += first < last
        rises[name] += first > last
        ends[name] = a.ends[name][0], b.ends[name][1]
    return dict(falls), dict(rises), ends


def families(schema: pa.Schema) -> list[list[str]]:
    """Columns that can be compared: numbers with numbers, times of one kind with each other."""
    found: dict[str, list[str]] = {}
    for column in schema:
        kind = column.type
        number = (pt.is_integer(kind) or pt.is_floating(kind) or pt.is_decimal(kind)) and column.name != ROW
        if number or pt.is_date(kind) or pt.is_timestamp(kind):
            found.setdefault("number" if number else str(kind), []).append(column.name)
    return [names[:MOST_PAIRED] for names in found.values() if len(names) > 1]


def shapes_of(texts: pl.Series) -> pl.Series:
    """Letters as A and a, digits as 9, runs of them as one with a plus sign; other characters as they are.

    Examples
    --------
    >>> shapes_of(pl.Series(["N101", "DE-12 x"])).to_list()
    ['A9+', 'A+-9+ a']
    """
    short = texts.str.slice(0, SHAPE_CHARS).str.replace_all("[\u0001\u0002]", "\u0003")  # those two are marks below
    plain = short.str.replace_all(r"\p{Lu}", "A").str.replace_all(r"\p{Ll}|\p{Lo}|\p{Lt}|\p{Lm}", "a")
    runs = plain.str.replace_all(r"\p{Nd}", "9")
    for letter in "Aa9":
        runs = runs.str.replace_all(f"{letter}{letter}+", f"{letter}\u0001")
    return runs.str.replace_all("+", "\u0002", literal=True).str.replace_all("\u0001", "+", literal=True)


def _counted(cells: pl.Series, most: int) -> Counter[str] | None:
    counts = cells.alias("value").value_counts()
    if counts.height > most:
        return None
    return Counter(dict(counts.iter_rows()))


def _joined(
    a: dict[str, Counter[str] | None], b: dict[str, Counter[str] | None], most: int
) -> dict[str, Counter[str] | None]:
    joined: dict[str, Counter[str] | None] = {}
    for name in (*a, *(name for name in b if name not in a)):
        left, right = a.get(name, Counter()), b.get(name, Counter())
        both = None if left is None or right is None else left + right
        joined[name] = both if both is not None and len(both) <= most else None
    return joined


def _least(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.sort("draw").head(SAMPLE_ROWS)


def by_chance(sample: pl.DataFrame | None, a: int, b: int) -> float:
    """Share of rows in which column `a` would be above column `b` if they had nothing to do with each other."""
    if sample is None or not sample.height:
        return 0.0
    left, right = (_comparable(sample[f"c{column}"]) for column in (a, b))
    if not len(left) or not len(right):
        return 0.0
    return float(np.mean(np.searchsorted(np.sort(right), left, side="left") / len(right)))


def _comparable(cells: pl.Series) -> npt.NDArray[Any]:
    """The known values as NumPy orders them: decimals as floats, and no NaN, which is above and below nothing."""
    known = cells.drop_nulls()
    known = known.cast(pl.Float64) if known.dtype.is_decimal() else known
    return (known.drop_nans() if known.dtype.is_float() else known).to_numpy()
