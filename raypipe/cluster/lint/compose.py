"""Checks of compose files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from raypipe.cluster.lint.commands import LOOPBACK
from raypipe.cluster.lint.context import Context
from raypipe.cluster.lint.documents import Document, Finding, Path, at, items, mapping
from raypipe.cluster.lint.images import check_image
from raypipe.cluster.names import did_you_mean, words

TOP = {"name", "services", "networks", "volumes", "secrets", "configs", "include", "version"}
SERVICE = words(
    "annotations attach blkio_config build cap_add cap_drop cgroup cgroup_parent command configs "
    "container_name cpu_count cpu_percent cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpu_shares "
    "cpus cpuset credential_spec depends_on deploy develop device_cgroup_rules devices dns dns_opt "
    "dns_search domainname entrypoint env_file environment expose extends external_links extra_hosts gpus "
    "group_add healthcheck hostname image init ipc isolation label_file labels links logging mac_address "
    "mem_limit mem_reservation mem_swappiness memswap_limit models network_mode networks oom_kill_disable "
    "oom_score_adj pid pids_limit platform ports post_start pre_stop privileged profiles provider "
    "pull_policy read_only restart runtime scale secrets security_opt shm_size stdin_open "
    "stop_grace_period stop_signal storage_opt sysctls tmpfs tty ulimits user userns_mode uts volumes "
    "volumes_from working_dir"
)
MIN_SHM = 256 << 20
_SIZE = re.compile(r"^(\d+(?:\.\d+)?)\s*([kmg]?)b?$", re.IGNORECASE)


def check_compose(document: Document, context: Context) -> Iterator[Finding]:
    """All findings about a compose file."""
    for name in document.data:
        if name not in TOP and not str(name).startswith("x-"):
            yield document.found("compose-key", (name,), f"there is no key {name!r}", did_you_mean(str(name), TOP))
    for name, service in mapping(document.data, "services").items():
        path: Path = ("services", name)
        if not isinstance(service, dict):
            continue
        for key in service:
            if key not in SERVICE and not str(key).startswith("x-"):
                yield document.found(
                    "compose-key", (*path, key), f"there is no key {key!r}", did_you_mean(str(key), SERVICE)
                )
        if "image" in service:
            yield from check_image(document, (*path, "image"), service["image"], context)
        yield from _check_ports(document, (*path, "ports"), service)
        yield from _check_rights(document, path, service)
        if "ray start" in _command(service):
            yield from _check_ray(document, path, service)


def _check_ports(document: Document, path: Path, service: dict[str, Any]) -> Iterator[Finding]:
    for index, port in enumerate(items(service, "ports")):
        host = port.get("host_ip") if isinstance(port, dict) else _host(str(port))
        if host not in LOOPBACK:
            what = f"port {port!r} is open on {host or 'every address'} of the machine"
            yield document.found("compose-port", (*path, index), what, "127.0.0.1:8265:8265")


def _host(port: str) -> str | None:
    parts = port.rsplit(":", 2)
    return parts[0].strip("[]") if len(parts) == 3 else None


def _check_rights(document: Document, path: Path, service: dict[str, Any]) -> Iterator[Finding]:
    if service.get("privileged") is True:
        yield document.found(
            "privileged", (*path, "privileged"), "the container may do anything to its machine", "leave it out"
        )
    for name in ("network_mode", "pid", "ipc"):
        if service.get(name) == "host":
            what = f"{name} is host: the container is inside of no walls"
            yield document.found("host-namespace", (*path, name), what, "leave it out")
    user = str(service.get("user", "")).split(":")[0]
    if user in ("", "0", "root"):
        what = "the container may run as root" if not user else "the container runs as root"
        yield document.found("root-container", (*path, "user"), what, 'user: "1000:100"')
    if "ALL" not in items(service, "cap_drop"):
        yield document.found(
            "capabilities", (*path, "cap_drop"), "the container keeps capabilities of root", "cap_drop: [ALL]"
        )
    for index, volume in enumerate(items(service, "volumes")):
        if "docker.sock" in str(volume):
            what = "who has Docker's socket has the machine"
            yield document.found("host-path", (*path, "volumes", index), what, "leave it out")


def _check_ray(document: Document, path: Path, service: dict[str, Any]) -> Iterator[Finding]:
    given = _environment(service)
    if given.get("RAY_AUTH_MODE") != "token" or "RAY_AUTH_TOKEN_PATH" not in given:
        what = "Ray starts without a token"
        instead = "environment: {RAY_AUTH_MODE: token, RAY_AUTH_TOKEN_PATH: /run/secrets/ray_token}, and the secret"
        yield document.found("token-missing", (*path, "environment"), what, instead)
    elif given["RAY_AUTH_TOKEN_PATH"].startswith("/run/secrets/"):
        name = given["RAY_AUTH_TOKEN_PATH"].rpartition("/")[2]
        if name not in [at(one, "source") or one for one in items(service, "secrets")]:
            what = f"the secret {name!r} is not given to this service"
            yield document.found("token-missing", (*path, "secrets"), what, f"secrets: [{name}]")
        elif name not in mapping(document.data, "secrets"):
            what = f"the secret {name!r} is not there"
            yield document.found("token-missing", ("secrets",), what, f"secrets: {{{name}: {{file: …}}}}")
    if "healthcheck" not in service:
        instead = "healthcheck: {test: [CMD, …]}; see the rendered file"
        yield document.found("no-probe", path, "nobody asks whether the node is well", instead)
    size = _bytes(service.get("shm_size"))
    if size is None or size < MIN_SHM:
        what = f"shm_size is {service.get('shm_size', '64m, the default')}: Ray's object store does not fit in"
        yield document.found("compose-shm", (*path, "shm_size"), what, "a third of the container's memory, such as 2g")


def _environment(service: dict[str, Any]) -> dict[str, str]:
    given = service.get("environment")
    if isinstance(given, list):
        return dict(str(one).partition("=")[::2] for one in given)
    return {str(name): str(value) for name, value in (given or {}).items()}


def _command(service: dict[str, Any]) -> str:
    command = service.get("command", "")
    return " ".join(map(str, command)) if isinstance(command, list) else str(command)


def _bytes(size: object) -> int | None:
    if isinstance(size, int):
        return size
    match = _SIZE.match(str(size))
    return int(float(match.group(1)) * 1024 ** " kmg".index(match.group(2).lower() or " ")) if match else None
