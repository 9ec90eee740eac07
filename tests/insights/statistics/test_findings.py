"""What statistics say of tables with planted truths, and of tables with nothing in them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from raypipe.insights.statistics.engine import StatisticsEngine
from raypipe.results import Insight
from tests.insights.statistics.tables import as_table, said_of
from tests.insights.tables import noise

KINDS = {"association", "curved_relation", "explained_correlation", "group_difference", "missing_depends"}
N = 1500


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def of_kind(insights: tuple[Insight, ...], kind: str) -> list[Insight]:
    return [one for one in insights if one.type == kind]


def gappy_noise(rows: int, seed: int) -> object:
    """Noise with gaps that depend on nothing."""
    rng = np.random.default_rng(seed + 10_000)
    table = noise(rows, seed)
    columns = {
        name: [None if rng.random() < 0.2 else value for value in table[name].to_pylist()]
        for name in table.column_names
        if name != "t"
    }
    return as_table(**columns)


@pytest.mark.parametrize(("rows", "tables"), [(150, 10), pytest.param(1000, 8, marks=pytest.mark.slow)])
def test_tables_of_noise_give_no_finding_of_statistics(rows: int, tables: int) -> None:
    alarms = [
        insight.type
        for seed in range(tables)
        for insight in said_of(gappy_noise(rows, seed) if seed % 2 else noise(rows, seed).drop_columns(["t"]))
        if insight.type in KINDS
    ]
    assert alarms == []


@pytest.mark.slow
def test_many_tables_of_noise_give_hardly_any_finding_of_statistics() -> None:
    alarms = sum(
        any(one.type in KINDS for one in said_of(gappy_noise(rows, seed)))
        for rows in (120, 400, 3000)
        for seed in range(40)
    )
    assert alarms <= 2


def test_two_categories_that_go_together_are_told_with_effect_interval_and_p(rng: np.random.Generator) -> None:
    region = rng.choice(["north", "south", "east"], N)
    plan = np.where(rng.random(N) < 0.7, region, rng.choice(["north", "south", "east"], N))
    (found,) = of_kind(said_of(as_table(region=region, plan=plan, x=rng.normal(size=N))), "association")
    assert set(found.columns_affected) == {"region", "plan"}
    assert found.effect_measure == "cramers_v"
    assert found.interval is not None
    assert found.interval[0] <= found.effect_size <= found.interval[1]
    assert found.p_value < 1e-10
    assert 0 < found.confidence <= 1
    assert "threshold" in found.evidence


def test_groups_that_differ_are_told_once_a_number(rng: np.random.Generator) -> None:
    group = rng.choice(["a", "b", "c"], N)
    y = rng.normal(size=N) + np.select([group == "a", group == "b"], [0.0, 1.5], 3.0)
    copy = np.where(group == "a", "x", "z")
    found = of_kind(said_of(as_table(group=group, copy=copy, y=y)), "group_difference")
    assert [one.columns_affected for one in found] == [("y", "group")]
    assert "“c”" in found[0].description


def test_numbers_that_only_name_things_do_not_differ_between_groups(rng: np.random.Generator) -> None:
    shop = rng.integers(0, 3, N)
    numbers = 1000 * shop + rng.integers(0, 900, N)
    table = {"shop": np.array(["a", "b", "c"])[shop], "article code": numbers, "number of items": numbers[::-1]}
    same = {"shop": table["shop"], "number of items": numbers}
    assert not of_kind(said_of(as_table(**table)), "group_difference")
    assert [one.columns_affected for one in of_kind(said_of(as_table(**same)), "group_difference")] == [
        ("number of items", "shop")
    ]


def test_one_wild_value_makes_no_group_different(rng: np.random.Generator) -> None:
    group, y = rng.choice(["a", "b"], 300), rng.normal(size=300)
    y[np.flatnonzero(group == "a")[0]] = 1e6
    assert not of_kind(said_of(as_table(group=group, y=y)), "group_difference")


def test_curves_are_told_where_a_line_misses_them_and_lines_are_not_told_twice(rng: np.random.Generator) -> None:
    x = rng.uniform(-3, 3, N)
    parabola = x * x + rng.normal(size=N) / 3
    steep = np.exp(3 * x) * np.exp(rng.normal(size=N) / 4)
    line = x + rng.normal(size=N) / 3
    insights = said_of(as_table(x=x, parabola=parabola, steep=steep, line=line))
    pairs = {frozenset(one.columns_affected) for one in of_kind(insights, "curved_relation")}
    assert frozenset({"x", "parabola"}) in pairs
    assert frozenset({"x", "steep"}) in pairs
    assert frozenset({"x", "line"}) not in pairs


def test_a_correlation_that_a_third_column_explains_is_told(rng: np.random.Generator) -> None:
    heat = rng.normal(size=N)
    ice, drowned = heat + rng.normal(size=N) * 0.8, heat + rng.normal(size=N) * 0.8
    found = of_kind(said_of(as_table(heat=heat, ice=ice, drowned=drowned)), "explained_correlation")
    assert [set(one.columns_affected) for one in found] == [{"ice", "drowned"}]
    assert "consistent with" in found[0].impact


def test_gaps_that_follow_another_column_are_told_and_never_called_not_at_random(rng: np.random.Generator) -> None:
    age = rng.integers(18, 90, N)
    income = [None if gone else value for value, gone in zip(rng.normal(size=N), rng.random(N) < (age > 60) * 0.6)]
    insights = said_of(as_table(age=age, income=income, other=rng.normal(size=N)))
    (found,) = of_kind(insights, "missing_depends")
    assert found.columns_affected == ("income", "age")
    text = found.title + found.description + found.impact
    assert "consistent with" in text
    assert "MNAR" not in text
    assert "not at random" not in text


def test_what_is_told_of_the_target_is_not_told_again(rng: np.random.Generator) -> None:
    group = rng.choice(["a", "b"], N)
    y = rng.normal(size=N) + 2 * (group == "a")
    insights = said_of(as_table(group=group, y=y), target="y")
    assert of_kind(insights, "target_driver")
    assert not of_kind(insights, "group_difference")


def test_statistics_are_plain_json_and_read_back_the_same(rng: np.random.Generator) -> None:
    group = rng.choice(["a", "b"], 300)
    table = as_table(group=group, y=rng.normal(size=300), z=[None, 1.0, 2.0] * 100)
    statistics = StatisticsEngine().analyze_dataset(table).statistics
    again = type(statistics).model_validate(json.loads(statistics.model_dump_json()))
    assert again == statistics
