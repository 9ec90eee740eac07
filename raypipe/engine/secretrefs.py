"""Secrets that a job refers to, resolved in each process that works for it, so that no value is ever sent."""

from __future__ import annotations

import json
import os
from pathlib import Path

from raypipe.errors import ConfigError

REFERENCES = "RAYPIPE_SECRETS"
"""A JSON object: variable -> `env:NAME` or `file:PATH`, both of the machine that this runs on."""


def resolve_secrets() -> tuple[str, ...]:
    """Set the variables that the references stand for; returns their names.

    Raises
    ------
    ConfigError
        If a variable or a file is not there; the text names it and the machine's part, never a value.
    """
    references: dict[str, str] = json.loads(os.environ.get(REFERENCES) or "{}")
    for name, reference in references.items():
        kind, _, place = reference.partition(":")
        if kind == "env":
            if place not in os.environ:
                raise ConfigError(
                    f"secret {name}: the variable {place} is not set on this node. Set it where Ray is started there"
                )
            os.environ[name] = os.environ[place]
            continue
        try:
            os.environ[name] = Path(place).read_text(encoding="utf-8").rstrip("\n")
        except (OSError, UnicodeDecodeError) as error:
            said = getattr(error, "strerror", None) or "it is no text"
            raise ConfigError(f"secret {name}: {place} cannot be read on this node: {said}") from error
    return tuple(references)
