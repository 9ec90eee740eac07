"""`raypipe submit`: hand a run to a cluster, and follow it as if it ran here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from raypipe.errors import ConfigError

if TYPE_CHECKING:
    from raypipe.submit.client import JobsClient

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


def connect(address: str | None, insecure: bool, ca_file: Path | None) -> JobsClient:
    """A client of the cluster that the flags and the environment name."""
    from raypipe.submit.client import JobsClient
    from raypipe.submit.target import find_target

    return JobsClient(find_target(address, os.environ, Path.home(), insecure=insecure, ca_file=ca_file))


def submit(
    config: Annotated[Path, typer.Argument(help="YAML or TOML file with the settings of the run.", metavar="CONFIG")],
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
    cpus: Annotated[float, typer.Option("--cpus", help="CPUs of the driver; 0 puts it on the head node.", min=0)] = 1.0,
    gpus: Annotated[float, typer.Option("--gpus", help="GPUs of the driver.", min=0)] = 0.0,
    memory_gib: Annotated[float, typer.Option("--memory-gib", help="Memory of the driver.", min=0)] = 0.0,
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
    from raypipe.cli.sending import Wishes, send_and_follow, show_dry_run
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
        show_dry_run(options, as_json)
        return
    wishes = Wishes(
        retries=retries, timeout_s=timeout, lost_s=lost_after, any_version=any_version, detach=detach, as_json=as_json,
        quiet=quiet,
    )  # fmt: skip
    code = send_and_follow(connect(address, insecure, ca_file), options, wishes)
    if code:
        raise typer.Exit(code)


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
