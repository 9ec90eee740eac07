"""ydata-profiling's alerts about one Parquet file, as a time series where it has a time."""

from __future__ import annotations

import contextlib
import os
import warnings
from typing import Any

import pandas as pd
from ydata_profiling import ProfileReport

ROW_ORDER = {"tsmode": True}
NAMES = {
    "HIGH_CORRELATION": ("strong_correlation", "correlation"),
    "SKEWED": ("skewed", "data_distribution"),
    "UNIQUE": ("identifier", "data_quality"),
    "UNIFORM": ("uniform", "data_distribution"),
    "ZEROS": ("zero_inflated", "data_distribution"),
    "IMBALANCE": ("class_imbalance", "data_distribution"),
    "HIGH_CARDINALITY": ("high_cardinality", "data_quality"),
    "DUPLICATES": ("duplicate_rows", "data_quality"),
    "SEASONAL": ("seasonality", "seasonality"),
    "NON_STATIONARY": ("non_stationary", "trends"),
}
"""Alert -> type and category of raypipe; others keep their names."""


def prepare(task: dict[str, Any]) -> dict[str, Any]:
    """Nothing to warm up: nothing is timed."""
    return {}


def run(task: dict[str, Any]) -> dict[str, Any]:
    """All alerts."""
    frame = pd.read_parquet(task["path"])
    how = {**ROW_ORDER, "sortby": task["time"]} if task["time"] else {}
    with warnings.catch_warnings(), open(os.devnull, "w") as sink, contextlib.redirect_stderr(sink):
        warnings.simplefilter("ignore")
        alerts = ProfileReport(frame, progress_bar=False, **how).get_description().alerts
    claims = []
    for alert in alerts:
        kind = alert.alert_type.name
        other = (alert.values or {}).get("fields", []) if kind == "HIGH_CORRELATION" else []
        own = [alert.column_name] if alert.column_name in frame.columns else []
        claims.append((*NAMES.get(kind, (kind.lower(), "data_quality")), [*own, *other], kind))
    return {"claims": claims}


def finish() -> None:
    """Nothing to end."""
