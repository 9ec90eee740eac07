"""Expressions in SQL over the columns of one row: new columns, and conditions that rows must meet."""

from __future__ import annotations

import json
import warnings
from typing import Any, ClassVar, Literal

import polars as pl
import pyarrow as pa

from raypipe.blocks.frames import ROW, no_rows
from raypipe.config.steps import DeriveSettings, FilterRowsSettings
from raypipe.errors import ConfigError, MissingColumnsError
from raypipe.etl.steps.cells import ArrowType
from raypipe.etl.steps.fitted import Edits, EditStep, FittedStep, RowStep
from raypipe.etl.steps.learn import Place, Recipe
from raypipe.etl.steps.step import cells_of
from raypipe.etl.wording import shown

_ACROSS = frozenset(
    {
        "Agg", "Len", "Over", "Window", "Explode", "SubPlan", "Sort", "SortBy", "Filter", "Slice", "Gather", "Rolling",
        "AnonymousFunction", "AnonymousAgg", "Range", "CumSum", "CumCount", "CumMin", "CumMax", "Shift", "ShiftAndFill",
        "Rank", "Unique", "Random", "Reverse", "Mode", "FillNullWithStrategy", "RowEncode", "Hist", "ValueCounts",
    }
)  # fmt: skip
"""Nodes of a Polars expression that look at more than one row."""


def parsed(text: str, by: str) -> pl.Expr:
    """The expression of an SQL text.

    Raises
    ------
    ConfigError
        If it cannot be read, or looks at more than one row: its result would depend on how rows are cut.
    """
    try:
        expression = pl.sql_expr(text)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the form may change with the next version, for which it is not kept
            tree = json.loads(expression.meta.serialize(format="json"))
    except pl.exceptions.PolarsError as error:
        said = " ".join(str(error).split())[:200]
        raise ConfigError(f"{by}: the expression {shown(text)} cannot be read: {said}") from None
    across = sorted(_nodes(tree) & _ACROSS)
    if across:
        raise ConfigError(
            f"{by}: the expression {shown(text)} looks at more than one row ({', '.join(across)}); it may use the "
            "columns of its own row only"
        )
    return expression


def _nodes(tree: Any) -> set[str]:
    """Every name of a node in a serialised expression."""
    if isinstance(tree, dict):
        return set(tree).union(*(_nodes(value) for value in tree.values()))
    if isinstance(tree, list):
        return set().union(*(_nodes(value) for value in tree)) if not tree or not isinstance(tree[0], int) else set()
    return {tree} if isinstance(tree, str) and tree in ("Len", "Reverse", "Random") else set()


def columns_of(expression: pl.Expr, schema: pa.Schema, by: str) -> tuple[str, ...]:
    """The columns that an expression reads; MissingColumnsError if one is not there."""
    if expression.meta.has_multiple_outputs() or expression.meta.is_regex_projection():
        raise ConfigError(f"{by}: Polars takes a name in the expression for a pattern; rename that column first")
    names = tuple(dict.fromkeys(expression.meta.root_names()))
    unknown = [name for name in names if name not in schema.names or name == ROW]
    if unknown:
        raise MissingColumnsError(by, unknown, [name for name in schema.names if name != ROW])
    odd = [name for name in names if name.startswith("^") and name.endswith("$")]
    if odd:
        raise ConfigError(f"{by}: Polars takes the name {shown(odd[0])} for a pattern; rename that column first")
    return names


def evaluated(expression: pl.Expr, block: pa.Table, columns: tuple[str, ...]) -> pl.Series:
    """The value of the expression in each row."""
    frame = pl.DataFrame([cells_of(block, name).alias(name) for name in columns])
    made = frame.select(expression.alias("made")).to_series().alias("")
    return made.new_from_index(0, block.num_rows) if len(made) == 1 != block.num_rows else made


def type_of(expression: pl.Expr, schema: pa.Schema, columns: tuple[str, ...], by: str, text: str) -> pa.DataType:
    """The type of the values; ConfigError if the columns have types that do not suit the expression."""
    try:
        return evaluated(expression, no_rows(schema), columns).head(0).to_arrow().type
    except pl.exceptions.PolarsError as error:
        said = " ".join(str(error).split())[:200]
        raise ConfigError(f"{by}: the expression {shown(text)} does not suit its columns: {said}") from None


class Derive(EditStep):
    """Add or replace a column by an expression on the others of its row."""

    kind: Literal["derive"] = "derive"
    rewrites: ClassVar[bool] = True
    column: str
    expression: str
    columns: tuple[str, ...]
    type: ArrowType

    @property
    def touched(self) -> tuple[str, ...]:
        return (self.column,)

    def inputs(self) -> tuple[str, ...]:
        return self.columns

    def types(self, schema: pa.Schema) -> dict[str, pa.DataType]:
        return {self.column: self.type}

    def edit(self, block: pa.Table) -> Edits:
        return Edits({self.column: evaluated(pl.sql_expr(self.expression), block, self.columns)})

    def fitted_values(self) -> dict[str, Any]:
        return {self.column: {"expression": self.expression}}


class FilterRows(RowStep):
    """Keep the rows for which a condition holds; where it is null, the row goes."""

    kind: Literal["filter_rows"] = "filter_rows"
    keep: str
    columns: tuple[str, ...]

    def inputs(self) -> tuple[str, ...]:
        return self.columns

    def keeps(self, block: pa.Table, part: str) -> pl.Series:
        return evaluated(pl.sql_expr(self.keep), block, self.columns).fill_null(False)

    def fitted_values(self) -> dict[str, Any]:
        return {"keep": self.keep}


def _fit_derive(settings: DeriveSettings, place: Place) -> FittedStep:
    by = f"step {place.label}"
    expression = parsed(settings.expression, by)
    columns = columns_of(expression, place.schema, by)
    kind = type_of(expression, place.schema, columns, by, settings.expression)
    return Derive(label=place.label, column=settings.column, expression=settings.expression, columns=columns, type=kind)


def _fit_filter(settings: FilterRowsSettings, place: Place) -> FittedStep:
    by = f"step {place.label}"
    expression = parsed(settings.keep, by)
    columns = columns_of(expression, place.schema, by)
    kind = type_of(expression, place.schema, columns, by, settings.keep)
    if not pa.types.is_boolean(kind):
        raise place.fail(f"the condition {shown(settings.keep)} gives {kind}, not true or false")
    return FilterRows(label=place.label, keep=settings.keep, columns=columns)


RECIPES: dict[str, Recipe] = {
    "derive": Recipe(
        learn=_fit_derive,
        reshapes=True,
        drops_rows=lambda settings: True,  # a row on which the expression fails goes aside
        touches=lambda settings, place: (settings.column,),
    ),
    "filter_rows": Recipe(learn=_fit_filter, drops_rows=lambda settings: True),
}
FITTED: tuple[type[FittedStep], ...] = (Derive, FilterRows)
