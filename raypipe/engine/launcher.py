"""Ray's own checks of cluster launcher files, without a network. They are private API of Ray; a test guards them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple


class LauncherProblem(NamedTuple):
    """One thing that Ray refuses in a launcher file."""

    path: tuple[str | int, ...]
    """Keys and indices from the root to the value at fault."""
    message: str
    known: tuple[str, ...] = ()
    """Keys that Ray knows there, if the last one of `path` is none of them."""


def installed_ray() -> str:
    """Version of the Ray that is installed here; Ray is not imported for it."""
    return metadata.version("ray")


def launcher_problems(config: dict[str, Any]) -> list[LauncherProblem]:
    """What `ray up` would refuse in `config`, before it asks any cloud.

    Ray stops at the first thing that it does not like; here every violation of its schema is told.
    """
    from ray.autoscaler._private.util import prepare_config, validate_config

    # Ray takes defaults in before it looks, as it would in `ray up`.
    try:
        prepared = prepare_config(copy.deepcopy(config))
    except (Exception, SystemExit) as error:
        return [LauncherProblem((), _plain(error))]
    found = list(_violations(prepared))
    if found:
        return found
    try:
        validate_config(prepared)
    except Exception as error:
        return [LauncherProblem((), _plain(error))]
    return []


def _violations(config: dict[str, Any]) -> Iterator[LauncherProblem]:
    import jsonschema
    import ray.autoscaler

    schema = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text(encoding="utf-8"))
    for error in jsonschema.Draft7Validator(schema).iter_errors(config):
        place = tuple(error.absolute_path)
        if error.validator == "additionalProperties":
            known = tuple(error.schema.get("properties", ()))
            for name in sorted(set(error.instance) - set(known)):
                yield LauncherProblem((*place, name), f"there is no key {name!r}", known)
        else:
            yield LauncherProblem(place, str(error.message)[:300])


def _plain(error: BaseException) -> str:
    said = " ".join(str(error).split())
    return said[:300] or f"Ray refuses it ({type(error).__name__}) and says no more"
