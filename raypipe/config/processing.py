"""How data are cleaned."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import PositiveFloat

from raypipe.config.base import Frozen, Share
from raypipe.config.steps import AnyStep


class ProcessingConfig(Frozen):
    """Which cleaning steps run, in this order."""

    trim_text: bool = True
    """Strip white space around text; text that becomes empty becomes null."""
    parse_dates: bool = True
    """Turn text columns that hold dates into dates, where at least `min_date_share` of values parse."""
    min_date_share: Share = 0.99
    """Of the values of a text column, those that one way of writing dates must read."""
    drop_empty_columns: bool = True
    """Drop columns without a value; never the target or the time column."""
    drop_empty_rows: bool = True
    """Drop rows without a value."""
    drop_duplicates: bool = False
    """Keep the first of rows that are equal in every column."""
    impute: dict[str, str] | Literal["none", "auto"] = "none"
    """auto: median for numbers, most frequent for text and booleans.
    Or column -> mean, median, mode, or constant:VALUE."""
    cap_outliers: bool | tuple[str, ...] = False
    """Clip numbers to [q25 - k IQR, q75 + k IQR]; True takes every number column but the target."""
    outlier_iqr_factor: PositiveFloat = 1.5
    """The k of `cap_outliers`."""
    steps: tuple[AnyStep, ...] = ()
    """Further steps, which run after those above, in this order; see [the list of steps](processing.md#your-list)."""
    fitted: Path | None = None
    """The `processing.json` of another run: apply its steps as they were fitted there, in place of all the above."""
