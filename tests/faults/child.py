"""Runs scenarios in a process that has a Ray of its own: a request a line on standard input, an answer in a pipe."""

from __future__ import annotations

import json
import os
import sys
import traceback

from tests.faults import autoscaler, flows, scenarios

KNOWN = {**vars(scenarios), **vars(flows), **vars(autoscaler)}


def main(pipe: str) -> None:
    answers = open(pipe, "w", buffering=1)  # noqa: SIM115 - open as long as this process lives
    # Requests are read by this process alone, and never by what it starts.
    requests = os.fdopen(os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    for line in requests:
        wanted = json.loads(line)
        try:
            result = KNOWN[wanted["scenario"]](**wanted["arguments"])
            answer = {"result": result}
        except BaseException:  # noqa: BLE001 - told to whoever asked
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
    scenarios.close_all()


if __name__ == "__main__":
    main(sys.argv[1])
