"""`raypipe doctor`: what works on this machine."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Literal

import psutil
from rich.console import Console
from rich.table import Table

from raypipe._optional import EXTRA_MODULES, has_extra
from raypipe.config import Frozen

GIB = 1 << 30
PACKAGES = ("ray", "pyarrow", "polars", "numpy", "pydantic", "bokeh", "typer", "rich")


class Check(Frozen):
    """One thing that was looked at."""

    name: str
    state: Literal["ok", "optional", "broken"]
    found: str
    advice: str = ""


def diagnose(*, start_ray: bool) -> list[Check]:
    """Look at Python, packages, memory, folders, Ray and the browser."""
    checks = [_python(), *(_package(name) for name in PACKAGES), *(_extra(name) for name in EXTRA_MODULES)]
    checks += [_memory(), _shared_memory(), _temp(), _browser(), _token()]
    return checks + ([_ray()] if start_ray else [])


def show_diagnosis(console: Console, checks: list[Check]) -> None:
    """Print the checks as a table."""
    table = Table(box=None, padding=(0, 2))
    for heading in ("", "check", "found", "next"):
        table.add_column(heading)
    marks = {"ok": "[green]ok[/]", "optional": "[yellow]--[/]", "broken": "[red]!![/]"}
    for check in checks:
        table.add_row(marks[check.state], check.name, check.found, check.advice)
    console.print(table)


def _python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    ok = sys.version_info >= (3, 11)
    return Check(name="python", state="ok" if ok else "broken", found=found, advice="" if ok else "use Python 3.11")


def _package(name: str) -> Check:
    try:
        return Check(name=name, state="ok", found=metadata.version(name))
    except metadata.PackageNotFoundError:
        return Check(name=name, state="broken", found="not installed", advice="pip install raypipe")


def _extra(name: str) -> Check:
    if has_extra(name):
        return Check(name=f"extra {name}", state="ok", found=", ".join(EXTRA_MODULES[name]))
    advice = f"pip install 'raypipe[{name}]'"
    return Check(name=f"extra {name}", state="optional", found="not installed", advice=advice)


def _memory() -> Check:
    memory = psutil.virtual_memory()
    found = f"{memory.available / GIB:.1f} of {memory.total / GIB:.1f} GiB free, {len(os.sched_getaffinity(0))} CPUs"
    return Check(name="machine", state="ok", found=found)


def _shared_memory() -> Check:
    shm = Path("/dev/shm")
    if not shm.exists():
        return Check(name="shared memory", state="optional", found="no /dev/shm; Ray uses the temporary folder")
    free = shutil.disk_usage(shm).free
    if free < 256 << 20:
        advice = "in a container: --shm-size=1g"
        return Check(name="shared memory", state="broken", found=f"{free >> 20} MiB free", advice=advice)
    return Check(name="shared memory", state="ok", found=f"{free / GIB:.1f} GiB free")


def _temp() -> Check:
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    state: Literal["ok", "broken"] = "ok" if free > GIB and os.access(folder, os.W_OK) else "broken"
    advice = "" if state == "ok" else "set TMPDIR to a folder with 1 GiB free"
    return Check(name="temporary folder", state=state, found=f"{folder}, {free / GIB:.1f} GiB free", advice=advice)


def _browser() -> Check:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path:
        return Check(name="browser", state="ok", found=path)
    advice = "for screenshots: apt-get install chromium"
    return Check(name="browser", state="optional", found="no Chromium", advice=advice)


def _token() -> Check:
    mode = os.environ.get("RAY_AUTH_MODE", "not set: a private Ray gets a token of its own")
    stored = Path.home() / ".ray" / "auth_token"
    if stored.exists() and stored.stat().st_mode & 0o077:
        advice = f"chmod 600 {stored}"
        return Check(name="Ray token", state="optional", found=f"{stored} can be read by others", advice=advice)
    return Check(name="Ray token", state="ok", found=f"RAY_AUTH_MODE {mode}")


def _ray() -> Check:
    from raypipe.engine.session import close_session, open_session
    from raypipe.errors import RaypipeError

    started = time.perf_counter()
    try:
        session = open_session(None)
        found = f"{session.describe()}, up in {time.perf_counter() - started:.1f} s, {session.cpus:g} CPUs"
        close_session()
    except RaypipeError as error:
        return Check(name="private Ray", state="broken", found=str(error), advice="raypipe run --engine inline")
    return Check(name="private Ray", state="ok", found=found)
