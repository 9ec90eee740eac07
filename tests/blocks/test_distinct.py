"""HyperLogLog: within four standard errors for any kind of value, and the same in any order."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.blocks.distinct import RELATIVE_ERROR, HyperLogLog
from raypipe.blocks.hashing import hash_rows, hash_values

KINDS = {
    "ascending": lambda n: pl.Series(np.arange(n)),
    "multiples of a power of two": lambda n: pl.Series(np.arange(n) << 40),
    "floats": lambda n: pl.Series(np.arange(n) / 7),
    "whole floats": lambda n: pl.Series(np.arange(float(n))),
    "text": lambda n: pl.Series([f"customer-{i:09d}" for i in range(n)]),
    "short text": lambda n: pl.Series(np.arange(n)).cast(pl.String),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 10, 1000, 20_000, 60_000, 300_000])
def test_the_estimate_lies_within_four_standard_errors(kind, n):
    found = HyperLogLog.of(hash_values(KINDS[kind](n))).estimate()
    assert abs(found - n) <= max(4 * RELATIVE_ERROR * n, 0.5)


def test_nothing_is_estimated_as_zero():
    assert HyperLogLog.empty().estimate() == 0.0
    assert HyperLogLog.of(np.zeros(0, np.uint64)).estimate() == 0.0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1), max_size=300), st.data())
def test_registers_do_not_depend_on_cut_or_order_or_repeats(values, data):
    hashes = np.array(values, np.uint64)
    cut = data.draw(st.integers(0, len(values)))
    whole = HyperLogLog.of(hashes)
    parts = HyperLogLog.of(hashes[cut:]).merge(HyperLogLog.of(hashes[:cut]))
    assert (whole.registers == parts.registers).all()
    assert (whole.registers == whole.merge(parts).registers).all()
    assert (whole.merge(HyperLogLog.empty()).registers == whole.registers).all()


NEAR_ZERO = st.builds(lambda head, tail: head << 50 | tail, st.integers(0, 5), st.integers(0, 2**33))
"""Hashes of which the upper half says little."""


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1) | NEAR_ZERO, min_size=1, max_size=50))
def test_registers_hold_the_position_of_the_first_one_bit(values):
    wanted = np.zeros(1 << 14, np.uint8)
    for value in values:
        tail = value & ((1 << 50) - 1)
        wanted[value >> 50] = max(wanted[value >> 50], 50 - tail.bit_length() + 1)
    assert (HyperLogLog.of(np.array(values, np.uint64)).registers == wanted).all()


def test_hashes_are_equal_in_every_process():
    code = (
        "import polars as pl; from raypipe.blocks.hashing import hash_values;"
        "print(hash_values(pl.Series(['a', 'a text past twelve bytes', None])).tolist(),"
        "hash_values(pl.Series([1, None, -5])).tolist(), hash_values(pl.Series([0.0, float('nan')])).tolist())"
    )
    outputs = {subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in range(2)}
    assert len(outputs) == 1


def test_hashes_do_not_depend_on_chunks():
    whole = pl.Series(["a", None, "a text past twelve bytes", ""])
    pieces = pl.concat([whole[:1], whole[1:3], whole[3:]], rechunk=False)
    assert hash_values(whole).tolist() == hash_values(pieces).tolist()


def test_equal_numbers_have_equal_hashes():
    a, b, c, d = hash_values(pl.Series([0.0, -0.0, float("nan"), -float("nan")])).tolist()
    assert a == b
    assert c == d != a


def test_row_hashes_tell_columns_apart():
    one, two = hash_values(pl.Series([1, 2])), hash_values(pl.Series([2, 1]))
    first, second = hash_rows([one, two], 2).tolist()
    assert first != second
    assert len(set(hash_rows([hash_values(pl.Series(range(100_000)))], 100_000).tolist())) == 100_000
