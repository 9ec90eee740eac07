"""What the fields of a model mean, in the words that stand below them.

pydantic can read these texts while a class is made, but then every start of every process parses the source of
every model, for words that only references and editors show. Here they are read when somebody asks for them.
"""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue


@functools.cache
def field_texts(model: type[BaseModel]) -> Mapping[str, str]:
    """Field -> the text below it, for each field of `model` that has one, those of its bases included."""
    found: dict[str, str] = {}
    for kind in reversed(model.__mro__):
        if issubclass(kind, BaseModel) and kind is not BaseModel:
            found |= _texts_in(kind)
    given = {name: info.description for name, info in model.model_fields.items() if info.description}
    return {name: text for name, text in {**found, **given}.items() if name in model.model_fields}


def _texts_in(kind: type[BaseModel]) -> dict[str, str]:
    found = _classes_of(kind.__module__).get(kind.__qualname__)
    return {
        field.target.id: inspect.cleandoc(below.value.value)
        for field, below in itertools.pairwise(found.body if found is not None else ())
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str)
    }


@functools.cache
def _classes_of(module: str) -> Mapping[str, ast.ClassDef]:
    """Classes of a module by their qualified names; none where it has no source."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (OSError, TypeError, KeyError):
        return {}
    return dict(_classes_in(tree, ""))


def _classes_in(tree: ast.AST, above: str) -> Iterator[tuple[str, ast.ClassDef]]:
    for one in ast.iter_child_nodes(tree):
        if isinstance(one, ast.ClassDef):
            yield above + one.name, one
            yield from _classes_in(one, f"{above}{one.name}.")
        elif isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from _classes_in(one, f"{above}{one.name}.<locals>.")
        else:
            yield from _classes_in(one, above)


class DescribedJsonSchema(GenerateJsonSchema):
    """A JSON Schema in which each field bears its text: `Model.model_json_schema(schema_generator=...)`."""

    def model_schema(self, schema: Any) -> JsonSchemaValue:
        made = super().model_schema(schema)
        model = schema["cls"]
        for name, text in field_texts(model).items():
            info = model.model_fields[name]
            field = made.get("properties", {}).get(info.alias or name)
            if field is not None:
                field.setdefault("description", text)
        return made
