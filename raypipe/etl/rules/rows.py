"""Rules that each row keeps or breaks by itself, all checked in one pass over a block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

import polars as pl
import pyarrow as pa
import pyarrow.types as pt
from pydantic import Field

from raypipe.blocks.frames import ROW
from raypipe.config import Frozen
from raypipe.etl.aside import NONE_WITH_RULES, Fault, numbered, set_aside
from raypipe.etl.rules.comparing import Comparison, keeps_bound, keeps_values
from raypipe.etl.rules.dtypes import is_text
from raypipe.etl.rules.masks import rule_lists
from raypipe.etl.rules.schema import ColumnSchema, DataSchema, whole_match
from raypipe.etl.rules.values import Scalar, fit_bound, fit_value, why_unfit
from raypipe.etl.wording import listed, shown
from raypipe.stage import BlockStage, Sifted

RowRule = Literal["not_null", "primary_key_null", "min_value", "max_value", "allowed_values", "regex_pattern"]

CHECKED = "rows:checked"
SET_ASIDE = "rows:set_aside"


class RowCheck(Frozen):
    """One rule about one column. Null breaks `not_null` and `primary_key_null` only."""

    rule: RowRule
    column: str
    bound: Scalar | None = None
    """Of `min_value` and `max_value`."""
    values: tuple[Scalar, ...] = ()
    """Of `allowed_values`."""
    pattern: str | None = None
    """Of `regex_pattern`."""

    @property
    def key(self) -> str:
        """Under which `Sifted.counts` tells how many rows break the rule; split it at the first two colons."""
        return f"failed:{self.rule}:{self.column}"

    @property
    def wanted(self) -> str:
        """What the rule asks for, in words."""
        match self.rule:
            case "not_null" | "primary_key_null":
                return "no null"
            case "min_value":
                return f"at least {shown(self.bound)}"
            case "max_value":
                return f"at most {shown(self.bound)}"
            case "allowed_values":
                return f"one of {listed(self.values)}"
            case "regex_pattern":
                return f"text that matches {shown(self.pattern)}"

    @property
    def reason(self) -> str:
        """Why a row was set aside."""
        if self.rule == "primary_key_null":
            return "null in the primary key"
        if self.rule == "not_null":
            return "null where a value is required"
        return f"wanted {self.wanted}"

    def breaks(self, cell: pl.Expr, kind: pa.DataType) -> pl.Expr:
        """Boolean, never null: whether the cell of a column of this Arrow type breaks the rule."""
        if self.rule in ("not_null", "primary_key_null"):
            return cell.is_null()
        if pt.is_null(kind):
            return cell.is_null() & pl.lit(False)
        if self.rule == "allowed_values":
            return (~keeps_values(cell, kind, self.values)).fill_null(False)
        if self.rule == "regex_pattern":
            return (~cell.str.contains(whole_match(str(self.pattern)))).fill_null(False)
        comparison: Comparison = ">=" if self.rule == "min_value" else "<="
        bound: Scalar = self.bound  # type: ignore[assignment]  # a check of this rule has one
        return (~keeps_bound(cell, kind, comparison, bound)).fill_null(False)


class CheckRows(BlockStage):
    """Check every row rule of a schema in one pass; rows at fault are set aside under their first reason.

    Each rule is counted on every row, also on rows that another rule has set aside already. A check whose column is
    absent, or of a type that it cannot be held to, is passed over: `DataSchema.check_against` tells of it.
    """

    checks: tuple[RowCheck, ...] = Field(min_length=1)
    """In order of precedence."""
    quarantine: bool = True
    """False keeps rows at fault, and only counts them."""

    @classmethod
    def of(cls, schema: DataSchema, quarantine: bool = True) -> Self | None:
        """The row rules of a schema, column by column; None where it has none."""
        checks = tuple(check for column in schema.columns for check in row_checks(column, schema.primary_key))
        return cls(checks=checks, quarantine=quarantine) if checks else None

    def output_schema(self, schema: pa.Schema) -> pa.Schema:
        return schema

    def live(self, schema: pa.Schema) -> tuple[RowCheck, ...]:
        """The checks that can be held against these columns."""
        return tuple(check for check in self.checks if _applies(check, schema))

    def apply(self, block: pa.Table) -> Sifted:
        checks = self.live(block.schema)
        counts = {CHECKED: block.num_rows}
        if not checks or block.num_rows == 0:
            return Sifted(block, NONE_WITH_RULES, counts)
        broken = _broken(block, checks)
        counts |= {c.key: n for c, n in zip(checks, broken.sum().row(0), strict=True)}
        if not self.quarantine or not any(counts[check.key] for check in checks):
            return Sifted(block, NONE_WITH_RULES, counts)
        at_fault = broken.select(pl.any_horizontal(pl.all())).to_series()
        wrong = broken.filter(at_fault)
        first = _first_true(wrong)
        lists = rule_lists(wrong.get_columns(), [f"{check.rule}:{check.column}" for check in checks])
        mask = at_fault.to_arrow()
        bad = numbered(block).filter(mask)
        aside = set_aside(bad, first, [Fault(check.column, check.reason) for check in checks], lists)
        counts[SET_ASIDE] = bad.num_rows
        return Sifted(block.filter((~at_fault).to_arrow()), aside, counts)


def row_checks(column: ColumnSchema, primary_key: Sequence[str] = ()) -> tuple[RowCheck, ...]:
    """The row rules that one column declares."""
    name = column.name
    checks: list[RowCheck] = []
    if name in primary_key:
        checks.append(RowCheck(rule="primary_key_null", column=name))
    elif not column.nullable:
        checks.append(RowCheck(rule="not_null", column=name))
    if column.min_value is not None:
        checks.append(RowCheck(rule="min_value", column=name, bound=column.min_value))
    if column.max_value is not None:
        checks.append(RowCheck(rule="max_value", column=name, bound=column.max_value))
    if column.allowed_values is not None:
        checks.append(RowCheck(rule="allowed_values", column=name, values=column.allowed_values))
    if column.regex_pattern is not None:
        checks.append(RowCheck(rule="regex_pattern", column=name, pattern=column.regex_pattern))
    return tuple(checks)


def _applies(check: RowCheck, schema: pa.Schema) -> bool:
    if check.column == ROW or schema.get_field_index(check.column) < 0:
        return False
    kind = schema.field(check.column).type
    if pt.is_null(kind) or check.rule in ("not_null", "primary_key_null"):
        return True
    if check.rule == "regex_pattern":
        return is_text(kind)
    if check.rule == "allowed_values":
        return not any(why_unfit(fit_value, value, kind) for value in check.values)
    return check.bound is not None and why_unfit(fit_bound, check.bound, kind) is None


def _broken(block: pa.Table, checks: Sequence[RowCheck]) -> pl.DataFrame:
    """One boolean column a check, all computed in one go. Columns go by number: a name such as `^a$` is a pattern
    to Polars, and `*` means all."""
    names = list(dict.fromkeys(check.column for check in checks))
    frame = pl.DataFrame([pl.Series(f"c{n}", pl.from_arrow(block[name])) for n, name in enumerate(names)])
    return frame.select(
        check.breaks(pl.col(f"c{names.index(check.column)}"), block.schema.field(check.column).type).alias(f"b{n}")
        for n, check in enumerate(checks)
    )


def _first_true(broken: pl.DataFrame) -> pl.Series:
    """For each row, the number of the first column that is true."""
    picks = [pl.when(pl.col(name)).then(pl.lit(n, pl.UInt32)) for n, name in enumerate(broken.columns)]
    return broken.select(pl.coalesce(picks)).to_series()
