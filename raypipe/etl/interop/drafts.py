"""What an importer makes of each check of another tool: rules, or the reason why there is none."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from raypipe.config import Frozen
from raypipe.errors import ConfigError
from raypipe.etl.rules.registry import rule_class
from raypipe.etl.rules.rule import Rule
from raypipe.etl.rules.ruleset import RuleSet

Draft = dict[str, Any]
"""A rule as it stands in a file."""


class UnmappedError(ValueError):
    """A check has no rule of the same meaning; the text says why."""


class Skipped(Frozen):
    """A check that was not brought over."""

    where: str
    check: str
    reason: str


class Imported(Frozen):
    """What came over, and what did not."""

    rules: RuleSet | None
    """None where nothing came over."""
    checks: int
    """Checks of the other tool."""
    skipped: tuple[Skipped, ...]
    text: str
    """A rule file, with what was skipped in comments."""


def collect(name: str, found: Iterable[tuple[str, str, Callable[[], Sequence[Draft]]]]) -> Imported:
    """Make rules of checks, each given as (where, name of the check, function that drafts its rules)."""
    rules: list[Rule] = []
    skipped: list[Skipped] = []
    checks = 0
    for where, check, make in found:
        checks += 1
        try:
            made = [rule_of(draft) for draft in make()]
        except UnmappedError as error:
            skipped.append(Skipped(where=where, check=check, reason=str(error)))
        except ValidationError as error:
            first = error.errors()[0]
            reason = f"{'.'.join(map(str, first['loc']))}: {first['msg'].removeprefix('Value error, ')}"
            skipped.append(Skipped(where=where, check=check, reason=reason.removeprefix(": ")))
        else:
            rules += [rule for rule in made if rule not in rules]
    ruleset = RuleSet(name=name, rules=tuple(rules)) if rules else None
    notes = [f"# not brought over: {one.where}: {one.check}: {one.reason}" for one in skipped]
    head = "".join(_one_line(note) + "\n" for note in notes)
    return Imported(
        rules=ruleset, checks=checks, skipped=tuple(skipped), text=head + (ruleset.text() if ruleset else "")
    )


def rule_of(draft: Draft) -> Rule:
    """The rule of a draft; fields that are None are left out."""
    try:
        kind = rule_class(draft["rule"])
    except ValueError as error:
        raise UnmappedError(str(error)) from error
    return kind.model_validate({name: value for name, value in draft.items() if value is not None})


def read_values(path: Path, what: str) -> Any:
    """The content of a YAML or JSON file; ConfigError where it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    except (ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: is no {what}: {' '.join(str(error).split())}") from error


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    """The value, if it is a mapping; else ConfigError."""
    if not isinstance(value, Mapping):
        raise ConfigError(f"{what}: wanted fields with values, got {type(value).__name__}")
    return value


def items(value: Any, what: str) -> Iterator[Any]:
    """The entries of a list that may be missing; ConfigError where it is something else."""
    if value is None:
        return
    if not isinstance(value, list):
        raise ConfigError(f"{what}: wanted a list, got {type(value).__name__}")
    yield from value


def share(value: float) -> str:
    """A share as a tolerance is written.

    Examples
    --------
    >>> share(0.05)
    '5%'
    """
    return f"{100 * value:.10f}".rstrip("0").rstrip(".") + "%"


def between(column: str, low: Any, high: Any, open_low: bool = False, open_high: bool = False) -> list[Draft]:
    """Values within bounds, of which either may be None; no rule where both are."""
    if low is None and high is None:
        return []
    sides = {(False, False): "both", (False, True): "min", (True, False): "max", (True, True): "neither"}
    rule = {"rule": "between", "columns": column, "min": low, "max": high}
    return [rule | ({"inclusive": sides[open_low, open_high]} if open_low or open_high else {})]


def quoted(name: str) -> str:
    """A column's name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)
