"""What raypipe finds in tables about which the truth is known, and what it finds that is not there.

    python -m benchmarks.insights --first 7

Each table has one planted fact among columns of noise, or none (`benchmarks/planted.py`). Recall: tables whose fact is
told. Precision: findings that are so, of all. False alarms: tables with nothing in them about which something is told
that is not so. ydata-profiling's alerts and pysuricata's flags are read the same way, on a share of the tables, since
the first takes seconds each. Tables that a change of raypipe was tried on tell nothing of it any more: `--first` makes
others, and the results say which. sweetviz draws and says nothing, so that there is nothing to score. Nothing is timed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.harness import Contender, Options, parse
from benchmarks.machine import commit, machine
from benchmarks.planted import KINDS, Claim, Planted, is_empty, tables
from benchmarks.process import ContenderAbsentError, Server
from raypipe.blocks.chance import wilson_interval

RAYPIPE = Contender("raypipe", "raypipe_insights", "raypipe")
PEERS = (Contender("ydata-profiling", "ydata_alerts"), Contender("pysuricata", "pysuricata_alerts"))
PEER_SHARE = 0.25
"""Of the tables, for peers."""
EXAMPLES = 40


@dataclass
class Score:
    """One contender's counts."""

    planted: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)
    """Findings by kind of table."""
    false: Counter[str] = field(default_factory=Counter)
    tables_with_false: Counter[str] = field(default_factory=Counter)
    false_types: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)

    def add(self, made: Planted, number: int, claims: list[tuple[Claim, str]]) -> None:
        """Hold what was told of one table against the truth."""
        self.planted[made.kind] += 1
        self.told[made.kind] += len(claims)
        hit = made.truth is not None and any(made.truth.matches(claim) for claim, _ in claims)
        self.found[made.kind] += hit
        if made.truth is not None and not hit:
            self.missed.append(f"{made.kind} {number}: told {sorted({claim.type for claim, _ in claims})}")
        known = [*made.so, *([made.truth] if made.truth else [])]
        false = [(claim, title) for claim, title in claims if not any(one.matches(claim) for one in known)]
        self.false[made.kind] += len(false)
        self.tables_with_false[made.kind] += bool(false)
        self.false_types.update(claim.type for claim, _ in false)
        self.examples += [
            f"{made.kind} {number}: {claim.type} {list(claim.columns)}: {title}" for claim, title in false
        ]

    def figures(self) -> dict[str, Any]:
        """The figures as they are kept."""
        kinds = [kind for kind in KINDS if self.planted[kind]]
        wanted, nothing = ([kind for kind in kinds if is_empty(kind) is empty] for empty in (False, True))
        told, false = self.told.total(), self.false.total()
        empty, alarms = (sum(counts[kind] for kind in nothing) for counts in (self.planted, self.tables_with_false))
        return {
            "tables": self.planted.total(),
            "recall": _share(sum(self.found[kind] for kind in wanted), sum(self.planted[kind] for kind in wanted)),
            "recall_by_kind": {kind: _share(self.found[kind], self.planted[kind]) for kind in wanted},
            "findings": told,
            "precision": _share(told - false, told),
            "false_by_kind": {kind: self.false[kind] for kind in kinds},
            "empty_tables": empty,
            "empty_tables_with_a_false_finding": alarms,
            "empty_by_kind": {kind: self.tables_with_false[kind] for kind in nothing},
            "false_alarm_share": _share(alarms, empty),
            "false_alarm_interval": [round(end, 4) for end in wilson_interval(alarms, empty)],
            "false_by_type": dict(self.false_types.most_common()),
            "missed": self.missed[:EXAMPLES],
            "false_examples": self.examples[:EXAMPLES],
        }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def score(options: Options, contender: Contender, share: float, folder: Path) -> dict[str, Any]:
    """Ask one contender about the tables."""
    result: dict[str, Score] = defaultdict(Score)
    python = options.python(contender.env)
    if not python.exists():
        return {"absent": "no Python of the peers: `make bench` builds it from benchmarks/requirements.txt"}
    try:
        with Server(python, f"benchmarks.contenders.{contender.module}", options.timeout_s) as server:
            server.ask("load")
            for number, made in enumerate(tables(share, options.extra.first)):
                path = folder / f"{contender.module}-{number}.parquet"
                made.table.write_parquet(path)
                task = {"path": str(path), "target": made.target, "time": made.time}
                told = server.ask("run", task).facts["claims"]
                claims = [(Claim(kind, category, tuple(columns)), title) for kind, category, columns, title in told]
                result[contender.name].add(made, number, claims)
                print(f"{contender.name}: {number + 1}", file=sys.stderr, end="\r", flush=True)
    except ContenderAbsentError as error:
        return {"absent": str(error).splitlines()[0]}
    return result[contender.name].figures()


def show(results: dict[str, dict[str, Any]]) -> None:
    """The figures as a table."""
    table = Table(title="insights: findings held against planted truths")
    names = [name for name, found in results.items() if "absent" not in found]
    for head in ("", *names):
        table.add_column(head, justify="left" if not head else "right")
    rows = ["tables", "recall", "precision", "findings", "empty_tables", "false_alarm_share"]
    for row in rows:
        table.add_row(row.replace("_", " "), *(str(results[name][row]) for name in names))
    for kind in KINDS:
        if not is_empty(kind):
            table.add_row(f"recall, {kind}", *(str(results[name]["recall_by_kind"].get(kind)) for name in names))
    console = Console()
    console.print(table)
    for name, found in results.items():
        if "absent" in found:
            console.print(f"{name}: not measured, {found['absent']}")


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--first", type=int, default=0, help="another number gives other tables of the same kinds")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; see the module's text."""
    options = parse(__doc__ or "", _add, argv)
    share = 0.02 if options.quick else 1.0
    contenders = [RAYPIPE, *PEERS]
    if options.only:
        contenders = [one for one in contenders if one.name in options.only]
    results = {}
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        for contender in contenders:
            part = share if contender is RAYPIPE else share * PEER_SHARE
            results[contender.name] = score(options, contender, part, Path(folder))
    show(results)
    document = {
        "name": "insights",
        "command": f"python -m benchmarks.insights --first {options.extra.first}",
        "first": options.extra.first,
        "commit": commit(),
        "machine": machine(),
        "timed": False,
        "results": results,
    }
    options.results.mkdir(parents=True, exist_ok=True)
    path = options.results / "insights.json"
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
