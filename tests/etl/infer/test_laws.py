"""The summaries of the inference: many blocks equal one, in any order of merges, whatever the table holds."""

from __future__ import annotations

import itertools
from functools import reduce

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raypipe.config import EngineConfig
from raypipe.engine.inline import InlineEngine
from raypipe.etl.infer import SchemaInferrer
from raypipe.etl.infer.checks import WIDE, CheckCandidates, KeyCheck, PairCheck
from raypipe.etl.infer.evidence import GatherEvidence, InferLimits
from raypipe.etl.infer.samples import ValueSample
from raypipe.etl.reader import DataReader
from tests.hostile import tables
from tests.laws import assert_reduce_laws, examples

SMALL = InferLimits(values=4, rows=3)


def same_evidence(a, b):
    pairs = zip(a.columns, b.columns, strict=True)
    same = all(
        (x.rows, x.nulls, x.fractions, x.inside) == (y.rows, y.nulls, y.fractions, y.inside)
        and (x.sample is None) == (y.sample is None)
        and (x.sample is None or same_sample(x.sample, y.sample))
        for x, y in pairs
    )
    return (
        same and a.rows == b.rows and np.array_equal(a.sample.cells, b.sample.cells) and a.sample.full == b.sample.full
    )


def same_sample(a: ValueSample, b: ValueSample) -> bool:
    return (
        np.array_equal(a.hashes, b.hashes)
        and np.array_equal(a.counts, b.counts)
        and a.full == b.full
        and a.values.equals(b.values, null_equal=True)
    )


def same_checks(a, b):
    keys = all(
        (x.bound, x.repeat) == (y.bound, y.repeat) and np.array_equal(x.hashes, y.hashes)
        for x, y in zip(a.keys, b.keys, strict=True)
    )
    pairs = all(
        x.bound == y.bound
        and all(np.array_equal(getattr(x, name), getattr(y, name)) for name in ("left", "right", "counts"))
        for x, y in zip(a.pairs, b.pairs, strict=True)
    )
    return keys and pairs and a.matches == b.matches


@settings(max_examples=examples(6), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tables())
def test_evidence_of_any_table_depends_on_no_cut_and_no_order(table):
    assert_reduce_laws(GatherEvidence(), table, same_evidence)


def test_small_samples_depend_on_no_cut_and_no_order():
    rng = np.random.default_rng(1)
    columns = {"n": rng.integers(0, 9, 60), "t": [f"v{n}" for n in rng.integers(0, 30, 60)], "f": rng.normal(size=60)}
    table = pa.table(columns)
    # for_width raises tiny limits, so that the samples are held to the law themselves, too.
    assert_reduce_laws(GatherEvidence(limits=SMALL), table, same_evidence)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 40), max_size=60), st.integers(1, 8), st.randoms(use_true_random=False))
def test_a_sample_that_overflows_is_that_of_all_values_in_whatever_order(numbers, size, random):
    import polars as pl

    from raypipe.blocks.hashing import hash_values

    def sample(values):
        series = pl.Series(values, dtype=pl.Int64)
        return ValueSample.of(series, hash_values(series), size, 64)

    whole = sample(numbers)
    random.shuffle(numbers)
    cuts = sorted(random.randrange(len(numbers) + 1) for _ in range(3))
    pieces = [numbers[a:b] for a, b in itertools.pairwise([0, *cuts, len(numbers)])]
    merged = reduce(lambda a, b: a.merge(b), map(sample, pieces))
    assert same_sample(merged, whole)
    assert merged.rows == sum(numbers.count(int(value)) for value in merged.values)


