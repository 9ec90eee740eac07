"""All rules by name."""

from __future__ import annotations

import difflib
import functools
import importlib
from collections.abc import Iterator, Mapping
from typing import Any

from raypipe.etl.rules.rule import Rule

_GROUPS = (
    "columns",
    "complete",
    "unique",
    "ranges",
    "course",
    "sets",
    "members",
    "patterns",
    "texts",
    "written",
    "dates",
    "across",
    "tables",
    "statistics",
    "drift",
    "volume",
    "custom",
)
"""Modules of `raypipe.etl.rules.kinds`, in the order in which they are told."""


class _Rules(Mapping[str, type[Rule]]):
    """Name -> class, group by group.

    The modules are imported when a rule is asked for: most runs have none, and a tenth of a run's start went there.
    """

    @functools.cached_property
    def _known(self) -> dict[str, type[Rule]]:
        modules = [importlib.import_module(f"raypipe.etl.rules.kinds.{group}") for group in _GROUPS]
        return {str(kind.model_fields["rule"].default): kind for module in modules for kind in module.RULES}

    def __getitem__(self, name: str) -> type[Rule]:
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


RULES: Mapping[str, type[Rule]] = _Rules()


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
