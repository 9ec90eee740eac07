"""Whether a cluster answers, has the versions of this machine, and lets nobody in without a token."""

from __future__ import annotations

import ipaddress
import json
import sys
import urllib.error
import urllib.request
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from raypipe.cluster.checks import ClusterCheck
from raypipe.engine.launcher import installed_ray
from raypipe.errors import ConfigError

TIMEOUT_S = 5.0
GUARDED = ("/api/jobs/", "/nodes?view=summary", "/api/cluster_status")
"""Endpoints that run code or tell of it; each must ask for a token."""
REFUSED = (401, 403)
MAX_BYTES = 1 << 20


class Answer(NamedTuple):
    """What an endpoint said."""

    status: int | None
    """None: it did not answer."""
    body: Any
    why: str = ""


class _Stay(urllib.request.HTTPRedirectHandler):
    """Goes nowhere else: a token must not follow a redirect."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def check_cluster(address: str, token: str | None) -> list[ClusterCheck]:
    """Every check of a cluster's dashboard; `address` is `http://host:port`.

    Raises
    ------
    ConfigError
        If the address is none, or plain HTTP to another machine, over which a token must not go.
    """
    base = dashboard_url(address)
    mode = ask(base, "/api/authentication_mode", None)
    if mode.status is None:
        means = "the cluster is down, the address is wrong, or no tunnel leads to it"
        advice = "raypipe cluster doctor --address http://127.0.0.1:8265, after: ray dashboard cluster/aws.yaml"
        return [ClusterCheck(name="answers", state="broken", found=f"{base}: {mode.why}", means=means, advice=advice)]
    checks = [ClusterCheck(name="answers", state="ok", found=base), _mode(mode)]
    guarded = isinstance(mode.body, dict) and mode.body.get("authentication_mode") not in (None, "disabled")
    checks += [_guarded(base, path) for path in GUARDED]
    checks.append(_token(base, token, guarded))
    return [*checks, *_versions(ask(base, "/api/version", token))]


def dashboard_url(address: str) -> str:
    """`address` as a URL without a path.

    Examples
    --------
    >>> dashboard_url("127.0.0.1:8265")
    'http://127.0.0.1:8265'
    """
    given = address if "://" in address else f"http://{address}"
    parts = urlsplit(given)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"--address: got {address!r}; wanted the dashboard, such as http://127.0.0.1:8265")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ConfigError(
            f"--address: {address!r} is plain HTTP to another machine, where everybody on the way reads the token; "
            "open a tunnel (ray dashboard FILE, or kubectl port-forward) and give http://127.0.0.1:8265"
        )
    return f"{parts.scheme}://{parts.netloc}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def ask(base: str, path: str, token: str | None) -> Answer:
    """GET one endpoint; nothing is raised for a cluster that does not answer or refuses."""
    request = urllib.request.Request(base + path, headers={"Authorization": f"Bearer {token}"} if token else {})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay())
    try:
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            return Answer(answer.status, _parsed(answer.read(MAX_BYTES)))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, _parsed(error.read(MAX_BYTES)))
    except (OSError, ValueError) as error:
        return Answer(None, None, str(getattr(error, "reason", error)) or type(error).__name__)


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _mode(answer: Answer) -> ClusterCheck:
    mode = answer.body.get("authentication_mode") if isinstance(answer.body, dict) else None
    if mode is None:
        means = "it is no dashboard of Ray 2.52 or later"
        return ClusterCheck(name="authentication", state="broken", found=f"HTTP {answer.status}", means=means)
    if mode == "disabled":
        means = "whoever reaches the address can run code on the cluster"
        advice = "start Ray with RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH; see: raypipe cluster render"
        return ClusterCheck(name="authentication", state="broken", found="disabled", means=means, advice=advice)
    return ClusterCheck(name="authentication", state="ok", found=str(mode))


def _guarded(base: str, path: str) -> ClusterCheck:
    name = f"without a token {path}"
    answer = ask(base, path, None)
    if answer.status in REFUSED:
        return ClusterCheck(name=name, state="ok", found=f"refused with HTTP {answer.status}")
    if answer.status == 200:
        means = "it answers whoever asks"
        return ClusterCheck(name=name, state="broken", found="answered", means=means, advice="turn the token on")
    return ClusterCheck(name=name, state="warning", found=f"HTTP {answer.status or answer.why}", means="not known here")


def _token(base: str, token: str | None, guarded: bool) -> ClusterCheck:
    if not guarded:
        return ClusterCheck(name="with the token", state="skipped", found="the cluster asks for none")
    if token is None:
        advice = "export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=FILE"
        means = "the cluster wants a token, and none is found here"
        return ClusterCheck(name="with the token", state="broken", found="no token", means=means, advice=advice)
    status = ask(base, "/api/jobs/", token).status
    if status == 200:
        return ClusterCheck(name="with the token", state="ok", found="let in")
    means = "the token here is not that of the cluster"
    advice = "copy it from where the cluster was started, or from its Secret"
    return ClusterCheck(name="with the token", state="broken", found=f"HTTP {status}", means=means, advice=advice)


def _versions(answer: Answer) -> list[ClusterCheck]:
    body = answer.body if answer.status == 200 and isinstance(answer.body, dict) else {}
    here_python = f"{sys.version_info.major}.{sys.version_info.minor}"
    pairs = (
        ("Ray", body.get("ray_version"), installed_ray(), "pip install 'ray[default]=={}'"),
        ("Python", _minor(body.get("python_version")), here_python, "use Python {} here"),
    )
    return [_version(*pair) for pair in pairs]


def _minor(version: object) -> str | None:
    return ".".join(version.split(".")[:2]) if isinstance(version, str) else None


def _version(name: str, there: object, here: str, advice: str) -> ClusterCheck:
    title = f"version of {name}"
    if not isinstance(there, str):
        return ClusterCheck(name=title, state="skipped", found=f"here {here}; the cluster does not say")
    if there == here:
        return ClusterCheck(name=title, state="ok", found=f"{here} here and there")
    means = "work that is sent from here may fail there"
    found = f"here {here}, there {there}"
    return ClusterCheck(name=title, state="broken", found=found, means=means, advice=advice.format(there))
