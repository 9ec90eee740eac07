"""Keys that are given twice, and numbers that count rather than name."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.insights.tables import as_table, findings

N = 1_000
RNG = np.random.default_rng(7)


def types(table) -> list[tuple[str, tuple[str, ...]]]:
    return [(insight.type, insight.columns_affected) for insight in findings(table)]


def repeated(values: np.ndarray, times: int) -> np.ndarray:
    values = values.copy()
    values[:times] = values[times : 2 * times]
    return values


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 100))
def test_a_key_with_a_few_repeats_is_told_with_their_number(times):
    table = as_table(order_id=repeated(np.arange(N), times), x=np.arange(N) / 7)
    (insight,) = [one for one in findings(table) if one.type == "duplicate_keys"]
    assert insight.columns_affected == ("order_id",)
    assert insight.evidence["repeats"] == times
    assert insight.effect_size == times / N


@pytest.mark.parametrize(
    "column",
    [
        pytest.param({"order_id": np.arange(N)}, id="all are different"),
        pytest.param({"customer_id": RNG.integers(0, 300, N)}, id="it refers to something"),
        pytest.param({"amount": RNG.integers(0, 20_000, N)}, id="it measures something"),
        pytest.param({"name": np.array([f"{'x' * (i % 9)}{i % 960}" for i in range(N)])}, id="it is a text"),
        pytest.param({"order_id": repeated(np.arange(60), 1)}, id="too few rows"),
    ],
)
def test_what_is_no_broken_key_is_not_told(column):
    rows = len(next(iter(column.values())))
    table = as_table(**column, x=np.arange(rows) % 7)
    assert not [one for one in types(table) if one[0] == "duplicate_keys"]


def test_codes_of_one_length_are_a_key_too():
    codes = np.array([f"AB-{i:05d}" for i in repeated(np.arange(N), 5)])
    assert ("duplicate_keys", ("code",)) in types(as_table(code=codes, x=np.arange(N) % 7))


def test_repeats_of_whole_rows_are_told_as_such_alone():
    keys = repeated(np.arange(N), 30)
    told = types(as_table(order_id=keys, x=keys % 7))
    assert "duplicate_keys" not in [kind for kind, _ in told]


@pytest.mark.parametrize("seed", range(20))
def test_counts_are_no_codes(seed):
    rng = np.random.default_rng(seed)
    table = as_table(items=rng.poisson(6, 2_000), tries=rng.binomial(15, 0.4, 2_000), waits=rng.geometric(0.4, 2_000))
    assert [one for one in types(table) if one[0] == "coded_category"] == []
    few = as_table(items=rng.poisson(6, 400), claims=rng.poisson(0.3, 400))
    assert [one for one in types(few) if one[0] == "coded_category"] == []


@pytest.mark.parametrize(
    "values", [(4, 6, 8), (1, 2, 3, 4, 5), tuple(range(1, 13)), (100, 200, 300, 400, 500, 600, 700)]
)
def test_codes_are_still_told(values):
    assert ("coded_category", ("kind",)) in types(as_table(kind=RNG.choice(values, N)))
