"""Thrift's compact protocol, as far as footers of Parquet files need it: any struct as plain values, and back.

The protocol is described in the specification of Apache Thrift, "Thrift Compact protocol".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)
Struct = dict[int, tuple[int, Any]]
"""Field -> (type, value). A list is (type of its items, items)."""


@dataclass
class Reader:
    """Reads values from the beginning of some bytes."""

    data: bytes
    at: int = 0

    def struct(self) -> Struct:
        """A struct, up to its stop mark."""
        found: Struct = {}
        field = 0
        while head := self._byte():
            kind, delta = head & 0x0F, head >> 4
            field = field + delta if delta else _unzigzag(self._varint())
            found[field] = (kind, kind == TRUE if kind in (TRUE, FALSE) else self._value(kind))
        return found

    def _value(self, kind: int) -> Any:
        if kind in (I16, I32, I64):
            return _unzigzag(self._varint())
        if kind == BINARY:
            return self._take(self._varint())
        if kind == STRUCT:
            return self.struct()
        if kind in (LIST, SET):
            return self._list()
        if kind == DOUBLE:
            return self._take(8)
        if kind in (TRUE, FALSE, BYTE):  # items of a list
            return self._byte()
        raise ValueError(f"a footer with a value of kind {kind}")

    def _list(self) -> tuple[int, list[Any]]:
        head = self._byte()
        kind, size = head & 0x0F, head >> 4
        size = self._varint() if size == 15 else size
        return kind, [self._value(kind) for _ in range(size)]

    def _byte(self) -> int:
        value = self.data[self.at]
        self.at += 1
        return value

    def _take(self, length: int) -> bytes:
        value = self.data[self.at : self.at + length]
        self.at += length
        return value

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7


def write_struct(value: Struct) -> bytes:
    """The bytes of a struct."""
    out = bytearray()
    _put_struct(out, value)
    return bytes(out)


def _put_struct(out: bytearray, value: Struct) -> None:
    before = 0
    for field, (kind, held) in sorted(value.items()):
        kind = (TRUE if held else FALSE) if kind in (TRUE, FALSE) else kind
        if 0 < field - before <= 15:
            out.append((field - before) << 4 | kind)
        else:
            out.append(kind)
            _put_varint(out, _zigzag(field))
        before = field
        if kind not in (TRUE, FALSE):
            _put(out, kind, held)
    out.append(0)


def _put(out: bytearray, kind: int, value: Any) -> None:
    if kind in (I16, I32, I64):
        _put_varint(out, _zigzag(value))
    elif kind == BINARY:
        _put_varint(out, len(value))
        out += value
    elif kind == STRUCT:
        _put_struct(out, value)
    elif kind in (LIST, SET):
        of, items = value
        if len(items) < 15:
            out.append(len(items) << 4 | of)
        else:
            out.append(0xF0 | of)
            _put_varint(out, len(items))
        for item in items:
            _put(out, of, item)
    elif kind == DOUBLE:
        out += value
    else:
        out.append(value)


def _put_varint(out: bytearray, value: int) -> None:
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else ((-value) << 1) - 1


def _unzigzag(value: int) -> int:
    return value >> 1 if not value & 1 else -((value + 1) >> 1)
