"""What changed between two tables, told from their profiles."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.blocks.cumulative import Cumulative, kolmogorov, wasserstein
from raypipe.blocks.distances import homogeneity_p, jensen_shannon, stability_index, total_variation
from raypipe.blocks.frames import from_polars, to_polars
from raypipe.insights.compare.compare import compare
from raypipe.insights.compare.models import Comparison, Side, Thresholds
from raypipe.insights.compare.report import comparison_report
from raypipe.insights.compare.segments import SummariseSegments
from raypipe.insights.quality import quality_score
from tests.hostile import NAMES, tables
from tests.insights.tables import as_table, close, profile_of, relate

COUNTS = st.lists(st.integers(0, 1000), min_size=2, max_size=12)


def side(table, name: str = "a", **more) -> Side:
    profile = profile_of(table)
    return Side(name=name, kind="table", profile=profile, quality=quality_score(profile).score, **more)


def changed(a, b, **limits) -> Comparison:
    return compare(side(a, "a"), side(b, "b"), Thresholds(**limits))


def by_name(found: Comparison) -> dict:
    return {change.column: change for change in found.columns}


def clean(rows: int, seed: int) -> pl.DataFrame:
    """A table of many kinds of columns, without any drift in it."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    return pl.DataFrame(
        {
            "id": np.arange(rows),
            "x": x,
            "twin": x + rng.normal(size=rows),
            "price": rng.lognormal(0, 1.5, rows),
            "wild": rng.standard_t(2, rows),
            "count": rng.poisson(3, rows),
            "mostly zero": np.where(rng.random(rows) < 0.7, 0.0, rng.exponential(size=rows)),
            "city": rng.choice(list("abcdef"), rows, p=[0.5, 0.2, 0.1, 0.1, 0.06, 0.04]),
            "many": [f"v{n}" for n in rng.zipf(1.5, rows) % 500],
            "flag": rng.random(rows) < 0.1,
            "gap": pl.Series(rng.normal(size=rows)).set(pl.Series(rng.random(rows) < 0.2), None),
        }
    )


# ── distances ────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(COUNTS, st.data())
def test_distances_of_counts_are_symmetric_and_nothing_for_equal_shares(a, data):
    b = data.draw(st.lists(st.integers(0, 1000), min_size=len(a), max_size=len(a)))
    if not sum(a) or not sum(b):
        return
    for distance in (stability_index, jensen_shannon, total_variation, homogeneity_p):
        assert math.isclose(distance(a, b), distance(b, a), rel_tol=1e-9, abs_tol=1e-9)
    assert stability_index(a, b) >= 0
    assert 0 <= jensen_shannon(a, b) <= 1
    assert 0 <= total_variation(a, b) <= 1
    assert total_variation(a, [2 * n for n in a]) == pytest.approx(0)
    assert jensen_shannon(a, [2 * n for n in a]) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("rows", [400, 8000])
@pytest.mark.parametrize("kind", ["normal", "exponential", "lognormal", "integers", "zeros", "few"])
def test_distances_from_profiles_are_near_those_of_the_rows_and_never_sure_of_more(kind, rows):
    stats = pytest.importorskip("scipy.stats", reason="compared with SciPy, which is not installed")
    rng = np.random.default_rng(7)
    draw = {
        "normal": lambda: rng.normal(size=rows),
        "exponential": lambda: rng.exponential(size=rows),
        "lognormal": lambda: rng.lognormal(0, 2, rows),
        "integers": lambda: rng.integers(0, 50, rows).astype(float),
        "zeros": lambda: np.where(rng.random(rows) < 0.6, 0.0, rng.normal(size=rows)),
        "few": lambda: rng.integers(0, 5, rows).astype(float),
    }[kind]
    a, b = draw(), draw() * 1.2 + 0.1
    one, two = (Cumulative.of(profile_of(as_table(x=values)).columns[0]) for values in (a, b))
    gap, moved = kolmogorov(one, two), wasserstein(one, two)
    true = stats.ks_2samp(a, b).statistic
    assert gap.least <= true + 1e-9
    assert gap.value == pytest.approx(true, abs=0.08)
    spread = math.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)
    true = stats.wasserstein_distance(a, b) / spread
    assert moved.least <= true + 1e-9
    assert moved.value == pytest.approx(true, abs=0.04)
    other = kolmogorov(two, one)
    assert (other.value, other.least) == pytest.approx((gap.value, gap.least))


