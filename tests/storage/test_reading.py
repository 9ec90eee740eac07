"""Sources in buckets are read as the same files on a disk are."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raypipe.config import ReadOptions, StorageConfig
from raypipe.errors import ConfigError, ReadError
from raypipe.etl.formats import csv_guess
from raypipe.etl.reader import DataReader
from tests.storage.proxy import Fault, Proxy, xml_error
from tests.storage.servers import Bucket

ROWS = 20_000


def csv_text(rows: int, quoted: bool = False, seed: int = 1) -> bytes:
    """Rows with numbers, dates and text; with `quoted`, text that holds line ends, delimiters and quotes."""
    draw = random.Random(seed)
    lines = ["id,day,price,note"]
    for row in range(rows):
        note = draw.choice(["plain", "fine", ""])
        if quoted and draw.random() < 0.3:
            note = draw.choice(['"two\nlines, of ""text"""', '"a,b\n1,2,3,4\n"', '"x"'])
        lines.append(f"{row},2026-01-{row % 28 + 1:02d},{draw.random() * 100:.2f},{note}")
    return ("\n".join(lines) + "\n").encode()


def parts_of(reader: DataReader, target: int) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """What every part is, and what it gave, without where it lies."""
    source = reader.source(target_part_bytes=target)
    read = source.open()
    parts = source.parts()
    got = [read(part) for part in parts]
    ids = [(part.id, part.rows, part.bytes) for part in parts]
    return ids, [
        (one.block.to_pydict(), one.aside.to_pydict(), one.row_numbers and one.row_numbers.to_pylist(), one.lines)
        for one in got
    ]


