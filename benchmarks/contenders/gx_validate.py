"""Great Expectations on pandas: those of the sixty rules that it has an expectation for, on a file read into memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import great_expectations as gx
import great_expectations.expectations as gxe
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as pt

from benchmarks.lineitem_rules import LineitemRule, lineitem_rules


def prepare(task: dict[str, Any]) -> dict[str, Any]:
    """Warm up on a small file."""
    return run({"path": task["small"]})


def run(task: dict[str, Any]) -> dict[str, Any]:
    """The whole file; decimals as floats, since objects of 6 million decimals do not fit."""
    table = pq.read_table(task["path"])
    for place, field in enumerate(table.schema):
        if pt.is_decimal(field.type):
            table = table.set_column(place, field.name, pc.cast(table[field.name], "float64"))
    frame = table.to_pandas()
    expected = [found for rule in lineitem_rules(task.get("all_fail", False)) if (found := _expectation(rule))]
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("p").add_dataframe_asset("a")
    batch = asset.add_batch_definition_whole_dataframe("b").get_batch({"dataframe": frame})
    result = batch.validate(gx.ExpectationSuite(name="s", expectations=expected), result_format="BASIC")
    failed = sum(not one.success for one in result.results)
    return {"rows": len(frame), "rules": len(expected), "failed": failed}


def _expectation(rule: LineitemRule) -> Any:
    """The expectation that asks the same; None where there is none."""
    kind = "between_dates" if rule.rule == "between" and isinstance(rule.fields["min"], str) else rule.rule
    made = _EXPECTATIONS.get(kind)
    return made(rule) if made else None


def _column(rule: LineitemRule) -> dict[str, str]:
    return {"column": rule.columns[0]} if rule.columns else {}


def _bounded(kind: Any) -> Callable[[LineitemRule], Any]:
    return lambda r: kind(**_column(r), min_value=r.fields.get("min"), max_value=r.fields.get("max"))


_between = gxe.ExpectColumnValuesToBeBetween
_EXPECTATIONS: dict[str, Callable[[LineitemRule], Any]] = {
    "not_null": lambda r: gxe.ExpectColumnValuesToNotBeNull(**_column(r)),
    "between": _bounded(_between),
    "positive": lambda r: _between(**_column(r), min_value=0, strict_min=True),
    "non_negative": lambda r: _between(**_column(r), min_value=0),
    "less_than": lambda r: _between(**_column(r), max_value=r.fields["value"], strict_max=True),
    "at_most": lambda r: _between(**_column(r), max_value=r.fields["value"]),
    "in_set": lambda r: gxe.ExpectColumnValuesToBeInSet(**_column(r), value_set=r.fields["values"]),
    "length_is": lambda r: gxe.ExpectColumnValueLengthsToEqual(**_column(r), value=r.fields["chars"]),
    "length_between": _bounded(gxe.ExpectColumnValueLengthsToBeBetween),
    "matches": lambda r: gxe.ExpectColumnValuesToMatchRegex(**_column(r), regex=f"^{r.fields['pattern']}$"),
    "columns_ascend": lambda r: gxe.ExpectColumnPairValuesAToBeGreaterThanB(
        column_A=r.columns[1], column_B=r.columns[0]
    ),
    "unique_together": lambda r: gxe.ExpectCompoundColumnsToBeUnique(column_list=list(r.columns)),
    "mean_between": _bounded(gxe.ExpectColumnMeanToBeBetween),
    "min_between": _bounded(gxe.ExpectColumnMinToBeBetween),
    "max_between": _bounded(gxe.ExpectColumnMaxToBeBetween),
    "stddev_between": _bounded(gxe.ExpectColumnStdevToBeBetween),
    "sum_between": _bounded(gxe.ExpectColumnSumToBeBetween),
    "distinct_count": _bounded(gxe.ExpectColumnUniqueValueCountToBeBetween),
    "row_count": lambda r: gxe.ExpectTableRowCountToBeBetween(min_value=r.fields.get("min")),
}
