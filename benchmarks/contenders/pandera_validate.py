"""pandera on Polars: the rules about one column, and the key, as a schema, on a file read into memory.

Its checks of whole frames are left out: where one fails, its report cannot be built beside those of columns (0.35).
"""

from __future__ import annotations

from typing import Any

import pandera.polars as pa
import polars as pl

from benchmarks.lineitem_rules import COLUMNS, LineitemRule, lineitem_rules


def prepare(task: dict[str, Any]) -> dict[str, Any]:
    """Warm up on a small file."""
    return run({"path": task["small"]})


def run(task: dict[str, Any]) -> dict[str, Any]:
    """The whole file; decimals as floats, since pandera compares those."""
    rules = lineitem_rules(task.get("all_fail", False))
    frame = pl.read_parquet(task["path"]).with_columns(pl.selectors.decimal().cast(pl.Float64))
    checks: dict[str, list[pa.Check]] = {name: [] for name in COLUMNS}
    nullable = set(COLUMNS)
    unique: list[str] = []
    for rule in rules:
        if rule.rule == "not_null":
            nullable.discard(rule.columns[0])
        elif rule.rule == "unique_together":
            unique = list(rule.columns)
        elif not rule.is_figure and len(rule.columns) == 1:
            checks[rule.columns[0]].append(_broken(rule, rule.columns[0]))
    columns = {name: pa.Column(checks=checks[name], nullable=name in nullable) for name in COLUMNS}
    schema = pa.DataFrameSchema(columns, unique=unique)
    failed = 0
    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        failed = len(error.schema_errors)
    return {"rows": frame.height, "rules": sum(map(len, checks.values())) + len(COLUMNS) + 1, "failed": failed}


def _expression(rule: LineitemRule) -> pl.Expr:
    cell = pl.col(rule.columns[0])
    if rule.rule == "matches":
        return ~cell.str.contains(rf"\A(?:{rule.fields['pattern']})\z")
    if rule.rule == "whole_number":
        return cell % 1 != 0
    if rule.rule == "text_case":
        return cell != (cell.str.to_uppercase() if rule.fields["case"] == "upper" else cell.str.to_lowercase())
    return pl.sql_expr(rule.sql)


def _broken(rule: LineitemRule, name: str) -> pa.Check:
    expression = ~_expression(rule)
    return pa.Check(lambda data: data.lazyframe.select(expression), name=f"{rule.rule}:{name}")
