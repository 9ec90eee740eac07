"""How much memory and detail a summary of a table may take."""

from __future__ import annotations

from pydantic import Field, PositiveInt

from raypipe.config import Frozen

_STATE_BYTES = 48 << 20
_BYTES_PER_VALUE = 24


class SummarySpec(Frozen):
    """Limits of a summary. Everything that merges must have been made under the same ones."""

    exact_values: PositiveInt = 4096
    """Distinct values up to which a column is counted exactly; past it sketches take over."""
    exact_text_bytes: PositiveInt = 4 << 20
    """Bytes of distinct text up to which a text column is counted exactly."""
    quantile_k: int = Field(default=1024, ge=8)
    """Values that a node of the quantile sketch keeps; 1024 bounds the rank error by 0.5 % at ten million rows."""
    frequent_values: PositiveInt = 4096
    """Counters of the frequent-value summary, once a column is past `exact_values`."""
    row_hashes: int = Field(default=65536, ge=16)
    """Distinct rows up to which duplicates are counted exactly, and size of the sample past that."""
    matrix_columns: PositiveInt = 60
    """Columns in the correlation and missingness matrices."""
    bins: PositiveInt = 30
    """Bins of a histogram, at most."""
    top: PositiveInt = 20
    """Frequent values shown per column."""

    def for_width(self, columns: int) -> SummarySpec:
        """These limits, tightened so that the summary of `columns` columns stays within about 64 MiB.

        Examples
        --------
        >>> SummarySpec().for_width(16).exact_values, SummarySpec().for_width(20_000).exact_values
        (4096, 105)
        """
        share = _STATE_BYTES // max(columns, 1)
        return self.replace(
            exact_values=max(64, min(self.exact_values, share // _BYTES_PER_VALUE + 1)),
            frequent_values=max(64, min(self.frequent_values, share // (2 * _BYTES_PER_VALUE) + 1)),
            exact_text_bytes=max(4096, min(self.exact_text_bytes, share)),
        )
