"""Which cluster, and the token for it. What the environment says comes in as an argument."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from raypipe.config import Frozen
from raypipe.errors import ConfigError

ADDRESS_VARIABLES = ("RAYPIPE_ADDRESS", "RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
GCS_PORT = 6379


class Token(Frozen):
    """The token of a cluster, and where it was found."""

    value: SecretStr
    origin: str
    note: str | None = None
    """What is wrong with the way in which it is kept."""


class Target(Frozen):
    """The dashboard of a cluster, which takes jobs."""

    url: str
    token: Token | None
    ca_file: Path | None = None
    """Certificates to trust for https; None trusts the usual ones."""

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine, or at the near end of a tunnel."""
        return _is_loopback(urlsplit(self.url).hostname or "")


def find_target(
    address: str | None,
    environ: Mapping[str, str],
    home: Path,
    *,
    insecure: bool = False,
    ca_file: Path | None = None,
) -> Target:
    """The cluster that `address`, or else the environment, names.

    Raises
    ------
    ConfigError
        If none is named, if it is no address of a dashboard, if the token would cross a network in plain text, or if
        the file that is said to hold the token is not there.
    """
    named = [("--address", address), *((name, environ.get(name)) for name in ADDRESS_VARIABLES)]
    origin, got = next(((origin, value) for origin, value in named if value), ("", ""))
    if not got:
        raise ConfigError(
            f"submit: no cluster is named. Give --address http://127.0.0.1:8265, or set {ADDRESS_VARIABLES[0]}"
        )
    url = _checked_url(got, origin)
    target = Target(url=url, token=find_token(environ, home), ca_file=ca_file)
    if url.startswith("http://") and not target.is_loopback and not insecure:
        host, port = urlsplit(url).hostname, urlsplit(url).port or 80
        raise ConfigError(
            f"submit: {url} would carry the token and the code over a network in plain text. Open a tunnel, "
            f"`ssh -N -L {port}:127.0.0.1:{port} {host}` or `kubectl port-forward service/NAME-head-svc {port}:{port}` "
            f"and give --address http://127.0.0.1:{port}; or give an https address; or, on a network that you trust, "
            "--insecure"
        )
    return target


def find_token(environ: Mapping[str, str], home: Path) -> Token | None:
    """The token where Ray looks for it: RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH, `.ray/auth_token` in the home folder."""
    given = environ.get("RAY_AUTH_TOKEN", "").strip()
    if given:
        return Token(value=SecretStr(given), origin="RAY_AUTH_TOKEN")
    named = environ.get("RAY_AUTH_TOKEN_PATH")
    path = Path(named) if named else home / ".ray" / "auth_token"
    try:
        text = path.read_text(encoding="utf-8").strip()
        others = path.stat().st_mode & 0o077
    except (OSError, UnicodeDecodeError) as error:
        if named:
            raise ConfigError(f"submit: RAY_AUTH_TOKEN_PATH names {path}, which cannot be read: {error}") from error
        return None
    if not text:
        return None
    note = f"{path} can be read by others: chmod 600 {path}" if others else None
    return Token(value=SecretStr(text), origin=str(path), note=note)


def _checked_url(got: str, origin: str) -> str:
    if got.startswith("ray://") or got in ("auto", "local"):
        raise ConfigError(
            f"submit: {origin} is {got}; jobs go to the cluster's dashboard: give --address http://127.0.0.1:8265"
        )
    url = got if "://" in got else f"http://{got}"
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"submit: {origin} has no port that is a number; wanted http://HOST:PORT") from error
    if parts.username or parts.password:
        raise ConfigError(f"submit: {origin} has a name or a password in it; put the token into RAY_AUTH_TOKEN")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ConfigError(f"submit: {origin} is {got}; wanted http://HOST:PORT or https://HOST")
    if port == GCS_PORT:
        raise ConfigError(
            f"submit: {origin} is {got}, the port that Ray's own drivers connect to; jobs go to the dashboard, most "
            f"often http://{parts.hostname}:8265"
        )
    return url.rstrip("/")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
