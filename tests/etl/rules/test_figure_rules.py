"""Rules about many rows: against figures computed the plain way, however the rows are cut."""

import datetime as dt
import itertools
import math
import statistics
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.blocks.chance import false_discoveries
from raypipe.blocks.table import finish, summarise
from raypipe.config import ValidationConfig
from raypipe.errors import ConfigError, ReadError
from raypipe.etl.rules import RULES, RuleSet, make_rule
from raypipe.etl.rules.judging import figure_stages
from raypipe.etl.rules.rule import FigureRule, Rule, SchemaRule
from raypipe.etl.validate import DataValidator
from raypipe.results import RuleOutcome
from tests.hostile import NAMES
from tests.laws import cuts_of, examples, numbered, pieces_of

NOW = dt.datetime(2024, 3, 1, tzinfo=dt.UTC)


def outcomes(
    table: pa.Table, *rules: Rule, cut: list[int] | None = None, from_right: bool = False
) -> dict[str, RuleOutcome]:
    """Outcome of each rule by its id; the table is cut so, and its pieces come in order, merged from either side."""
    validator = DataValidator(ValidationConfig(), rules=RuleSet(rules=rules), now=NOW)
    table = numbered(table)
    found = {}
    for stage in (*validator.stages(table.schema),):
        states = [stage.partial(piece, "p") for piece in (pieces_of(table, cut) if cut else [table])]
        state = states.pop() if from_right else states.pop(0)
        for other in reversed(states) if from_right else states:
            state = stage.merge(other, state) if from_right else stage.merge(state, other)
        found[stage.name] = stage.finish(state)
    told = validator.verdict(finish(summarise(table)), {}, {}, table.schema, found)
    return {outcome.id: outcome for outcome in told.outcomes if outcome.id}


def outcome(table: pa.Table, rule: Rule) -> RuleOutcome:
    return next(iter(outcomes(table, rule).values()))


NUMBERS = st.lists(st.none() | st.sampled_from([0, 1, 2, 5, -3, 100]) | st.integers(-50, 50), min_size=0, max_size=12)


def told(values: list[Any], name: str) -> float | None:
    known = [value for value in values if value is not None]
    if not known or (name == "stddev_between" and len(known) < 2):
        return None
    plain = {
        "mean_between": statistics.fmean,
        "median_between": statistics.median,
        "stddev_between": statistics.stdev,
        "sum_between": sum,
        "min_between": min,
        "max_between": max,
        "distinct_count": lambda v: len(set(v)),
        "unique_share": lambda v: len(set(v)) / len(v),
    }
    return float(plain[name](known))


@given(values=NUMBERS, low=st.integers(-5, 5), keep=st.booleans())
@settings(max_examples=25, deadline=None)
def test_figures_equal_those_computed_the_plain_way(values, low, keep):
    table = pa.table({"v": pa.array(values, pa.int64()), "w": pa.array([n % 2 == 0 for n in range(len(values))])})
    kept = [value for n, value in enumerate(values) if n % 2 == 0] if keep else values
    names = ("mean_between", "median_between", "stddev_between", "sum_between", "min_between", "max_between")
    names += ("distinct_count", "unique_share")
    where = {"where": "w"} if keep else {}
    found = outcomes(table, *(make_rule(name, "v", min=low, **where) for name in names))
    for name in names:
        figure = told(kept, name)
        one = found[f"{name}:v"]
        if figure is None and name != "distinct_count":
            assert (one.passed, one.severity, one.certain) == (False, "warning", False)
            assert "not available, because" in one.message
        else:
            assert one.figure == pytest.approx(figure or 0)
            assert one.passed is (one.figure >= low)


def course_breaks(values: list[Any], up: bool, strictly: bool) -> int:
    known = [value for value in values if value is not None]
    wrong = 0
    for a, b in itertools.pairwise(known):
        right = (a < b if up else a > b) or (not strictly and a == b)
        wrong += not right
    return wrong


