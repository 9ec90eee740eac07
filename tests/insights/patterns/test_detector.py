"""`PatternDetector`: planted patterns are found, noise has none, and the order of rows and columns is nothing."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.blocks.frames import from_polars
from raypipe.config.insights.patterns import PatternsConfig
from raypipe.errors import ConfigError
from raypipe.insights.patterns.detector import PatternDetector
from raypipe.insights.patterns.models import PatternsReport


def detect(table: pa.Table, **settings_: Any) -> PatternsReport:
    return PatternDetector(PatternsConfig(**settings_)).detect(table)


def planted(seed: int = 0, rows: int = 800) -> pl.DataFrame:
    """Three clusters in two columns, a burst of odd rows, a dependency with one exception, a pair of values."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 3, rows)
    city = rng.choice(list("abcdef"), rows)
    load = rng.normal(size=rows)
    speed = 3 * load + rng.normal(size=rows) * 0.3
    load[:8], speed[:8] = 2.5, -7 + rng.normal(size=8) * 0.3
    country = np.array([{"a": "X", "b": "X", "c": "Y", "d": "Y", "e": "Z", "f": "Z"}[one] for one in city])
    country[100] = {"X": "Y", "Y": "X", "Z": "X"}[country[100]]
    plan = np.where(rng.random(rows) < 0.8, np.array(["free", "pro", "team"])[kind], rng.choice(["free", "pro"], rows))
    return pl.DataFrame(
        {
            "key": [f"row-{i}" for i in range(rows)],
            "height": np.array([0.0, 7.0, 14.0])[kind] + rng.normal(size=rows),
            "width": np.array([0.0, 7.0, 0.0])[kind] + rng.normal(size=rows),
            "load": load,
            "speed": speed,
            "city": city,
            "country": country,
            "plan": plan,
            "size": np.array(["s", "m", "l"])[kind],
        }
    )


def clean(kind: str, seed: int, rows: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    p = 6
    x = {
        "correlated": lambda: rng.normal(size=(rows, p)) @ rng.normal(size=(p, p)),
        "heavy": lambda: rng.standard_t(2, size=(rows, p)),
        "elliptical": lambda: rng.normal(size=(rows, p)) / np.sqrt(rng.chisquare(2, size=(rows, 1)) / 2),
        "skewed": lambda: np.exp(rng.normal(size=(rows, p))),
        "whole": lambda: rng.poisson(9, size=(rows, p)).astype(float),
        "two modes apart": lambda: rng.normal(size=(rows, p)) + 6 * (rng.random((rows, p)) < 0.5),
    }[kind]()
    frame = {f"x{i}": x[:, i] for i in range(p)}
    frame |= {f"c{i}": rng.choice(list("abcdefgh")[: 2 + 2 * i], rows) for i in range(3)}
    return from_polars(pl.DataFrame(frame))


KINDS = ["correlated", "heavy", "elliptical", "skewed", "whole", "two modes apart"]


def is_empty(report: PatternsReport) -> bool:
    return not (report.clusters.k or report.anomalies.count or report.rules or report.dependencies)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [100, 700])
def test_noise_has_no_patterns(kind, rows):
    assert all(is_empty(detect(clean(kind, seed, rows))) for seed in range(4))


@pytest.fixture(scope="module")
def found() -> PatternsReport:
    return detect(from_polars(planted()))


def test_planted_clusters_are_found_with_what_sets_them_apart(found):
    clusters = found.clusters
    assert (clusters.k, clusters.columns) == (3, ("height", "width"))
    assert clusters.p_value < 1e-6
    assert clusters.stability > 0.95
    assert clusters.silhouette > 0.6
    assert sum(one.rows for one in clusters.clusters) == found.rows_used == 800
    assert max(clusters.prediction_strength, key=clusters.prediction_strength.get) == 3
    told = {contrast.column for one in clusters.clusters for contrast in one.contrasts}
    assert {"height", "width", "plan", "size"} <= told
    assert not told & {"city", "load", "speed"}
    assert found.density.groups == 3
    assert found.density.agreement > 0.95


def test_a_burst_is_found_with_its_rows_and_the_columns_that_make_it_odd(found):
    odd = found.anomalies
    assert odd.count == 8
    assert {row.key for row in odd.odd} == {f"row-{i}" for i in range(8)}
    assert set(list(odd.columns)[:2]) == {"load", "speed"}
    assert odd.interval[0] < 0.01 < odd.interval[1]
    assert odd.p_value < 0.001
    assert all(row.distance >= 1 for row in odd.odd)


def test_a_dependency_is_found_with_its_exception(found):
    single = {(one.determinant, one.dependent): one for one in found.dependencies}
    one = single[("city",), "country"]
    assert one.g3 == pytest.approx(1 / 800)
    assert len(one.exceptions) == 1
    assert not one.both_ways
    assert (("country",), "city") not in single


def test_values_that_go_together_are_found_with_lift_and_confidence(found):
    assert {tuple(sorted(column for column, _ in rule.items)) for rule in found.rules} == {("plan", "size")}
    best = found.rules[0]
    assert best.lift > 1.5
    assert best.p_value < 1e-20
    assert best.support == best.rows / 800


