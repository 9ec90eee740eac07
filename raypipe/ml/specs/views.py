"""What a feature store knows of a table of features."""

from __future__ import annotations

from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, Field, PositiveFloat, model_validator

from raypipe.ml.specs.base import Spec

FeatureType = Literal["int64", "float64", "string", "bool", "date", "timestamp", "timestamp_ntz"]
"""`timestamp` is a moment, the same everywhere; `timestamp_ntz` what a clock on the wall says."""
FEATURE_TYPES: tuple[str, ...] = get_args(FeatureType)


def _plain(name: str) -> str:
    """A name that Delta, SQLite and SQL can hold."""
    if not name.strip() or any(mark in name for mark in "`\0\n") or name[0] in "_^*":
        raise ValueError("a column has a name without backtick and line end that does not begin with _, ^ or *")
    return name


ColumnName = Annotated[str, AfterValidator(_plain)]


class FeatureView(Spec):
    """Features of things (entities) as they were known at each time; one Delta table.

    Examples
    --------
    >>> FeatureView(name="spend", entities=["user"], event_time="day", features={"total": "float64"}).columns
    ('user', 'day', 'total')
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=120)]
    entities: Annotated[tuple[ColumnName, ...], Field(min_length=1)]
    """Columns that name the thing: a user, or a shop and an article."""
    event_time: ColumnName
    """Column: when what a row tells was so."""
    known_at: ColumnName | None = None
    """Column: when it was known. With it a correction is a row of its own, and a join at an earlier time still sees
    what was known then; without it a correction takes the place of what it corrects."""
    ttl_days: PositiveFloat | None = None
    """Days after its event time in which a row is used, the last moment included; None: for ever."""
    features: Annotated[dict[ColumnName, FeatureType], Field(min_length=1)]
    """Name -> type."""
    constraints: dict[str, str] = Field(default_factory=dict)
    """Name -> a condition on features in SQL, such as `total >= 0`. Rows for which it is false are set aside at
    ingest; as in SQL, a null is not false."""
    tags: dict[str, str] = Field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """Of the table: entities, times, features."""
        return (*self.key, *self.features)

    @property
    def times(self) -> tuple[str, ...]:
        """Event time, and known-at time where there is one."""
        return (self.event_time,) if self.known_at is None else (self.event_time, self.known_at)

    @property
    def key(self) -> tuple[str, ...]:
        """What makes a row: no two rows of the table agree in all of these."""
        return (*self.entities, *self.times)

    @property
    def ttl_us(self) -> int | None:
        """`ttl_days` in microseconds."""
        return None if self.ttl_days is None else round(self.ttl_days * 86_400_000_000)

    def named(self, full: bool) -> dict[str, str]:
        """Feature -> its name in a result: as it is, or as `view__feature`."""
        return {name: f"{self.name}__{name}" if full else name for name in self.features}

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        lower = [name.lower() for name in self.columns]
        twice = next((name for name in self.columns if lower.count(name.lower()) > 1), None)
        if twice is not None:
            raise ValueError(f"column {twice!r} is named twice, capitals aside, which Delta cannot hold")
        return self