@given(values=st.lists(st.none() | st.integers(0, 3) | st.just(float("nan")), max_size=9), strictly=st.booleans())
@settings(max_examples=examples(12), deadline=None)
def test_order_is_seen_across_any_cut(values, strictly):
    table = pa.table({"v": pa.array(values, pa.float64())})
    rules = [make_rule(name, "v", strictly=strictly) for name in ("increasing", "decreasing")]
    for cut in ([0, len(values)], *cuts_of(len(values))):
        found = outcomes(table, *rules, cut=cut)
        assert found["increasing:v"].failing_rows == course_breaks(values, True, strictly)
        assert found["decreasing:v"].failing_rows == course_breaks(values, False, strictly)


def test_the_first_rows_out_of_order_are_named_with_their_place():
    one = outcomes(pa.table({"v": [1, 2, 1, 5, 4]}), make_rule("increasing", "v", error=1), cut=[0, 2, 5])[
        "increasing:v"
    ]
    assert not one.passed
    assert [(row.row, row.value) for row in one.first] == [(2, "1"), (4, "4")]


def mixed(rows: int = 60) -> pa.Table:
    day = dt.datetime(2024, 1, 1)
    return pa.table(
        {
            "id": [n % 50 for n in range(rows)],
            "k": pa.array(["a", "b", None, "c"] * (rows // 4), pa.large_string()),
            "x": pa.array([float(n) if n % 9 else math.nan for n in range(rows)]),
            "y": [2.0 * n + 1 for n in range(rows)],
            "t": pa.array([day + dt.timedelta(hours=n if n != 7 else 8) for n in range(rows)], pa.timestamp("us")),
        }
    )


EVERY = (
    make_rule("unique", "id", "k"),
    make_rule("unique_together", "id", "k"),
    make_rule("primary_key", "id", where="k = 'a'"),
    make_rule("primary_key", "k", "id"),
    make_rule("duplicate_share", max=0.0),
    make_rule("duplicate_share", "k", max=0.5, where="x > 3"),
    make_rule("null_share", "k", max=0.2, segments="k"),
    make_rule("contains_all", "k", values=["a", "z"]),
    make_rule("categories_exactly", "k", values=["a", "b"]),
    make_rule("most_common", "k", max=0.3, value="a"),
    make_rule("quantile_between", "y", probability=0.9, max=100),
    make_rule("outlier_share", "x", max=0.0),
    make_rule("within_stddevs", "x", stddevs=1.5, max=0.1),
    make_rule("correlation_between", "x", "y", min=0.99),
    make_rule("no_gaps", "t", every="hour"),
    make_rule("freshness", "t", max_age_hours=24),
    make_rule("mean_between", "y", max=50, segments="k", where="x > 1"),
    make_rule("row_count", min=100, segments="k"),
)


def test_every_rule_about_figures_gives_the_same_for_any_cut():
    table = mixed()
    whole = outcomes(table, *EVERY)
    for cut, right in (([0, 1, 1, 7, 60], False), ([0, *range(0, 60, 13), 60], False), ([0, 5, 20, 21, 60], True)):
        parted = outcomes(table, *EVERY, cut=cut, from_right=right)
        for name, one in whole.items():
            assert parted[name].passed == one.passed, name
            assert parted[name].figure == pytest.approx(one.figure, nan_ok=True), name
            assert parted[name].segments == one.segments, name
    verdicts = {name: (one.passed, one.failing_rows) for name, one in whole.items()}
    assert verdicts["unique:id"] == (False, 10)
    assert verdicts["unique:k"] == (False, 42)
    assert verdicts["primary_key:k+id"] == (False, 15 + 0)
    assert whole["no_gaps:t"].examples == ("2024-01-01 07:00",)
    assert whole["contains_all:k"].message.startswith("'k': 'z' does not occur")
    assert whole["categories_exactly:k"].failing_rows == 15
    assert whole["most_common:k"].passed is False
    assert [segment.rows for segment in whole["row_count"].segments] == [15, 15, 15, 15]
    assert whole["correlation_between:x+y"].passed


def test_an_estimate_tells_its_interval_and_that_the_bound_lies_within():
    values = np.random.default_rng(7).permutation(200_000)
    table = pa.table({"v": values})
    near = outcome(table, make_rule("distinct_count", "v", min=200_000))
    assert near.certain is False
    assert near.figure_low < 200_000 < near.figure_high + 1
    assert "the bound lies within the error" in near.message
    far = outcome(table, make_rule("distinct_count", "v", min=100_000))
    assert far.certain
    assert far.passed
    median = outcome(table, make_rule("median_between", "v", min=90_000, max=110_000))
    assert median.figure_low <= 99_999.5 <= median.figure_high
    share = outcome(table, make_rule("outlier_share", "v", iqr=0.25, max=0.5))
    assert share.figure_low <= 0.25 <= share.figure_high


def test_schema_rules_say_what_is_wrong_with_the_columns():
    table = mixed()
    rules = {
        make_rule("columns_exist", "id", "kk"): "there is no column 'kk'.*Did you mean 'k'",
        make_rule("columns_exactly", "id", "k"): "'x', 'y', 't' too many",
        make_rule("columns_ordered", "x", "k"): "the order is 'k', 'x'",
        make_rule("no_extra_columns", "id", "k", "x", "tt", "y"): "there is 't'; the nearest allowed is 'tt'",
        make_rule("column_names_match", pattern="[a-z]"): "'id' does not match",
        make_rule("column_count", max=4): "the table has 5 columns",
        make_rule("dtype_is", "k", dtype="date"): "holds text; wanted the type date",
        make_rule("dtype_in", "y", dtypes=["text", "integer"]): "holds float64",
    }
    assert {type(rule).__name__ for rule in rules} == {
        kind.__name__ for kind in RULES.values() if issubclass(kind, SchemaRule)
    }
    for rule, reason in rules.items():
        one = outcome(table, rule)
        assert not one.passed
        assert pa.compute.match_substring_regex(pa.array([one.message]), reason)[0].as_py(), one.message
    good = (
        make_rule("columns_exist", "id"),
        make_rule("columns_exactly", *table.column_names),
        make_rule("columns_ordered", "id", "t"),
        make_rule("no_extra_columns", *table.column_names, "more"),
        make_rule("column_names_match", pattern="[a-z]+"),
        make_rule("column_count", min=5, max=5),
        make_rule("dtype_is", "id", dtype="number"),
        make_rule("dtype_in", "t", dtypes=["date", "datetime"]),
    )
    assert all(one.passed for one in outcomes(table, *good).values())


# ---- other tables ----------------------------------------------------------------------------------------------------


def test_orphans_are_counted_and_named_and_so_are_keys_that_nobody_uses(tmp_path):
    path = tmp_path / "cities.csv"
    path.write_text("city,country\nUlm,DE\nBonn,DE\nRome,IT\n")
    table = pa.table({"town": ["Ulm", "Paris", None, "Rome"], "land": ["DE", "FR", "DE", "DE"]})
    found = outcomes(
        table,
        make_rule("in_table", "town", table=str(path), table_columns="city"),
        make_rule("in_table", "town", "land", table=str(path), table_columns=["city", "country"], id="both"),
        make_rule("covers_table", "town", table=str(path), table_columns="city"),
    )
    assert [(row.row, row.value) for row in found["in_table:town"].first] == [(1, "Paris")]
    assert [row.row for row in found["both"].first] == [1, 3]
    assert found["covers_table:town"].examples == ("Bonn",)


def test_keys_of_other_types_are_compared_by_value(tmp_path):
    path = tmp_path / "ids.parquet"
    pl.DataFrame({"id": pl.Series([1, 2, 3], dtype=pl.Int8)}).write_parquet(path)
    table = pa.table({"a": pa.array([1, 9], pa.uint64()), "b": [2.0, 2.5], "c": ["1", "2"]})
    rules = [make_rule("in_table", name, table=str(path), table_columns="id") for name in "abc"]
    found = outcomes(table, *rules)
    assert (found["in_table:a"].failing_rows, found["in_table:b"].failing_rows) == (1, 1)
    assert "which cannot be compared" in found["in_table:c"].message


def test_a_table_that_is_not_there_is_told_before_the_run(tmp_path):
    rules = tmp_path / "r.yaml"
    rules.write_text(f"rules:\n- rule: in_table\n  columns: a\n  table: {tmp_path}/no.csv\n")
    with pytest.raises(ReadError, match="no.csv: no such file"):
        DataValidator.of(ValidationConfig(rules_path=rules))


# ---- references ------------------------------------------------------------------------------------------------------


def sample(rows: int, seed: int, shift: float = 0.0, names: str = "abc") -> pa.Table:
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "n": rng.normal(shift, 1, rows),
            "i": rng.poisson(3 + 2 * shift, rows),
            "k": rng.choice(list(names), rows),
        }
    )


