"""Mends of rows that were set aside: values set and replaced, rows dropped, or whatever SQL says."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Self

import polars as pl

from raypipe.config import Frozen
from raypipe.errors import ConfigError, MissingColumnsError
from raypipe.etl.quarantine.rows import ABOUT, ACTION, ACTIONS, COLUMN, DROP, ID, RAW, REASON, STAGE

EDITABLE = (ACTION, RAW)
"""Columns about a row that a mend may change."""


class Mends(Frozen):
    """What to change, in this order, in the rows that the first three choose (all of them, where none is given)."""

    stage: str | None = None
    """Rows that this stage set aside."""
    column: str | None = None
    """Rows at fault in this column."""
    reason: str | None = None
    """Rows whose reason contains this text."""
    values: tuple[tuple[str, str | None], ...] = ()
    """Column and its new value; None is no value."""
    maps: tuple[tuple[str, str, str | None], ...] = ()
    """Column, a value as it is, and what it becomes."""
    drop: bool = False
    sql: str | None = None
    """A query over the table `rows`, in the dialect of Polars, that keeps `__id__`."""

    @classmethod
    def parse(cls, assignments: Sequence[str], maps: Sequence[str], **others: object) -> Self:
        """From `column=value` and `column:old=new`; nothing behind the sign is no value.

        Examples
        --------
        >>> Mends.parse(["units=3"], ["city:Umm=Ulm"]).maps
        (('city', 'Umm', 'Ulm'),)
        """
        values = [_assignment(text) for text in assignments]
        return cls.model_validate({"values": values, "maps": [_map(text) for text in maps], **others})

    @property
    def is_empty(self) -> bool:
        """Whether nothing is changed."""
        return not (self.values or self.maps or self.drop or self.sql)

    def apply(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows mended: as many, in their order, under their identities.

        Raises
        ------
        MissingColumnsError
            If a mend names a column that is not there.
        ConfigError
            If it changes what a row is known by, or SQL fails, or SQL changes the identities.
        """
        self._check(rows)
        chosen = self._chosen(rows)
        changed = rows
        for name, value in self.values:
            changed = _set(changed, name, chosen, value)
        for name, old, value in self.maps:
            changed = _set(changed, name, chosen & (changed[name].alias("") == old).fill_null(False), value)
        if self.drop:
            changed = _set(changed, ACTION, chosen, DROP)
        return _queried(changed, chosen, self.sql) if self.sql else changed

    def _check(self, rows: pl.DataFrame) -> None:
        named = [*(name for name, _ in self.values), *(name for name, _, _ in self.maps)]
        missing = [name for name in named if name not in rows.columns]
        if missing:
            raise MissingColumnsError("quarantine fix", missing, [name for name in rows.columns if name not in ABOUT])
        fixed = [name for name in named if name in ABOUT and name not in EDITABLE]
        if fixed:
            raise ConfigError(f"quarantine fix: {fixed[0]} says what a row is, and stays; a mend may change its fields")

    def _chosen(self, rows: pl.DataFrame) -> pl.Series:
        chosen = pl.Series([True]).new_from_index(0, rows.height)
        if self.stage is not None:
            chosen &= (rows[STAGE] == self.stage).fill_null(False)
        if self.column is not None:
            chosen &= (rows[COLUMN] == self.column).fill_null(False)
        if self.reason is not None:
            chosen &= rows[REASON].str.contains(self.reason, literal=True).fill_null(False)
        return chosen


def _assignment(text: str) -> tuple[str, str | None]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise ConfigError(f"--set: got {text!r}; wanted column=value, e.g. --set units=3")
    return name, value or None


def _map(text: str) -> tuple[str, str, str | None]:
    name, sign, rest = text.partition(":")
    old, equals, new = rest.partition("=")
    if not sign or not equals or not name:
        raise ConfigError(f"--map: got {text!r}; wanted column:old=new, e.g. --map units:many=3")
    return name, old, new or None


def _set(rows: pl.DataFrame, name: str, where: pl.Series, value: str | None) -> pl.DataFrame:
    """The rows with a value set. Fields of a row that is a line yet are left alone: the others would be lost."""
    if name not in EDITABLE:
        where = where & rows[RAW].is_null()
    new = pl.Series([value], dtype=pl.String).new_from_index(0, rows.height)
    index = rows.get_column_index(name)
    return rows.clone().replace_column(index, new.zip_with(where, rows[name].alias("")).alias(name))


def _queried(rows: pl.DataFrame, chosen: pl.Series, sql: str) -> pl.DataFrame:
    """What a query makes of the chosen rows; the others stay as they are."""
    some = rows.filter(chosen)
    try:
        made = pl.SQLContext(frames={"rows": some}).execute(sql, eager=True)
    except (pl.exceptions.PolarsError, pl.exceptions.SQLInterfaceError) as error:
        told = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"quarantine fix: --sql: {told}. The table is called rows; its columns: {_known(rows)}"
        ) from error
    strange = [name for name in made.columns if name not in rows.columns]
    if strange:
        close = difflib.get_close_matches(strange[0], rows.columns, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ConfigError(f"quarantine fix: --sql makes a column {strange[0]!r} that the rows do not have.{hint}")
    if ID not in made.columns or made[ID].n_unique() != made.height or not made[ID].is_in(some[ID].implode()).all():
        raise ConfigError(
            f"quarantine fix: --sql must keep {ID} as it is, each once, e.g. "
            "SELECT * REPLACE (upper(city) AS city) FROM rows"
        )
    made = made.select(pl.all().cast(pl.String))
    wrong = (
        [name for name in made[ACTION].drop_nulls().unique() if name not in ACTIONS] if ACTION in made.columns else []
    )
    if wrong:
        raise ConfigError(f"quarantine fix: {ACTION} takes {', '.join(ACTIONS)}; --sql made {wrong[0]!r}")
    mended = [name for name in made.columns if name in EDITABLE or name not in ABOUT]
    changed = rows.with_row_index("__at__").join(
        made[[ID, *mended]], on=ID, how="left", suffix="__new", maintain_order="left"
    )
    there = rows[ID].is_in(made[ID].implode())
    for name in mended:
        met = there if name in EDITABLE else there & rows[RAW].is_null()
        rows = rows.clone().replace_column(
            rows.get_column_index(name), changed[f"{name}__new"].zip_with(met, rows[name]).alias(name)
        )
    return rows


def _known(rows: pl.DataFrame) -> str:
    shown = [repr(name) if not name.isidentifier() else name for name in rows.columns[:30]]
    return ", ".join(shown) + (f" … ({rows.width} in all)" if rows.width > 30 else "")
