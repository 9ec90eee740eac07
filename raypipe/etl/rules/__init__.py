"""What a table must keep to: declared schemas, rules of rows, and rules of quality."""

from __future__ import annotations

import functools
from collections.abc import Callable

from raypipe.etl.rules.quality import quality_findings
from raypipe.etl.rules.registry import RULES, make_rule
from raypipe.etl.rules.rows import CheckRows, RowCheck
from raypipe.etl.rules.rule import Rule
from raypipe.etl.rules.ruleset import RuleSet, rules_json_schema
from raypipe.etl.rules.schema import ColumnSchema, DataSchema

__all__ = [
    "RULES",
    "CheckRows",
    "ColumnSchema",
    "DataSchema",
    "RowCheck",
    "Rule",
    "RuleSet",
    "make_rule",
    "quality_findings",
    "rules_json_schema",
]


def __getattr__(name: str) -> Callable[..., Rule]:
    """A function that makes the rule of this name: `rules.not_null("city", error="1%")`."""
    if name in RULES:
        return functools.partial(make_rule, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}, and there is no rule of this name")
