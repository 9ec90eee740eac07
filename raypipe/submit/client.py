"""A client of Ray's Jobs API: plain HTTP with typed answers and errors, and no Ray."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import ValidationError

from raypipe._optional import require_extra
from raypipe.errors import ClusterError, JobExistsError, NoSuchJobError, TokenError, UnreachableError
from raypipe.submit.replies import Autoscaling, ClusterVersion, JobState, Node, Reply, RuntimeEnvState
from raypipe.submit.target import Target

if TYPE_CHECKING:
    import requests
    import websocket

R = TypeVar("R", bound=Reply)

CONNECT_S = 1.5
READ_S = 20.0
UPLOAD_S = 300.0
"""Also between two pieces that the network takes, for which the library counts the first of two timeouts."""
MANY = 10_000
KEEP_ALIVE_S = 15
"""A connection that the network has dropped in silence is noticed after about twice as long."""


class JobsClient:
    """One cluster, spoken to over HTTP.

    Every method raises `UnreachableError` where nobody answers, `TokenError` where the token is missing or wrong, and
    `ClusterError` where the answer makes no sense.
    """

    def __init__(self, target: Target) -> None:
        require_extra("cluster", by="raypipe submit")
        import requests

        self.target = target
        self._session = requests.Session()
        # A proxy is no way to this machine, and .netrc must not take the place of the token.
        self._session.trust_env = not target.is_loopback
        self._session.auth = _Bearer(target)
        if target.ca_file is not None:
            self._session.verify = str(target.ca_file)

    def authentication_mode(self) -> str:
        """`token` or `disabled`; answered without a token."""
        return str(self._json("GET", "/api/authentication_mode").get("authentication_mode", "disabled"))

    def version(self) -> ClusterVersion:
        """Versions of Ray and Python on the cluster."""
        said = self._json("GET", "/api/version")
        meta = self._json("GET", "/api/v0/cluster_metadata").get("data") or {}
        return _of(ClusterVersion, {**said, "python_version": meta.get("pythonVersion")}, "/api/version")

    def nodes(self) -> tuple[Node, ...]:
        """The nodes that are alive."""
        listed = self._state("nodes", detail="1")
        return tuple(node for node in (_of(Node, item, "nodes") for item in listed) if node.state == "ALIVE")

    def autoscaling(self) -> Autoscaling:
        """What the autoscaler knows about use and about nodes on their way."""
        data = self._json("GET", "/api/cluster_status").get("data") or {}
        status = data.get("clusterStatus") or {}
        load, report = status.get("loadMetricsReport") or {}, status.get("autoscalerReport") or {}
        pending = [f"{item[1]} at {item[0]} ({item[2]})" for item in report.get("pendingNodes") or ()]
        launches = (report.get("pendingLaunches") or {}).items()
        pending += [f"{count} of type {name}" for name, count in launches]
        failed = [f"{item[1]} at {item[0]}" for item in report.get("failedNodes") or ()]
        return Autoscaling(
            usage={name: (float(used), float(total)) for name, (used, total) in (load.get("usage") or {}).items()},
            pending=tuple(pending),
            failed=tuple(failed),
            types=tuple({**(report.get("activeNodes") or {}), **dict(launches)}),
            error=data.get("autoscalingError") or None,
        )

    def runtime_envs(self) -> tuple[RuntimeEnvState, ...]:
        """The runtime environments that nodes were asked to make, and how that went."""
        return tuple(_of(RuntimeEnvState, item, "runtime_envs") for item in self._state("runtime_envs", detail="1"))

    def has_package(self, name: str) -> bool:
        """Whether a package of this name is there; it stays for ten minutes from now at the least."""
        return self._send("GET", f"/api/packages/gcs/{name}", ok=(200, 404)).status_code == 200

    def upload(self, name: str, content: bytes) -> None:
        """Put a package of code onto the cluster."""
        self._send("PUT", f"/api/packages/gcs/{name}", data=content, timeout=(UPLOAD_S, UPLOAD_S))

    def submit(self, request: Mapping[str, Any]) -> str:
        """Hand over a job; JobExistsError where one of the same submission id is there."""
        answer = self._send("POST", "/api/jobs/", json=dict(request), ok=(200, 400, 500))
        if answer.status_code != 200:
            if "already exists" in answer.text:
                raise JobExistsError(f"submit: there is a job {request.get('submission_id')} on the cluster already")
            raise ClusterError(f"submit: the cluster did not take the job: {_last_line(answer.text)}")
        return str(answer.json()["submission_id"])

    def job(self, submission_id: str) -> JobState:
        """A job; NoSuchJobError where the cluster knows none of this name."""
        return _of(JobState, self._json("GET", f"/api/jobs/{_quoted(submission_id)}"), "the job")

    def jobs(self) -> tuple[JobState, ...]:
        """All jobs that were submitted, the latest first; drivers that were started by hand are left out."""
        listed = self._json("GET", "/api/jobs/")
        found = [_of(JobState, item, "jobs") for item in listed if item.get("submission_id")]
        return tuple(sorted(found, key=lambda job: job.start_time or 0, reverse=True))

    def stop(self, submission_id: str) -> None:
        """Ask a job to stop; it has `RAY_JOB_STOP_WAIT_TIME_S` seconds to commit what is done."""
        self._send("POST", f"/api/jobs/{_quoted(submission_id)}/stop")

    def logs(self, submission_id: str) -> str:
        """All that a job has written so far."""
        return str(self._json("GET", f"/api/jobs/{_quoted(submission_id)}/logs").get("logs") or "")

    def log_socket(self, submission_id: str) -> websocket.WebSocket:
        """A websocket that sends what a job has written, from its beginning, and what it goes on to write.

        It ends when the job is over, and also when the connection is lost: only the job's state tells which.
        """
        import websocket

        url = urlsplit(self.target.url)
        path = f"{url.path}/api/jobs/{_quoted(submission_id)}/logs/tail"
        scheme = {"http": "ws", "https": "wss"}[url.scheme]
        token = self.target.token
        socket = websocket.create_connection(
            urlunsplit(url._replace(scheme=scheme, path=path)),
            timeout=READ_S,
            header=[f"Authorization: Bearer {token.value.get_secret_value()}"] if token else [],
            sslopt={"ca_certs": str(self.target.ca_file)} if self.target.ca_file else None,
            sockopt=_keep_alive(),
            suppress_origin=True,
            http_no_proxy=[url.hostname] if self.target.is_loopback else None,
        )
        socket.settimeout(None)  # a job may have nothing to say for hours
        return socket

    def close(self) -> None:
        """Let go of the connections."""
        self._session.close()

    def _state(self, what: str, **query: str) -> list[dict[str, Any]]:
        answer = self._json("GET", f"/api/v0/{what}", params={"limit": str(MANY), **query})
        return list(((answer.get("data") or {}).get("result") or {}).get("result") or [])

    def _json(self, method: str, path: str, **options: Any) -> Any:
        answer = self._send(method, path, **options)
        try:
            return answer.json()
        except ValueError as error:
            raise ClusterError(
                f"cluster: {self.target.url}{path} answers with something that is no JSON: is this the dashboard of a "
                "Ray cluster?"
            ) from error

    def _send(self, method: str, path: str, ok: tuple[int, ...] = (200,), **options: Any) -> requests.Response:
        import requests

        options.setdefault("timeout", (CONNECT_S, READ_S))
        url = self.target.url
        try:
            answer = self._session.request(method, url + path, allow_redirects=False, **options)
        except requests.exceptions.SSLError as error:
            raise UnreachableError(f"cluster: {url} has no certificate that is trusted here: {_root(error)}") from error
        except (requests.exceptions.RequestException, OSError) as error:
            raise UnreachableError(
                f"cluster: {url} does not answer: {_root(error)}. Is the cluster up, and the tunnel to it open?"
            ) from error
        if answer.status_code in ok:
            return answer
        raise self._error(answer, path)

    def _error(self, answer: requests.Response, path: str) -> ClusterError:
        url, code = self.target.url, answer.status_code
        token = self.target.token
        if code == 401 and token is None:
            return TokenError(
                f"cluster: {url} wants a token, and none was found. Set RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH to a "
                "file with it"
            )
        if code in (401, 403):
            return TokenError(
                f"cluster: {url} refuses the token from {token.origin if token else 'nowhere'}: it is that of another "
                "cluster, or an old one"
            )
        if code == 404 and path.removeprefix("/api/jobs/") not in ("", path):
            return NoSuchJobError(f"cluster: {url} knows no job {path.split('/')[3]}; `raypipe jobs` lists those there")
        if 300 <= code < 400:
            return ClusterError(f"cluster: {url} sends us on to {answer.headers.get('Location')}; give that address")
        if code == 413:
            return ClusterError(f"cluster: {url} does not take so large a package: {answer.text.strip()[:200]}")
        if code >= 500:
            return UnreachableError(f"cluster: {url}{path} answers {code}: {_last_line(answer.text)}")
        hint = "; is this the dashboard of a Ray cluster?" if code == 404 else ""
        return ClusterError(f"cluster: {url}{path} answers {code}: {_last_line(answer.text)}{hint}")


class _Bearer:
    """Puts the token into a request."""

    def __init__(self, target: Target) -> None:
        self._token = target.token

    def __call__(self, request: Any) -> Any:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token.value.get_secret_value()}"
        return request


def _of(kind: type[R], value: Any, what: str) -> R:
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        said = json.dumps(error.errors()[0]["loc"])
        raise ClusterError(
            f"cluster: the answer about {what} is not that of a Ray that raypipe knows: {said}"
        ) from error


def _quoted(name: str) -> str:
    return quote(name, safe="")


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1][:500] if lines else "nothing"


def _root(error: BaseException) -> str:
    """What the operating system said, below the layers that wrap it."""
    reason: Any = error
    while True:
        inner = getattr(reason, "reason", None) or (reason.args[0] if getattr(reason, "args", None) else None)
        if not isinstance(inner, BaseException):
            break
        reason = inner
    said = getattr(reason, "strerror", None) or str(reason).rpartition(": ")[2] or type(reason).__name__
    return re.sub(r"^\[Errno -?\d+\] ", "", said)


def _keep_alive() -> list[tuple[int, int, int]]:
    import socket

    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    for name, value in (("TCP_KEEPIDLE", KEEP_ALIVE_S), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    return options
