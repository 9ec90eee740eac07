"""JSON: lines and documents of every shape, exact values, and the law that a cut changes nothing."""

from __future__ import annotations

import datetime as dt
import json
import pickle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raypipe.config import ReadOptions
from raypipe.errors import ConfigError, MissingColumnsError, ReadError
from raypipe.etl.formats import json_parse
from raypipe.etl.reader import DataReader, ReadResult
from raypipe.etl.types import gather_misfits
from tests.laws import examples


def write(folder: Path, content: str | bytes, name: str = "x.json") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read_all(folder: Path, content: str | bytes, name: str = "x.json", **options: Any) -> ReadResult:
    return DataReader(write(folder, content, name), options=ReadOptions(**options)).read_all()


def rows(result: ReadResult) -> list[dict[str, Any]]:
    return list(result.table.to_pylist())


def aside(result: ReadResult) -> list[tuple[Any, ...]]:
    return [(one["line"], one["reason"], one["raw"]) for one in result.aside.to_pylist()]


TABLE = [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('{"a":1,"b":"x"}\n{"a":2,"b":"y"}\n', "x.jsonl"),
        ('{"a":1,"b":"x"}\r\n\r\n{"a":2,"b":"y"}', "x.ndjson"),
        ('{"a":1,"b":"x"}\n{"a":2,"b":"y"}\n', "x.json"),
        ('\ufeff{"a":1,"b":"x"}\n{"a":2,"b":"y"}\n', "x.json"),
        ('{"a":1,"b":"x"}\n{"a":2,"b":"y"}\n', "noname"),
        ('[{"a":1,"b":"x"},{"a":2,"b":"y"}]', "x.json"),
        ('\n[\n  {"a": 1, "b": "x"},\n  {"a": 2,\n   "b": "y"}\n]\n', "x.json"),
        ('{"took": 3, "rows": [{"a":1,"b":"x"},{"a":2,"b":"y"}], "total": 2}', "x.json"),
        ('{"a":[1,2],"b":["x","y"]}', "x.json"),
        ('{"a":{"0":1,"1":2},"b":{"0":"x","1":"y"}}', "x.json"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_one_table_in_many_layouts(tmp_path: Path, text: str, name: str, encoding: str) -> None:
    content = text.removeprefix("\ufeff").encode(encoding) if encoding != "utf-8" else text.encode()
    result = read_all(tmp_path, content, name)
    assert rows(result) == TABLE
    assert result.aside.num_rows == 0


def test_an_object_alone_is_a_row_and_records_names_the_array_of_rows(tmp_path: Path) -> None:
    assert rows(read_all(tmp_path, '{\n "a": 1,\n "b": {"c": 2}\n}')) == [{"a": 1, "b.c": 2}]
    text = '{"meta": {"n": [{"q": 1}]}, "data": {"items": [{"a": 1}, {"a": 2}]}}'
    assert rows(read_all(tmp_path, text, records="data.items")) == [{"a": 1}, {"a": 2}]
    with pytest.raises(ReadError, match=r"has no array at 'data\.rows'. Its fields are: meta, data"):
        read_all(tmp_path, text, records="data.rows")
    with pytest.raises(ConfigError, match="is an array itself"):
        read_all(tmp_path, "[]", records="data")


def test_fields_of_fields_are_columns_and_lists_stay(tmp_path: Path) -> None:
    result = read_all(tmp_path, '{"a":{"b":{"c":1},"d":[1,2]},"e":[["x"]]}\n{"a":null}\n{"a":{"d":[]}}\n')
    assert rows(result) == [
        {"a.b.c": 1, "a.d": [1, 2], "e": [["x"]]},
        {"a.b.c": None, "a.d": None, "e": None},
        {"a.b.c": None, "a.d": [], "e": None},
    ]
    text = '{"a":{"b":1.50},"l":[{"x":1}]}\n'
    assert rows(read_all(tmp_path, text, "x.jsonl", nested="text")) == [{"a": '{"b":1.50}', "l": '[{"x":1}]'}]
    assert rows(read_all(tmp_path, text, "x.jsonl")) == [{"a.b": 1.5, "l": '[{"x":1}]'}]
    with pytest.raises(ConfigError, match="nested='keep' has no meaning for JSON"):
        read_all(tmp_path, text, nested="keep")


def test_no_number_is_rounded(tmp_path: Path) -> None:
    text = (
        '{"i":9223372036854775807,"big":12345678901234567890123,"d":0.1234567890123456789,"f":0.30000000000000004}\n'
        '{"i":-9223372036854775808,"big":1,"d":1.0,"f":1e-7}\n{"i":0,"big":NaN,"d":null,"f":NaN}\n'
    )
    result = read_all(tmp_path, text)
    assert rows(result)[0] == {
        "i": 2**63 - 1, "big": "12345678901234567890123", "d": "0.1234567890123456789", "f": 0.1 + 0.2,
    }  # fmt: skip
    assert rows(result)[2] == {"i": 0, "big": None, "d": None, "f": None}
    assert "more digits than" in " ".join(result.source.notes)


def test_dates_are_found_in_texts_but_texts_of_digits_stay_text(tmp_path: Path) -> None:
    [row] = rows(read_all(tmp_path, '{"d":"2024-01-02","t":"2024-01-02T03:04:05Z","zip":"01234","n":"12","b":true}\n'))
    moment = dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    assert row == {"d": dt.date(2024, 1, 2), "t": moment, "zip": "01234", "n": "12", "b": True}


def test_bad_lines_go_aside_with_line_and_raw_text(tmp_path: Path) -> None:
    text = '{"a":1}\n\n{bad\n{"a":2,"a":3}\n[1]\n7\n{"a":4} {"a":5}\n{"a":6}\n{"a":"\\ud800"}\n{"a":1'
    result = read_all(tmp_path, text, "x.jsonl")
    assert rows(result) == [{"a": 1}, {"a": 6}]
    told = aside(result)
    assert [line for line, _, _ in told] == [2, 3, 4, 5, 6, 8, 9]
    assert [raw for _, _, raw in told][:3] == ["{bad", '{"a":2,"a":3}', "[1]"]
    reasons = [reason for _, reason, _ in told]
    assert reasons[1] == "key 'a' stands there twice"
    assert reasons[2] == "is an array, not an object"
    assert all("is no JSON" in reason for reason in (reasons[0], reasons[4], reasons[6]))


def test_bytes_of_another_encoding_cost_their_own_line(tmp_path: Path) -> None:
    result = read_all(tmp_path, b'{"a":"x"}\n{"a":"\xff"}\n{"a":"\xc3\xa9"}\n', "x.jsonl")
    assert rows(result) == [{"a": "x"}, {"a": "é"}]
    assert aside(result)[0][::2] == (1, '{"a":"\\xff"}')


def test_types_that_differ_are_joined_with_a_reason(tmp_path: Path) -> None:
    half = read_all(tmp_path, '{"a":1}\n{"a":"x"}\n{"a":true}\n{"a":[1.50]}\n')
    assert [row["a"] for row in rows(half)] == ["1", "x", "true", "[1.50]"]
    assert "holds numbers (1) and texts (1)" in " ".join(half.source.notes)
    late = read_all(tmp_path, '{"a":1}\n' * 50 + '{"a":"x"}\n')
    assert late.table.schema.field("a").type == pa.large_string()
    assert "is read as text, not int64: 1 of 51 values" in late.promotions[0].reason
    wider = read_all(tmp_path, '{"a":1}\n' * 50 + '{"a":1.5}\n')
    assert wider.table.schema.field("a").type == pa.float64()


def test_a_key_that_no_sample_had_becomes_a_column(tmp_path: Path) -> None:
    text = '{"a":1}\n' * 6_000 + '{"a":1,"late":{"x":2}}\n' + '{"a":1}\n' * 100
    result = read_all(tmp_path, text)
    assert result.table["late.x"].drop_null().to_pylist() == [2]
    assert "column 'late.x' is in no sampled row" in result.promotions[0].reason
    assert read_all(tmp_path, text, columns=("a",)).table.column_names == ["a"]


def test_deep_nesting_is_flattened_or_set_aside_and_never_a_crash(tmp_path: Path) -> None:
    deep = '{"a":' * 3000 + "1" + "}" * 3000
    result = read_all(tmp_path, f'{{"a":1}}\n{deep}\n{{"a":{"[" * 100_000}{"]" * 100_000}}}\n', "x.jsonl")
    assert rows(result) == [{"a": 1}]
    assert [reason for _, reason, _ in aside(result)] == ["is nested too deeply"] * 2
    fifty = '{"a":' * 50 + "1" + "}" * 50
    assert rows(read_all(tmp_path, fifty, "x.jsonl")) == [{".".join("a" * 50): 1}]


def test_dotted_keys_and_fields_of_fields_are_one_column(tmp_path: Path) -> None:
    result = read_all(tmp_path, '{"a.b":1}\n{"a":{"b":2}}\n{"a.b":3,"a":{"b":4}}\n')
    assert rows(result) == [{"a.b": 1}, {"a.b": 2}]
    assert "stands there twice" in aside(result)[0][1]


def test_keys_with_dots_are_read_by_the_quick_way_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, '{"user.name":"x","user.id":1,"at":{"x":2}}\n' * 3, "x.jsonl")
    monkeypatch.setattr(json_parse, "take_apart", None)
    [row, *_] = DataReader(path).read().to_pylist()
    assert row == {"user.name": "x", "user.id": 1, "at.x": 2}


def test_options_are_honoured(tmp_path: Path) -> None:
    text = '{"a":"NA","b":"7","c":{"d":1}}\n{"a":"y","b":"8","c":{"d":2}}\n{"a":"z","b":"9"}\n'
    result = read_all(tmp_path, text, null_values=("NA",), dtypes={"b": "int64"}, columns=("b", "a"), max_rows=2)
    assert rows(result) == [{"b": 7, "a": None}, {"b": 8, "a": "y"}]
    assert rows(read_all(tmp_path, f"[{text.strip().replace(chr(10), ',')}]", max_rows=1, columns=("c.d",))) == [
        {"c.d": 1}
    ]
    drawn = [DataReader(tmp_path / "x.json").source(seed=seed, sample_size=2) for seed in (1, 1, 2, 3)]
    got = [[source.open()(part).block.to_pylist() for part in source.parts()] for source in drawn]
    assert got[0] == got[1]
    assert all(sum(map(len, one)) == 2 for one in got)
    with pytest.raises(MissingColumnsError, match="no column 'c'"):
        read_all(tmp_path, text, columns=("c",))
    with pytest.raises(ConfigError, match="delimiter, header have no meaning for JSON"):
        read_all(tmp_path, text, delimiter=";", header=True)
    with pytest.raises(ConfigError, match="types are: int64"):
        read_all(tmp_path, text, dtypes={"a": "integer"})


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[1, 2]", "has no row: line 1 is a number, not an object"),
        ("[]", "has no field in any row"),
        ("{}", "has no field in any row"),
        ("  \n", "has no row, only blanks"),
        ("a,b\n1,2\n", "is not JSON, though its name says so: it holds text"),
        ('[{"a":1},{"a":2}', r"its array is never closed.*begins at byte 9"),
        ('[{"a":"1},{"a":2}]', "line 1 is no JSON"),
        ('[{"a":"1"},{"a":"2},{"a":3}]', "its array is never closed"),
        ('[{"a":1}]\n[{"a":2}]', "goes on behind the end of its array, at byte 9"),
        ('{"a":[1,2],"b":[1]}', "different lengths: 'a' has 2, 'b' has 1"),
    ],
)
def test_documents_that_are_no_table_are_refused_in_words(tmp_path: Path, text: str, match: str) -> None:
    with pytest.raises(ReadError, match=match):
        read_all(tmp_path, text)


