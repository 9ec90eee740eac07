"""Mistakes in a file of a schema or of rules, told by line, column and field."""

from __future__ import annotations

import difflib
import json
from collections.abc import Hashable, Mapping
from typing import Any

import yaml
from pydantic import ValidationError

from raypipe.etl.wording import shown


def parse_text(text: str, suffix: str) -> Any:
    """The content of a YAML or JSON file; a field that stands twice in one place is an error, not the last one.

    Raises
    ------
    ValueError
        In one line, where the text is not what the suffix says.
    """
    if suffix == ".json":
        return json.loads(text, object_pairs_hook=_no_repeats)
    try:
        return yaml.load(text, Loader=_StrictLoader)  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(f"{where}{error.problem or error.context}") from error


def mistakes(error: ValidationError, raw: Mapping[str, Any], fields: Mapping[str, tuple[str, ...]]) -> str:
    """One sentence for each mistake.

    Parameters
    ----------
    error : ValidationError
        What pydantic found.
    raw : mapping
        The content of the file, for the names of columns.
    fields : mapping
        Name of the nested list ("" for the top) -> fields known there.
    """
    told: list[str] = []
    found = error.errors(include_url=False)
    # A column at fault is missing from what is counted afterwards, which is no mistake of its own.
    for mistake in [one for one in found if one["type"] != "too_short"] or found:
        place = mistake["loc"]
        nested = len(place) >= 2 and place[0] == "columns" and isinstance(place[1], int)
        inner = place[2:] if nested else place
        where = f"column {_column(raw, int(place[1]))}" if nested else ""
        field = ".".join(str(step) for step in inner if not _is_branch(step))
        subject = ", ".join(word for word in (where, f"field {field!r}" if field else "") if word)
        text = sentence(mistake, field.split(".")[0], fields["columns" if nested else ""])
        whole = f"{subject}: {text}" if subject else text
        if whole not in told:
            told.append(whole)
    return "; ".join(told[:10])


class _StrictLoader(yaml.SafeLoader):
    """A safe loader that refuses a key standing twice in one mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable):
                if key in seen:
                    raise ValueError(f"line {key_node.start_mark.line + 1}: {shown(key)} stands twice in one place")
                seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(shown(name) for name in names if names.count(name) > 1)} stands twice in one place")
    return found


def _column(raw: Mapping[str, Any], index: int) -> str:
    try:
        return shown(raw["columns"][index]["name"])
    except (KeyError, TypeError, IndexError):
        return f"number {index + 1}"


def _is_branch(step: object) -> bool:
    """Whether a step of the path names a branch of a union rather than a field."""
    return isinstance(step, str) and (step in ("bool", "int", "float", "str") or "[" in step)


def line_of(text: str, path: tuple[str | int, ...]) -> int | None:
    """The line, from 1, on which a value of a YAML or JSON text begins; of a field, the line of its name.

    Examples
    --------
    >>> line_of("name: a\\nrules:\\n- rule: x\\n  min: 1\\n", ("rules", 0, "min"))
    4
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:  # JSON may hold tabs, which YAML may not
        return None
    line = 0
    for step in path:
        if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            node = node.value[step]
            line = node.start_mark.line
        elif isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == step), None)
            if found is None:
                break
            line, node = found[0].start_mark.line, found[1]
    return line + 1


def sentence(mistake: Any, field: str, known: tuple[str, ...]) -> str:
    """What is wrong with a field, in words.

    Parameters
    ----------
    mistake : dict
        One of the errors of pydantic.
    field : str
        Where it is.
    known : tuple of str
        The fields that there are.
    """
    if mistake["type"] == "extra_forbidden":
        close = difflib.get_close_matches(field, known, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        return f"there is no such field; there are: {', '.join(known)}.{hint}"
    if mistake["type"] == "missing":
        return "is missing"
    text = str(mistake["msg"]).removeprefix("Value error, ")
    return text if mistake["type"] == "value_error" else f"{text}, got {shown(mistake['input'])}"
