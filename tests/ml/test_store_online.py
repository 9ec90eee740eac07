"""Online rows are the latest ones of the views, whatever happened in between."""

from __future__ import annotations

import json
import shutil
import sqlite3
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from typer.testing import CliRunner

from raypipe.cli.main import app
from raypipe.errors import ConfigError, OutputError, ReadError, SchemaError
from raypipe.ml.store import FeatureStore, FeatureView
from raypipe.ml.store.online import OnlineStore

pytest.importorskip("deltalake", reason="the extra delta is not installed")
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
FEATURES = {"f": "float64", "s": "string", "b": "bool", "d": "date", "t": "timestamp"}
VIEW = FeatureView(
    name="v", entities=("shop", "item"), event_time="at", known_at="seen", ttl_days=20, features=FEATURES
)


def after(days: float) -> datetime:
    return BEGIN + timedelta(days=days)


def rows(*given: tuple[str, int, float, float, float | None]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "shop": [one[0] for one in given],
            "item": [one[1] for one in given],
            "at": [after(one[2]) for one in given],
            "seen": [after(one[3]) for one in given],
            "f": pl.Series([one[4] for one in given], dtype=pl.Float64),
            "s": [f'it\'s "{one[4]}"' for one in given],
            "b": [None if one[4] is None else one[4] > 5 for one in given],
            "d": [after(one[2]).date() for one in given],
            "t": [after(one[3]) for one in given],
        }
    )


@pytest.fixture
def store(tmp_path) -> FeatureStore:
    made = FeatureStore(tmp_path / "repo")
    made.register(VIEW)
    made.ingest("v", rows(("x", 1, 1, 1, 1.0), ("x", 1, 5, 6, float("nan")), ("x", 2, 2, 2, None), ("y", 1, 3, 3, 9.0)))
    return made


def same_as_offline(store: FeatureStore, online: OnlineStore, at: datetime) -> bool:
    """Whether each entity has the features that a join at this time finds."""
    asked = pl.DataFrame({"shop": ["x", "x", "y", "z", "y", None], "item": [1, 2, 1, 1, 7, 1]})
    offline = store.point_in_time_join(asked.with_columns(event_timestamp=pl.lit(at)), ["v"])
    found = online.lookup("v", asked, at=at).table
    names = ["shop", "item", *FEATURES]
    return pl.from_arrow(found.select(names)).equals(pl.from_arrow(offline.select(names)))


def test_online_rows_follow_merges_corrections_deletions_and_time(store):
    online = OnlineStore(store)
    assert online.materialize_incremental("v", after(4)).why == "nothing was there yet"
    assert same_as_offline(store, online, after(4))
    moved = online.materialize_incremental("v", after(6))  # a row is known by now that was there before
    assert (moved.mode, moved.entities) == ("incremental", 1)
    assert same_as_offline(store, online, after(6))
    assert online.materialize_incremental("v", after(6)).mode == "none"
    store.ingest("v", rows(("y", 1, 3, 7, 8.0), ("z", 1, 7, 7, 2.0)))
    store.forget("v", {"shop": "x", "item": 2})
    assert online.state("v").behind == 2
    did = online.materialize_incremental("v", after(8))
    assert (did.mode, did.entities, did.rows) == ("incremental", 3, 2)
    assert same_as_offline(store, online, after(8))
    assert same_as_offline(store, online, after(23.5))  # some are too old by now
    assert online.state("v").behind == 0
    before = online.rows.find("v", store.keys(VIEW, [{"shop": "y", "item": 1}]))[1]
    online.materialize("v", after(8))
    assert online.rows.find("v", store.keys(VIEW, [{"shop": "y", "item": 1}]))[1] == before


def test_a_lookup_tells_how_old_features_are(store):
    online = OnlineStore(store)
    online.materialize("v", after(6))
    asked = [{"shop": "x", "item": 2}, {"shop": "y", "item": 1}, {"shop": "q", "item": 1}]
    found = online.lookup("v", asked, at=after(22.5), full_names=True)
    assert found.table["v__state"].to_pylist() == ["expired", "fresh", "missing"]
    assert found.table["v__age_s"].to_pylist() == [20.5 * 86400, 19.5 * 86400, None]
    assert found.table["v__f"].to_pylist() == [None, 9.0, None]
    assert (found.version, found.as_of) == (1, after(6))


def test_a_view_that_grew_or_was_made_anew_is_worked_out_anew_and_says_so(store):
    online = OnlineStore(store)
    online.materialize("v")
    store.ingest("v", rows(("x", 1, 9, 9, 1.0)).with_columns(more=pl.lit(3)), evolve=True)
    assert online.materialize_incremental("v").why == "the features of the view changed"
    assert online.lookup("v", {"shop": "x", "item": 1}).table["more"].to_pylist() == [3 if _fresh(after(9)) else None]
    shutil.rmtree(store.folder / "views")
    store.ingest("v", rows(("x", 1, 9, 9, 1.0)).with_columns(more=pl.lit(4)))
    assert online.materialize_incremental("v").why == "the table of the view was made anew"
    assert online.state("v").rows == 1


def _fresh(event: datetime) -> bool:
    return datetime.now(UTC) - event <= timedelta(days=20)


