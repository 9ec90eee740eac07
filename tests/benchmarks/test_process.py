"""Contenders are processes: timed, watched, and never left behind."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import psutil
import pytest

from benchmarks.process import ROOT, ContenderAbsentError, ContenderError, Server, run_cold

PYTHON = Path(sys.executable)


@pytest.fixture
def contender(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A contender that does what its task says; its module is found on the path of the process."""
    (tmp_path / "little.py").write_text(
        "import subprocess, sys, time\n"
        "def run(task):\n"
        "    print('noise on standard output')\n"
        "    if task.get('raise'): raise ValueError('no luck')\n"
        "    if task.get('child'): subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "    if task.get('exit'): sys.stderr.write('last words'); sys.stderr.flush(); import os; os._exit(3)\n"
        "    time.sleep(task.get('sleep', 0))\n"
        "    return {'got': task}\n"
        "def finish(): pass\n",
        encoding="utf-8",
    )
    monkeypatch.setattr("benchmarks.process.PATHS", (str(tmp_path), str(ROOT)))
    return "little"


def test_a_server_answers_with_facts_and_its_time(contender: str) -> None:
    with Server(PYTHON, contender, 20) as server:
        server.ask("load")
        answer = server.ask("run", {"sleep": 0.2})
    assert answer.facts == {"got": {"sleep": 0.2}}
    assert 0.2 <= answer.seconds < 5


def test_what_it_raises_comes_back_in_words(contender: str) -> None:
    with Server(PYTHON, contender, 20) as server:
        server.ask("load")
        with pytest.raises(ContenderError, match="little: run: ValueError: no luck"):
            server.ask("run", {"raise": True})
        assert server.ask("run").facts == {"got": {}}


def test_a_missing_package_is_told_from_a_failure() -> None:
    with (
        Server(PYTHON, "no_such_contender", 20) as server,
        pytest.raises(ContenderAbsentError, match="No module named 'no_such_contender'"),
    ):
        server.ask("load")


def test_one_that_dies_is_told_with_its_last_words(contender: str) -> None:
    with Server(PYTHON, contender, 20) as server:
        server.ask("load")
        with pytest.raises(ContenderError, match=r"(?s)its process ended.*last words"):
            server.ask("run", {"exit": True})


def test_one_that_takes_too_long_is_ended(contender: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.process.STOP_S", 0.2)
    with Server(PYTHON, contender, 20) as server:
        server.ask("load")
        server.timeout_s = 0.3
        with pytest.raises(ContenderError, match="no answer within 0.3 s"):
            server.ask("run", {"sleep": 30})
    assert not server.is_running


def test_children_end_with_their_server(contender: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.process.STOP_S", 1.0)
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with Server(PYTHON, contender, 20) as server:
        server.ask("load")
        server.ask("run", {"child": True})
        assert len({child.pid for child in psutil.Process().children(recursive=True)} - before) >= 2
    time.sleep(0.1)
    assert not {child.pid for child in psutil.Process().children(recursive=True)} - before


def test_a_cold_run_is_timed_to_its_end_and_its_memory_seen() -> None:
    answer = run_cold([str(PYTHON), "-c", "x = bytearray(64 << 20); import time; time.sleep(0.7)"], 20)
    assert 0.7 <= answer.seconds < 10
    assert answer.usage.main_rss_bytes > 64 << 20


def test_a_cold_run_that_fails_is_told_with_its_output() -> None:
    with pytest.raises(ContenderError, match=r"(?s)ended with code 1.*ZeroDivisionError"):
        run_cold([str(PYTHON), "-c", "1/0"], 20)


def test_a_cold_run_past_its_limit_is_ended() -> None:
    with pytest.raises(ContenderError, match="not done within 0.3 s"):
        run_cold([str(PYTHON), "-c", "import time; time.sleep(30)"], 0.3)
