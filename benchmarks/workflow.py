"""Eight learning tasks, four estimators each, tuned in a time budget: raypipe beside the same search written by hand.

    python -m benchmarks.workflow --seconds 60

Contenders: `run_ml_workflow` as it comes, and on Ray Tune with Ray up; candidates of scikit-learn's sampler, and of
Optuna, each judged by cross_val_score on two processes. All have the same rows, folds, space and score, and the same
budget for the whole: search, learning with the best, judging on rows held back. Beside them, what one trial costs: a
search in one process against cross_val_score of the same candidates, in CPU seconds.

Every cell (task, estimator, contender, round) is a fresh process, and stands in a journal as soon as it is done. A run
that was interrupted goes on with what is missing; short runs of some tasks add up to a long one. Each cell has the load
of the machine and its CPU seconds with it.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.harness import MIN_ROUNDS, Contender, Options, Sample, parse
from benchmarks.learning_tasks import ESTIMATORS, MAX_ROWS, QUICK_ROWS, TASKS, prepare, space_of
from benchmarks.machine import commit, load, machine
from benchmarks.process import ContenderError, Server
from benchmarks.workflow_report import report

CONTENDERS = (
    Contender("raypipe", "raypipe_learning", "raypipe", {"engine": "auto"}),
    Contender("raypipe on Ray Tune", "raypipe_learning", "raypipe", {"engine": "ray"}),
    Contender("scikit-learn", "plain_learning", "raypipe", {"by": "sampler", "jobs": 2}),
    Contender("Optuna", "plain_learning", "raypipe", {"by": "optuna", "jobs": 2}),
    Contender("one trial", "trial_cost", "raypipe", {"trials": 4, "rounds": 3}),
)
IF_NAMED = (
    Contender("raypipe on a Ray of its own", "raypipe_learning", "raypipe", {"engine": "ray", "ray_is_up": False}),
    Contender("raypipe inline", "raypipe_learning", "raypipe", {"engine": "inline"}),
    Contender("scikit-learn, one core", "plain_learning", "raypipe", {"by": "sampler", "jobs": 1}),
    Contender("Optuna, one core", "plain_learning", "raypipe", {"by": "optuna", "jobs": 1}),
)
"""Measured where they are named: Ray started within the budget, and searches on one core."""
SECONDS, QUICK_SECONDS = 60.0, 3.0


@dataclass(frozen=True)
class Cell:
    """One measurement."""

    task: str
    estimator: str
    contender: str
    round: int
    seconds: float
    """The budget."""
    max_rows: int
    facts: dict[str, Any] = field(default_factory=dict)
    sample: dict[str, Any] = field(default_factory=dict)
    load_after: dict[str, float] = field(default_factory=dict)
    commit: str = ""
    error: str | None = None

    @property
    def key(self) -> tuple[str, str, str, int, float, int]:
        """What it is a measurement of."""
        return self.task, self.estimator, self.contender, self.round, self.seconds, self.max_rows


@dataclass
class Journal:
    """The cells that are done, one JSON line each."""

    path: Path
    cells: list[Cell] = field(default_factory=list)

    def read(self) -> None:
        """What is there. A line that was cut off does not count."""
        if not self.path.exists():
            return
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                self.cells.append(Cell(**json.loads(line)))
            except (ValueError, TypeError):
                continue

    def add(self, cell: Cell) -> None:
        """Keep a cell."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab+") as file:
            whole = not file.tell() or (file.seek(-1, 2), file.read())[1] == b"\n"
            file.write(b"" if whole else b"\n")  # a run was ended in the middle of a line
            file.write(json.dumps(asdict(cell)).encode() + b"\n")
        self.cells.append(cell)

    def has(self, cell: Cell) -> bool:
        """Whether it was measured, without an error."""
        return any(one.key == cell.key and one.error is None for one in self.cells)


def _add(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(rounds=1)  # 32 pairs of task and estimator are rounds enough
    parser.add_argument("--seconds", type=float, help=f"budget of each search; default: {SECONDS:g}")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS), metavar="TASK")
    parser.add_argument("--estimators", nargs="+", default=list(ESTIMATORS), choices=list(ESTIMATORS), metavar="NAME")
    parser.add_argument("--contenders", nargs="+", default=(), metavar="NAME", help="as --only; * stands for any text")
    parser.add_argument("--max-rows", type=int, help=f"rows drawn of a larger table; default: {MAX_ROWS:,}")
    parser.add_argument("--journal", type=Path, help="cells that are done; default: workflow.jsonl beside the data")
    parser.add_argument("--fresh", action="store_true", help="begin a new journal, and keep the old one as .old")
    parser.add_argument("--report", action="store_true", help="measure nothing; tell what the journal has")


