"""Written parts: each has a file of its own, whatever its id."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from raypipe.etl.write import WriteParquet


def test_parts_of_long_and_odd_names_do_not_overwrite_each_other(tmp_path: Path) -> None:
    write = WriteParquet(folder=tmp_path / "out").open()
    parts = [f"00000/{'x' * 200}.csv@{start:013d}" for start in (0, 64, 128)]
    parts += ["00001/a b.csv@0", "00001/a-b.csv@0", f"00002/{'ü' * 120}.csv@0", f"00002/{'ü' * 120}.csv@1"]
    for number, part in enumerate(parts):
        write(pa.table({"n": [number]}), part)
    files = sorted((tmp_path / "out").iterdir())
    assert len(files) == len(parts)
    assert sorted(pq.read_table(file)["n"][0].as_py() for file in files) == list(range(len(parts)))


def test_writing_a_part_again_replaces_its_file(tmp_path: Path) -> None:
    write = WriteParquet(folder=tmp_path).open()
    first = write(pa.table({"n": [1]}), "00000/flights.csv@0000067108864")
    again = write(pa.table({"n": [2]}), "00000/flights.csv@0000067108864")
    assert first["path"] == again["path"] == str(tmp_path / "part-00000-flights.csv@0000067108864.parquet")
    assert pq.read_table(again["path"])["n"].to_pylist() == [2]
