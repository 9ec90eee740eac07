"""Writes blocks as Parquet, one file a part, under a name made from the part id."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from raypipe.etl.outputs import TEMP_MARK, writing
from raypipe.stage import SinkStage
from raypipe.storage.objects import RemoteFolder, write_whole

NAME_BYTES = 150
"""Bytes of a part id that a file name takes over; file systems allow 255 for the whole name."""


class WriteParquet(SinkStage):
    """One Parquet file (zstd) a part in `folder`; writing a part again replaces its file.

    On a disk a file is written under a temporary name and renamed. In a bucket it is put whole under its last name,
    which is made from the part, so that nothing there is ever renamed.
    """

    folder: Path | RemoteFolder

    def open(self) -> Callable[[pa.Table, str], dict[str, Any]]:
        if isinstance(self.folder, RemoteFolder):
            return functools.partial(_put, self.folder)
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        return self._write

    def _write(self, block: pa.Table, part: str) -> dict[str, Any]:
        assert isinstance(self.folder, Path)
        name = f"part-{_file_name(part)}.parquet"
        temp, target = self.folder / f"{TEMP_MARK}{name}", self.folder / name
        with writing(target):
            pq.write_table(block, temp, compression="zstd")
            size = temp.stat().st_size
            os.replace(temp, target)
        return {"path": str(target), "rows": block.num_rows, "bytes": size}


def _put(folder: RemoteFolder, block: pa.Table, part: str) -> dict[str, Any]:
    """The block as one object."""
    address = folder.address(f"part-{_file_name(part)}.parquet")
    held = pa.BufferOutputStream()
    pq.write_table(block, held, compression="zstd")
    content = held.getvalue()
    write_whole(address, content, folder.storage)
    digest = hashlib.sha256(content).hexdigest()
    return {"path": str(address), "rows": block.num_rows, "bytes": content.size, "sha256": digest}


def _file_name(part: str) -> str:
    """The part id as a file name.

    Examples
    --------
    >>> _file_name("00003/flights.csv@0000067108864")
    '00003-flights.csv@0000067108864'
    """
    plain = "".join(char if char.isalnum() or char in "-_.@" else "-" for char in part)
    if plain == part.replace("/", "-", 1) and len(plain.encode()) <= NAME_BYTES:
        return plain
    # What was replaced or cut may be all that told two parts apart; a digest of the whole id does.
    digest = hashlib.blake2b(part.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return f"{plain.encode()[:NAME_BYTES].decode(errors='ignore')}-{digest}"
