"""What every rule has: its columns, whom it looks at, how much may be wrong, and what becomes of rows at fault.

A rule is a frozen value, and one class; `raypipe.etl.rules.registry` lists them all. There are three kinds: rules about
the columns of a table (`SchemaRule`), rules that each row keeps or breaks by itself (`RowRule`), and rules about one
figure of many rows (`FigureRule`).

What counts as a value, for all of them: null is missing, keeps every rule but those about completeness, and is left
out of figures. NaN is a number like no other: it breaks every rule that compares numbers, and is left out of figures.
Empty text is a value. Whether a cell such as "NA" is missing is decided where the data is read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

import polars as pl
import pyarrow as pa
from pydantic import field_validator, model_validator

from raypipe.blocks.profile import Profile
from raypipe.config import Frozen
from raypipe.etl.rules.cells import Cells
from raypipe.etl.rules.conditions import Condition
from raypipe.etl.rules.tolerance import Allowance, Tolerance
from raypipe.results import FaultyRow, Severity

Group = Literal[
    "schema",
    "completeness",
    "uniqueness",
    "ranges",
    "sets",
    "patterns",
    "text",
    "types in text",
    "dates",
    "across columns",
    "reference",
    "statistics",
    "distribution",
    "volume",
    "custom",
]
Action = Literal["count", "quarantine"]
NONE = Allowance(count=0)


class Rule(Frozen, ABC):
    """One thing that a table must keep to."""

    GROUP: ClassVar[Group]
    EACH: ClassVar[bool] = True
    """Whether several columns are judged one by one, or together."""
    LEAST: ClassVar[int] = 1
    """Columns that it needs."""

    rule: str
    """Name of the kind of rule."""
    columns: tuple[str, ...] = ()
    """One column or a list of them."""
    id: str = ""
    """How outcomes call it; made up from rule and columns where it is left out."""
    severity: Severity = "error"
    """How much it matters where the rule is broken; `error` and `critical` make the data invalid."""
    segments: tuple[str, ...] = ()
    """Columns; the outcome is also told for each combination of their values."""
    tags: tuple[str, ...] = ()
    """Words to find the rule by."""
    description: str = ""
    """For readers."""

    @field_validator("columns", "segments", "tags", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else () if value is None else value

    @model_validator(mode="after")
    def _enough_columns(self) -> Self:
        if len(self.columns) < self.LEAST:
            wanted = "a column" if self.LEAST == 1 else f"at least {self.LEAST} columns"
            raise ValueError(f"columns: wanted {wanted}, got {len(self.columns) or 'none'}")
        if len(set(self.columns)) < len(self.columns):
            raise ValueError("columns: one is named twice")
        return self

    @property
    @abstractmethod
    def wanted(self) -> str:
        """What the rule asks for, in words."""

    def prepare(self) -> None:
        """Look at what the rule needs beside the table; ConfigError where it is not there. Called before a run."""

    @property
    def column(self) -> str | None:
        """The column that it is about, if it is one."""
        return self.columns[0] if len(self.columns) == 1 else None

    def each(self) -> Iterator[Self]:
        """The rule for each column by itself, with an id; or as it is, where it judges them together."""
        if not self.EACH or len(self.columns) <= 1:
            yield self.model_copy(update={"id": self.id or _made_up(self.rule, self.columns)})
            return
        for column in self.columns:
            name = f"{self.id}:{column}" if self.id else _made_up(self.rule, (column,))
            yield self.model_copy(update={"id": name, "columns": (column,)})


class SchemaRule(Rule):
    """A rule about the columns of the table: known before a row is read."""

    @abstractmethod
    def fault(self, schema: pa.Schema) -> str | None:
        """What is wrong with the columns, in words; None where they keep to it."""


class CountingRule(Rule):
    """A rule that rows keep or break, so that bounds on how many may break it make sense."""

    where: Condition | None = None
    """SQL condition; only rows for which it is true are looked at."""
    warn: Tolerance | None = None
    """More rows at fault than this (3, or "1%") are a warning."""
    error: Tolerance | None = None
    """More rows at fault than this are of the rule's severity; with neither bound, that holds for any row."""

    def level(self, failing: int, rows: int) -> Severity | None:
        """How bad so many failing rows are; None where they are allowed."""
        error = NONE if self.error is None and self.warn is None else self.error
        if error is not None and not error.holds(failing, rows):
            return self.severity
        if self.warn is not None and not self.warn.holds(failing, rows):
            return "warning" if self.severity != "info" else "info"
        return None

    @property
    def bound_words(self) -> str:
        """The allowances, in words; empty where no row may break the rule."""
        bound = self.error or self.warn
        return "" if bound is None or bound == NONE else bound.words


