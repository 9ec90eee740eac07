"""Addresses of buckets and objects: `s3://bucket/key`, `gs://…`, `az://…`, and whatever fsspec knows."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from raypipe.config import Frozen
from raypipe.errors import ConfigError

_URI = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+)://(.*)", re.DOTALL)
_FAMILIES = {
    "s3": "s3", "s3a": "s3", "s3n": "s3", "gs": "gs", "gcs": "gs",
    "az": "az", "abfs": "az", "abfss": "az", "wasb": "az", "wasbs": "az",
}  # fmt: skip
_SECRET_QUERY = re.compile(
    r"[?&]([^=&]*(?:signature|secret|token|password|credential|access_?key|account_?key)[^=&]*|sig)=", re.IGNORECASE
)
GLOB = frozenset("*?[")


class Address(Frozen):
    """One place in a bucket."""

    scheme: str
    """As it was written."""
    family: str
    """s3, gs, az, or the scheme itself."""
    bucket: str
    """Bucket, container or host."""
    key: str
    """Behind it, without a leading slash."""
    account: str | None = None
    """Azure: the storage account, where the address names it."""
    host: str = ""
    """Azure: what stands behind the container's @."""

    @property
    def root(self) -> str:
        """The bucket as an address."""
        return f"{self.scheme}://{self.bucket}{self.host}"

    def __str__(self) -> str:
        return f"{self.root}/{self.key}" if self.key else self.root

    @property
    def name(self) -> str:
        """What stands behind the last slash."""
        return self.key.rstrip("/").rpartition("/")[2]

    def at(self, key: str) -> Address:
        """Another place in the same bucket."""
        return self.replace(key=key.lstrip("/"))

    def below(self, name: str) -> Address:
        """The place of this name in this folder."""
        return self.at(f"{self.key.rstrip('/')}/{name}" if self.key.strip("/") else name)

    @property
    def path(self) -> str:
        """Bucket and key, as Arrow's file systems want them."""
        return f"{self.bucket}/{self.key}".rstrip("/")


def is_remote(place: object) -> bool:
    """Whether this is the address of a bucket rather than a path.

    Examples
    --------
    >>> is_remote("s3://bucket/a.csv"), is_remote("data/a.csv"), is_remote("file:///data/a.csv")
    (True, False, False)
    """
    found = _URI.match(str(place)) if not isinstance(place, Path) else None
    return found is not None and found[1].lower() != "file"


def local_path(place: str | Path) -> Path:
    """The path of a local place; `file:///data/a.csv` is one."""
    text = str(place)
    return Path(unquote(text[len("file://") :])) if text.lower().startswith("file://") else Path(text)


def parse_address(text: str) -> Address:
    """Take an address apart.

    Raises
    ------
    ConfigError
        If it names no bucket, or holds a credential, which would end up in logs and records.

    Examples
    --------
    >>> parse_address("s3://sales/2026/may.csv").key
    '2026/may.csv'
    """
    found = _URI.match(text)
    if found is None:
        raise ConfigError(f"{text!r} is no address of a bucket; wanted one such as s3://bucket/folder/file.csv")
    scheme, rest = found[1].lower(), found[2]
    bucket, _, key = rest.partition("/")
    family = _FAMILIES.get(scheme, scheme)
    user, at, host = bucket.rpartition("@")
    _refuse_secrets(f"{scheme}://", (user, host, family), key)
    account = host.partition(".")[0] if at and family == "az" else None
    if at and family == "az":
        bucket, host = user, f"@{host}"
    else:
        host = ""
    if not bucket or bucket.isspace() or GLOB & set(bucket):
        raise ConfigError(f"{scheme}://{rest}: names no bucket; wanted {scheme}://BUCKET/KEY")
    return Address(scheme=scheme, family=family, bucket=bucket, key=key, account=account, host=host)


def _refuse_secrets(scheme: str, authority: tuple[str, str, str], key: str) -> None:
    user, host, family = authority
    if ":" in user or (user and family in ("s3", "gs")):
        raise ConfigError(
            f"{scheme}***@{host}/{key}: an address holds no credentials, since it ends up in logs and records. Leave "
            "them out, and give them as the cloud's own tools take them: in the environment, in a profile, or by role"
        )
    query = _SECRET_QUERY.search(key)
    if query is not None:
        raise ConfigError(
            f"{scheme}{host}/{key[: query.start()]}: the address holds a credential ({query[1]}=…), which would end up "
            "in logs and records. Leave it out, and give it as the cloud's own tools take it"
        )
