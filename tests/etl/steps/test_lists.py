"""Laws that every step of `processing.steps` keeps, each on one table that holds what real ones hold."""

import datetime as dt
import json

import numpy as np
import pyarrow as pa
import pytest

from raypipe.config.steps import STEP_SETTINGS
from raypipe.etl.processing.processor import FittedProcessor
from raypipe.etl.steps.registry import RECIPES
from tests.etl.steps.lists import applied

ROWS = 40
PARTS = (7, 0, 13, 20)


def mixed() -> pa.Table:
    rng = np.random.default_rng(0)
    x = rng.normal(10, 3, ROWS).round(2).tolist()
    for gap in (0, 3, 4, 5, 17, 39):
        x[gap] = None
    x[7] = 500.0
    whole = rng.integers(1, 50, ROWS).tolist()
    whole[2] = None
    city = rng.choice(["Ulm", "Bonn", "Köln", "rare"], ROWS, p=[0.5, 0.3, 0.18, 0.02]).tolist()
    city[9] = None
    start = dt.datetime(2024, 1, 1)
    return pa.table(
        {
            "x": x,
            "k": pa.array(whole, pa.int64()),
            "city": city,
            "y": (rng.random(ROWS) > 0.5).astype(float),
            "day": pa.array([start + dt.timedelta(hours=13 * n) for n in range(ROWS)], pa.timestamp("us")),
            "money": [f"€ {1000 + n},{n % 10}0" if n % 3 else "(5)" for n in range(ROWS)],
            "weight": [f"{n} kg" if n % 2 else f"{n}000 g" for n in range(ROWS)],
            "words": [f"  MÃ¼nchen  {n}\t" for n in range(ROWS)],
            "written": [f"{n % 28 + 1:02d}.{n % 12 + 1:02d}.2024" if n else "soon" for n in range(ROWS)],
            "nothing": pa.nulls(ROWS),
            "flag": [n % 2 == 0 for n in range(ROWS)],
            "same": [5] * ROWS,
        }
    )


LISTS = {
    "drop_missing": [{"step": "drop_missing", "columns": ["x", "city"]}],
    "drop_missing all": [{"step": "drop_missing", "columns": ["x", "k"], "how": "all"}],
    "drop_missing min": [{"step": "drop_missing", "columns": ["x", "k", "city"], "min_present": 2}],
    "flag and constant": [
        {"step": "flag_missing", "columns": "kind:numbers"},
        {"step": "fill_missing", "columns": "x", "method": "constant", "value": 3},
        {"step": "fill_missing", "columns": "k", "method": "mean"},
        {"step": "fill_missing", "columns": "day", "method": "median"},
        {"step": "fill_missing", "columns": "city", "method": "mode"},
    ],
    **{f"fill {way}": [{"step": "fill_missing", "columns": ["x", "k"], "method": way}]
       for way in ("median", "forward", "backward", "interpolate")},
    "interpolate along": [{"step": "fill_missing", "columns": "x", "method": "interpolate", "along": "day"}],
    **{f"fill {way} by": [{"step": "fill_missing", "columns": ["x", "k"], "method": way, "by": ["city"]}]
       for way in ("mean", "median", "mode", "forward", "interpolate")},
    "cap by every method": [
        {"step": "outliers", "columns": ["x", "k"], "method": way, "name": way}
        for way in ("iqr", "zscore", "mad", "percentile")
    ],
    **{f"outliers {action}": [{"step": "outliers", "columns": "x", "action": action}]
       for action in ("null", "drop", "quarantine", "none")},
    "scale by every method": [
        {"step": "scale", "columns": ["x", "k", "same"], "method": way, "name": way}
        for way in ("z_score", "min_max", "robust", "max_abs")
    ],
    "transform": [
        {"step": "transform", "columns": "x", "method": "yeo_johnson"},
        {"step": "transform", "columns": "k", "method": "log"},
        {"step": "transform", "columns": ["same"], "method": "sqrt"},
    ],
    "bin": [{"step": "bin", "columns": "x"}, {"step": "bin", "columns": "k", "method": "width", "bins": 3}],
    "label": [
        {"step": "encode_label", "columns": ["city", "flag", "k"]},
        {"step": "encode_frequency", "columns": "city"},
        {"step": "encode_hash", "columns": "city", "buckets": 8, "replace_column": True},
    ],
    "ordinal": [
        {"step": "encode_ordinal", "columns": "city", "order": ["rare", "Ulm", "Bonn"], "unseen": "quarantine"}
    ],
    "one hot": [
        {"step": "encode_one_hot", "columns": ["city", "flag"], "keep_column": True},
        {"step": "drop_columns", "columns": ["city_*", "flag_*"]},
        {"step": "encode_one_hot", "columns": "city", "max_categories": 2, "drop_first": True},
    ],
    "rare": [{"step": "merge_rare", "columns": "city", "min_share": 0.1}],
    "text": [
        {"step": "clean_text", "columns": "words", "fix_mojibake": True, "unicode": "nfkc", "strip_control": True,
         "strip_accents": True, "case": "upper"},
        {"step": "replace_text", "columns": "words", "pattern": r"\d+", "replacement": "#"},
        {"step": "map_values", "columns": "city", "mapping": {"Ulm": "U", "Bonn": None}},
        {"step": "map_values", "columns": "k", "mapping": {"1": 100}, "others": "null"},
    ],
    "numbers in text": [
        {"step": "parse_numbers", "columns": "money", "decimal": ","},
        {"step": "parse_numbers", "columns": "weight", "unit": "lb"},
        {"step": "parse_numbers", "columns": "city", "on_misfit": "null"},
        {"step": "convert_units", "columns": "weight", "source": "lb", "to": "kg"},
    ],
    "dates": [
        {"step": "parse_dates", "columns": "written", "format": "%d.%m.%Y"},
        {"step": "date_parts", "columns": "day", "holidays": ["2024-01-02"],
         "parts": ["year", "quarter", "week", "day_of_year", "minute", "is_weekend", "is_business_day", "hour_sin"]},
        {"step": "date_difference", "start": "written", "end": "day", "unit": "hours", "into": "gap"},
        {"step": "date_difference", "start": "written", "end": "day", "unit": "business_days", "into": "days"},
        {"step": "convert_time_zone", "columns": "day", "source": "UTC", "to": "Europe/Rome"},
    ],
    **{f"winner {keep}": [
        {"step": "drop_duplicates", "by": ["city"], "keep": keep, **({"of": "x"} if keep in ("max", "min") else {})}
    ] for keep in ("first", "last", "max", "min", "most_complete", "none")},
    "rows and columns": [
        {"step": "derive", "column": "z", "expression": "x * 2 + k"},
        {"step": "derive", "column": "one", "expression": "1"},
        {"step": "filter_rows", "keep": "z > 10 AND city IS NOT NULL"},
        {"step": "rename_columns", "names": {"z": "zed"}},
        {"step": "cast", "columns": "x", "to": "int64", "on_misfit": "null"},
        {"step": "cast", "columns": ["day", "flag"], "to": "text"},
        {"step": "downcast"},
        {"step": "select_columns", "columns": ["k", "zed", "day"]},
    ],
    "cast aside": [{"step": "cast", "columns": "city", "to": "integer"}],
    "each on what the last one left": [
        {"step": "fill_missing", "columns": ["x", "k"], "method": "mean"},
        {"step": "outliers", "columns": "x"},
        {"step": "scale", "columns": ["x", "k"]},
        {"step": "encode_one_hot", "columns": "city"},
        {"step": "scale", "columns": "kind:numbers", "name": "all"},
        {"step": "drop_duplicates"},
    ],
}  # fmt: skip


