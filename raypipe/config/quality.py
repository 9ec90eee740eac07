"""What data are held to."""

from __future__ import annotations

from pathlib import Path

from pydantic import PositiveInt

from raypipe.config.base import Frozen, Share


class ValidationConfig(Frozen):
    """Thresholds of the quality rules, the schema to hold the data to, and what to do with rows at fault."""

    max_duplicate_share: Share = 0.10
    """Rows that repeat an earlier one, of all rows; more is a warning."""
    max_null_share: Share = 0.50
    """Missing values, of the rows of a column; more is a warning."""
    max_unique_text_share: Share = 0.80
    """Different values, of the values of a text column; more is a warning."""
    min_categories: PositiveInt = 10
    """Text with fewer distinct values is suggested as a category."""
    max_outlier_share: Share = 0.05
    """Values beyond 1.5 IQR of the quartiles, of the values of a number column; more is a warning."""
    check_outliers: bool = True
    """Whether the rule of outliers runs."""
    schema_path: Path | None = None
    """YAML or JSON file with a DataSchema; see `raypipe.etl.rules.DataSchema`."""
    rules_path: Path | None = None
    """YAML or JSON file with rules; see the guide to validation."""
    quarantine: bool = True
    """Set rows aside that break a row rule of the schema, or a rule whose action is `quarantine`; False keeps them and
    reports."""
    max_bad_cell_share: Share = 0.01
    """A column keeps its type while at most this share of its values does not fit: those rows go to quarantine. Past it
    the column becomes text."""
