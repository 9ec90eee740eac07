"""Types in order: which holds all values of which, and the narrowest that holds those of two."""

from __future__ import annotations

from raypipe.etl.rules.dtypes import DTYPES, INTEGERS, integer_range

_INSIDE: dict[str, tuple[str, ...]] = {
    "integer": ("number",),
    "float32": ("float64",),
    "float64": ("number",),
    "decimal": ("number",),
    "category": ("text",),
    "date": ("datetime",),
}
"""dtype -> the next ones that hold all of its values."""
_EXACT = {"float32": 2**24, "float64": 2**53, "decimal": 2**63}
"""dtype -> whole numbers up to which it holds every one."""


def holds(wide: str | None, narrow: str | None) -> bool:
    """Whether every value of `narrow` is one of `wide`, unrounded; None holds any.

    float32 is not said to hold uint16, float64 uint32 or decimal uint64, though they could: so the order of joins does
    not matter.

    Examples
    --------
    >>> holds("float64", "int32"), holds("float64", "int64"), holds("number", "int64"), holds(None, "text")
    (True, False, True, True)
    """
    if wide is None or wide == narrow:
        return True
    return narrow is not None and wide in _above(narrow)


def join(a: str | None, b: str | None) -> str | None:
    """The narrowest dtype that holds the values of both; None, which takes any type, where there is no other.

    Examples
    --------
    >>> join("int32", "uint32"), join("int64", "float64"), join("date", "datetime"), join("int64", "date")
    ('int64', 'number', 'datetime', None)
    """
    if a is None or b is None:
        return None
    both = [dtype for dtype in DTYPES if holds(dtype, a) and holds(dtype, b)]
    return max(both, key=lambda dtype: (len(_above(dtype)), -DTYPES.index(dtype)), default=None)


def _above(dtype: str) -> set[str]:
    """All dtypes that hold every value of this one, itself left out."""
    found: set[str] = set()
    if dtype in INTEGERS:
        low, high = integer_range(dtype)
        for other in INTEGERS:
            least, most = integer_range(other)
            if other != dtype and least <= low and high <= most:
                found.add(other)
        # An unsigned type is in a float or a decimal only if the signed type is that holds it beside int8: else int8,
        # uint16 and float32 would come to float32 or float64, depending on which two are joined first.
        reach = high if low < 0 else (high + 1) ** 2 // 2
        found |= {name for name, exact in _EXACT.items() if reach <= exact}
        found |= {"integer", "number"}
    waiting = [dtype]
    while waiting:
        for above in _INSIDE.get(waiting.pop(), ()):
            if above not in found:
                found.add(above)
                waiting.append(above)
    return found