def test_a_record_that_is_none_costs_only_itself_in_an_array(tmp_path: Path) -> None:
    result = read_all(tmp_path, '[{"a":1},\n{"a" 2},\n3,\n{"a":4},]')
    assert rows(result) == [{"a": 1}, {"a": 4}]
    assert [line for line, _, _ in aside(result)] == [1, 2, 3]


def test_a_large_array_on_one_line_is_cut_and_its_head_alone_is_looked_at(tmp_path: Path) -> None:
    rows = [{"a": row, "b": f"text, [{row}] \\" + '"' * (row % 3)} for row in range(40_000)]
    path = write(tmp_path, json.dumps(rows))
    source = DataReader(path).source(target_part_bytes=200_000)
    read = source.open()
    assert path.stat().st_size > 1 << 20
    assert len(source.parts()) > 5
    assert [row for part in source.parts() for row in read(part).block.to_pylist()] == rows


# Laws

scalars = st.one_of(
    st.integers(-(2**70), 2**70),
    st.integers(-5, 5),
    st.floats(allow_nan=True, allow_infinity=True),
    st.booleans(),
    st.none(),
    st.text(max_size=6),
    st.sampled_from(['"', "\\", "a\nb", "], [", "}{", "2024-01-02", "2024-01-02T03:04:05Z", "é", "NaN", "", "1"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
    max_leaves=5,
)
plain = st.fixed_dictionaries({"a": st.integers(0, 9), "b": st.sampled_from(["u", "v"])})
wild = st.dictionaries(st.sampled_from(["a", "b", "c", "c.x", "d e", '"']), values, max_size=4)
records = st.lists(st.one_of(plain, plain, wild), min_size=1, max_size=8)
bad_lines = st.sampled_from(["{", "}", "[1]", "7", "", "  ", '{"a":1}{"a":2}', '{"a":1,"a":2}', "{'a':1}", '{"a":01}'])


def everything(reader: DataReader, target: int) -> tuple[Any, ...]:
    source = reader.source(target_part_bytes=target)
    read, first = source.open(), 0
    good, bad, notes = [], [], []
    for part in source.parts():
        got = read(part)
        assert got.block.schema == source.schema()
        good += [repr(row) for row in got.block.to_pylist()]
        bad += [(one["line"] + first, one["column"], one["reason"], one["raw"]) for one in got.aside.to_pylist()]
        first += got.lines or 0
        notes.append(got.notes)
    assert pickle.loads(pickle.dumps(source)) == source
    misfits = gather_misfits(notes)
    return good, bad, {name: {**found, "line": 0} for name, found in misfits.items()}


@settings(max_examples=examples(12), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(st.one_of(plain.map(json.dumps), wild.map(json.dumps), bad_lines), max_size=8),
    target=st.integers(1, 80),
    piece=st.integers(1, 60),
)
def test_where_lines_are_cut_and_how_they_are_read_changes_nothing(
    tmp_path: Path, lines: list[str], target: int, piece: int
) -> None:
    reader = DataReader(write(tmp_path, "\n".join(['{"a":1,"b":"u"}', *lines]), "x.jsonl"))
    expected = everything(reader, 1 << 20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_parse, "PIECE", piece)
        assert everything(reader, target) == expected
        patch.setattr(json_parse, "_quick", lambda *_: None)
        assert everything(reader, target) == expected
    assert len(expected[0]) + len(expected[1]) == 1 + sum(bool(line.strip()) for line in lines)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=records, target=st.integers(1, 80), indent=st.sampled_from([None, 1]))
def test_an_array_gives_the_rows_of_the_same_lines_wherever_it_is_cut(
    tmp_path: Path, rows: list[dict[str, Any]], target: int, indent: int | None
) -> None:
    rows = [{"a": 1, "b": "u"}, *rows]
    lines = everything(DataReader(write(tmp_path, "\n".join(map(json.dumps, rows)), "x.jsonl")), 1 << 20)
    array = everything(DataReader(write(tmp_path, json.dumps(rows, indent=indent))), target)
    assert array[0] == lines[0]
    assert [one[1:3] for one in array[1]] == [one[1:3] for one in lines[1]]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {
                "i": st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
                "f": st.one_of(st.none(), st.floats(allow_nan=False, width=64, allow_infinity=False)),
                "s": st.one_of(st.none(), st.text()),
                "l": st.one_of(st.none(), st.lists(st.integers(-9, 9), min_size=1, max_size=3)),
            }
        ),
        min_size=1,
        max_size=10,
    )
)
def test_what_was_written_is_read(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    first = {"i": 1, "f": 0.5, "s": "x", "l": [1]}
    written = [first, *rows]
    table = DataReader(write(tmp_path, "\n".join(map(json.dumps, written)), "x.jsonl")).read()
    for name in "isl":
        assert table[name].to_pylist() == [row[name] for row in written]
    numbers = [value if isinstance(value, float) or value is None else float(value) for value in table["f"].to_pylist()]
    assert numbers == [row["f"] for row in written]
