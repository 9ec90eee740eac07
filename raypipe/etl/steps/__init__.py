"""The steps that clean a table, each fitted on what the first pass found."""

from raypipe.etl.steps.dates import ParseDates
from raypipe.etl.steps.detect_dates import DateWriting, DetectDates
from raypipe.etl.steps.duplicates import DropDuplicates
from raypipe.etl.steps.empty import DropEmptyColumns, DropEmptyRows
from raypipe.etl.steps.impute import Fill, Impute
from raypipe.etl.steps.outliers import CapOutliers, Fence
from raypipe.etl.steps.step import Step
from raypipe.etl.steps.trim import TrimText

__all__ = [
    "CapOutliers",
    "DateWriting",
    "DetectDates",
    "DropDuplicates",
    "DropEmptyColumns",
    "DropEmptyRows",
    "Fence",
    "Fill",
    "Impute",
    "ParseDates",
    "Step",
    "TrimText",
]
