"""Following a job to its end: its state by polling, its log by a stream, through connections that come and go."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from raypipe.config import Frozen
from raypipe.errors import ClusterError, JobLostError, NoSuchJobError, UnreachableError
from raypipe.submit.client import JobsClient
from raypipe.submit.news import event_of, is_progress
from raypipe.submit.pending import broken_environment, why_pending
from raypipe.submit.replies import JobState
from raypipe.submit.tail import LogTail

CANCELLED, FAILED = 130, 1


class View(Protocol):
    """Who is told what happens to a job."""

    def status(self, job: JobState) -> None:
        """The job has another state."""

    def progress(self, payload: dict[str, Any]) -> None:
        """What the callback of the pipeline got, on the cluster."""

    def line(self, text: str) -> None:
        """A line of the job's log that is nothing else."""

    def note(self, kind: str, text: str) -> None:
        """What raypipe has to say: `pending`, `connection`, `attempt`, `environment`, `log`."""


class Pace(Frozen):
    """How often is looked, and how long is waited."""

    poll_s: float = 1.0
    explain_s: float = 15.0
    """A job that has not begun is explained so often."""
    environment_s: float = 3.0
    """How often is looked whether its runtime environment failed."""
    lost_s: float = 120.0
    """A cluster that does not answer for so long is lost."""


class Outcome(Frozen):
    """How a job ended."""

    submission_id: str
    run_id: str | None = None
    status: str
    exit_code: int
    message: str | None = None
    error_type: str | None = None
    output: str | None = None
    """The folder of the run."""
    rows: dict[str, Any] | None = None
    committed: dict[str, int] | None = None
    """Pass of the run -> parts that are committed, of a run that was cut off."""
    may_pass: bool = False
    """Whether another attempt may end better."""


class Follower:
    """Follows one job."""

    def __init__(self, client: JobsClient, submission_id: str, view: View, pace: Pace) -> None:
        self._client, self._id, self._view, self._pace = client, submission_id, view, pace
        self._tail = LogTail(client, submission_id)
        self._began = self._explained = self._looked = time.monotonic()
        self._silent_since: float | None = None
        self._told: dict[str, dict[str, Any]] = {}
        self._status: str | None = None
        self._facts: dict[str, str] = {}
        self._environment: str | None = None

    def to_the_end(self, until: float | None = None, on_late: Callable[[], None] | None = None) -> Outcome:
        """Wait until the job is over, and tell the view meanwhile.

        Parameters
        ----------
        until : float, optional
            A moment of `time.monotonic()`, at which `on_late` is called once.

        Raises
        ------
        JobLostError
            If the cluster does not answer for `pace.lost_s`, or was started anew and knows the job no more.
        """
        while True:
            try:
                job = self._state()
            except ClusterError:
                self._tail.close()
                raise
            if until is not None and on_late is not None and time.monotonic() > until:
                until = None
                on_late()
            if job is not None:
                self._look_at(job)
                if job.is_over:
                    return self._ended(job)
            self._tell(self._tail.lines(self._pace.poll_s))

    def _state(self) -> JobState | None:
        """The job; None while the cluster does not answer."""
        try:
            job = self._client.job(self._id)
        except NoSuchJobError as error:
            raise JobLostError(self._lost(f"it knows no job {self._id} any more")) from error
        except UnreachableError as error:
            now = time.monotonic()
            if self._silent_since is None:
                self._silent_since = now
                self._view.note("connection", f"{error} Trying for {self._pace.lost_s:g} s")
            if now - self._silent_since > self._pace.lost_s:
                silent = now - self._silent_since
                raise JobLostError(self._lost(f"it has not answered for {silent:.0f} s")) from error
            return None
        if self._silent_since is not None:
            self._view.note(
                "connection", f"the cluster answers again after {time.monotonic() - self._silent_since:.0f} s"
            )
            self._silent_since = None
        return job

    def _look_at(self, job: JobState) -> None:
        self._facts = job.metadata
        if job.is_over:  # told once its log is
            return
        if job.status != self._status:
            self._status = job.status
            self._view.status(job)
        if job.status != "PENDING":
            self._tail.start()
            return
        now = time.monotonic()
        if now - self._looked >= self._pace.environment_s and self._environment is None:
            self._looked = now
            self._environment = broken_environment(self._client, job)
            if self._environment is not None:
                text = f"its runtime environment cannot be made: {self._environment}"
                self._view.note("environment", text)
        if now - self._explained >= self._pace.explain_s:
            self._explained = now
            waited = now - self._began
            self._view.note("pending", f"waiting for {waited:.0f} s: {why_pending(self._client, job)}")

    def _tell(self, lines: Iterable[str]) -> None:
        for line in lines:
            told = event_of(line)
            if told is None:
                self._view.line(line)
            elif is_progress(told):
                self._view.progress(told["payload"])
            else:
                self._told[told["event"]] = told

    def _ended(self, job: JobState) -> Outcome:
        try:
            self._tell(self._tail.rest())
        except ClusterError as error:
            self._tell(self._tail.lines(0.0))
            self._view.note("log", f"the last lines of the log cannot be had: {error}")
        self._view.status(job)
        return outcome_of(job, self._told.get("ended", {}))

    def _lost(self, what: str) -> str:
        url = self._client.target.url
        lost = f"job {self._id} is lost with the head node of {url}: {what}."
        run_id = self._facts.get("run_id")
        if run_id is None:  # not a job of ours
            return lost
        return (
            f"{lost} What it had committed lies in {self._facts.get('output_dir')}/{run_id}. Once a cluster is up "
            f"again, go on with raypipe submit CONFIG --resume {run_id}; if nothing is there, submit it anew"
        )


def outcome_of(job: JobState, told: dict[str, Any]) -> Outcome:
    """How a job ended, from its state and from what its driver said last."""
    return Outcome(
        submission_id=job.submission_id or "",
        run_id=job.metadata.get("run_id"),
        status=job.status,
        exit_code=code_of(job),
        message=job.message,
        error_type=job.error_type,
        output=told.get("output") if isinstance(told.get("output"), str) else None,
        rows=told.get("rows") if isinstance(told.get("rows"), dict) else None,
        committed=told.get("committed") if isinstance(told.get("committed"), dict) else None,
        may_pass=may_pass(job),
    )


def code_of(job: JobState) -> int:
    """The exit code of a job that is over: its driver's, 130 where it was stopped, 1 where it had none."""
    if job.status == "SUCCEEDED":
        return 0
    if job.status == "STOPPED":
        return CANCELLED
    code = job.driver_exit_code
    return code if code is not None and 0 < code < 256 else FAILED


def may_pass(job: JobState) -> bool:
    """Whether another attempt may end better: a config error, bad data and a stop stay what they are."""
    if job.status != "FAILED":
        return False
    if job.driver_exit_code is not None:
        return job.driver_exit_code not in (2, 3)
    return job.error_type not in ("JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE", "RUNTIME_ENV_SETUP_FAILURE")
