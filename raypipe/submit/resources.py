"""Whether a cluster could ever run a job: what it asks for, held against the nodes that are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raypipe.submit.replies import Node

Shape = Mapping[str, float]
GIB = 1 << 30
_IN_BYTES = ("memory", "object_store_memory")


def place(shapes: Sequence[Shape], nodes: Sequence[Shape]) -> bool:
    """Whether all `shapes` fit onto `nodes` at the same time, were the nodes empty.

    Examples
    --------
    >>> place([{"CPU": 1}, {"CPU": 1}], [{"CPU": 2}])
    True
    >>> place([{"CPU": 1}, {"CPU": 1}], [{"CPU": 1.5}])
    False
    """
    if not shapes:
        return True
    first, rest = shapes[0], shapes[1:]
    for number, node in enumerate(nodes):
        if fits(first, node):
            left = {name: amount - first.get(name, 0.0) for name, amount in node.items()}
            if place(rest, [*nodes[:number], left, *nodes[number + 1 :]]):
                return True
    return False


def fits(shape: Shape, node: Shape) -> bool:
    """Whether a node has as much of everything."""
    return all(node.get(name, 0.0) >= amount for name, amount in shape.items() if amount)


def lacking(demands: Mapping[str, Shape], nodes: Sequence[Node]) -> list[str]:
    """What no node has, in words; empty if all demands fit at the same time."""
    have = [node.resources_total for node in nodes]
    alone = [f"{who} asks for {words(shape)}" for who, shape in demands.items() if not place([shape], have)]
    if alone:
        return [f"{text}, and no node has that: {nodes_in_words(nodes)}" for text in alone]
    if not place(list(demands.values()), have):
        asked = ", and ".join(f"{who} for {words(shape)}" for who, shape in demands.items())
        return [f"together they do not fit: {asked}; the nodes are {nodes_in_words(nodes)}"]
    return []


def room(driver: Shape, worker: Shape, nodes: Sequence[Node]) -> int:
    """How many workers find a place beside the driver, wherever that leaves room for the most of them."""

    def holds(node: Shape) -> int:
        return int(min((node.get(name, 0.0) / amount for name, amount in worker.items() if amount), default=0))

    have = [node.resources_total for node in nodes]
    whole = [holds(node) for node in have]
    beside = [
        sum(whole) - whole[number] + holds({name: amount - driver.get(name, 0.0) for name, amount in node.items()})
        for number, node in enumerate(have)
        if fits(driver, node)
    ]
    return max(beside, default=0)


def nodes_in_words(nodes: Sequence[Node]) -> str:
    """What the nodes have, equal ones counted."""
    kinds: dict[str, int] = {}
    for node in nodes:
        own = {name: amount for name, amount in node.resources_total.items() if not name.startswith("node:")}
        own.pop("object_store_memory", None)
        shown = words(own) or "nothing"
        kinds[shown] = kinds.get(shown, 0) + 1
    return "; ".join(f"{count} x ({shown})" for shown, count in kinds.items()) or "none"


def words(shape: Shape) -> str:
    """A demand for people.

    Examples
    --------
    >>> words({"CPU": 1.0, "memory": 2 << 30})
    '1 CPU, 2 GiB memory'
    """
    said = []
    for name, amount in shape.items():
        said.append(f"{amount / GIB:.3g} GiB {name}" if name in _IN_BYTES else f"{amount:g} {name}")
    return ", ".join(said)
