"""What findings claim is so, is told once, and is said in whole sentences."""

import re
from datetime import datetime, timedelta

import numpy as np
import pytest

from raypipe.insights.facts import Facts, chance_repeats, names_things, repeats_matter
from raypipe.insights.findings import distributions
from raypipe.insights.generator import InsightGenerator, gather
from raypipe.insights.merging import kinds_of, merged
from raypipe.insights.overview import Overview
from raypipe.insights.quality import quality_score
from raypipe.insights.report import write_report
from raypipe.insights.statistics.engine import StatisticsEngine
from raypipe.results import Insight
from tests.insights.tables import alone, as_table, findings, profile_of
from tests.insights.test_wording import related_findings, several_findings

N = 1_000


def rng(seed: int = 5) -> np.random.Generator:
    return np.random.default_rng(seed)


def of_kind(insights: object, kind: str) -> list[Insight]:
    return [one for one in insights if one.type == kind]


def with_statistics(**columns: object) -> list[Insight]:
    found = StatisticsEngine().analyze_dataset(as_table(**columns))
    return gather(Facts(found.profile, statistics=found.statistics))


def test_the_last_values_of_a_long_tail_are_not_told_to_stand_apart():
    for seed in range(5):
        tails = {f"x{i}": rng(10 * seed + i).lognormal(0, 1, 3 * N) for i in range(8)}
        assert not of_kind(with_statistics(**tails), "extreme_value")
    told = of_kind(with_statistics(x=[*rng().lognormal(0, 1, N), 4_000.0]), "extreme_value")
    assert len(told) == 1
    assert told[0].evidence["values_apart"] == 1
    coded = of_kind(with_statistics(x=[*rng().normal(50, 5, 5 * N), *[-999.0] * 8]), "extreme_value")
    assert coded[0].evidence["coded"]


def test_how_many_values_lie_beyond_a_gap_is_counted():
    assert distributions._apart([90.0, 89.0, 20.0, 19.0, 18.8]) == 2
    assert distributions._apart([90.0, 80.0, 70.0, 60.0, 40.0]) == 0
    assert distributions._apart([9.0]) == 1


@pytest.mark.parametrize(
    ("name", "naming"),
    [
        ("flight", True), ("flights", False), ("Store", True), ("l_partkey", True), ("customerid", True),
        ("zip", True), ("room number", True), ("number of rooms", False), ("order total", False), ("paid", False),
        ("price", False), ("units", False),
    ],
)  # fmt: skip
def test_numbers_called_by_a_thing_name_it_and_are_no_quantities(name, naming):
    (column,) = profile_of(as_table(**{name: rng().integers(1, 500, N)})).columns
    assert names_things(column) is naming


def test_nothing_is_told_of_the_size_of_numbers_that_name_things():
    made = rng()
    kind = made.choice(["a", "b"], N)
    number = np.where(kind == "a", 10, 4_000) + made.integers(0, 90, N)
    at = [datetime(2024, 1, 1) + timedelta(hours=i) for i in range(N)]
    told = findings(as_table(at=at, kind=kind, flight=number, delay=made.normal(size=N)), None, "at")
    assert not [one for one in told if "flight" in one.columns_affected and one.type != "coded_category"]


def test_an_id_that_grows_with_time_is_told_to_explain_nothing():
    grown = np.arange(N) / 300 + rng().normal(size=N)
    told = alone(as_table(order_id=range(N), x=rng(2).normal(size=N), target=grown), "target")
    assert not [one for one in told if one.type == "target_driver"]


def test_a_category_with_many_values_is_told_to_be_compared_by_its_most_frequent_ones():
    made = rng()
    where = made.integers(0, 60, 4 * N)
    size = where + made.normal(size=4 * N)
    told = of_kind(with_statistics(where=[f"w{one}" for one in where], size=size), "group_difference")
    assert re.match(r"The \d+ most frequent values of “where”, the others taken as one, explain", told[0].description)
    assert "(other)" not in told[0].description
    few = of_kind(
        with_statistics(where=[f"w{one % 4}" for one in where], size=where % 4 + made.normal(size=4 * N)),
        "group_difference",
    )
    assert few[0].description.startswith("The 4 values of “where” explain")


def test_columns_that_hang_together_are_not_told_to_follow_each_other_again():
    x = rng().normal(size=N)
    bent = np.exp(2.2 * x)
    told = with_statistics(x=x, twin=x + 0.1 * rng(6).normal(size=N), bent=bent)
    groups = [set(one.columns_affected) for one in told if one.type in ("redundant_group", "strong_correlation")]
    for one in of_kind(told, "curved_relation"):
        assert not any(set(one.columns_affected) <= group for group in groups)


