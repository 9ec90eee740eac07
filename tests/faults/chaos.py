"""A randomised run of faults: `python -m tests.faults.chaos --kills 50 --seed 1 --out build/chaos`.

Runs the same work again and again on a cluster of several nodes, and takes workers, nodes and drivers away at moments
drawn from the seed, until so many kills have hit. Every run must end with the outputs of a run without faults. Writes
`chaos.json` and `chaos.txt`; ends with code 1 if any run made something else.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.command import outputs, run_command, write_csv
from tests.faults.family import Child, Family, FamilyError
from tests.faults.work import Made, reference

NODES = 3
MAX_KILLS_A_RUN = 4
RUN_S = 300.0
GONE_S = 30.0
TRIES = 3
DRIVERS_SHARE = 0.3
"""Of the runs, those whose driver is killed and which another process goes on with."""
WORK = {"rows": 3_000, "per_part": 50, "pause_s": 0.05}
CSV_ROWS = 150_000
COMMAND = ("--engine", "ray", "--workers", "2", "-s", "engine.block_mib=0.5", "-s", "engine.checkpoint_s=0.05")


@dataclass
class Kill:
    """One thing that was taken away."""

    what: str
    """worker, node or driver."""
    at_s: float
    """Seconds after the start of the run, as drawn."""
    hit: bool
    """False if the run had ended by then, or there was nothing to hit."""


@dataclass
class Turn:
    """One run, and what it went through."""

    number: int
    kind: str
    kills: list[Kill] = field(default_factory=list)
    seconds: float = 0.0
    equal: bool = False
    conserved: bool = False
    left: int = 0
    """Processes that outlived the driver by too long."""
    slow_starts: int = 0
    """How often Ray itself did not start in time, and the run was gone on with once more."""
    error: str = ""

    @property
    def is_good(self) -> bool:
        """Whether it ended as a run without faults does."""
        return self.equal and self.conserved and not self.left and not self.error


@dataclass
class Chaos:
    """The state of a chaos run."""

    draw: random.Random
    folder: Path
    expected: Made
    source: Path
    files: dict[str, str]
    _child: Child | None = None

    def child(self) -> Child:
        """The process with the cluster, a new one where the last was lost."""
        if self._child is None or not self._child.is_up:
            self._child = Child()
        return self._child

    def turn(self, number: int, most: int) -> Turn:
        """One run with at most so many kills."""
        made = Turn(number, "driver" if self.draw.random() < DRIVERS_SHARE else "cluster")
        place = self.folder / f"{number:03d}"
        place.mkdir(parents=True)
        started = time.monotonic()
        count = self.draw.randint(1, min(most, MAX_KILLS_A_RUN))
        try:
            if made.kind == "driver":
                self._kill_drivers(made, place, count)
            else:
                self._kill_on_the_cluster(made, place, count)
        except FamilyError as error:
            made.error = str(error)[-2000:]
        made.seconds = round(time.monotonic() - started, 1)
        return made

    def _kill_on_the_cluster(self, turn: Turn, place: Path, count: int) -> None:
        plan = sorted(
            (
                round(self.draw.uniform(0.5, 12.0), 2),
                "node" if self.draw.random() < 0.3 else "worker",
                self.draw.random(),
            )
            for _ in range(count)
        )
        made = self.child().ask("endure", timeout_s=RUN_S, folder=place, kills=plan, count=NODES, source=WORK)
        turn.kills = [Kill(**kill) for kill in made["kills"]]
        turn.equal = made["prints"] == self.expected.prints and made["rows"] == self.expected.rows
        turn.conserved = made["conserved"]

    def _kill_drivers(self, turn: Turn, place: Path, count: int) -> None:
        flag = "--run-id"
        for _ in range(count):
            at_s = round(self.draw.uniform(1.0, 14.0), 2)
            with run_command(self.source, place, flag, "one", *COMMAND) as family:
                turn.kills.append(Kill("driver", at_s, self._kill_at(family, at_s)))
                left = family.left_after(GONE_S)
                turn.left += len(left)
                turn.error += f"outlived their driver: {left} " if left else ""
            if not turn.kills[-1].hit:
                break
            flag = flag_for(place)
        if turn.kills[-1].hit and not self._ended_well(turn, place, flag):
            return
        turn.equal = outputs(place / "one") == self.files
        rows = json.loads((place / "one" / "execution_summary.json").read_text())["rows"]
        turn.conserved = rows["read"] == rows["kept"] + rows["quarantined"] + sum(rows["dropped"].values())

    def _ended_well(self, turn: Turn, place: Path, flag: str) -> bool:
        """Go on with a run to its end; again where Ray itself did not start in its 30 seconds, as under much load."""
        for _ in range(TRIES):
            with run_command(self.source, place, flag, "one", *COMMAND) as family:
                if family.wait(RUN_S) == 0:
                    return True
                said = family.stderr()
            if "timed out during startup" not in said:
                break
            turn.slow_starts += 1
            flag = flag_for(place)
        turn.error += said[-2000:]
        return False

    def _kill_at(self, family: Family, at_s: float) -> bool:
        until = time.monotonic() + at_s
        while time.monotonic() < until:
            if not family.is_up:
                return False
            time.sleep(0.02)
        family.kill_driver()
        return True

    def close(self) -> None:
        """End the cluster."""
        if self._child is not None:
            self._child.close()


def flag_for(place: Path) -> str:
    """How to begin a run again that was cut off: go on with it if it left something to go on from, else anew."""
    if (place / "one" / "resume" / "run.json").exists():
        return "--resume"
    if (place / "one").exists():
        (place / "one").rename(place / f"before-{len(list(place.iterdir()))}")
    return "--run-id"


def main(argv: Sequence[str] | None = None) -> int:
    """Run; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="kills that must hit")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("build/chaos"), help="folder for the report")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="rc-", dir="/tmp") as temp:
        turns = run(options.kills, options.seed, Path(temp))
    told = report(options.seed, turns)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "chaos.json").write_text(json.dumps(told, indent=1) + "\n")
    (options.out / "chaos.txt").write_text(in_words(told))
    print(in_words(told))
    return 0 if told["all_equal"] else 1


