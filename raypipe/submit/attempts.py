"""Sending a job, once under one name however often it is asked for, and again where another attempt may end better."""

from __future__ import annotations

import time
from collections.abc import Callable

from raypipe.errors import ConfigError, JobExistsError, NoSuchJobError, UnreachableError
from raypipe.submit.client import JobsClient
from raypipe.submit.follow import Outcome, View
from raypipe.submit.submission import Submission

FIRST_WAIT_S, MAX_WAIT_S = 5.0, 60.0
TRIES, RETRY_S = 5, 2.0


def send(client: JobsClient, submission: Submission, view: View, *, key: bool, attempt: int = 0) -> str:
    """Send a job through a connection that may break; returns its submission id. See `send_once`."""
    for tries_left in reversed(range(TRIES)):
        try:
            return send_once(client, submission, view, key=key, attempt=attempt)
        except UnreachableError as error:
            if not tries_left:
                raise
            view.note("connection", f"{error} Trying again")
            time.sleep(RETRY_S)
            key = True  # the job may have arrived, though its answer has not: then it is ours
    raise AssertionError("unreachable")


def send_once(client: JobsClient, submission: Submission, view: View, *, key: bool, attempt: int = 0) -> str:
    """Upload what is not there yet, and hand the job over; returns its submission id.

    Parameters
    ----------
    key : bool
        Whether the name was chosen by the user: then a job that has it is this one, and is attached to.

    Raises
    ------
    ConfigError
        If a job of this name is there which runs something else.
    """
    name = submission.attempt_id(attempt)
    try:
        if not client.has_package(submission.package):
            client.upload(submission.package, submission.content)
        return client.submit(submission.request(attempt))
    except JobExistsError:
        if not key:
            raise
        there = client.job(name)
        mine, theirs = submission.metadata, there.metadata
        if any(mine[fact] != theirs.get(fact) for fact in ("config_sha256", "package")):
            raise ConfigError(
                f"submit: there is a job {name} already, with another config or other files. Give another "
                "--submission-id, or attach to it with raypipe logs --follow"
            ) from None
        view.note("attempt", f"job {name} is there already ({there.status.lower()}): attached to it")
        return name


def latest(client: JobsClient, submission: Submission, retries: int) -> int:
    """The last attempt that is on the cluster already under this name, counted from 0."""
    found = 0
    for attempt in range(1, retries + 1):
        try:
            client.job(submission.attempt_id(attempt))
        except NoSuchJobError:
            break
        found = attempt
    return found


def again(
    client: JobsClient,
    submission: Submission,
    view: View,
    follow: Callable[[str], Outcome],
    retries: int,
    first: int = 0,
) -> Outcome:
    """Follow the attempt `first`, and make further ones while that may help; each goes on where the run was cut off."""
    attempt = first
    while True:
        outcome = follow(submission.attempt_id(attempt))
        if not outcome.may_pass or attempt >= retries:
            return outcome
        attempt += 1
        wait_s = min(FIRST_WAIT_S * 2 ** (attempt - 1), MAX_WAIT_S)
        view.note("attempt", f"attempt {attempt + 1} of {retries + 1} in {wait_s:.0f} s: {why(outcome)}")
        time.sleep(wait_s)
        send(client, submission, view, key=True, attempt=attempt)


def why(outcome: Outcome) -> str:
    """Why a job failed, in one line."""
    kind = f"{outcome.error_type}: " if outcome.error_type else ""
    said = [line for line in (outcome.message or "").splitlines() if line.strip()]
    return f"{kind}{said[-1].strip() if said else outcome.status.lower()}"[:400]
