"""What changed between schemas and for whom it breaks; schemas merged; types in order."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raypipe.etl.rules import ColumnSchema, DataSchema
from raypipe.etl.rules.dtypes import DTYPES
from raypipe.etl.schemas import diff_schemas, evolve_schemas
from raypipe.etl.schemas.lattice import holds, join
from tests.etl.schemas.strategies import VALUES, columns, schemas
from tests.etl.schemas.test_conversions import KNOWN, keeps
from tests.laws import examples

dtypes = st.sampled_from((*DTYPES, None))
two = st.tuples(schemas(names=("a", "b", "c")), schemas(names=("a", "b", "c")))
some = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@given(dtypes, dtypes, dtypes)
def test_types_are_in_order_and_the_join_is_a_bound_of_both(a, b, c):
    assert join(a, b) == join(b, a)
    assert join(a, a) == a
    assert holds(join(a, b), a)
    assert holds(join(a, b), b)
    assert not (holds(a, b) and holds(b, c)) or holds(a, c)
    if holds(c, a) and holds(c, b) and join(a, b) != c:
        assert not holds(join(a, b), c) or holds(c, join(a, b)), "there is a narrower type that holds both"


def test_the_order_of_joins_does_not_matter():
    for a, b, c in itertools.product((*DTYPES, None), repeat=3):
        assert join(join(a, b), c) == join(a, join(b, c)), (a, b, c)


@some
@given(schemas())
def test_a_schema_does_not_differ_from_itself(schema):
    assert diff_schemas(schema, schema).changes == ()
    assert evolve_schemas(schema, schema).merged == schema
    assert evolve_schemas(schema, schema).reasons == ()


@some
@given(two)
def test_what_breaks_readers_one_way_breaks_writers_the_other_way(pair):
    a, b = pair
    assert diff_schemas(a, b).breaks_readers == diff_schemas(b, a).breaks_writers


@some
@given(two)
def test_the_merged_schema_breaks_the_writers_of_neither(pair):
    a, b = pair
    merged = evolve_schemas(a, b).merged
    assert not diff_schemas(a, merged).breaks_writers
    assert not diff_schemas(b, merged).breaks_writers
    other = evolve_schemas(b, a).merged
    assert not diff_schemas(merged, other).breaks_writers or merged.primary_key == other.primary_key


@st.composite
def columns_and_values(draw):
    dtype = draw(st.sampled_from(KNOWN))
    a, b = (draw(columns(st.just("n"), (dtype,))) for _ in range(2))
    return a, b, draw(st.sampled_from((None, *VALUES[dtype])))


@settings(max_examples=examples(60), deadline=None)
@given(columns_and_values())
def test_a_change_that_breaks_no_writer_takes_every_value_that_was_taken(case):
    a, b, value = case
    old, new = (DataSchema(name="t", columns=(column,)) for column in (a, b))
    if keeps(a, value) and not diff_schemas(old, new).breaks_writers:
        assert keeps(b, value)
    if keeps(a, value) or keeps(b, value):
        assert keeps(evolve_schemas(old, new).merged.columns[0], value)


def changed(**fields):
    column = ColumnSchema(name="n", dtype="int32")
    old, new = (DataSchema(name="t", columns=(one,)) for one in (column, column.replace(**fields)))
    (change,) = diff_schemas(old, new).changes
    return change


@pytest.mark.parametrize(
    ("fields", "kind", "readers", "writers", "reason"),
    [
        ({"dtype": "int64"}, "retyped", True, False, "was int32, is int64: wider"),
        ({"dtype": "int8"}, "retyped", False, True, "narrower"),
        ({"dtype": "text"}, "retyped", True, True, "neither holds the other"),
        ({"nullable": False}, "nullability", False, True, "no longer may be null"),
        ({"required": False}, "required", True, False, "now may be absent"),
        ({"unique": True}, "unique", False, True, "no longer may repeat values"),
        ({"min_value": 1}, "range", False, True, "min_value was None, is 1"),
        ({"allowed_values": (1, 2)}, "values", False, True, "takes fewer values"),
        ({"semantic": "currency"}, "semantic", False, False, "is currency"),
        ({"unit": "kg"}, "unit", False, False, "is kg"),
        ({"pii": ("email",)}, "pii", False, False, "is 'email'"),
    ],
)
def test_each_change_is_told_with_whom_it_breaks(fields, kind, readers, writers, reason):
    change = changed(**fields)
    assert (change.kind, change.breaks_readers, change.breaks_writers) == (kind, readers, writers)
    assert change.column == "n"
    assert reason in change.reason


def test_columns_that_come_and_go_are_told():
    a = DataSchema(name="t", columns=(ColumnSchema(name="a"), ColumnSchema(name="b", required=False)))
    b = DataSchema(name="t", columns=(ColumnSchema(name="a"), ColumnSchema(name="c")), primary_key=("a", "c"))
    found = {(change.kind, change.column): change for change in diff_schemas(a, b).changes}
    assert not found["removed", "b"].breaking
    assert found["added", "c"].breaks_writers
    assert found["key", None].breaks_writers
    assert found["nullability", "a"].reason == "'a': no longer may be null"


def test_a_change_of_unit_breaks_both():
    a, b = (DataSchema(name="t", columns=(ColumnSchema(name="w", dtype="number", unit=u),)) for u in ("kg", "lb"))
    (change,) = diff_schemas(a, b).changes
    assert change.breaks_readers
    assert change.breaks_writers
    assert "the same numbers mean something else" in change.reason


def test_a_longer_key_is_kept_only_where_the_other_schema_fills_it():
    a = DataSchema(name="t", columns=(ColumnSchema(name="a"), ColumnSchema(name="c")), primary_key=("a", "c"))
    b = a.replace(primary_key=("a",))
    filled = b.replace(columns=(b.columns[0], ColumnSchema(name="c", nullable=False)))
    assert evolve_schemas(a, b).merged.primary_key == ()
    assert evolve_schemas(a, filled).merged.primary_key == ("a", "c")


def test_a_merge_says_what_it_widened_and_what_it_gave_up():
    a = DataSchema(
        name="t",
        columns=(
            ColumnSchema(name="n", dtype="int32", nullable=False, min_value=1, unit="kg"),
            ColumnSchema(name="x", dtype="text", regex_pattern="a+"),
            ColumnSchema(name="d", dtype="date"),
        ),
        primary_key=("n",),
    )
    b = DataSchema(
        name="t",
        columns=(
            ColumnSchema(name="n", dtype="float64", min_value=0.5, max_value=9, unit="lb"),
            ColumnSchema(name="x", dtype="text", regex_pattern="b+"),
            ColumnSchema(name="d", dtype="int64"),
            ColumnSchema(name="new"),
        ),
    )
    made = evolve_schemas(a, b)
    n, x, d, new = made.merged.columns
    assert (n.dtype, n.nullable, n.min_value, n.max_value, n.unit) == ("float64", True, 0.5, None, None)
    assert keeps(x, "aa")
    assert keeps(x, "b")
    assert not keeps(x, "ab")
    assert (d.dtype, new.required, made.merged.primary_key) == (None, False, ())
    told = "\n".join(made.reasons)
    for words in (
        "'n': float64 holds both int32 and float64",
        "max_value is given up",
        "unit is open: kg in one, lb in the other",
        "any type will do, as no dtype holds date and int64",
        "'new': may be absent",
        "primary key",
    ):
        assert words in told, words
