"""Samples of rows: exact sizes, equal for equal seeds, drawn without reading what is not needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raypipe.config import ReadOptions
from raypipe.etl.formats import csv_plan
from raypipe.etl.formats.slices import quotas
from raypipe.etl.reader import DataReader
from raypipe.etl.source import TableSource


def ids(source: TableSource) -> list[int]:
    read = source.open()
    return [value for part in source.parts() for value in read(part).block["id"].to_pylist()]


def csv_of(folder: Path, rows: int) -> Path:
    path = folder / "x.csv"
    path.write_text("id,text\n" + "".join(f'{n},"line {n}\nand, more"\n' for n in range(rows)))
    return path


def test_a_small_csv_gives_an_exact_sample_in_order(tmp_path: Path) -> None:
    reader = DataReader(csv_of(tmp_path, 5000))

    drawn = ids(reader.source(seed=1, sample_size=700, target_part_bytes=10_000))

    assert len(drawn) == 700
    assert drawn == sorted(set(drawn))
    assert drawn == ids(reader.source(seed=1, sample_size=700, target_part_bytes=10_000))
    assert drawn != ids(reader.source(seed=2, sample_size=700, target_part_bytes=10_000))
    assert len(ids(reader.source(sample_size=9999))) == 5000
    assert "700 of 5,000 rows, exact" in reader.source(sample_size=700).notes[-1]


def test_a_sample_is_drawn_from_the_rows_that_max_rows_leaves(tmp_path: Path) -> None:
    reader = DataReader(csv_of(tmp_path, 100), options=ReadOptions(max_rows=20))

    assert max(ids(reader.source(sample_size=10))) < 20


def test_a_large_csv_is_sampled_from_pieces_without_reading_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = csv_of(tmp_path, 60_000)
    monkeypatch.setattr(csv_plan, "EXACT_SAMPLE_BYTES", 1000)
    monkeypatch.setattr(csv_plan, "PIECE", 2048)

    source = DataReader(path).source(seed=3, sample_size=1000)
    drawn = ids(source)

    assert len(drawn) == 1000
    assert drawn == sorted(set(drawn))
    assert sum(piece.end - piece.start for piece in source.slices) < path.stat().st_size / 3
    assert min(drawn) < 10_000
    assert max(drawn) > 50_000
    assert "the rest of the source was not read" in source.notes[-1]
    assert source.is_sample


def test_a_parquet_sample_is_exact_and_reads_only_row_groups_with_a_drawn_row(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"id": range(10_000)}), path, row_group_size=100)
    source = DataReader(path).source(seed=5, sample_size=10, target_part_bytes=800)

    drawn = ids(source)

    assert len(drawn) == len(set(drawn)) == 10
    assert drawn == sorted(drawn)
    assert len(source.slices) <= 10


def test_quotas_share_out_exactly_and_fairly() -> None:
    assert quotas([3, 0, 7], 10, 1).tolist() == [3, 0, 7]
    assert quotas([3, 0, 7], 99, 1).tolist() == [3, 0, 7]
    huge = quotas([2_000_000_000, 1_000_000_000], 3000, 1)
    assert huge.sum() == 3000
    assert 1800 < huge[0] < 2200
    means = np.mean([quotas([100, 300], 40, seed) for seed in range(300)], axis=0)
    assert means == pytest.approx([10, 30], abs=1)
