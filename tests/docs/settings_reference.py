"""The tables of settings in `docs/guide/settings.md`, made from the models themselves.

`python -m tests.docs.settings_reference` writes them into the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from raypipe.config import PipelineConfig
from raypipe.config.steps import AnyStep
from raypipe.config.texts import field_texts
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "guide" / "settings.md"
BEGIN, END = "<!-- settings: written from raypipe.config -->\n", "<!-- end of settings -->\n"


def reference() -> str:
    """One table for the top level, and one for each nested part."""
    tables = ["## Top level\n\n" + _table(PipelineConfig, _plain_fields(PipelineConfig))]
    tables += [f"## `{name}`\n\n{_table(model, _plain_fields(model))}" for name, model in _parts(PipelineConfig)]
    return "\n".join(tables)


def _plain_fields(model: type[BaseModel]) -> list[tuple[str, FieldInfo]]:
    return [(name, field) for name, field in model.model_fields.items() if _nested(field) is None]


def _parts(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Nested parts, and those nested in them, by their full names."""
    for name, field in model.model_fields.items():
        part = _nested(field)
        if part is not None:
            yield f"{above}{name}", part
            yield from _parts(part, f"{above}{name}.")


def every_setting() -> Iterator[str]:
    """Names of all settings, nested ones as `part.name`."""
    yield from (name for name, _ in _plain_fields(PipelineConfig))
    for part, model in _parts(PipelineConfig):
        yield from (f"{part}.{name}" for name, _ in _plain_fields(model))


def _nested(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _table(model: type[BaseModel], fields: list[tuple[str, FieldInfo]]) -> str:
    texts = field_texts(model)
    rows = [
        f"| `{name}` | {_kind(field)} | {_default(field)} | {_cell(texts.get(name, ''))} |" for name, field in fields
    ]
    return "\n".join(["| Setting | Values | Default | Meaning |", "|---|---|---|---|", *rows]) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _kind(field: FieldInfo) -> str:
    bounds = [text for text in map(_bound, field.metadata) if text]
    return ", ".join([_words(field.annotation), *bounds])


def _words(kind: Any) -> str:
    """The type in words that a user of a config file knows."""
    arguments = get_args(kind)
    if kind == AnyStep:
        return "step with its settings"
    if type(None) in arguments:
        return " or ".join([*(_words(one) for one in arguments if one is not type(None)), "null"])
    if "Literal" in str(get_origin(kind)):
        return " or ".join(f"`{value}`" for value in arguments)
    if get_origin(kind) is tuple:
        return "list of " + _words(arguments[0])
    if get_origin(kind) is dict:
        return "column: " + _words(arguments[1])
    if hasattr(kind, "__metadata__") and "Literal" in str(get_origin(arguments[0])):
        return _words(arguments[0])
    if hasattr(kind, "__metadata__"):
        return ", ".join([_words(arguments[0]), *filter(None, map(_bound, kind.__metadata__))])
    if arguments:
        return " or ".join(dict.fromkeys(map(_words, arguments)))
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return "settings " + ", ".join(f"`{name}`" for name in kind.model_fields)
    known = {"str": "text", "Path": "path", "bool": "true or false", "int": "whole number", "float": "number"}
    return known.get(kind.__name__, "settings of its own")


def _bound(limit: Any) -> str | None:
    if hasattr(limit, "metadata"):
        return ", ".join(filter(None, map(_bound, limit.metadata))) or None
    for name, word in (("gt", "above"), ("ge", "from"), ("lt", "below"), ("le", "to")):
        value = getattr(limit, name, None)
        if value is not None:
            return f"{word} {value:g}"
    return None


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "required"
    plain = list(value) if isinstance(value, tuple) else value
    plain = plain if isinstance(plain, (list, dict, str, int, float, bool)) or plain is None else str(plain)
    text = yaml.safe_dump(plain, default_flow_style=True, allow_unicode=True, width=10_000)
    return f"`{text.strip().removesuffix('...').strip()}`"


def write() -> None:
    """Put the tables into the page, between its two marks."""
    text = PAGE.read_text(encoding="utf-8")
    made = re.sub(
        re.escape(BEGIN) + ".*" + re.escape(END), lambda _: f"{BEGIN}\n{reference()}\n{END}", text, flags=re.DOTALL
    )
    PAGE.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    write()
