"""Storage servers on this machine, and what stands in front of them when a test wants trouble."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.fs as pafs
import pytest

from raypipe.config import S3Config, StorageConfig
from tests.storage.proxy import Proxy, proxy_to

BUCKET = "sales"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing-secret",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass
class Bucket:
    """An S3 server with one bucket."""

    url: str
    fs: pafs.FileSystem
    uri: str = f"s3://{BUCKET}"

    @property
    def storage(self) -> StorageConfig:
        """Settings that lead to it."""
        return StorageConfig(s3=S3Config(endpoint=self.url, region="us-east-1"), backoff_s=0.01)

    def put(self, key: str, content: bytes) -> str:
        """Put an object; returns its address."""
        with self.fs.open_output_stream(f"{BUCKET}/{key}", compression=None) as stream:
            stream.write(content)
        return f"{self.uri}/{key}"

    def put_folder(self, folder: Path, prefix: str) -> str:
        """Put the files of a folder; returns the address of what they are under."""
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                self.put(f"{prefix}/{file.relative_to(folder).as_posix()}", file.read_bytes())
        return f"{self.uri}/{prefix}"

    def get(self, key: str) -> bytes:
        """The content of an object."""
        with self.fs.open_input_stream(f"{BUCKET}/{key}") as stream:
            return stream.read()

    def keys(self, prefix: str = "") -> list[str]:
        """Objects under a prefix."""
        selector = pafs.FileSelector(f"{BUCKET}/{prefix}".rstrip("/"), recursive=True, allow_not_found=True)
        found = self.fs.get_file_info(selector)
        return sorted(info.path.removeprefix(f"{BUCKET}/") for info in found if info.type is pafs.FileType.File)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The URL of an S3 server in this process."""
    server = pytest.importorskip("moto.server", reason="moto is absent: pip install -e '.[dev]'")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """An empty bucket, and the environment of somebody who may use it."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "AZURE_", "GOOGLE_", "STORAGE_"))]:
        monkeypatch.delenv(name)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    host = s3_server.removeprefix("http://")
    fs = pafs.S3FileSystem(
        endpoint_override=host, scheme="http", region="us-east-1", allow_bucket_creation=True,
        allow_bucket_deletion=True,
    )  # fmt: skip
    fs.create_dir(BUCKET)
    yield Bucket(s3_server, fs)
    fs.delete_dir_contents(BUCKET, missing_dir_ok=True)


@pytest.fixture
def proxied(s3: Bucket) -> Iterator[tuple[Bucket, Proxy]]:
    """The bucket behind a proxy that makes faults, and the proxy; what is put goes past it."""
    with proxy_to(s3.url) as proxy:
        yield Bucket(proxy.url, s3.fs), proxy