# ── laws ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=25, deadline=None)
@given(table=tables())
def test_any_table_is_the_same_as_itself(table):
    found = changed(table, table)
    assert found.verdict == "stale"
    assert (found.came, found.went) == ((), ())
    assert all(effect.value == pytest.approx(0, abs=1e-6) for change in found.columns for effect in change.effects)
    assert comparison_report(found).startswith("# a against b\n")


@settings(max_examples=20, deadline=None)
@given(a=tables(), b=tables())
def test_effects_are_the_same_whichever_side_comes_first(a, b):
    there, back = changed(a, b), changed(b, a)
    assert there.verdict == back.verdict
    for name, change in by_name(there).items():
        other = by_name(back)[name]
        assert change.verdict == other.verdict
        for effect, mirrored in zip(change.effects, other.effects, strict=True):
            assert close(effect, mirrored, 1e-6)
    assert Comparison.model_validate_json(there.model_dump_json()) == there


def test_the_order_of_rows_changes_nothing():
    a, b = clean(3000, 1), clean(3000, 2).with_columns(pl.col("x") + 0.3)
    mixed = a.sample(fraction=1.0, shuffle=True, seed=5)
    first, second = (changed(from_polars(frame), from_polars(b)) for frame in (a, mixed))
    assert close(first, second, 1e-6)
    assert changed(from_polars(a), from_polars(mixed)).verdict == "stale"


# ── rates ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _resplits(seeds: range) -> list[str]:
    verdicts = []
    for seed in seeds:
        frame = clean(2000 + 40 * (seed % 50), seed).sample(fraction=1.0, shuffle=True, seed=seed)
        middle = len(frame) // 2
        verdicts.append(changed(from_polars(frame[:middle]), from_polars(frame[middle:])).verdict)
    return verdicts


def test_halves_of_one_clean_table_do_not_drift():
    assert "drifted" not in _resplits(range(12))


@pytest.mark.slow
def test_halves_of_one_clean_table_drift_in_one_of_a_hundred_at_most():
    verdicts = _resplits(range(200))
    assert verdicts.count("drifted") <= 2
    assert verdicts.count("same") >= 120


PLANTED = {
    "mean": (pl.col("x") + 0.3, "x"),
    "spread": (pl.col("x") * 1.6, "x"),
    "tail": (pl.col("price") * 1.5, "price"),
    "category": (pl.when(pl.col("city") == "a").then(pl.lit("b")).otherwise(pl.col("city")).alias("city"), "city"),
    "missing": (pl.when(pl.col("id") % 5 == 0).then(None).otherwise(pl.col("x")).alias("x"), "x"),
    "flag": (pl.col("id") % 4 == 0, "flag"),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_shift_is_found_in_its_column_and_in_no_other(kind):
    expression, column = PLANTED[kind]
    before, after = clean(4000, 11), clean(4000, 12).with_columns(expression.alias(column))
    found = changed(from_polars(before), from_polars(after))
    assert found.verdict == "drifted"
    assert [change.column for change in found.drifted] == [column]
    assert column in found.why[0]


def test_a_correlation_that_broke_is_drift_though_no_column_is():
    before, after = clean(4000, 3), clean(4000, 4)
    after = after.with_columns(pl.col("twin").sample(fraction=1.0, shuffle=True, seed=1))
    found = changed(from_polars(before), from_polars(after))
    assert found.verdict == "drifted"
    assert found.drifted == ()
    assert found.correlations[0].columns == ("x", "twin")


def test_many_equal_values_that_moved_by_a_hair_are_no_drift():
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=(2, 4000))
    found = changed(as_table(x=np.append(a, [0.01] * 2000)), as_table(x=np.append(b, [-0.02] * 2000)))
    assert by_name(found)["x"].effects[1].value > 0.25
    assert by_name(found)["x"].verdict == "changed"


# ── verdicts ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_few_rows_are_not_compared():
    rng = np.random.default_rng(1)
    found = changed(as_table(x=rng.normal(size=40)), as_table(x=rng.normal(5, 1, 40)))
    assert found.verdict == "cannot tell"
    assert "40 values on one side, and 100 are wanted" in found.not_compared["column x"]
    assert changed(as_table(x=rng.normal(size=40)), as_table(x=rng.normal(5, 1, 40)), min_rows=30).verdict == "drifted"


def test_a_large_effect_that_chance_may_explain_cannot_be_told():
    rng = np.random.default_rng(3)
    found = changed(as_table(x=rng.normal(size=120)), as_table(x=rng.normal(0.2, 1, 120)))
    assert by_name(found)["x"].verdict == "cannot tell"
    assert found.verdict == "cannot tell"


