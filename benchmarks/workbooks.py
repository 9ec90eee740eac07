"""CPU seconds and peak memory of reading .xlsx sheets: our reader, in one process, beside calamine.

    python -m benchmarks.workbooks --rounds 3

calamine makes Python lists of the cells, ours a typed table. Each run is a process of its own, and
rounds are interleaved. Written to benchmarks/results/workbooks.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import xlsxwriter

from benchmarks.machine import commit, machine

RESULTS = Path(__file__).parent / "results" / "workbooks.json"
_MEASURED = """
import json, resource, sys
sys.path[:0] = {path!r}
{imports}
before = resource.getrusage(resource.RUSAGE_SELF)
rows = {call}
after = resource.getrusage(resource.RUSAGE_SELF)
cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
print(json.dumps({{"cpu_s": round(cpu, 2), "rss_mib": after.ru_maxrss // 1024, "rows": rows}}))
"""
CONTENDERS = {
    "raypipe": (
        "import raypipe.etl.formats.registry\nfrom raypipe import DataReader\n"
        "def read(path):\n"
        "    source = DataReader(path).source()\n"
        "    one = source.open()\n"
        "    return sum(one(part).block.num_rows for part in source.parts())",
        "read({file!r})",
    ),
    "calamine": (
        "from python_calamine import CalamineWorkbook",
        "len(CalamineWorkbook.from_path({file!r}).get_sheet_by_index(0).to_python()) - 1",
    ),
}
SIZES = {"300,000 rows x 8 columns": (300_000, 8), "1,048,575 rows x 10 columns": (1_048_575, 10)}

MANY_ROWS = 1_000_000
"""A sheet of so many rows is read once."""


def make(path: Path, rows: int, columns: int) -> Path:
    """A sheet of numbers, texts, dates and flags."""
    with xlsxwriter.Workbook(str(path), {"constant_memory": columns > 8}) as book:
        sheet, day = book.add_worksheet(), book.add_format({"num_format": "yyyy-mm-dd"})
        names = ["id", "city", "price", "day", "quantity", "code", "ok", "note", "x", "y"]
        sheet.write_row(0, 0, names[:columns])
        for row in range(1, rows + 1):
            sheet.write_number(row, 0, row)
            sheet.write_string(row, 1, f"city {row % 97}")
            sheet.write_number(row, 2, row / 7)
            sheet.write_number(row, 3, 40_000 + row % 365, day)
            sheet.write_number(row, 4, row % 50)
            sheet.write_string(row, 5, f"C{row:07d}")
            sheet.write_boolean(row, 6, row % 3 == 0)
            sheet.write_number(row, 7, row * 0.5)
            if columns > 8:
                sheet.write_number(row, 8, row % 1000)
                sheet.write_string(row, 9, "abc")
    return path


def run(name: str, file: Path) -> dict[str, Any]:
    """One reading, in a process of its own."""
    imports, call = CONTENDERS[name]
    code = _MEASURED.format(path=[path for path in sys.path if path], imports=imports, call=call.format(file=str(file)))
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Measure; see the module's text."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--data", type=Path, default=Path(__file__).parent / "data", help="where sheets are kept")
    given = options.parse_args()
    cases = {}
    given.data.mkdir(parents=True, exist_ok=True)
    for title, (rows, columns) in SIZES.items():
        file = given.data / f"sheet-{rows}x{columns}.xlsx"
        if not file.exists():
            make(file, rows, columns)
        times = given.rounds if rows < MANY_ROWS else 1
        rounds = [{name: run(name, file) for name in CONTENDERS} for _ in range(times)]
        cases[title] = {
            name: {
                "cpu_s": statistics.median(one[name]["cpu_s"] for one in rounds),
                "all_cpu_s": [one[name]["cpu_s"] for one in rounds],
                "peak_rss_mib": max(one[name]["rss_mib"] for one in rounds),
                "rows": rounds[0][name]["rows"],
            }
            for name in CONTENDERS
        }
        print(title, json.dumps(cases[title], indent=1))
        told = {"name": "workbooks", "commit": commit(), "machine": machine(), "cases": cases}
        RESULTS.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
