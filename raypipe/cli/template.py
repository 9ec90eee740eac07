"""Settings as text: the commented config file of `raypipe init`, and `--set name=value`."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from raypipe.config import PipelineConfig
from raypipe.config.texts import field_texts
from raypipe.errors import ConfigError
from raypipe.etl.outputs import writing

WIDTH = 100


def write_template(path: Path, source: str, force: bool, read_options: dict[str, Any] | None = None) -> None:
    """Write the commented config file, with these read options; ConfigError if it is there already."""
    if path.exists() and not force:
        raise ConfigError(f"{path} is there already; choose another name, or add --force")
    with writing(path):
        path.write_text(template(source, read_options), encoding="utf-8")


def template(source: str, read_options: dict[str, Any] | None = None) -> str:
    """Every setting with its default, commented out where it has one, and its meaning above it."""
    head = (
        "# Settings of raypipe. What stands commented out is the default.\n# Run: raypipe run --config raypipe.yaml\n"
    )
    given = {"data_source": source, **({"read_options": read_options} if read_options else {})}
    return head + "\n".join(_lines(PipelineConfig, given, "")) + "\n"


def assigned(assignments: list[str]) -> dict[str, Any]:
    """Nested settings from `name.part=value`; values are read as YAML.

    Examples
    --------
    >>> assigned(["processing.impute=auto", "engine.workers=4"])
    {'processing': {'impute': 'auto'}, 'engine': {'workers': 4}}
    """
    found: dict[str, Any] = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"--set: got {text!r}; wanted name=value, e.g. --set processing.impute=auto")
        place = found
        *parents, last = name.strip().split(".")
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise ConfigError(f"--set: {text!r} puts a setting under {parent!r}, which got a value itself")
        try:
            place[last] = yaml.safe_load(value) if value else None
        except yaml.YAMLError as error:
            raise ConfigError(f"--set: the value of {text!r} cannot be read: {error}") from error
    return found


def _lines(model: type[BaseModel], given: dict[str, Any], indent: str) -> list[str]:
    lines: list[str] = []
    mark = "" if indent else "# "
    texts = field_texts(model)
    for name, field in model.model_fields.items():
        lines += _wrapped(texts.get(name), indent)
        default = _default(field)
        if isinstance(default, BaseModel) and isinstance(given.get(name), dict):
            lines += [f"{indent}{name}:", *_some_lines(type(default), given[name], indent + "  "), ""]
        elif isinstance(default, BaseModel):
            lines += [f"{indent}{mark}{name}:", *_lines(type(default), {}, f"{indent}{mark}  "), ""]
        elif name in given:
            lines.append(f"{indent}{name}: {_scalar(given[name])}")
        else:
            lines.append(f"{indent}{mark}{name}: {_scalar(default)}")
    return lines


def _some_lines(model: type[BaseModel], given: dict[str, Any], indent: str) -> list[str]:
    """The settings of one part: those given as they are, the others commented out."""
    lines: list[str] = []
    texts = field_texts(model)
    for name, field in model.model_fields.items():
        lines += _wrapped(texts.get(name), indent)
        mark, value = ("", given[name]) if name in given else ("# ", _default(field))
        lines.append(f"{indent}{mark}{name}: {_scalar(value)}")
    return lines


def _wrapped(text: str | None, indent: str) -> list[str]:
    if not text:
        return []
    return [f"{indent}# {line}" for line in textwrap.wrap(" ".join(text.split()), WIDTH - len(indent))]


def _default(field: FieldInfo) -> Any:
    value = field.get_default(call_default_factory=True)
    return None if value is PydanticUndefined else value


def _scalar(value: Any) -> str:
    if isinstance(value, tuple):
        value = list(value)
    if isinstance(value, Path):
        value = str(value)
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000).strip()
    return text.removesuffix("\n...").strip()