def test_a_small_effect_on_many_rows_is_a_change_and_no_drift():
    rng = np.random.default_rng(3)
    found = changed(as_table(x=rng.normal(size=60_000)), as_table(x=rng.normal(0.06, 1, 60_000)))
    assert by_name(found)["x"].verdict == "changed"
    assert found.verdict == "changed"


def test_columns_that_came_went_and_were_retyped_are_a_change():
    rng = np.random.default_rng(3)
    x = rng.normal(size=300)
    found = changed(as_table(x=x, old=x, kind=range(300)), as_table(x=x, new=x, kind=[str(n) for n in range(300)]))
    assert {change.column: change.status for change in found.columns} == {
        "x": "both", "new": "added", "old": "removed", "kind": "retyped",
    }  # fmt: skip
    assert found.verdict == "changed"
    assert by_name(found)["old"].dtype == ("double", None)


def test_times_and_identifiers_move_on_and_decide_nothing():
    days = pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2024, 1, 1, 20), "1m", eager=True)
    rng = np.random.default_rng(2)
    a = pl.DataFrame({"when": days, "order id": np.arange(len(days)), "x": rng.normal(size=len(days))})
    b = a.with_columns(pl.col("when") + pl.duration(days=30), pl.col("order id") + 5000, pl.col("x").shuffle(seed=1))
    found = changed(from_polars(a), from_polars(b))
    assert found.verdict == "same"
    assert found.columns[0].effects
    assert "names or dates rows" in found.not_compared["column when"]


def test_new_and_gone_categories_are_named():
    found = changed(as_table(c=["a", "b"] * 200), as_table(c=["a", "z"] * 200))
    change = by_name(found)["c"]
    assert (change.new_values, change.gone_values, change.verdict) == (("z",), ("b",), "drifted")


def test_which_of_many_equal_categories_get_into_the_list_is_no_drift():
    rng = np.random.default_rng(5)
    a, b = ([f"v{n}" for n in rng.integers(0, 400, 20_000)] for _ in range(2))
    assert changed(as_table(c=a), as_table(c=b)).verdict == "same"


def test_rows_and_quality_that_moved_are_a_change_and_findings_come_and_go():
    rng = np.random.default_rng(1)
    a = as_table(x=rng.normal(size=1000), y=rng.normal(size=1000))
    b = as_table(x=rng.normal(size=2000), y=rng.normal(size=2000), one=["k"] * 2000)
    found = changed(a, b)
    assert found.verdict == "changed"
    assert any("Rows went from 1,000 to 2,000" in text for text in found.why)
    assert any("quality score went from 100.0 to 95.0" in text for text in found.why)
    assert [insight.type for insight in found.came] == ["constant_column"]
    assert found.went == ()


def test_relations_to_the_target_that_moved_are_told():
    rng = np.random.default_rng(1)
    x = rng.normal(size=2000)
    a, b = as_table(x=x, y=x + rng.normal(size=2000)), as_table(x=x, y=rng.normal(0, 1.4, 2000))
    sides = [side(table, name, target=relate(table, "y"), insights=()) for name, table in (("a", a), ("b", b))]
    found = compare(*sides)
    assert [pair.columns for pair in found.target] == [("x", "y")]
    assert found.target[0].before > 0.6 > found.target[0].after


# ── form ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_hostile_names_and_values_break_no_table_of_the_report():
    rng = np.random.default_rng(1)
    names = [name for name in NAMES if name] + ["a|b", "<script>", "[x](http://evil)"]
    a = as_table(**{name: rng.normal(size=200) for name in names}, c=["<b>|", "x"] * 100)
    b = as_table(**{name: rng.normal(1, 1, 200) for name in names}, c=["[z](http://evil)", "x"] * 100)
    text = comparison_report(changed(a, b))
    assert "<script>" not in text
    assert "](" not in text.replace("\\]", "")
    body = text.split("## Columns")[1].split("## ")[0]
    rows = [line for line in body.splitlines() if line.startswith("| ")]
    assert {line.replace("\\|", "").count("|") for line in rows} == {8}


def test_segments_are_profiled_apart_and_do_not_depend_on_the_cut():
    table = as_table(city=["a", "b", None, "c"] * 50, x=range(200))
    stage = SummariseSegments(column="city", values=("a", "b"))
    whole = stage.finish(stage.partial(table, "0"))
    cut = stage.finish(stage.merge(stage.partial(table.slice(0, 33), "0"), stage.partial(table.slice(33), "1")))
    assert close(whole, cut, 1e-9)
    mine, rest = whole["a"]
    assert (mine.rows, rest.rows) == (50, 150)
    assert [column.name for column in mine.columns] == ["x"]
    assert to_polars(table).height == 200
