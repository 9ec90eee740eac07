"""Row rules compiled into expressions, and evaluated together once a block."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from raypipe.errors import ConfigError
from raypipe.etl.rules.cells import Cells, UnfitError, require_columns
from raypipe.etl.rules.rule import RowRule


@dataclass(frozen=True)
class Compiled:
    """The row rules that can be held against one schema."""

    cells: Cells
    live: tuple[int, ...]
    """Places of those rules among all."""
    broken: tuple[pl.Expr, ...]
    """For each live rule, whether the row breaks it; never null, and false outside its `where`."""
    conditions: tuple[pl.Expr, ...]
    """Each different `where` once."""
    condition_of: tuple[int | None, ...]
    """For each live rule, the place of its `where` among them; None looks at all rows."""
    unfit: Mapping[int, str]
    """For each other rule, why it cannot be held."""
    names: tuple[str, ...]
    """Id of every rule."""


@dataclass(frozen=True)
class Masks:
    """Which rows of a block break which rule."""

    live: tuple[int, ...]
    broken: tuple[pl.Series, ...]
    """A bitmask a live rule."""
    failing: tuple[int, ...]
    """Rows that break it."""
    looked_at: tuple[int, ...]
    """Rows that it looked at."""
    within: tuple[pl.Series | None, ...]
    """Bitmask of the rows that it looked at; None for all."""
    unfit: Mapping[int, str]


@functools.lru_cache(maxsize=16)
def compiled(rules: tuple[RowRule, ...], schema: pa.Schema) -> Compiled:
    """The rules for blocks of this schema."""
    cells = Cells(schema)
    live, broken, unfit = [], [], {}
    conditions: dict[str, pl.Expr] = {}
    condition_of: list[int | None] = []
    for index, rule in enumerate(rules):
        try:
            require_columns(schema, rule.segments)
            expression = rule.breaks(cells).fill_null(False)
            if rule.where is not None and rule.where not in conditions:
                conditions[rule.where] = cells.condition(rule.where)
        except UnfitError as error:
            unfit[index] = str(error)
            continue
        if rule.where is None:
            condition_of.append(None)
        else:
            expression = expression & conditions[rule.where]
            condition_of.append(list(conditions).index(rule.where))
        live.append(index)
        broken.append(expression)
    names = tuple(rule.id for rule in rules)
    return Compiled(cells, tuple(live), tuple(broken), tuple(conditions.values()), tuple(condition_of), unfit, names)


def masks_of(rules: tuple[RowRule, ...], block: pa.Table) -> Masks:
    """Every rule on every row of the block, in one go. The stage that counts and the one that sets aside ask for the
    same block one after the other, so that the last answer is kept while its block lives."""
    global _last
    if _last is not None and _last[0]() is block and _last[1] == rules:
        return _last[2]
    found = _evaluated(compiled(rules, block.schema), block)
    _last = (weakref.ref(block), rules, found)
    return found


_last: tuple[weakref.ref[pa.Table], tuple[RowRule, ...], Masks] | None = None


def _evaluated(plan: Compiled, block: pa.Table) -> Masks:
    rows = block.num_rows
    named = [expression.alias(f"b{n}") for n, expression in enumerate(plan.broken)]
    named += [expression.alias(f"w{n}") for n, expression in enumerate(plan.conditions)]
    found = _computed(plan, plan.cells.frame(block), named)
    sums = dict(zip(found.columns, found.sum().row(0), strict=True)) if rows and named else {}
    columns = {name: _tall(found.get_column(name), rows) for name in found.columns}
    return Masks(
        live=plan.live,
        broken=tuple(columns[f"b{n}"] for n in range(len(plan.live))),
        failing=tuple(int(sums.get(f"b{n}") or 0) for n in range(len(plan.live))),
        looked_at=tuple(rows if n is None else int(sums.get(f"w{n}") or 0) for n in plan.condition_of),
        within=tuple(None if n is None else columns[f"w{n}"] for n in plan.condition_of),
        unfit=plan.unfit,
    )


def _computed(plan: Compiled, frame: pl.DataFrame, named: list[pl.Expr]) -> pl.DataFrame:
    if not named:
        return pl.DataFrame()
    try:
        # A lazy frame, since only its optimiser computes what expressions share once.
        return frame.lazy().select(named).collect()
    except pl.exceptions.PolarsError:
        for index, expression in zip(plan.live, plan.broken, strict=True):
            try:
                frame.select(expression)
            except pl.exceptions.PolarsError as error:
                reason = str(error).split("\n")[0]
                hint = "; TRY_CAST gives null where CAST ends the run" if "conversion" in reason else ""
                raise ConfigError(f"rule {plan.names[index]!r} cannot be computed: {reason}{hint}") from None
        raise


def _tall(mask: pl.Series, rows: int) -> pl.Series:
    """A rule that is the same for every row gives one value."""
    return mask.new_from_index(0, rows) if len(mask) == 1 != rows else mask


def first_places(mask: pl.Series, most: int, step: int = 4096) -> list[int]:
    """The first few rows of a mask, without looking further than needed.

    Examples
    --------
    >>> first_places(pl.Series([False, True, True, True]), 2)
    [1, 2]
    """
    found: list[int] = []
    start = 0
    while start < len(mask) and len(found) < most:
        places = mask.slice(start, step).arg_true().to_numpy().astype(np.int64) + start
        found += places[: most - len(found)].tolist()
        start, step = start + step, step * 2
    return found


def rule_lists(broken: Sequence[pl.Series], names: Sequence[str]) -> pa.LargeListArray:
    """For each row, the names of all rules that it breaks, as a list of `RULE_NAME`.

    Examples
    --------
    >>> rule_lists([pl.Series([True, False]), pl.Series([True, True])], ["a", "b"]).to_pylist()
    [['a', 'b'], ['b']]
    """
    rows = len(broken[0]) if broken else 0
    table = np.empty((rows, len(broken)), dtype=bool)
    for place, mask in enumerate(broken):
        table[:, place] = mask.to_numpy()
    which = np.flatnonzero(table) % max(1, len(broken))
    offsets = np.zeros(rows + 1, np.int64)
    np.cumsum(np.count_nonzero(table, axis=1), out=offsets[1:])
    # Codes into the names: the names themselves would be the largest part of a row that breaks many rules.
    values = pa.DictionaryArray.from_arrays(pa.array(which.astype(np.int32)), pa.array(names, pa.large_string()))
    return pa.LargeListArray.from_arrays(offsets, values)
