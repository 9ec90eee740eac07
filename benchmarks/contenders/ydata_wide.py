"""ydata-profiling's minimal report of a Parquet file, as a script of its own: `PARQUET HTML`."""

from __future__ import annotations

import sys

import pandas as pd
from ydata_profiling import ProfileReport

if __name__ == "__main__":
    ProfileReport(pd.read_parquet(sys.argv[1]), minimal=True, progress_bar=False).to_file(sys.argv[2])
