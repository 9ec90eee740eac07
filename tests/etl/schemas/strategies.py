"""Schemas of every kind, and rows to try on them."""

from __future__ import annotations

import datetime as dt

from hypothesis import strategies as st

from raypipe.etl.rules import ColumnSchema, DataSchema
from raypipe.etl.rules.dtypes import DTYPES, INTEGERS
from tests.hostile import NAMES

PATTERNS = ("[a-c]+", r"\d{2}", "x|y", ".*")
WORDS = ("", "a", "abc", "12", "x", "y", "A b")


@st.composite
def columns(draw: st.DrawFn, names: st.SearchStrategy[str], dtypes: tuple[str | None, ...]) -> ColumnSchema:
    dtype = draw(st.sampled_from(dtypes))
    fields = {
        "name": draw(names),
        "dtype": dtype,
        "required": draw(st.booleans()),
        "nullable": draw(st.booleans()),
        "unique": draw(st.booleans()),
        "semantic": draw(st.sampled_from((None, "email", "currency"))),
        "unit": draw(st.sampled_from((None, "kg", "EUR"))),
        "pii": draw(st.sampled_from(((), ("email",), ("email", "phone")))),
        "description": draw(st.sampled_from(("", "what it is", 'say "hi"\nthere'))),
    }
    fields |= draw(limits(dtype))
    return ColumnSchema(**fields)


@st.composite
def limits(draw: st.DrawFn, dtype: str | None) -> dict[str, object]:
    if dtype in (*INTEGERS, "integer"):
        low, high = sorted(draw(st.tuples(st.integers(0, 50), st.integers(0, 120))))
        bounds = {"min_value": low, "max_value": high}
        values: tuple[object, ...] = (1, 2, 50)
    elif dtype in ("float32", "float64", "number", "decimal"):
        bounds, values = {"min_value": draw(st.sampled_from((0, 0.5, -3))), "max_value": 7.5}, (0.5, 1)
    elif dtype in ("date", "datetime"):
        bounds, values = {"min_value": "2024-01-31", "max_value": "2025-12-31"}, ("2024-05-01", "2024-06-01")
    elif dtype in ("text", "category"):
        bounds, values = {"regex_pattern": draw(st.sampled_from(PATTERNS))}, ("a", "abc", "12")
    elif dtype == "boolean":
        bounds, values = {}, (True,)
    else:
        return {}
    kept = draw(st.sets(st.sampled_from(sorted(bounds)))) if bounds else set()
    found: dict[str, object] = {name: bounds[name] for name in kept}
    if draw(st.booleans()) and draw(st.booleans()):
        found["allowed_values"] = values
    return found


@st.composite
def schemas(
    draw: st.DrawFn,
    dtypes: tuple[str | None, ...] = (*DTYPES, None),
    names: tuple[str, ...] = (*NAMES, "id", "class", "n"),
) -> DataSchema:
    taken = draw(st.lists(st.sampled_from(names), min_size=1, max_size=4, unique=True))
    found = tuple(draw(columns(st.just(name), dtypes)) for name in taken)
    key = draw(st.sampled_from(((), (taken[0],), tuple(taken[:2]))))
    return DataSchema(
        name=draw(st.sampled_from(("orders", "my table", "t/1"))),
        version=draw(st.sampled_from(("1.0.0", "2.3.4"))),
        description=draw(st.sampled_from(("", "All of them."))),
        columns=found,
        primary_key=key,
        indexes=draw(st.sampled_from((None, ["id"]))),
    )


VALUES: dict[str, tuple[object, ...]] = {
    **dict.fromkeys((*INTEGERS, "integer"), (0, 1, 2, 50, 120, 127, 200)),
    **dict.fromkeys(("float32", "float64", "number"), (0.5, 1.0, 7.5, 7.75, -3.0, -4.0)),
    **dict.fromkeys(("text", "category"), WORDS),
    "boolean": (True, False),
    "date": (dt.date(2024, 1, 30), dt.date(2024, 1, 31), dt.date(2024, 5, 1), dt.date(2026, 1, 1)),
}
"""dtype -> values on both sides of the limits above."""
