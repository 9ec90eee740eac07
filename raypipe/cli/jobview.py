"""What is shown of a job that runs elsewhere: bars and lines for people, one JSON object a line for programs."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, TextIO

from rich.console import Console

from raypipe.cli.bars import ProgressView
from raypipe.submit.follow import Outcome
from raypipe.submit.replies import JobState


class HumanView:
    """The bars of `raypipe run`, with the lines of the job's log above them."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._console, self._quiet = console, quiet
        self._bars = ProgressView(console)

    def __enter__(self) -> Self:
        if not self._quiet:
            self._bars.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._quiet:
            self._bars.__exit__(kind, error, trace)

    def status(self, job: JobState) -> None:
        self._print(f"job {job.submission_id}: {job.status.lower()}")

    def progress(self, payload: dict[str, Any]) -> None:
        if not self._quiet:
            self._bars(payload)

    def line(self, text: str) -> None:
        self._print(text)

    def note(self, kind: str, text: str) -> None:
        self._print(f"{kind}: {text}")

    def _print(self, text: str) -> None:
        if not self._quiet:
            self._console.print(plain(text), markup=False, highlight=False, soft_wrap=True)


class JsonView:
    """One JSON object a line, on standard output."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def status(self, job: JobState) -> None:
        self.write("status", submission_id=job.submission_id, status=job.status, run_id=job.metadata.get("run_id"))

    def progress(self, payload: dict[str, Any]) -> None:
        self.write("progress", **payload)

    def line(self, text: str) -> None:
        self.write("log", line=text)

    def note(self, kind: str, text: str) -> None:
        self.write("note", kind=kind, text=text)

    def write(self, event: str, **values: Any) -> None:
        """Write one object."""
        self._stream.write(json.dumps({"event": event, "time": time.time(), **values}, default=str) + "\n")
        self._stream.flush()


def plain(text: str) -> str:
    """A line of a log without what moves the cursor or changes colours: what a job prints is not trusted.

    Examples
    --------
    >>> plain("a\\x1b[2Jb\\tc")
    'a[2Jb\\tc'
    """
    return "".join(one for one in text if one == "\t" or one.isprintable())


def show_outcome(console: Console, outcome: Outcome, address: str) -> None:
    """Say how a job ended, where its results are, and how to go on."""
    console.print(f"job        {outcome.submission_id}: {outcome.status.lower()}", highlight=False, markup=False)
    lines = []
    if outcome.rows:
        rows = outcome.rows
        dropped = sum((rows.get("dropped") or {}).values()) if isinstance(rows.get("dropped"), dict) else 0
        lines.append(f"rows       {rows.get('read')} read = {rows.get('kept')} kept + {rows.get('quarantined')} "
                     f"quarantined + {dropped} dropped")  # fmt: skip
    if outcome.output:
        lines.append(f"results    {outcome.output} (on the cluster)")
    if outcome.status == "FAILED" and outcome.error_type != "JOB_ENTRYPOINT_COMMAND_ERROR":
        lines.append(f"why        {outcome.error_type}: {gist(outcome.message or '')}")
    if outcome.committed or (outcome.committed is not None and outcome.status == "STOPPED"):
        lines.append(f"committed  {committed_in_words(outcome.committed)}")
    if outcome.committed:
        lines.append(f"to go on   raypipe submit CONFIG --resume {outcome.run_id} --address {address}")
    for line in lines:
        console.print(plain(line), highlight=False, markup=False, soft_wrap=True)


def gist(message: str) -> str:
    """The first and the last line of what Ray says, which has a trace of its own code between them.

    Examples
    --------
    >>> gist("it failed\\nTraceback\\n  File x\\nIOError: no such package\\n")
    'it failed … IOError: no such package'
    """
    lines = [line.strip()[:400] for line in message.splitlines() if line.strip()]
    return " … ".join(dict.fromkeys((lines[0], lines[-1]))) if lines else "Ray does not say"


def committed_in_words(committed: dict[str, int]) -> str:
    """What a run that was cut off has committed."""
    return ", ".join(f"{parts} parts of {name}" for name, parts in committed.items()) or "nothing"


def moment(milliseconds: int | None) -> str:
    """A time as it is shown in tables."""
    return "" if not milliseconds else f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def took(job: JobState) -> str:
    """How long a job has run, or ran."""
    if not job.start_time:
        return ""
    end = job.end_time or time.time() * 1000
    return f"{(end - job.start_time) / 1000:.0f} s"
