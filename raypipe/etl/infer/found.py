"""What was inferred of a table: frozen values, with the reason for each in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from raypipe.config import Frozen, Share
from raypipe.errors import ConfigError
from raypipe.etl.rules.schema import ColumnSchema, DataSchema

Semantic = Literal[
    "identifier", "category", "ordinal", "boolean", "number", "number_with_unit", "currency", "percentage", "date",
    "datetime", "time", "duration", "free_text", "email", "url", "phone", "postal_code", "country", "language",
    "coordinates", "latitude", "longitude", "ip_address", "uuid", "json", "file_path", "hash", "credit_card", "iban",
    "national_id", "binary", "nested", "unknown",
]  # fmt: skip


class PiiFlag(Frozen):
    """Why a column may hold what identifies a person."""

    kind: str
    """email, phone, credit_card, iban, ip_address, national_id, person_name, address, birth_date, location."""
    reason: str


class InferredColumn(Frozen):
    """One column: what it holds, how sure that is, and why."""

    name: str
    arrow: str
    """Arrow type as text."""
    dtype: str | None
    """The type as a schema names it; None for nested columns and such of nulls only."""
    semantic: Semantic
    confidence: Share
    """Lower end of the 95 % Wilson interval of the share of different values that match, times how seldom such a shape
    means something else (`raypipe.etl.infer.verdict.SPECIFIC`)."""
    reason: str
    """One sentence, with counts."""
    matched: int = 0
    """Different values that match, of those looked at."""
    looked: int = 0
    """Different values looked at: all of them, or a uniform sample of them."""
    rows: int
    nulls: int
    nullable: bool
    matching_rows: int | None = None
    """Rows with a value that match, of every row; None where rows were not counted."""
    misfits: tuple[str, ...] = ()
    """Some values that do not match."""
    distinct: int | None = None
    distinct_exact: bool = True
    unique: bool = False
    """No value stands twice, checked over every row."""
    constant: bool = False
    """All rows with a value have the same one."""
    stored_as_text: str | None = None
    """dtype that the texts could have, e.g. `float64` for numbers stored as text."""
    unit: str | None = None
    format: str | None = None
    """How it is written: of dates as in strptime, of numbers as an example."""
    min: str | None = None
    max: str | None = None
    values: tuple[str, ...] | None = None
    """All values of a category, an ordinal, or a boolean in text, in order."""
    pii: tuple[PiiFlag, ...] = ()
    alternatives: tuple[str, ...] = ()
    """What else at least a quarter of the values look like."""


class CandidateKey(Frozen):
    """Columns whose values together are never null and never stand twice."""

    columns: tuple[str, ...]
    share: Share
    """Of the key values that were compared over every row, chosen by hash; 1: all, the key is exact."""
    reason: str

    @property
    def exact(self) -> bool:
        """Whether every row was compared with every other."""
        return self.share == 1.0


class Dependency(Frozen):
    """Columns that decide another one."""

    determinant: tuple[str, ...]
    dependent: str
    error: float
    """g3: rows to take away until it holds without exception, of all rows (Kivinen and Mannila 1995)."""
    share: Share
    """Of the determinant's values that were checked, each over all of its rows; 1: all."""
    reason: str

    @property
    def holds(self) -> bool:
        """Whether no row breaks it."""
        return self.error == 0.0


class InferredSchema(Frozen):
    """Everything that was inferred of a table."""

    version: Literal[1] = 1
    """Of the JSON layout; raised when a field changes its meaning or goes away."""
    name: str
    rows: int
    columns: tuple[InferredColumn, ...]
    candidate_keys: tuple[CandidateKey, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    points: tuple[tuple[str, str], ...] = ()
    """Pairs of columns that are latitude and longitude of one place."""
    notes: tuple[str, ...] = ()
    """What was left out for its cost, and what the reader decided."""

    def column(self, name: str) -> InferredColumn:
        """The column of this name; KeyError if there is none."""
        found = next((column for column in self.columns if column.name == name), None)
        if found is None:
            raise KeyError(name)
        return found

    @property
    def primary_key(self) -> tuple[str, ...]:
        """The key to use where one is to be chosen: exact, of fewest columns, identifiers before others."""
        exact = [key for key in self.candidate_keys if key.exact]
        order = {
            column.name: (column.semantic not in ("identifier", "uuid"), n) for n, column in enumerate(self.columns)
        }
        best = min(exact, key=lambda key: (len(key.columns), [order[name] for name in key.columns]), default=None)
        return best.columns if best else ()

    def to_schema(self) -> DataSchema:
        """The schema that this table keeps, for `raypipe validate --schema`.

        It holds types, nulls, keys, and the values of truth values and grades. Ranges and categories of one table
        bind no other one, and are left out.
        """
        key = self.primary_key
        return DataSchema(name=self.name, columns=tuple(_declared(c, key) for c in self.columns), primary_key=key)

    def save(self, path: str | Path) -> None:
        """Write it as JSON."""
        Path(path).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> InferredSchema:
        """Read what `save` wrote; ConfigError if it is none."""
        try:
            return cls.model_validate_json(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"inferred schema {path}: cannot be read: {error.strerror or error}") from None
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise ConfigError(
                f"inferred schema {path}: field {where or '(top)'}: {first['msg']}; "
                "write it again with: raypipe schema infer SOURCE --report FILE"
            ) from None


def _declared(column: InferredColumn, key: tuple[str, ...]) -> ColumnSchema:
    fields: dict[str, Any] = {
        "name": column.name,
        "dtype": column.dtype,
        "nullable": column.nullable and column.name not in key,
        "unique": column.unique and key != (column.name,),
        "semantic": None if column.semantic == "unknown" else column.semantic,
        "unit": column.unit,
        "pii": tuple(flag.kind for flag in column.pii),
        "description": column.reason,
    }
    if column.values is not None and column.dtype == "text" and column.semantic in ("boolean", "ordinal"):
        fields["allowed_values"] = column.values
    return ColumnSchema(**fields)
