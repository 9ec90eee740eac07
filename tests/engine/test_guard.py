"""What a driver that is killed leaves behind: no process, no folder."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from raypipe.engine import guard


def test_processes_that_stay_are_ended_and_the_folder_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "GRACE_S", 0.2)
    folder = tmp_path / "private"
    folder.mkdir()
    stays, other = subprocess.Popen(["sleep", "600"]), subprocess.Popen(["sleep", "600"])
    try:
        started = psutil.Process(stays.pid).create_time()
        foreign = psutil.Process(other.pid).create_time() + 1.0  # the id was given to another process since
        guard.clean_up(folder, [(stays.pid, started), (other.pid, foreign)])
        assert not psutil.pid_exists(stays.pid)
        assert other.poll() is None
    finally:
        for process in (stays, other):
            process.kill()
            process.wait()
    assert not folder.exists()


@pytest.mark.slow
def test_a_private_ray_ends_with_a_driver_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import psutil, sys, time\n"
        "from raypipe.config import Resources\n"
        "from raypipe.engine.session import open_session\n"
        "session = open_session(None, cpus=1)\n"
        "session.ray.get(session.take_workers(1, Resources(cpus=0.01), 0)[0].hello.remote())\n"
        "print(session.temp_dir, *[child.pid for child in psutil.Process().children(recursive=True)], flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        folder, *pids = driver.stdout.readline().split()
        driver.kill()
    assert len(pids) > 4
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and (_alive(pids) or Path(folder).exists()):
        time.sleep(0.2)
    assert not _alive(pids)
    assert not Path(folder).exists()


def _alive(pids: list[str]) -> list[int]:
    found = []
    for pid in map(int, pids):
        if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            found.append(pid)
    return found
