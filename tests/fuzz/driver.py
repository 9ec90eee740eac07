"""Feeds mutated files to every reader for a given time, and writes what came of it.

    python -m tests.fuzz.driver --seconds 600 --out fuzz/fuzz.json

Each format runs in a process of its own, so that a crash of a library is counted and told, and the next format goes on.
With atheris, mutations are led by what code they reach; without it, or with `--plain`, they are drawn at random.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import multiprocessing
import os
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from tests.fuzz.corpus import corpus
from tests.fuzz.mutate import mutated
from tests.fuzz.page import write_page

SLOWEST_S = 30.0
"""As in `check`, which is only imported where its imports are instrumented."""

EVERY_S = 1.0
HUNG_S = 60.0


def main() -> int:
    """Run; returns the number of inputs that broke a law."""
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--seconds", type=float, default=120.0, help="in all, shared out among the formats")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--plain", action="store_true", help="random mutations, without atheris")
    options.add_argument("--only", nargs="+", help="file names of the corpus, such as x.orc; others stay in the report")
    options.add_argument("--out", type=Path, default=Path("fuzz.json"))
    options.add_argument("--page", type=Path, help="write docs/fuzzing.md here, too")
    given = options.parse_args()
    names = [name for name in corpus() if given.only is None or name in given.only]
    os.environ.setdefault("POLARS_MAX_THREADS", "1")  # files are so small that threads only wait for each other
    share = given.seconds / max(1, len(names))
    old = json.loads(given.out.read_text()) if given.only and given.out.exists() else {"formats": {}}
    known = {name: {"seed": old["seed"], **counts} for name, counts in old["formats"].items()}
    report: dict[str, dict[str, Any]] = {name: known[name] for name in corpus() if name in known}
    machine = f"{os.cpu_count()} cores, {'mutations drawn at random' if given.plain or not _atheris() else 'atheris'}"
    for name in names:
        report[name] = _in_a_process(name, share, given.seed, given.plain, given.out.parent) | {"seed": given.seed}
        spent = sum(counts["seconds"] for counts in report.values())
        told = {"seconds": round(spent), "seed": given.seed, "machine": machine, "formats": report}
        given.out.write_text(json.dumps(told, indent=1) + "\n")
        if given.page is not None:
            write_page(given.page, told, SLOWEST_S)
    for name, counts in report.items():
        print(f"{name:16} " + "  ".join(f"{what}: {count}" for what, count in counts.items() if what != "broken"))
        for one in counts["broken"]:
            print(f"  {one['file']}: {one['error']}")
    return min(1, sum(len(counts["broken"]) for counts in report.values()))


def _in_a_process(name: str, seconds: float, seed: int, plain: bool, folder: Path) -> dict[str, Any]:
    """What became of the mutations of one file; what was being read when the process ended is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    state, last = folder / f".fuzz-{name}.json", folder / f".fuzz-{name}.last"
    state.unlink(missing_ok=True)
    last.unlink(missing_ok=True)
    # What atheris leads has to be imported under its eyes; else one process imports it for all.
    context: Any = multiprocessing.get_context("forkserver" if plain else "spawn")
    if plain:
        context.set_forkserver_preload(["tests.fuzz.check"])
    process = context.Process(target=_fuzz, args=(name, seconds, seed, plain, (state, last)))
    began = time.monotonic()
    process.start()
    hung = _hangs(process, last, began + seconds + SETUP_S)
    if hung:
        process.kill()
        process.join()
    counts: dict[str, Any] = json.loads(state.read_text()) if state.exists() else {"inputs": 0, "broken": []}
    counts |= {"seconds": round(time.monotonic() - began, 1), "bytes": len(corpus()[name])}
    if hung or process.exitcode not in (0, None):
        kept = folder / f"fuzz-crash-{name}"
        if last.exists():
            kept.write_bytes(last.read_bytes())
        why = "hung" if hung else f"the process ended with {process.exitcode}"
        counts["broken"].append({"file": kept.name, "error": why})
    for path in (state, last):
        path.unlink(missing_ok=True)
    return counts


def _hangs(process: Any, last: Path, until: float) -> bool:
    """Wait for its end; whether it is at one input for too long, or goes on long behind its time."""
    while process.is_alive():
        process.join(EVERY_S)
        busy = time.time() - last.stat().st_mtime if last.exists() else 0.0
        if process.is_alive() and (busy > HUNG_S or time.monotonic() > until + HUNG_S):
            return True
    return False


SETUP_S = 240.0
"""To import everything, instrumented, on a busy machine."""


class Tally:
    """Counts, written down every second, and the inputs that broke a law."""

    def __init__(self, name: str, outcome: Callable[[str, bytes], str], files: tuple[Path, Path]) -> None:
        self.name, self.outcome, self.files = name, outcome, files
        self.counts: Counter[str] = Counter()
        self.broken: list[dict[str, str]] = []
        self._next = 0.0

    def check(self, content: bytes) -> None:
        """Try one input."""
        state, last = self.files
        last.write_bytes(content)
        self.counts["inputs"] += 1
        try:
            self.counts[self.outcome(self.name, content)] += 1
        except BaseException as error:
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
            self.counts["law broken"] += 1
            if len(self.broken) < 5:
                kept = state.parent / f"fuzz-{len(self.broken)}-{self.name}"
                kept.write_bytes(content)
                said = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1][:300]
                self.broken.append({"file": kept.name, "error": said})
        if time.monotonic() > self._next:
            self._next = time.monotonic() + EVERY_S
            self.write()

    def write(self) -> None:
        """Write the counts down."""
        self.files[0].write_text(json.dumps({**self.counts, "broken": self.broken}))


def _fuzz(name: str, seconds: float, seed: int, plain: bool, files: tuple[Path, Path]) -> None:
    """Feed mutations of one file to its reader until time is up."""
    logging.disable(logging.CRITICAL)
    atheris = None if plain else _atheris()
    with atheris.instrument_imports(include=["raypipe.etl", "raypipe.storage"]) if atheris else nullcontext():
        from tests.fuzz.check import outcome
    tally, original, choice = Tally(name, outcome, files), corpus()[name], random.Random(f"{seed}{name}")
    end = time.monotonic() + seconds
    tally.check(original)
    if atheris:
        _led(atheris, tally, (original, choice, seed), end)
    while time.monotonic() < end:
        tally.check(mutated(original, choice))
    tally.write()


def _atheris() -> Any:
    """The library, or None where it is absent."""
    try:
        return importlib.import_module("atheris")
    except ImportError:
        return None


def _led(atheris: Any, tally: Tally, start: tuple[bytes, random.Random, int], end: float) -> None:
    """Mutations led by the code that they reach; half of them are changed once more in our way."""
    original, choice, seed = start
    folder = tally.files[0].parent / f".corpus-{tally.name}"
    folder.mkdir(exist_ok=True)
    (folder / "original").write_bytes(original)

    def one(data: bytes) -> None:
        if time.monotonic() > end:
            tally.write()
            os._exit(0)  # the loop of atheris has no other end
        tally.check(data if choice.random() < 0.5 else mutated(data, choice))

    quiet = ["-max_len=65536", "-rss_limit_mb=0", "-verbosity=0", "-close_fd_mask=3"]
    atheris.Setup([sys.argv[0], str(folder), f"-seed={seed}", *quiet], one)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
