"""What a table must keep to: declared schemas, rules of rows, and rules of quality."""

from raypipe.etl.rules.quality import quality_findings
from raypipe.etl.rules.rows import CheckRows, RowCheck
from raypipe.etl.rules.schema import ColumnSchema, DataSchema

__all__ = ["CheckRows", "ColumnSchema", "DataSchema", "RowCheck", "quality_findings"]
