"""Rows set aside by a run: looked at, mended, and read again by the settings, types and rules of the run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

from raypipe import AnalyticsPipeline, PipelineConfig
from raypipe.cli.main import app
from raypipe.config import EngineConfig, StorageConfig
from raypipe.engine.journal import locked
from raypipe.engine.session import Session
from raypipe.errors import ConfigError, MissingColumnsError, ReadError, ResumeError
from raypipe.etl.quarantine.counts import count
from raypipe.etl.quarantine.mends import Mends
from raypipe.pipeline.fixing import fix_rows
from raypipe.pipeline.replay import finish, quarantined
from raypipe.pipeline.replay_rows import late_stages
from raypipe.pipeline.replayable import ReplayRecord
from raypipe.pipeline.replaying import Replayed, replay
from raypipe.pipeline.runfiles import find_run
from tests.storage.servers import BUCKET, Bucket

SCHEMA = "name: s\ncolumns:\n- name: units\n  min_value: 0\n- name: city\n  allowed_values: [Ulm, Bonn, Kiel]\n"
HEADER = "id,city,units,day,note"
CLEAN = [f"{n},{('Ulm', 'Bonn', 'Kiel')[n % 3]},{n},2025-01-{n % 28 + 1:02d},n{n}" for n in range(400)]
FAULTS: dict[str, tuple[Callable[[int], str], tuple[str, str]]] = {
    # how a line is spoiled, and which field of the exported file mends it to what it was
    "word": (lambda n: f"{n},{('Ulm', 'Bonn', 'Kiel')[n % 3]},many,2025-01-{n % 28 + 1:02d},n{n}", ("units", "{n}")),
    "short": (lambda n: ",".join(CLEAN[n].split(",")[:4]), ("__raw__", "{line}")),
    "long": (lambda n: CLEAN[n] + ",x", ("__raw__", "{line}")),
    "negative": (lambda n: CLEAN[n].replace(f",{n},", ",-1,"), ("units", "{n}")),
    "place": (lambda n: f"{n},Rom,{n},2025-01-{n % 28 + 1:02d},n{n}", ("city", "{city}")),
}


def write_source(folder: Path, faults: dict[int, str], name: str = "s.csv") -> Path:
    lines = [FAULTS[faults[n]][0](n) if n in faults else line for n, line in enumerate(CLEAN)]
    path = folder / name
    path.write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")
    return path


def run(folder: Path, source: Path, run_id: str = "r", **changes: Any) -> Path:
    (folder / "schema.yaml").write_text(SCHEMA, encoding="utf-8")
    config = PipelineConfig.of(
        {
            "data_source": source, "output_dir": folder / "output", "run_id": run_id, "save_intermediate": True,
            "generate_dashboard": False, "validation": {"schema_path": folder / "schema.yaml", "max_bad_cell_share": 1},
            **changes,
        }
    )  # fmt: skip
    return Path(AnalyticsPipeline(config).execute()["output_directory"])


def export(home: Path, path: Path, mends: Mends | None = None) -> pl.DataFrame:
    with quarantined(find_run(str(home), "output", StorageConfig())) as state:
        fix_rows(state, mends or Mends(), path)
    return pl.read_csv(path, infer_schema=False) if path.suffix == ".csv" else pl.DataFrame()


def replayed(home: Path, fixed: Path | None = None, engine: EngineConfig | None = None) -> Replayed:
    with quarantined(find_run(str(home), "output", StorageConfig()), to_change=True) as state:
        done = replay(state, fixed, engine)
    done.check()
    return done


def rows_of(home: Path) -> pl.DataFrame:
    return pl.read_parquet(home / "processed").sort("id")


def bytes_of(home: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in home.iterdir() if path.is_file()}


def mend(rows: pl.DataFrame, faults: dict[int, str]) -> pl.DataFrame:
    """What a careful person makes of the exported rows."""
    found = rows.to_dicts()
    for row in found:
        n = int((row["id"] or row["__raw__"]).split(",")[0])
        field, value = FAULTS[faults[n]][1]
        row[field] = value.format(n=n, line=CLEAN[n], city=("Ulm", "Bonn", "Kiel")[n % 3])
    return pl.DataFrame(found, schema=rows.schema)


@given(st.dictionaries(st.integers(0, 399), st.sampled_from(sorted(FAULTS)), min_size=1, max_size=12), st.data())
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
def test_mended_rows_end_up_as_if_the_source_had_been_right(
    tmp_path_factory: pytest.TempPathFactory, faults: dict[int, str], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("law")
    home = run(folder, write_source(folder, faults))
    before = bytes_of(home)
    rows = export(home, folder / "mended.csv")
    assert rows.height == len(faults)
    good = data.draw(st.sets(st.sampled_from(sorted(faults))))
    mended = mend(rows, faults)
    keys = [int((row["id"] or row["__raw__"]).split(",")[0]) for row in rows.to_dicts()]
    chosen = pl.Series([key in good for key in keys])
    pl.concat([mended.filter(chosen), rows.filter(~chosen)]).write_csv(folder / "mended.csv")

    first = replayed(home, folder / "mended.csv")
    assert (first.quarantined_before, first.replayed) == (len(faults), len(good))
    assert first.still_quarantined == len(faults) - len(good)
    again = replayed(home, folder / "mended.csv")  # adds nothing
    assert (again.replayed, again.number, again.done_before) == (0, None, len(good))
    mended.write_csv(folder / "all.csv")
    last = replayed(home, folder / "all.csv")
    assert (last.replayed, last.still_quarantined) == (len(faults) - len(good), 0)
    clean = run(folder, write_source(folder, {}, "clean.csv"), "clean")
    assert_frame_equal(rows_of(home), rows_of(clean))
    assert bytes_of(home) == before


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return run(tmp_path, write_source(tmp_path, {3: "word", 5: "short", 8: "negative", 11: "place", 12: "place"}))


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_each_format_carries_the_rows_there_and_back(home: Path, tmp_path: Path, suffix: str) -> None:
    fixed = tmp_path / f"mended{suffix}"
    export(home, fixed, Mends.parse([], ["units:many=3", "units:-1=8", "city:Rom=Kiel"]))
    done = replayed(home, fixed)
    assert (done.replayed, done.still_quarantined, done.reasons) == (4, 1, {"4 fields instead of 5": 1})
    assert rows_of(home).filter(pl.col("id").is_in([3, 8, 12])).rows() == [
        (3, "Ulm", 3, rows_of(home)["day"][3], "n3"),
        (8, "Kiel", 8, rows_of(home).row(by_predicate=pl.col("id") == 8)[3], "n8"),
        (12, "Kiel", 12, rows_of(home).row(by_predicate=pl.col("id") == 12)[3], "n12"),
    ]


def test_a_replay_on_ray_ends_as_one_in_this_process(home: Path, tmp_path: Path, ray_session: Session) -> None:
    export(home, tmp_path / "mended.csv", Mends.parse([], ["units:many=3", "units:-1=8", "city:Rom=Kiel"]))
    other = tmp_path / "other"
    shutil.copytree(home, other)
    made = [replayed(home, tmp_path / "mended.csv", EngineConfig(engine="ray"))]
    made.append(replayed(other, tmp_path / "mended.csv", EngineConfig(engine="inline")))
    assert made[0] == made[1]
    assert made[0].replayed == 4
    assert_frame_equal(rows_of(home), rows_of(other))
    with pytest.raises(ConfigError, match="its rows lie on this machine, which workers at 10.0.0.1:1 may not read"):
        replayed(home, tmp_path / "mended.csv", EngineConfig(address="10.0.0.1:1"))


def test_rows_as_they_are_stay_for_the_reasons_that_they_had(home: Path) -> None:
    done = replayed(home)
    assert (done.number, done.replayed, done.still_quarantined) == (None, 0, 5)
    assert not (home / "replays" / "0001").exists()


def test_a_mend_that_is_still_wrong_keeps_the_row_with_its_new_reason(home: Path, tmp_path: Path) -> None:
    export(home, tmp_path / "m.csv", Mends.parse(["units=lots"], [], column="units"))
    done = replayed(home, tmp_path / "m.csv")
    assert (done.number, done.replayed, done.still_quarantined) == (1, 0, 5)
    assert done.reasons["column 'units' wants int64, got 'lots'"] == 2
    with quarantined(find_run(str(home), "output", StorageConfig())) as state:
        aside = pl.read_parquet(state.path)
    assert aside.filter(pl.col("value") == "lots")["line"].to_list() == [5, 10]
    assert aside["id"].n_unique() == 5


def test_dropped_rows_are_dropped_under_a_name_and_never_come_back(home: Path, tmp_path: Path) -> None:
    export(home, tmp_path / "m.csv", Mends(drop=True, column="city"))
    done = replayed(home, tmp_path / "m.csv")
    assert (done.dropped, done.still_quarantined) == ({"quarantine fix --drop-rows": 2}, 3)
    assert replayed(home, tmp_path / "m.csv").number is None
    ledger = pl.read_parquet(home / "replays" / "0001" / "ledger.parquet")
    assert ledger.select("outcome", "by").unique().rows() == [("dropped", "quarantine fix --drop-rows")]


def test_a_row_that_a_step_drops_is_counted_under_the_step(tmp_path: Path) -> None:
    home = run(tmp_path, write_source(tmp_path, {3: "word"}), validation={"max_bad_cell_share": 1})
    record = json.loads((home / "replay.json").read_text())
    record["stages"].append({"kind": "raypipe.etl.steps.empty:DropEmptyRows", "settings": {}})
    (home / "replay.json").write_text(json.dumps(record))
    mends = Mends.parse(["id=", "city=", "units=", "day=", "note="], [])
    export(home, tmp_path / "m.csv", mends)
    assert replayed(home, tmp_path / "m.csv").dropped == {"DropEmptyRows": 1}


def test_a_row_that_steps_had_changed_when_it_was_set_aside_stays(tmp_path: Path) -> None:
    lines = ["id,day,units", *(f"{n},{n % 28 + 1:02d}.01.2025 ,{n}" for n in range(300))]
    lines[5] = "4,soon,4"
    (tmp_path / "d.csv").write_text("\n".join(lines) + "\n")
    home = run(tmp_path, tmp_path / "d.csv", read_options={"dtypes": {"day": "text"}})
    rows = export(home, tmp_path / "m.csv", Mends.parse(["day=05.01.2025"], []))
    assert rows["__stage__"].to_list() == ["ParseDates"]
    assert replayed(home, tmp_path / "m.csv").replayed == 1  # only trimmed before
    assert rows_of(home)["day"].dtype == pl.Date
    record = json.loads((home / "replay.json").read_text())
    cap = {"kind": "raypipe.etl.steps.outliers:CapOutliers", "settings": {"fences": []}}
    record["stages"].insert(0, cap)
    kept = late_stages(ReplayRecord.model_validate(record).open_stages())
    assert "ParseDates" in kept
    assert "TrimText" in kept


def test_mended_rows_go_through_the_steps_as_they_were_fitted(tmp_path: Path) -> None:
    steps = [
        {"step": "scale", "columns": "units", "method": "min_max"}, {"step": "encode_one_hot", "columns": "city"},
        {"step": "date_parts", "columns": "day"}, {"step": "filter_rows", "keep": "id <> 8"},
    ]  # fmt: skip
    source = write_source(tmp_path, {3: "word", 8: "negative"})
    home = run(tmp_path, source, processing={"impute": "auto", "steps": steps})
    export(home, tmp_path / "m.csv", Mends.parse(["units=399"], []))
    done = replayed(home, tmp_path / "m.csv")
    assert (done.replayed, list(done.dropped.values())) == (1, [1])
    rows = rows_of(home)
    assert rows.filter(units=1.0)["id"].to_list() == [3, 399]  # the scale is that of the run
    assert rows.height == 399


def test_a_step_that_looks_at_other_rows_is_refused(tmp_path: Path) -> None:
    step = {"step": "fill_missing", "columns": "note", "method": "forward"}
    source = write_source(tmp_path, {3: "word"})
    source.write_text(source.read_text().replace(",n17\n", ",\n"))
    home = run(tmp_path, source, processing={"steps": [step]})
    with pytest.raises(ConfigError, match="fill_missing decides about a row by others"):
        replayed(home)


def test_sql_mends_and_cannot_lose_a_row(home: Path, tmp_path: Path) -> None:
    query = "SELECT * REPLACE ('7' AS units) FROM rows WHERE units IS NOT NULL AND \"__column__\" = 'units'"
    export(home, tmp_path / "m.csv", Mends(sql=query))
    assert replayed(home, tmp_path / "m.csv").replayed == 2
    for sql, said in (
        ("SELECT city FROM rows", "must keep __id__"),
        ("SELECT __id__, 1 AS unit FROM rows", "column 'unit'.*Did you mean 'units'"),
        ("SELEC", "--sql: "),
        ("SELECT __id__, 'no' AS __action__ FROM rows", "takes replay, drop, keep"),
    ):
        with pytest.raises(ConfigError, match=said):
            export(home, tmp_path / "x.csv", Mends(sql=sql))
        assert not (tmp_path / "x.csv").exists()


def test_setting_a_field_leaves_lines_without_a_place_alone(home: Path, tmp_path: Path) -> None:
    rows = export(home, tmp_path / "m.csv", Mends.parse(["units=7", "city=Ulm"], []))
    assert rows.filter(pl.col("__raw__").is_not_null())["units"].to_list() == [None]
    assert replayed(home, tmp_path / "m.csv").reasons == {"4 fields instead of 5": 1}


def test_a_line_can_be_filled_in_field_by_field(home: Path, tmp_path: Path) -> None:
    rows = export(home, tmp_path / "m.csv")
    line = pl.col("__raw__").is_not_null()
    typed = {"id": "5", "city": "Kiel", "units": "5", "day": "2025-01-06", "note": "by hand"}
    rows.with_columns(pl.when(line).then(pl.lit(v)).otherwise(k).alias(k) for k, v in typed.items()).write_csv(
        tmp_path / "m.csv"
    )
    assert replayed(home, tmp_path / "m.csv").replayed == 1
    assert rows_of(home).row(by_predicate=pl.col("id") == 5)[4] == "by hand"


def test_formulas_are_no_formulas_in_the_csv_and_come_back_as_they_were(tmp_path: Path) -> None:
    source = write_source(tmp_path, {})
    lines = source.read_text().splitlines()
    lines[4] = "3,Ulm,many,2025-01-04,=cmd()"
    lines[5] = "4,Bonn,many,2025-01-05,'=x"
    source.write_text("\n".join(lines) + "\n")
    home = run(tmp_path, source)
    export(home, tmp_path / "m.csv", Mends.parse(["units=1"], []))
    assert "'=cmd()" in (tmp_path / "m.csv").read_text()
    assert replayed(home, tmp_path / "m.csv").replayed == 2
    assert rows_of(home)["note"].to_list()[3:5] == ["=cmd()", "'=x"]


def test_rows_of_parquet_go_the_same_way(tmp_path: Path) -> None:
    table = pl.DataFrame(
        {"id": range(50), "city": ["Ulm", None] * 25, "units": [-1 if n == 7 else n for n in range(50)]}
    )
    table = table.with_columns(
        when=pl.datetime(2025, 1, 1).dt.offset_by("1h"), price=pl.lit("1.50").cast(pl.Decimal(9, 2))
    )
    table.write_parquet(tmp_path / "t.parquet")
    home = run(tmp_path, tmp_path / "t.parquet")
    export(home, tmp_path / "m.csv", Mends.parse(["units=7"], []))
    assert replayed(home, tmp_path / "m.csv").replayed == 1
    expected = table.with_columns(units=pl.when(pl.col("id") == 7).then(7).otherwise("units"))
    assert_frame_equal(rows_of(home), expected)


def test_rows_that_broke_rules_of_a_file_are_held_to_the_very_rules_again(tmp_path: Path) -> None:
    rules = "rules:\n- {rule: between, columns: units, max: 350, where: city <> 'Kiel', action: quarantine}\n"
    (tmp_path / "rules.yaml").write_text(rules)
    config = {"rules_path": tmp_path / "rules.yaml", "quarantine": True}
    home = run(tmp_path, write_source(tmp_path, {}), validation=config)
    (tmp_path / "rules.yaml").write_text("rules:\n- {rule: between, columns: units, max: 1}\n")
    export(home, tmp_path / "m.csv", Mends.parse([], ["units:399=1", "units:397=999"]))
    done = replayed(home, tmp_path / "m.csv")
    assert (done.replayed, done.still_quarantined) == (1, done.quarantined_before - 1)
    with quarantined(find_run(str(home), "output", StorageConfig())) as state:
        aside = pl.read_parquet(state.path)
    assert aside.filter(pl.col("value") == "999")["rules"].to_list() == [["between:units"]]


def test_without_processed_rows_those_that_pass_have_a_folder_of_their_own(tmp_path: Path) -> None:
    home = run(tmp_path, write_source(tmp_path, {3: "word"}), save_intermediate=False)
    export(home, tmp_path / "m.csv", Mends.parse(["units=3"], []))
    assert [made["name"] for made in replayed(home, tmp_path / "m.csv").outputs] == [
        "replayed/part-replay-0001-mended@0000000000000.parquet"
    ]
    assert not (home / "processed").exists()


def test_a_replay_killed_before_its_record_counts_for_nothing_and_one_killed_after_is_finished(
    home: Path, tmp_path: Path
) -> None:
    export(home, tmp_path / "m.csv", Mends.parse(["units=7"], [], column="units"))
    done = replayed(home, tmp_path / "m.csv")
    record = home / "replays" / "0001" / "replay.json"
    part = home / done.outputs[0]["name"]
    # As after a kill between the record and the move of its parts:
    (record.parent / "parts").mkdir()
    part.rename(record.parent / "parts" / part.name)
    with quarantined(find_run(str(home), "output", StorageConfig())):
        assert part.exists()
    # As after a kill before the record:
    record.unlink()
    part.unlink()
    assert replayed(home, tmp_path / "m.csv") == done
    finish(find_run(str(home), "output", StorageConfig()), json.loads(record.read_text()))
    assert rows_of(home).height == 397


def test_counts_put_together_reasons_that_differ_in_the_value_only(tmp_path: Path) -> None:
    home = run(tmp_path, write_source(tmp_path, {3: "word", 4: "word", 5: "short", 8: "negative"}))
    counts = count(home / "quarantine.parquet", examples=1)
    assert next((group.rows, group.column) for group in counts.groups) == (2, "units")
    assert sum(group.rows for group in counts.groups) == counts.rows == 4
    assert all(len(group.examples) == 1 for group in counts.groups)
    assert {group.stage: group.rows for group in count(home / "quarantine.parquet", "stage").groups} == {
        "read": 3,
        "CheckRows": 1,
    }


def edit(rows: pl.DataFrame, path: Path, **columns: Any) -> Path:
    rows.with_columns(**columns).write_csv(path)
    return path


def test_a_file_of_another_run_is_refused(home: Path, tmp_path: Path) -> None:
    other = run(tmp_path, tmp_path / "s.csv", "other")
    export(other, tmp_path / "o.csv")
    with pytest.raises(ConfigError, match=r"row '.*-0' is none that run r set aside.*quarantine fix"):
        replayed(home, tmp_path / "o.csv")


def test_edited_files_that_make_no_sense_are_refused(home: Path, tmp_path: Path) -> None:
    rows = export(home, tmp_path / "m.csv")
    bad = tmp_path / "bad.csv"
    with pytest.raises(ConfigError, match=r"column 'unit' that the rows.*Did you mean 'units'"):
        replayed(home, edit(rows, bad, unit=pl.lit("1")))
    with pytest.raises(ConfigError, match="a row has no __id__"):
        replayed(home, edit(rows, bad, __id__=pl.lit(None)))
    with pytest.raises(ConfigError, match="twice; a row can be mended in one way only"):
        replayed(home, edit(rows, bad, __id__=pl.col("__id__").first()))
    with pytest.raises(ConfigError, match="__action__ is 'delete'; it takes replay, drop, keep"):
        replayed(home, edit(rows, bad, __action__=pl.lit("delete")))
    with pytest.raises(ReadError, match="there is no such file"):
        replayed(home, tmp_path / "none.csv")
    with pytest.raises(ConfigError, match=r"ends in \.csv, \.jsonl, \.parquet"):
        replayed(home, tmp_path / "m.xlsx")
    (tmp_path / "bad.jsonl").write_text("{oops\n")
    with pytest.raises(ReadError, match="line 1: is no JSON object"):
        replayed(home, tmp_path / "bad.jsonl")
    # a column that nobody edited may be left out, and so may rows
    rows.drop("note", "__reason__").head(1).with_columns(units=pl.lit("3")).write_csv(bad)
    assert replayed(home, bad).still_quarantined == 4


def test_mends_that_do_not_fit_the_rows_are_refused(home: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingColumnsError, match="Did you mean 'units'"):
        export(home, tmp_path / "x.csv", Mends.parse(["unit=3"], []))
    with pytest.raises(ConfigError, match="__file__ says what a row is"):
        export(home, tmp_path / "x.csv", Mends.parse(["__file__=a"], []))
    with pytest.raises(ConfigError, match="--set: got 'units'; wanted column=value"):
        Mends.parse(["units"], [])
    with pytest.raises(ConfigError, match="--map: got 'units=3'; wanted column:old=new"):
        Mends.parse([], ["units=3"])
    (tmp_path / "x.csv").write_text("mine")
    with pytest.raises(ConfigError, match="is there already"):
        export(home, tmp_path / "x.csv")


def test_runs_that_are_not_there_not_over_or_not_alone_are_refused(home: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no run 'rr'.*The last ones there: r"):
        find_run("rr", str(home.parent), StorageConfig())
    with pytest.raises(ConfigError, match="no folder of a run"):
        find_run(str(tmp_path), "output", StorageConfig())
    with locked(home / "replays" / "lock"), pytest.raises(ResumeError, match="still working on"):
        replayed(home)
    with locked(home / "resume" / "lock"), pytest.raises(ResumeError, match="still working on"):
        replayed(home)
    (home / "run.json").unlink()
    with pytest.raises(ResumeError, match="in progress, or was cut off"):
        replayed(home)
    (home / "quarantine.parquet").unlink()
    with pytest.raises(ConfigError, match=r"has no quarantine.parquet"):
        export(home, tmp_path / "x.csv")


def test_a_run_whose_rows_depend_on_each_other_is_refused_with_the_reason(tmp_path: Path) -> None:
    source = write_source(tmp_path, {3: "word"})
    source.write_text(source.read_text() + CLEAN[7] + "\n")
    home = run(tmp_path, source, processing={"drop_duplicates": True})
    with pytest.raises(ConfigError, match="DropDuplicates decides about a row by others"):
        replayed(home)


def test_a_run_of_a_pipeline_with_its_own_processing_is_refused(tmp_path: Path) -> None:
    class Mine(AnalyticsPipeline):
        def _process_data(self, frame: Any) -> Any:
            return super()._process_data(frame).to_polars().with_columns(extra=1)

    config = PipelineConfig(data_source=write_source(tmp_path, {3: "word"}), output_dir=tmp_path, run_id="m")
    home = Path(Mine(config).execute()["output_directory"])
    with pytest.raises(ConfigError, match=r"processed by code of its user \(_process_data\)"):
        replayed(home)


def test_a_record_that_names_a_class_from_elsewhere_is_not_imported(home: Path) -> None:
    record = json.loads((home / "replay.json").read_text())
    record["stages"][0]["kind"] = "subprocess:Popen"
    (home / "replay.json").write_text(json.dumps(record))
    with pytest.raises(ConfigError, match="has no stage 'subprocess:Popen'"):
        replayed(home)
    (home / "replay.json").write_text("{}")
    with pytest.raises(ReadError, match="is no record"):
        replayed(home)


def test_the_commands_say_what_they_did(home: Path, tmp_path: Path) -> None:
    runner = CliRunner()

    def said(*words: str) -> str:
        result = runner.invoke(app, ["quarantine", *words], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    assert "5 rows in quarantine" in said("show", str(home))
    assert json.loads(said("show", str(home / "quarantine.parquet"), "--by", "column", "--json"))["rows"] == 5
    assert "5 rows written to" in said("fix", str(home), "--out", str(tmp_path / "m.csv"), "--set", "units=1")
    assert "5 in quarantine = 2 replayed + 3 still there" in said("replay", str(home), str(tmp_path / "m.csv"))
    assert "nothing changed" in said("replay", str(home), str(tmp_path / "m.csv"))
    assert "3 rows in quarantine of 5 at first" in said("show", str(home))


def test_cells_are_mended_in_the_manner_of_their_file(tmp_path: Path) -> None:
    lines = ["id;price;day", *(f"{n};1.{n:03d},50;{n % 28 + 1:02d}.01.2025" for n in range(300))]
    lines[5], lines[9] = "4;much;05.01.2025", "8;1.008,50"
    (tmp_path / "de.csv").write_text("\n".join(lines) + "\n")
    home = run(tmp_path, tmp_path / "de.csv", validation={"max_bad_cell_share": 1})
    assert pl.read_parquet(home / "processed").schema["price"] == pl.Float64
    rows = export(home, tmp_path / "m.csv", Mends.parse(["price=1.004,50"], []))
    line = pl.col("__raw__").is_not_null()
    rows.with_columns(__raw__=pl.when(line).then(pl.lit("8;1.008,50;09.01.2025"))).write_csv(tmp_path / "m.csv")
    assert replayed(home, tmp_path / "m.csv").replayed == 2
    assert rows_of(home)["price"].to_list()[3:9] == [1003.5, 1004.5, 1005.5, 1006.5, 1007.5, 1008.5]
    assert rows_of(home)["day"].null_count() == 0


def test_what_folders_tell_is_told_of_mended_rows_too(tmp_path: Path) -> None:
    for year in (2023, 2024):
        folder = tmp_path / "lake" / f"year={year}"
        folder.mkdir(parents=True)
        lines = ["id,units", *(f"{n},{n}" for n in range(year, year + 60))]
        lines[3], lines[7] = lines[3].split(",")[0] + ",many", lines[7].split(",")[0]
        (folder / "a.csv").write_text("\n".join(lines) + "\n")
    home = run(tmp_path, tmp_path / "lake", validation={"max_bad_cell_share": 1})
    rows = export(home, tmp_path / "m.csv", Mends.parse(["units=5"], []))
    line = pl.col("__raw__").is_not_null()
    rows.with_columns(__raw__=pl.when(line).then(pl.col("__raw__") + ",5")).write_csv(tmp_path / "m.csv")
    assert replayed(home, tmp_path / "m.csv").replayed == 4
    found = rows_of(home).filter(units=5)
    assert sorted(found["year"].to_list()) == [2023, 2023, 2024, 2024]


def test_records_of_json_are_mended_field_by_field(tmp_path: Path) -> None:
    lines = [json.dumps({"id": n, "at": {"city": "Ulm", "units": n}}) for n in range(300)]
    lines[4], lines[7] = '{"id": 4, "at": {"city": "Ulm", "units": "many"}}', '{"id": 7, "at": {"city"'
    (tmp_path / "t.jsonl").write_text("\n".join(lines) + "\n")
    home = run(tmp_path, tmp_path / "t.jsonl", validation={"max_bad_cell_share": 1})
    rows = export(home, tmp_path / "m.csv")
    assert rows["__raw__"].to_list() == [lines[4], lines[7]]
    rows.with_columns(__raw__=pl.lit('{"id": 4}')).write_csv(tmp_path / "m.csv")
    done = replayed(home, tmp_path / "m.csv")
    assert done.reasons == {"text of a file of json cannot be read again; fill in its fields": 2}
    typed = {"id": pl.Series(["4", "7"]), "at.city": pl.lit("Bonn"), "at.units": pl.Series(["4", "7"])}
    rows.with_columns(**{"__raw__": pl.lit(None)}, **typed).write_csv(tmp_path / "m.csv")
    assert replayed(home, tmp_path / "m.csv").replayed == 2
    assert rows_of(home).filter(pl.col("at.city") == "Bonn")["at.units"].to_list() == [4, 7]


def test_rows_that_pass_are_written_as_the_run_wrote_its_rows(tmp_path: Path) -> None:
    home = run(
        tmp_path, write_source(tmp_path, {3: "word", 8: "negative"}), write={"format": "csv", "partition_by": "city"}
    )
    export(home, tmp_path / "m.csv", Mends.parse(["units=7"], []))
    names = [made["name"] for made in replayed(home, tmp_path / "m.csv").outputs]
    assert [Path(name).parent.as_posix() for name in names] == ["processed/city=Ulm", "processed/city=Kiel"]
    assert sum(pl.read_csv(path).height for path in (home / "processed").rglob("*.csv")) == 400


def test_a_run_in_a_bucket_is_mended_where_it_is(tmp_path: Path, s3: Bucket) -> None:
    place = f"s3://{BUCKET}/runs"
    source = write_source(tmp_path, {3: "word", 5: "short"})
    run(tmp_path, source, output_dir=place, storage=s3.storage.model_dump())
    files = find_run("r", place, s3.storage)
    with quarantined(files) as state:
        fix_rows(state, Mends.parse(["units=3"], []), tmp_path / "m.csv")
    for replayed_rows in (1, 0):
        with quarantined(files, to_change=True) as state:
            done = replay(state, tmp_path / "m.csv")
        assert (done.replayed, done.still_quarantined) == (replayed_rows, 1)
    assert "part-replay-0001-mended@0000000000000.parquet" in files.names("processed")
    assert files.names("replays/0001") == ["ledger.parquet", "quarantine.parquet", "replay.json"]
    with pytest.raises(ConfigError, match="there is no run in"):
        find_run("other", place, s3.storage)
