"""Sessions: private, authenticated, gone with their process; a Ray of someone else is left alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from raypipe.engine.session import TEMP_PREFIX, Session, open_session
from raypipe.errors import ConfigError


def run_python(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in an interpreter of its own; its last line is JSON."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="rp-") as temp:
        made = {**os.environ, "TMPDIR": temp, "HOME": temp, **env}
        for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
            made.pop(name, None)
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=made, check=False
        )
        left = sorted(path.name for path in Path(temp).glob(f"{TEMP_PREFIX}*"))
        assert left == [], f"temporary folders left: {left}"
        return done


def test_the_session_of_a_process_is_shared(ray_session: Session) -> None:
    assert open_session(None) is ray_session


def test_another_address_is_refused_while_a_session_is_open(ray_session: Session) -> None:
    with pytest.raises(
        ConfigError, match="is connected to a private Ray; close it with .*before connecting to 10.0.0.1:6379"
    ):
        open_session("10.0.0.1:6379")


def test_a_private_ray_has_a_token_of_its_own_and_ends_with_an_exception() -> None:
    done = run_python(
        "import json, os, psutil\n"
        "from pathlib import Path\n"
        "from raypipe.engine.session import open_session\n"
        "session = open_session(None, cpus=1)\n"
        "family = [child.pid for child in psutil.Process().children(recursive=True)]\n"
        "stored = (Path.home() / '.ray' / 'auth_token').exists()\n"
        "print(json.dumps({'mode': os.environ['RAY_AUTH_MODE'], 'chars': len(os.environ['RAY_AUTH_TOKEN']),"
        " 'stored': stored, 'family': family, 'cpus': session.cpus}), flush=True)\n"
        "raise RuntimeError('on purpose')\n"
    )
    assert "on purpose" in done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert (said["mode"], said["chars"], said["stored"], said["cpus"]) == ("token", 64, False, 1.0)
    assert len(said["family"]) > 2
    assert not any(psutil.pid_exists(pid) for pid in said["family"])


def test_a_ray_that_the_user_started_is_used_and_left_running() -> None:
    done = run_python(
        "import json, ray\n"
        "ray.init(num_cpus=1, include_dashboard=False, logging_level='ERROR', object_store_memory=100_000_000)\n"
        "from raypipe.config import EngineConfig\n"
        "from raypipe.engine.run import Pass\n"
        "from raypipe.engine.session import close_session\n"
        "from raypipe.engine.rayengine import RayEngine\n"
        "from raypipe.stage import Plan\n"
        "from tests.engine.stages import Numbers, SumX\n"
        "plan = Plan(source=Numbers(rows=100), stages=(SumX(),))\n"
        "rows = RayEngine(EngineConfig(workers=1)).run(Pass(plan)).rows_out\n"
        "close_session()\n"
        "print(json.dumps({'rows': rows, 'up': ray.is_initialized()}))\n",
        PYTHONPATH=os.getcwd(),
    )
    assert json.loads(done.stdout.splitlines()[-1]) == {"rows": 100, "up": True}, done.stderr


def test_a_cluster_that_is_not_there_is_a_clear_error() -> None:
    done = run_python("from raypipe.engine.session import open_session\nopen_session('127.0.0.1:1')\n")
    assert "ConfigError: session: cannot connect to Ray at 127.0.0.1:1" in done.stderr
    assert "Is the head node up" in done.stderr
