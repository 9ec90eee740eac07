"""Columns that hang together: connected groups from pairs."""

from __future__ import annotations

from collections.abc import Iterable

Pair = tuple[str, str]


def linked_groups(pairs: Iterable[Pair]) -> list[list[str]]:
    """Columns joined by a chain of pairs, each group in order of first appearance.

    Examples
    --------
    >>> linked_groups([("a", "b"), ("x", "y"), ("b", "c")])
    [['a', 'b', 'c'], ['x', 'y']]
    """
    group_of: dict[str, list[str]] = {}
    for a, b in pairs:
        first, second = group_of.setdefault(a, [a]), group_of.setdefault(b, [b])
        if first is not second:
            first += second
            group_of.update(dict.fromkeys(second, first))
    unique = {id(group): group for group in group_of.values()}
    return list(unique.values())
