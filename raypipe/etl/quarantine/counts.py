"""What is in quarantine, counted by reason, column, stage or file, with examples."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import polars as pl

from raypipe.config import Frozen
from raypipe.etl.quarantine.rows import batches

By = Literal["reason", "column", "stage", "file"]
SORTS: tuple[By, ...] = ("reason", "column", "stage", "file")
KEYS: dict[By, tuple[str, ...]] = {
    "reason": ("stage", "column", "kind"),
    "column": ("column",),
    "stage": ("stage",),
    "file": ("file",),
}
"""What rows are put together by."""
MOST_GROUPS = 100_000
"""Kinds of rows that are told apart; rows of further ones are counted together."""
_GOT = r"(?s), got '.*'$"


class Example(Frozen):
    """One row in quarantine."""

    file: str | None
    line: int | None
    row: int | None
    value: str | None
    reason: str | None


class Group(Frozen):
    """Rows that are there for one cause."""

    rows: int
    stage: str | None = None
    column: str | None = None
    reason: str | None = None
    file: str | None = None
    examples: tuple[Example, ...] = ()


class Counts(Frozen):
    """All of a quarantine."""

    rows: int
    by: By
    groups: tuple[Group, ...]
    """Most rows first."""
    others: int = 0
    """Rows of kinds beyond those that are told apart."""


def count(path: Path, by: By = "reason", examples: int = 3) -> Counts:
    """Count the rows of a quarantine file, in one pass over it.

    Parameters
    ----------
    by : {"reason", "column", "stage", "file"}
        What rows are put together by. Reasons that differ in the value only are one.
    examples : int
        Rows to show of each.
    """
    keys, found, rows, others = KEYS[by], dict[tuple[Any, ...], list[Any]](), 0, 0
    for batch in batches(path):
        rows += batch.height
        kinds = batch.with_columns(kind=pl.col("reason").str.replace(_GOT, ""))
        first = pl.struct("file", "line", "row", "value", "reason").head(examples).alias("examples")
        for *key, count_, shown in kinds.group_by(keys, maintain_order=True).agg(pl.len(), first).iter_rows():
            known = found.get(tuple(key))
            if known is not None:
                known[0] += count_
                known[1] += shown[: examples - len(known[1])]
            elif len(found) < MOST_GROUPS:
                found[tuple(key)] = [count_, list(shown)]
            else:
                others += count_
    groups = [_group(dict(zip(keys, key, strict=True)), count_, shown) for key, (count_, shown) in found.items()]
    ordered = sorted(groups, key=lambda group: -group.rows)
    return Counts(rows=rows, by=by, groups=tuple(ordered), others=others)


def _group(key: dict[str, str | None], rows: int, shown: list[dict[str, Any]]) -> Group:
    names = {("reason" if name == "kind" else name): value for name, value in key.items()}
    return Group.model_validate({**names, "rows": rows, "examples": shown})
