"""Target analysis: leaks of three kinds, baselines, segments and drift are found where planted, and not in noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raypipe.blocks.frames import from_polars
from raypipe.config.insights.target import TargetConfig
from raypipe.insights.models import TargetReport
from raypipe.insights.target.analysis import analyse_target
from raypipe.insights.target.baselines import mean_auc
from raypipe.insights.target.drift import cusum
from raypipe.insights.target.intervals import strength_interval, with_uncertainty
from raypipe.insights.target.ranks import groups_score, with_rank_scores
from raypipe.insights.target.simple import grow, logistic, predict, ridge
from tests.insights.tables import noise, relate


def look(frame: pl.DataFrame | pa.Table, target: str, time: str | None = None, **given_: Any) -> TargetReport:
    table = from_polars(frame) if isinstance(frame, pl.DataFrame) else frame
    return analyse_target(relate(table, target), table, TargetConfig(**given_), time)


def days(n: int) -> pl.Series:
    return pl.Series(np.arange(n) + 19_000).cast(pl.Date)


def base(seed: int = 0, n: int = 600) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    x, noise_ = rng.normal(size=n), rng.exponential(size=n)
    return {"x": x, "noise": noise_, "region": rng.choice(list("abcd"), n), "y": 2 * x + rng.normal(size=n)}


def hows(report: TargetReport) -> dict[tuple[str, ...], set[str]]:
    out: dict[tuple[str, ...], set[str]] = {}
    for leak in report.leaks:
        out.setdefault(leak.columns, set()).add(leak.how)
    return out


@pytest.mark.parametrize(
    ("how", "made"),
    [
        ("copy", lambda y, x: y),
        ("line", lambda y, x: -3.5 * y + 2),
        ("order", lambda y, x: np.exp(y / 3)),
        ("sum", lambda y, x: y - x),
        ("difference", lambda y, x: y + x),
        ("product", lambda y, x: y / x),
        ("ratio", lambda y, x: y * x),
    ],
)
def test_a_target_that_is_derived_from_columns_is_found_out(how, made):
    frame = base()
    frame["other"] = made(frame["y"], frame["x"])
    found = hows(look(pl.DataFrame(frame), "y"))
    assert any("other" in columns and how in told for columns, told in found.items())
    assert all("other" in columns for columns in found)


def test_a_target_that_is_a_weighted_sum_is_found_out():
    rng = np.random.default_rng(0)
    parts = rng.normal(size=(300, 3))
    frame = {f"p{i}": parts[:, i] for i in range(3)} | {"z": rng.normal(size=300), "y": parts @ [0.2, 0.3, 0.5] + 4}
    assert hows(look(pl.DataFrame(frame), "y"))[("p0", "p1", "p2")] == {"weighted_sum"}


def test_the_mean_of_the_target_by_a_category_is_found_out():
    rng = np.random.default_rng(0)
    shop = rng.integers(0, 30, 900)
    y = rng.normal(size=900) + shop
    frame = pl.DataFrame({"shop": [f"s{one}" for one in shop], "y": y})
    frame = frame.with_columns(pl.col("y").mean().over("shop").alias("shop_mean"))
    assert "target_mean" in hows(look(frame, "y"))[("shop_mean",)]


def test_classes_derived_from_a_number_or_a_code_are_found_out():
    frame = base()
    y = frame.pop("y")
    frame |= {"score": y, "grade": np.where(y > 1, "high", "low"), "code": np.where(y > 1, "H", "L")}
    found = hows(look(pl.DataFrame(frame), "grade"))
    assert "ranges" in found[("score",)]
    assert "one_to_one" in found[("code",)]
    assert set(found) == {("score",), ("code",)}


def test_what_is_known_only_later_is_found_out():
    frame = base()
    n = len(frame["y"])
    churned = np.random.default_rng(1).random(n) < 0.3
    opened = days(n)
    frame |= {
        "churn": np.where(churned, "yes", "no"),
        "opened": opened,
        "closed": opened + pl.Series(np.random.default_rng(2).integers(1, 20, n)).cast(pl.Duration("ms")) * 86_400_000,
        "why": np.where(churned, "price", None),
        "born": pl.Series(np.arange(n) % 400 + 9_000).cast(pl.Date),
    }
    found = hows(look(pl.DataFrame(frame, strict=False), "churn", "opened"))
    assert found[("closed",)] == {"after_the_row"}
    assert "filled_by_class" in found[("why",)]
    assert ("born",) not in found


def test_a_column_that_is_filled_with_the_target_is_found_out():
    frame = base()
    known = np.random.default_rng(1).random(600) < 0.7
    frame["y"] = np.where(known, frame["y"], np.nan)
    frame["checked_by"] = np.where(known, "me", None)
    report = look(pl.DataFrame(frame, strict=False).with_columns(pl.col("y").fill_nan(None)), "y")
    assert hows(report) == {("checked_by",): {"filled_with_target"}}


@pytest.mark.parametrize("target", ["y", "c3"])
@pytest.mark.parametrize("rows", [100, 600])
def test_noise_has_no_leaks_segments_drift_or_skill(target, rows):
    for seed in range(4):
        report = look(noise(rows, seed), target, "t")
        assert report.leaks == ()
        assert report.segments == ()
        assert not report.drift.drifts
        assert all(model.skill < 0.05 for model in report.baselines.models)


def test_baselines_find_what_is_there_and_leave_leaks_out():
    frame = base() | {"half": base()["y"] / 2}
    report = look(pl.DataFrame(frame), "y")
    models = {model.model: model for model in report.baselines.models}
    assert models["average"].skill == pytest.approx(0, abs=0.05)
    assert models["linear"].skill == pytest.approx(0.8, abs=0.06)
    assert 0.5 < models["small tree"].skill < models["linear"].skill
    assert models["best single column"].columns == ("x",)
    assert report.baselines.left_out["half"] == "may give the target away"
    assert len(models["linear"].skill_folds) == 5
    assert report.baselines.split == "shuffled"


def test_with_a_time_models_learn_from_the_past_alone():
    frame = base(n=900)
    late = np.arange(900) >= 450
    frame["y"] = np.where(late, -1, 1) * 2 * frame["x"] + np.random.default_rng(3).normal(size=900)
    frame["day"] = days(900)
    by_time = look(pl.DataFrame(frame), "y", "day").baselines
    assert by_time.split == "time"
    linear = next(model for model in by_time.models if model.model == "linear")
    assert min(linear.skill_folds) < -0.5, "the relation turned: a random split would hide that"


def test_a_segment_of_two_conditions_is_found_and_confirmed():
    rng = np.random.default_rng(0)
    n = 2000
    age, region = rng.uniform(18, 80, n), rng.choice(["north", "south", "east"], n)
    inside = (age > 55) & (region == "north")
    frame = {"age": age, "region": region, "junk": rng.normal(size=n), "y": rng.normal(size=n) + 2.5 * inside}
    report = look(pl.DataFrame(frame), "y")
    both = [segment for segment in report.segments if segment.adds]
    assert {"age", "region"} == set(both[0].columns)
    assert both[0].inside - both[0].outside > 1.5
    assert both[0].interval[0] < both[0].effect < both[0].interval[1]
    classes = pl.DataFrame(frame | {"y": np.where(rng.random(n) < 0.2 + 0.6 * inside, "yes", "no")})
    best = next(segment for segment in look(classes, "y").segments if segment.adds)
    assert (set(best.columns), best.label) == ({"age", "region"}, "yes")
    assert best.inside > 0.6


def test_drift_of_the_target_is_found_and_its_own_memory_is_none():
    rng = np.random.default_rng(0)
    step = np.concatenate([rng.normal(size=400), rng.normal(size=400) + 1])
    found = look(pl.DataFrame({"y": step, "day": days(800), "x": rng.normal(size=800)}), "y", "day").drift
    assert found.drifts
    assert 0.7 < found.effect < 1.7
    assert found.interval[0] > 0.4
    assert len(found.periods) == len(found.values) == 8
    share = np.where(np.arange(800) < 400, 0.2, 0.5)
    classes = pl.DataFrame({"y": np.where(rng.random(800) < share, "b", "a"), "day": days(800)})
    found = look(classes, "y", "day").drift
    assert (found.drifts, found.label) == (True, "b")
    alarms = 0
    for seed in range(40):
        shocks = np.random.default_rng(seed).normal(size=600)
        memory = np.zeros(600)
        for i in range(1, 600):
            memory[i] = 0.6 * memory[i - 1] + shocks[i]
        alarms += cusum(memory)[0] < 0.01
    assert alarms <= 2


def test_every_relation_has_an_interval_and_a_false_discovery_rate():
    report = look(pl.DataFrame(base()), "y")
    for relation in report.relations:
        assert relation.interval[0] <= relation.value <= relation.interval[1]
        assert relation.p_value <= relation.q_value <= 1
    assert report.relations[0].q_value < 1e-9
    assert report.relations[0].rank_score > 10


def test_intervals_of_strengths_cover_at_their_rate():
    from raypipe.insights.effects import variance_explained

    hits = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        groups = rng.integers(0, 5, 300)
        y = rng.normal(size=300) + 0.4 * groups
        sizes = np.bincount(groups, minlength=5).astype(float)
        value, _ = variance_explained(sizes, np.bincount(groups, y, 5), float((y * y).sum()))
        low, high = strength_interval(value**0.5, 300, 4)
        hits += low <= (0.16 * 2 / (1 + 0.16 * 2)) ** 0.5 <= high
    assert hits / 400 >= 0.94


def test_a_relation_that_a_few_extreme_values_make_does_not_hold_by_ranks():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=300), rng.normal(size=300)
    x[:3], y[:3] = 400, 500
    report = look(pl.DataFrame({"x": x, "y": y}), "y")
    assert report.relations[0].value > 0.9
    assert report.relations[0].rank_score < 3
    assert report.relations[0].q_value > 0.01
    # Ranks of some of the rows say nothing of what all rows say.
    assert with_uncertainty(report, report.rows - 1).relations[0].q_value < 1e-9


def test_rows_without_a_target_do_not_count_among_those_that_were_ranked():
    frame = pl.DataFrame({"x": np.arange(500.0), "y": [*np.arange(100.0), *[None] * 390, *[float("nan")] * 10]})
    report = look(frame, "y")
    assert report.rows == 100
    assert with_rank_scores(report, frame)[1] == 100
    assert with_rank_scores(report, frame.tail(450))[1] == 50


def test_models_are_those_of_scikit_learn():
    linear = pytest.importorskip("sklearn.linear_model")
    metrics = pytest.importorskip("sklearn.metrics")
    tree = pytest.importorskip("sklearn.tree")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 4))
    y = x @ [1.0, -2.0, 0.0, 0.5] + rng.normal(size=400)
    own = ridge(x, y[:, None]).predict(x)[:, 0]
    assert np.corrcoef(own, linear.RidgeCV(np.logspace(-1, 4, 20)).fit(x, y).predict(x))[0, 1] > 0.9999
    second = (y > 0).astype(float)
    chances = logistic(x, second).predict(x)[:, 1]
    assert np.abs(chances - linear.LogisticRegression(C=1 / 4).fit(x, second).predict_proba(x)[:, 1]).max() < 0.05
    assert mean_auc(np.stack([1 - second, second], axis=1), np.stack([1 - chances, chances], axis=1)) == pytest.approx(
        metrics.roc_auc_score(second, chances)
    )
    holds = (rng.random((400, 6)) < 0.5).astype(np.float32)
    goal = holds[:, [2]] * 2 + holds[:, [4]] + rng.normal(size=(400, 1)) * 0.1
    expected = tree.DecisionTreeRegressor(max_depth=2, min_samples_leaf=20).fit(holds, goal[:, 0]).predict(holds)
    assert np.corrcoef(predict(grow(holds, goal, depth=2), holds)[:, 0], expected)[0, 1] > 0.999


def test_the_score_of_groups_is_that_of_the_f_test():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    codes, values = rng.integers(0, 4, 200), rng.normal(size=200)
    p = stats.f_oneway(*(values[codes == i] for i in range(4))).pvalue
    assert stats.norm.sf(groups_score(codes, values)) == pytest.approx(p, rel=0.02)


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 1000))
def test_the_order_of_rows_is_nothing(seed):
    frame = pl.DataFrame(base(n=300) | {"day": days(300)})
    other = frame[np.random.default_rng(seed).permutation(300)]
    a, b = look(frame, "y", "day"), look(other, "y", "day")
    assert (a.segments, a.drift) == (b.segments, b.drift)
    assert [m.skill for m in a.baselines.models] == pytest.approx([m.skill for m in b.baselines.models])
    assert hows(a) == hows(b)


@pytest.mark.parametrize(
    ("frame", "target"),
    [
        ({"y": [1.0, 2.0], "x": [3, 4]}, "y"),
        ({"y": [None] * 300, "x": list(range(300))}, "y"),
        ({"y": [4.0] * 300, "x": list(range(300))}, "y"),
        ({"y": [float("nan"), 1.0, float("inf")] * 100, "x": [True, None, False] * 100}, "y"),
        ({"y": [1.7e308, -1.7e308, 0.5] * 100, "x": [1e308, 2.0, None] * 100, "z": [0.0, 1.0, 2.0] * 100}, "y"),
        ({"y": ["a", "b", None] * 100, "x": [[1], [2], [3]] * 100}, "y"),
        ({"y": [True, False] * 100}, "y"),
    ],
    ids=["two rows", "unknown", "constant", "not finite", "huge", "nested", "alone"],
)
def test_degenerate_targets_give_reasons(frame, target):
    report = look(pl.DataFrame(frame, strict=False), target)
    assert report.segments == ()
    assert report.not_computed or report.baselines.reason or report.baselines.models
    assert TargetReport.model_validate_json(report.model_dump_json()) == report


def test_what_is_switched_off_or_has_no_rows_says_so():
    table = noise(200, 0)
    off = analyse_target(relate(table, "y"), table, TargetConfig(enabled=False))
    assert off.not_computed["baselines"] == "switched off (analysis.target.enabled: false)"
    assert off.relations[0].interval is not None
    assert analyse_target(relate(table, "y"), None).not_computed["leaks"] == "there is no sample of rows"
