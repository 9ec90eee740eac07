"""The engine as a whole: exact figures held against pandas, Polars and SciPy; cuts change nothing; what is bounded."""

from __future__ import annotations

import importlib
import itertools
import subprocess
import sys
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe import StatisticsEngine
from raypipe.blocks.frames import ROW
from raypipe.config.insights.statistics import StatisticsConfig
from raypipe.engine.localframe import local_frame
from raypipe.errors import SchemaError
from raypipe.insights.statistics import describe
from raypipe.insights.statistics.engine import Draft
from raypipe.insights.statistics.models import NumberStatistics, Statistics
from raypipe.insights.statistics.tails import plan_tails
from tests.hostile import tables
from tests.insights.statistics.tables import as_table
from tests.insights.tables import close, profile_of

RNG = np.random.default_rng(29)
values = st.floats(-1e6, 1e6, allow_nan=False, width=32) | st.integers(-5, 5).map(float) | st.none()


def mixed(rows: int, seed: int = 3) -> pa.Table:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    group = rng.choice(["a", "b", "c"], rows)
    return as_table(
        x=x,
        y=x + rng.normal(size=rows),
        square=x * x,
        group=group,
        follows=np.where(rng.random(rows) < 0.8, group, "d"),
        level=np.select([group == "a", group == "b"], [0.0, 2.0], 4.0) + rng.normal(size=rows),
        gappy=[None if gone else 1.0 * value for value, gone in zip(rng.integers(0, 99, rows), x > 1, strict=True)],
    )


def number(found: Statistics, column: str) -> NumberStatistics:
    return next(one for one in found.numbers if one.column == column)


@settings(max_examples=50, deadline=None)
@given(st.lists(values, min_size=3, max_size=80))
def test_descriptives_agree_with_pandas_and_polars(cells: list[float | None]) -> None:
    pd = pytest.importorskip("pandas", reason="held against pandas: pip install 'raypipe[pandas]'")
    table = as_table(x=pl.Series(cells, dtype=pl.Float64))
    found = StatisticsEngine().analyze_dataset(table)["descriptive_stats"]["numeric"]["x"]
    known = pd.Series([cell for cell in cells if cell is not None], dtype=float)
    assert found["count"] == len(known)
    if len(known) < 2:
        return
    wanted = {
        "mean": known.mean(), "median": known.median(), "std": known.std(), "variance": known.var(),
        "min": known.min(), "max": known.max(), "q1": known.quantile(0.25), "q3": known.quantile(0.75),
        "range": known.max() - known.min(), "iqr": known.quantile(0.75) - known.quantile(0.25),
    }  # fmt: skip
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, rel=1e-9, abs=1e-9 * max(known.abs().max(), 1)), name
    counted = known.value_counts()
    if found["mode"] is not None:
        assert (found["mode_count"], counted[found["mode"]]) == (counted.max(), counted.max())
    bits = pl.Series(counted.to_numpy() / len(known)).entropy(base=2)
    assert found["concentration"]["entropy_bits"] == pytest.approx(bits, abs=1e-9)
    assert found["concentration"]["exact"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-100, 100, width=16) | st.just(0.0), min_size=8, max_size=120))
def test_outliers_of_three_rules_agree_with_their_definitions(cells: list[float]) -> None:
    x = np.array(cells)
    found = number(StatisticsEngine().analyze_dataset(as_table(x=x)).statistics, "x")
    for rule in found.outliers:
        outside = (x < rule.low) | (x > rule.high)
        assert (rule.count, rule.exact, rule.values) == (outside.sum(), True, len(x))
        assert sorted(rule.first) == sorted(x[outside][:10]) or rule.method == "modified_z_score"
        if rule.method == "iqr":
            q1, q3 = np.quantile(x, [0.25, 0.75])
            assert (rule.low, rule.high) == pytest.approx((q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1)), abs=1e-9)
        elif rule.method == "z_score":
            assert rule.high == pytest.approx(x.mean() + 3 * x.std(ddof=1), abs=1e-9)
        else:
            middle = np.median(x)
            assert rule.high == pytest.approx(middle + 3.5 * 1.4826 * np.median(np.abs(x - middle)), abs=1e-9)


def test_extremes_name_their_part_and_row() -> None:
    x = RNG.normal(size=5000)
    x[[17, 4321]] = [99.0, -99.0]
    frame = local_frame(as_table(x=x), (3000, 2000))
    found = number(StatisticsEngine().analyze_dataset(frame).statistics, "x")
    assert (found.highest[0].value, found.highest[0].row) == (99.0, 17)
    assert (found.lowest[0].value, found.lowest[0].row) == (-99.0, 1321)
    assert found.highest[0].part != found.lowest[0].part
    assert [one.value for one in found.highest] == sorted(x)[::-1][:5]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([0.0, 1.0, 2.0, 50.0, np.nan, np.inf]), min_size=1, max_size=60), st.data())
