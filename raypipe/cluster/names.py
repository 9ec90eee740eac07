"""The nearest name: what a typo was probably meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: object, known: Iterable[object]) -> str | None:
    """The name that `name` was probably meant to be, whatever its case; None if none is near.

    Keys of a file need not be texts, so that both may be anything.

    Examples
    --------
    >>> nearest("regoin", ["region", "type"])
    'region'
    >>> nearest("instancetype", ["InstanceType"])
    'InstanceType'
    """
    by_lower = {one.lower(): one for one in sorted(map(str, known), reverse=True)}
    close = difflib.get_close_matches(str(name).lower(), by_lower, n=1)
    return by_lower[close[0]] if close else None


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """Advice about an unknown `name`: the nearest of `known`, or all of them.

    Examples
    --------
    >>> did_you_mean("regoin", ["region", "type"])
    "did you mean 'region'?"
    >>> did_you_mean("colour", ["region", "type"])
    'known here: region, type'
    """
    names = sorted(map(str, known))
    close = nearest(name, names)
    return f"did you mean {close!r}?" if close else f"known here: {', '.join(names)}"


def words(text: str) -> frozenset[str]:
    """Names that stand in one text, divided by spaces: long lists of keys stay readable."""
    return frozenset(text.split())
