"""Speaking to a cluster: addresses, tokens and versions, on a real head where one can be made to answer so."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import SecretStr

from jobs.local_head import LocalHead, free_port
from raypipe import _optional
from raypipe.errors import (
    ClusterError,
    ConfigError,
    MissingDependencyError,
    NoSuchJobError,
    TokenError,
    UnreachableError,
)
from raypipe.submit.client import JobsClient
from raypipe.submit.preflight import Wanted, look, versions_here
from raypipe.submit.target import Target, Token
from tests.submit.conftest import Cli

DRIVER = Wanted(driver={"CPU": 1.0}, worker={"CPU": 1.0})


def client_at(url: str, token: str | None = None) -> JobsClient:
    made = Token(value=SecretStr(token), origin="RAY_AUTH_TOKEN") if token else None
    return JobsClient(Target(url=url, token=made))


def test_an_address_where_nobody_listens_is_told_at_once() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(UnreachableError, match=f"{url} does not answer: Connection refused. Is the cluster up"):
        client_at(url).version()


def test_a_missing_extra_says_the_line_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_optional, "has_extra", lambda extra: False)
    with pytest.raises(
        MissingDependencyError, match=r"raypipe submit needs websocket: pip install 'raypipe\[cluster\]'"
    ):
        client_at("http://127.0.0.1:1")


def test_a_cluster_that_wants_a_token_says_where_to_put_it(head: LocalHead) -> None:
    with pytest.raises(TokenError, match="wants a token, and none was found. Set RAY_AUTH_TOKEN"):
        client_at(head.url).version()


def test_a_wrong_token_is_told_from_a_missing_one_and_is_never_repeated(head: LocalHead) -> None:
    with pytest.raises(
        TokenError, match="refuses the token from RAY_AUTH_TOKEN: it is that of another cluster"
    ) as caught:
        client_at(head.url, "wrong-and-hidden").version()
    assert "wrong-and-hidden" not in str(caught.value)


def test_nothing_is_sent_where_the_token_is_wrong_or_missing(
    cli: Cli, job: Callable[..., Path], client: JobsClient
) -> None:
    before = len(client.jobs())
    assert "refuses the token" in cli.submit(job(), code=1, RAY_AUTH_TOKEN="wrong").err
    nowhere = {"RAY_AUTH_TOKEN": "", "HOME": str(cli.folder)}
    assert "wants a token, and none was found" in cli.submit(job(), code=1, **nowhere).err
    assert len(client.jobs()) == before


@pytest.mark.parametrize("command", ["jobs", "status x", "logs x", "stop x"])
def test_every_command_says_that_nobody_answers(cli: Cli, command: str) -> None:
    done = cli(*command.split(), "--address", f"http://127.0.0.1:{free_port()}", code=1, timeout_s=30)
    assert "does not answer: Connection refused" in done.err
    assert "Traceback" not in done.err


def test_every_endpoint_refuses_strangers(head: LocalHead) -> None:
    for path in ("/api/version", "/api/jobs/", "/nodes?view=summary", "/api/v0/nodes", "/api/cluster_status"):
        assert (head.get(path, token=False)[0], head.get(path)[0]) == (401, 200), path


def test_a_head_is_looked_at_in_less_than_two_seconds(client: JobsClient) -> None:
    import time

    client.version()
    started = time.monotonic()
    found = look(client, DRIVER)
    assert time.monotonic() - started < 2.0
    assert [one.state for one in found.findings] == ["ok", "ok"]


def test_the_nodes_and_their_use_are_told(client: JobsClient) -> None:
    (node,) = client.nodes()
    assert node.is_head_node
    assert node.resources_total["CPU"] == 2.0


def test_a_job_that_is_not_there_is_an_error_of_its_own(client: JobsClient) -> None:
    with pytest.raises(NoSuchJobError, match="knows no job a%2F..%2Fb"):
        client.job("a/../b")


class Stub(BaseHTTPRequestHandler):
    """Answers that a real cluster cannot be made to give."""

    answers: ClassVar[dict[str, Any]] = {}

    def do_GET(self) -> None:
        answer = self.answers.get(self.path.split("?")[0], (404, {}))
        code, body = answer if isinstance(answer, tuple) else (200, answer)
        self.send_response(code)
        if code == 302:
            self.send_header("Location", "https://login.example/")
        self.end_headers()
        self.wfile.write(body.encode() if isinstance(body, str) else json.dumps(body).encode())

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def stub() -> Iterator[Callable[..., str]]:
    """Starts a server that gives the answers named, and returns its address."""
    servers: list[ThreadingHTTPServer] = []

    def start(**answers: Any) -> str:
        paths = {"mode": "/api/authentication_mode", "version": "/api/version", "meta": "/api/v0/cluster_metadata",
                 "nodes": "/api/v0/nodes", "status": "/api/cluster_status"}  # fmt: skip
        given = {paths.get(name, name): answer for name, answer in answers.items()}
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Told", (Stub,), {"answers": given}))
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def nodes(*resources: dict[str, float]) -> dict[str, Any]:
    listed = [{"node_id": str(n), "state": "ALIVE", "resources_total": one} for n, one in enumerate(resources)]
    return {"data": {"result": {"result": listed}}}


def healthy(**changes: Any) -> dict[str, Any]:
    here = versions_here()
    return {
        "mode": {"authentication_mode": "token"}, "version": {"ray_version": here["ray"]},
        "meta": {"data": {"pythonVersion": here["python"] + ".1"}}, "nodes": nodes({"CPU": 4.0}),
        "status": {"data": {}}, **changes,
    }  # fmt: skip


def test_another_version_of_ray_or_python_is_refused_unless_that_is_allowed(stub: Callable[..., str]) -> None:
    url = stub(**healthy(version={"ray_version": "2.11.0"}, meta={"data": {"pythonVersion": "3.9.18"}}))
    with pytest.raises(
        ConfigError, match=r"(?s)Ray 2\.11\.0 on the cluster, and .*Python 3\.9\.18 on the cluster, and"
    ):
        look(client_at(url), DRIVER).refuse()
    allowed = look(client_at(url), DRIVER, any_version=True)
    allowed.refuse()
    assert len(allowed.warnings) == 2


def test_a_cluster_without_authentication_is_warned_of(stub: Callable[..., str]) -> None:
    found = look(client_at(stub(**healthy(mode={"authentication_mode": "disabled"}))), DRIVER)
    assert "asks for no token: whoever reaches it runs code" in found.warnings[0]


def test_an_autoscaler_may_have_what_no_node_has_yet(stub: Callable[..., str]) -> None:
    status = {"data": {"clusterStatus": {"autoscalerReport": {"activeNodes": {"ray.head.default": 1}}}}}
    found = look(client_at(stub(**healthy(nodes=nodes({"CPU": 0.0}), status=status))), DRIVER)
    found.refuse()
    assert "The autoscaler may start a node that has" in found.warnings[0]


def test_fewer_places_than_workers_are_warned_of_before_the_job_is_sent(stub: Callable[..., str]) -> None:
    many = DRIVER.replace(workers=6)
    found = look(client_at(stub(**healthy(nodes=nodes({"CPU": 4.0}, {"CPU": 1.0})))), many)
    found.refuse()
    assert "6 workers a pool are wanted, and beside the driver 4 find a place" in found.warnings[0]
    assert "--set engine.workers=4" in found.warnings[0]
    assert not look(client_at(stub(**healthy(nodes=nodes({"CPU": 8.0})))), many).warnings


def test_a_cluster_that_does_not_tell_what_it_has_is_warned_of(stub: Callable[..., str]) -> None:
    found = look(client_at(stub(**healthy(nodes=(500, "oh\n")))), DRIVER)
    found.refuse()
    assert "whether the job fits is not known" in found.warnings[0]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("<html>", "something that is no JSON: is this the dashboard"),
        ((302, ""), "sends us on to https://login.example/; give that address"),
        ((418, "I am\na teapot\n"), "answers 418: a teapot"),
    ],
)
def test_what_is_no_ray_is_told(stub: Callable[..., str], answer: Any, said: str) -> None:
    with pytest.raises(ClusterError, match=said):
        client_at(stub(mode=answer)).authentication_mode()


def test_a_gateway_without_its_cluster_may_come_back(stub: Callable[..., str]) -> None:
    with pytest.raises(UnreachableError, match="answers 502: Gateway"):
        client_at(stub(mode=(502, "Bad\nGateway\n"))).authentication_mode()


def test_a_server_that_knows_no_jobs_is_no_dashboard(stub: Callable[..., str]) -> None:
    with pytest.raises(ClusterError, match="/api/jobs/ answers 404: .*is this the dashboard of a Ray cluster"):
        client_at(stub()).jobs()


def test_a_gateway_that_takes_no_large_package_is_told(stub: Callable[..., str]) -> None:
    url = stub(**{"/api/packages/gcs/p.zip": (413, "Request Entity Too Large")})
    with pytest.raises(ClusterError, match="does not take so large a package: Request Entity"):
        client_at(url).upload("p.zip", b"x")