def run(kills: int, seed: int, folder: Path) -> list[Turn]:
    """Turns until so many kills have hit."""
    expected = reference(folder / "expected", **WORK)
    source = write_csv(folder / "table.csv", CSV_ROWS)
    with run_command(source, folder / "undisturbed", "--run-id", "one", *COMMAND) as family:
        assert family.wait(RUN_S) == 0, family.stderr()
    chaos = Chaos(random.Random(seed), folder, expected, source, outputs(folder / "undisturbed" / "one"))
    turns: list[Turn] = []
    try:
        while (left := kills - sum(kill.hit for turn in turns for kill in turn.kills)) > 0:
            turns.append(chaos.turn(len(turns) + 1, left))
            print(line_of(turns[-1]), file=sys.stderr, flush=True)
    finally:
        chaos.close()
    return turns


def report(seed: int, turns: Sequence[Turn]) -> dict[str, Any]:
    """All turns, and their sums."""
    hits = Counter(kill.what for turn in turns for kill in turn.kills if kill.hit)
    return {
        "seed": seed,
        "runs": len(turns),
        "kills": sum(hits.values()),
        "kills_by_kind": dict(sorted(hits.items())),
        "seconds": round(sum(turn.seconds for turn in turns), 1),
        "all_equal": all(turn.is_good for turn in turns),
        "turns": [{**asdict(turn), "good": turn.is_good} for turn in turns],
    }


def line_of(turn: Turn) -> str:
    """One turn on one line."""
    kills = ", ".join(f"{kill.what}@{kill.at_s:g}s{'' if kill.hit else ' (missed)'}" for kill in turn.kills)
    state = "equal" if turn.is_good else f"NOT EQUAL {turn.error.strip().splitlines()[-1:] or ''}"
    return f"{turn.number:3d}  {turn.kind:8s} {turn.seconds:6.1f} s  {state:6s}  {kills}"


def in_words(told: dict[str, Any]) -> str:
    """The report as text."""
    turns = [Turn(**{**turn, "kills": [Kill(**kill) for kill in turn["kills"]]}) for turn in map(_bare, told["turns"])]
    by_kind = ", ".join(f"{count} x {what}" for what, count in told["kills_by_kind"].items())
    head = f"seed {told['seed']}: {told['kills']} kills ({by_kind}) in {told['runs']} runs, {told['seconds']:.0f} s"
    verdict = "every run ended with the outputs of a run without faults" if told["all_equal"] else "RUNS WENT WRONG"
    return "\n".join([head, *map(line_of, turns), verdict, ""])


def _bare(turn: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in turn.items() if name != "good"}


if __name__ == "__main__":
    sys.exit(main())
