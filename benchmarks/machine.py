"""What a figure depends on beside the code: the machine, its load, the versions, the commit."""

from __future__ import annotations

import os
import platform
import subprocess
from typing import Any

import psutil

from benchmarks.process import ROOT


def cpu_model() -> str:
    """As the kernel calls it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def machine() -> dict[str, Any]:
    """Cores, memory and systems; nothing that names the machine or its user."""
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "cpu": cpu_model(),
        "memory_gib": round(psutil.virtual_memory().total / (1 << 30), 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def commit() -> str:
    """Short commit, with `+changes` where the working tree differs from it."""

    def git(*args: str) -> str:
        done = subprocess.run(["git", *args], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    head = git("rev-parse", "--short", "HEAD") or "none"
    return head + ("+changes" if git("status", "--porcelain", "--", "raypipe", "benchmarks") else "")


def load() -> dict[str, float]:
    """Load average of the last minute (own runs included), and the share of the CPUs busy just now."""
    return {"load_1min": round(os.getloadavg()[0], 2), "busy_share": round(psutil.cpu_percent(interval=0.5) / 100, 2)}