def test_the_ends_of_columns_do_not_depend_on_how_rows_are_cut(cells: list[float], data: st.DataObject) -> None:
    table = as_table(x=cells)
    stage = plan_tails(profile_of(table))
    block = table.append_column(ROW, pa.array(np.arange(len(cells))))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(cells)), max_size=4)))
    edges = [0, *cuts, len(cells)]
    parts = [stage.partial(block.slice(low, high - low), "p") for low, high in itertools.pairwise(edges)]
    state = parts[0]
    for part in parts[1:]:
        state = stage.merge(state, part)
    assert stage.finish(state) == stage.finish(stage.partial(block, "p"))


def test_cuts_and_passes_over_all_rows_change_no_statistics() -> None:
    table = mixed(6000)
    engine = StatisticsEngine()
    whole = engine.analyze_dataset(local_frame(table, (6000,)))
    profile = whole.profile
    sample = table.slice(0, 2000)
    draft = engine.draft(profile, sample)
    assert not draft.statistics.sample.is_table
    stage = draft.exact_stage()
    assert stage is not None
    once = stage.finish(stage.partial(table, "p"))
    for cuts in ([100], [2000, 4000], [1, 2, 5999]):
        edges = [0, *cuts, 6000]
        state = stage.partial(table.slice(0, edges[1]), "p")
        for low, high in itertools.pairwise(edges[1:]):
            state = stage.merge(state, stage.partial(table.slice(low, high - low), "p"))
        assert close([one.model_dump() for one in stage.finish(state)], [one.model_dump() for one in once], 1e-9)
    assert all(pair.exact for pair in draft.finished(once).pairs)
    assert {pair.columns for pair in once} == {pair.columns for pair in draft.finished().pairs}
    assert not any(pair.exact for pair in draft.finished().pairs)


def test_pairs_over_all_rows_agree_with_scipy() -> None:
    stats = pytest.importorskip("scipy.stats", reason="held against SciPy, which is not installed")
    table = mixed(6000)
    draft = StatisticsEngine().draft(profile_of(table), table.slice(0, 3000))
    stage = draft.exact_stage()
    found = {frozenset(pair.columns): pair for pair in stage.finish(stage.partial(table, "p"))}
    pair = found[frozenset({"x", "y"})]
    x, y = table["x"].to_numpy(), table["y"].to_numpy()
    assert pair.rows == 6000
    assert pair.measure("pearson").value == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-12)
    # Forty bins stand in for ranks here.
    assert pair.measure("spearman").value == pytest.approx(stats.spearmanr(x, y).statistic, abs=0.005)
    groups = found[frozenset({"group", "level"})]
    level, group = table["level"].to_numpy(), np.array(table["group"].to_pylist())
    f = stats.f_oneway(*[level[group == one] for one in "abc"])
    eta = 2 * f.statistic / (2 * f.statistic + 6000 - 3)
    wanted = 1 - (1 - eta) * 5999 / 5997
    assert groups.measure("correlation_ratio_squared").value == pytest.approx(wanted, abs=1e-12)
    both = found[frozenset({"group", "follows"})]
    left, right = table["group"].to_pylist(), table["follows"].to_pylist()
    cross = np.array([[sum(x == i and y == j for x, y in zip(left, right)) for j in "abcd"] for i in "abc"])
    wanted = stats.chi2_contingency(cross, correction=False)
    assert both.measure("cramers_v").p_value == pytest.approx(wanted.pvalue, abs=1e-300)


