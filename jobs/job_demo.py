"""`make job-demo`: the demo as a job on a local cluster with token authentication, from nothing to its dashboard.

Usage: `python -m jobs.job_demo CSV`; results go to the folder `jobs` beside the CSV.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import yaml

from jobs.local_head import LocalHead, local_head

ENDPOINTS = (
    "/api/version",
    "/api/jobs/",
    "/nodes?view=summary",
    "/api/v0/nodes",
    "/api/cluster_status",
    "/logical/actors",
)
UNAUTHORIZED = 401


def main(csv: Path) -> int:
    """Start a cluster, show that it refuses strangers, run the job; its exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = csv.resolve().parent
    config = write_config(csv.resolve(), folder / "job")
    say("starting a local Ray head with token authentication; its dashboard listens on 127.0.0.1 only")
    with local_head(cpus=max(2, os.cpu_count() or 2) + 1) as head:  # one CPU is the driver's
        if not refuses_strangers(head):
            return 1
        say(f"Ray's dashboard is at {head.url} while the job runs; it asks for the token")
        code = submit(head, config, folder)
    say("the cluster is stopped")
    for page in sorted((folder / "job" / "runs").glob("*/dashboard.html"))[-1:]:
        say(f"dashboard  {page.as_uri()}")
    return code


def refuses_strangers(head: LocalHead) -> bool:
    """Ask each endpoint without the token, and show what it says."""
    refused = True
    for path in ENDPOINTS:
        without, with_token = head.get(path, token=False)[0], head.get(path)[0]
        say(f"  without a token {path:<24} {without}; with it {with_token}")
        refused &= without == UNAUTHORIZED
    if not refused:
        say("error: an endpoint answers without a token")
    return refused


def write_config(csv: Path, folder: Path) -> Path:
    """The settings of `make demo`, for a job."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "flights.yaml"
    settings = {
        "data_source": str(csv),
        "target_column": "arr_delay",
        "time_column": "scheduled_departure",
        "dashboard_theme": "auto",
        "dashboard_title": "Flights from New York City, 2013",
        "business_context": "operations",
        "output_dir": str(folder / "runs"),
    }
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    return path


def submit(head: LocalHead, config: Path, shared: Path) -> int:
    """`raypipe submit`, as a user types it: the token comes from the environment."""
    words = ["submit", str(config), "--address", head.url, "--shared", str(shared), "--with-raypipe", "--retries", "1"]
    say(f"$ raypipe {' '.join(words)}")
    env = {**os.environ, "RAY_AUTH_TOKEN": head.token}
    return subprocess.run([sys.executable, "-m", "raypipe", *words], env=env, check=False).returncode


def say(text: str) -> None:
    """One line, at once."""
    print(text, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1])))
    except KeyboardInterrupt:
        sys.exit(130)
