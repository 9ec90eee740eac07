"""What `raypipe submit` does: check, pack, send, follow."""

from __future__ import annotations

import sys
import time
from typing import Any

from raypipe.cli.attached import DetachedError, attached
from raypipe.cli.jobview import HumanView, JsonView, show_outcome
from raypipe.cli.main import errors, out
from raypipe.config import Frozen
from raypipe.errors import ConfigError
from raypipe.submit.attempts import again, latest, send
from raypipe.submit.client import JobsClient
from raypipe.submit.follow import Outcome, Pace
from raypipe.submit.package import in_words
from raypipe.submit.preflight import Preflight, Wanted, look
from raypipe.submit.submission import JobOptions, Submission, prepare

WORKER = {"CPU": 1.0}
"""What one worker of a stage asks for."""


class Wishes(Frozen):
    """How a job is followed."""

    retries: int = 0
    timeout_s: float | None = None
    lost_s: float = 120.0
    any_version: bool = False
    detach: bool = False
    as_json: bool = False
    quiet: bool = False


def send_and_follow(client: JobsClient, options: JobOptions, wishes: Wishes) -> int:
    """Send a job and follow it to its end; the exit code."""
    until = None if wishes.timeout_s is None else time.monotonic() + wishes.timeout_s
    submission, preflight = checked(client, options, wishes)
    view = JsonView(sys.stdout) if wishes.as_json else HumanView(errors, quiet=wishes.quiet)
    with view:
        for text in preflight.warnings:
            view.note("warning", text)
        has_key = options.submission_id is not None
        name = send(client, submission, view, key=has_key)
        view.note("sent", sent_in_words(submission, client.target.url))
        if not wishes.detach:
            follow = attached(client, view, Pace(lost_s=wishes.lost_s), errors, until)
            first = latest(client, submission, wishes.retries) if has_key else 0
            try:
                outcome = again(client, submission, view, follow, wishes.retries, first)
            except DetachedError as error:
                view.note("detached", str(error))
                return DetachedError.code
    if wishes.detach:
        if not wishes.as_json:
            out.print(name, markup=False, highlight=False)
        return 0
    say_end(view, outcome, client.target.url)
    return outcome.exit_code


def say_end(view: HumanView | JsonView, outcome: Outcome, address: str) -> None:
    """The last words about a job."""
    if isinstance(view, JsonView):
        view.write("ended", **outcome.model_dump())
    else:
        show_outcome(out, outcome, address)


def checked(client: JobsClient, options: JobOptions, wishes: Wishes) -> tuple[Submission, Preflight]:
    """The job, and what was found about the cluster; all that is wrong with both is told at once."""
    submission, wrong = prepare(options)
    wanted = Wanted(driver=options.demand, worker=WORKER, workers=submission.workers if submission else 1)
    preflight = look(client, wanted, any_version=wishes.any_version)
    preflight.refuse(wrong)
    assert submission is not None
    return submission, preflight


def sent_in_words(submission: Submission, url: str) -> str:
    """What was sent where."""
    count = len(submission.manifest.files)
    files = f"{count} file" + ("s" if count != 1 else "")
    return (
        f"job {submission.submission_id}, run {submission.run_id}, to {url}: {files}, "
        f"{in_words(len(submission.content))} packed"
    )


def show_dry_run(options: JobOptions, as_json: bool) -> None:
    """Show what would be sent; ConfigError for all that is wrong with it."""
    submission, wrong = prepare(options)
    if submission is None:
        raise ConfigError("submit: " + (wrong[0] if len(wrong) == 1 else "".join(f"\n  - {one}" for one in wrong)))
    if as_json:
        out.print_json(data=_dry_run_values(submission))
        return
    manifest = submission.manifest
    for line in (
        f"{len(manifest.files)} files, {in_words(manifest.size)}, {in_words(len(submission.content))} packed",
        *(f"{in_words(file.size):>12}  {file.name}" for file in manifest.largest),
        f"left out: {', '.join(f'{name} ({why})' for name, why in manifest.left_out) or 'nothing'}",
        f"would run: {submission.request()['entrypoint']}",
    ):
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _dry_run_values(submission: Submission) -> dict[str, Any]:
    manifest = submission.manifest
    return {
        "files": [{"name": file.name, "bytes": file.size} for file in manifest.files],
        "bytes": manifest.size,
        "packed_bytes": len(submission.content),
        "package": submission.package,
        "left_out": [{"name": name, "why": why} for name, why in manifest.left_out],
        "request": submission.request(),
    }
