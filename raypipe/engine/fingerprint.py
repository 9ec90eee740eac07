"""Whether a call is the same as one that an earlier process made: its function, its arguments, what went into them."""

from __future__ import annotations

import functools
import hashlib
import types
from pathlib import PurePath
from typing import Any

from raypipe.engine.packing import packed

PLAIN = (type(None), bool, int, float, complex, str, bytes)


def fingerprint(*values: Any) -> bytes:
    """A digest of 32 bytes, equal in every process for equal values.

    Of a function it sees the code, the defaults, what it closes over, and the functions and constants of its own
    module that it names; what it calls in other modules counts by name only. Sets have no order; other values count by
    their pickles.

    Raises
    ------
    Exception
        Whatever pickle raises on a value that cannot be pickled.

    Examples
    --------
    >>> fingerprint([1, {2, 3}]) == fingerprint([1, {3, 2}]), fingerprint([1]) == fingerprint((1,))
    (True, False)
    >>> fingerprint(lambda row: row + 1) == fingerprint(lambda row: row + 2)
    False
    """
    return _Digest().of(values)


class _Digest:
    def __init__(self) -> None:
        self._open: set[int] = set()
        """Functions and containers that are being looked at, so that one that holds itself comes to an end."""

    def of(self, value: Any) -> bytes:
        """Kind and content as one digest; nested values are digests within it, so that no two contents look alike."""
        if isinstance(value, PLAIN) and type(value) in PLAIN:
            return _hash(type(value).__name__, repr(value).encode("utf-8", "surrogatepass"))
        if id(value) in self._open:
            return _hash("again")
        self._open.add(id(value))
        try:
            return self._of_parts(value)
        finally:
            self._open.discard(id(value))

    def _of_parts(self, value: Any) -> bytes:
        kind = type(value)
        if kind in (list, tuple):
            return _hash(kind.__name__, *map(self.of, value))
        if kind in (set, frozenset):
            return _hash(kind.__name__, *sorted(map(self.of, value)))
        if kind is dict:
            return _hash("dict", *(self.of(one) for pair in value.items() for one in pair))
        if isinstance(value, PurePath):
            return _hash("path", str(value).encode("utf-8", "surrogatepass"))
        if isinstance(value, types.CodeType):
            return self._of_code(value)
        if isinstance(value, types.FunctionType):
            return self._of_function(value)
        if isinstance(value, types.MethodType):
            return _hash("method", self.of(value.__func__), self.of(value.__self__))
        if isinstance(value, functools.partial):
            return _hash("partial", *map(self.of, (value.func, value.args, value.keywords)))
        if isinstance(value, types.BuiltinFunctionType) and not isinstance(value.__self__, types.ModuleType):
            return _hash("builtin method", value.__qualname__.encode(), self.of(value.__self__))
        if isinstance(value, (type, types.BuiltinFunctionType)):
            return _hash("name", f"{value.__module__}.{value.__qualname__}".encode())
        return _hash("pickle", packed(value))

    def _of_code(self, code: types.CodeType) -> bytes:
        """Without line numbers and file names: code that only moved is the same."""
        names = (code.co_names, code.co_varnames, code.co_freevars, code.co_flags)
        return _hash("code", code.co_code, self.of(code.co_consts), self.of(names))

    def _of_function(self, function: types.FunctionType) -> bytes:
        cells = [self._of_cell(cell) for cell in function.__closure__ or ()]
        defaults = self.of((function.__defaults__, function.__kwdefaults__))
        return _hash("function", self.of(function.__code__), defaults, self._of_named(function), *cells)

    def _of_cell(self, cell: types.CellType) -> bytes:
        try:
            return self.of(cell.cell_contents)
        except ValueError:  # not filled yet
            return _hash("empty cell")

    def _of_named(self, function: types.FunctionType) -> bytes:
        found = []
        for name in sorted(_names_in(function.__code__)):
            value = function.__globals__.get(name)
            if isinstance(value, types.FunctionType) and value.__module__ == function.__module__:
                found.append(_hash(name, self.of(value)))
            elif isinstance(value, types.FunctionType):
                found.append(_hash(name, f"{value.__module__}.{value.__qualname__}".encode()))
            elif _is_constant(value) and name in function.__globals__:
                found.append(_hash(name, self.of(value)))
        return _hash("named", *found)


def _names_in(code: types.CodeType) -> set[str]:
    nested = (inner for inner in code.co_consts if isinstance(inner, types.CodeType))
    return set(code.co_names).union(*map(_names_in, nested))


def _is_constant(value: Any) -> bool:
    """Of a kind that never changes: lists and dicts of a module may be its memory, such as a cache."""
    if type(value) in (tuple, frozenset):
        return all(map(_is_constant, value))
    return type(value) in PLAIN


def _hash(kind: str, *parts: bytes) -> bytes:
    """Each part with its length before it."""
    made = hashlib.sha256(kind.encode() + b"\0")
    for part in parts:
        made.update(len(part).to_bytes(8, "big"))
        made.update(part)
    return made.digest()
