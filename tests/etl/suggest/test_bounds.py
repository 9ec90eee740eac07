"""Bounds of suggested rules: what chance explains, and no more."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.etl.suggest.bounds import mean_error, share_lower, share_upper, strangers, unseen
from raypipe.etl.suggest.learn import LearnRows, by_chance, shapes_of
from raypipe.etl.suggest.propose import _nice, as_percent, regex_of
from raypipe.etl.suggest.split import TakeSide

ALPHA = 0.01
TRIALS = 2_000


@pytest.mark.parametrize("draw", ["normal", "lognormal", "pareto", "few values"])
def test_more_rows_lie_beyond_a_range_than_allowed_only_as_often_as_stated(draw: str) -> None:
    rng = np.random.default_rng(1)
    sizes = (TRIALS, 2, 200)
    rows = {
        "normal": lambda: rng.normal(size=sizes), "lognormal": lambda: rng.lognormal(size=sizes),
        "pareto": lambda: rng.pareto(1.0, size=sizes), "few values": lambda: rng.geometric(0.5, size=sizes),
    }[draw]()  # fmt: skip
    first, second = rows[:, 0], rows[:, 1]
    beyond = ((second < first.min(1, keepdims=True)) | (second > first.max(1, keepdims=True))).sum(1)
    assert (beyond > strangers(2, ALPHA)).mean() <= 2 * ALPHA


def test_unseen_values_have_no_more_rows_than_allowed_but_as_often_as_stated() -> None:
    rng, over = np.random.default_rng(2), 0
    for _ in range(400):
        values = rng.zipf(1.5, size=(2, 500))
        known, counts = np.unique(values[0], return_counts=True)
        over += int((~np.isin(values[1], known)).sum()) > unseen(int((counts == 1).sum()), ALPHA)
    assert over / 400 <= 2 * ALPHA


@pytest.mark.parametrize("share", [0.003, 0.05, 0.5, 0.97])
def test_shares_of_a_table_half_as_large_stay_within_their_bounds(share: float) -> None:
    rng = np.random.default_rng(3)
    then, now = rng.binomial(1000, share, TRIALS), rng.binomial(500, share, TRIALS) / 500
    above = [got > share_upper(hits, 1000, ALPHA) for hits, got in zip(then.tolist(), now.tolist(), strict=True)]
    below = [got < share_lower(hits, 1000, ALPHA) for hits, got in zip(then.tolist(), now.tolist(), strict=True)]
    assert np.mean(above) + np.mean(below) <= 2 * ALPHA


def test_means_of_a_table_half_as_large_stay_within_their_bounds() -> None:
    rng = np.random.default_rng(4)
    then, now = rng.exponential(size=(TRIALS, 1000)), rng.exponential(size=(TRIALS, 500))
    off = np.abs(then.mean(1) - now.mean(1)) > [mean_error(float(std), 1000, ALPHA) for std in then.std(1)]
    assert off.mean() <= 2 * ALPHA


@given(st.floats(0.0, 1.0))
@settings(deadline=None)
def test_a_share_is_written_rounded_up_and_readable(share: float) -> None:
    text = as_percent(share)
    assert share <= float(text.removesuffix("%")) / 100 + 1e-12
    assert "e" not in text


@given(st.floats(-1e12, 1e12), st.booleans())
@settings(deadline=None)
def test_a_bound_is_rounded_away_from_the_values(value: float, down: bool) -> None:
    bound = _nice(value, down)
    assert bound <= value + abs(value) * 1e-12 if down else bound >= value - abs(value) * 1e-12
    assert bound == pytest.approx(value, rel=1e-4, abs=1e-300)


@given(st.lists(st.text(max_size=12), min_size=1, max_size=10))
@settings(deadline=None, max_examples=60)
def test_the_pattern_of_a_shape_matches_every_text_that_has_it(texts: list[str]) -> None:
    cells = pl.Series(texts)
    for text, shape in zip(texts, shapes_of(cells).to_list(), strict=True):
        assert pl.Series([text]).str.contains(rf"\A(?:{regex_of(shape)})\z").all(), (text, shape)


def test_a_row_is_on_one_side_only_however_blocks_are_cut() -> None:
    block = pa.table({"n": pa.array(range(1000), pa.int64()), "__row__": pa.array(range(1000), pa.int64())})
    sides = [TakeSide(side=side, seed=7).apply(block, "part") for side in ("learn", "held_out")]
    assert sorted(sides[0]["n"].to_pylist() + sides[1]["n"].to_pylist()) == list(range(1000))
    assert 600 < sides[0].num_rows < 730
    pieces = [TakeSide(side="learn", seed=7).apply(block.slice(at, 37), "part") for at in range(0, 1000, 37)]
    assert pa.concat_tables(pieces).equals(sides[0])
    assert not TakeSide(side="learn", seed=8).apply(block, "part").equals(sides[0])


def test_what_is_learned_does_not_depend_on_how_rows_are_cut() -> None:
    rows = 300
    block = pa.table(
        {
            "a": pa.array(range(rows), pa.int64()), "b": pa.array([n * 1.5 for n in range(rows)]),
            "t": pa.array([f"x{n % 7}" for n in range(rows)], pa.large_string()),
            "__row__": pa.array(range(rows), pa.int64()),
        }
    )  # fmt: skip
    stage = LearnRows(seed=1)
    whole = stage.partial(block, "p")
    pieces = [stage.partial(block.slice(at, 50), "p") for at in range(0, rows, 50)]
    joined = pieces[0]
    for piece in pieces[1:]:
        joined = stage.merge(joined, piece)
    assert (joined.rows, joined.values, joined.shapes, joined.above) == (
        whole.rows,
        whole.values,
        whole.shapes,
        whole.above,
    )
    assert joined.sample is not None
    assert whole.sample is not None
    assert joined.sample.equals(whole.sample)
    assert (joined.falls, joined.rises, joined.ends) == (whole.falls, whole.rises, whole.ends)
    assert (whole.falls, whole.rises) == ({"a": 0}, {"a": 299})


def test_decimals_are_compared_with_numbers_of_which_some_are_none():
    cells = pl.DataFrame({"c0": [Decimal("1.00"), Decimal("3.00"), None], "c1": [2.0, float("nan"), 4.0]})
    assert by_chance(cells, 0, 1) == 0.25
    assert by_chance(cells, 1, 0) == 0.75
