"""A local S3 server in a process of its own, for `benchmarks.cloud_io`."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.fs as pafs

from benchmarks.process import ROOT, ContenderError

BUCKET = "bench"
START_S = 60.0
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""That any such server takes; it listens on loopback only."""


@contextlib.contextmanager
def s3_server() -> Iterator[str]:
    """The URL of a server that ends with the block."""
    command = [sys.executable, "-m", "benchmarks.s3server"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        if not url:
            raise ContenderError("the S3 server did not start; `make .venv/.installed` installs moto")
        yield url
    finally:
        process.terminate()
        process.communicate(timeout=START_S)


def put(url: str, path: Path) -> str:
    """Put a file into the bucket; returns its address."""
    fs = pafs.S3FileSystem(
        access_key=CREDENTIALS["AWS_ACCESS_KEY_ID"], secret_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        region=CREDENTIALS["AWS_REGION"], endpoint_override=url.removeprefix("http://"), scheme="http",
        allow_bucket_creation=True,
    )  # fmt: skip
    fs.create_dir(BUCKET)
    with path.open("rb") as source, fs.open_output_stream(f"{BUCKET}/{path.name}") as stream:
        while chunk := source.read(8 << 20):
            stream.write(chunk)
    return f"s3://{BUCKET}/{path.name}"


def main() -> None:
    """Serve until the process is ended; the URL is the first line of standard output."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    print(f"http://{host}:{port}", flush=True)
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main()
