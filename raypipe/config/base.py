"""What every value is made of, and what one worker reserves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, NonNegativeFloat, PlainSerializer, PositiveFloat

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Frozen(BaseModel):
    """A value: never changes, compares by content, refuses names it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def replace(self, **changes: Any) -> Self:
        """A copy with `changes`, validated again."""
        return type(self).model_validate({**dict(self), **changes})


def _pairs(labels: Any) -> Any:
    """A mapping as sorted pairs, which can be hashed."""
    return tuple(sorted(labels.items())) if isinstance(labels, Mapping) else labels


Labels = Annotated[
    tuple[tuple[str, str], ...], BeforeValidator(_pairs), PlainSerializer(dict, return_type=dict[str, str])
]
"""Given as a mapping, kept as sorted pairs."""


class Resources(Frozen):
    """What one worker of a stage reserves."""

    cpus: NonNegativeFloat = 1.0
    gpus: NonNegativeFloat = 0.0
    """GPUs; below 1 shares a device."""
    memory_gib: PositiveFloat | None = None
    """Heap to reserve in GiB; None leaves it to Ray."""
    labels: Labels = ()
    """Labels that the node must have, e.g. {"ray.io/market-type": "spot"} or {"ray.io/accelerator-type": "A100"}."""
