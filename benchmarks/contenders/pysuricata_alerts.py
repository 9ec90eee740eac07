"""What pysuricata's page says needs a look in one Parquet file.

Its summary holds no findings, so they are read from the page.
"""

from __future__ import annotations

import html
import re
from typing import Any

import polars as pl
import pysuricata

_ITEM = re.compile(r'<li class="attention-item">(.*?)</li>', re.DOTALL)
_COLUMN = re.compile(r'class="attention-col"[^>]*>(.*?)</a>', re.DOTALL)
_FLAG = re.compile(r'data-flag="([^"]*)"')
NAMES = {
    "missing": ("missing_values", "data_quality"),
    "high-cardinality": ("high_cardinality", "data_quality"),
    "many-outliers": ("outliers", "outliers"),
    "heavy-tailed": ("heavy_tails", "data_distribution"),
    "skewed-right": ("skewed", "data_distribution"),
    "skewed-left": ("skewed", "data_distribution"),
    "high-uniqueness": ("identifier", "data_quality"),
    "constant": ("constant_column", "data_quality"),
    "zero-inflated": ("zero_inflated", "data_distribution"),
    "imbalanced": ("class_imbalance", "data_distribution"),
    "monotonic": ("monotonic", "trends"),
}
"""Flag -> type and category of raypipe; others keep their names."""


def prepare(task: dict[str, Any]) -> dict[str, Any]:
    """Nothing to warm up: nothing is timed."""
    return {}


def run(task: dict[str, Any]) -> dict[str, Any]:
    """All flags of the list of columns that need a look."""
    page = pysuricata.profile(pl.scan_parquet(task["path"])).html
    claims = []
    for item in _ITEM.findall(page):
        column = html.unescape(_COLUMN.search(item).group(1))
        claims += [
            (*NAMES.get(flag, (flag.replace("-", "_"), "data_quality")), [column], flag) for flag in _FLAG.findall(item)
        ]
    return {"claims": claims}


def finish() -> None:
    """Nothing to end."""