def test_a_materialisation_that_is_cut_off_leaves_what_was_there(store, monkeypatch):
    online = OnlineStore(store)
    online.materialize("v", after(6))
    store.ingest("v", rows(("y", 1, 7, 7, 8.0), ("z", 1, 7, 7, 2.0)))
    monkeypatch.setattr("raypipe.ml.store.sqlite._tuples", lambda rows: iter([(1,)]))
    with pytest.raises(OutputError, match="SQLite says"):
        online.materialize_incremental("v", after(8))
    monkeypatch.undo()
    assert online.state("v").version == 1
    assert online.lookup("v", {"shop": "y", "item": 1}, at=after(8)).table["f"].to_pylist() == [9.0]
    assert online.materialize_incremental("v", after(8)).entities == 2
    assert same_as_offline(store, online, after(8))


def test_what_cannot_be_looked_up_is_told(store, tmp_path):
    online = OnlineStore(store)
    assert online.state("v") is None
    with pytest.raises(ReadError, match="materialize a view first"):
        online.lookup("v", {"shop": "x", "item": 1})
    online.materialize("v")
    with pytest.raises(SchemaError, match="'item' is not there; wanted shop, item"):
        online.lookup("v", {"shop": "x"})
    with pytest.raises(SchemaError, match="'item' is large_string; the view keeps int64"):
        online.lookup("v", {"shop": "x", "item": "1"})
    with pytest.raises(ConfigError, match="without a time zone"):
        online.lookup("v", {"shop": "x", "item": 1}, at=datetime(2024, 1, 1))
    broken = tmp_path / "no.db"
    broken.write_text("this is no database, and it is long enough to be read as one" * 20)
    with pytest.raises((ReadError, OutputError), match=r"SQLite says: file is not a database"):
        OnlineStore(store, broken).lookup("v", {"shop": "x", "item": 1})
    with sqlite3.connect(online.rows.path) as db:
        assert db.execute("SELECT count(*) FROM raypipe_views").fetchone() == (1,)


def test_a_change_feed_that_was_vacuumed_is_told_with_what_to_type(store):
    online = OnlineStore(store)
    online.materialize("v", after(4))
    store.ingest("v", rows(("y", 1, 3, 3, 8.0)))
    for folder in (store.folder / "views" / "v").glob("_change_data"):
        shutil.rmtree(folder)
    with pytest.raises(ReadError, match="change feed cannot be read.*--full"):
        online.materialize_incremental("v", after(5))
    assert online.materialize("v", after(5)).mode == "full"


def run(*words: str):
    return CliRunner().invoke(app, ["features", *words], catch_exceptions=True)


def test_the_command_line_does_it_all(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    FeatureView(name="v", entities=("user",), event_time="at", features={"f": "float64"}).save("v.yaml")
    pl.DataFrame({"user": [1, 2], "at": ["2024-01-01", "2024-01-02"], "f": [1.0, 2.0]}).write_csv("rows.csv")
    pl.DataFrame({"user": [2, 1], "event_timestamp": [datetime(2024, 1, 1), datetime(2024, 1, 3)]}).write_parquet(
        "e.parquet"
    )
    assert run("register", "v.yaml").output == "v: 1 features of user\n"
    assert "2 new, 0 changed" in run("ingest", "v", "rows.csv").output
    assert json.loads(run("ingest", "v", "rows.csv", "--json").output)["unchanged"] == 2
    joined = run("join", "e.parquet", "--view", "v@1", "--output", "out.parquet")
    assert joined.output == "out.parquet: 2 rows, 3 columns, of v@1\n"
    assert pl.read_parquet("out.parquet")["f"].to_list() == [None, 1.0]
    found = run("online", "v", "--key", "user=2")
    assert json.loads(found.stdout)["f"] == 2.0
    assert "v  user: f float64" in run("list").output
    assert len(run("history", "v").output.splitlines()) == 2
    assert "wanted one of user" in str(run("online", "v", "--key", "x=2").exception)
    assert "there is no store at" in str(run("history", "v", "--project", "no").exception)


def test_views_whose_names_differ_in_case_alone_are_two(tmp_path):
    made = FeatureStore(tmp_path / "repo")
    for name, x in (("a", 1.0), ("A", 100.0)):
        made.register(FeatureView(name=name, entities=("u",), event_time="at", features={"x": "float64"}))
        made.ingest(name, pl.DataFrame({"u": [1], "at": [after(1)], "x": [x]}))
    online = OnlineStore(made)
    for name in ("a", "A"):
        online.materialize(name)
    for name, x in (("a", 1.0), ("A", 100.0)):
        assert online.lookup(name, pl.DataFrame({"u": [1]})).table["x"].to_pylist() == [x]


def test_digits_behind_a_zero_are_names(tmp_path):
    from raypipe.ml.store.training import read_rows

    (tmp_path / "rows.csv").write_text("u,n,x\n007,1,1\n7,10,2\n0123,0,3\n")
    table = read_rows(tmp_path / "rows.csv")
    assert table["u"].to_pylist() == ["007", "7", "0123"]
    assert table["n"].to_pylist() == [1, 10, 0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("join", "rows.csv", "--view", "v@1", "--view", "v@2", "-o", "out.parquet"), "names 'v' twice"),
        (("online", "v", "--no-refresh"), "--no-refresh without --key does nothing"),
    ],
)
def test_what_would_be_left_out_in_silence_is_refused(words, message):
    with pytest.raises(ConfigError, match=message):
        CliRunner().invoke(app, ["features", *words], standalone_mode=False, catch_exceptions=False)
