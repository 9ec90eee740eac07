"""The local head of the demo leaves nothing behind, whatever ends the process that started it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.submit.conftest import ROOT, await_that

CODE = """
from jobs.local_head import local_head
with local_head() as head:
    print(head.folder, flush=True)
    input()
"""


def left_of(folder: str) -> list[str]:
    found = []
    for process in psutil.process_iter():
        try:
            words = " ".join(process.cmdline())
        except psutil.Error:
            continue
        found += [words] if folder in words else []
    return found


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_process_is_left_of_a_local_head(number: signal.Signals, tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", CODE], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    with child, child.stdin, child.stdout:
        folder = child.stdout.readline().strip()
        assert left_of(folder)
        child.send_signal(number)
        child.wait(60)
    await_that(lambda: not left_of(folder))
    assert Path(folder).exists() == (number == signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)
