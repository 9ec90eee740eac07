"""A feature store keeps what it is given once, tells what it does not take, and knows what it knew."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pandas as pd
import polars as pl
import pytest

from raypipe.errors import ConfigError, MissingColumnsError, RaypipeError, ReadError, SchemaError
from raypipe.ml.specs import ClassifierModelSpec
from raypipe.ml.store import FeatureStore, FeatureStoreSpec, FeatureStoreSpecBuilder, FeatureView
from raypipe.ml.store.training import training_rows

pytest.importorskip("deltalake", reason="the extra delta is not installed")


def day(number: int, **more: int) -> datetime:
    return datetime(2024, 1, number, tzinfo=UTC) + timedelta(**more)


SPEND = FeatureView(
    name="spend",
    entities=("user",),
    event_time="day",
    ttl_days=10,
    features={"total": "float64", "visits": "int64"},
    constraints={"not negative": "total >= 0"},
)


def spends(*rows: tuple[int | None, int, float | None, int]) -> pl.DataFrame:
    kinds = {"user": pl.Int64, "day": pl.Datetime("us", "UTC"), "total": pl.Float64, "visits": pl.Int64}
    return pl.DataFrame([(user, day(at), total, visits) for user, at, total, visits in rows], kinds, orient="row")


ROWS = spends((1, 1, 10.0, 1), (1, 5, 20.0, 2), (2, 3, float("nan"), 3), (2, 4, None, 4))


@pytest.fixture
def store(tmp_path) -> FeatureStore:
    made = FeatureStore(tmp_path / "repo", "shop")
    made.register(SPEND)
    return made


def content(store: FeatureStore, view: str = "spend", version=None) -> list[tuple]:
    table = pl.from_arrow(store.read(view, version))
    return table.sort(*store.get(view).key).fill_nan(-1.0).rows()


def test_ingest_twice_is_ingest_once(store):
    first = store.ingest("spend", ROWS)
    before = content(store)
    again = store.ingest("spend", ROWS.reverse())
    assert (first.inserted, again.unchanged, again.inserted, again.updated) == (4, 4, 0, 0)
    assert again.version == first.version
    assert content(store) == before


def test_every_row_is_accounted_for_and_those_set_aside_say_why(store):
    given = pl.concat([ROWS, spends((None, 1, 1.0, 1), (3, 1, -1.0, 1), (4, 1, 1.0, 1), (4, 1, 2.0, 2))])
    report = store.ingest("spend", given)
    assert report.rows == report.inserted + report.superseded + report.aside.num_rows == 8
    assert dict(report.reasons) == {"no user": 1, "constraint not negative: total >= 0": 1}
    assert report.aside["total"].to_pylist() == [1.0, -1.0]
    assert (4, day(1), 2.0, 2) in content(store)  # of equal keys the last one


def test_a_correction_takes_the_place_of_a_row_and_its_old_version_can_be_read(store):
    first = store.ingest("spend", ROWS)
    seen = datetime.now(UTC)
    report = store.ingest("spend", spends((1, 1, 11.0, 1)))
    assert (report.updated, report.inserted) == (1, 0)
    totals = [content(store, version=at)[0][2] for at in (first.version, seen, None)]
    assert totals == [10.0, 10.0, 11.0]
    assert [one["version"] for one in store.history("spend")] == [2, 1, 0]


def test_a_late_correction_is_not_known_before_it_was(tmp_path):
    store = FeatureStore(tmp_path)
    store.register(FeatureView.from_dict({**SPEND.to_dict(), "known_at": "seen"}))
    row = spends((1, 1, 10.0, 1))
    store.ingest("spend", row, known_at=day(2))
    report = store.ingest("spend", row.with_columns(total=pl.lit(99.0)), known_at=day(6))
    assert (report.inserted, report.updated) == (1, 0)
    asked = pl.DataFrame({"user": [1] * 4, "event_timestamp": [day(1), day(5), day(6), day(11, hours=1)]})
    assert store.point_in_time_join(asked, ["spend"])["total"].to_pylist() == [None, 10.0, 99.0, None]


def test_a_join_can_be_pinned_to_versions_and_to_the_definition_that_they_had(store):
    pinned = store.ingest("spend", ROWS).version
    asked = pd.DataFrame({"user": [1, 2, 1], "event_timestamp": pd.to_datetime([day(6), day(9), day(14)], utc=True)})
    before = store.point_in_time_join(asked, ["spend"])
    store.register(SPEND.replace(ttl_days=1))
    store.ingest("spend", spends((1, 6, 77.0, 7)))
    assert store.point_in_time_join(asked, ["spend"])["total"].to_pylist() == [77.0, None, None]
    assert store.point_in_time_join(asked, ["spend"], {"spend": pinned}).equals(before)
    assert before["visits"].to_pylist() == [2, 4, 2]


def test_a_view_grows_only_where_that_is_asked_for(store):
    old = store.ingest("spend", ROWS).version
    more = ROWS.with_columns(city=pl.lit("Ulm").cast(pl.Categorical))
    with pytest.raises(SchemaError, match="'city' is no column of it.*evolve=True"):
        store.ingest("spend", more)
    report = store.ingest("spend", more[:1], evolve=True)
    assert report.updated == 1
    assert store.get("spend").features["city"] == "string"
    assert store.read("spend")["city"].null_count == 3
    assert "city" not in store.read("spend", old).column_names


def test_features_of_several_views_come_in_order_under_full_names(store):
    store.ingest("spend", ROWS)
    store.register(
        FeatureView(name="shop", entities=("shop",), event_time="at", features={"total": "int64", "open": "bool"})
    )
    store.ingest("shop", pl.DataFrame({"shop": ["x"], "at": [day(1)], "total": [5], "open": [True]}))
    asked = pl.DataFrame({"user": [1], "shop": ["x"], "event_timestamp": [day(2)]})
    with pytest.raises(SchemaError, match="'total' comes from view 'spend' and from view 'shop'.*full_names"):
        store.point_in_time_join(asked, ["spend", "shop"])
    joined = store.point_in_time_join(asked, ["spend", "shop"], full_names=True)
    assert joined.drop_columns(asked.columns).to_pylist() == [
        {"spend__total": 10.0, "spend__visits": 1, "shop__total": 5, "shop__open": True}
    ]


def test_writers_at_once_lose_nothing(store):
    store.ingest("spend", ROWS)
    failed = []

    def write(user: int) -> None:
        try:
            FeatureStore(store.path, "shop").ingest("spend", spends((user, 1, 1.0, user), (1, 1, float(user), 1)))
        except RaypipeError as error:
            failed.append(error)

    writers = [threading.Thread(target=write, args=(user,)) for user in (11, 12, 13)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert not failed
    rows = content(store)
    assert {row[0] for row in rows} == {1, 2, 11, 12, 13}
    assert len(rows) == 4 + 3
    assert rows[0][2] in (11.0, 12.0, 13.0)


def test_projects_share_nothing(store):
    other = FeatureStore(store.path, "other")
    assert [view.name for view in store.list()] == ["spend"]
    assert other.list() == []
    with pytest.raises(ConfigError, match="no feature view 'spend'. There are: none"):
        other.read("spend")


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (lambda t: t.drop("visits"), MissingColumnsError, "no column 'visits'"),
        (lambda t: t.drop("day"), MissingColumnsError, "no column 'day'"),
        (
            lambda t: t.with_columns(total=pl.lit("much")),
            SchemaError,
            "'total' is large_string; the view keeps float64",
        ),
        (
            lambda t: t.with_columns(visits=pl.lit(1.5)),
            SchemaError,
            "'visits' is double, with a value that does not fit",
        ),
        (lambda t: t.with_columns(user=pl.lit(True)), SchemaError, "'user' is bool"),
        (lambda t: t.with_columns(day=pl.lit("2024-01-01")), SchemaError, "'day' is large_string"),
        (
            lambda t: t.with_columns(day=pl.col("day").dt.replace_time_zone(None)),
            SchemaError,
            "the view keeps times with a time zone; give it one",
        ),
        (lambda t: t.to_dict(as_series=False), SchemaError, "got dict; wanted a raypipe Frame"),
    ],
)
def test_rows_that_do_not_fit_are_refused_in_words_and_nothing_is_written(store, change, error, text):
    version = store.ingest("spend", ROWS).version
    with pytest.raises(error, match=text):
        store.ingest("spend", change(ROWS))
    assert store.table("spend").open().version() == version


def test_what_is_not_there_is_told_with_what_there_is(store):
    with pytest.raises(ConfigError, match="Did you mean 'spend'"):
        store.ingest("spnd", ROWS)
    with pytest.raises(ReadError, match="no rows yet; ingest some first"):
        store.read("spend")
    store.ingest("spend", ROWS)
    with pytest.raises(ConfigError, match="got version 7; there are 0 to 1"):
        store.read("spend", 7)
    with pytest.raises(ConfigError, match="was not there yet; its first version is of"):
        store.read("spend", day(1))
    with pytest.raises(ConfigError, match="without a time zone"):
        store.read("spend", datetime(2024, 1, 1))
    asked = pl.DataFrame({"user": [1], "event_timestamp": [datetime(2024, 1, 1)]})
    with pytest.raises(SchemaError, match="'day' has a time zone"):
        store.point_in_time_join(asked, ["spend"])
    with pytest.raises(ConfigError, match="versions may name those only"):
        store.point_in_time_join(asked, ["spend"], {"other": 1})


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"entities": ["shop"]}, "entities is .* register it under another name"),
        ({"known_at": "seen"}, "known_at is None and cannot become 'seen'"),
        ({"features": {"total": "float64"}, "constraints": {}}, "feature 'visits' is int64 and cannot go"),
        ({"features": {"total": "int64", "visits": "int64"}}, "'total' is float64 and cannot become int64"),
        ({"constraints": {"c": "price > 0"}}, "names a column that is no feature; features are: total, visits"),
        ({"constraints": {"c": "total + 1"}}, "gives Float64; wanted a condition"),
        ({"constraints": {"c": "total >"}}, "cannot be worked out"),
    ],
)
def test_a_definition_that_would_break_rows_or_models_is_refused(store, change, text):
    with pytest.raises(ConfigError, match=text):
        store.register(FeatureView.from_dict({**SPEND.to_dict(), **change}))
    assert store.get("spend") == SPEND


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"offline_store_type": "spark"}, "without Spark and without a JVM: use 'file'"),
        ({"online_store_type": "redis"}, "no Redis store: use 'sqlite'"),
        ({"online_store_type": "sqlite", "online_store_config": {"host": "x"}}, "no setting 'host'"),
        ({"materialize_online": True}, "set it to 'sqlite'"),
        ({"n_features": 0}, "n_features"),
        ({"entity_rows": "a.csv", "dataset_version": 1}, "give one"),
        ({"views": {"v": -1}}, "views.v"),
    ],
)
def test_settings_of_the_older_system_are_honoured_or_refused_with_what_to_use(settings, text):
    with pytest.raises(ConfigError, match=text):
        FeatureStoreSpec.from_dict(settings)


def learnable(store: FeatureStore) -> FeatureStoreSpecBuilder:
    made = spends(*((user, 1, float(user), user % 7) for user in range(60)))
    store.ingest("spend", made)
    asked = pl.DataFrame(
        {
            "user": range(60),
            "event_timestamp": [day(3)] * 60,
            "churn": ["yes" if user > 30 else "no" for user in range(60)],
        }
    )
    store.write_dataset("labels", asked)
    return (
        FeatureStoreSpecBuilder()
        .set_repo_path(str(store.path))
        .set_project_name("shop")
        .set_dataset_name("labels")
        .set_target("churn")
        .add_view("spend")
    )


def test_a_model_pins_what_it_learnt_from_and_gets_the_same_rows_again(store):
    rows = training_rows(learnable(store).set_online_store("sqlite").set_materialize_online().build())
    assert rows.table.column_names == ["churn", "total", "visits"]
    assert rows.facts["feature_versions"] == {"spend": 1}
    assert (store.folder / "online.db").is_file()
    store.ingest("spend", spends((1, 2, 1000.0, 1)))
    store.write_dataset("labels", pl.DataFrame({"user": [1], "event_timestamp": [day(1)], "churn": ["no"]}))
    pinned = FeatureStoreSpec.from_dict(rows.facts["feature_store_spec"])
    assert training_rows(pinned).table.equals(rows.table)


def test_entity_rows_can_be_cut_dated_and_kept(store):
    spec = learnable(store).set_sample_indices((5, 2)).set_keep_columns("user", "event_timestamp").build()
    assert training_rows(spec).table["user"].to_pylist() == [5, 2]
    with pytest.raises(ConfigError, match="asks for row 99; there are 60"):
        training_rows(spec.replace(sample_indices=(99,)))
    with pytest.raises(ConfigError, match="n_features is 3, and spend bring 2"):
        training_rows(spec.replace(n_features=3))
    with pytest.raises(ConfigError, match="early rows would see later features"):
        training_rows(spec.replace(timestamp=day(3)))
    store.write_dataset("undated", pl.DataFrame({"user": [1, 2], "churn": ["yes", "no"]}))
    dated = spec.replace(dataset_name="undated", sample_indices=None, timestamp=day(3))
    assert training_rows(dated).table["total"].to_pylist() == [1.0, 2.0]
    with pytest.raises(MissingColumnsError, match="time_column"):
        training_rows(dated.replace(timestamp=None))
    with pytest.raises(ConfigError, match="no dataset 'label'.*Did you mean 'labels'"):
        training_rows(spec.replace(dataset_name="label"))


@pytest.mark.parametrize("kind", ["pandas", "polars", "arrow", "apart"])
def test_the_rows_of_a_workflow_can_be_the_entity_rows(store, kind):
    pytest.importorskip("sklearn", reason="the extra ml is not installed")
    from raypipe.ml.workflow import run_ml_workflow

    spec = learnable(store).build()
    asked = store.read_dataset("labels")[0]
    kinds = {"pandas": asked.to_pandas(), "polars": pl.from_arrow(asked), "arrow": asked}
    given = (kinds[kind], "churn") if kind != "apart" else (asked.drop_columns(["churn"]), asked["churn"])
    model = ClassifierModelSpec(model_name="m", algorithm="logistic_regression")
    how = {"validation_strategy": "group", "validation_params": {"group_column": "user", "n_splits": 2}}
    ours = spec.replace(entity_rows_given=True)
    origin = {"sha256": "0"}
    result = run_ml_workflow(None, model, *given, feature_store_spec=ours, data_source=origin, **how)
    assert [one.name for one in result["inputs"]] == ["total", "visits"]
    assert result["feature_store_enabled"]
    assert result["data_source"] == origin  # the entity rows are from there, the features of the versions that are told
    kept = run_ml_workflow(None, model, feature_store_spec=spec, data_source=origin, **how)
    assert kept["cv_scores"] == result["cv_scores"]
    assert "data_source" not in kept
    with pytest.raises(ConfigError, match="no rows are given; wanted entity rows"):
        training_rows(ours)


def test_entity_rows_are_named_once():
    for other in ({"entity_rows": "rows.csv"}, {"dataset_version": 3}):
        with pytest.raises(ConfigError, match="entity_rows_given takes the rows of the workflow, but others"):
            FeatureStoreSpec.from_dict({"entity_rows_given": True, **other})


def test_a_workflow_learns_from_the_store_and_goes_on_without_it_where_it_fails(store):
    pytest.importorskip("sklearn", reason="the extra ml is not installed")
    from raypipe.ml.workflow import run_ml_workflow

    spec = learnable(store).build()
    model = ClassifierModelSpec(model_name="m", algorithm="logistic_regression")
    result = run_ml_workflow(None, model, feature_store_spec=spec, validation_strategy="train_test")
    assert result["feature_store_enabled"] is True
    assert result["feature_versions"] == {"spend": 1}
    assert result["metrics"]
    rows = training_rows(spec).table.to_pandas()
    broken = spec.replace(views={"spent": None})
    given = run_ml_workflow(None, model, rows, "churn", feature_store_spec=broken, validation_strategy="train_test")
    assert given["feature_store_enabled"] is False
    assert "Did you mean 'spend'" in given["skipped"]["feature store"]
    with pytest.raises(ConfigError, match="no X and y were given instead"):
        run_ml_workflow(None, model, feature_store_spec=broken)
