"""A job before it is sent: its package, its name, and the request that is made of them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shlex
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import Field, NonNegativeFloat

import raypipe
from raypipe.config import Frozen, PipelineConfig
from raypipe.errors import ConfigError
from raypipe.submit.package import ENTRY, Manifest, gather, pack
from raypipe.submit.places import places_of
from raypipe.submit.preflight import versions_here
from raypipe.submit.resources import GIB
from raypipe.submit.scan import secrets_in
from raypipe.submit.secrets import plain_variables, reference_variable, secret_references

STOP_WAIT_S = 60
"""Seconds that a job has to commit what is done when it is asked to stop; Ray's own default is 3."""
GIT_S = 5.0
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\Z")


class JobOptions(Frozen):
    """What was asked for."""

    config: Path
    working_dir: Path | None = None
    """None: the folder of the config."""
    assignments: tuple[str, ...] = ()
    """`name.part=value`, as `--set` takes them."""
    overrides: dict[str, Any] = Field(default_factory=dict)
    """The same, read."""
    shared: tuple[str, ...] = ()
    with_data: bool = False
    with_raypipe: bool = False
    submission_id: str | None = None
    run_id: str | None = None
    resume: str | None = None
    cpus: NonNegativeFloat = 1.0
    gpus: NonNegativeFloat = 0.0
    memory_gib: NonNegativeFloat = 0.0
    resources: dict[str, float] = Field(default_factory=dict)
    env: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    allow_plaintext: bool = False

    @property
    def demand(self) -> dict[str, float]:
        """What the driver asks for, as Ray names it."""
        asked = {"CPU": self.cpus, "GPU": self.gpus, "memory": self.memory_gib * GIB, **self.resources}
        return {name: amount for name, amount in asked.items() if amount}


class Submission(Frozen):
    """A job that is ready to be sent."""

    submission_id: str
    run_id: str
    config: str
    """Path of the config in the package."""
    root: Path
    manifest: Manifest
    package: str
    content: bytes = Field(repr=False)
    assignments: tuple[str, ...]
    env_vars: dict[str, str]
    demand: dict[str, float]
    """What the driver asks for, as Ray names it."""
    metadata: dict[str, str]
    resume: bool
    output_dir: str
    workers: int = 1
    """Workers that the settings want in each pool from the start."""

    @property
    def uri(self) -> str:
        """Where the package lies on the cluster."""
        return f"gcs://{self.package}"

    def request(self, attempt: int = 0) -> dict[str, Any]:
        """What is posted to the cluster; attempts after the first go on with the run of the first."""
        words = ["python3", ENTRY, self.config, *self.assignments]
        if self.resume:
            words += ["--resume", self.run_id]
        else:
            words += ["--run-id", self.run_id, *(["--again"] if attempt else [])]
        others = {name: amount for name, amount in self.demand.items() if name not in ("CPU", "GPU", "memory")}
        return {
            "submission_id": self.attempt_id(attempt),
            "entrypoint": " ".join(shlex.quote(word) for word in words),
            "entrypoint_num_cpus": self.demand.get("CPU", 0),
            "entrypoint_num_gpus": self.demand.get("GPU", 0),
            "entrypoint_memory": int(self.demand.get("memory", 0)),
            "entrypoint_resources": others,
            "metadata": {**self.metadata, "attempt": str(attempt + 1)},
            "runtime_env": {"working_dir": self.uri, "env_vars": self.env_vars},
        }

    def attempt_id(self, attempt: int) -> str:
        """Submission id of an attempt, counted from 0."""
        return self.submission_id if attempt == 0 else f"{self.submission_id}-r{attempt}"


