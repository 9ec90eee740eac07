"""Where in a YAML file a setting stands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml


def line_of(path: str | Path, place: Sequence[int | str]) -> int | None:
    """The line, from 1, of the setting at `place`, or of the nearest one above it; None where that cannot be told.

    Parameters
    ----------
    place : sequence of int or str
        Names and numbers as pydantic tells them; a name that is none, such as that of a branch, is passed over.
    """
    path = Path(path)
    if path.suffix not in (".yaml", ".yml"):
        return None
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None
    line: int | None = None
    for step in place:
        found = _inside(node, step)
        if found is not None:
            node, line = found
    return line


def _inside(node: yaml.Node | None, step: int | str) -> tuple[yaml.Node, int] | None:
    """What stands under a name or a number, and in which line."""
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        item = node.value[step]
        return item, item.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                return value, key.start_mark.line + 1
    return None
