"""Where a workflow takes its rows from: a feature store, at pinned versions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field, NonNegativeInt, field_validator, model_validator

from raypipe.ml.specs.base import Spec
from raypipe.ml.specs.views import FeatureType, FeatureView

__all__ = ["FeatureStoreSpec", "FeatureStoreSpecBuilder", "FeatureType", "FeatureView"]
_ONLINE_KEYS = ("path",)


class FeatureStoreSpec(Spec):
    """Entity rows with a target, and the feature views that are joined to them as of the time of each row.

    The entity rows are a file, a dataset that `FeatureStore.write_dataset` keeps under `dataset_name`, or the rows that
    the workflow is given.
    """

    enabled: bool = False
    repo_path: str = "feature_repo"
    """Folder of the store."""
    project_name: str = "ml_workflow"
    """Folder in it; projects share nothing."""
    dataset_name: str = "classification_data"
    """Dataset of the store with the entity rows; not looked at where `entity_rows` names a file."""
    dataset_version: NonNegativeInt | None = None
    """None: the newest."""
    entity_rows: str | None = None
    """Parquet, CSV or Delta table with entity columns, times and the target."""
    entity_rows_given: bool = False
    """The rows that the workflow is given (`X`, `y`) are the entity rows; `y` is then the target. Else they are learnt
    from as they are, should the store fail."""
    target: str = "target"
    """Column of the entity rows."""
    time_column: str = "event_timestamp"
    """Column of the entity rows: the time as of which features are looked up."""
    timestamp: datetime | None = None
    """One time for every entity row, where they have no column of times."""
    sample_indices: tuple[NonNegativeInt, ...] | None = None
    """Places of the entity rows to take, from 0; None: all."""
    keep_columns: tuple[str, ...] = ()
    """Entity and time columns that stay in the training rows, say to split by them; the others would be learnt by
    heart, and go."""
    views: dict[str, NonNegativeInt | None] = Field(default_factory=dict)
    """View -> version; None: the newest. Empty: `feature_view_name`."""
    feature_view_name: str = "classification_features"
    use_full_feature_names: bool = False
    """Features are called `view__feature`."""
    n_features: Annotated[int, Field(ge=1, le=1000)] | None = None
    """How many features the views must bring; None: as many as they have."""
    offline_store_type: Literal["file", "delta"] = "file"
    """Both mean Delta tables in `repo_path`."""
    online_store_type: Literal["sqlite"] | None = None
    online_store_config: dict[str, Any] = Field(default_factory=dict)
    """`path`: file of the online store; default: `online.db` of the project."""
    initialize_on_start: bool = True
    """Make the folder of the store where there is none; else that is an error."""
    materialize_online: bool = False
    """Bring the online store up to date with the views after the join."""

    @property
    def joined_views(self) -> dict[str, int | None]:
        """`views`, or the one view of the older system."""
        return dict(self.views) or {self.feature_view_name: None}

    @field_validator("offline_store_type", mode="before")
    @classmethod
    def _without_jvm(cls, given: Any) -> Any:
        if given == "spark":
            raise ValueError(
                "views are read without Spark and without a JVM: use 'file', which reads the same Delta tables"
            )
        return given

    @field_validator("online_store_type", mode="before")
    @classmethod
    def _without_server(cls, given: Any) -> Any:
        if given == "redis":
            raise ValueError("there is no Redis store: use 'sqlite', a file that is kept fresh by the change feed")
        return given

    @model_validator(mode="after")
    def _online_holds_together(self) -> Self:
        odd = [name for name in self.online_store_config if name not in _ONLINE_KEYS]
        if odd:
            raise ValueError(f"online_store_config has no setting {odd[0]!r}; it knows: {', '.join(_ONLINE_KEYS)}")
        if self.online_store_type is None and (self.materialize_online or self.online_store_config):
            raise ValueError("online settings are given, but online_store_type is null: set it to 'sqlite'")
        if self.dataset_version is not None and self.entity_rows is not None:
            raise ValueError("dataset_version pins a dataset of the store, but entity_rows names a file: give one")
        if self.entity_rows_given and (self.entity_rows or self.dataset_version is not None):
            raise ValueError("entity_rows_given takes the rows of the workflow, but others are named too: give one")
        return self


class FeatureStoreSpecBuilder:
    """A FeatureStoreSpec, setting by setting.

    Examples
    --------
    >>> spec = FeatureStoreSpecBuilder().set_repo_path("repo").add_view("spend", 3).build()
    >>> spec.enabled, spec.views
    (True, {'spend': 3})
    """

    def __init__(self) -> None:
        self._settings: dict[str, Any] = {"enabled": True}

    def _set(self, **settings: Any) -> Self:
        self._settings.update(settings)
        return self

    def set_enabled(self, enabled: bool = True) -> Self:
        """Whether the store is used."""
        return self._set(enabled=enabled)

    def set_repo_path(self, path: str) -> Self:
        """Folder of the store."""
        return self._set(repo_path=path)

    def set_project_name(self, name: str) -> Self:
        """Project in it."""
        return self._set(project_name=name)

    def set_dataset_name(self, name: str, version: int | None = None) -> Self:
        """Dataset with the entity rows, and its version."""
        return self._set(dataset_name=name, dataset_version=version)

    def set_entity_rows(self, path: str) -> Self:
        """File with the entity rows."""
        return self._set(entity_rows=path)

    def set_target(self, column: str) -> Self:
        """Column to learn."""
        return self._set(target=column)

    def set_time_column(self, column: str) -> Self:
        """Column with the time of each entity row."""
        return self._set(time_column=column)

    def set_timestamp(self, timestamp: datetime) -> Self:
        """One time for all entity rows."""
        return self._set(timestamp=timestamp)

    def set_sample_indices(self, places: tuple[int, ...]) -> Self:
        """Entity rows to take."""
        return self._set(sample_indices=places)

    def set_keep_columns(self, *columns: str) -> Self:
        """Entity and time columns that stay."""
        return self._set(keep_columns=columns)

    def add_view(self, name: str, version: int | None = None) -> Self:
        """One more view, and the version that is pinned."""
        return self._set(views={**self._settings.get("views", {}), name: version})

    def set_feature_view_name(self, name: str) -> Self:
        """The one view, where there is just one."""
        return self._set(feature_view_name=name)

    def set_n_features(self, count: int) -> Self:
        """How many features there must be."""
        return self._set(n_features=count)

    def set_full_feature_names(self, full: bool = True) -> Self:
        """Whether features are called `view__feature`."""
        return self._set(use_full_feature_names=full)

    def set_offline_store(self, kind: str) -> Self:
        """`file` or `delta`."""
        return self._set(offline_store_type=kind)

    def set_online_store(self, kind: str | None, config: dict[str, Any] | None = None) -> Self:
        """`sqlite` or None."""
        return self._set(online_store_type=kind, online_store_config=config or {})

    def set_initialize_on_start(self, initialize: bool = True) -> Self:
        """Whether the folder is made."""
        return self._set(initialize_on_start=initialize)

    def set_materialize_online(self, materialize: bool = True) -> Self:
        """Whether the online store is brought up to date."""
        return self._set(materialize_online=materialize)

    def set_description(self, text: str) -> Self:
        """What it is for."""
        return self._set(description=text)

    def build(self) -> FeatureStoreSpec:
        """The spec; ConfigError says all that is wrong."""
        return FeatureStoreSpec.from_dict(self._settings, "feature store")
