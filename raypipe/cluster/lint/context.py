"""What a check knows beside the document itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from raypipe.cluster.lint.documents import Document
from raypipe.cluster.spec import RAY_FLOOR, Versions


@dataclass(frozen=True)
class Context:
    """The versions that a cluster must have, and the network policies that stand beside it."""

    versions: Versions | None = None
    """None: no spec was given or found, so that versions are only compared with each other."""
    policies: tuple[Document, ...] = field(default=())


def below_floor(version: str) -> bool:
    """Whether this version of Ray has holes that are known.

    Examples
    --------
    >>> below_floor("2.55.1"), below_floor("2.60.0")
    (True, False)
    """
    return tuple(int(part) for part in version.split(".")[:2]) < RAY_FLOOR
