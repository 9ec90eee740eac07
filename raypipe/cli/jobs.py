"""`raypipe jobs | status | logs | stop`: what runs on a cluster, and what became of it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from raypipe.cli.submit import Address, AsJson, CaFile, Insecure, LostAfter, connect

if TYPE_CHECKING:
    from raypipe.submit.replies import JobState

JobId = Annotated[str, typer.Argument(help="Submission id, as `raypipe jobs` lists it.", metavar="ID")]


def jobs(address: Address = None, insecure: Insecure = False, ca_file: CaFile = None, as_json: AsJson = False) -> None:
    """List the jobs of a cluster, the latest first."""
    from raypipe.cli.jobview import moment, plain, took
    from raypipe.cli.main import out

    listed = connect(address, insecure, ca_file).jobs()
    if as_json:
        for job in listed:
            sys.stdout.write(json.dumps(_facts(job)) + "\n")
        return
    table = Table(box=None, padding=(0, 2))
    for heading in ("id", "status", "begun (UTC)", "took", "run", "config"):
        table.add_column(heading)
    for job in listed:
        shown = job.submission_id or "", job.status.lower(), moment(job.start_time), took(job)
        own = job.metadata.get("run_id", ""), job.metadata.get("config", "")
        table.add_row(*(plain(text).replace("[", r"\[") for text in (*shown, *own)))
    out.print(table)


def status(
    job_id: JobId, address: Address = None, insecure: Insecure = False, ca_file: CaFile = None, as_json: AsJson = False
) -> None:
    """Say where a job stands; for one that has not begun, what it waits for."""
    from raypipe.cli.jobview import moment, plain, took
    from raypipe.cli.main import out
    from raypipe.submit.follow import code_of
    from raypipe.submit.pending import why_pending

    client = connect(address, insecure, ca_file)
    job = client.job(job_id)
    waits = why_pending(client, job) if job.status == "PENDING" else None
    if as_json:
        sys.stdout.write(json.dumps({**_facts(job), "waits_for": waits}) + "\n")
        return
    facts = {
        "status": job.status.lower(),
        "begun": moment(job.start_time),
        "took": took(job),
        "run": job.metadata.get("run_id"),
        "config": job.metadata.get("config"),
        "output": job.metadata.get("output_dir"),
        "commit": _commit(job),
        "entrypoint": job.entrypoint,
        "exit code": str(code_of(job)) if job.is_over else None,
        "waits for": waits,
        "said": job.message if job.status == "FAILED" else None,
    }
    for name, value in facts.items():
        if value:
            for number, line in enumerate(value.splitlines() or [""]):
                out.print(
                    f"{name if not number else '':<11}{plain(line)}", markup=False, highlight=False, soft_wrap=True
                )


def logs(
    job_id: JobId,
    address: Address = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Until the job is over; exits as it does.")] = False,
    insecure: Insecure = False,
    ca_file: CaFile = None,
    lost_after: LostAfter = 120.0,
    as_json: AsJson = False,
) -> None:
    """Print the log of a job; with --follow, its progress too, to its end."""
    from raypipe.cli.attached import DetachedError, attached
    from raypipe.cli.jobview import HumanView, JsonView
    from raypipe.cli.main import errors
    from raypipe.cli.sending import say_end
    from raypipe.submit.follow import Pace

    client = connect(address, insecure, ca_file)
    if not follow:
        _print_log(client.logs(job_id), as_json)
        return
    client.job(job_id)  # one that was never there is not lost
    view = JsonView(sys.stdout) if as_json else HumanView(errors)
    with view:
        try:
            outcome = attached(client, view, Pace(lost_s=lost_after), errors)(job_id)
        except DetachedError as error:
            view.note("detached", str(error))
            raise typer.Exit(DetachedError.code) from None
    say_end(view, outcome, client.target.url)
    if outcome.exit_code:
        raise typer.Exit(outcome.exit_code)


def stop(
    job_id: JobId,
    address: Address = None,
    insecure: Insecure = False,
    ca_file: CaFile = None,
    lost_after: LostAfter = 120.0,
    as_json: AsJson = False,
) -> None:
    """Stop a job, wait until it has, and say what it has committed."""
    from raypipe.cli.jobview import HumanView, JsonView, show_outcome
    from raypipe.cli.main import errors, out
    from raypipe.submit.follow import Follower, Pace

    client = connect(address, insecure, ca_file)
    before = client.job(job_id)
    if not before.is_over:
        client.stop(job_id)
    view = HumanView(errors, quiet=True)
    outcome = Follower(client, job_id, view, Pace(lost_s=lost_after, poll_s=0.5)).to_the_end()
    if as_json:
        JsonView(sys.stdout).write("ended", was_over=before.is_over, **outcome.model_dump())
        return
    if before.is_over:
        out.print("the job was over already", highlight=False)
    show_outcome(out, outcome, client.target.url)


def _print_log(text: str, as_json: bool) -> None:
    from raypipe.cli.jobview import JsonView, plain
    from raypipe.submit.news import event_of

    view = JsonView(sys.stdout)
    for line in text.splitlines():
        told = event_of(line)
        if as_json:
            view.write(**told) if told is not None else view.line(line)
        elif told is None:
            sys.stdout.write(plain(line) + "\n")


def _facts(job: JobState) -> dict[str, Any]:
    """A job for programs; what its driver was given is left out, since it may hold what others need not see."""
    from raypipe.submit.follow import code_of

    shown = job.model_dump(exclude={"runtime_env"})
    return {**shown, "exit_code": code_of(job) if job.is_over else None}


def _commit(job: JobState) -> str | None:
    sha = job.metadata.get("git_sha")
    if sha is None:
        return None
    return sha + (", with changes that are not committed" if job.metadata.get("git_dirty") == "true" else "")
