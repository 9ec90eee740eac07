"""pysuricata's report of a Parquet file, page drawn, as a script of its own: `PARQUET HTML`."""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl
import pysuricata

if __name__ == "__main__":
    found = pysuricata.profile(pl.scan_parquet(sys.argv[1]))
    Path(sys.argv[2]).write_text(found.html, encoding="utf-8")
