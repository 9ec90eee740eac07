"""Settings as plain values: read from a file, and merged."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import yaml

from raypipe.errors import ConfigError


def read_settings(path: str | Path, wanted: str = "settings") -> dict[str, Any]:
    """Plain values of a YAML or TOML file; `wanted` says in an error what it should hold.

    Raises
    ------
    ConfigError
        If the file cannot be read, or holds no settings.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text) if path.suffix == ".toml" else yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    except (tomllib.TOMLDecodeError, yaml.YAMLError) as error:
        said = " ".join(str(error).split())  # YAML draws a picture over several lines
        kind = "TOML" if path.suffix == ".toml" else "YAML"
        raise ConfigError(f"{path}: not valid {kind}: {said}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: holds {type(values).__name__}; wanted {wanted}, one `name: value` a line")
    return values


def merge_settings(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over`, part by part.

    Examples
    --------
    >>> merge_settings({"engine": {"workers": 2, "fuse": False}}, {"engine": {"workers": 4}})
    {'engine': {'workers': 4, 'fuse': False}}
    """
    merged = dict(base)
    for name, value in over.items():
        known = merged.get(name)
        merged[name] = merge_settings(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return merged
