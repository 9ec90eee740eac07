"""What the fields of a model mean, in the words that stand below them.

pydantic can read these texts while a class is made, but then every start of every process parses the source of
every model, for words that only references and editors show. Here they are read when somebody asks for them.
"""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import textwrap
from collections.abc import Mapping
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
    try:
        source = inspect.getsource(kind)
    except (OSError, TypeError):  # made at run time, or installed without its source
        return {}
    (tree,) = ast.parse(textwrap.dedent(source)).body
    body = getattr(tree, "body", [])
    return {
        field.target.id: inspect.cleandoc(below.value.value)
        for field, below in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str)
    }


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
