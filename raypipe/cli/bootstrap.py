"""The first lines of a job, which travel with it: hold the cluster to what was promised, then run.

It imports nothing but the standard library before that is checked, since raypipe may be what is missing.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import pathlib
import platform
import sys

USAGE = 2


def found_here() -> dict[str, str | None]:
    """Versions of Python, Ray and raypipe where this runs; None for what is not there."""
    python = ".".join(platform.python_version_tuple()[:2])
    here: dict[str, str | None] = {"python": python, "ray": None, "raypipe": None}
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        here["ray"] = importlib.metadata.version("ray")
    if importlib.util.find_spec("raypipe") is not None:
        import raypipe

        here["raypipe"] = raypipe.__version__
    return here


def complaints(expected: dict[str, str], here: dict[str, str | None]) -> list[str]:
    """What differs from the machine that the job was submitted from, in words."""
    advice = {
        "python": "use an image with that Python",
        "ray": "install it in the image of the cluster; where it is there, start it with the PATH of its environment",
        "raypipe": "install that version in the image of the cluster, or submit with --with-raypipe",
    }
    return [
        f"{name} {here[name] or 'is not installed'} on the cluster, {wanted} where the job comes from: {advice[name]}"
        for name, wanted in expected.items()
        if here[name] != wanted
    ]


def main() -> None:
    """Check the versions; exit with 2 at once where they differ."""
    expected = json.loads(pathlib.Path(__file__).with_name("raypipe_job.json").read_text())
    wrong = complaints(expected, found_here())
    if wrong:
        sys.stderr.write(f"error: job: {'; '.join(wrong)} (this is {sys.executable})\n")
        sys.exit(USAGE)
    from raypipe.cli.job import main as run

    run(sys.argv[1:])


if __name__ == "__main__":
    main()
