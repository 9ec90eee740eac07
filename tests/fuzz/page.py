"""The page docs/fuzzing.md, from a report of the driver."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.fuzz.known import KNOWN

_HEAD = """# Fuzzing

Every reader is fed damaged files: small real ones, each with one to four changes of the kinds that disks, networks and
people make (bits, bytes, pieces that are lost, doubled, zeroed, moved, cut off), led by what code they reach where
atheris is installed. Of a Delta table, one file is changed; of an archive, one member, so that changes get past its
checksums. This page is written by `python -m tests.fuzz.driver --page docs/fuzzing.md`; do not edit it.

The laws: the file is read, or refused with an error that says why. Never a crash, a hang ({slowest:.0f} s for a file of
some kilobytes), another exception, or a result that depends on where the file is cut. Rows that were promised are
rows, or rows set aside. What no law can tell: whether a changed byte is a changed value, where a format has no
checksum.
"""


def page(report: Mapping[str, Any], slowest: float) -> str:
    """The text of the page."""
    lines = [
        _HEAD.format(slowest=slowest),
        f"Last run: {report['seconds']:.0f} s in all, {report['machine']}.",
        "",
        "| File | Bytes | Seed | Seconds | Inputs | Read | Rows set aside | Refused | Laws broken |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    total = dict.fromkeys(("inputs", "read", "some aside", "refused", "law broken"), 0)
    for name, counts in report["formats"].items():
        numbers = {what: counts.get(what, 0) for what in total}
        numbers["law broken"] = max(numbers["law broken"], len(counts["broken"]))
        total = {what: total[what] + number for what, number in numbers.items()}
        cells = " | ".join(f"{number:,}" for number in numbers.values())
        lines.append(f"| `{name}` | {counts['bytes']:,} | {counts['seed']} | {counts['seconds']:.0f} | {cells} |")
    lines.append("| all | | | | " + " | ".join(f"{number:,}" for number in total.values()) + " |")
    lines += ["", *_broken(report), "## Found so far", "", "Each is kept as a case in `tests/fuzz/known.py`.", ""]
    lines += ["| File | What happened | Now |", "|---|---|---|"]
    lines += [f"| `{case.name}` | {case.was} | {case.outcome} |" for case in KNOWN]
    return "\n".join(lines) + "\n"


def _broken(report: Mapping[str, Any]) -> list[str]:
    found = [(name, one["error"]) for name, counts in report["formats"].items() for one in counts["broken"]]
    if not found:
        return ["No law was broken in this run.", ""]
    return ["Broken in this run:", "", *(f"- `{name}`: {error}" for name, error in found), ""]


def write_page(path: Path, report: Mapping[str, Any], slowest: float) -> None:
    """Write the page."""
    path.write_text(page(report, slowest))