def test_a_third_value_is_told_where_it_says_more_than_its_pairs():
    rng = np.random.default_rng(3)
    a, b = rng.random(2000) < 0.5, rng.random(2000) < 0.5
    b = np.where(rng.random(2000) < 0.4, a, b)
    c = (a & b) | (rng.random(2000) < 0.05)
    frame = pl.DataFrame({name: np.where(value, "yes", "no") for name, value in (("a", a), ("b", b), ("c", c))})
    triples = [rule for rule in detect(from_polars(frame)).rules if len(rule.items) == 3]
    assert any({column for column, _ in rule.items} == {"a", "b", "c"} for rule in triples)


def test_a_dependency_on_two_columns_is_told_where_neither_is_enough():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 3, 600), rng.integers(0, 3, 600)
    frame = pl.DataFrame({"a": a, "b": b, "c": (a + b) % 3}).with_columns(pl.all().cast(pl.String))
    dependencies = detect(from_polars(frame)).dependencies
    assert (("a", "b"), "c", 0.0) in {(one.determinant, one.dependent, one.g3) for one in dependencies}


def test_the_map_shows_most_of_the_spread_within_its_bound():
    report = detect(from_polars(planted()), max_points=200)
    plane = report.map
    assert len(plane.x) == len(plane.y) == len(plane.cluster) == 200
    assert len(plane.odd) == 8
    assert plane.components[0].explained >= plane.components[1].explained > 0
    decomposition = pytest.importorskip("sklearn.decomposition")
    from raypipe.insights.patterns.matrix import prepare, standard

    scaled = standard(np.arcsinh(prepare(from_polars(planted()), PatternsConfig()).scaled))
    expected = decomposition.PCA(2).fit(scaled).explained_variance_ratio_
    assert [one.explained for one in plane.components] == pytest.approx(list(expected), abs=1e-9)
    assert "“" in plane.components[0].words


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 1000))
def test_the_order_of_rows_and_columns_is_nothing(seed):
    frame = planted(rows=400)
    rng = np.random.default_rng(seed)
    other = frame[rng.permutation(frame.height)].select(rng.permutation(frame.columns).tolist())
    assert detect(from_polars(other)) == detect(from_polars(frame))


@settings(max_examples=4, deadline=None)
@given(st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
def test_units_change_no_verdict(factor, shift):
    frame = planted(rows=400)
    moved = frame.with_columns(pl.col("height", "width", "load", "speed") * factor + shift)
    a, b = detect(from_polars(frame)), detect(from_polars(moved))
    assert (a.clusters.k, a.clusters.columns) == (b.clusters.k, b.clusters.columns)
    assert {row.key for row in a.anomalies.odd} == {row.key for row in b.anomalies.odd}
    assert (a.rules, a.dependencies) == (b.rules, b.dependencies)


@pytest.mark.parametrize(
    "frame",
    [
        {},
        {"a": []},
        {"a": [1.0]},
        {"a": [None] * 200, "b": [None] * 200},
        {"a": [5] * 300, "b": ["x"] * 300},
        {"a": [float("nan"), float("inf")] * 150, "b": list(range(300))},
        {"a": [1.7e308, -1.7e308, 0.0] * 100, "b": [5e-324, 0.0, 1.0] * 100},
        {"a": [True, False, None] * 100, "b": [dt.date(2024, 1, 1)] * 300, "c": [[1, 2]] * 300, "d": [{"x": 1}] * 300},
        {"a": [0, 1] * 150, "a b": ["", " "] * 150, "": [1.5, 2.5] * 150},
    ],
    ids=["no columns", "no rows", "one row", "all null", "constant", "not finite", "huge", "nested", "odd names"],
)
def test_degenerate_tables_give_reasons_and_no_patterns(frame):
    table = from_polars(pl.DataFrame(frame, strict=False))
    report = detect(table)
    assert (report.clusters.k, report.anomalies.count) == (0, 0)
    assert report.rows == table.num_rows
    told = set(report.columns) | set(report.left_out)
    assert told == set(table.column_names)
    assert report.clusters.reason
    assert PatternsReport.model_validate_json(report.model_dump_json()) == report


def test_repeated_rows_are_no_clusters_and_no_anomalies():
    rng = np.random.default_rng(0)
    rows = np.repeat(rng.normal(size=(60, 4)), 10, axis=0)
    report = detect(pa.table({f"x{i}": rows[:, i] for i in range(4)}))
    assert (report.clusters.k, report.anomalies.count) == (0, 0)


def test_two_thousand_columns_are_bounded_and_those_left_out_are_named():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2000))
    kind = rng.integers(0, 2, 300)
    x[:, 7] += 7 * kind
    x[:, 8] += 7 * kind
    report = detect(pa.table({f"x{i:04d}": x[:, i] for i in range(2000)}))
    assert len(report.columns) == 30
    assert len(report.left_out) == 1970
    assert "hang together most" in report.left_out["x1999"] + report.left_out["x0000"]
    assert (report.clusters.k, report.clusters.columns) == (2, ("x0007", "x0008"))


def test_only_a_table_can_be_looked_at():
    with pytest.raises(ConfigError, match=r"got a DataFrame, wanted a pyarrow.Table; for a Polars frame type"):
        PatternDetector().detect(pl.DataFrame({"a": [1]}))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["max_clusters", "alpha", "min_support"])
def test_a_setting_out_of_range_is_named(name):
    with pytest.raises(ValueError, match=name):
        PatternsConfig(**{name: 0})
