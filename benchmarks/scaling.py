"""How the engine grows with nodes: 10,000 blocks on 1, 2, 4 and 8 simulated nodes, beside Ray Data on the same work.

Each block waits 5 ms, as for a disk or a service, so that nodes that share the cores of one machine still work in
parallel: with ever more nodes the driver becomes the limit, and the figures show where. `bundled` lets small blocks
travel together, as raypipe does by itself; `a call a block` has blocks that are said to be large, which travel alone.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.contenders.workload import make_block
from benchmarks.figures import median_s, report
from benchmarks.harness import Contender, Meeting, parse
from benchmarks.process import ContenderError

BUNDLED, SINGLE, PEER = "raypipe, bundled", "raypipe, a call a block", "Ray Data, tasks"
CONTENDERS = [
    Contender(BUNDLED, "raypipe_scaling", "raypipe", {"bundled": True}),
    Contender(SINGLE, "raypipe_scaling", "raypipe", {"bundled": False}),
    Contender(PEER, "raydata_scaling", "peers", slow=True),
]
NODES = (1, 2, 4, 8)
BLOCKS, BLOCK_BYTES = 10_000, 16 << 10
WAIT_S = 0.005


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--nodes", type=int, nargs="+", default=NODES, help="numbers of nodes")
    parser.add_argument("--peer-nodes", type=int, nargs="+", default=(1, 8), help="those that Ray Data is measured on")
    parser.add_argument("--blocks", type=int, default=BLOCKS)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; see the module's text."""
    options = parse(__doc__ or "", _add, argv)
    blocks = 200 if options.quick else options.extra.blocks
    rows = blocks * make_block(0, BLOCK_BYTES).num_rows

    def turn(meeting: Meeting, contender: Contender) -> None:
        for nodes in (2,) if options.quick else options.extra.nodes:
            if contender.name == PEER and nodes not in options.extra.peer_nodes and not options.quick:
                continue
            task = {"nodes": nodes, "blocks": blocks, "block_bytes": BLOCK_BYTES}
            with meeting.open(contender) as server:
                server.ask("prepare", {**contender.task, **task})
                sample = meeting.time(case_of(nodes), contender, server, task)
                if sample.facts["rows"] != rows:
                    raise ContenderError(f"{contender.name}: got {sample.facts['rows']} rows; wanted {rows}")

    meeting = Meeting(options, CONTENDERS)
    meeting.run(turn)
    return report("scaling", meeting, [], BUNDLED, _notes(meeting, blocks))


def case_of(nodes: int) -> str:
    """How the figures call a number of nodes."""
    return f"{nodes} nodes"


def _notes(meeting: Meeting, blocks: int) -> list[str]:
    """Efficiency and what the driver pays, by case and contender."""
    notes = [f"{blocks:,} blocks of {BLOCK_BYTES >> 10} KB, each waits {WAIT_S * 1e3:g} ms; one worker a node"]
    for case, found in meeting.samples.items():
        ideal = blocks * WAIT_S / int(case.split()[0])
        for name, samples in found.items():
            seconds = median_s(samples)
            facts: Mapping[str, Any] = samples[len(samples) // 2].facts
            notes.append(
                f"{case}, {name}: efficiency {ideal / seconds:.0%}, {blocks / seconds:,.0f} blocks/s, "
                f"{1e6 * max(0.0, seconds - ideal) / blocks:,.0f} us over the wait for each block; driver "
                f"{facts['driver_cpu_us_per_block']:,.0f} us CPU and {facts['driver_bytes_per_block']:,.0f} bytes a "
                f"block, at most {_most(facts['driver_cpu_us_per_block']):,} blocks/s"
            )
    return notes


def _most(cpu_us: float) -> int:
    """Blocks a second at which the driver would use one core whole."""
    return math.floor(1e6 / cpu_us) if cpu_us else 0


if __name__ == "__main__":
    sys.exit(main())
