"""Values that are secrets, and have no place in a file."""

from __future__ import annotations

import re
from collections.abc import Iterator

from raypipe.cluster.lint.documents import Document, Finding, scalars

KNOWN = {
    "an AWS access key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "a storage account key": re.compile(r"\b(?:AccountKey|SharedAccessKey)=[A-Za-z0-9+/=]{20,}"),
    "a GitHub token": re.compile(r"\bgh[pousr]_[A-Za-z0-9]{20,}\b"),
    "a Google API key": re.compile(r"\bAIza[0-9A-Za-z_-]{35}\b"),
    "a password in a URL": re.compile(r"\b[a-z][a-z0-9+.-]*://[^/\s:@$]+:[^/\s:@${]+@"),
}
_NAMED = re.compile(r"(?i)(?:^|_)(?:password|passwd|secret|token|api_?key|access_?key|private_?key)$")
_ASSIGNED = re.compile(r"\b([A-Z][A-Z0-9_]*(?:PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|ACCESS_KEY))=([^\s;&|]+)")
_REFERENCE = re.compile(r"^(\$|~|/|\.{1,2}/|<)")
INSTEAD = "name where it lies: a file, a secret of Kubernetes or compose, or an identity of the cloud"


def check_secrets(document: Document) -> Iterator[Finding]:
    """Findings about values that are secrets; the value itself is never repeated."""
    for path, value in scalars(document.data):
        if not isinstance(value, str):
            continue
        what = _secret_in(value) or _named_secret(document, path, value)
        if what:
            yield document.found("secret-value", path, f"holds {what}", INSTEAD)


def check_line(file: str, number: int, line: str) -> Iterator[Finding]:
    """The same for a line of a file that has no keys."""
    what = _secret_in(line)
    if what:
        there = Document(file, None, {}, number)
        yield there.found("secret-value", (), f"holds {what}", INSTEAD)


def _secret_in(text: str) -> str | None:
    for what, pattern in KNOWN.items():
        if pattern.search(text):
            return what
    for name, value in _ASSIGNED.findall(text):
        if not _REFERENCE.match(value.strip("\"'")):
            return f"a value of {name}"
    return None


def _named_secret(document: Document, path: tuple[str | int, ...], value: str) -> str | None:
    """A value under a key, or of an environment variable, whose name says that it is a secret."""
    if not path or not value or _REFERENCE.match(value):
        return None
    if path[-1] == "value" and len(path) > 1:  # an environment variable of Kubernetes: {name: …, value: …}
        parent = document.data
        for step in path[:-1]:
            parent = parent[step]
        name = parent.get("name") if isinstance(parent, dict) else None
    else:
        name = path[-1] if path[-1] == str(path[-1]).upper() else None
        if set(path) & {"stringData", "data"} and "kind" in document.data and document.data["kind"] == "Secret":
            return f"the value of the secret {path[-1]!r}"
    return f"a value of {name}" if isinstance(name, str) and _NAMED.search(name) else None
