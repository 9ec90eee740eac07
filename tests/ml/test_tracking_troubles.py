"""Stores that cannot be used, are used by others, or run full: told in words, and a model is there in the end."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from raypipe.errors import ConfigError, OutputError, UnreachableError
from raypipe.ml.specs import ClassifierModelSpec, MLflowSpec
from raypipe.ml.workflow import run_ml_workflow
from tests.ml.frames import people
from tests.ml.quiet import QUIET

pytest.importorskip("mlflow", reason="tracking needs mlflow: pip install 'raypipe[mlflow]'")

from raypipe.ml.tracking import list_registered_models, troubles
from raypipe.ml.tracking.store import default_uri, open_client, told
from raypipe.ml.tracking.tracker import Tracker

pytestmark = QUIET
WEAK = ClassifierModelSpec(model_name="churn", algorithm="dummy", evaluation_metrics=("log_loss",))
PEOPLE = people(100)


def learnt(place, **settings):
    return run_ml_workflow(
        None, WEAK, PEOPLE, "churn", "train_test", mlflow_spec=MLflowSpec(**settings), output_dir=place
    )


def changed(store: Path, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(store)) as database:
        database.execute(statement)
        database.commit()


def of_an_older_mlflow(store: Path, _: Path) -> None:
    from mlflow.store import db_migrations

    known = sorted(Path(db_migrations.__path__[0], "versions").glob("*_*.py"))
    changed(store, f"UPDATE alembic_version SET version_num = '{known[0].name.partition('_')[0]}'")
    with contextlib.closing(sqlite3.connect(store)) as database:
        (now,) = database.execute("SELECT version_num FROM alembic_version").fetchone()
    from mlflow.store.db.utils import _get_latest_schema_revision

    assert now != _get_latest_schema_revision()


BROKEN = {
    "is no SQLite database; choose another file": lambda store, _: store.write_text("not a database\n" * 100),
    "is damaged; put a copy of it back": lambda store, _: store.write_bytes(store.read_bytes()[:300_000]),
    "is a folder; name a file in it: sqlite:///": lambda store, _: (store.unlink(), store.mkdir()),
    r"was written by an older MLflow .*copy the file, then: mlflow db upgrade sqlite:///": of_an_older_mlflow,
    "was written by a newer MLflow .*pip install --upgrade mlflow": lambda store, _: changed(
        store, "UPDATE alembic_version SET version_num = 'ffffffffffff'"
    ),
    "was left half made; remove it": lambda store, _: changed(store, "DELETE FROM alembic_version"),
    r"is a database of something else \(it has a table 'orders'\)": lambda store, _: (
        store.unlink(),
        changed(store, "CREATE TABLE orders (id INTEGER)"),
    ),
}


@pytest.mark.parametrize("message", BROKEN)
def test_a_file_that_is_no_store_is_told_at_once_and_left_as_it_is(place, message):
    store = place / "mlflow.db"
    BROKEN[message](store, place)
    before = store.read_bytes() if store.is_file() else None
    started = time.monotonic()
    with pytest.raises((ConfigError, OutputError), match=message):
        open_client(default_uri(place))
    assert time.monotonic() - started < 30  # MLflow itself tries for a minute and a half
    assert (store.read_bytes() if store.is_file() else None) == before


def test_a_store_that_cannot_be_used_leaves_a_warning_and_a_model(place):
    (place / "mlflow.db").write_text("not a database\n" * 100)
    result = learnt(place)
    assert result.skipped["MLflow"].endswith("mlflow.db is no SQLite database; choose another file")
    assert "MLflow failed, and the workflow went on without it: MLflow: " in result.warnings[-1]
    assert len(result.pipeline.predict(PEOPLE)) == len(PEOPLE)


def test_a_registry_that_is_not_there_is_not_made_by_asking_for_it(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no .*typo\.db; say where runs are: --tracking-uri sqlite:///"):
        list_registered_models(f"sqlite:///{tmp_path}/typo.db")
    assert list(tmp_path.iterdir()) == []


@contextlib.contextmanager
def anybody() -> Iterator[None]:
    """Without the rights of root, which may write everywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_what_may_not_be_written_is_told(empty_store):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = folder / "mlflow.db"
        folder.chmod(0o555)
        with anybody(), pytest.raises(OutputError, match=r"mlflow\.db cannot be opened; its folder has to be there"):
            open_client(default_uri(folder))
        folder.chmod(0o755)
        shutil.copy(empty_store, store)
        store.chmod(0o444)
        folder.chmod(0o555)
        with anybody():
            assert list_registered_models(default_uri(folder)) == []  # to read is allowed
            with pytest.raises(OutputError, match=r"mlflow\.db may not be written to; ask for the right to"):
                Tracker.start(MLflowSpec(), folder)
        folder.chmod(0o000)
        with anybody(), pytest.raises((ConfigError, OutputError), match=r"mlflow\.db cannot be opened"):
            open_client(f"sqlite:///{folder}/mlflow.db")
        folder.chmod(0o755)


