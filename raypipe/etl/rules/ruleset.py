"""Rules for one table, from a file or from code."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import Field, SerializeAsAny, ValidationError, field_validator

from raypipe.config import Frozen
from raypipe.config.texts import DescribedJsonSchema
from raypipe.errors import ConfigError
from raypipe.etl.rules.mistakes import line_of, parse_text, sentence
from raypipe.etl.rules.registry import RULES, make_rule, rule_class
from raypipe.etl.rules.rule import Action, RowRule, Rule, SchemaRule
from raypipe.etl.rules.schema import ColumnSchema, DataSchema
from raypipe.etl.wording import shown

ENDINGS = (".yaml", ".yml", ".json")
MISTAKES_TOLD = 10


class RuleSet(Frozen):
    """What one table must keep to, rule by rule.

    Examples
    --------
    >>> from raypipe.etl import rules
    >>> checks = RuleSet(name="people", rules=(rules.not_null("name", "age"), rules.between("age", min=0))).checks()
    >>> [check.id for check in checks]
    ['not_null:name', 'not_null:age', 'between:age']
    """

    name: str = ""
    description: str = ""
    action: Action = "count"
    """What becomes of rows at fault, where a rule does not say."""
    rules: tuple[SerializeAsAny[Rule], ...] = Field(min_length=1)

    @field_validator("rules", mode="before")
    @classmethod
    def _by_name(cls, value: object) -> object:
        if not isinstance(value, list | tuple):
            return value
        return tuple(_made(one) if isinstance(one, dict) else one for one in value)

    def checks(self, now: dt.datetime | None = None) -> tuple[Rule, ...]:
        """Each rule for each of its columns, with distinct ids, and with nothing left open.

        Parameters
        ----------
        now : datetime or None
            What counts as now in rules about the future and freshness that do not say; None leaves it open.
        """
        found = [check for rule in self.rules for check in rule.each()]
        twice = Counter(check.id for check in found)
        seen: Counter[str] = Counter()
        checks = []
        for check in found:
            changes: dict[str, Any] = {}
            seen[check.id] += 1
            if twice[check.id] > 1 and seen[check.id] > 1:
                changes["id"] = f"{check.id}#{seen[check.id]}"
            if getattr(check, "action", "none") is None:  # a field of rules that can name rows
                changes["action"] = self.action
            if now is not None and "as_of" in type(check).model_fields and getattr(check, "as_of") is None:  # noqa: B009 (a field of some rules)
                changes["as_of"] = now
            checks.append(check.model_copy(update=changes) if changes else check)
        return tuple(checks)

    @classmethod
    def of_schema(cls, schema: DataSchema) -> Self:
        """The same demands as a schema makes, as rules: to go on from, where a schema no longer says enough."""
        found: list[Rule] = []
        required = tuple(column.name for column in schema.columns if column.required)
        if required:
            found.append(make_rule("columns_exist", *required))
        for column in schema.columns:
            found += _of_column(column, column.name in schema.primary_key)
        if schema.primary_key:
            found.append(make_rule("primary_key", *schema.primary_key))
        if not found:
            raise ConfigError(f"schema {schema.name!r} demands nothing that a rule could say")
        return cls(name=schema.name, description=schema.description, action="quarantine", rules=tuple(found))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read rules from a YAML or JSON file.

        Raises
        ------
        ConfigError
            Naming the file, and line, rule and field of each mistake.
        """
        path = Path(path)
        if path.suffix.lower() not in ENDINGS:
            raise ConfigError(f"rule file {path}: wanted a name that ends in .yaml, .yml or .json")
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConfigError(f"rule file {path}: cannot be read: {reason}") from None
        return cls.parse(text, path.suffix.lower(), f"rule file {path}")

    @classmethod
    def parse(cls, text: str, suffix: str = ".yaml", source: str = "rules") -> Self:
        """The rules in a text; `source` begins the message of an error.

        Raises
        ------
        ConfigError
            As `load`.
        """
        try:
            raw = parse_text(text, suffix)
        except (ValueError, yaml.YAMLError) as error:
            raise ConfigError(f"{source}: {' '.join(str(error).split())}") from None
        if not isinstance(raw, dict) or not isinstance(raw.get("rules"), list) or not raw["rules"]:
            raise ConfigError(f"{source}: wanted a list `rules:` with at least one rule, got {shown(raw)}")
        wrong = [*_mistakes_at_top(cls, raw, text), *_mistakes_in_rules(raw["rules"], text)]
        if wrong:
            more = f"; and {len(wrong) - MISTAKES_TOLD} more" if len(wrong) > MISTAKES_TOLD else ""
            raise ConfigError(f"{source}, {'; '.join(wrong[:MISTAKES_TOLD])}{more}")
        return cls.model_validate(raw)

    def save(self, path: str | Path) -> None:
        """Write the rules as YAML or JSON, by the ending of the name; fields left at their default are left out."""
        path = Path(path)
        if path.suffix.lower() not in ENDINGS:
            raise ConfigError(f"rule file {path}: wanted a name that ends in .yaml, .yml or .json")
        path.write_text(self.text(path.suffix.lower()), encoding="utf-8")

    def text(self, suffix: str = ".yaml") -> str:
        """The rules as they stand in a file."""
        values: dict[str, Any] = self.model_dump(mode="json", exclude_defaults=True, exclude={"rules"})
        values["rules"] = [written(rule) for rule in self.rules]
        if suffix == ".json":
            return json.dumps(values, indent=2, ensure_ascii=False) + "\n"
        text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=100)
        if yaml.safe_load(text) != values:  # U+0085 and its like are line breaks to YAML
            text = yaml.safe_dump(values, sort_keys=False, width=100)
        return text


