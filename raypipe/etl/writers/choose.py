"""From the name of a destination and the options to what writes it."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import get_args

from raypipe.config import StorageConfig
from raypipe.config.write import FILE_FORMATS, WriteFormat, WriteOptions
from raypipe.errors import ConfigError
from raypipe.etl.writers.bucket import BucketTarget
from raypipe.etl.writers.disk import DiskTarget
from raypipe.etl.writers.target import Target
from raypipe.storage.address import is_remote, local_path

BY_SUFFIX: dict[str, WriteFormat] = {
    ".parquet": "parquet", ".pq": "parquet", ".parq": "parquet", ".csv": "csv", ".tsv": "csv", ".tab": "csv",
    ".txt": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".arrow": "arrow", ".feather": "arrow", ".ipc": "arrow",
    ".xlsx": "excel", ".db": "sql", ".sqlite": "sql", ".sqlite3": "sql",
}  # fmt: skip
DATABASES = ("sqlite", "postgresql", "postgres")
TABS = (".tsv", ".tab")
MOST_NAME_BYTES = 220
"""Systems allow 255; what lies beside a destination meanwhile is called after it."""


def open_target(dest: str | Path, options: WriteOptions, storage: StorageConfig | None = None) -> Target:
    """What writes to this destination.

    Parameters
    ----------
    dest : str or Path
        A file, a folder (by a slash at its end, or a name without a known ending), either one in a bucket, a Delta
        table (`options.format`, or the table is there already), or `sqlite:///file.db`, `postgresql://user@host/db`.

    Raises
    ------
    ConfigError
        If the name and the options do not go together.
    """
    text = str(dest)
    if not text.strip():
        raise ConfigError("the destination is an empty text. Give a file, a folder or a database.")
    _check_name(text)
    storage = storage or StorageConfig()
    scheme = text.partition(":")[0].lower() if "://" in text else ""
    if scheme.partition("+")[0] in DATABASES:
        return _sql(text, options)
    suffix, packed = _suffix(text)
    form = options.format or _form_of(text, suffix)
    _check_form(text, form, suffix, options)
    options = _completed(options.replace(format=form), suffix, packed)
    if form == "sql":
        return _sql(f"sqlite:///{local_path(text)}", options)
    if form == "delta":
        from raypipe.etl.writers.delta import DeltaTarget

        return DeltaTarget(text, options, storage)
    if form == "excel":
        from raypipe.etl.writers.excel import ExcelTarget

        return ExcelTarget(local_path(text).expanduser(), options)
    single = suffix != "" and not text.endswith("/") and not _is_folder(text)
    if single and options.partition_by:
        raise ConfigError(f"{text}: partition_by writes folders of files. Name a folder: {text.rpartition('.')[0]}/")
    if is_remote(text):
        return BucketTarget(text, options, storage, single=single)
    return DiskTarget(local_path(text).expanduser(), options, single=single)


def check_parts(options: WriteOptions) -> None:
    """Raise ConfigError unless these are options for files of parts in a folder of a run."""
    if options.format not in (None, *FILE_FORMATS):
        raise ConfigError(
            f"write.format: processed rows are written as {', '.join(FILE_FORMATS)}, not as {options.format}. "
            "Write them elsewhere afterwards: raypipe convert"
        )
    if options.mode != "new" or options.file_mib is not None:
        raise ConfigError(
            "write: mode and file_mib have no meaning for processed rows, one file a part. Leave them out"
        )


def _sql(url: str, options: WriteOptions) -> Target:
    from raypipe.etl.writers.sql import SqlTarget

    return SqlTarget(url, options.replace(format="sql"))


def _check_name(text: str) -> None:
    name = text.rstrip("/").rpartition("/")[2]
    if "\0" in text:
        raise ConfigError(f"{text!r}: a name cannot hold a zero byte. Choose another name")
    if not is_remote(text) and len(name.encode("utf-8", "surrogateescape")) > MOST_NAME_BYTES:
        raise ConfigError(
            f"{text}: its name has {len(name):,} characters; names of files hold {MOST_NAME_BYTES} bytes, with room for"
            " those of what is set aside. Choose a shorter one"
        )


def _suffix(text: str) -> tuple[str, str]:
    """The ending that tells a format, and that of a compression behind it."""
    name = text.rpartition("/")[2].lower()
    packed = next((end for end in (".gz", ".zst") if name.endswith(end)), "")
    suffix = Path(name.removesuffix(packed)).suffix
    return (suffix if suffix in BY_SUFFIX else ""), packed


def _form_of(text: str, suffix: str) -> WriteFormat:
    if not is_remote(text) and (local_path(text).expanduser() / "_delta_log").is_dir():
        return "delta"
    if suffix:
        return BY_SUFFIX[suffix]
    name = Path(text.rstrip("/")).name
    if Path(name).suffix and not text.endswith("/") and not _is_folder(text):
        close = difflib.get_close_matches(Path(name).suffix.lower(), BY_SUFFIX, n=1)
        hint = f" Did you mean {close[0]}?" if close else ""
        raise ConfigError(
            f"{text}: {Path(name).suffix} tells no format; wanted one of {', '.join(BY_SUFFIX)}.{hint} Or say it: "
            f"--format {'|'.join(get_args(WriteFormat))}, and let a folder end in a slash"
        )
    return "parquet"


def _check_form(text: str, form: WriteFormat, suffix: str, options: WriteOptions) -> None:
    if suffix and BY_SUFFIX[suffix] != form and form != "delta":
        raise ConfigError(f"{text}: its name says {BY_SUFFIX[suffix]}, and the format is to be {form}. Rename it")
    if options.mode == "merge" and form not in ("delta", "sql"):
        raise ConfigError(f"{text}: merge works on Delta and SQL tables, not on {form}")
    if form in ("excel", "sql") and is_remote(text):
        raise ConfigError(f"{text}: {form} is written to a disk only. Write it here, then upload it")
    if options.partition_by and form not in (*FILE_FORMATS, "delta"):
        raise ConfigError(f"{text}: partition_by has no meaning for {form}. Leave it out")
    if options.file_mib is not None and form not in FILE_FORMATS:
        raise ConfigError(f"{text}: file_mib has no meaning for {form}. Leave it out")


def _completed(options: WriteOptions, suffix: str, packed: str) -> WriteOptions:
    """With what the name says of delimiter and compression."""
    compression = {".gz": "gzip", ".zst": "zstd"}.get(packed, "none")
    if packed and options.format not in ("csv", "jsonl"):
        raise ConfigError(f"the ending {packed} is for CSV and JSON lines; {options.format} compresses inside. Drop it")
    csv, lines = options.csv, options.json_lines
    given = {"csv": csv.compression, "jsonl": lines.compression}.get(str(options.format))
    if packed and given not in (None, compression):
        raise ConfigError(f"the name ends in {packed}, and the compression is to be {given}. Rename the destination")
    delimiter = csv.delimiter or ("\t" if suffix in TABS else ",")
    return options.replace(
        csv=csv.replace(compression=csv.compression or compression, delimiter=delimiter),
        json_lines=lines.replace(compression=lines.compression or compression),
    )


def _is_folder(text: str) -> bool:
    return not is_remote(text) and local_path(text).expanduser().is_dir()
