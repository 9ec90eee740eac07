"""Names of columns that blocks can carry: not empty, not reserved, not endless, each only once."""

from __future__ import annotations

from collections.abc import Sequence

from raypipe.blocks.frames import ROW
from raypipe.etl.wording import shown

LONGEST_NAME = 2_000
"""Names are cut to so many characters."""
ZERO = "\u2400"
"""Stands for a zero character in a name."""


def safe_name(name: str, index: int) -> tuple[str, str]:
    """A name that blocks can carry for column `index` (from 1), and what is wrong with `name` ("": nothing).

    Polars panics on a zero character in a name; and a first line of megabytes is no name that a page could show.

    Examples
    --------
    >>> safe_name("price", 1), safe_name("", 2)
    (('price', ''), ('column_2', 'is empty'))
    """
    if not name:
        return f"column_{index}", "is empty"
    if name == ROW:
        return f"column_{index}", "is a reserved name"
    if len(name) > LONGEST_NAME:
        return name[:LONGEST_NAME].replace("\0", ZERO), f"has {len(name):,} characters"
    if "\0" in name:
        return name.replace("\0", ZERO), "holds a zero character"
    return name, ""


def unique_names(given: Sequence[str]) -> tuple[list[str], list[str]]:
    """A safe name for each column, no two alike, and a note for each that was changed.

    Examples
    --------
    >>> unique_names(["a", "a", "a_2"])
    (['a', 'a_3', 'a_2'], ["column 2: its name 'a' stands there twice; it is called 'a_3' here"])
    """
    taken, last = set(given), dict[str, int]()
    names: dict[str, None] = {}
    notes = []
    for index, name in enumerate(given, 1):
        unique, why = safe_name(name, index)
        if unique in names or (why and unique in taken):
            base, number = unique, last.get(unique, 1)
            while unique in taken or unique in names:
                number += 1
                unique = f"{base}_{number}"
            last[base] = number
        if unique != name:
            reason = why or "stands there twice"
            notes.append(f"column {index}: its name {shown(name)} {reason}; it is called {shown(unique)} here")
        names[unique] = None
    return list(names), notes