def prepare(options: JobOptions) -> tuple[Submission | None, tuple[str, ...]]:
    """Check what can be checked on this machine, and pack.

    Returns
    -------
    tuple of Submission, or None, and tuple of str
        The submission, and all that is wrong with it; None if it could not be made.
    """
    wrong: list[str] = []

    def tried(make: Any) -> Any:
        try:
            return make()
        except ConfigError as error:
            wrong.append(str(error).removeprefix("submit: "))
            return None

    root = Path(os.path.abspath(options.working_dir or options.config.parent))
    config = tried(lambda: _config_of(options, root))
    env = tried(lambda: plain_variables(options.env, allow_plaintext=options.allow_plaintext))
    references = tried(lambda: secret_references(options.secrets))
    tried(lambda: _check_ids(options))
    if config is None:
        return None, tuple(wrong)
    places = places_of(config, root, options.shared, with_data=options.with_data)
    wrong += places.wrong
    wanted = places.wanted | {Path(os.path.abspath(options.config))}
    runs = root / config.output_dir
    manifest = tried(lambda: gather(root, wanted=wanted, runs=runs, with_raypipe=options.with_raypipe))
    if manifest is not None:
        left = sorted(set(wanted) - {file.path for file in manifest.files})
        wrong += [f"{path} is needed, and its name is one that never travels: rename it" for path in left]
    if wrong or manifest is None:
        return None, tuple(wrong)
    return _made(options, config, root, manifest, {**env, **reference_variable(references)}), ()


def _made(
    options: JobOptions, config: PipelineConfig, root: Path, manifest: Manifest, env: dict[str, str]
) -> Submission:
    package, content = pack(manifest, versions_here())
    text = config.model_dump_json()
    digest = hashlib.sha256(text.encode()).hexdigest()
    name = options.submission_id or _new_id(options.config.stem, digest)
    run_id = options.resume or options.run_id or config.run_id or name
    demand = options.demand
    facts = {
        "raypipe": raypipe.__version__, "run_id": run_id, "config": options.config.name, "config_sha256": digest,
        "output_dir": str(config.output_dir), "package": package, "demand": json.dumps(demand), **_git_facts(root),
    }  # fmt: skip
    return Submission(
        submission_id=name,
        run_id=run_id,
        config=Path(os.path.abspath(options.config)).relative_to(root).as_posix(),
        root=root,
        manifest=manifest,
        package=package,
        content=content,
        assignments=options.assignments,
        env_vars={"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WAIT_S), **env},
        demand=demand,
        metadata=facts,
        resume=options.resume is not None,
        output_dir=str(config.output_dir),
        workers=config.engine.workers or config.engine.min_workers,
    )


def _config_of(options: JobOptions, root: Path) -> PipelineConfig:
    path = Path(os.path.abspath(options.config))
    config = PipelineConfig.load(path, **options.overrides)
    if not path.is_relative_to(root):
        raise ConfigError(
            f"submit: {path} does not lie in the working folder {root}; name another one with --working-dir"
        )
    assigned = "\n".join(options.assignments).encode()
    for origin, content in ((path.name, path.read_bytes()), ("--set", assigned)):
        found = list(secrets_in(content, settings=True))
        if found:
            line, kind = found[0]
            raise ConfigError(
                f"submit: {origin}, line {line}, holds {kind}. Take it out, and refer to it: --secret "
                "NAME=env:VARIABLE or --secret NAME=file:PATH, both of the cluster"
            )
    return config


def _check_ids(options: JobOptions) -> None:
    for flag, value in (
        ("--submission-id", options.submission_id), ("--run-id", options.run_id), ("--resume", options.resume),
    ):  # fmt: skip
        if value is not None and not _ID.match(value):
            raise ConfigError(f"{flag}: got {value!r}; wanted at most 100 letters, digits, '-', '_' and '.'")
    if options.run_id is not None and options.resume is not None:
        raise ConfigError("--run-id: a run that is resumed keeps its name; leave it out beside --resume")


def _new_id(stem: str, digest: str) -> str:
    short = re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-")[:40] or "job"
    own = hashlib.sha256(f"{digest}{secrets.token_hex(8)}".encode()).hexdigest()[:6]
    return f"rp-{short}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{own}"


def _git_facts(root: Path) -> dict[str, str]:
    """The commit that the folder is at, and whether something in it differs; empty outside of a repository."""
    try:
        sha = _git(root, "rev-parse", "HEAD")
        return {"git_sha": sha, "git_dirty": str(bool(_git(root, "status", "--porcelain", "--", "."))).lower()}
    except (OSError, subprocess.SubprocessError):
        return {}


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, timeout=GIT_S, check=True)
    return done.stdout.strip()