DRIFT = ("psi", "ks_distance", "mean_shift")


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("reference") / "profile.json"
    path.write_text(finish(summarise(sample(5000, 1))).model_dump_json())
    return str(path)


def drift_rules(reference: str) -> list[Rule]:
    return [
        *(make_rule(name, "n", "i", reference=reference) for name in DRIFT),
        make_rule("total_variation", "k", reference=reference),
        make_rule("no_new_categories", "k", reference=reference),
        make_rule("no_missing_categories", "k", reference=reference),
        make_rule("null_share_shift", "k", reference=reference),
        make_rule("drift", reference=reference),
        make_rule("row_count_change", reference=reference, max=0.5),
    ]


def test_clean_data_does_not_drift_and_moved_data_does(reference):
    same = outcomes(sample(4000, 2), *drift_rules(reference))
    assert [name for name, one in same.items() if not one.passed] == []
    moved = outcomes(sample(4000, 3, shift=0.5, names="abbbd"), *drift_rules(reference))
    passed = {name for name, one in moved.items() if one.passed}
    assert passed == {"null_share_shift:k", "row_count_change"}
    assert moved["drift:n"].figure == pytest.approx(0.197, abs=0.03)
    assert moved["mean_shift:n"].figure == pytest.approx(0.5, abs=0.06)
    assert moved["no_missing_categories:k"].examples == ("c",)


