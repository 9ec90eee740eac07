"""How a source is read, for the config file of `raypipe init`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from raypipe.config import ReadOptions, ValidationConfig
from raypipe.etl.pins import pinned_options, set_options
from raypipe.etl.reader import DataReader


def found_options(source: str) -> dict[str, Any] | None:
    """What reading the source once found, as read options; None where there is no such text file."""
    if not Path(source).expanduser().exists():
        return None
    reader = DataReader(source)
    if reader.format != "csv":
        return None
    return set_options(pinned_options(reader.settled(ValidationConfig().max_bad_cell_share), ReadOptions()))
