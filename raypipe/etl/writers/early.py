"""Parts joined to one file while others are still being written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO

import pyarrow as pa

from raypipe.config.write import WriteOptions
from raypipe.etl.writers.join import FileJoin, add_file, open_join


class EarlyJoin:
    """One file that grows by the parts it is given; nothing is begun before there are two.

    Parameters
    ----------
    path : Path
        The file; it lies where nobody takes it for complete.
    schema : pa.Schema
        Of its rows.
    """

    def __init__(self, path: Path, schema: pa.Schema, options: WriteOptions) -> None:
        self._path, self._schema, self._options = path, schema, options
        self._given: list[Path] = []
        self._joined = 0
        self._out: IO[bytes] | None = None
        self._join: FileJoin | None = None

    def take(self, places: Sequence[Path]) -> None:
        """Append files that come next in the order of parts."""
        self._given += places
        if len(self._given) > 1:
            self._catch_up()

    def finish(self, places: Sequence[Path]) -> None:
        """Append what of all `places` was not yet, and end the file."""
        if list(places[: len(self._given)]) != self._given:  # not told of all of them, as after a resume
            self.drop()
        self._given = list(places)
        self._catch_up()
        if self._join is not None and self._out is not None:
            self._join.close()
            self._out.close()
        self._join = self._out = None

    def drop(self) -> None:
        """Begin anew: none was given yet."""
        if self._out is not None:
            self._out.close()
            self._path.unlink(missing_ok=True)
        self._join, self._out, self._given, self._joined = None, None, [], 0

    def _catch_up(self) -> None:
        if self._join is None:
            self._out = self._path.open("wb")
            self._join = open_join(self._schema, self._options, self._out)
        for place in self._given[self._joined :]:
            add_file(self._join, place)
            self._joined += 1