def test_every_step_stands_in_a_list_here():
    assert set(RECIPES) == set(STEP_SETTINGS)
    tried = {step["step"] for steps in LISTS.values() for step in steps}
    assert set(STEP_SETTINGS) - tried == {"encode_target"}  # it has a test of its own: rows do not see themselves


@pytest.mark.parametrize("name", LISTS)
def test_a_list_gives_the_same_however_rows_are_cut_and_once_it_was_saved(name):
    whole = applied(mixed(), LISTS[name])
    parted = applied(mixed(), LISTS[name], PARTS, block_rows=5)
    assert parted.table.equals(whole.table)
    assert parted.dropped == whole.dropped
    assert parted.quarantine["reason"].equals(whole.quarantine["reason"])
    assert parted.passes == whole.passes
    for label, report in whole.reports.items():
        other = parted.reports[label]
        assert (other.cells_changed, other.rows_touched) == (report.cells_changed, report.rows_touched)
        assert report.model_validate_json(report.model_dump_json()) == report
    assert parted.processor == whole.processor
    again = FittedProcessor.model_validate(json.loads(json.dumps(whole.processor.to_json(), allow_nan=False)))
    assert again == whole.processor
    assert again.process(mixed()).table.equals(whole.table)


def test_steps_leave_empty_tables_and_columns_without_a_value_in_peace():
    empty = mixed().slice(0, 0)
    for name, steps in LISTS.items():
        if name == "one hot":  # a later step of it works on columns that only data make
            continue
        assert applied(empty, steps).table.num_rows == 0, name
    gaps = pa.table({"x": pa.nulls(3, pa.float64()), "k": pa.nulls(3, pa.int64()), "city": pa.nulls(3, pa.string())})
    for name in ("fill median", "fill forward", "fill mean by", "scale by every method", "bin", "label", "rare"):
        steps = [{**step, "columns": [c for c in np.atleast_1d(step["columns"]) if c in gaps.column_names]}
                 for step in LISTS[name]]  # fmt: skip
        made = applied(gaps, steps).table
        assert made["x"].null_count == 3, name


def test_the_report_has_figures_before_and_after():
    made = applied(mixed(), LISTS["each on what the last one left"])
    fill, caps = made.reports["fill_missing"], made.reports["outliers"]
    assert (fill.cells_changed, fill.rows_touched) == (7, 7)
    assert fill.figures["x"]["before"]["nulls"] == 6
    assert fill.figures["x"]["after"]["nulls"] == 0
    assert fill.figures["x"]["after"] == caps.figures["x"]["before"]
    assert caps.figures["x"]["after"]["max"] < 500 == caps.figures["x"]["before"]["max"]
    assert made.reports["scale"].figures["x"]["after"]["mean"] == pytest.approx(0, abs=1e-12)
    assert made.reports["encode_one_hot"].columns_dropped == ("city",)
