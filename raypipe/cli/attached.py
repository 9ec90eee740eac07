"""Following a job from a terminal: Ctrl-C lets go of it, a second one stops it, and it may be given a time."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console

from raypipe.cli.exits import CANCELLED
from raypipe.submit.client import JobsClient
from raypipe.submit.follow import Follower, Outcome, Pace
from raypipe.submit.follow import View as JobView

SECOND_S = 2.0


class DetachedError(Exception):
    """The user let go of a job, which goes on."""

    code = CANCELLED


def attached(
    client: JobsClient, view: JobView, pace: Pace, console: Console, until: float | None = None
) -> Callable[[str], Outcome]:
    """A function that follows a job of a name to its end.

    Parameters
    ----------
    until : float, optional
        The moment of `time.monotonic()` at which the job is stopped if it is not over.
    """

    def follow(submission_id: str) -> Outcome:
        follower = Follower(client, submission_id, view, pace)

        def stop_late() -> None:
            view.note("timeout", f"job {submission_id} is not over in its time: it is stopped")
            client.stop(submission_id)

        try:
            return follower.to_the_end(until, stop_late)
        except KeyboardInterrupt:
            _second_chance(console, submission_id, client)
        # The second Ctrl-C came: the job was told to stop, and its end is waited for.
        view.note("stop", f"job {submission_id} is asked to stop; it commits what is done")
        return follower.to_the_end()

    return follow


def _second_chance(console: Console, submission_id: str, client: JobsClient) -> None:
    """Wait for a second Ctrl-C and stop the job then; else raise DetachedError."""
    console.print(f"Ctrl-C again within {SECOND_S:g} s stops the job", highlight=False)
    try:
        time.sleep(SECOND_S)
    except KeyboardInterrupt:
        client.stop(submission_id)
        return
    url = client.target.url
    raise DetachedError(
        f"detached: job {submission_id} goes on. Come back with raypipe logs {submission_id} --follow --address {url}, "
        f"end it with raypipe stop {submission_id} --address {url}"
    ) from None
