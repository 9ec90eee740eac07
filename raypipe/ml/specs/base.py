"""What every spec can do: be written down, be read again, and name itself in an error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import Field, JsonValue, ValidationError

from raypipe.config import Frozen
from raypipe.errors import ConfigError


class Spec(Frozen):
    """A frozen description; nothing happens when it is made."""

    enabled: bool = True
    """Off: as if it were not there."""
    description: str | None = None
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    """Yours; kept and tracked as it is."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON and YAML hold them."""
        return self.model_dump(mode="json")

    @classmethod
    def from_dict(cls, values: dict[str, Any], origin: str | None = None) -> Self:
        """From plain values.

        Raises
        ------
        ConfigError
            Says what `origin` has wrong, all of it at once.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ConfigError(f"{origin or cls.__name__}: {mistakes(error)}") from error

    def save(self, path: str | Path) -> Path:
        """Write to a `.json`, `.yaml` or `.yml` file."""
        place = Path(path)
        text = json.dumps(self.to_dict(), indent=2) if _is_json(place) else yaml.safe_dump(self.to_dict())
        place.write_text(text, encoding="utf-8")
        return place

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote, or what was written by hand."""
        place = Path(path)
        try:
            text = place.read_text(encoding="utf-8")
            values = json.loads(text) if _is_json(place) else yaml.safe_load(text)
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise ConfigError(f"{cls.__name__}: cannot read {place}: {error}") from error
        if not isinstance(values, dict):
            raise ConfigError(f"{cls.__name__}: {place} holds {type(values).__name__}; wanted names with values")
        return cls.from_dict(values, str(place))


def mistakes(error: ValidationError) -> str:
    """What is wrong, with the place of each and what was given."""
    told = []
    for item in error.errors():
        place = ".".join(str(step) for step in item["loc"])
        if item["type"] == "extra_forbidden":
            told.append(f"there is no setting {place!r}")
        else:
            text = item["msg"].removeprefix("Value error, ")
            told.append(f"{place or 'it'}: got {item['input']!r}; {text[0].lower()}{text[1:]}")
    return "; ".join(told)


def _is_json(place: Path) -> bool:
    if place.suffix.lower() not in (".json", ".yaml", ".yml"):
        raise ConfigError(f"a spec is kept as .json, .yaml or .yml; got {place.name!r}")
    return place.suffix.lower() == ".json"
