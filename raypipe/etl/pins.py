"""What was found about text files as read options, so that the next run does not guess; and as facts for a record."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from raypipe.config import ReadOptions
from raypipe.etl.formats.csv_dialect import MIXED
from raypipe.etl.formats.csv_file import CsvFile
from raypipe.etl.source import TableSource
from raypipe.etl.types import kind_of

PINS_FILE = "read_options.yaml"
MOST_FACTS = 100
_LINE_ENDS = {"\n": "lf", "\r": "cr", MIXED: "mixed"}
_HEAD = """\
# How this source was read: what was found by looking at it, and what was set. With these read_options
# nothing is guessed, and the same files give the same table. Put them into a config, or run with this file:
# raypipe run --config {name} SOURCE
"""


def pinned_options(source: TableSource, given: ReadOptions) -> ReadOptions:
    """The options that read the source as it was read, with nothing left to find.

    What differs between files is left as it was given: each file is looked at for it.

    Parameters
    ----------
    source : TableSource
        With types that hold for all of it, as after a run or `DataReader.read_all`.
    given : ReadOptions
        What the user had set.
    """
    files = [file for file in source.files if isinstance(file, CsvFile)]
    if source.format != "csv" or len(files) < len(source.files):
        return given
    pins: dict[str, Any] = {}
    for name, values in _structure(files):
        if len(set(values)) == 1:
            pins[name] = values[0]
    if pins.get("table", 1) > 1 or any(file.found.tables > 1 for file in files):
        for name in ("skip_rows", "fields"):
            pins.pop(name, None)  # the table is found by its number, and its title with it
    else:
        pins.pop("table", None)
    names = {name for file in files for name in file.names}
    kinds = {field.name: kind_of(field.type) or "text" for field in source.read_schema if field.name in names}
    formats = {name: how for name, how in source.options.formats.items() if name in kinds}
    pins |= {
        "dtypes": {**given.dtypes, **kinds},
        "formats": {name: how for name, how in formats.items() if kinds[name] != "text" or name in given.formats},
        "decimal": given.decimal or ".",
        "thousands": given.thousands or "",
        "date_order": given.date_order or "iso",
    }
    return given.replace(**pins)


def _structure(files: list[CsvFile]) -> Iterable[tuple[str, list[Any]]]:
    """Each option of structure, as every file has it."""
    yield "delimiter", [file.dialect.delimiter for file in files]
    yield "quote", [file.dialect.quote for file in files]
    yield "escape", [file.dialect.escape or "" for file in files]
    yield "encoding", [file.dialect.encoding for file in files]
    yield "line_end", [_LINE_ENDS[file.dialect.eol] for file in files]
    yield "skip_rows", [file.found.skipped_lines for file in files]
    yield "header_rows", [file.found.header_rows for file in files]
    yield "footer_rows", [file.found.footer_rows for file in files]
    yield "fields", [len(file.names) for file in files]
    yield "table", [file.found.table for file in files]


def pins_yaml(pins: ReadOptions) -> str:
    """The options as a config file of their own."""
    settings = {"read_options": set_options(pins)}
    return _HEAD.format(name=PINS_FILE) + yaml.safe_dump(settings, allow_unicode=True, sort_keys=False, width=110)


def set_options(options: ReadOptions) -> dict[str, Any]:
    """Those that are not the default, as plain values."""
    return options.model_dump(mode="json", exclude_defaults=True)


def pins_of(source: TableSource, given: ReadOptions) -> str | None:
    """The pinned options of a source of text files, as a config file; None: it is none."""
    return pins_yaml(pinned_options(source, given)) if source.format == "csv" else None


def reading_facts(source: TableSource) -> list[dict[str, Any]]:
    """What was found about each text file, the first `MOST_FACTS` of them."""
    return [
        {
            "file": file.path,
            **{name: value for name, value in file.dialect.model_dump().items() if name not in ("start", "eol")},
            "line_end": _LINE_ENDS[file.dialect.eol],
            "byte_order_mark": file.dialect.start > 0,
            **file.found.model_dump(),
        }
        for file in source.files[:MOST_FACTS]
        if isinstance(file, CsvFile)
    ]
