"""Shell commands of a launcher file: how they start Ray, and what they install."""

from __future__ import annotations

import re
from collections.abc import Iterator

from raypipe.cluster.lint.context import Context
from raypipe.cluster.lint.documents import Document, Finding, Path, items
from raypipe.cluster.lint.images import check_ray

STARTS = ("head_start_ray_commands", "worker_start_ray_commands")
COMMANDS = ("initialization_commands", "setup_commands", "head_setup_commands", "worker_setup_commands", *STARTS)
_NIGHTLY = re.compile(r"ray-wheels/latest|ray-\d+\.\d+\.\d+\.dev0|\bray\b[^;&|]*--pre\b")
_PIP_RAY = re.compile(r"\bpip3? install\b[^;&|]*?[\s'\"](ray(?:\[[^\]]*\])?)(==([\d.]+))?(?=[\s'\";&|]|$)")
_HOST = re.compile(r"--dashboard-host[= ](\S+)")
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def check_commands(document: Document, context: Context) -> Iterator[Finding]:
    """Findings about every command of a launcher file."""
    for name in COMMANDS:
        for index, command in enumerate(items(document.data, name)):
            if isinstance(command, str):
                yield from check_install(document, (name, index), command, context)
    for name in STARTS:
        if name not in document.data:
            what = f"{name} is left out; Ray's default opens the dashboard to every network and asks for no token"
            yield document.found("start-default", (), what, "render the file, or write the command out")
        else:
            yield from _check_start(document, name)
    if "setup_commands" not in document.data:
        what = "setup_commands is left out; Ray's default installs a nightly wheel where it finds no Ray"
        yield document.found("setup-default", (), what, "write `setup_commands: []`, or your own")


def check_install(document: Document, path: Path, command: str, context: Context) -> Iterator[Finding]:
    """Findings about what a command installs."""
    wanted = context.versions.ray if context.versions else "2.60.0"
    if _NIGHTLY.search(command):
        what = "installs a nightly build of Ray, which is another one tomorrow"
        yield document.found(
            "nightly-wheel", path, what, f"pip install 'ray[default]=={wanted}', or an image that has it"
        )
        return
    for match in _PIP_RAY.finditer(command):
        if match.group(3) is None:
            what = "installs whatever Ray is newest"
            yield document.found("ray-unpinned", path, what, f"pip install '{match.group(1)}=={wanted}'")
        else:
            yield from check_ray(document, path, match.group(3), context, "the command")


def _check_start(document: Document, name: str) -> Iterator[Finding]:
    starting = [
        (index, command)
        for index, command in enumerate(items(document.data, name))
        if isinstance(command, str) and "ray start" in command
    ]
    if not starting:
        yield document.found(
            "start-missing", (name,), "no command starts Ray", "add `ray start …`; see a rendered file"
        )
    for index, command in starting:
        yield from check_host(document, (name, index), command)
        yield from check_token(document, (name, index), command)
        if name == STARTS[0]:
            if "--autoscaling-config" not in command:
                what = "the head gets no autoscaling config, so that no worker is ever started"
                yield document.found(
                    "no-autoscaler", (name, index), what, "--autoscaling-config=~/ray_bootstrap_config.yaml"
                )
            if "RAY_enable_infeasible_task_early_exit" not in command:
                what = "work that no node can ever run waits without end"
                instead = "export RAY_enable_infeasible_task_early_exit=true before `ray start`"
                yield document.found("no-early-exit", (name, index), what, instead, "warning")


def check_host(document: Document, path: Path, command: str) -> Iterator[Finding]:
    """Findings about the address on which a dashboard listens."""
    found = _HOST.search(command)
    if found and found.group(1).strip("\"'") not in LOOPBACK:
        what = f"the dashboard listens on {found.group(1)}; who reaches it can run code"
        yield document.found("dashboard-public", path, what, "--dashboard-host=127.0.0.1, and a tunnel to it")


def check_token(document: Document, path: Path, command: str) -> Iterator[Finding]:
    """Findings about whether a command starts Ray with a token."""
    mode = re.search(r"RAY_AUTH_MODE=[\"']?(\w+)", command)
    instead = "export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=/home/ray/.raypipe/cluster_token before `ray start`"
    if mode is None:
        yield document.found("token-missing", path, "Ray starts without a token: RAY_AUTH_MODE is not set", instead)
    elif mode.group(1) != "token":
        yield document.found(
            "token-missing", path, f"RAY_AUTH_MODE is {mode.group(1)}: nobody is asked who he is", instead
        )
    elif "RAY_AUTH_TOKEN_PATH=" not in command:
        yield document.found("token-missing", path, "no token is named: RAY_AUTH_TOKEN_PATH is not set", instead)
