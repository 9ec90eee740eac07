"""The first lines of a job, in a process of their own: they hold the cluster to what was promised."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from raypipe.cli import bootstrap
from raypipe.submit.preflight import versions_here


def first_line(folder: Path, expected: dict[str, str], *flags: str) -> subprocess.CompletedProcess[str]:
    """The entry point as a package holds it, with arguments that the driver refuses at once."""
    shutil.copy(bootstrap.__file__, folder / "raypipe_job.py")
    (folder / "raypipe_job.json").write_text(json.dumps(expected))
    command = [sys.executable, *flags, "raypipe_job.py", "nowhere.yaml"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_equal_versions_lead_into_the_driver(tmp_path: Path) -> None:
    done = first_line(tmp_path, versions_here())
    assert done.returncode == 2
    assert "nowhere.yaml: cannot be read" in done.stderr
    assert '"event": "ended", "code": 2' in done.stdout


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("python", "use an image with that Python"),
        ("ray", "the PATH of its environment"),
        ("raypipe", "--with-raypipe"),
    ],
)
def test_another_version_is_told_with_what_to_do(tmp_path: Path, name: str, advice: str) -> None:
    done = first_line(tmp_path, {**versions_here(), name: "99.9"})
    assert done.returncode == 2
    assert f"{name} {versions_here()[name]} on the cluster, 99.9 where the job comes from: " in done.stderr
    assert advice in done.stderr


def test_a_python_without_ray_and_raypipe_is_told_by_name(tmp_path: Path) -> None:
    done = first_line(tmp_path, versions_here(), "-S", "-E")
    assert done.returncode == 2
    assert "ray is not installed on the cluster" in done.stderr
    assert "raypipe is not installed on the cluster" in done.stderr
    assert sys.executable.rpartition("/")[2] in done.stderr
    assert "Traceback" not in done.stderr
