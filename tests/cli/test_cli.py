"""The command line as a stranger uses it: a process of its own, its text, its files, its exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest
import yaml

from raypipe.config import PipelineConfig
from tests.warm import run_raypipe as raypipe


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.csv"
    rows = [f"{number},{'red' if number % 3 else 'blue'},{number * 1.5}" for number in range(200)]
    path.write_text("\n".join(["id,colour,weight", *rows]) + "\n")
    return path


def test_run_says_what_it_found_and_where_it_is(tiny: Path, tmp_path: Path) -> None:
    words = ["run", str(tiny), "--target", "weight", "--run-id", "first"]
    # As `python -m raypipe` starts it, for once: with all that has to be loaded.
    done = subprocess.run(
        [sys.executable, "-m", "raypipe", *words], cwd=tmp_path, capture_output=True, text=True, timeout=240, check=True
    )
    assert "200 rows x 3 columns" in done.stdout
    assert "200 read = 200 kept + 0 quarantined + 0 dropped" in done.stdout
    assert (tmp_path / "output/first/dashboard.html").as_uri() in done.stdout
    assert "data_loading: 200 rows read" in done.stderr


def test_run_prints_its_summary_as_json(tiny: Path, tmp_path: Path) -> None:
    done = raypipe("run", tiny, "--json", "--quiet", "--no-dashboard", cwd=tmp_path)
    assert json.loads(done.stdout)["rows"]["kept"] == 200


def test_plan_shows_pools_and_memory_without_running(tiny: Path, tmp_path: Path) -> None:
    done = raypipe("plan", tiny, cwd=tmp_path)
    assert "engine  inline" in done.stdout
    assert "Summarise" in done.stdout
    assert "MiB at the peak" in done.stdout
    assert not (tmp_path / "output").exists()


def test_profile_lists_every_column(tiny: Path, tmp_path: Path) -> None:
    done = raypipe("profile", tiny, "--output", "profile.json", cwd=tmp_path)
    assert all(name in done.stdout for name in ("id", "colour", "weight"))
    assert json.loads((tmp_path / "profile.json").read_text())["rows"] == 200


def test_validate_exits_with_3_where_an_error_is_found(tiny: Path, tmp_path: Path) -> None:
    assert "valid" in raypipe("validate", tiny, cwd=tmp_path).stdout
    schema = {"name": "things", "columns": [{"name": "id", "dtype": "int64", "max_value": 100}]}
    (tmp_path / "schema.yaml").write_text(yaml.safe_dump(schema))
    done = raypipe("validate", tiny, "--schema", "schema.yaml", "--quarantine", "bad.parquet", cwd=tmp_path, check=3)
    assert "'id': 99 rows of 200" in done.stdout
    assert (tmp_path / "bad.parquet").exists()


def test_init_writes_a_config_that_runs_as_it_is(tiny: Path, tmp_path: Path) -> None:
    raypipe("init", "other.yaml", "--source", "nowhere.csv", cwd=tmp_path)
    assert PipelineConfig.load(tmp_path / "other.yaml") == PipelineConfig(data_source="nowhere.csv")
    raypipe("init", "mine.yaml", "--source", "tiny.csv", cwd=tmp_path)
    found = PipelineConfig.load(tmp_path / "mine.yaml")
    assert found == PipelineConfig(data_source="tiny.csv", read_options=found.read_options)
    assert (found.read_options.delimiter, found.read_options.header_rows) == (",", 1)
    raypipe("run", "--config", "mine.yaml", "--no-dashboard", "--quiet", cwd=tmp_path)
    assert "is there already" in raypipe("init", "mine.yaml", cwd=tmp_path, check=2).stderr


def test_doctor_names_what_is_missing(tmp_path: Path) -> None:
    done = raypipe("doctor", "--no-start-ray", "--json", cwd=tmp_path)
    checks = {check["name"]: check for check in json.loads(done.stdout)}
    assert checks["polars"]["state"] == "ok"
    assert checks["python"]["found"].startswith("3.")


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["run", "nowhere.csv"], 1, "nowhere.csv"),
        (["run", "tiny.csv", "--target", "wieght"], 2, "Did you mean 'weight'"),
        (["run", "tiny.csv", "--set", "procesing.impute=auto"], 2, "Did you mean 'processing'"),
        (["run", "tiny.csv", "--set", "engine.wrokers=2"], 2, "Did you mean 'workers'"),
        (["run", "tiny.csv", "--sample", "-5"], 2, "sample_size"),
        (["run"], 2, "data_source"),
        (["run", "tiny.csv", "--config", "nowhere.yaml"], 2, "nowhere.yaml"),
        (["run", "tiny.csv", "--engine", "spark"], 2, "engine.engine"),
        (["run", "tiny.csv", "--output", "tiny.csv/x"], 1, "Choose another folder with --output"),
        (["fly"], 2, "No such command"),
    ],
)
def test_errors_are_one_line_and_an_exit_code(
    tiny: Path, tmp_path: Path, arguments: list[str], code: int, text: str
) -> None:
    done = raypipe(*arguments, cwd=tmp_path, check=code)
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def wait_until(condition: object, seconds: float = 60.0) -> bool:
    """Wait for `condition()`; False if it did not come true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("sent", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_ctrl_c_in_the_middle_leaves_no_process_and_no_temporary_file(tmp_path: Path, sent: signal.Signals) -> None:
    source = tmp_path / "big.csv"
    source.write_text("a,b,c\n" + "".join(f"{n},{n * 7 % 1000},word{n % 50}\n" for n in range(600_000)))
    command = [
        sys.executable,
        "-m",
        "raypipe",
        "run",
        str(source),
        "--engine",
        "ray",
        "--run-id",
        "r",
        "--set",
        "engine.block_mib=0.25",
    ]
    # A short path: Ray's sockets lie below it, and their names have 107 bytes at most.
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="rp-") as ray_temp:
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "TMPDIR": ray_temp},
            # A test run in the background of a shell ignores SIGINT, and its children would inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        events = tmp_path / "output/r/events.jsonl"
        assert wait_until(lambda: events.exists() and "bundle_done" in events.read_text(), 120), process.stderr
        family = descendants(process.pid)
        assert family
        process.send_signal(sent)
        sent_at = time.monotonic()
        _, errors = process.communicate(timeout=60)
        took = time.monotonic() - sent_at
        assert process.returncode == 130, errors.decode()
        last = errors.decode().rstrip().splitlines()[-2:]
        assert "cancelled" in last or last[-1].startswith("note: what was done until then is kept")
        assert wait_until(
            lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in family), 20
        )
        assert os.listdir(ray_temp) == []
    assert not list(tmp_path.rglob(".tmp-*"))
    assert json.loads((tmp_path / "output/r/execution_summary.json").read_text())["execution_status"] == "cancelled"
    print(f"ended {took:.1f} s after {sent.name}")


def test_a_profile_measures_how_columns_go_together_when_asked(tmp_path: Path) -> None:
    from raypipe.insights.statistics.models import Statistics

    rows = [f"{n % 97},{n % 97 * 2 + n % 3},{'even' if n % 2 else 'odd'},{(n * 7919) % 13}" for n in range(300)]
    path = tmp_path / "rows.csv"
    path.write_text("a,b,c,d\n" + "\n".join(rows) + "\n")
    done = raypipe(
        "profile",
        str(path),
        "--statistics",
        str(tmp_path / "s.json"),
        "--output",
        str(tmp_path / "p.json"),
        cwd=tmp_path,
    )
    assert done.returncode == 0
    assert "columns that go together" in done.stdout
    found = Statistics.model_validate_json((tmp_path / "s.json").read_text())
    assert found.pairs[0].columns == ("a", "b")
    assert found.numbers[0].column == "a"
    assert (tmp_path / "p.json").exists()
