"""`raypipe compare` on runs, stored profiles, tables, segments and the two ends of a run's processing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from raypipe.cli.main import app
from raypipe.config import EngineConfig, PipelineConfig, StorageConfig
from raypipe.engine.session import Session
from raypipe.errors import ConfigError, MissingColumnsError, ReadError
from raypipe.pipeline import AnalyticsPipeline
from raypipe.pipeline.compare import compare_sources, with_verdicts
from raypipe.pipeline.history import list_runs
from raypipe.pipeline.segments import compare_each, compare_segment
from tests.storage.servers import Bucket

INLINE = EngineConfig(engine="inline")


def frame(seed: int, shift: float = 0.0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(10, 2, 2000)
    return pl.DataFrame(
        {
            "x": x,
            "y": x + rng.normal(size=2000) + shift,
            "city": rng.choice([" Ulm", "Bonn", "Kiel"], 2000),
            "gap": pl.Series(rng.normal(size=2000)).set(pl.Series(rng.random(2000) < 0.3), None),
        }
    )


def run(path: Path, output: Path, run_id: str, engine: EngineConfig = INLINE, **settings: Any) -> Path:
    config = PipelineConfig(
        data_source=path, output_dir=output, run_id=run_id, engine=engine, generate_dashboard=False,
        target_column="y", **settings,
    )  # fmt: skip
    return Path(AnalyticsPipeline(config).execute()["output_directory"])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs of one file that was written anew between them, and two files."""
    home = tmp_path_factory.mktemp("compare")
    path = home / "data.csv"
    for run_id, seed, shift in (("one", 1, 0.0), ("two", 2, 0.0), ("three", 3, 4.0)):
        frame(seed, shift).write_csv(path)
        run(path, home / "output", run_id, processing={"impute": {"gap": "median"}})
    frame(1).write_csv(home / "a.csv")
    frame(2, 4.0).write_parquet(home / "b.parquet")
    return home


def config(place: Path, **more: Any) -> PipelineConfig:
    return PipelineConfig(data_source="x", output_dir=place / "output", engine=INLINE, **more)


def command(place: Path, *arguments: str | Path) -> Any:
    given = ["compare", *map(str, arguments), "--output", str(place / "output"), "--engine", "inline"]
    return CliRunner().invoke(app, given)


def test_runs_are_compared_by_name_folder_and_age_from_what_they_left(place: Path) -> None:
    found = compare_sources("one", "two", config(place))
    assert (found.before, found.after, found.verdict) == ("one", "two", "changed")
    drifted = compare_sources("previous", "latest", config(place))
    assert (drifted.before, drifted.after) == ("two", "three")
    assert drifted.verdict == "drifted"
    assert [change.column for change in drifted.drifted] == ["y"]
    assert compare_sources(str(place / "output/one"), "one", config(place)).verdict == "stale"


def test_findings_and_relations_to_the_target_of_the_runs_are_compared(place: Path) -> None:
    found = compare_sources("one", "two", config(place))
    assert "relations to the target" not in found.not_compared
    assert found.quality[0] is not None


def test_a_run_alone_compares_its_data_before_and_after_processing(place: Path) -> None:
    found = compare_sources("one", None, config(place))
    assert (found.before, found.after) == ("one before processing", "one after processing")
    changes = {change.column: change for change in found.columns}
    assert changes["gap"].verdict == "drifted"
    assert changes["gap"].figures["missing share"][1] == 0
    assert changes["x"].verdict == "same"


def test_tables_stored_profiles_and_runs_compare_with_each_other(place: Path) -> None:
    assert compare_sources(str(place / "a.csv"), str(place / "b.parquet"), config(place)).verdict == "drifted"
    profile = str(place / "output/one/profile.json")
    assert compare_sources(profile, "one", config(place)).verdict == "stale"
    assert compare_sources(str(place / "a.csv"), "one", config(place)).before.endswith("a.csv")


def test_segments_compare_with_all_others_and_with_those_of_another_table(place: Path) -> None:
    found = compare_segment((str(place / "a.csv"), None), "city=Bonn", config(place))
    assert found.verdict == "same"
    assert sum(found.rows) == 2000
    both = compare_segment((str(place / "a.csv"), str(place / "b.parquet")), "city=Bonn", config(place))
    assert [change.column for change in both.drifted] == ["y"]
    each = compare_each(str(place / "a.csv"), "city", config(place))
    assert len(each) == 3
    assert all(sum(one.rows) == 2000 for one in each)


def test_what_was_run_and_compared_on_ray_compares_as_it_does_here(place: Path, ray_session: Session) -> None:
    on_ray = EngineConfig(engine="ray", workers=2, block_mib=0.02)
    for run_id, source in (("ray-one", "a.csv"), ("ray-two", "b.parquet")):
        run(place / source, place / "on-ray", run_id, engine=on_ray)
        run(place / source, place / "here", run_id, engine=INLINE.replace(block_mib=0.02))
    told = [
        compare_sources("ray-one", "ray-two", config(place).replace(output_dir=place / folder, engine=engine))
        for folder, engine in (("on-ray", on_ray), ("here", INLINE))
    ]
    assert told[0] == told[1]
    assert told[0].verdict == "drifted"
    files = str(place / "a.csv"), str(place / "b.parquet")
    apart = [compare_sources(*files, config(place).replace(engine=engine)) for engine in (on_ray, INLINE)]
    assert [change.verdict for change in apart[0].columns] == [change.verdict for change in apart[1].columns]
    assert [segment_of(files, place, engine) for engine in (on_ray, INLINE)] == ["drifted", "drifted"]


