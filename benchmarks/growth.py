"""A run on a cluster that begins with no node: what it asks for, what the autoscaler starts, and when it is gone.

The nodes are Ray's fake ones: processes on this machine that its real autoscaler starts and ends, so that the times of
starting are those of processes and not of machines. `python -m benchmarks.growth` prints the course, and writes
`benchmarks/results/growth.json`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ray

from benchmarks.machine import commit, load, machine
from tests.faults.command import events
from tests.faults.family import Child

RESULTS = Path(__file__).with_name("results")
NODES, PARTS, PART_S = 3, 60, 0.8
SHRINK_S = 120.0
CHILD_S = 500.0


def measure(nodes: int, parts: int, part_s: float) -> dict[str, Any]:
    """One run, from no node to `nodes` and back to none."""
    with tempfile.TemporaryDirectory(prefix="rg-", dir="/tmp") as temp:
        with Child() as child:
            made = child.ask(
                "grow_and_shrink",
                timeout_s=CHILD_S,
                folder=temp,
                most=nodes,
                parts=parts,
                pause_s=part_s,
                end_s=SHRINK_S,
            )
        told = events(Path(temp))
    return {**made, "demand": demand(told, made["run_from_s"]), "work_s": parts * part_s}


def demand(told: Sequence[dict[str, Any]], begun_s: float) -> list[dict[str, Any]]:
    """What the run asked for and got, in seconds since the start of the head."""
    kinds = ("pool_grew", "worker_up", "pool_shrank", "worker_gone")
    return [
        {"t_s": round(begun_s + event["t_s"], 1), "event": event["event"], **_shown(event)}
        for event in told
        if event["event"] in kinds
    ]


def _shown(event: dict[str, Any]) -> dict[str, Any]:
    return {name: event[name] for name in ("workers", "by", "why", "waited_s") if name in event}


def summary(made: dict[str, Any]) -> dict[str, Any]:
    """The figures: seconds until the first and the last node, of the run, and from its end until no node is left."""
    course, begun, ended = made["course"], made["run_from_s"], made["run_to_s"]
    first = next(change["t_s"] for change in course if change["nodes"] > 0)
    most = next(change["t_s"] for change in course if change["nodes"] == made["most"])
    return {
        "nodes": made["most"],
        "work_s": made["work_s"],
        "run_s": round(ended - begun, 1),
        "first_node_s": round(first - begun, 1),
        "all_nodes_s": round(most - begun, 1),
        "none_left_s": round(course[-1]["t_s"] - ended, 1),
        "nodes_left": made["nodes_left"],
    }


def in_words(found: dict[str, Any], made: dict[str, Any]) -> str:
    """The course as a table, nodes and workers in one order of time."""
    lines = ["     t   what"]
    nodes = [(change["t_s"], f"{change['nodes']} nodes, {change['cpus']:g} CPUs") for change in made["course"]]
    wants = [
        (one["t_s"], " ".join(f"{name}={value}" for name, value in one.items() if name != "t_s"))
        for one in made["demand"]
    ]
    marks = [(made["run_from_s"], "run begins"), (made["run_to_s"], "run ends")]
    lines += [f"{t_s:6.1f}   {what}" for t_s, what in sorted([*nodes, *wants, *marks], key=lambda one: one[0])]
    return "\n".join([*lines, "", *(f"{name:14s} {value}" for name, value in found.items())])


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=NODES)
    parser.add_argument("--parts", type=int, default=PARTS)
    parser.add_argument("--part-s", type=float, default=PART_S, help="seconds that reading one part takes")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(argv)
    before = load()
    made = measure(options.nodes, options.parts, options.part_s)
    found = summary(made)
    document = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
        "load": before,
        "ray": ray.__version__,
        "figures": found,
        "course": made["course"],
        "demand": made["demand"],
    }
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "growth.json").write_text(json.dumps(document, indent=1) + "\n")
    print(in_words(found, made))
    return 0 if found["nodes_left"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
