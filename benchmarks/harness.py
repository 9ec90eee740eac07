"""Measures contenders side by side: rounds of A B C, A B C, ...; medians, spread, and the bars that were set.

Figures taken in different sessions do not compare, so that every ratio here is of runs of the same rounds.
"""

from __future__ import annotations

import argparse
import fnmatch
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmarks.machine import load
from benchmarks.process import ROOT, Answer, ContenderAbsentError, ContenderError, Server, run_cold

MIN_ROUNDS = 3
DEFAULT_PEERS = Path(".venv-bench/bin/python")


@dataclass(frozen=True)
class Contender:
    """One way to do the work, and the interpreter that it runs in."""

    name: str
    module: str
    """Under `benchmarks.contenders`."""
    env: Literal["raypipe", "peers"] = "peers"
    task: Mapping[str, Any] = field(default_factory=dict)
    """What it is told beside the task of the case."""
    slow: bool = False
    """Takes part in the first `--slow-rounds` rounds only."""


@dataclass(frozen=True)
class Sample:
    """One timed run."""

    round: int
    seconds: float
    facts: dict[str, Any]
    cpu_s: float
    main_rss_mib: float
    tree_pss_mib: float
    load: dict[str, float]

    @classmethod
    def of(cls, number: int, answer: Answer, load_before: dict[str, float]) -> Sample:
        """From what a process answered in this round."""
        usage, mib = answer.usage, 1 << 20
        return cls(
            number,
            round(answer.seconds, 4),
            answer.facts,
            round(usage.cpu_s, 2),
            round(usage.main_rss_bytes / mib, 1),
            round(usage.tree_pss_bytes / mib, 1),
            load_before,
        )


Samples = dict[str, dict[str, list[Sample]]]
"""Case -> contender -> samples, one a round."""


@dataclass
class Options:
    """What every measurement takes from the command line."""

    rounds: int
    slow_rounds: int
    quick: bool
    peers: Path
    data: Path
    results: Path
    timeout_s: float
    only: tuple[str, ...]
    extra: argparse.Namespace

    def python(self, env: str) -> Path:
        """The interpreter of an environment; raypipe's is the one that runs this."""
        return Path(sys.executable) if env == "raypipe" else self.peers


def parse(
    what: str, add: Callable[[argparse.ArgumentParser], None] | None = None, argv: Sequence[str] | None = None
) -> Options:
    """The command line, with `add` adding what one measurement alone knows."""
    parser = argparse.ArgumentParser(description=what, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rounds", type=int, default=MIN_ROUNDS, help="rounds; fewer than 3 are marked as not quotable"
    )
    parser.add_argument("--slow-rounds", type=int, default=1, help="rounds for contenders that take minutes")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: proves that it runs, measures nothing")
    parser.add_argument("--peers", type=Path, default=ROOT / DEFAULT_PEERS, help="Python of the peers' environment")
    parser.add_argument("--data", type=Path, default=ROOT / "benchmarks/data", help="where input files are made")
    parser.add_argument(
        "--results", type=Path, help="where the JSON goes; default: benchmarks/results, --quick: its tmp"
    )
    parser.add_argument("--timeout", type=float, default=1200.0, help="seconds one run may take")
    parser.add_argument("--only", nargs="+", default=(), metavar="NAME", help="these contenders; * stands for any text")
    if add is not None:
        add(parser)
    args = parser.parse_args(argv)
    if args.rounds < 1:
        parser.error(f"--rounds: got {args.rounds}; wanted 1 or more")
    results = args.results or ROOT / "benchmarks/results" / ("tmp" if args.quick else "")
    return Options(
        rounds=args.rounds, slow_rounds=args.slow_rounds, quick=args.quick, peers=args.peers.absolute(),
        data=args.data.absolute(), results=results.absolute(), timeout_s=args.timeout, only=tuple(args.only),
        extra=args,
    )  # fmt: skip


@dataclass
class Meeting:
    """Runs contenders in turn, and remembers what each took and who could not take part."""

    options: Options
    contenders: Sequence[Contender]
    samples: Samples = field(default_factory=dict)
    round: int = 0
    absent: dict[str, str] = field(default_factory=dict)
    """Contender -> why it was not measured."""
    failed: dict[str, str] = field(default_factory=dict)
    packages: dict[str, dict[str, str]] = field(default_factory=dict)
    """Environment -> package -> version."""

    def __post_init__(self) -> None:
        only = self.options.only
        if only:
            self.contenders = [
                one for one in self.contenders if any(fnmatch.fnmatchcase(one.name, pattern) for pattern in only)
            ]

    def run(self, turn: Callable[[Meeting, Contender], None]) -> None:
        """`turn` for each contender in each round; one that fails sits out the rounds after."""
        self._meet_environments()
        for number in range(self.options.rounds):
            self.round = number
            for contender in self.contenders:
                out = contender.name in self.absent or contender.name in self.failed
                if out or (contender.slow and self.round >= self.options.slow_rounds):
                    continue
                _say(f"round {self.round + 1} of {self.options.rounds}: {contender.name}")
                try:
                    turn(self, contender)
                except ContenderAbsentError as error:
                    self.absent[contender.name] = _first_line(error)
                except ContenderError as error:
                    self.failed[contender.name] = _first_line(error)
                    _say(str(error))

    def _meet_environments(self) -> None:
        for env in dict.fromkeys(contender.env for contender in self.contenders):
            python = self.options.python(env)
            if not python.exists():
                text = f"no Python at {_relative(python)}: `make bench` builds it from benchmarks/requirements.txt"
                self.absent.update({one.name: text for one in self.contenders if one.env == env})
                continue
            with Server(python, "json", self.options.timeout_s) as server:
                self.packages[env] = server.ask("packages").facts

    def open(self, contender: Contender) -> Server:
        """The contender's process, with its packages loaded."""
        module = f"benchmarks.contenders.{contender.module}"
        server = Server(self.options.python(contender.env), module, self.options.timeout_s)
        try:
            server.ask("load")
        except BaseException:
            server.stop()
            raise
        return server

    def time(self, case: str, contender: Contender, server: Server, task: Mapping[str, Any]) -> Sample:
        """Time one `run` of a server, and keep it under `case`."""
        before = load()
        return self._keep(case, contender, Sample.of(self.round, server.ask("run", {**contender.task, **task}), before))

    def time_cold(self, case: str, contender: Contender, command: Sequence[str]) -> Sample:
        """Time a whole process, and keep it under `case`."""
        before = load()
        return self._keep(case, contender, Sample.of(self.round, run_cold(command, self.options.timeout_s), before))

    def _keep(self, case: str, contender: Contender, sample: Sample) -> Sample:
        self.samples.setdefault(case, {}).setdefault(contender.name, []).append(sample)
        _say(
            f"  {case}: {sample.seconds:.3f} s (cpu {sample.cpu_s:.1f} s, busy before {sample.load['busy_share']:.0%})"
        )
        return sample


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _first_line(error: ContenderError) -> str:
    """What goes into the report, without the folders of this machine; the whole went to standard error."""
    return str(error).splitlines()[0].replace(str(ROOT), ".").replace(str(Path.home()), "~")


def _relative(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name