def segment_of(files: tuple[str, str], place: Path, engine: EngineConfig) -> str:
    return compare_segment(files, "city=Bonn", config(place).replace(engine=engine)).verdict


def test_the_command_tells_the_verdict_and_ends_with_3_on_drift_if_asked_to(place: Path, tmp_path: Path) -> None:
    done = command(place, "one", "three", "--fail-on", "drift", "--out", tmp_path / "report.md")
    assert done.exit_code == 3
    assert "one against three: drifted" in done.output
    assert "“y” drifted." in done.output
    assert "# one against three" in (tmp_path / "report.md").read_text()
    # The medians that were filled in differ by a hair.
    assert command(place, "one", "two", "--fail-on", "drift").exit_code == 0
    assert command(place, "one", "two", "--fail-on", "drift", "--fail-on", "change").exit_code == 3
    assert command(place, "one", "one", "--fail-on", "stale").exit_code == 3
    told = command(place, "one", "three", "--json")
    assert (told.exit_code, json.loads(told.output)["version"]) == (0, 1)
    by = command(place, place / "a.csv", "--by", "city", "--json")
    assert len(json.loads(by.output)) == 3


def test_thresholds_are_set_by_name(place: Path) -> None:
    found = json.loads(command(place, "one", "three", "--json", "--threshold", "kolmogorov_smirnov=0.9",
                               "--threshold", "wasserstein=5").output)  # fmt: skip
    assert found["verdict"] == "changed"
    assert found["thresholds"]["wasserstein"] == 5
    refused = command(place, "one", "two", "--threshold", "ks=1")
    assert "--threshold: ks: Extra inputs are not permitted; wanted NAME=NUMBER of: alpha" in str(refused.exception)


def test_history_tells_what_changed_since_the_run_before(place: Path) -> None:
    runs = with_verdicts(list_runs(place / "output"), StorageConfig())
    assert [(one.run_id, one.verdict) for one in runs] == [("three", "drifted"), ("two", "changed"), ("one", None)]
    done = CliRunner().invoke(app, ["history", str(place / "output"), "--compare"])
    assert "against the last" in done.output
    assert "drifted" in done.output
    assert "against the last" not in CliRunner().invoke(app, ["history", str(place / "output")]).output


def test_a_run_in_a_bucket_is_compared(place: Path, s3: Bucket) -> None:
    settings = PipelineConfig(
        data_source=place / "a.csv", output_dir=f"{s3.uri}/runs", run_id="far", engine=INLINE, storage=s3.storage,
        generate_dashboard=False, target_column="y",
    )  # fmt: skip
    AnalyticsPipeline(settings).execute()
    found = compare_sources(f"{s3.uri}/runs/far", "one", config(place, storage=s3.storage))
    assert found.before == "far"
    assert found.verdict != "stale"


# ── bad input ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_not_there_is_told_with_the_runs_that_are(place: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no file and no run 'nope'. Runs under .*: three, two, one"):
        compare_sources("nope", "one", config(place))
    with pytest.raises(ConfigError, match="previous: .* holds 0 completed runs"):
        compare_sources("previous", "one", PipelineConfig(data_source="x", output_dir=tmp_path / "none"))
    with pytest.raises(ConfigError, match="a.csv is no run, and alone it compares with nothing"):
        compare_sources(str(place / "a.csv"), None, config(place))


def test_damaged_and_older_profiles_are_told(place: Path, tmp_path: Path) -> None:
    text = (place / "output/one/profile.json").read_text()
    path = tmp_path / "profile.json"
    for content, error, message in (
        (text[:-100], ReadError, "profile.json is damaged: .*; run it again"),
        (text.replace('"version": 1', '"version": 0', 1), ConfigError, "layout version 0, and this raypipe reads 1"),
        (text.replace('"rows": 2000', '"rows": "many"', 1), ReadError, "is no profile: rows: Input should be"),
    ):
        path.write_text(content)
        with pytest.raises(error, match=message):
            compare_sources(str(path), "one", config(place))


def test_damaged_findings_and_runs_that_did_not_complete_are_told(place: Path, tmp_path: Path) -> None:
    home = tmp_path / "output" / "bad"
    home.mkdir(parents=True)
    (home / "run.json").write_text("{}")
    with pytest.raises(ConfigError, match="run bad has no profile.json: it did not complete"):
        compare_sources("bad", "one", PipelineConfig(data_source="x", output_dir=tmp_path / "output"))
    (home / "profile.json").write_text((place / "output/one/profile.json").read_text())
    (home / "insights.json").write_text('{"version": 1')
    with pytest.raises(ReadError, match="insights.json holds no findings of a run"):
        compare_sources(str(home), "one", config(place))


def test_segments_need_rows_a_column_and_a_value_that_is_there(place: Path) -> None:
    source = str(place / "a.csv")
    with pytest.raises(ConfigError, match="of run one only profiles are kept; name the table"):
        compare_each("one", "city", config(place))
    with pytest.raises(MissingColumnsError, match="no column 'town'"):
        compare_each(source, "town", config(place))
    with pytest.raises(ConfigError, match="no row has city = Rom; frequent ones are: "):
        compare_segment((source, None), "city=Rom", config(place))
    with pytest.raises(ConfigError, match="--segment: got 'city'; wanted COLUMN=VALUE"):
        compare_segment((source, None), "city", config(place))
    assert "segments by 'x' need text" in str(command(place, source, "--by", "x").exception)
    assert "wanted one of: drift, change, stale" in str(command(place, "one", "two", "--fail-on", "x").exception)
