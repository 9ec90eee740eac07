"""Parts that are joined as they come are the file that joining all of them at the end makes."""

from __future__ import annotations

import itertools
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.config import WriteOptions
from raypipe.etl.writers.early import EarlyJoin
from raypipe.etl.writers.encode import encode
from raypipe.etl.writers.join import join_files

SCHEMA = pa.schema([("n", pa.int64()), ("t", pa.large_string())])


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Five files of each form, one of them without rows."""
    folder = tmp_path_factory.mktemp("parts")
    found: dict[str, list[Path]] = {}
    for form in ("parquet", "csv", "jsonl", "arrow"):
        for part, rows in enumerate((3, 0, 7, 1, 4)):
            path = folder / f"{part}.{form}"
            path.touch()
            block = pa.table({"n": [part * 10 + row for row in range(rows)], "t": ["x"] * rows}, schema=SCHEMA)
            encode(block, _options(form), path, header=False)
            found.setdefault(form, []).append(path)
    return found


def _options(form: str) -> WriteOptions:
    return WriteOptions.model_validate({"format": form, "csv": {"delimiter": ","}})


@settings(max_examples=40, deadline=None)
@given(
    form=st.sampled_from(["parquet", "csv", "jsonl", "arrow"]),
    bounds=st.lists(st.integers(0, 5)),
    skip=st.integers(0, 1),
)
def test_whatever_is_told_early_the_file_is_the_same(
    parts: dict[str, list[Path]], tmp_path_factory: pytest.TempPathFactory, form: str, bounds: list[int], skip: int
) -> None:
    """Told in any portions, of all or of some, and even if the first was never told of."""
    folder = tmp_path_factory.mktemp("early")
    places = parts[form]
    early = EarlyJoin(folder / "early", SCHEMA, _options(form))
    edges = [skip, *sorted(bound for bound in bounds if bound >= skip)]
    for start, stop in itertools.pairwise(edges):
        early.take(places[start:stop])
    early.finish(places)
    with (folder / "late").open("wb") as out:
        join_files(places, SCHEMA, _options(form), out)
    assert (folder / "early").read_bytes() == (folder / "late").read_bytes()


def test_nothing_is_begun_for_one_part_and_nothing_stays_of_what_is_dropped(
    parts: dict[str, list[Path]], tmp_path: Path
) -> None:
    early = EarlyJoin(tmp_path / "whole", SCHEMA, _options("parquet"))
    early.take(parts["parquet"][:1])
    assert not (tmp_path / "whole").exists()
    early.take(parts["parquet"][1:2])
    assert (tmp_path / "whole").exists()
    early.drop()
    assert not (tmp_path / "whole").exists()