hashes = st.lists(st.integers(1, 30), max_size=50).map(lambda ns: np.array([n * (WIDE // 31) for n in ns], np.uint64))


@settings(max_examples=100, deadline=None)
@given(hashes, st.integers(1, 12), st.permutations(range(4)))
def test_a_key_check_is_the_same_in_any_order_and_tells_the_truth(found, capacity, order):
    whole = KeyCheck.of(found, capacity)
    pieces = np.array_split(found, 4)
    merged = reduce(lambda a, b: a.merge(b), [KeyCheck.of(pieces[i], capacity) for i in order])
    assert (merged.bound, merged.repeat) == (whole.bound, whole.repeat)
    assert np.array_equal(merged.hashes, whole.hashes)
    ordered = sorted({int(n) for n in found})
    bound = ordered[capacity] if len(ordered) > capacity else WIDE
    twice = [n for n in ordered if n < bound and np.count_nonzero(found == n) > 1]
    assert whole.repeat == min(twice, default=WIDE)
    assert twice or whole.bound == bound
    assert len(whole.hashes) <= capacity


@settings(max_examples=100, deadline=None)
@given(hashes, st.integers(1, 12), st.permutations(range(4)), st.integers(0, 5))
def test_a_check_of_pairs_is_the_same_in_any_order_and_complete_below_its_bound(left, capacity, order, seed):
    right = np.random.default_rng(seed).integers(1, 4, len(left)).astype(np.uint64)
    whole = PairCheck.of(left, right, capacity)
    merged = reduce(
        lambda a, b: a.merge(b),
        [PairCheck.of(np.array_split(left, 4)[i], np.array_split(right, 4)[i], capacity) for i in order],
    )
    assert merged.bound == whole.bound
    assert all(np.array_equal(getattr(merged, n), getattr(whole, n)) for n in ("left", "right", "counts"))
    assert whole.rows == sum(1 for n in left if int(n) < whole.bound)


def test_candidates_are_held_to_every_row_whatever_the_cut():
    table = pa.table(
        {"a": [1, 2, 3, 4, 5, None], "b": [1, 1, 2, 2, 3, 3], "t": ["x@y.de", "", " a@b.de", "z", "z", None]}
    )
    stage = CheckCandidates(
        unique=(("a",), ("b",), ("a", "b")), dependencies=((("a",), "b"), (("b",), "a")), tests=(("t", "email"),)
    )
    found = assert_reduce_laws(stage, table, same_checks)
    assert [key.holds for key in found.keys] == [True, False, True]
    (match,) = found.matches
    assert (match.rows, match.matching, [value for _, value in match.misfits]) == (4, 2, ["z"])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tables())
def test_no_table_breaks_the_inference_and_its_schema_holds_for_it(table):
    found = SchemaInferrer().infer(table)
    assert [column.name for column in found.columns] == table.column_names
    assert all(0 <= column.confidence <= 1 and column.reason.endswith(".") for column in found.columns)
    schema = found.to_schema()
    assert all(column.misfits(field.type) == () for column, field in zip(schema.columns, table.schema, strict=True))


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(3)
    for file in range(3):
        rows = [f"{file * 500 + n},{n % 7},c{n % 7},{rng.normal():.3f},u{file}_{n}@x.org" for n in range(500)]
        (tmp_path / f"part{file}.csv").write_text("id,code,label,value,mail\n" + "\n".join(rows) + "\n")
    return tmp_path


def test_many_parts_on_an_engine_say_what_one_table_says(folder):
    reader = DataReader(folder)
    whole = SchemaInferrer().infer(reader.read(), name="t")
    source = reader.source(target_part_bytes=4096)
    assert len(source.parts()) > 3
    cut = SchemaInferrer().infer(source, name="t", runs_on=InlineEngine(EngineConfig(block_rows=37)))
    assert cut.replace(notes=()) == whole.replace(notes=())
    assert whole.primary_key == ("id",)
    assert {(one.determinant, one.dependent) for one in whole.dependencies} == {
        (("code",), "label"),
        (("label",), "code"),
    }


def test_ray_says_what_inline_says(folder, engine):
    found = SchemaInferrer().infer(DataReader(folder).source(target_part_bytes=4096), runs_on=engine)
    assert found.column("mail").semantic == "email"
    assert found.column("mail").matching_rows == 1500
    inline = SchemaInferrer().infer(DataReader(folder).source(), runs_on=InlineEngine(EngineConfig()))
    assert found == inline


def test_a_type_that_a_late_block_widens_is_widened(tmp_path):
    odd = range(20_000, 22_000)
    lines = ["a,b", *(f"x{n},{n}.5" if n in odd else f"{n},{n}" for n in range(60_000))]
    (tmp_path / "late.csv").write_text("\n".join(lines) + "\n")
    found = SchemaInferrer().infer(tmp_path / "late.csv")
    assert (found.column("a").dtype, found.column("b").dtype) == ("text", "float64")
    assert any("'a' is read as text" in note for note in found.notes)
