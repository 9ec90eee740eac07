"""`raypipe submit`: hand a run to a cluster, and follow it as if it ran here."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from raypipe.errors import ConfigError

Address = Annotated[
    str | None,
    typer.Option(
        "--address", help="Dashboard of the cluster; else RAYPIPE_ADDRESS, RAY_API_SERVER_ADDRESS, RAY_ADDRESS."
    ),
]
Insecure = Annotated[bool, typer.Option("--insecure", help="Allow plain http to another machine.")]
CaFile = Annotated[Path | None, typer.Option("--ca-file", help="Certificates to trust for https.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line on standard output.")]
LostAfter = Annotated[float, typer.Option("--lost-after", help="Seconds after which a silent cluster is lost.")]
IMAGE = (
    "packages are not installed by a job: one that does not install is noticed after minutes, on every node anew. Bake "
    "them into the image of the cluster"
)


def connect(address: str | None, insecure: bool, ca_file: Path | None) -> Any:
    """A client of the cluster that the flags and the environment name."""
    from raypipe.submit.client import JobsClient
    from raypipe.submit.target import find_target

    return JobsClient(find_target(address, os.environ, Path.home(), insecure=insecure, ca_file=ca_file))


def submit(
    config: Annotated[Path, typer.Argument(help="YAML or TOML file with the settings of the run.")],
    address: Address = None,
    working_dir: Annotated[
        Path | None, typer.Option("--working-dir", help="Folder to send; default: that of CONFIG.")
    ] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", "-s", help="Any setting; repeatable.")] = None,
    shared: Annotated[
        list[str] | None, typer.Option("--shared", help="Folder that all nodes have in the same place; repeatable.")
    ] = None,
    with_data: Annotated[
        bool, typer.Option("--with-data", help="Send the data below the working folder along.")
    ] = False,
    with_raypipe: Annotated[bool, typer.Option("--with-raypipe", help="Send this raypipe's source along.")] = False,
    submission_id: Annotated[
        str | None,
        typer.Option("--submission-id", "--idempotency-key", help="Name of the job; one that is there is attached to."),
    ] = None,
    run_id: Annotated[str | None, typer.Option("--run-id", help="Name of the run; default: that of the job.")] = None,
    resume: Annotated[str | None, typer.Option("--resume", help="Go on with this run.")] = None,
    cpus: Annotated[float, typer.Option("--cpus", help="CPUs of the driver; 0 puts it on the head node.")] = 1.0,
    gpus: Annotated[float, typer.Option("--gpus", help="GPUs of the driver.")] = 0.0,
    memory_gib: Annotated[float, typer.Option("--memory-gib", help="Memory of the driver.")] = 0.0,
    resource: Annotated[list[str] | None, typer.Option("--resource", help="NAME=AMOUNT of the driver.")] = None,
    env: Annotated[list[str] | None, typer.Option("--env", help="NAME=VALUE, in plain text; repeatable.")] = None,
    secret: Annotated[
        list[str] | None, typer.Option("--secret", help="NAME=env:VAR or NAME=file:PATH, both of the cluster.")
    ] = None,
    allow_plaintext: Annotated[bool, typer.Option("--allow-plaintext", help="Let --env hold secrets.")] = False,
    retries: Annotated[int, typer.Option("--retries", help="Further attempts, each resumes the run.", min=0)] = 0,
    timeout: Annotated[float | None, typer.Option("--timeout", help="Stop the job after so many seconds.")] = None,
    lost_after: LostAfter = 120.0,
    any_version: Annotated[bool, typer.Option("--any-version", help="Allow another Ray or Python there.")] = False,
    insecure: Insecure = False,
    ca_file: CaFile = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be sent, and send nothing.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Do not follow the job.")] = False,
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no log.")] = False,
    pip: Annotated[list[str] | None, typer.Option("--pip", hidden=True)] = None,
    runtime_env: Annotated[str | None, typer.Option("--runtime-env", "--runtime-env-json", hidden=True)] = None,
) -> None:
    """Run a config file on a cluster: check, pack, send, follow. Exits as the job does."""
    from raypipe.cli.template import assigned
    from raypipe.submit.submission import JobOptions

    if pip or runtime_env:
        raise ConfigError(f"{'--pip' if pip else '--runtime-env'}: {IMAGE}")
    options = JobOptions(
        config=config, working_dir=working_dir, assignments=tuple(set_ or ()), overrides=assigned(set_ or []),
        shared=tuple(shared or ()), with_data=with_data, with_raypipe=with_raypipe, submission_id=submission_id,
        run_id=run_id, resume=resume, cpus=cpus, gpus=gpus, memory_gib=memory_gib, resources=_amounts(resource or []),
        env=tuple(env or ()), secrets=tuple(secret or ()), allow_plaintext=allow_plaintext,
    )  # fmt: skip
    if dry_run:
        _show_dry_run(options, as_json)
        return
    client = connect(address, insecure, ca_file)
    until = None if timeout is None else time.monotonic() + timeout
    code = _sent_and_followed(client, options, _Wishes(retries, until, lost_after, any_version, detach, as_json, quiet))
    if code:
        raise typer.Exit(code)


class _Wishes:
    """How a job is followed."""

    def __init__(
        self, retries: int, until: float | None, lost_after: float, any_version: bool, detach: bool, as_json: bool,
        quiet: bool,
    ) -> None:  # fmt: skip
        self.retries, self.until, self.lost_after, self.any_version = retries, until, lost_after, any_version
        self.detach, self.as_json, self.quiet = detach, as_json, quiet


def _sent_and_followed(client: Any, options: Any, wishes: _Wishes) -> int:
    """Check, send and follow; the exit code."""
    from raypipe.cli.attached import DetachedError, attached
    from raypipe.cli.jobview import HumanView, JsonView, show_outcome
    from raypipe.cli.main import errors, out
    from raypipe.submit.attempts import again, latest, send
    from raypipe.submit.follow import Pace

    submission, warnings = _checked(client, options, wishes)
    view = JsonView(sys.stdout) if wishes.as_json else HumanView(errors, quiet=wishes.quiet)
    with view:
        for text in warnings:
            view.note("warning", text)
        key = options.submission_id is not None
        name = send(client, submission, view, key=key)
        _say_sent(view, submission, client.target.url)
        if wishes.detach:
            return 0
        follow = attached(client, view, Pace(lost_s=wishes.lost_after), errors, wishes.until)
        first = latest(client, submission, wishes.retries) if key and name else 0
        try:
            outcome = again(client, submission, view, follow, wishes.retries, first)
        except DetachedError as error:
            view.note("detached", str(error))
            return DetachedError.code
    if isinstance(view, JsonView):
        view.write("ended", **outcome.model_dump())
    else:
        show_outcome(out, outcome, client.target.url)
    return outcome.exit_code


def _checked(client: Any, options: Any, wishes: _Wishes) -> tuple[Any, tuple[str, ...]]:
    """The submission, and what is odd about the cluster; all that is wrong with both is told at once."""
    from raypipe.submit.preflight import look
    from raypipe.submit.resources import GIB
    from raypipe.submit.submission import prepare

    submission, wrong = prepare(options)
    driver = {"CPU": options.cpus, "GPU": options.gpus, "memory": options.memory_gib * GIB, **options.resources}
    demands = {"the driver": {name: amount for name, amount in driver.items() if amount}, "a worker": {"CPU": 1.0}}
    preflight = look(client, demands, any_version=wishes.any_version)
    preflight.refuse(wrong)
    return submission, preflight.warnings


def _say_sent(view: Any, submission: Any, url: str) -> None:
    from raypipe.submit.package import in_words

    files, size = len(submission.manifest.files), in_words(len(submission.content))
    text = f"job {submission.submission_id}, run {submission.run_id}, to {url}: {files} files, {size} packed"
    view.note("sent", text)


def _show_dry_run(options: Any, as_json: bool) -> None:
    from raypipe.cli.main import out
    from raypipe.submit.submission import prepare

    submission, wrong = prepare(options)
    if submission is None:
        raise ConfigError("submit: " + (wrong[0] if len(wrong) == 1 else "".join(f"\n  - {one}" for one in wrong)))
    if as_json:
        out.print_json(data=_dry_run_values(submission))
    else:
        _show_manifest(out, submission)


def _dry_run_values(submission: Any) -> dict[str, Any]:
    manifest = submission.manifest
    return {
        "files": [{"name": file.name, "bytes": file.size} for file in manifest.files],
        "bytes": manifest.size, "packed_bytes": len(submission.content), "package": submission.package,
        "left_out": [{"name": name, "why": why} for name, why in manifest.left_out], "request": submission.request(),
    }  # fmt: skip


def _show_manifest(console: Console, submission: Any) -> None:
    from raypipe.submit.package import in_words

    manifest = submission.manifest
    for line in (
        f"{len(manifest.files)} files, {in_words(manifest.size)}, {in_words(len(submission.content))} packed",
        *(f"{in_words(file.size):>12}  {file.name}" for file in manifest.largest),
        f"left out: {', '.join(f'{name} ({why})' for name, why in manifest.left_out) or 'nothing'}",
        f"would run: {submission.request()['entrypoint']}",
    ):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _amounts(given: list[str]) -> dict[str, float]:
    found = {}
    for text in given:
        name, equals, amount = text.partition("=")
        try:
            found[name] = float(amount)
        except ValueError:
            equals = ""
        if not equals or not name:
            raise ConfigError(f"--resource: got {text!r}; wanted NAME=AMOUNT, e.g. --resource driver=1")
    return found
