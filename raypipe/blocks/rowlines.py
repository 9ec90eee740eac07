"""In which text line of its part each row begins, held in a few numbers: most rows stand one line behind the last."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]

MOST_MARKS = 1 << 16
"""Rows of a part at which lines may run ahead of rows (blank lines, comments, line breaks in quotes): a MiB. Of a part
with more of them the lines are not told."""


@dataclass(frozen=True)
class RowLines:
    """From row `rows[i]` on, a row stands `ahead[i]` lines further down than its number says."""

    rows: Numbers
    ahead: Numbers

    @classmethod
    def of(cls, numbers: Numbers, lines: Numbers) -> RowLines | None:
        """Of the rows with these numbers, ascending, which begin in these lines; None past `MOST_MARKS`."""
        ahead = lines - numbers
        at = np.flatnonzero(np.diff(ahead, prepend=ahead[:1] - 1))
        return None if len(at) > MOST_MARKS else cls(numbers[at], ahead[at])

    @classmethod
    def even(cls, first: int) -> RowLines:
        """A row a line, from this line on."""
        return cls(np.zeros(1, np.int64), np.full(1, first, np.int64))

    def lines(self, rows: Numbers) -> Numbers:
        """The line of each of these rows, from 0.

        Examples
        --------
        >>> RowLines.of(np.arange(4), np.array([1, 2, 5, 6])).lines(np.array([3, 0]))
        array([6, 1])
        """
        if not len(self.rows):
            return rows
        return rows + self.ahead[np.maximum(0, np.searchsorted(self.rows, rows, side="right") - 1)]