@pytest.fixture
def small_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small objects are cut as large ones are."""
    monkeypatch.setattr("raypipe.etl.formats.csv_plan.GUESS_BYTES", 1 << 10)
    monkeypatch.setattr(csv_guess, "WINDOW", 256)


@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize("target", [20_000, 333_333])
def test_parts_of_a_csv_object_are_those_of_the_same_file(
    s3: Bucket, tmp_path: Path, quoted: bool, target: int, small_guess: None
) -> None:
    text = csv_text(ROWS // 10, quoted).replace(b"7,2026", b"7,ragged,2026,x,y", 3)
    (tmp_path / "a.csv").write_bytes(text)
    remote = DataReader(s3.put("a.csv", text), storage=s3.storage)
    assert parts_of(remote, target) == parts_of(DataReader(tmp_path / "a.csv"), target)


def test_parts_of_an_object_in_utf_16_are_those_of_the_same_file(s3: Bucket, tmp_path: Path, small_guess: None) -> None:
    text = csv_text(2_000, quoted=True).decode().encode("utf-16")
    (tmp_path / "a.csv").write_bytes(text)
    remote = DataReader(s3.put("a.csv", text), storage=s3.storage)
    assert any(piece.sought is not None for piece in remote.source(target_part_bytes=30_000).slices)
    assert parts_of(remote, 30_000) == parts_of(DataReader(tmp_path / "a.csv"), 30_000)


def test_samples_and_first_rows_of_an_object_are_those_of_the_same_file(
    s3: Bucket, tmp_path: Path, small_guess: None
) -> None:
    text = csv_text(2_000, quoted=True)
    (tmp_path / "a.csv").write_bytes(text)
    uri = s3.put("a.csv", text)
    first = ReadOptions(max_rows=777)
    assert (
        DataReader(uri, options=first, storage=s3.storage)
        .read()
        .equals(DataReader(tmp_path / "a.csv", options=first).read())
    )
    sources = (DataReader(uri, storage=s3.storage), DataReader(tmp_path / "a.csv"))
    drawn = []
    for reader in sources:
        source = reader.source(sample_size=50, target_part_bytes=10_000)
        read = source.open()
        drawn.append([read(part).block.to_pydict() for part in source.parts()])
    assert drawn[0] == drawn[1]


def test_a_quote_that_is_never_closed_makes_the_object_be_cut_exactly(
    s3: Bucket, tmp_path: Path, small_guess: None, caplog: pytest.LogCaptureFixture
) -> None:
    lines = csv_text(2_000).splitlines(keepends=True)
    lines[700] = b'699,2026-01-01,1.0,"never closed\n'
    text = b"".join(lines)
    (tmp_path / "a.csv").write_bytes(text)
    local = DataReader(tmp_path / "a.csv").read_all()
    with caplog.at_level("WARNING"):
        remote = DataReader(s3.put("a.csv", text), storage=s3.storage)
        source = remote.source(target_part_bytes=10_000)
        assert any("miscut" in source.open()(part).notes for part in source.parts())
        got = remote.read_all()
    assert got.table.equals(local.table)
    assert got.aside.equals(local.aside)


def test_any_cut_of_text_full_of_quotes_is_found_or_refused(s3: Bucket, tmp_path: Path, small_guess: None) -> None:
    draw = random.Random(5)
    for turn in range(12):
        lines = ["a,b,c"]
        for _ in range(400):
            lines.append(
                ",".join(draw.choice(["1", 'x"y', '"q"', '"q\nr"', '"1,2\n3,4"', '""', '"a""b"']) for _ in range(3))
            )
        if turn % 3 == 0:
            lines[draw.randrange(1, 400)] = '1,"lost,2'
        text = ("\n".join(lines) + "\n").encode()
        (tmp_path / "a.csv").write_bytes(text)
        target = draw.randrange(700, 3_000)
        local = DataReader(tmp_path / "a.csv")
        remote = DataReader(s3.put(f"{turn}.csv", text), storage=s3.storage)
        source = remote.source(target_part_bytes=target)
        read = source.open()
        if any("miscut" in read(part).notes for part in source.parts()):
            continue
        expected = [part.id.partition("@")[2] for part in local.source(target_part_bytes=target).parts()]
        assert [part.id.partition("@")[2] for part in source.parts()] == expected


def test_row_ranges_of_parquet_objects_are_those_of_the_same_files(s3: Bucket, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        draw = random.Random(seed)
        table = pa.table(
            {
                "id": range(ROWS),
                "price": [draw.random() for _ in range(ROWS)],
                "city": [draw.choice(["Ulm", "Bonn", None]) for _ in range(ROWS)],
                "tags": [[str(row), "x"] for row in range(ROWS)],
                "dotted.name": pa.array(range(ROWS), pa.int32()),
            }
        )
        pq.write_table(table, tmp_path / f"{name}.parquet", row_group_size=3_000)
    remote = DataReader(s3.put_folder(tmp_path, "lake"), storage=s3.storage)
    local = DataReader(tmp_path)
    assert parts_of(remote, 200_000) == parts_of(local, 200_000)
    some = ReadOptions(columns=("tags", "dotted.name"))
    assert (
        DataReader(f"{s3.uri}/lake", options=some, storage=s3.storage)
        .read()
        .equals(DataReader(tmp_path, options=some).read())
    )


def test_a_folder_and_a_pattern_name_the_same_files_as_on_a_disk(s3: Bucket, tmp_path: Path) -> None:
    for name in ("b/x.csv", "a.csv", "b-1/y.csv", "_tmp/no.csv", "b/.hidden.csv", "b/_SUCCESS", "c/z.txt", "c/w.bin"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("a,b\n1,2\n")
    (tmp_path / "empty.csv").write_text("")
    prefix = s3.put_folder(tmp_path, "data")
    for pattern in ("", "/", "/*.csv", "/**/*.csv", "/b*/*.csv", "/[bc]/?.*", "/b/x.csv", "/[!b]/*"):
        remote = DataReader(prefix + pattern, storage=s3.storage)
        local = DataReader(str(tmp_path) + pattern)
        expected = [file.relative_to(tmp_path).as_posix() for file in local.files if isinstance(file, Path)]
        assert [str(file).removeprefix(f"{prefix}/") for file in remote.files] == expected, pattern


def test_looking_at_a_source_makes_few_requests(proxied: tuple[Bucket, Proxy], tmp_path: Path) -> None:
    bucket, proxy = proxied
    bucket.put("big.csv", csv_text(60_000))
    pq.write_table(pa.table({"a": range(ROWS)}), tmp_path / "a.parquet")
    bucket.put("a.parquet", (tmp_path / "a.parquet").read_bytes())
    DataReader(f"{bucket.uri}/big.csv", storage=bucket.storage).source()
    assert proxy.count("HEAD") <= 3
    assert proxy.count("GET /sales/big.csv") <= 4  # head, middle, tail, and a whole object of this size to cut it
    proxy.asked.clear()
    source = DataReader(f"{bucket.uri}/a.parquet", storage=bucket.storage).source()
    assert len(proxy.asked) <= 4
    proxy.asked.clear()
    read = source.open()
    for part in source.parts():
        read(part)
    assert proxy.count("GET /sales/a.parquet") <= len(source.parts()) + 1


def test_a_source_that_changes_during_the_run_is_refused(s3: Bucket) -> None:
    uri = s3.put("a.csv", csv_text(100))
    source = DataReader(uri, storage=s3.storage).source()
    s3.put("a.csv", csv_text(100, seed=2))  # of the same size
    with pytest.raises(ReadError, match="a.csv: changed while it was being read"):
        source.open()(source.parts()[0])


def test_throttling_is_waited_for_and_logged(proxied: tuple[Bucket, Proxy], caplog: pytest.LogCaptureFixture) -> None:
    bucket, proxy = proxied
    uri = bucket.put("a.csv", csv_text(500))
    proxy.faults += [Fault("GET", r"a\.csv", 503, xml_error("SlowDown"), times=3), Fault("HEAD", ".", 503, times=2)]
    with caplog.at_level("WARNING"):
        assert DataReader(uri, storage=bucket.storage).read().num_rows == 500
    assert re.search("SLOW_DOWN|SERVICE_UNAVAILABLE", caplog.text)  # Arrow loses the code of a 503 now and then
    assert "trying again in" in caplog.text


def test_a_download_that_is_cut_off_is_made_again(proxied: tuple[Bucket, Proxy]) -> None:
    bucket, proxy = proxied
    uri = bucket.put("a.csv", csv_text(500))
    proxy.faults += [Fault("GET", r"a\.csv", cut=100, times=3)]
    assert DataReader(uri, storage=bucket.storage).read().num_rows == 500


CASES = [
    (Fault("GET", r"a\.csv", cut=100), r"cannot read s3://sales/a.csv: the download was cut off .*tries"),
    (Fault("*", ".", 503, xml_error("SlowDown")), "Amazon S3|refuses for too many requests. Run again later"),
    (Fault("*", ".", 403, xml_error("AccessDenied")), "no permission to read it.*s3:GetObject"),
    (Fault("GET", ".", 403, xml_error("InvalidAccessKeyId")), "does not accept the credentials.*aws configure"),
    (Fault("GET", ".", 403, xml_error("ExpiredToken")), "does not accept the credentials.*out of date"),
    (Fault("*", ".", 301, xml_error("PermanentRedirect")), "in another region than 'us-east-1'.*storage.s3.region"),
    (Fault("*", ".", 500, xml_error("InternalError")), "cannot be reached or does not answer"),
    (Fault("GET", ".", delay_s=3), "cannot be reached or does not answer.*Timeout"),
]


@pytest.mark.parametrize(("fault", "text"), CASES)
def test_what_goes_wrong_is_said_in_words(proxied: tuple[Bucket, Proxy], fault: Fault, text: str) -> None:
    bucket, proxy = proxied
    uri = bucket.put("a.csv", csv_text(50))
    proxy.faults.append(fault)
    storage = bucket.storage.replace(retries=1, request_timeout_s=1.0)
    with pytest.raises(ReadError, match=text) as caught:
        DataReader(uri, storage=storage).read()
    assert "sales" in str(caught.value)
    assert "testing-secret" not in str(caught.value)


def test_what_is_not_there_is_said_with_what_it_may_have_been(s3: Bucket) -> None:
    s3.put("2026/may.csv", csv_text(5))
    with pytest.raises(ReadError, match=r"no such object.*Did you mean 's3://sales/2026/may.csv'"):
        DataReader(f"{s3.uri}/2026/mai.csv", storage=s3.storage)
    with pytest.raises(ReadError, match=r"there is no bucket 'sails'.*aws s3 ls"):
        DataReader("s3://sails/2026/may.csv", storage=s3.storage)
    with pytest.raises(ReadError, match=r"there is no bucket 'sails'"):
        DataReader("s3://sails/2026/*.csv", storage=s3.storage)
    with pytest.raises(ReadError, match="no object with data matches"):
        DataReader(f"{s3.uri}/2027/*.csv", storage=s3.storage)


def test_a_server_that_is_not_there_is_said_within_seconds() -> None:
    storage = StorageConfig(backoff_s=0.01, retries=1)
    away = storage.replace(s3=storage.s3.replace(endpoint="http://127.0.0.1:1", anonymous=True))
    with pytest.raises(ReadError, match=r"127.0.0.1:1 cannot be reached.*storage.s3.endpoint"):
        DataReader("s3://sales/a.csv", storage=away)


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        ("s3://AKIAEXAMPLE:secret@sales/a.csv", r"s3://\*\*\*@sales/a.csv: an address holds no credentials"),
        ("s3://secret@sales/a.csv", "holds no credentials"),
        ("https://host/a.csv?X-Amz-Signature=secret", r"holds a credential \(X-Amz-Signature=…\)"),
        ("https://host/a.csv?sv=1&sig=secret", "holds a credential"),
        ("s3:///a.csv", "names no bucket"),
        ("nosuch://bucket/a.csv", "no such kind of storage"),
    ],
)
def test_an_address_that_cannot_be_is_refused_without_its_secret(uri: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text) as caught:
        DataReader(uri)
    assert "secret" not in str(caught.value)
