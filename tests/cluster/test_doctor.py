"""`raypipe cluster doctor`: what this machine lacks, and whether a cluster is well and lets nobody in."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from raypipe.cluster.checks import ClusterCheck
from raypipe.cluster.reach import ask, check_cluster, dashboard_url
from raypipe.cluster.render.docker import HEALTH
from raypipe.cluster.tools import check_machine, find_token, token_check
from raypipe.errors import ConfigError
from tests.cluster.head import Head, head_with_token
from tests.cluster.shipped import ROOT, shipped


def named(checks: list[ClusterCheck], name: str) -> ClusterCheck:
    return next(check for check in checks if check.name == name)


def test_credentials_are_said_to_be_there_and_never_shown(tmp_path: Path) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text("[default]\naws_secret_access_key = hush\n")
    environ = {"GOOGLE_APPLICATION_CREDENTIALS": "/hush.json", "RAY_AUTH_TOKEN": "hush"}
    checks = check_machine(shipped(), environ, tmp_path)
    assert "hush" not in str(checks)
    assert named(checks, "credentials aws").found == "there: ~/.aws/credentials"
    assert named(checks, "credentials gcp").found == "there: GOOGLE_APPLICATION_CREDENTIALS"
    assert named(checks, "credentials azure").advice == "az login"


def test_values_of_the_spec_that_are_still_examples_are_named(tmp_path: Path) -> None:
    found = named(check_machine(shipped(), {}, tmp_path), "spec").found
    assert all(key in found for key in ("image.repository", "ssh_cidrs", "aws.bucket", "gcp.project_id"))
    mine = shipped().replace(ssh_cidrs=("10.1.0.0/16",))
    assert "ssh_cidrs" not in named(check_machine(mine, {}, tmp_path), "spec").found


@pytest.mark.parametrize(
    ("text", "mode", "state", "says"),
    [
        (None, 0o600, "warning", "no file"),
        ("t0ken", 0o600, "ok", "readable by you alone"),
        ("t0ken", 0o644, "broken", "is open"),
        ("\n", 0o600, "broken", "is empty"),
    ],
)
def test_the_token_file_must_be_there_and_closed_to_others(
    tmp_path: Path, text: str | None, mode: int, state: str, says: str
) -> None:
    path = tmp_path / ".raypipe/cluster_token"
    if text is not None:
        path.parent.mkdir()
        path.write_text(text)
        path.chmod(mode)
    found = token_check(shipped(), {}, tmp_path)
    assert (found.state, says in found.found) == (state, True), found
    assert "t0ken" not in str(found)


def test_the_token_is_looked_for_where_ray_looks(tmp_path: Path) -> None:
    (tmp_path / ".raypipe").mkdir()
    (tmp_path / ".raypipe/cluster_token").write_text("of the spec\n")
    (tmp_path / "other").write_text("of the path\n")
    by_path = {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "other")}
    assert find_token(shipped(), {}, tmp_path) == "of the spec"
    assert find_token(shipped(), by_path, tmp_path) == "of the path"
    assert find_token(shipped(), {**by_path, "RAY_AUTH_TOKEN": "itself"}, tmp_path) == "itself"
    assert find_token(None, {}, tmp_path) is None


@pytest.mark.parametrize("address", ["http://192.0.2.1:8265", "192.0.2.1:8265", "http://cluster.example.com:8265"])
def test_a_token_is_never_sent_over_plain_http_to_another_machine(address: str) -> None:
    with pytest.raises(ConfigError, match="plain HTTP to another machine.*open a tunnel"):
        dashboard_url(address)


def test_what_is_no_address_is_told() -> None:
    with pytest.raises(ConfigError, match=r"--address: got 'ray://x'; wanted the dashboard"):
        dashboard_url("ray://x")


def test_an_address_that_does_not_answer_is_one_finding(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (found,) = check_cluster(f"http://127.0.0.1:{port}", "t0ken")
    assert (found.name, found.state) == ("answers", "broken")
    assert "refused" in found.found
    assert "tunnel" in found.means


class _Stranger(BaseHTTPRequestHandler):
    """Another web server, which sends whoever asks somewhere else."""

    def do_GET(self) -> None:
        assert self.headers.get("Authorization") is None
        self.send_response(302)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def stranger() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Stranger) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_server_that_is_no_ray_gets_no_token_and_is_told(stranger: str) -> None:
    checks = check_cluster(stranger, "t0ken")
    assert named(checks, "authentication").means == "it is no dashboard of Ray 2.52 or later"
    assert named(checks, "with the token").state == "skipped"


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    with head_with_token(tmp_path_factory.mktemp("head")) as started:
        yield started


@pytest.mark.slow
def test_a_cluster_with_a_token_lets_nobody_in_without_it(head: Head) -> None:
    checks = check_cluster(head.address, head.token)
    assert {check.state for check in checks} <= {"ok", "skipped"}, checks
    assert named(checks, "authentication").found == "token"
    guarded = [check for check in checks if check.name.startswith("without a token")]
    assert len(guarded) == 3
    assert all(check.found.startswith("refused with HTTP 401") for check in guarded)
    assert named(checks, "version of Ray").state == "ok"


@pytest.mark.slow
def test_the_health_probes_of_the_rendered_files_are_answered_without_a_token(head: Head) -> None:
    until = time.monotonic() + 60
    while (answer := ask(f"http://127.0.0.1:{head.spec.ports.agent}", "/api/healthz", None)).status != 200:
        assert time.monotonic() < until, answer
        time.sleep(0.5)
    exec(HEALTH.format(port=head.spec.ports.agent), {})  # what the containers run


@pytest.mark.slow
def test_the_dashboard_of_the_rendered_files_listens_on_loopback_alone(head: Head) -> None:
    listening = {
        one.laddr.ip
        for one in psutil.net_connections("tcp")
        if one.status == psutil.CONN_LISTEN and one.laddr.port == head.spec.ports.dashboard
    }
    assert listening == {"127.0.0.1"}


@pytest.mark.slow
@pytest.mark.parametrize(("token", "found"), [(None, "no token"), ("wrong" * 12, "HTTP 403")])
def test_a_wrong_or_missing_token_is_told(head: Head, token: str | None, found: str) -> None:
    check = named(check_cluster(head.address, token), "with the token")
    assert (check.state, check.found) == ("broken", found)


@pytest.mark.slow
def test_the_command_finds_the_token_in_the_environment(head: Head) -> None:
    command = [sys.executable, "-m", "raypipe", "cluster", "doctor", "--address", head.address, "--json"]
    env = {**os.environ, "RAY_AUTH_TOKEN_PATH": str(head.token_file)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    assert named([ClusterCheck(**one) for one in json.loads(done.stdout)], "with the token").found == "let in"
    assert head.token not in done.stdout
