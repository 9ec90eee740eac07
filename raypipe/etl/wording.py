"""How values, names and shares stand in messages: short, one line, and unmistakable."""

from __future__ import annotations

VALUE_CHARS = 60


def shown(value: object, chars: int = VALUE_CHARS) -> str:
    """`repr` of the value, cut to about `chars` characters, on one line.

    Examples
    --------
    >>> shown("a\\nb")
    "'a\\\\nb'"
    >>> shown("x" * 100, chars=10)
    "'xxxxxxxxxx…'"
    """
    if isinstance(value, str):
        return repr(value) if len(value) <= chars else repr(value[:chars] + "…")
    text = repr(value)
    return text if len(text) <= chars else text[:chars] + "…"


def listed(values: object, most: int = 5) -> str:
    """The first `most` values as `shown` would, with how many more there are."""
    items = list(values)  # type: ignore[call-overload]  # any iterable will do
    text = ", ".join(shown(item) for item in items[:most])
    return text if len(items) <= most else f"{text} and {len(items) - most:,} more"


def percent(share: float) -> str:
    """A share as a percentage with three or four significant digits.

    Examples
    --------
    >>> percent(0.1), percent(0.123456), percent(0.00001)
    ('10 %', '12.35 %', '0.001 %')
    """
    return f"{100 * share:.4g} %"


def counted(count: int, noun: str) -> str:
    """Count and noun, the noun in the plural where it is due.

    Examples
    --------
    >>> counted(1, "row"), counted(2500, "row")
    ('1 row', '2,500 rows')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
