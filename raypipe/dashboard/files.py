"""Files that a reader never sees half-written."""

from __future__ import annotations

import os
from pathlib import Path

from raypipe.etl.outputs import TEMP_MARK, writing


def write_whole(target: Path, content: bytes) -> Path:
    """Write by way of a temporary name in the same folder, which is made if need be.

    Raises
    ------
    OutputError
        If the folder cannot be written or the disk is full; nothing is left behind.
    """
    temporary = target.with_name(f"{TEMP_MARK}{os.getpid()}-{target.name[:100]}")
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(content)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    return target
