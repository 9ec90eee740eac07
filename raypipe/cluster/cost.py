"""What a cluster may cost an hour: estimates from a small table with a date, or from prices that the spec states."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources
from typing import Literal

import yaml

from raypipe.cluster.spec import Cloud, ClusterSpec, Head, Pool
from raypipe.config import Frozen
from raypipe.errors import ConfigError

NOT_IN = ("disks", "network traffic", "object storage", "NAT", "Kubernetes itself", "taxes")


class Source(Frozen):
    """Where prices of a cloud come from."""

    regions: tuple[str, ...]
    page: str


class PriceTable(Frozen):
    """Prices of machines in US dollars an hour."""

    month: str
    """When they held."""
    sources: dict[Cloud, Source]
    prices: dict[Cloud, dict[str, float]]


class CostLine(Frozen):
    """The head, or one pool."""

    name: str
    machine: str | None
    nodes: tuple[int, int]
    """Least and most."""
    per_hour: float | None
    """Of one machine; None where it is not known."""
    basis: Literal["your price", "estimate", "not available"]
    note: str = ""
    idle: float | None = None
    """An hour with the least number of nodes."""
    expected: float | None = None
    """An hour of the time that the duty stands for, on average."""
    full: float | None = None
    """An hour with the most nodes."""


class CostEstimate(Frozen):
    """What a cluster costs an hour on one cloud."""

    target: Cloud
    month: str
    source: str
    lines: tuple[CostLine, ...]
    complete: bool
    """False: some price is not available, and the sums leave it out."""
    idle: float
    expected: float
    full: float
    not_in: tuple[str, ...] = NOT_IN


def price_table() -> PriceTable:
    """The table that comes with raypipe."""
    text = resources.files("raypipe.cluster").joinpath("prices.yaml").read_text(encoding="utf-8")
    return PriceTable.model_validate(yaml.safe_load(text))


def estimate(spec: ClusterSpec, target: Cloud) -> CostEstimate:
    """What the cluster of a spec costs an hour on a cloud: idle, as expected, and with every pool full.

    Raises
    ------
    ConfigError
        If no pool of the spec has a machine there.
    """
    pools = spec.pools_on(target)
    if not pools:
        raise ConfigError(f"cluster spec: no pool names a machine on {target}; add `machine: {{{target}: …}}` to one")
    table = price_table()
    lines = [_line(spec, table, target, spec.head), *(_line(spec, table, target, pool) for pool in pools)]
    return CostEstimate(
        target=target,
        month=table.month,
        source=table.sources[target].page,
        lines=tuple(lines),
        complete=all(line.per_hour is not None for line in lines),
        idle=_sum(line.idle for line in lines),
        expected=_sum(line.expected for line in lines),
        full=_sum(line.full for line in lines),
    )


def _line(spec: ClusterSpec, table: PriceTable, target: Cloud, node: Head | Pool) -> CostLine:
    least, most, duty = (1, 1, 1.0) if isinstance(node, Head) else (node.min_workers, node.max_workers, node.duty)
    name = "head" if isinstance(node, Head) else node.name
    price, basis, note = _price(spec, table, target, node)
    line = CostLine(
        name=name, machine=getattr(node.machine, target), nodes=(least, most), per_hour=price, basis=basis, note=note
    )
    if price is None:
        return line
    running = least + duty * (most - least)
    return line.replace(idle=round(least * price, 2), expected=round(running * price, 2), full=round(most * price, 2))


def _price(
    spec: ClusterSpec, table: PriceTable, target: Cloud, node: Head | Pool
) -> tuple[float | None, Literal["your price", "estimate", "not available"], str]:
    own: float | None = getattr(node.price_per_hour, target)
    if own is not None:
        return own, "your price", ""
    machine = getattr(node.machine, target)
    known = table.prices[target].get(machine)
    if known is None:
        what = "no machine is named" if machine is None else f"the table has no price of {machine}"
        return None, "not available", f"not available, because {what}; set price_per_hour: {{{target}: …}}"
    notes = []
    if isinstance(node, Pool) and node.spot:
        notes.append("on-demand price, an upper bound: spot prices change by the hour")
    place = getattr(spec, target)
    region = getattr(place, "region", None) or getattr(place, "location", None)
    if region not in (None, *table.sources[target].regions):
        notes.append(f"of {table.sources[target].regions[0]}; yours is {region}")
    return known, "estimate", "; ".join(notes)


def _sum(values: Iterable[float | None]) -> float:
    return round(sum(value for value in values if value is not None), 2)
