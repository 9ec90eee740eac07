"""Rows to learn from, and what pins them, so that a model can be made again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from raypipe.errors import ConfigError, MissingColumnsError, ReadError
from raypipe.ml.specs.store import FeatureStoreSpec
from raypipe.ml.store.online import OnlineStore
from raypipe.ml.store.store import FeatureStore
from raypipe.ml.store.tables import VersionedTable


@dataclass(frozen=True)
class StoredRows:
    """What a workflow learns from."""

    table: pa.Table
    """Features and target."""
    target: str
    """Name of its column."""
    facts: dict[str, Any]
    """`feature_store_repo`, `feature_versions` (view -> version), and `feature_store_spec`: the spec with every
    version pinned, which gives the same rows again."""


def training_rows(spec: FeatureStoreSpec, given: pa.Table | None = None) -> StoredRows:
    """Entity rows of a spec with the features that were known at their times.

    Parameters
    ----------
    given : pa.Table, optional
        The entity rows, where the spec says that they are given.

    Raises
    ------
    RaypipeError
        Says what is missing: the store, a view, a column of the entity rows, features.
    """
    store = FeatureStore(spec.repo_path, spec.project_name, create=spec.initialize_on_start)
    entities, dataset_version = _entity_rows(spec, store, given)
    if spec.target not in entities.column_names:
        raise MissingColumnsError("feature store: target", [spec.target], entities.column_names)
    versions = spec.joined_views
    pinned = {name: store.pinned(name, version) for name, version in versions.items()}
    fixed = {name: one.version for name, one in pinned.items()}
    brought = sum(len(one.view.features) for one in pinned.values())
    if spec.n_features is not None and spec.n_features != brought:
        raise ConfigError(
            f"feature store: n_features is {spec.n_features}, and {', '.join(fixed)} bring {brought}; correct it, pin"
            " the version that had them, or leave it out"
        )
    joined = store.point_in_time_join(
        entities, list(fixed), fixed, time=spec.time_column, full_names=spec.use_full_feature_names
    )
    if spec.materialize_online:
        online = OnlineStore(store, spec.online_store_config.get("path"))
        for name in fixed:
            online.materialize_incremental(name)
    keys = {key for one in pinned.values() for key in one.view.entities} | {spec.time_column}
    gone = [name for name in joined.column_names if name in keys and name not in {*spec.keep_columns, spec.target}]
    return StoredRows(joined.drop_columns(gone), spec.target, _facts(spec, store, fixed, dataset_version))


def _facts(
    spec: FeatureStoreSpec, store: FeatureStore, versions: dict[str, int], dataset: int | None
) -> dict[str, Any]:
    pinned = spec.replace(views=dict(versions), dataset_version=dataset)
    return {
        "feature_store_repo": str(store.folder),
        "feature_versions": versions,
        "feature_store_spec": pinned.to_dict(),
    }


def _entity_rows(spec: FeatureStoreSpec, store: FeatureStore, given: pa.Table | None) -> tuple[pa.Table, int | None]:
    version = None
    if spec.entity_rows_given:
        if given is None:
            raise ConfigError("feature store: entity_rows_given is set, and no rows are given; wanted entity rows")
        rows = given
    elif spec.entity_rows is None:
        rows, version = store.read_dataset(spec.dataset_name, spec.dataset_version)
    else:
        rows = read_rows(spec.entity_rows)
    if spec.sample_indices is not None:
        beyond = [place for place in spec.sample_indices if place >= rows.num_rows]
        if beyond:
            raise ConfigError(f"feature store: sample_indices asks for row {beyond[0]}; there are {rows.num_rows:,}")
        rows = rows.take(pa.array(spec.sample_indices, pa.int64()))
    if spec.timestamp is not None:
        if spec.time_column in rows.column_names:
            raise ConfigError(
                f"feature store: timestamp is {spec.timestamp}, but the entity rows have times of their own in"
                f" {spec.time_column!r}; with one time for all, early rows would see later features. Leave one out"
            )
        zone = None if spec.timestamp.tzinfo is None else "UTC"
        at = spec.timestamp if zone is None else spec.timestamp.astimezone(UTC)
        rows = rows.append_column(spec.time_column, pa.array([at] * rows.num_rows, pa.timestamp("us", zone)))
    if spec.time_column not in rows.column_names:
        raise MissingColumnsError("feature store: time_column", [spec.time_column], rows.column_names)
    return rows, version


def _from_text(place: Path, separator: str) -> pl.DataFrame:
    """Types by all rows; digits behind a zero, such as 007, are names and no numbers."""
    table = pl.read_csv(place, separator=separator, try_parse_dates=True, infer_schema_length=None)
    texts = pl.read_csv(place, separator=separator, infer_schema=False)
    names = [name for name, kind in table.schema.items() if kind.is_integer()]
    coded = [name for name in names if texts[name].str.contains(r"^\s*[+-]?0\d").any()]
    return table.with_columns(texts[name] for name in coded)


def read_rows(path: str | Path) -> pa.Table:
    """A table from a Parquet or CSV file, or a Delta folder.

    Raises
    ------
    ReadError
        If it is not there or is none of these.
    """
    place = Path(path)
    if not place.exists():
        raise ReadError(f"feature store: {place} is not there")
    if place.is_dir():
        return VersionedTable(place, str(place)).open().to_pyarrow_dataset().to_table()
    try:
        if place.suffix.lower() == ".parquet":
            return pq.read_table(place)
        if place.suffix.lower() in (".csv", ".tsv"):
            separator = "\t" if place.suffix.lower() == ".tsv" else ","
            return _from_text(place, separator).to_arrow()
    except (pa.ArrowException, pl.exceptions.PolarsError, OSError) as error:
        raise ReadError(f"feature store: cannot read {place}: {error}") from error
    raise ReadError(
        f"feature store: {place.name} is no .parquet, .csv, .tsv or Delta folder; convert it: raypipe convert"
    )
