"""All rules by name."""

from __future__ import annotations

import difflib
from typing import Any

from raypipe.etl.rules.kinds import (
    across,
    columns,
    complete,
    course,
    custom,
    dates,
    drift,
    members,
    patterns,
    ranges,
    sets,
    statistics,
    tables,
    texts,
    unique,
    volume,
    written,
)
from raypipe.etl.rules.rule import Rule

MODULES = (
    columns,
    complete,
    unique,
    ranges,
    course,
    sets,
    members,
    patterns,
    texts,
    written,
    dates,
    across,
    tables,
    statistics,
    drift,
    volume,
    custom,
)

RULES: dict[str, type[Rule]] = {
    str(kind.model_fields["rule"].default): kind for module in MODULES for kind in module.RULES
}
"""Name -> class, group by group."""


def rule_class(name: str) -> type[Rule]:
    """The class of a rule.

    Raises
    ------
    ValueError
        Where there is no rule of this name; the text names the nearest.
    """
    found = RULES.get(name)
    if found is not None:
        return found
    close = difflib.get_close_matches(str(name), RULES, n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]!r}?" if close else " The guide to validation lists them all."
    raise ValueError(f"there is no rule {name!r}.{hint}")


def make_rule(name: str, *names: str, **fields: Any) -> Rule:
    """A rule by its name.

    Parameters
    ----------
    name : str
        Such as `not_null`; see the table of rules in the guide to validation.
    *columns : str
        What it is about.
    **fields
        Its other fields.

    Examples
    --------
    >>> make_rule("between", "age", min=0, max=130, error="1%").wanted
    'at least 0 and at most 130'
    """
    return rule_class(name)(**({"columns": names} if names else {}), **fields)
