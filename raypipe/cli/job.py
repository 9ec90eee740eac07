"""The driver of a job on a cluster: config in, pipeline out, progress told as lines of the log."""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import os
import platform
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console

import raypipe
from raypipe.cli.exits import exit_code, tidy_exit
from raypipe.cli.template import assigned
from raypipe.config import PipelineConfig
from raypipe.engine.journal import KEY_ENV
from raypipe.engine.secretrefs import resolve_secrets
from raypipe.pipeline import AnalyticsPipeline
from raypipe.pipeline.folder import held, new_run_id, place_of
from raypipe.pipeline.resume import RECORD, RESUME_FOLDER
from raypipe.storage.objects import RemoteFolder
from raypipe.submit.news import event_line
from raypipe.submit.target import find_token

JOURNAL_RECORD = f"{RESUME_FOLDER}/{RECORD}"
EVERY_S = 1.0
"""Progress is told at most so often, but for changes of stage, message and status."""


def main(arguments: list[str]) -> None:
    """Run the config file named first on the cluster of this job; exits as `raypipe run` does.

    Parameters
    ----------
    arguments : list of str
        CONFIG, settings as `name.part=value`, and `--run-id`, `--again` or `--resume`.
    """
    with tidy_exit(Console(stderr=True, width=200)):
        parser = argparse.ArgumentParser(prog="raypipe_job")
        parser.add_argument("config", type=Path)
        parser.add_argument("assignments", nargs="*")
        parser.add_argument("--run-id")
        parser.add_argument("--again", action="store_true", help="go on with --run-id, if it has begun")
        parser.add_argument("--resume", metavar="RUN_ID")
        _drive(parser.parse_args(arguments))


def _drive(asked: argparse.Namespace) -> None:
    teller = Teller()
    folder: Path | RemoteFolder | None = None
    try:
        secrets = resolve_secrets()
        _share_the_resume_key()
        given = assigned(asked.assignments)
        config = PipelineConfig.load(asked.config, **given)
        config = config.replace(engine=config.engine.replace(address=_address()))
        run_id = asked.resume or asked.run_id or config.run_id or new_run_id()
        folder = place_of(config, run_id)
        before = _earlier(folder) if asked.again else {}
        if before.get("execution_status") == "completed":
            sys.stdout.write(f"run {run_id} is completed already: an earlier attempt did it\n")
            teller.tell("ended", code=0, output=str(folder), rows=before["rows"])
            return
        resume = asked.resume is not None or (asked.again and held(folder, JOURNAL_RECORD) is not None)
        teller.tell("started", run_id=run_id, output=str(folder), resumed=resume, secrets=secrets, **_versions())
        pipeline = AnalyticsPipeline(config.replace(run_id=run_id))
        pipeline.add_progress_callback(teller)
        results = pipeline.execute(resume=run_id) if resume else pipeline.execute()
    except BaseException as error:
        told = {"error": str(error) or type(error).__name__, "committed": committed(folder)}
        teller.tell("ended", code=exit_code(error), output=None if folder is None else str(folder), **told)
        raise
    summary = results["summary"]
    teller.tell("ended", code=0, output=results["output_directory"], rows=summary["rows"])


def _earlier(folder: Path | RemoteFolder) -> dict[str, Any]:
    """What an earlier attempt wrote down about how it ended; empty where there is nothing."""
    try:
        found = json.loads(held(folder, "execution_summary.json") or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def committed(folder: Path | RemoteFolder | None) -> dict[str, int]:
    """Pass of the run -> parts that it has committed, from its events; empty where there is nothing to go on from."""
    if folder is None or held(folder, JOURNAL_RECORD) is None:
        return {}
    found: dict[str, int] = {}
    name = "pass"
    for line in _whole_lines(held(folder, "events.jsonl") or b""):
        event = json.loads(line)
        name = event.get("name", name) if event.get("event") == "pass_started" else name
        if event.get("event") == "committed":
            found[name] = int(event["parts_done"])
    return found


def _whole_lines(log: bytes) -> list[str]:
    return [line for line in log.decode("utf-8", "replace").splitlines(keepends=True) if line.endswith("\n")]


def _address() -> str:
    """The cluster of this job; Ray names it to the drivers that it starts."""
    return os.environ.get("RAY_ADDRESS") or "auto"


def _versions() -> dict[str, str]:
    return {"raypipe": raypipe.__version__, "ray": metadata.version("ray"), "python": platform.python_version()}


def _share_the_resume_key() -> None:
    """Sign commits with a key that every node of the cluster can make: the next attempt may have another node.

    It is drawn from the cluster's token. Whoever has that may run code on the cluster anyway.
    """
    token = find_token(os.environ, Path.home())
    if KEY_ENV not in os.environ and token is not None:
        own = hmac.new(token.value.get_secret_value().encode(), b"raypipe resume key", hashlib.sha256)
        os.environ[KEY_ENV] = own.hexdigest()


class Teller:
    """Writes events into the log of the job."""

    def __init__(self) -> None:
        self._last = 0.0
        self._said: object = None

    def __call__(self, payload: dict[str, Any]) -> None:
        """The callback of a pipeline."""
        progress = payload["progress"]
        now = time.monotonic()
        said = (payload["status"], progress["current_stage"], tuple(progress["stage_messages"].items()))
        if said == self._said and now - self._last < EVERY_S:
            return
        self._last, self._said = now, said
        self.tell("progress", payload=payload)

    def tell(self, event: str, **values: Any) -> None:
        """Write one line."""
        sys.stdout.write(event_line(event, **values) + "\n")
        sys.stdout.flush()
