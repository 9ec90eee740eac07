"""The process of one contender: takes one JSON line a command on standard input, answers with one JSON line.

`python -m benchmarks.serve benchmarks.contenders.duckdb_summarize`. What libraries print goes to standard error, so
that it cannot be taken for an answer.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import sys
import time
import traceback
from types import ModuleType
from typing import Any, TextIO


def packages() -> dict[str, str]:
    """Name and version of all that is installed beside this interpreter."""
    found = {item.name: item.version for item in importlib.metadata.distributions() if item.name}
    return dict(sorted(found.items(), key=lambda pair: pair[0].lower()))


def answer(contender: ModuleType, command: dict[str, Any]) -> dict[str, Any]:
    """Do one command; what fails is told in the answer."""
    started = time.perf_counter()
    try:
        facts = getattr(contender, command["do"])(command["task"]) or {}
    except Exception as error:  # noqa: BLE001  the harness decides what a failure means
        return {"error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}
    return {"seconds": time.perf_counter() - started, "facts": facts}


def serve(name: str, answers: TextIO) -> None:
    """Answer commands until standard input ends."""
    contender: ModuleType | None = None
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "packages":
            said: dict[str, Any] = {"facts": packages(), "python": sys.version.split()[0]}
        elif command["do"] == "load":
            try:
                contender = importlib.import_module(name)
                said = {"facts": {}}
            except ImportError as error:
                said = {"error": str(error), "absent": True}
        else:
            assert contender is not None, "`load` comes first"
            said = answer(contender, command)
        answers.write(json.dumps(said) + "\n")
        answers.flush()
    if contender is not None:
        contender.finish()


def main() -> None:
    """Keep the true standard output for answers, and send all else to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    serve(sys.argv[1], answers)


if __name__ == "__main__":
    main()