@contextlib.contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """What a full disk does: a file cannot grow."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_runs_full_is_told_and_the_model_is_there(place):
    store = place / "mlflow.db"
    learnt(place)
    with no_file_above(store.stat().st_size):
        tags = {f"tag{i}": "x" * 4_000 for i in range(40)}
        full = learnt(place, tags=tags)
    told_of = " ".join(full.skipped.values())
    assert (
        "mlflow.db cannot grow: there is no room left" in told_of or "mlflow.db could not be read or written" in told_of
    )
    assert "INSERT" not in told_of  # no statements of a database in a message
    assert len(full.pipeline.predict(PEOPLE)) == len(PEOPLE)
    assert learnt(place).skipped == {}  # the store is whole once there is room


def test_files_that_have_no_room_are_told(place):
    learnt(place, experiment_name="files")
    shutil.rmtree(place / "mlartifacts")
    (place / "mlartifacts").write_text("in the way")
    result = learnt(place, experiment_name="files")
    assert "mlartifacts" in result.skipped["MLflow logging"]
    assert "Mend that, or choose another artifact_location" in result.skipped["MLflow logging"]
    run = open_client(default_uri(place)).get_run(result.mlflow_run_id)
    assert (run.info.status, run.data.metrics["test_log_loss"]) == ("FAILED", result.metrics["log_loss"].value)


def test_a_store_that_another_holds_is_waited_for_and_then_given_up(place, monkeypatch):
    holder = sqlite3.connect(place / "mlflow.db", check_same_thread=False, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    free = threading.Timer(1.0, holder.rollback)
    free.start()
    assert learnt(place).skipped == {}
    free.join()
    monkeypatch.setattr(troubles, "WAIT_S", 0.2)
    holder.execute("BEGIN EXCLUSIVE")
    held = learnt(place)
    assert "mlflow.db is held by another process for too long; try again" in held.skipped["MLflow"]
    holder.close()


def test_two_runs_at_once_write_into_one_store_and_not_into_each_other(place):
    results = {}

    def one(name):
        results[name] = learnt(place, experiment_name="both", run_name=name)

    threads = [threading.Thread(target=one, args=(f"run {i}",)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client = open_client(default_uri(place))
    for name, result in results.items():
        run = client.get_run(result.mlflow_run_id)
        assert (result.skipped, run.info.run_name, run.info.status) == ({}, name, "FINISHED")
    assert len({result.mlflow_run_id for result in results.values()}) == 2


def test_each_output_folder_has_a_store_of_its_own(place, empty_store):
    other = place / "other"
    other.mkdir()
    shutil.copy(empty_store, other / "mlflow.db")
    ours, theirs = learnt(place), learnt(other)
    assert ours.mlflow_tracking_uri == f"sqlite:///{place}/mlflow.db"
    assert theirs.mlflow_tracking_uri == f"sqlite:///{other}/mlflow.db"
    with pytest.raises(Exception, match=f"{theirs.mlflow_run_id}"):
        open_client(default_uri(place)).get_run(theirs.mlflow_run_id)


@pytest.mark.slow
def test_two_processes_that_begin_together_make_one_store(tmp_path):
    code = "import sys; from raypipe.ml.tracking.store import *; from pathlib import Path;" + (
        " print(len(open_client(default_uri(Path(sys.argv[1]))).search_experiments()))"
    )
    words = [sys.executable, "-W", "ignore", "-c", code, str(tmp_path)]
    both = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [one.communicate()[0].strip() for one in both] == ["1", "1"]


@contextlib.contextmanager
def server_that_says(answer: bytes) -> Iterator[str]:
    """A server that says this to whoever comes, and nothing where it is empty."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answered() -> None:
            with contextlib.suppress(OSError):
                came, _ = listening.accept()
                with came:
                    came.recv(1000)
                    came.sendall(answer) if answer else time.sleep(5)

        thread = threading.Thread(target=answered, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_a_server_that_hangs_or_is_another_is_found_out(monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(troubles, "REACH_S", 0.3)
        wanted = r"nobody answers at http.* within 0\.3 s\. Start mlflow"
        with server_that_says(b"") as uri, pytest.raises(UnreachableError, match=wanted):
            troubles.check_server(uri)
    with server_that_says(b"SSH-2.0-OpenSSH\r\n") as uri, pytest.raises(UnreachableError, match="is no web server"):
        troubles.check_server(uri)
    with server_that_says(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n") as uri:
        troubles.check_server(uri)  # one that wants a name is there


def test_a_store_that_is_named_in_two_ways_is_not_waited_for(place, monkeypatch):
    monkeypatch.chdir(place)
    started = time.monotonic()
    open_client(f"sqlite:///{place}/mlflow.db", "sqlite:///mlflow.db")
    assert time.monotonic() - started < troubles.MAKING_S
    with pytest.raises(ConfigError, match="runs in memory are gone with the process"):
        open_client("sqlite:///:memory:")


def test_messages_do_not_tell_the_password_of_a_database():
    assert told("postgresql://me:secret@db:5432/runs") == "postgresql://db:5432/runs"
    assert told("sqlite:////data/mlflow.db") == "/data/mlflow.db"
