"""The join as of a time is what a plain loop over rows finds, in one process and on a cluster."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from raypipe.blocks.asof import Times, plan_as_of
from raypipe.blocks.frames import canonical_schema, from_polars
from raypipe.engine.asof import AsOfRows
from raypipe.engine.session import Session
from raypipe.errors import MissingColumnsError, SchemaError
from raypipe.ml.store import FeatureStore, FeatureView

START = datetime(1969, 12, 30)
"""Before 1970, so that times are negative and positive."""
hours = st.one_of(st.none(), st.integers(0, 12))
keys = st.sampled_from([None, "a", "b"])
entity_rows = st.lists(st.tuples(keys, hours), max_size=12)
feature_rows = st.lists(st.tuples(keys, hours, hours, st.one_of(st.none(), st.integers(0, 99))), max_size=14)


def moment(hour):
    return None if hour is None else START + timedelta(hours=4 * hour)


def left_table(rows):
    when = pl.Series([moment(hour) for _, hour in rows], dtype=pl.Datetime("ns"))
    return from_polars(pl.DataFrame({"k": pl.Series([key for key, _ in rows], dtype=pl.String), "t": when}))


def right_table(rows):
    columns = {
        "k": pl.Series([row[0] for row in rows], dtype=pl.String),
        "e": pl.Series([moment(row[1]) for row in rows], dtype=pl.Datetime("us")),
        "w": pl.Series([moment(row[2]) for row in rows], dtype=pl.Datetime("ms")),
        "f": pl.Series([row[3] for row in rows], dtype=pl.Int64),
    }
    return from_polars(pl.DataFrame(columns))


def by_loop(left, right, known, ttl_hours):
    """What the join means, row by row."""
    found = []
    for key, asked in left:
        best = None
        for number, (other, event, seen, value) in enumerate(right):
            seen = seen if known else event
            if None in (key, asked, event, seen) or other != key or event > asked or seen > asked:
                continue
            if best is None or (event, seen, number) > best[0]:
                best = ((event, seen, number), value)
        usable = best is not None and (ttl_hours is None or 4 * (asked - best[0][0]) <= ttl_hours)
        found.append(best[1] if usable else None)
    return found


def spec_of(left, right, known=True, ttl_hours=None):
    ttl = None if ttl_hours is None else ttl_hours * 3_600_000_000
    times = Times("t", "e", "w" if known else None, ttl)
    return plan_as_of(left.schema, right.schema, ["k"], times, {"f": "f"})


@settings(max_examples=150, deadline=None)
@given(entity_rows, feature_rows, st.booleans(), st.sampled_from([None, 0, 4, 7, 8, 24]))
@example([("a", 5), ("a", 5)], [("a", 3, 5, 1), ("a", 4, 6, 2), ("a", 3, 5, 3)], True, 8)
@example([("a", 3)], [("a", 1, 2, 7)], True, 8)
def test_the_join_is_what_a_loop_over_rows_finds(left, right, known, ttl_hours):
    tables = left_table(left), right_table(right)
    joined = AsOfRows(spec_of(*tables, known, ttl_hours)).at_once(*tables)
    assert joined["k"].to_pylist() == [key for key, _ in left]
    assert joined["f"].to_pylist() == by_loop(left, right, known, ttl_hours)


@settings(max_examples=60, deadline=None)
@given(entity_rows, feature_rows, st.integers(0, 12), st.integers(0, 14))
def test_the_join_does_not_depend_on_how_rows_are_cut(left, right, at, other):
    tables = left_table(left), right_table(right)
    operation = AsOfRows(spec_of(*tables, ttl_hours=8))
    cut = []
    for side, (table, place) in enumerate(zip(tables, (at, other), strict=True)):
        first = min(place, table.num_rows)
        pieces = [(table.slice(0, first), 0), (table.slice(first), 1 << 36)]
        cut.append([operation.travelling(side, piece, number)[1] for piece, number in pieces])
    gathered = operation.then().at_once(operation.gather(cut))
    assert gathered.equals(operation.at_once(*tables))


def test_no_feature_comes_from_the_future_not_even_by_a_nanosecond():
    left = pa.table({"k": ["a", "a"], "t": pa.array([1_999, 2_000], pa.timestamp("ns"))})
    right = pa.table({"k": ["a"], "e": pa.array([2], pa.timestamp("us")), "f": [1]})
    tables = [table.cast(canonical_schema(table.schema)) for table in (left, right)]
    assert AsOfRows(spec_of(*tables, known=False)).at_once(*tables)["f"].to_pylist() == [None, 1]


def test_names_that_polars_takes_for_patterns_are_names():
    left = from_polars(pl.DataFrame({"^k$": [1], "*": [datetime(2024, 1, 2)]}))
    right = from_polars(pl.DataFrame({"^k$": [1], "e": [datetime(2024, 1, 1)], "^.*$": [5]}))
    spec = plan_as_of(left.schema, right.schema, ["^k$"], Times("*", "e"), {"^.*$": "c0"})
    assert AsOfRows(spec).at_once(left, right)["c0"].to_pylist() == [5]


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (lambda t: t.drop_columns(["t"]), MissingColumnsError, "no column 't'"),
        (lambda t: t.drop_columns(["k"]), MissingColumnsError, "no column 'k'"),
        (lambda t: t.set_column(0, "k", pa.array([1])), SchemaError, "key 'k' is int64 in the entity rows"),
        (lambda t: t.set_column(1, "t", pa.array(["2024"])), SchemaError, "wanted a date or a timestamp"),
        (
            lambda t: t.set_column(1, "t", t["t"].cast(pa.timestamp("us", "UTC"))),
            SchemaError,
            "'t' has a time zone .* and 'e' has none",
        ),
        (lambda t: t.append_column("f", pa.array([1])), SchemaError, "'f' twice; ask for full feature names"),
    ],
)
def test_rows_that_cannot_be_joined_are_refused_in_words(change, error, text):
    left, right = left_table([("a", 1)]), right_table([("a", 1, 1, 1)])
    with pytest.raises(error, match=text):
        spec_of(change(left), right)


@pytest.mark.slow
def test_a_frame_on_a_cluster_gets_the_same_features(
    ray_session: Session, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from raypipe.engine import exchange
    from raypipe.engine.localframe import local_frame
    from raypipe.engine.rayframe import put_on_ray

    store, rows = FeatureStore(tmp_path), 600
    day = datetime(2024, 1, 1, tzinfo=UTC)
    view = FeatureView(name="v", entities=("k",), event_time="e", ttl_days=4, features={"f": "float64", "s": "string"})
    store.register(view)
    for turn in range(2):
        made = pl.DataFrame(
            {
                "k": [f"k{n % 23}" for n in range(rows)],
                "e": [day + timedelta(hours=(n * 7 + turn) % 300) for n in range(rows)],
                "f": [math.sin(n + turn) for n in range(rows)],
                "s": [None if n % 5 == 0 else f"s{n}" for n in range(rows)],
            }
        )
        store.ingest("v", made)
    asked = pl.DataFrame(
        {
            "k": [None if n % 40 == 0 else f"k{n % 29}" for n in range(rows)],
            "event_timestamp": [day + timedelta(hours=n % 400) for n in range(rows)],
            "y": range(rows),
        }
    )
    here = store.point_in_time_join(asked, ["v"])
    assert here["f"].null_count < rows
    monkeypatch.setattr(exchange, "SMALL_BYTES", 1 << 10)
    frame = put_on_ray(local_frame(from_polars(asked), (rows // 3,) * 3))
    there = store.point_in_time_join(frame, ["v"])
    assert there.to_arrow().equals(here)
