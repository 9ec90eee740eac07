"""What becomes of a column whose values disagree with its planned type."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from raypipe.etl.types import decide, gather_misfits, join_kinds


def found(count: int, values: int = 1000, **more: Any) -> dict[str, Any]:
    return {"count": count, "values": values, "as": {"text": count}, "codes": 0, "wide": 0, "example": "x"} | more


@pytest.mark.parametrize(
    ("kind", "misfits", "to"),
    [
        ("int64", found(0), None),
        ("int64", found(10), None),
        ("int64", found(11), "text"),
        ("int64", found(900, **{"as": {"float64": 900}}), "float64"),
        ("int64", found(9, **{"as": {"float64": 4, "text": 5}}), "float64"),
        ("int64", found(90, **{"as": {"float64": 4, "text": 86}}), "text"),
        ("int64", found(1, **{"as": {"float64": 1}, "wide": 3}), "text"),
        ("int64", found(1, codes=1), "text"),
        ("date", found(1, **{"as": {"datetime": 1}}), "datetime"),
        ("date", found(50, **{"as": {"int64": 50}}), "text"),
        ("boolean", found(11), "text"),
        ("datetime", found(5), None),
    ],
)
def test_a_type_is_widened_kept_or_given_up(kind: str, misfits: dict[str, Any], to: str | None) -> None:
    promotion = decide("c", kind, misfits, 0.01)

    assert (promotion.to_type if promotion else None) == to
    if promotion:
        assert f"column 'c' is read as {to}, not {kind}: " in promotion.reason


def test_totals_do_not_depend_on_how_parts_are_cut() -> None:
    one = {"values": {"c": 10}, "misfits": {"c": found(2, 10, **{"as": {"text": 1, "float64": 1}})}}
    two: dict[str, Any] = {"values": {"c": 5}, "wide": {"c": 1}}
    three = {"values": {"c": 7}, "misfits": {"c": found(1, 7, example="y")}}

    total = gather_misfits([one, two, three])["c"]

    assert (total["count"], total["values"], total["wide"], total["example"]) == (3, 22, 1, "x")
    assert total["as"] == {"text": 2, "float64": 1}
    for order in itertools.permutations([one, two, three]):
        again = gather_misfits(order)["c"]
        assert {**again, "example": "x"} == {**total, "example": "x"}


@pytest.mark.parametrize(
    ("kinds", "joined"),
    [
        (["int64"], "int64"),
        (["float64", "int64"], "float64"),
        (["date", "datetime"], "datetime"),
        (["date", "int64"], "text"),
        (["datetime", "datetime_utc"], "text"),
    ],
)
def test_kinds_of_several_files_join_at_the_narrowest(kinds: list[str], joined: str) -> None:
    assert join_kinds(kinds) == joined
