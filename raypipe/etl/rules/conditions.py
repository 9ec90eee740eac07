"""Conditions on a row, written as SQL: parsed by Polars, and held to what one row can decide by itself."""

from __future__ import annotations

import functools
import json
import warnings
from collections.abc import Iterator
from typing import Annotated, Any

import polars as pl
from pydantic import AfterValidator

from raypipe.etl.wording import shown

_KNOWN_NODES = {"Alias", "BinaryExpr", "Cast", "Column", "Function", "Literal", "Ternary"}
_ROW_WISE = {
    "Abs", "Ceil", "Clip", "Coalesce", "Exp", "FillNull", "Floor", "Log", "Log1p", "MaxHorizontal",
    "MinHorizontal", "Negate", "Pow", "Round", "RoundSF", "Sign", "Sql", "StringExpr", "TemporalExpr", "Trigonometry",
    "Atan2", "Boolean", "Bitwise", "BinaryExpr", "Cbrt", "Sqrt", "DatetimeFunction", "Reinterpret",
}  # fmt: skip
_ROW_WISE_BOOLEAN = {
    "AllHorizontal", "AnyHorizontal", "IsBetween", "IsClose", "IsFinite", "IsIn", "IsInfinite", "IsNan", "IsNotNan",
    "IsNotNull", "IsNull", "Not",
}  # fmt: skip
_NOT_ROW_WISE_TEXT = {"ConcatVertical"}


def check_condition(text: str) -> str:
    """The text, if it is an SQL expression that each row decides by itself.

    Raises
    ------
    ValueError
        If it cannot be parsed, looks at other rows (aggregates, windows, subqueries), or names no column.
    """
    if not parsed_condition(text)[1]:
        raise ValueError(f"the condition {shown(text)} names no column")
    return text


@functools.lru_cache(maxsize=1024)
def parsed_condition(text: str) -> tuple[pl.Expr, tuple[str, ...]]:
    """The expression and the columns that it names, in their first order; see `check_condition`."""
    try:
        expression = pl.sql_expr(text)
    except (pl.exceptions.PolarsError, ValueError) as error:
        said = str(error).split("\n")[0]
        raise ValueError(f"the condition {shown(text)} is no SQL expression: {said}") from None
    with warnings.catch_warnings():
        # Polars warns that this form may change: it is read at once, and what is not known there is refused.
        warnings.simplefilter("ignore")
        tree = json.loads(expression.meta.serialize(format="json"))
    columns: dict[str, None] = {}
    for node, body in _nodes(tree):
        reason = _why_refused(node, body)
        if node == "Column":
            columns[str(body)] = None
        elif reason is not None:
            raise ValueError(f"the condition {shown(text)} {reason}; a row must be able to decide it by itself")
    return expression, tuple(columns)


def named_columns(text: str) -> tuple[str, ...]:
    """The columns that a condition names, in their first order."""
    return parsed_condition(text)[1]


Condition = Annotated[str, AfterValidator(check_condition)]
"""An SQL expression over the columns of one row, true for the rows that are meant."""


def _nodes(tree: Any) -> Iterator[tuple[str, Any]]:
    """Every node of an expression with its body, from the outermost inwards."""
    if isinstance(tree, str):  # such as "Len", the number of all rows
        yield tree, None
        return
    ((kind, body),) = tree.items()
    yield kind, body
    if kind == "Function":
        for child in body["input"]:
            yield from _nodes(child)
    elif kind == "BinaryExpr":
        yield from _nodes(body["left"])
        yield from _nodes(body["right"])
    elif kind == "Ternary":
        for name in ("predicate", "truthy", "falsy"):
            yield from _nodes(body[name])
    elif kind == "Cast":
        yield from _nodes(body["expr"])
    elif kind == "Alias":
        yield from _nodes(body[0])


def _why_refused(node: str, body: Any) -> str | None:
    if node == "Selector":
        return "names columns by a pattern"
    if node not in _KNOWN_NODES:
        return "looks at more than one row" if node in ("Agg", "Over", "Window", "Len") else f"uses {node.lower()}"
    if node != "Function":
        return None
    function = body["function"]
    name, detail = next(iter(function.items())) if isinstance(function, dict) else (function, None)
    inner = next(iter(detail)) if isinstance(detail, dict) and detail else detail
    refused = name not in _ROW_WISE
    refused |= name == "Boolean" and inner not in _ROW_WISE_BOOLEAN
    refused |= name == "StringExpr" and inner in _NOT_ROW_WISE_TEXT
    return f"uses {inner or name}, which is not known to look at one row only" if refused else None
