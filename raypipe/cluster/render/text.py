"""How a rendered value becomes the text of a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

HEADER = "# Rendered from cluster.yaml by `raypipe cluster render`. Change that file, not this one.\n"


def yaml_text(*documents: Mapping[str, Any]) -> str:
    """Documents as one YAML file, keys in the order in which they were given, no line folded."""
    texts = [
        yaml.dump(dict(document), Dumper=_Plain, sort_keys=False, width=10_000, allow_unicode=True)
        for document in documents
    ]
    return HEADER + "---\n".join(texts)


class _Plain(yaml.SafeDumper):
    """Without anchors: a value that stands twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
