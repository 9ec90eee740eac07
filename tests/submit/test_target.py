"""Which cluster, and which token."""

from __future__ import annotations

from pathlib import Path

import pytest

from raypipe.errors import ConfigError
from raypipe.submit.target import find_target, find_token


def test_the_flag_wins_over_the_environment_in_the_order_of_its_variables(tmp_path: Path) -> None:
    environ = {"RAY_ADDRESS": "http://localhost:3", "RAY_API_SERVER_ADDRESS": "http://localhost:2"}
    assert find_target("http://127.0.0.1:1/", environ, tmp_path).url == "http://127.0.0.1:1"
    assert find_target(None, environ, tmp_path).url == "http://localhost:2"
    assert find_target(None, {**environ, "RAYPIPE_ADDRESS": "http://[::1]:4"}, tmp_path).url == "http://[::1]:4"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (None, "no cluster is named"),
        ("http://10.0.0.7:8265", r"plain text\. Open a tunnel, `ssh -N -L 8265:127\.0\.0\.1:8265 10\.0\.0\.7`"),
        ("http://head.example:8265", "kubectl port-forward"),
        ("auto", "--address is auto; jobs go to the cluster's dashboard"),
        ("ray://head:10001", "jobs go to the cluster's dashboard"),
        ("127.0.0.1:6379", "the port that Ray's own drivers connect to"),
        ("http://me:word@localhost:8265", "has a name or a password in it"),
        ("ftp://localhost", "wanted http://HOST:PORT"),
        ("http://localhost:port", "no port that is a number"),
    ],
)
def test_an_address_that_will_not_do_is_refused_with_what_to_type(
    address: str | None, said: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        find_target(address, {}, tmp_path)
    assert "word" not in str(caught.value).replace("a password", "")


def test_https_and_loopback_need_no_leave_and_plain_http_does(tmp_path: Path) -> None:
    assert find_target("https://ray.example", {}, tmp_path).url == "https://ray.example"
    assert find_target("localhost:8265", {}, tmp_path).is_loopback
    assert not find_target("http://10.0.0.7:8265", {}, tmp_path, insecure=True).is_loopback


def test_the_token_is_found_where_ray_finds_it(tmp_path: Path) -> None:
    assert find_token({}, tmp_path) is None
    home = tmp_path / ".ray" / "auth_token"
    home.parent.mkdir()
    home.write_text("of home\n")
    home.chmod(0o600)
    named = tmp_path / "token"
    named.write_text("of a file")
    named.chmod(0o600)
    found = [
        find_token({}, tmp_path),
        find_token({"RAY_AUTH_TOKEN_PATH": str(named)}, tmp_path),
        find_token({"RAY_AUTH_TOKEN_PATH": str(named), "RAY_AUTH_TOKEN": "given"}, tmp_path),
    ]
    assert [one.value.get_secret_value() for one in found if one] == ["of home", "of a file", "given"]
    assert "given" not in repr(found)


def test_a_token_that_others_can_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("x")
    path.chmod(0o644)
    token = find_token({"RAY_AUTH_TOKEN_PATH": str(path)}, tmp_path)
    assert token is not None
    assert "chmod 600" in (token.note or "")


def test_a_token_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="RAY_AUTH_TOKEN_PATH names .*nowhere, which cannot be read"):
        find_token({"RAY_AUTH_TOKEN_PATH": str(tmp_path / "nowhere")}, tmp_path)
