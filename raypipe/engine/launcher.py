"""Ray's own checks of cluster launcher files, without a network. They are private API of Ray; a test guards them."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import logging
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
    wanted: str = ""
    """What Ray wants in its place, where it says so."""


def installed_ray() -> str:
    """Version of the Ray that is installed here; Ray is not imported for it."""
    return metadata.version("ray")


def launcher_problems(config: dict[str, Any]) -> list[LauncherProblem]:
    """What `ray up` would refuse in `config`, before it asks any cloud.

    Ray stops at the first thing that it does not like; here every violation of its schema is told.
    """
    from ray.autoscaler._private.util import prepare_config, validate_config

    said = io.StringIO()
    with _quiet(said):
        try:
            # Ray takes defaults in before it looks, as it would in `ray up`.
            prepared = prepare_config(copy.deepcopy(config))
            found = list(_violations(prepared))
            if not found:
                validate_config(prepared)
        except (Exception, SystemExit) as error:
            return [LauncherProblem((), _plain(error, said.getvalue()))]
    return found


@contextlib.contextmanager
def _quiet(said: io.StringIO) -> Iterator[None]:
    """Keep what Ray prints and logs out of the answer of a command."""
    logger = logging.getLogger("ray.autoscaler")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            yield
    finally:
        logger.setLevel(level)


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
            wanted = f"a value of type {error.validator_value}" if error.validator == "type" else ""
            yield LauncherProblem(place, str(error.message)[:300], wanted=wanted)


def _plain(error: BaseException, printed: str) -> str:
    """What Ray says: in its error, or, where it gives up without one, in what it printed last."""
    said = " ".join(str(error).split())
    if isinstance(error, KeyError):
        said = f"{said} is missing"
    last = printed.strip().rpartition("\n")[2].rpartition(" -- ")[2]
    return said[:300] or last[:300] or f"Ray refuses it ({type(error).__name__}) and says no more"
