"""Documents with line numbers: what is checked, and what is found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

from raypipe.config import Frozen

Severity = Literal["error", "warning"]
Path = tuple[str | int, ...]


class Finding(Frozen):
    """One fault in a file: where it is, what is wrong, and what to write in its place."""

    rule: str
    severity: Severity
    file: str
    line: int
    path: str
    """Keys that lead to it, such as `available_node_types.cpu.node_config`; empty in files without keys."""
    what: str
    instead: str


@dataclass(frozen=True)
class Document:
    """One document of a file, and the line of each of its keys."""

    file: str
    data: Any
    lines: dict[Path, int] = field(default_factory=dict)
    first_line: int = 1

    def line_of(self, path: Path) -> int:
        """Line of the value at `path`, or of the nearest thing around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, self.first_line)

    def found(self, rule: str, path: Path, what: str, instead: str, severity: Severity = "error") -> Finding:
        """A fault of the value at `path`."""
        return Finding(
            rule=rule,
            severity=severity,
            file=self.file,
            line=self.line_of(path),
            path=dotted(path),
            what=what,
            instead=instead,
        )


def dotted(path: Path) -> str:
    """A path as people write it.

    Examples
    --------
    >>> dotted(("spec", "containers", 0, "image"))
    'spec.containers[0].image'
    """
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def at(data: Any, *path: str | int) -> Any:
    """The value at `path`, or None where something on the way is missing or of another kind."""
    for step in path:
        if isinstance(data, list):
            data = data[step] if isinstance(step, int) and 0 <= step < len(data) else None
        else:
            data = data.get(step) if isinstance(data, dict) else None
    return data


def mapping(data: Any, *path: str | int) -> dict[str, Any]:
    """The mapping at `path`; empty where there is none."""
    value = at(data, *path)
    return value if isinstance(value, dict) else {}


def items(data: Any, *path: str | int) -> list[Any]:
    """The list at `path`; empty where there is none."""
    value = at(data, *path)
    return value if isinstance(value, list) else []


def scalars(data: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every plain value with its path."""
    if isinstance(data, dict):
        for name, value in data.items():
            yield from scalars(value, (*path, name))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from scalars(value, (*path, index))
    else:
        yield path, data


def read_yaml(file: str, text: str) -> tuple[list[Document], list[Finding]]:
    """Documents of a YAML file, and what is wrong with its YAML: no YAML at all, or a key that stands twice."""
    documents: list[Document] = []
    findings: list[Finding] = []
    try:
        loader = yaml.SafeLoader(text)
        while loader.check_node():
            node = loader.get_node()
            assert node is not None
            lines: dict[Path, int] = {}
            _walk(node, (), lines, findings, file)
            data = loader.construct_document(node)
            documents.append(Document(file, data, lines, node.start_mark.line + 1))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        said = str(getattr(error, "problem", None) or "cannot be read")
        whole = Document(file, None, {}, 1 if mark is None else mark.line + 1)
        findings.append(
            whole.found("yaml-invalid", (), f"not valid YAML: {said}", "mend the indentation or quotes here")
        )
    return [document for document in documents if document.data is not None], findings


def _key(node: yaml.Node) -> Any:
    """A key as it stands in the data: a number stays one."""
    return int(node.value) if node.tag == "tag:yaml.org,2002:int" and node.value.isdigit() else node.value


def _walk(node: yaml.Node, path: Path, lines: dict[Path, int], findings: list[Finding], file: str) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            place = (*path, _key(key))
            line = key.start_mark.line + 1
            if place in lines and key.value != "<<":
                what = f"key {key.value!r} stands twice; the first one, in line {lines[place]}, is lost"
                there = Document(file, None, {place: line})
                findings.append(there.found("yaml-duplicate-key", place, what, "leave one of them out"))
            lines[place] = line
            _walk(value, place, lines, findings, file)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[(*path, index)] = value.start_mark.line + 1
            _walk(value, (*path, index), lines, findings, file)
