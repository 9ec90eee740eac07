"""Steps held to pandas and NumPy, which do the same step by step on the whole table."""

import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.etl.steps.lists import applied

FEW = settings(max_examples=7, deadline=None)
numbers = st.one_of(st.none(), st.integers(-50, 50).map(lambda n: n / 4))
keys = st.sampled_from(["a", "b", None])


@st.composite
def tables(draw, least=1):
    rows = draw(st.integers(least, 14))
    cells = {name: draw(st.lists(numbers, min_size=rows, max_size=rows)) for name in ("x", "z")}
    key = draw(st.lists(keys, min_size=rows, max_size=rows))
    cuts = sorted(draw(st.lists(st.integers(0, rows), max_size=3)))
    parts = np.diff([0, *cuts, rows]).tolist()
    table = pa.table({**{name: pa.array(column, pa.float64()) for name, column in cells.items()},
                      "key": pa.array(key, pa.large_string())})  # fmt: skip
    return table, parts


def made(table, steps, parts, **options):
    return applied(table, steps, parts, block_rows=2, **options).table.to_pandas()


def close(a: pd.Series, b: pd.Series) -> None:
    np.testing.assert_allclose(a.to_numpy(float), b.to_numpy(float), rtol=1e-9, atol=1e-9, equal_nan=True)


@given(data=tables())
@FEW
def test_gaps_are_filled_from_neighbours_as_pandas_does_on_the_whole_table(data):
    table, parts = data
    frame = table.to_pandas()
    for way, oracle in (("forward", frame["x"].ffill()), ("backward", frame["x"].bfill())):
        close(made(table, [{"step": "fill_missing", "columns": "x", "method": way}], parts)["x"], oracle)
    line = frame["x"].interpolate("linear", limit_area="inside")
    close(made(table, [{"step": "fill_missing", "columns": "x", "method": "interpolate"}], parts)["x"], line)
    of_group = frame.groupby("key", dropna=False)["x"]
    got = made(table, [{"step": "fill_missing", "columns": "x", "method": "forward", "by": "key"}], parts)
    close(got["x"], of_group.ffill())
    step = {"step": "fill_missing", "columns": "x", "method": "interpolate", "by": ["key"]}
    inside = of_group.transform(lambda one: one.interpolate("linear", limit_area="inside"))
    close(made(table, [step], parts)["x"], inside)


@given(data=tables())
@FEW
def test_gaps_are_filled_along_a_column_as_pandas_does_by_its_index(data):
    table, parts = data
    along = np.cumsum(np.arange(table.num_rows) % 3 + 1) * 1.5
    table = table.append_column("t", pa.array(along))
    step = {"step": "fill_missing", "columns": "x", "method": "interpolate", "along": "t"}
    oracle = pd.Series(table["x"].to_pandas().to_numpy(), index=along).interpolate("index", limit_area="inside")
    close(made(table, [step], parts)["x"], oracle)


@given(data=tables(), way=st.sampled_from(["mean", "median"]))
@FEW
def test_gaps_are_filled_by_group_and_what_no_group_knows_by_all_rows(data, way):
    table, parts = data
    frame = table.to_pandas()
    got = made(table, [{"step": "fill_missing", "columns": "x", "method": way, "by": ["key"]}], parts)
    groups = frame.groupby("key", dropna=False)["x"].transform(way)
    known = frame["x"].dropna()
    overall = getattr(known, way)() if len(known) else np.nan  # numpy warns of the median of nothing
    close(got["x"], frame["x"].fillna(groups).fillna(overall))


@given(data=tables(least=2))
@FEW
def test_a_list_is_the_same_as_one_step_after_the_other(data):
    table, parts = data
    steps = [
        {"step": "fill_missing", "columns": ["x", "z"], "method": "median"},
        {"step": "outliers", "columns": "x", "method": "zscore", "factor": 1.0, "action": "cap"},
        {"step": "derive", "column": "sum", "expression": "x + z"},
        {"step": "filter_rows", "keep": "key IS NOT NULL"},
        {"step": "scale", "columns": ["x", "sum"]},
        {"step": "scale", "columns": "z", "method": "min_max"},
    ]
    frame = table.to_pandas()
    for name in ("x", "z"):
        if frame[name].notna().any():
            frame[name] = frame[name].fillna(frame[name].median())
    mean, spread = frame["x"].mean(), frame["x"].std()
    if spread and not math.isnan(spread) and frame["x"].nunique() > 1:
        frame["x"] = frame["x"].clip(mean - spread, mean + spread)
    frame["sum"] = frame["x"] + frame["z"]
    frame = frame[frame["key"].notna()]
    for name in ("x", "sum"):
        deviation = frame[name].std(ddof=0)
        frame[name] = (frame[name] - frame[name].mean()) / (deviation if deviation > 1e-9 else 1)
    gap = frame["z"].max() - frame["z"].min()
    frame["z"] = (frame["z"] - frame["z"].min()) / (gap or 1)
    got = made(table, steps, parts)
    assert len(got) == len(frame)
    for name in ("x", "sum", "z"):
        np.testing.assert_allclose(got[name], frame[name], atol=1e-7, equal_nan=True)


