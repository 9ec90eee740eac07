"""Writes blocks as Parquet, one file a part, under a name made from the part id."""

from __future__ import annotations

from raypipe.etl.writers.files import WriteFiles


class WriteParquet(WriteFiles):
    """One Parquet file (zstd) a part in `folder`; writing a part again replaces its file."""
