"""ydata-profiling's report of a CSV with its default settings, as a script of its own: `CSV HTML`."""

from __future__ import annotations

import sys

import pandas as pd
from ydata_profiling import ProfileReport

if __name__ == "__main__":
    ProfileReport(pd.read_csv(sys.argv[1]), progress_bar=False).to_file(sys.argv[2])