class RowRule(CountingRule):
    """A rule that each row keeps or breaks by itself."""

    action: Action | None = None
    """What becomes of rows at fault: `count` keeps them, `quarantine` sets them aside; None is that of the file."""

    def looks_at(self) -> tuple[str, ...]:
        """The columns whose cells decide, the one to blame first; at least one."""
        return self.columns

    @abstractmethod
    def breaks(self, cells: Cells) -> pl.Expr:
        """Boolean, true where the row breaks the rule; null counts as kept.

        Raises
        ------
        UnfitError
            If a column is missing, or of a type that the rule cannot be held to.
        """


@dataclass(frozen=True)
class Judged:
    """What a rule about a figure came to."""

    passed: bool
    found: str
    """In words."""
    figure: float | None = None
    low: float | None = None
    high: float | None = None
    certain: bool = True
    failing_rows: int | None = None
    rows: int | None = None
    share: float | None = None
    examples: tuple[str, ...] = ()
    first: tuple[FaultyRow, ...] = ()
    severity: Severity | None = None
    """None takes that of the rule."""
    p_value: float | None = None
    """Of a comparison with a reference: how probable so large a difference is by chance alone."""


class NotMeasuredError(Exception):
    """A figure cannot be told; the text says why."""


class Measure(Frozen, ABC):
    """Something found in one pass over the rows that are kept, for rules to judge; equal ones are computed once.

    The same laws hold as for a `ReduceStage`.
    """

    where: Condition | None = None

    def reads(self) -> tuple[str, ...]:
        """The columns that it looks at."""
        one = getattr(self, "column", None)
        return getattr(self, "columns", ()) if one is None else (one,)

    @abstractmethod
    def check(self, schema: pa.Schema) -> None:
        """Raise UnfitError unless it can be measured on these columns."""

    @abstractmethod
    def partial(self, block: pa.Table, part: str) -> Any:
        """Summary of one block, rows outside `where` left out already."""

    @abstractmethod
    def merge(self, a: Any, b: Any) -> Any:
        """Combine two summaries, `a` that of earlier rows."""

    @abstractmethod
    def finish(self, state: Any) -> Any:
        """What rules read."""


@dataclass(frozen=True)
class Evidence:
    """What a rule about a figure may look at."""

    profile: Profile
    """Of all rows that are kept, or of those of the rule's `where` with the columns that it asked for."""
    schema: pa.Schema
    measured: Mapping[Measure, Any] = field(default_factory=dict)
    """Only those that the rule needs."""


class FigureRule(Rule):
    """A rule about one figure of many rows, such as a mean."""

    where: Condition | None = None
    """SQL condition; only rows for which it is true are looked at."""
    PROFILED: ClassVar[bool] = True
    """Whether it reads the profile of its columns."""

    def measures(self) -> tuple[Measure, ...]:
        """What must be measured beyond the profile."""
        return ()

    def names_rows(self) -> tuple[Measure, ...]:
        """Those of `measures` that name the rows to set aside, as `Repeats`; none where rows stay."""
        return ()

    def check(self, schema: pa.Schema) -> None:
        """Raise UnfitError unless the rule can be held against these columns."""
        cells = Cells(schema)
        for name in self.columns:
            _ = cells[name]

    @abstractmethod
    def judge(self, evidence: Evidence) -> Judged:
        """The verdict; NotMeasuredError where there is no figure to judge."""


def _made_up(rule: str, columns: tuple[str, ...]) -> str:
    return f"{rule}:{'+'.join(columns)}" if columns else rule
