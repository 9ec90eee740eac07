"""Secrets that stand in files: found before anything is uploaded, and told by place, never by value."""

from __future__ import annotations

import re
from collections.abc import Iterator

PATTERNS = {
    "an AWS access key": re.compile(rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a private key": re.compile(rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
    "an Azure account key": re.compile(rb"AccountKey=[A-Za-z0-9+/]{40,}=*"),
    "a GitHub token": re.compile(rb"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60,})\b"),
    "a Slack token": re.compile(rb"\bxox[abprs]-[A-Za-z0-9-]{20,}"),
}
IN_SETTINGS = {
    "a password in an address": re.compile(rb"[a-z][a-z0-9+.-]*://[^\s/:@'\"]+:(?!\$\{\w+\}@)[^\s/@'\"]+@"),
    "a signed address": re.compile(rb"[?&](?:sig|X-Amz-Signature|X-Goog-Signature)=[^&\s'\"]{8,}"),
    "a secret": re.compile(
        rb"(?im)^\s*[\w.-]*(?:password|passwd|secret|token|api_?key|credential)s?\s*[:=]\s*['\"]?\S"
    ),
}
"""Looked for in config files only; elsewhere such text is most often an example."""
_NAME = re.compile(r"SECRET|TOKEN|PASSW|PASSPHRASE|CREDENTIAL|PRIVATE|_KEY$|^KEY$|APIKEY|_SAS$|CONNECTION_STRING", re.I)


def secrets_in(content: bytes, *, settings: bool = False) -> Iterator[tuple[int, str]]:
    """Line number and kind of each secret in `content`.

    Examples
    --------
    >>> key = b"AKIA" + b"ABCDEFGHIJKLMNOP"
    >>> list(secrets_in(b"first line\\nkey = " + key))
    [(2, 'an AWS access key')]
    """
    for kind, pattern in {**PATTERNS, **(IN_SETTINGS if settings else {})}.items():
        for found in pattern.finditer(content):
            # A match that begins with white space begins on the line of its first letter.
            start = found.start() + len(found.group()) - len(found.group().lstrip())
            yield content.count(b"\n", 0, start) + 1, kind


def names_a_secret(name: str) -> bool:
    """Whether an environment variable of this name holds a secret, as names go.

    Examples
    --------
    >>> names_a_secret("DB_PASSWORD"), names_a_secret("AWS_REGION")
    (True, False)
    """
    return _NAME.search(name) is not None
