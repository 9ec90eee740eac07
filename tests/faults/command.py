"""`raypipe run` on a made-up file, in processes of its own, and a print of what it left in its folder."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.faults.family import Family

SETTINGS = (
    "--time", "when", "--target", "amount", "--no-dashboard", "--save-intermediate", "--quiet",
    "-s", "processing.impute=auto", "-s", "engine.max_failed_share=0.05",
)  # fmt: skip
OUTPUTS = ("profile.json", "validation.json", "quarantine.parquet", "insights_report.md")
END_S = 180.0


def write_csv(path: Path, rows: int) -> Path:
    """A table with gaps, and with rows that cannot be placed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        file.write("id,city,amount,when,note\n")
        for row in range(rows):
            amount = "" if row % 11 == 0 else f"{(row * 7919) % 10007 / 4}"
            extra = ",too,many" if row % 997 == 5 else ""
            day = f"2024-{row % 12 + 1:02d}-{row % 28 + 1:02d}"
            file.write(f"{row},city {row * 31 % 17},{amount},{day},note number {row * 17 % 1009}{extra}\n")
    return path


def run_command(
    source: Path, output: Path, *more: str, env: Mapping[str, str] | None = None, settings: Sequence[str] = SETTINGS
) -> Family:
    """`raypipe run`, begun."""
    command = [sys.executable, "-m", "raypipe", "run", str(source), "--output", str(output), *settings, *more]
    return Family(command, {"RAYPIPE_RESUME_KEY": "the same for all", **(env or {})}, cwd=output.parent)


def finished(family: Family, wanted: int = 0, timeout_s: float = END_S) -> str:
    """Wait for the end of a run with exit code `wanted`; returns what it said on standard error."""
    with family:
        code = family.wait(timeout_s)
        said = family.stderr()
        assert code == wanted, f"exit code {code}; it said: {family.stdout()[-1000:]}{said[-3000:]}"
        return said


def outputs(folder: Path) -> dict[str, str]:
    """File -> hash of what a run says about the data; times and names of machines are left out."""
    found = {name: print_of_file(folder / name) for name in OUTPUTS}
    processed = sorted((folder / "processed").iterdir())
    found |= {f"processed/{path.name}": print_of_file(path) for path in processed}
    summary = json.loads((folder / "execution_summary.json").read_text())
    found["rows"] = json.dumps(summary["rows"], sort_keys=True)
    return found


def print_of_file(path: Path) -> str:
    """A hash of the rows of a Parquet file, or of the lines of any other, but for that which names the engine."""
    if path.suffix != ".parquet":
        lines = [line for line in path.read_bytes().splitlines() if not line.startswith(b"- engine: ")]
        return hashlib.sha256(b"\n".join(lines)).hexdigest()
    table = pq.read_table(path)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return hashlib.sha256(sink.getvalue().to_pybytes()).hexdigest()


def events(folder: Path) -> list[dict[str, Any]]:
    """The events of a run that may still be going on; a line that is half-written is left out."""
    path = folder / "events.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def is_conserved(folder: Path) -> bool:
    """Whether a run accounts for every row that it read."""
    rows = json.loads((folder / "execution_summary.json").read_text())["rows"]
    dropped = sum(rows.get("dropped", {}).values()) if isinstance(rows.get("dropped"), dict) else rows.get("dropped", 0)
    return bool(rows["read"] == rows["kept"] + rows["quarantined"] + dropped)
