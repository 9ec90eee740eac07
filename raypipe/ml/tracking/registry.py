"""Registered models: listed, given a stage and the alias that goes with it, archived."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from raypipe.config import Frozen
from raypipe.errors import ConfigError
from raypipe.ml.specs.tracking import STAGE_ALIASES, Stage
from raypipe.ml.tracking.store import default_uri, open_client, told
from raypipe.ml.tracking.troubles import worded


class RegisteredVersion(Frozen):
    """One version of a registered model."""

    name: str
    version: str
    aliases: tuple[str, ...] = ()
    stage: str = "None"
    run_id: str | None = None
    created_ms: int = 0
    """Milliseconds since 1970."""
    metric: str | None = None
    value: float | None = None
    """The metric that decides, on rows that were held back or over the folds."""
    description: str | None = None


_GIVEN_UP: Mapping[Stage, Stage] = {"Production": "Archived", "Staging": "None"}
"""What becomes of the version that had a stage before."""


def store_of(tracking_uri: str | None, registry_uri: str | None = None) -> Any:
    """A client; without an address of the default store, which has to be there."""
    if tracking_uri is None:
        if not Path("output/mlflow.db").is_file():
            raise ConfigError("models: there is no output/mlflow.db here; say where: --tracking-uri sqlite:///FILE.db")
        tracking_uri = default_uri(Path("output"))
    return open_client(tracking_uri, registry_uri, make=False)


def list_registered_models(
    tracking_uri: str | None = None, registry_uri: str | None = None, name: str | None = None
) -> list[RegisteredVersion]:
    """All versions of all registered models, or of one, the newest first.

    Raises
    ------
    ConfigError
        There is no model of this name.
    """
    client = store_of(tracking_uri, registry_uri)
    found = []
    for model in client.search_registered_models(max_results=1_000):
        if name is not None and model.name != name:
            continue
        by_version: dict[str, list[str]] = {}
        for alias, version in model.aliases.items():
            by_version.setdefault(str(version), []).append(alias)
        quoted = model.name.replace("'", "''")
        versions = client.search_model_versions(f"name='{quoted}'", max_results=1_000)
        found += [_told(client, one, by_version.get(str(one.version), [])) for one in versions]
    if name is not None and not found:
        raise ConfigError(f"models: no version of {name!r} is registered; raypipe models list shows what is there")
    return sorted(found, key=lambda one: (one.name, -int(one.version)))


def _told(client: Any, one: Any, aliases: list[str]) -> RegisteredVersion:
    metric = one.tags.get("metric")
    value = None
    if one.run_id and metric:
        from mlflow.exceptions import MlflowException

        with contextlib.suppress(MlflowException):  # the run may have been deleted, or live in another store
            figures = client.get_run(one.run_id).data.metrics
            value = figures.get(f"test_{metric}", figures.get(f"cv_{metric}"))
    return RegisteredVersion(
        name=one.name, version=str(one.version), aliases=tuple(sorted(aliases)), stage=one.tags.get("stage", "None"),
        run_id=one.run_id or None, created_ms=one.creation_timestamp, metric=metric, value=value,
        description=one.description or None,
    )  # fmt: skip


def register(
    client: Any, name: str, model: Any, run_id: str, tags: Mapping[str, str], told_of: tuple[str, str | None]
) -> str:
    """A new version of a registered model, which is made where it is not there.

    Parameters
    ----------
    told_of : tuple
        What its pages say of the model, where it is made, and of the version.
    """
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, description=told_of[0])
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"):
            raise
    made = client.create_model_version(
        name, source=model.artifact_location, run_id=run_id, tags=dict(tags), description=told_of[1],
        model_id=model.model_id,
    )  # fmt: skip
    return str(made.version)


def give_stage(client: Any, name: str, version: str, stage: Stage) -> None:
    """Set the stage of a version: the tag, the older registry's own stage, and the alias that it stands for.

    A version has one stage: aliases of the others are taken from it. Production and Staging have one version each, as
    their aliases have: one that stood in Production before is archived, and one in Staging has no stage any more.
    """
    with worded(told(client.tracking_uri)):
        known = client.get_registered_model(name).aliases
        for other, alias in STAGE_ALIASES.items():
            if other != stage and str(known.get(alias)) == str(version):
                client.delete_registered_model_alias(name, alias)
        _tag(client, name, version, stage)
        if stage in STAGE_ALIASES:
            client.set_registered_model_alias(name, STAGE_ALIASES[stage], version)
        # Last: there is a champion at any moment.
        before = known.get(STAGE_ALIASES[stage]) if stage in _GIVEN_UP else None
        if before is not None and str(before) != str(version):
            give_stage(client, name, str(before), _GIVEN_UP[stage])


def _tag(client: Any, name: str, version: str, stage: Stage) -> None:
    from mlflow.exceptions import MlflowException

    client.set_model_version_tag(name, version, "stage", stage)
    with warnings.catch_warnings(), contextlib.suppress(MlflowException, AttributeError):
        # Stages of their own are gone from newer stores; the tag and the alias say the same.
        warnings.simplefilter("ignore", FutureWarning)
        client.transition_model_version_stage(name, version, stage)


def version_of(client: Any, name: str, which: str) -> str | None:
    """The number of a version by its number or its alias; None: nothing is called so.

    Raises
    ------
    ConfigError
        There is no model of this name.
    """
    from mlflow.exceptions import MlflowException

    try:
        model = client.get_registered_model(name)
    except MlflowException as error:
        known = ", ".join(one.name for one in client.search_registered_models()) or "none"
        raise ConfigError(f"models: {name!r} is not registered; these are: {known}") from error
    if which in model.aliases:
        return str(model.aliases[which])
    if not which.isdigit():
        return None
    try:
        return str(client.get_model_version(name, which).version)
    except MlflowException:
        return None


def set_stage(
    name: str, version: str, stage: Stage, *, tracking_uri: str | None = None, registry_uri: str | None = None
) -> None:
    """Give a version a stage and its alias, without any comparison; see `promote` for that.

    Raises
    ------
    ConfigError
        There is no such version or stage.
    """
    if stage not in get_args(Stage):
        raise ConfigError(f"models: there is no stage {stage!r}; there are {', '.join(get_args(Stage))}")
    client = store_of(tracking_uri, registry_uri)
    number = version_of(client, name, version)
    if number is None:
        raise ConfigError(f"models: {name!r} has no version {version!r}; raypipe models list shows what is there")
    give_stage(client, name, number, stage)


def archive(name: str, version: str, *, tracking_uri: str | None = None, registry_uri: str | None = None) -> None:
    """Set a version aside; it stays where it is and can be loaded by its number."""
    set_stage(name, version, "Archived", tracking_uri=tracking_uri, registry_uri=registry_uri)