@given(data=tables())
@FEW
def test_scales_and_fences_are_those_of_numpy(data):
    table, parts = data
    x = table["x"].to_pandas().dropna().to_numpy()
    steps = [{"step": "scale", "columns": "x", "method": "robust"}]
    assume(len(x))
    low, middle, high = np.percentile(x, [25, 50, 75])
    close(made(table, steps, parts)["x"], (table["x"].to_pandas() - middle) / ((high - low) or 1))
    caps = [{"step": "outliers", "columns": "x", "method": "percentile", "low": 0.1, "high": 0.8}]
    wanted = table["x"].to_pandas().clip(*np.percentile(x, [10, 80]))
    close(made(table, caps, parts)["x"], wanted)
    mad = 1.4826 * np.median(np.abs(x - middle))
    if mad and len(set(x)) > 1:
        fences = [{"step": "outliers", "columns": "x", "method": "mad", "factor": 1}]
        close(made(table, fences, parts)["x"], table["x"].to_pandas().clip(middle - mad, middle + mad))


@given(data=tables(), keep=st.sampled_from(["first", "last", "max", "min", "most_complete"]))
@FEW
def test_the_row_that_wins_is_that_of_pandas(data, keep):
    table, parts = data
    frame = table.to_pandas()
    table = table.append_column("n", pa.array(np.arange(table.num_rows)))
    step = {"step": "drop_duplicates", "by": ["key"], "keep": keep, **({"of": "x"} if keep in ("max", "min") else {})}
    got = made(table, [step], parts)["n"].tolist()
    frame["score"] = {"max": frame["x"], "min": -frame["x"], "most_complete": frame.notna().sum(axis=1)}.get(keep, 0)
    if keep == "last":
        oracle = frame.drop_duplicates("key", keep="last").index
    else:
        ranked = frame.sort_values("score", ascending=False, kind="stable", na_position="last")
        oracle = ranked.drop_duplicates("key").index
    assert got == sorted(oracle)


@given(data=tables())
@FEW
def test_encodings_are_those_of_pandas(data):
    table, parts = data
    frame = table.to_pandas()
    steps = [
        {"step": "encode_label", "columns": "key"},
        {"step": "encode_frequency", "columns": "key"},
        {"step": "encode_one_hot", "columns": "key"},
    ]
    got = made(table, steps, parts)
    codes = frame["key"].astype("category").cat.codes
    assert got["key_encoded"].fillna(-1).tolist() == codes.tolist()
    close(got["key_frequency"], frame["key"].map(frame["key"].value_counts() / len(frame)))
    for name in set(frame["key"].dropna()):
        assert got[f"key_{name}"].tolist() == (frame["key"] == name).astype(int).tolist()


def test_a_row_does_not_see_its_own_target_and_new_rows_see_all():
    rng = np.random.default_rng(1)
    rows = 400
    key = [f"k{number}" for number in rng.integers(0, 40, rows)]
    noise = rng.normal(size=rows)
    table = pa.table({"key": key, "y": noise})
    step = {"step": "encode_target", "columns": "key", "smoothing": 0, "folds": 4}
    result = applied(table, [step], block_rows=33, target="y")
    frame = table.to_pandas()
    whole = frame.groupby("key")["y"].mean()
    fresh = result.processor.apply(pa.table({"key": ["k7", "zz", None], "y": [0.0, 0.0, 0.0]}))[
        "key_target"
    ].to_pylist()
    assert fresh[:2] == [pytest.approx(whole["k7"]), pytest.approx(frame["y"].mean())]
    assert fresh[2] is None
    frame["seen"] = result.table["key_target"].to_pandas()
    for name, group in frame.groupby("key"):
        for seen, fold in group.groupby("seen"):  # each fold of a category has one value: the mean of the other folds
            others = group.drop(fold.index)["y"].mean()
            assert seen == pytest.approx(others), name
    # On pure noise, what a row sees of its category tells next to nothing about its own value; the plain mean leaks.
    leak = np.corrcoef(frame["key"].map(whole), frame["y"])[0, 1]
    assert np.corrcoef(frame["seen"], frame["y"])[0, 1] < 0.1 < 0.25 < leak
    again = applied(table, [step], block_rows=7, target="y").table["key_target"]
    np.testing.assert_allclose(again.to_numpy(), result.table["key_target"].to_numpy(), rtol=1e-12)


def test_the_power_of_yeo_and_johnson_is_the_most_likely_one():
    from raypipe.etl.steps.powers import likely_power, yeo_johnson

    values = np.sort(np.exp(np.random.default_rng(3).normal(size=500)))
    power = likely_power(values, np.ones(500))

    def likelihood(at: float) -> float:
        bent = yeo_johnson(values, at)
        return -0.5 * 500 * np.log(bent.var()) + (at - 1) * np.log1p(values).sum()

    nearby = np.linspace(power - 0.5, power + 0.5, 2001)
    assert abs(nearby[np.argmax([likelihood(at) for at in nearby])] - power) < 1e-3
    assert likelihood(power) >= max(likelihood(at) for at in nearby) - 1e-9