def test_a_small_effect_that_may_be_chance_passes_and_says_so(reference):
    few = outcomes(sample(120, 5, shift=0.15), *(make_rule(n, "n", reference=reference, max=0.01) for n in DRIFT))
    assert all(one.passed for one in few.values())
    assert any("which may be chance" in one.message for one in few.values())
    tiny = outcome(sample(20, 5), make_rule("ks_distance", "n", reference=reference))
    assert (tiny.passed, tiny.severity) == (False, "warning")
    assert "below 100" in tiny.message


@pytest.mark.slow
def test_two_hundred_resplits_of_clean_data_hardly_ever_drift(tmp_path):
    fired = checks = 0
    for seed in range(200):
        table = sample(3000, 1000 + seed)
        path = tmp_path / f"{seed}.json"
        path.write_text(finish(summarise(table.slice(0, 1500))).model_dump_json())
        rules = [
            make_rule("drift", reference=str(path), max=0.01),
            make_rule("psi", "n", reference=str(path), max=0.01),
        ]
        found = outcomes(table.slice(1500), *rules)
        fired += sum(not one.passed for one in found.values())
        checks += len(found)
    assert fired / checks <= 0.01


def test_a_reference_may_be_a_table(tmp_path):
    path = tmp_path / "before.parquet"
    pl.from_arrow(sample(1000, 1)).write_parquet(path)
    assert outcome(sample(1000, 2), make_rule("ks_distance", "n", reference=str(path))).passed


@given(st.lists(st.floats(0, 1), max_size=30), st.floats(0.001, 0.5))
@settings(max_examples=40, deadline=None)
def test_discoveries_are_those_of_the_procedure_as_it_is_written(p_values, level):
    """Reject the k smallest, for the largest k whose p-value is at most k / m of the level."""
    ordered = sorted(p_values)
    held = [k for k, p in enumerate(ordered, 1) if p * len(ordered) / k <= level]
    wanted = [p <= ordered[max(held) - 1] for p in p_values] if held else [False] * len(p_values)
    assert [p <= level for p in false_discoveries(p_values)] == wanted


def test_many_columns_of_noise_raise_no_alarm_and_columns_that_drifted_all_do(tmp_path):
    rng = np.random.default_rng(11)
    rows, columns, moved = 300, 150, 30
    before = pl.DataFrame({f"c{n:03d}": rng.normal(size=rows) for n in range(columns)})
    shift = [1.0 if n < moved else 0.0 for n in range(columns)]
    after = pl.DataFrame({f"c{n:03d}": rng.normal(shift[n], size=rows) for n in range(columns)})
    path = tmp_path / "before.parquet"
    before.write_parquet(path)
    rules = [make_rule("ks_distance", name, reference=str(path), max=0.1) for name in after.columns]
    found = outcomes(after.to_arrow(), *rules)
    fired = {name for name in after.columns if not found[f"ks_distance:{name}"].passed}
    assert fired == set(after.columns[:moved])
    large = sum((found[f"ks_distance:{name}"].figure or 0) > 0.1 for name in after.columns[moved:])
    assert large > 0  # effects that chance made, and that were let pass


