"""Lengths and white space of text agree with Python's own, however rows are cut."""

from __future__ import annotations

import itertools
from functools import reduce

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.blocks.text import TextBytes, TextCounts

SPACE = " \t\n\u00a0\u2003\u3000"
texts = st.text(st.one_of(st.sampled_from(SPACE), st.sampled_from("aZ\u00e9\u6570\U0001f600\x1c\x00")), max_size=6)


def reference(values):
    stripped = [value.strip(SPACE) for value in values]
    return {
        "count": len(values),
        "empty": sum(not value for value in values),
        "blank": sum(not rest for rest in stripped),
        "padded": sum(bool(rest) and rest != value for rest, value in zip(stripped, values, strict=True)),
        "chars": sum(map(len, values)),
        "shortest": min(map(len, values)),
        "longest": max(map(len, values)),
    }


@settings(max_examples=150, deadline=None)
@given(st.lists(texts, min_size=1, max_size=30), st.data())
def test_counts_agree_with_python_however_rows_are_cut(values, data):
    cuts = sorted(data.draw(st.lists(st.integers(1, len(values)), max_size=3, unique=True)))
    edges = [0, *cuts, len(values)]
    blocks = [pl.Series(values[a:b]) for a, b in itertools.pairwise(edges) if b > a]
    merged = reduce(TextCounts.merge, [TextCounts.of(block) for block in blocks])
    wanted = reference(values)
    assert {name: getattr(merged, name) for name in wanted} == wanted
    summary = merged.finish(30)
    assert sum(summary.chars.counts) == len(values)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(texts, st.integers(1, 9), min_size=1, max_size=20))
def test_counts_weigh_like_repeated_texts(table):
    weighted = TextCounts.of(pl.Series(list(table)), np.array(list(table.values())))
    repeated = reference([text for text, count in table.items() for _ in range(count)])
    assert {name: getattr(weighted, name) for name in repeated} == repeated


@settings(max_examples=100, deadline=None)
@given(st.lists(texts, min_size=1, max_size=20), st.data())
def test_the_smallest_and_the_largest_text_are_those_of_python(values, data):
    start = data.draw(st.integers(0, len(values) - 1))
    cut = pl.Series(values)[start:]
    by_bytes = sorted(values[start:], key=str.encode)
    assert TextBytes(cut.to_arrow()).extent(cut) == (by_bytes[0], by_bytes[-1])


def test_a_slice_of_a_longer_series_is_read_on_its_own():
    whole = pl.Series([" a", "", "b", "  ", "c "])
    assert TextCounts.of(whole[1:4]).padded == 0
    assert TextCounts.of(whole[1:4]).blank == 2


def test_long_texts_keep_a_histogram_whose_counts_add_up():
    rng = np.random.default_rng(0)
    lengths = np.concatenate((rng.integers(0, 900, 300), rng.integers(1000, 90_000, 300)))
    found = TextCounts.of(pl.Series(["x" * n for n in lengths])).finish(30)
    edges = np.array(found.chars.edges)
    assert (np.diff(edges) > 0).all()
    assert list(found.chars.counts) == np.histogram(lengths, edges)[0].tolist()
    assert (found.min_chars, found.max_chars) == (lengths.min(), lengths.max())
