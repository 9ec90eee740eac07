"""What an importer makes of each check of another tool: rules, or the reason why there is none."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import yaml
from pydantic import ValidationError

from raypipe.config import Frozen
from raypipe.errors import ConfigError
from raypipe.etl.rules.registry import rule_class
from raypipe.etl.rules.rule import Rule
from raypipe.etl.rules.ruleset import RuleSet

Found = TypeVar("Found")
Draft = dict[str, Any]
"""A rule as it stands in a file."""
Check = tuple[str, str, Callable[[], Sequence[Draft]]]
"""Where a check of the other tool stands, its name, and what drafts its rules."""
NO_RULE = "raypipe has no rule of this meaning"
DTYPES: dict[tuple[str, ...], str] = {
    ("int", "integer", "bigint", "smallint", "int64", "integertype", "longtype"): "integer",
    ("float", "double", "double precision", "real", "float64", "doubletype", "floattype"): "number",
    ("decimal", "numeric", "number", "decimaltype"): "number",
    ("str", "string", "text", "varchar", "char", "character varying", "object", "stringtype"): "text",
    ("bool", "boolean", "bool_", "booleantype"): "boolean",
    ("date", "datetype"): "date",
    ("timestamp", "datetime", "datetime64", "datetime64[ns]", "timestamptype", "timestamp_ntz"): "datetime",
}


class UnmappedError(ValueError):
    """A check has no rule of the same meaning; the text says why."""


class Accepted(NamedTuple):
    """The values of a figure that are accepted: between two ends, of which either may be missing."""

    low: float | None = None
    high: float | None = None
    open_low: bool = False
    """Whether the end itself is not accepted."""
    open_high: bool = False

    def rows_at_fault(self, percent: bool = False) -> int | str:
        """So many rows, or so large a share of them, may be at fault, as a tolerance is written; 0 allows none.

        Examples
        --------
        >>> Accepted(high=5, open_high=True).rows_at_fault(), Accepted(high=5).rows_at_fault(percent=True)
        (4, '5%')
        """
        if self.low is not None and (self.low > 0 or self.open_low):
            exactly = f"exactly {self.low:g}" if self.low == self.high else "some"
            raise UnmappedError(f"it wants {exactly} rows at fault")
        if self.high is None or self.high < 0 or (self.high == 0 and self.open_high):
            raise UnmappedError("its operator is none that a bound on rows at fault can have")
        if not percent:
            return math.ceil(self.high) - 1 if self.open_high else math.floor(self.high)
        return share(self.high / 100, below=self.open_high) if self.high else 0

    def bounds(self, whole: bool = False) -> dict[str, float | None]:
        """`min` and `max` of a rule about a figure, which are accepted themselves; `whole`: it is a whole number."""
        if not whole and (self.open_low or self.open_high):
            raise UnmappedError("its bounds are open, and those of a figure are closed here")
        low, high = self.low, self.high
        if whole:
            low = None if low is None else math.floor(low) + 1 if self.open_low else math.ceil(low)
            high = None if high is None else math.ceil(high) - 1 if self.open_high else math.floor(high)
        if low is None and high is None:
            raise UnmappedError("neither bound is given")
        return {"min": low, "max": high}


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


def collect(name: str, found: Iterable[Check]) -> Imported:
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


def share(value: float, below: bool = False) -> str:
    """A share as a tolerance is written.

    Parameters
    ----------
    below : bool
        Give the next smaller one: what is equal to `value` is too many, of any number of rows up to 10¹¹.

    Examples
    --------
    >>> share(0.05), share(0.05, below=True)
    ('5%', '4.9999999999%')
    """
    return f"{100 * value - (1e-10 if below else 0):.10f}".rstrip("0").rstrip(".") + "%"


def chosen(found: Mapping[str, Found], name: str | None, path: Path, what: str) -> tuple[str, Found]:
    """The table of this name, or the only one; ConfigError where there are several, or none of the name."""
    if name is None and len(found) > 1:
        raise ConfigError(f"{path}: has several {what}s: {', '.join(found)}. Choose one with --model")
    name = name if name is not None else next(iter(found))
    if name not in found:
        raise ConfigError(f"{path}: has no {what} {name!r}; it has: {', '.join(found)}")
    return name, found[name]


def needed(column: str | None) -> str:
    """The column, if the check has one."""
    if column is None:
        raise UnmappedError("it names no column")
    return column


def no_file(table: object) -> UnmappedError:
    """Why a reference to a table of a database does not come over."""
    return UnmappedError(f"{table} is a table of a database and no file; write in_table with the path of its rows")


def dtype_named(name: str) -> str:
    """A type of pandas, Python or a database, in the words of a schema; the name itself where it is not known."""
    plain = name.lower().split("(")[0].strip()
    return next((dtype for words, dtype in DTYPES.items() if plain in words), name)


def anywhere(plain: Mapping[str, Any]) -> str:
    """The pattern of a rule `matches`, for tools that look for it anywhere in a text."""
    return str(plain["pattern"]) if plain.get("anywhere") else f"^(?:{plain['pattern']})$"


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
