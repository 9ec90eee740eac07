"""Where and how a plan runs."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from raypipe.config.base import Frozen, Share


class EngineConfig(Frozen):
    """Where and how the plan runs."""

    engine: Literal["auto", "ray", "inline"] = "auto"
    """auto: sources under 16 MiB run in this process, everything else on Ray."""
    address: str | None = None
    """Ray cluster to connect to; None starts a private one on this machine."""
    workers: PositiveInt | None = None
    """Exactly so many workers a pool; None lets pools grow and shrink between the two bounds below."""
    min_workers: PositiveInt = 1
    """Workers that a pool never has less of while it has work."""
    max_workers: PositiveInt | None = None
    """Workers that a pool never has more of; None takes the CPUs of a private Ray, and as many as there is work for on
    a cluster."""
    idle_worker_s: PositiveFloat = 10.0
    """A worker with nothing to do for this long leaves its pool."""
    fuse: bool = True
    """False gives each stage a pool of its own."""
    block_rows: PositiveInt | None = None
    """Cut blocks to at most this many rows; None follows `block_mib`."""
    block_mib: PositiveFloat = 64.0
    """Target size of a block in memory, in MiB."""
    memory_gib: PositiveFloat | None = None
    """Budget for blocks held in the object store, in GiB; None takes half the store."""
    max_failed_share: Share = 0.01
    """Rows that make a stage fail go to quarantine up to this share of the rows read; past it the run fails."""
    max_task_retries: NonNegativeInt = 3
    """How often a call is tried again whose worker was lost."""
    call_timeout_s: PositiveFloat | None = None
    """A call that runs longer is stopped, and the rows that never end are found and set aside; None waits."""
    start_timeout_s: PositiveFloat = 1800.0
    """The run ends if no worker of a pool could be started for this long."""
    checkpoint_s: PositiveFloat = 5.0
    """What is done is committed about so often, for `--resume`."""
    stall_warning_s: PositiveFloat = 30.0
    """Say which stage waits for what after this long without progress."""

    @model_validator(mode="after")
    def _bounds_fit(self) -> Self:
        if self.max_workers is not None and self.max_workers < self.min_workers:
            raise ValueError(f"min_workers is {self.min_workers}, more than max_workers ({self.max_workers})")
        return self
