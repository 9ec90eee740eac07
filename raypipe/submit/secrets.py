"""Secrets that a job needs: references that are resolved where it runs, and values that are refused here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from raypipe.engine.secretrefs import REFERENCES
from raypipe.errors import ConfigError
from raypipe.submit.scan import names_a_secret, secrets_in

OF_RAYPIPE = ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ARROW_NUM_THREADS", REFERENCES)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def secret_references(given: Iterable[str]) -> dict[str, str]:
    """Variable -> `env:NAME` or `file:PATH` on the cluster, from `NAME=env:VAR` and `NAME=file:PATH`.

    Raises
    ------
    ConfigError
        If it is something else, above all a value.
    """
    found = {}
    for text in given:
        name, equals, reference = text.partition("=")
        kind, colon, place = reference.partition(":")
        if not equals or not _NAME.match(name):
            raise ConfigError("--secret: got no NAME=REFERENCE; wanted NAME=env:VARIABLE or NAME=file:/absolute/path")
        if not colon or kind not in ("env", "file") or not place or (kind == "env" and not _NAME.match(place)):
            # What was given may be the secret itself, so it is not repeated.
            raise ConfigError(
                f"--secret {name}: this is no reference. Secrets are never sent: give {name}=env:VARIABLE or "
                f"{name}=file:/absolute/path, both of the cluster"
            )
        if kind == "file" and not place.startswith("/"):
            raise ConfigError(f"--secret {name}: file:{place} is relative; give the absolute path on the cluster")
        found[name] = reference
    return found


def plain_variables(given: Iterable[str], *, allow_plaintext: bool) -> dict[str, str]:
    """Variable -> value, from `NAME=VALUE`; refuses what looks like a secret unless that is allowed.

    Raises
    ------
    ConfigError
        If a name or a value looks like a secret, since Ray keeps these variables in plain text, in its logs too.
    """
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not _NAME.match(name):
            raise ConfigError("--env: got no NAME=VALUE")
        if name in OF_RAYPIPE or name.startswith("RAY_"):
            raise ConfigError(f"--env {name}: this variable is set by raypipe or Ray itself")
        secret = names_a_secret(name) or any(secrets_in(value.encode(), settings=True))
        if secret and not allow_plaintext:
            raise ConfigError(
                f"--env {name}: this looks like a secret, and Ray shows and logs these variables in plain text. Use "
                f"--secret {name}=env:VARIABLE or =file:PATH, or say --allow-plaintext"
            )
        found[name] = value
    return found


def reference_variable(references: dict[str, str]) -> dict[str, str]:
    """The variable that carries the references."""
    return {REFERENCES: json.dumps(references, sort_keys=True)} if references else {}