def chosen(options: Options) -> list[Contender]:
    """The contenders that are named; none named: all but those of `IF_NAMED`."""
    patterns, able = (*options.only, *options.extra.contenders), (*CONTENDERS, *IF_NAMED)
    if not patterns:
        return list(CONTENDERS)
    found = [one for one in able if any(fnmatch.fnmatchcase(one.name, pattern) for pattern in patterns)]
    if not found:
        raise SystemExit(
            f"--contenders: none is called {patterns[0]!r}; there are {', '.join(one.name for one in able)}"
        )
    return found


def cells_of(options: Options, contenders: Sequence[Contender]) -> Iterator[tuple[Cell, Contender]]:
    """All cells in the order of measuring: round by round, and the contenders of a cell one after the other."""
    extra = options.extra
    for number in range(options.rounds):
        for task in extra.tasks:
            for estimator in extra.estimators:
                for one in contenders:
                    yield Cell(task, estimator, one.name, number, extra.seconds, extra.max_rows), one


def measure(cell: Cell, contender: Contender, options: Options) -> Cell:
    """One cell, in a process of its own."""
    kind = TASKS[cell.task].kind
    told = {
        **prepare(cell.task, options.data, cell.max_rows),
        "estimator": cell.estimator,
        "space": space_of(cell.estimator, kind),
        "seconds": cell.seconds,
        **contender.task,
    }
    before, module = load(), f"benchmarks.contenders.{contender.module}"
    try:
        with Server(options.python(contender.env), module, options.timeout_s) as server:
            server.ask("load")
            server.ask("prepare", told)
            sample = Sample.of(cell.round, server.ask("run", told), before)
    except ContenderError as error:
        print(error, file=sys.stderr)
        return Cell(*cell.key, load_after=load(), commit=commit(), error=str(error).splitlines()[0])
    kept = asdict(sample)
    facts = kept.pop("facts")
    return Cell(*cell.key, facts, kept, load(), commit())


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; see the module's text."""
    options = parse(__doc__ or "", _add, argv)
    extra = options.extra
    extra.seconds = extra.seconds or (QUICK_SECONDS if options.quick else SECONDS)
    extra.max_rows = extra.max_rows or (QUICK_ROWS if options.quick else MAX_ROWS)
    journal = Journal(extra.journal or options.data / "workflow.jsonl")
    if extra.fresh and journal.path.exists():
        journal.path.replace(journal.path.with_suffix(".old"))
    journal.read()
    wanted = list(cells_of(options, chosen(options)))
    missing = [] if extra.report else [pair for pair in wanted if not journal.has(pair[0])]
    print(f"{len(wanted)} cells, {len(wanted) - len(missing)} of them done", file=sys.stderr, flush=True)
    for number, (cell, contender) in enumerate(missing, start=1):
        done = measure(cell, contender, options)
        journal.add(done)
        print(f"{number} of {len(missing)}: {_line(done)}", file=sys.stderr, flush=True)
    asked = {cell.key for cell, _ in wanted}
    document = {
        "command": f"python -m benchmarks.workflow --seconds {extra.seconds:g} --rounds {options.rounds}",
        "quotable": options.rounds >= MIN_ROUNDS and not options.quick and extra.seconds >= SECONDS,
        "seconds": extra.seconds,
        "max_rows": extra.max_rows,
        "machine": machine(),
        "commit": commit(),
        "packages": _packages(options),
    }
    cells = {one.key: one for one in journal.cells if one.key in asked}  # the last of a key counts
    return report(document, [asdict(one) for one in cells.values()], options.results)


def _packages(options: Options) -> Mapping[str, str]:
    with Server(options.python("raypipe"), "json", options.timeout_s) as server:
        found: Mapping[str, str] = server.ask("packages").facts
        return found


def _line(cell: Cell) -> str:
    what = f"{cell.task}, {cell.estimator}, {cell.contender}"
    if cell.error is not None:
        return f"{what}: {cell.error}"
    facts, sample = cell.facts, cell.sample
    if "ratio" in facts:
        return f"{what}: {facts['ratio']:.3f} of cross_val_score (a fit takes {facts['fit_s'] * 1000:.0f} ms)"
    return (
        f"{what}: loss {facts['loss']:.4f}, {facts['trials']} trials, {facts['over_s']:+.1f} s over,"
        f" CPU {sample['cpu_s']:.0f} s, load {cell.load_after['load_1min']:.1f}"
    )


if __name__ == "__main__":
    sys.exit(main())
