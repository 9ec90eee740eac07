"""The process in which ORC files are read: some damaged files make Arrow's reader end its process.

    python -m raypipe.etl.formats.orc_child

Requests come in as pickles, from the process that started this one; answers go out, rows as an Arrow stream. It ends
when nobody asks any more. Little is imported, so that it is soon there.
"""

from __future__ import annotations

import os
import pickle
import resource
import sys
from contextlib import AbstractContextManager, closing
from typing import IO, Any

import pyarrow as pa
from pyarrow import orc

ERRORS = (
    pa.ArrowException, OSError, EOFError, ValueError, TypeError, KeyError, IndexError, OverflowError, MemoryError,
    RecursionError, AttributeError, ArithmeticError,
)  # fmt: skip
"""What is told to the one who asked; a `ReadError` is a ValueError, too."""


ROOM, ROOM_PER_BYTE = 2 << 30, 64
"""Bytes of memory that reading a file may take, and as many more for each of its bytes: a damaged length asks for more
than there is, and would take a long time over it."""


def main() -> None:
    """Answer until there are no more requests."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    while True:
        try:
            place, columns, stripes = pickle.load(requests)
        except EOFError:
            return
        _answer(answers, place, columns, stripes)
        answers.flush()


def _answer(answers: IO[bytes], place: Any, columns: list[str], stripes: list[int] | None) -> None:
    try:
        _limit(os.stat(place).st_size if isinstance(place, str) else place.size)
        with _handle(place) as handle:
            file = orc.ORCFile(handle)
            found: Any = _told(file) if stripes is None else _rows(file, columns, stripes)
    except ERRORS as error:
        pickle.dump(error, answers)
        return
    if stripes is None:
        pickle.dump(found, answers)
        return
    pickle.dump(None, answers)
    with pa.ipc.new_stream(answers, found.schema) as stream:
        stream.write_table(found)


def _limit(size: int) -> None:
    """Let this process take only so much memory as a file of that size may need."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    room = ROOM + ROOM_PER_BYTE * size
    resource.setrlimit(resource.RLIMIT_DATA, (room if hard == resource.RLIM_INFINITY else min(room, hard), hard))


def _handle(place: Any) -> AbstractContextManager[Any]:
    if isinstance(place, str):
        return closing(pa.memory_map(place, "r"))
    from raypipe.storage.ranges import look, open_as_it_was
    from raypipe.storage.source import SeekableBytes

    return closing(pa.PythonFile(SeekableBytes(open_as_it_was(look(place).seen)), "r"))


def _told(file: Any) -> tuple[bytes, int, int, list[int]]:
    """Schema, rows, bytes, and the rows of each stripe, told by its narrowest column."""
    narrow = min(file.schema, key=lambda field: _width(field.type), default=None)
    columns = [narrow.name] if narrow is not None else None
    rows = [int(file.read_stripe(index, columns=columns).num_rows) for index in range(file.nstripes)]
    return file.schema.serialize().to_pybytes(), int(file.nrows), int(file.content_length), rows


def _width(kind: pa.DataType) -> int:
    if pa.types.is_nested(kind):
        return 1 << 20
    return int(kind.bit_width) if pa.types.is_primitive(kind) else 1 << 10


def _rows(file: Any, columns: list[str], stripes: list[int]) -> pa.Table:
    """Rows of some stripes; ArrowInvalid if their values are not what their types promise."""
    table = pa.Table.from_batches([file.read_stripe(index, columns=columns) for index in stripes]).select(columns)
    table.validate()
    for column in table.columns:
        column.validate(full=column.type != pa.date64())
    return table


if __name__ == "__main__":
    main()