def test_all_that_says_how_much_two_columns_share_is_one_finding():
    told = merged(related_findings())
    pairs = [frozenset(one.columns_affected) for one in told if one.type in ("association", "frequent_pattern")]
    assert len(pairs) == len(set(pairs))
    tied = next(one for one in told if one.type == "same_information")
    assert "association" in kinds_of(tied)
    assert {"kind", "code of kind"} not in pairs
    both = next(one for one in told if one.type == "association")
    assert "times as often as by chance" in both.description
    gone = [one for one in told if one.columns_affected[0] == "gone" and "missing" in one.type]
    assert len(gone) == 1
    assert set(kinds_of(gone[0])) == {"missing_values", "missing_depends"}


def test_a_burst_is_told_as_an_unusual_time_and_not_as_two_shifts_of_the_level():
    made = rng()
    values = made.normal(20, 1, 900)
    values[500:503] += 30
    at = [datetime(2024, 1, 1) + timedelta(days=i) for i in range(900)]
    told = alone(as_table(at=at, heat=values), None, "at")
    assert of_kind(told, "unusual_period")
    assert not of_kind(told, "change_point")


def test_steps_of_any_length_are_told_in_whole_words():
    made = rng()
    for step in (timedelta(minutes=15), timedelta(seconds=30), timedelta(days=1)):
        at = [datetime(2024, 1, 1) + i * step for i in range(700)]
        values = made.normal(20, 1, 700) + np.arange(700) / 100
        values[300:302] += 30
        told = alone(as_table(at=at, heat=values), "heat", "at")
        assert of_kind(told, "trend")
        assert not [one for one in told if re.search(r"minutess|secondss|\bone \d", f"{one.title} {one.description}")]


def test_rows_that_chance_makes_equal_are_no_fault():
    one = profile_of(as_table(price=rng().integers(1, 2_000, N)))
    assert one.duplicates.rows > 100
    assert not repeats_matter(one)
    assert one.duplicates.rows / 2 < chance_repeats(one) < 2 * one.duplicates.rows
    assert quality_score(one).score == 100
    assert "no more than chance makes of such values" in write_report(Overview(one))
    table = as_table(a=rng(1).normal(size=N).tolist() + [1.5] * 60, b=rng(2).normal(size=N).tolist() + [2.5] * 60)
    assert repeats_matter(profile_of(table))


def test_parts_of_a_date_are_no_codes_and_one_known_value_is_no_constant():
    table = as_table(month=rng().integers(1, 13, N), grade=rng(1).integers(1, 6, N), due=["x", *[None] * (N - 1)])
    told = alone(table)
    assert [one.columns_affected for one in of_kind(told, "coded_category")] == [("grade",)]
    assert not of_kind(told, "constant_column")
    assert "single value" not in " ".join(part.reason for part in quality_score(profile_of(table)).deductions)


def test_groups_that_differ_in_their_bounds_alone_are_told_once():
    made = rng()
    x, u = made.normal(size=4 * N), made.normal(size=4 * N)
    target = 4 * ((x > 0) & (u > 0)) * x * u + made.normal(size=4 * N)
    told = of_kind(alone(as_table(x=x, u=u, target=target), "target"), "segment")
    sides = [tuple(sorted(re.sub(r"[-\d.,]+$", "", one) for one in two.evidence["conditions"])) for two in told]
    assert len(sides) == len(set(sides))


def test_a_pair_of_near_copies_keeps_the_column_that_is_known_in_time():
    made = rng()
    far = made.normal(size=4 * N)
    late = far + 0.01 * made.normal(size=4 * N)
    target = made.normal(size=4 * N)
    gone = made.random(4 * N) < 0.2
    late[gone] = np.nan
    target[gone] = np.nan
    table = as_table(far=far, late=[None if g else v for g, v in zip(gone, late, strict=True)],
                     target=[None if g else v for g, v in zip(gone, target, strict=True)])  # fmt: skip
    told = findings(table, "target")
    pair = of_kind(told, "strong_correlation")[0]
    assert pair.recommendation.startswith("Keep “far” in a model")
    leak = of_kind(told, "leakage")[0]
    assert "and empty where it is not" in leak.description
    assert leak.p_value is None


def test_texts_are_whole_sentences_with_verbs_and_nouns_that_fit_their_numbers():
    for one in several_findings():
        texts = (one.title, one.description, one.impact, one.recommendation)
        for text in texts:
            assert text[0].isupper() or not text[0].isalpha(), (one.type, text)
            assert not re.search(r"(?<![\d.,])1 (rows|values|columns|gaps|times|days|periods)\b", text), text
            assert "`" not in text, text
        for text in texts[1:]:
            assert text.endswith((".", "?")), (one.type, text)
            assert not re.search(r"\b(causes|caused by|leads to|because of|drives)\b", text), text


def test_the_line_of_evidence_repeats_no_figure_of_the_text():
    table = as_table(x=rng().exponential(size=N))
    profile = profile_of(table)
    report = write_report(Overview(profile, insights=InsightGenerator().generate(profile)))
    line = next(line for line in report.splitlines() if line.startswith("*Evidence:*"))
    assert "threshold" in line
    assert "rows 1,000" not in line or "1,000" not in report.split("*Evidence:*")[0].split("### ")[1]
    assert "[" not in line