def test_a_tiny_effect_raises_no_alarm_however_certain_it_is(tmp_path):
    rng = np.random.default_rng(5)
    path = tmp_path / "before.parquet"
    pl.DataFrame({"n": rng.normal(size=200_000)}).write_parquet(path)
    now = pl.DataFrame({"n": rng.normal(0.03, size=200_000)}).to_arrow()
    assert outcome(now, make_rule("mean_shift", "n", reference=str(path), max=0.1)).passed


# ---- Python ----------------------------------------------------------------------------------------------------------


def even(frame: pl.DataFrame) -> pl.Series:
    return frame["id"] % 2 == 0


def sums(frame: pl.DataFrame) -> dict[str, float]:
    return {"rows": frame.height, "total": frame["id"].sum() or 0}


def test_functions_judge_rows_and_sums():
    here = __name__
    table = pa.table({"id": [1, 2, 3, 4]})
    rows = outcome(table, make_rule("python", "id", function=f"{here}:even"))
    assert [row.row for row in rows.first] == [0, 2]
    rule = make_rule("python_sums", "id", function=f"{here}:sums", condition="total / rows <= 2")
    found = outcomes(table, rule, cut=[0, 1, 4])["python_sums:id"]
    assert not found.passed
    assert "total = 10, rows = 4" in found.message


def test_a_function_that_is_not_there_is_told_before_the_run():
    with pytest.raises(ConfigError, match="function 'no.such:thing'.*importable"):
        make_rule("python", "a", function="no.such:thing").prepare()


def test_every_rule_about_figures_is_tried_here():
    kinds = {name for name, kind in RULES.items() if issubclass(kind, FigureRule)}
    names = {rule.rule for rule in (*EVERY, *drift_rules("x"))} | {"increasing", "decreasing", "covers_table"}
    names |= {"mean_between", "median_between", "stddev_between", "sum_between", "min_between", "max_between"}
    assert kinds == names | {"distinct_count", "unique_share", "python_sums"}


@pytest.mark.parametrize("name", NAMES)
def test_no_name_is_taken_for_a_pattern(name, tmp_path):
    path = tmp_path / "other.parquet"
    pq.write_table(pa.table([[1, 2, 3, 7]], names=[name]), path)
    table = pa.table([[1, 2, 2, None], ["x", "x", "y", "y"]], names=[name, "another"])
    found = outcomes(
        table,
        make_rule("mean_between", name, min=2, segments=name),
        make_rule("unique", name, segments="another"),
        make_rule("increasing", name, strictly=True),
        make_rule("contains_all", name, values=[1, 5]),
        make_rule("in_table", name, table=str(path)),
        make_rule("covers_table", name, table=str(path)),
        make_rule("null_share", name, max=0.3),
    )
    rules = {one.rule: one for one in found.values()}
    assert {rule: one.passed for rule, one in rules.items()} == {
        "mean_between": False,
        "unique": False,
        "increasing": False,
        "contains_all": False,
        "in_table": True,
        "covers_table": False,
        "null_share": True,
    }
    assert rules["covers_table"].failing_rows == 2
    assert {segment.values[0]: segment.failing_rows for segment in rules["unique"].segments} == {"x": 0, "y": 0}
    assert all(one.column == name for one in found.values())


def test_a_figure_by_segments_that_are_not_there_cannot_hold():
    one = outcome(mixed(), make_rule("mean_between", "y", max=1, segments="kk"))
    assert not one.passed
    assert "cannot hold: there is no column 'kk'" in one.message


def test_an_empty_table_breaks_no_rule_in_silence():
    empty = mixed().slice(0, 0)
    found = outcomes(empty, *EVERY)
    assert all(
        one.passed or "not available" in one.message or one.id.startswith(("row_count", "contains", "categories"))
        for one in found.values()
    )
    assert figure_stages(()) == ()