def _of_column(column: ColumnSchema, in_key: bool) -> Iterator[Rule]:
    name = column.name
    if column.dtype is not None:
        yield make_rule("dtype_is", name, dtype=column.dtype)
    if in_key or not column.nullable:
        yield make_rule("not_null", name)
    bounds = {"min": column.min_value, "max": column.max_value}
    if any(value is not None for value in bounds.values()):
        yield make_rule("between", name, **bounds)
    if column.allowed_values is not None:
        yield make_rule("in_set", name, values=column.allowed_values)
    if column.regex_pattern is not None:
        yield make_rule("matches", name, pattern=column.regex_pattern)
    if column.unique:
        yield make_rule("unique", name)


def written(rule: Rule) -> dict[str, Any]:
    """A rule as plain values: its name, its columns, and what is not at its default."""
    values = rule.model_dump(mode="json", exclude_defaults=True, by_alias=True)
    columns = list(rule.columns)
    values = {name: _plain_number(value) for name, value in values.items()}
    first = {"rule": rule.rule} | ({"columns": columns[0] if len(columns) == 1 else columns} if columns else {})
    return {**first, **{name: value for name, value in values.items() if name not in first}}


def _plain_number(value: Any) -> Any:
    """A whole number without a point, as somebody would write it."""
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 2**53
    return int(value) if whole else value


def rules_json_schema() -> dict[str, Any]:
    """A JSON Schema of rule files, with which editors complete and check them."""
    definitions: dict[str, Any] = {}
    kinds = []
    for name, kind in RULES.items():
        schema = kind.model_json_schema(
            by_alias=True, ref_template="#/$defs/{model}", schema_generator=DescribedJsonSchema
        )
        definitions |= schema.pop("$defs", {})
        for field in ("columns", "segments", "tags"):
            plain = schema["properties"][field]
            plain["anyOf"] = [{"type": "string"}, {"type": "array", "items": plain.pop("items")}]
            plain.pop("type")
        schema["properties"]["rule"] = {"const": name}
        schema["required"] = ["rule", *schema.get("required", [])]
        definitions[f"rule:{name}"] = schema
        kinds.append({"if": {"properties": {"rule": {"const": name}}}, "then": {"$ref": f"#/$defs/rule:{name}"}})
    one = {"type": "object", "required": ["rule"], "properties": {"rule": {"enum": list(RULES)}}, "allOf": kinds}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Rules of raypipe for one table",
        "type": "object",
        "required": ["rules"],
        "additionalProperties": False,
        "properties": {
            "name": {"type": "string"},
            "description": {"type": "string"},
            "action": {"enum": ["count", "quarantine"]},
            "rules": {"type": "array", "minItems": 1, "items": one},
        },
        "$defs": definitions,
    }


COMMON = ("rule", "columns", "id", "severity", "segments", "tags", "description", "where", "warn", "error", "action")
"""Fields that more rules have than do not."""


def described(kind: type[Rule]) -> dict[str, Any]:
    """Name, group, own fields and meaning of a rule; a field that must be given bears no question mark."""
    fields = {info.alias or name: info for name, info in kind.model_fields.items() if name not in COMMON}
    return {
        "rule": kind.model_fields["rule"].default,
        "group": kind.GROUP,
        "about": "columns" if issubclass(kind, SchemaRule) else "rows" if issubclass(kind, RowRule) else "a figure",
        "fields": [name if info.is_required() else f"{name}?" for name, info in fields.items()],
        "meaning": " ".join((kind.__doc__ or "").split()),
    }


def _made(raw: dict[str, Any]) -> Rule:
    if not isinstance(raw.get("rule"), str):
        raise ValueError(f"wanted the name of a rule in `rule`, got {shown(raw)}")
    return rule_class(raw["rule"]).model_validate(raw)


def _mistakes_at_top(kind: type[RuleSet], raw: dict[str, Any], text: str) -> list[str]:
    known = tuple(kind.model_fields)
    found = [
        f"line {line_of(text, (name,))}, field {name!r}: " + sentence({"type": "extra_forbidden"}, str(name), known)
        for name in raw
        if name not in known
    ]
    plain = {name: value for name, value in raw.items() if name in known and name != "rules"}
    try:
        kind.model_validate({**plain, "rules": [{"rule": "row_count", "min": 0}]})
    except ValidationError as error:
        for mistake in error.errors(include_url=False):
            field = str(mistake["loc"][0])
            found.append(f"line {line_of(text, (field,))}, field {field!r}: {sentence(mistake, field, known)}")
    return found


def _mistakes_in_rules(raw: Sequence[Any], text: str) -> list[str]:
    told: list[str] = []
    for index, one in enumerate(raw):
        place = ("rules", index)
        if not isinstance(one, dict) or not isinstance(one.get("rule"), str):
            told.append(f"line {line_of(text, place)}: wanted a rule with its name in `rule`, got {shown(one)}")
            continue
        try:
            kind = rule_class(one["rule"])
        except ValueError as error:
            told.append(f"line {line_of(text, (*place, 'rule'))}: {error}")
            continue
        try:
            kind.model_validate(one)
        except ValidationError as error:
            told += _told(error, kind, one, text, place)
    return list(dict.fromkeys(told))


def _told(
    error: ValidationError, kind: type[Rule], raw: dict[str, Any], text: str, place: tuple[Any, ...]
) -> list[str]:
    known = tuple(field.alias or name for name, field in kind.model_fields.items())
    told = []
    for mistake in error.errors(include_url=False):
        field = str(mistake["loc"][0]) if mistake["loc"] else ""
        line = line_of(text, (*place, field)) if field in raw else line_of(text, place)
        subject = f"line {line}, rule {shown(raw['rule'])}" + (f", field {field!r}" if field else "")
        told.append(f"{subject}: {sentence(mistake, field, known)}")
    return told