def test_pairs_of_few_values_are_exact_over_all_rows_whatever_the_measure() -> None:
    stats = pytest.importorskip("scipy.stats", reason="held against SciPy, which is not installed")
    a = RNG.integers(0, 12, 4000)
    table = as_table(a=a.astype(float), b=(a // 2 + RNG.integers(0, 4, 4000)).astype(float))
    draft = StatisticsEngine().draft(profile_of(table), table.slice(0, 1000))
    stage = draft.exact_stage()
    (pair,) = stage.finish(stage.partial(table, "p"))
    a, b = table["a"].to_numpy(), table["b"].to_numpy()
    assert pair.measure("spearman").value == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)
    assert pair.measure("kendall").value == pytest.approx(stats.kendalltau(a, b).statistic, abs=1e-12)


def test_results_have_the_keys_that_users_of_the_older_platform_know() -> None:
    engine = StatisticsEngine()
    assert engine.get_summary_insights() == []
    found = engine.analyze_dataset(mixed(800).to_pandas())
    assert set(found) == {
        "overview", "descriptive_stats", "correlations", "outliers", "distributions", "missing_data",
    }  # fmt: skip
    assert found["overview"]["shape"] == (800, 7)
    assert set(found["correlations"]) >= {"pearson", "spearman", "kendall", "strong_correlations", "cramers_v"}
    assert set(found["outliers"]["x"]) == {"iqr", "z_score", "modified_z_score"}
    assert found["distributions"]["x"]["distribution_type"] == "Approximately Normal"
    assert found["distributions"]["square"]["distribution_type"] == "Right Skewed"
    assert found["missing_data"]["missing_by_column"].keys() == {"gappy"}
    assert [pattern["columns"] for pattern in found["missing_data"]["missing_patterns"]] == [(), ("gappy",)]
    assert any("“gappy”" in told and "consistent with" in told for told in found.get_summary_insights())
    assert engine.get_summary_insights() == found.get_summary_insights()


def test_settings_bound_pairs_and_columns_and_the_results_say_what_is_left_out() -> None:
    engine = StatisticsEngine(StatisticsConfig(exact_pairs=2, max_pair_columns=4))
    found = engine.analyze_dataset(mixed(800)).statistics
    assert len(found.pairs) == 2 <= found.pairs_found
    assert found.pairs_screened == 6
    assert "pairs are measured for 4 columns" in found.skipped["gappy"]


def test_missing_relations_and_their_rates_are_right() -> None:
    found = StatisticsEngine().analyze_dataset(mixed(2000)).statistics.missing
    first = found.relations[0]
    assert (first.column, first.other) in {("gappy", "x"), ("gappy", "square")}
    assert min(first.rates.values()) == 0.0
    assert found.tested > 3
    assert found.by_column["gappy"] == sum(pattern.rows for pattern in found.patterns if pattern.columns)


@settings(max_examples=40, deadline=None)
@given(tables(kinds=("int64", "float64", "bool", "text", "datetime", "null", "decimal")))
def test_any_table_gives_statistics_that_hold_together(table: pa.Table) -> None:
    found = StatisticsEngine().analyze_dataset(table)
    again = Statistics.model_validate_json(found.statistics.model_dump_json())
    assert close(again, found.statistics, 1e-12)
    assert found.statistics.rows == table.num_rows
    assert all(isinstance(told, str) for told in found.get_summary_insights())
    for one in found.statistics.numbers:
        for rule in one.outliers:
            assert rule.count == rule.below + rule.above <= rule.values


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(SchemaError, match="got list; wanted a raypipe Frame"):
        StatisticsEngine().analyze_dataset([1, 2])


def test_without_a_sample_single_columns_are_described_and_the_rest_says_why() -> None:
    draft = StatisticsEngine().draft(profile_of(mixed(100)), None)
    assert isinstance(draft, Draft)
    found = draft.finished()
    assert number(found, "x").mean is not None
    assert found.not_computed == {"pairs": "there is no sample of the rows"}


def test_statistics_load_no_scipy() -> None:
    code = (
        "import sys; from raypipe import StatisticsEngine; import polars as pl;"
        "StatisticsEngine().analyze_dataset(pl.DataFrame({'a': range(100), 'b': ['x', 'y'] * 50}));"
        "print([name for name in sys.modules if name.split('.')[0] in ('scipy', 'statsmodels', 'sklearn')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_mode_is_none_where_no_value_is_known_to_be_the_most_frequent() -> None:
    found: Any = StatisticsEngine().analyze_dataset(as_table(x=RNG.normal(size=200))).statistics
    assert number(found, "x").mode is None
    assert importlib.import_module(describe.__name__)._gini(np.array([0.0, 0.0, 0.0, 1.0])) == pytest.approx(1.0)
    assert describe._gini(np.array([2.0, 2.0])) == pytest.approx(0.0)


@pytest.mark.slow
def test_two_thousand_columns_stay_within_two_gigabytes() -> None:
    code = (
        "import resource, numpy as np, polars as pl, time; from raypipe import StatisticsEngine;"
        "rng = np.random.default_rng(0);"
        "frame = pl.DataFrame({f'c{i}': rng.normal(size=5000) for i in range(2000)});"
        "found = StatisticsEngine().analyze_dataset(frame).statistics;"
        "assert len(found.numbers) == 2000; assert len(found.skipped) == 1800;"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10, time.process_time())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    megabytes, seconds = (float(figure) for figure in done.stdout.split())
    assert megabytes < 2048
    assert seconds < 120


def test_values_too_large_to_be_squared_are_described_and_in_no_pair() -> None:
    table = as_table(huge=RNG.choice([1e308, -1e308, 0.0], 200), a=RNG.normal(size=200), b=["x", "y"] * 100)
    found = StatisticsEngine().analyze_dataset(table).statistics
    assert found.skipped == {"huge": "has values too large to be squared"}
    assert Statistics.model_validate_json(found.model_dump_json()) == found
