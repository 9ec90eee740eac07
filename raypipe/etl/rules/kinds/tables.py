"""References between tables. The other one is of any format that raypipe reads; its keys are kept in each worker."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
from pydantic import field_validator

from raypipe.etl.rules.cells import Cells, UnfitError
from raypipe.etl.rules.other import Keys, check_columns, families_of, hashed, keys_of
from raypipe.etl.rules.rule import CountingRule, Evidence, FigureRule, Judged, Measure, RowRule, Rule
from raypipe.etl.wording import counted, listed, shown


class _Referring(Rule):
    """A rule about another table."""

    table: str
    """Path of the other table."""
    table_columns: tuple[str, ...] = ()
    """Its columns, one for each of `columns`; left out, they have the same names."""

    @field_validator("table_columns", mode="before")
    @classmethod
    def _several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @property
    def there(self) -> tuple[str, ...]:
        """The columns of the other table."""
        return self.table_columns or self.columns

    def prepare(self) -> None:
        check_columns(self.table, self.there)

    @property
    def _named(self) -> str:
        return f"{' + '.join(shown(name) for name in self.there)} of {self.table}"


class InTable(_Referring, RowRule):
    """The values of the columns together occur in another table; rows with a null keep it."""

    GROUP = "reference"
    EACH = False
    rule: Literal["in_table"] = "in_table"

    @property
    def wanted(self) -> str:
        return f"a value that occurs in {self._named}"

    def breaks(self, cells: Cells) -> pl.Expr:
        found = [cells[name] for name in self.columns]
        if len(found) != len(self.there):
            raise UnfitError(f"{counted(len(found), 'column')} cannot be looked up in {len(self.there)}")
        families = families_of(found, self.table, self.there)
        known = pl.Series(keys_of(self.table, self.there, families).hashes, dtype=pl.UInt64)
        return hashed(found, families).map_batches(lambda keys: ~keys.is_in(known), return_dtype=pl.Boolean)


class KeysSeen(Measure):
    """Which keys of another table occur."""

    columns: tuple[str, ...]
    table: str
    there: tuple[str, ...]

    def check(self, schema: pa.Schema) -> None:
        self._families(Cells(schema))

    def partial(self, block: pa.Table, part: str) -> npt.NDArray[np.bool_]:
        cells = Cells(block.schema)
        keys, families = self._keys(cells)
        mine = hashed([cells[name] for name in self.columns], families).alias("h")
        found = cells.frame(block).select(mine).to_series().drop_nulls().unique()
        return pl.Series(keys.hashes, dtype=pl.UInt64).is_in(found).to_numpy()

    def merge(self, a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        return a | b

    def finish(self, state: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        return state

    def _families(self, cells: Cells) -> tuple[str, ...]:
        found = [cells[name] for name in self.columns]
        if len(found) != len(self.there):
            raise UnfitError(f"{counted(len(found), 'column')} cannot be looked up in {len(self.there)}")
        return families_of(found, self.table, self.there)

    def _keys(self, cells: Cells) -> tuple[Keys, tuple[str, ...]]:
        families = self._families(cells)
        return keys_of(self.table, self.there, families), families


class CoversTable(_Referring, CountingRule, FigureRule):
    """Every key of another table occurs here; keys with a null do not count."""

    GROUP = "reference"
    EACH = False
    PROFILED = False
    rule: Literal["covers_table"] = "covers_table"

    @property
    def wanted(self) -> str:
        bound = f", in all but {self.bound_words}" if self.bound_words else ""
        return f"every value of {self._named}{bound}"

    def measures(self) -> tuple[Measure, ...]:
        return (KeysSeen(columns=self.columns, table=self.table, there=self.there, where=self.where),)

    def judge(self, evidence: Evidence) -> Judged:
        seen = evidence.measured[self.measures()[0]]
        missing = int((~seen).sum())
        level = self.level(missing, len(seen))
        _, families = KeysSeen(columns=self.columns, table=self.table, there=self.there)._keys(Cells(evidence.schema))
        keys = keys_of(self.table, self.there, families).frame
        examples = tuple(" + ".join(map(str, row)) for row in keys.filter(pl.Series(~seen)).head(5).iter_rows())
        found = f"{counted(missing, 'value')} of {len(seen):,} missing" + (f": {listed(examples)}" if missing else "")
        return Judged(
            level is None,
            found,
            failing_rows=missing,
            rows=len(seen),
            share=missing / len(seen) if len(seen) else 0.0,
            examples=examples,
            severity=level,
        )


RULES = (InTable, CoversTable)
