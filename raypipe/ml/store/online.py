"""The latest features of each entity at once: a SQLite file that follows the change feed of the views."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from raypipe.blocks.asof import microseconds
from raypipe.blocks.frames import from_polars, to_polars
from raypipe.errors import ConfigError, OutputError
from raypipe.ml.specs.views import FeatureView
from raypipe.ml.store.join import Pinned, latest
from raypipe.ml.store.registry import POLARS
from raypipe.ml.store.rows import kind_of
from raypipe.ml.store.sqlite import Kept, LatestRows, restored

if TYPE_CHECKING:
    from raypipe.ml.store.store import FeatureStore

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FOLD_ROWS = 1_000_000
"""Rows held before they are folded into the latest ones."""
PUSHED_KEYS = 1_000
"""Entities up to which files without them are not read at all."""


@dataclass(frozen=True)
class Materialized:
    """What a materialisation did."""

    view: str
    mode: Literal["full", "incremental", "none"]
    why: str
    from_version: int | None
    version: int
    entities: int
    """Whose rows were worked out again."""
    rows: int
    """Put in; entities whose rows are all deleted have none."""


@dataclass(frozen=True)
class OnlineState:
    """How fresh the online rows of a view are."""

    view: str
    version: int
    """Of the view, that the rows are of."""
    newest: int
    """Version that the view has now."""
    as_of: datetime
    made_at: datetime
    rows: int

    @property
    def behind(self) -> int:
        """Versions that the rows do not know yet."""
        return self.newest - self.version


@dataclass(frozen=True)
class Found:
    """What a lookup found, one row for each that was asked for."""

    table: pa.Table
    """Entities, features, and `<view>__event_time`, `<view>__age_s`, `<view>__state`: fresh, expired (older than the
    ttl: its features are null) or missing."""
    version: int
    as_of: datetime


class OnlineStore:
    """The online rows of a feature store.

    Parameters
    ----------
    path : path, optional
        The SQLite file; None: `online.db` of the project.
    """

    def __init__(self, store: FeatureStore, path: str | Path | None = None) -> None:
        self.store = store
        self.rows = LatestRows(Path(path) if path is not None else store.folder / "online.db")

    def materialize(self, view: str, at: datetime | None = None, why: str = "asked for") -> Materialized:
        """Work out the latest row of each entity anew.

        Parameters
        ----------
        at : datetime, optional
            Rows that happened or were known later are not yet there; None: now.
        """
        pinned, as_of = self.store.pinned(view), _us(at)
        was = self.rows.kept(view)
        found = _fold(pinned, as_of, None)
        self._write(pinned, as_of, found, None, was)
        before = None if was is None else was.version
        return Materialized(view, "full", why, before, pinned.version, found.height, found.height)

    def materialize_incremental(self, view: str, at: datetime | None = None) -> Materialized:
        """Bring the rows up to date: entities that changed since the last version seen, and those with rows that have
        become known since.

        Where that cannot be told (nothing is there yet, the table was made anew, the features changed), all is worked
        out anew, and `why` says so. One that was cut off left nothing behind, and is run again.
        """
        was, as_of = self.rows.kept(view), _us(at)
        pinned = self.store.pinned(view)
        why = _no_increment(was, pinned, as_of)
        if was is None or why:
            return self.materialize(view, at, why)
        if was.version == pinned.version and was.as_of_us == as_of:
            return Materialized(view, "none", "nothing changed", was.version, pinned.version, 0, 0)
        touched = pl.concat([_changed(pinned, was), _become_known(pinned, was.as_of_us, as_of)]).unique()
        found = _fold(pinned, as_of, touched) if touched.height else _empty(pinned)
        self._write(pinned, as_of, found, touched, was)
        return Materialized(
            view, "incremental", "by the change feed", was.version, pinned.version, touched.height, found.height
        )

    def lookup(self, view: str, entities: Any, at: datetime | None = None, *, full_names: bool = False) -> Found:
        """The features of some entities at once, each with its age.

        Parameters
        ----------
        entities : mapping, list of mappings, or table
            Columns or keys: the entities of the view.
        at : datetime, optional
            When their age is told; None: now.

        Raises
        ------
        ReadError
            If the view was not materialised.
        SchemaError
            If an entity is not named, or is of another type.
        """
        found = self.store.get(view)
        keys = self.store.keys(found, entities)
        kept, rows = self.rows.find(view, keys)
        known = FeatureView.from_dict(kept.definition)
        return Found(_answer(known, kept, keys, rows, (_us(at), full_names)), kept.version, _moment(kept.as_of_us))

    def state(self, view: str) -> OnlineState | None:
        """How fresh the rows of a view are; None: it was never materialised."""
        self.store.get(view)
        kept = self.rows.kept(view)
        if kept is None:
            return None
        return OnlineState(
            view=view,
            version=kept.version,
            newest=self.store.pinned(view).version,
            as_of=_moment(kept.as_of_us),
            made_at=datetime.fromisoformat(kept.made_at),
            rows=self.rows.count(view),
        )

    def _write(
        self, pinned: Pinned, as_of: int, found: pl.DataFrame, touched: pl.DataFrame | None, was: Kept | None
    ) -> None:
        view, schema = pinned.view, pinned.stored
        names = (*view.entities, view.event_time, *view.features)
        kept = Kept(
            table_id=str(pinned.table.metadata().id),
            version=pinned.version,
            as_of_us=as_of,
            made_at=datetime.now(UTC).isoformat(),
            definition=view.to_dict(),
            types={name: str(kind_of(schema.field(name).type)) for name in names},
        )
        if not self.rows.write(view.name, kept, found, touched, was):
            raise OutputError(
                f"online store: another process materialised view {view.name!r} meanwhile; nothing was written, run it"
                " again"
            )


def _no_increment(was: Kept | None, pinned: Pinned, as_of: int) -> str:
    """Why all has to be worked out anew; empty: it has not."""
    if was is None:
        return "nothing was there yet"
    if was.table_id != str(pinned.table.metadata().id) or was.version > pinned.version:
        return "the table of the view was made anew"
    known = FeatureView.from_dict(was.definition)
    if known.features != pinned.view.features:
        return "the features of the view changed"
    return "it goes back in time" if as_of < was.as_of_us else ""


def _changed(pinned: Pinned, was: Kept) -> pl.DataFrame:
    """Entities that the change feed names since the last version seen."""
    names = list(pinned.view.entities)
    if was.version == pinned.version:
        return _empty(pinned).select(names)
    with pinned.place.feed():
        stream = pinned.table.load_cdf(
            starting_version=was.version + 1, ending_version=pinned.version, columns=names, allow_out_of_range=True
        )
        return to_polars(pa.table(stream).select(names)).unique()


def _become_known(pinned: Pinned, after: int, until: int) -> pl.DataFrame:
    """Entities with rows whose event or known-at time has come since."""
    view = pinned.view
    conditions = [
        (pc.field(name) > pinned.moment(name, after)) & (pc.field(name) <= pinned.moment(name, until))
        for name in view.times
    ]
    wanted = conditions[0] if len(conditions) == 1 else conditions[0] | conditions[1]
    table = pinned.table.to_pyarrow_dataset().to_table(columns=list(view.entities), filter=wanted)
    return to_polars(table).unique()


def _fold(pinned: Pinned, as_of: int, touched: pl.DataFrame | None) -> pl.DataFrame:
    """The newest row of each entity, or of those that were touched; memory holds those and a bounded number more."""
    view = pinned.view
    best, waiting, held = _empty(pinned), [], 0
    for rows in _batches(pinned, as_of, touched):
        waiting.append(rows)
        held += rows.height
        if held >= FOLD_ROWS:
            best, waiting, held = latest(pl.concat([best, *waiting]), view), [], 0
    best = latest(pl.concat([best, *waiting]), view)
    return best.with_columns(microseconds(best[view.event_time]).alias(view.event_time))


def _batches(pinned: Pinned, as_of: int, touched: pl.DataFrame | None) -> Iterator[pl.DataFrame]:
    view = pinned.view
    wanted = pc.field(view.event_time) <= pinned.moment(view.event_time, as_of)
    if view.known_at is not None:
        wanted &= pc.field(view.known_at) <= pinned.moment(view.known_at, as_of)
    keys = list(view.entities)
    if touched is not None and touched.height <= PUSHED_KEYS:
        first = pa.table(from_polars(touched.select(keys[0])))[keys[0]].cast(pinned.stored.field(keys[0]).type)
        wanted &= pc.field(keys[0]).isin(first.combine_chunks())
    dataset = pinned.table.to_pyarrow_dataset()
    for batch in dataset.to_batches(columns=list(view.columns), filter=wanted):
        rows = to_polars(pa.Table.from_batches([batch]))
        yield rows if touched is None else rows.join(touched, on=keys, how="semi")


def _empty(pinned: Pinned) -> pl.DataFrame:
    return to_polars(pinned.schema.empty_table())


def _us(at: datetime | None) -> int:
    """Microseconds since 1970; now where no time is given."""
    at = datetime.now(UTC) if at is None else at
    if at.tzinfo is None:
        raise ConfigError(f"online store: got {at} without a time zone; say which: 2024-01-31T00:00+00:00")
    past = at - EPOCH
    return (past.days * 86_400 + past.seconds) * 1_000_000 + past.microseconds


def _moment(us: int) -> datetime:
    return EPOCH + timedelta(microseconds=us)


def _answer(
    view: FeatureView, kept: Kept, keys: pl.DataFrame, rows: list[tuple[Any, ...]], asked: tuple[int, bool]
) -> pa.Table:
    at, full_names = asked
    names = [name for name in kept.types if name not in view.entities]
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    event = pl.Series("e", columns[0], pl.Int64)
    age = at - event
    old = (age > view.ttl_us) if view.ttl_us is not None else pl.Series([False] * len(event), dtype=pl.Boolean)
    state = pl.select(
        pl.when(event.is_null()).then(pl.lit("missing")).when(old).then(pl.lit("expired")).otherwise(pl.lit("fresh"))
    ).to_series()
    made = [keys.to_series(number) for number in range(keys.width)]
    for name, values in zip(names[1:], columns[1:], strict=True):
        column = restored(values, view.named(full_names)[name], POLARS[kept.types[name]])
        made.append(column.to_frame().select(pl.when(state == "fresh").then(pl.first())).to_series())
    event_type = POLARS[kept.types[view.event_time]]
    made += [
        event.cast(event_type).alias(f"{view.name}__event_time"),
        (age / 1e6).alias(f"{view.name}__age_s"),
        state.alias(f"{view.name}__state"),
    ]
    return from_polars(pl.DataFrame(made))
