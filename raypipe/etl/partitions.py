"""Columns that no file holds: those that folders such as `year=2024` tell, and the path of each row's file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

import polars as pl
import pyarrow as pa

from raypipe.blocks.frames import from_polars
from raypipe.config import Frozen, ReadOptions
from raypipe.errors import ConfigError, SchemaError
from raypipe.etl.formats.cells import KINDS, find_kinds, parse
from raypipe.etl.formats.names import unique_names
from raypipe.etl.types import arrow_type
from raypipe.storage.address import GLOB, is_remote, local_path

NULL = "__HIVE_DEFAULT_PARTITION__"
"""Stands for no value in the name of a folder."""
_PAIR = re.compile(r"([^=]+)=(.*)", re.DOTALL)
_PADDED = re.compile(r"\d{1,2}")


class Added(Frozen):
    """A column with one value a file."""

    name: str
    kind: str
    """One of `KINDS`."""
    values: tuple[str | None, ...]
    """As text, for each file of the source."""

    def column(self, file: int, rows: int) -> pa.Array:
        """The column of `rows` rows of one file."""
        return pa.repeat(_typed(self.values[file : file + 1], self.kind)[0], rows)


def _typed(texts: Sequence[str | None], kind: str) -> pa.Array:
    cells = pl.Series("x", texts, dtype=pl.String)
    values = cells.cast(pl.Int64, strict=False) if kind == "int64" else parse(cells, kind)
    return from_polars(pl.DataFrame({"x": values}))["x"].combine_chunks()


def added_columns(
    path: str | Path, files: Sequence[str], own: Sequence[Sequence[str]], options: ReadOptions
) -> tuple[tuple[Added, ...], tuple[str, ...]]:
    """Columns to add to those of the files, and what a user should know.

    Parameters
    ----------
    path : str or Path
        What the user named: only folders below it count, and those that a pattern leaves open.
    files : sequence of str
        Path of each file.
    own : sequence of sequence of str
        Columns of each file. Where every file has a column that folders tell, too, the files count.
    options : ReadOptions
        `folder_columns`, `file_column`, `dtypes`, `null_values`.

    Raises
    ------
    ConfigError
        If `file_column` is the name of a column that is there already.
    SchemaError
        If some files have a column that only the folders of others tell.
    """
    found, notes = _from_folders(path, files, own, options) if options.folder_columns else ([], [])
    name = options.file_column
    if name is not None:
        if any(name in names for names in own) or any(name == one.name for one in found):
            raise ConfigError(f"read_options.file_column: there is a column {name!r} already; choose another name.")
        found.append(Added(name=name, kind="text", values=tuple(files)))
    wanted = options.columns
    kept = [one for one in found if wanted is None or one.name in wanted or one.name == name]
    return tuple(kept), tuple(notes)


def _from_folders(
    path: str | Path, files: Sequence[str], own: Sequence[Sequence[str]], options: ReadOptions
) -> tuple[list[Added], list[str]]:
    base = _base(path)
    pairs = [_pairs_of(file, base) for file in files]
    found, notes = [], []
    for given in dict.fromkeys(name for pair in pairs for name in pair):
        name = unique_names([given])[0][0]
        holding = [name in names for names in own]
        if any(holding) and not all(holding):
            raise SchemaError(
                f"column {name!r} is in {files[holding.index(True)]}, but {files[holding.index(False)]} has it only in"
                " the names of its folders. Read them apart, or set read_options.folder_columns to false."
            )
        if all(holding):
            notes.append(f"column {name!r} is in the files; what the names of their folders say of it is left out")
            continue
        if any(given not in pair for pair in pairs):
            notes.append(f"column {name!r} comes from folders, and not every file is in such a one; it is null there")
        values = tuple(pair.get(given) for pair in pairs)
        kind = options.dtypes.get(name) or _kind_of(values)
        if kind not in KINDS:
            raise ConfigError(f"dtypes: column {name!r} wants type {kind!r}; types are: {', '.join(KINDS)}.")
        _refuse_misfits(name, kind, values)
        found.append(Added(name=name, kind=kind, values=values))
    return found, notes


def _base(path: str | Path) -> str:
    """The folder below which names of folders count, as text."""
    text = str(path) if is_remote(path) else str(local_path(path).expanduser())
    steps = text.rstrip("/").split("/")
    fixed = next((at for at, step in enumerate(steps) if GLOB & set(step)), len(steps))
    return "/".join(steps[:fixed])


def _pairs_of(file: str, base: str) -> dict[str, str | None]:
    """What the folders on the way to a file tell.

    Examples
    --------
    >>> _pairs_of("lake/year=2024/city=K%C3%B6ln/x.csv", "lake")
    {'year': '2024', 'city': 'Köln'}
    """
    below = file[len(base) :] if file.startswith(base) and not is_whole(file, base) else ""
    told = (_PAIR.fullmatch(step) for step in below.split("/")[:-1])
    return {unquote(pair[1]): None if pair[2] == NULL else unquote(pair[2]) for pair in told if pair}


def is_whole(file: str, base: str) -> bool:
    """Whether the base is the file itself."""
    return file.rstrip("/") == base


def _kind_of(values: Sequence[str | None]) -> str:
    """The type that all values have; whole numbers filled up to two digits, as months are, are numbers."""
    texts = [value for value in values if value is not None]
    if texts and all(_PADDED.fullmatch(text) for text in texts):
        return "int64"
    series = pl.Series("x", texts, dtype=pl.String)
    kind = find_kinds(pl.DataFrame({"x": series.unique(maintain_order=True)}), ())[0].kind
    return kind if kind in KINDS and not parse(series, kind).null_count() else "text"


def _refuse_misfits(name: str, kind: str, values: Sequence[str | None]) -> None:
    typed = _typed(values, kind)
    wrong = next(
        (text for text, value in zip(values, typed.to_pylist(), strict=True) if text is not None and value is None),
        None,
    )
    if wrong is not None:
        raise ConfigError(f"dtypes: column {name!r} wants {kind}, but there is a folder {name}={wrong}.")


def with_added(block: pa.Table, added: Sequence[Added], file: int, schema: pa.Schema) -> pa.Table:
    """The block of one file with the columns that the file does not hold."""
    if not added:
        return block
    have = dict(zip(block.column_names, block.columns, strict=True))
    have |= {one.name: pa.chunked_array([one.column(file, block.num_rows)]) for one in added}
    return pa.table([have[field.name] for field in schema], schema=schema)


def schema_with(schema: pa.Schema, added: Sequence[Added], columns: Sequence[str] | None) -> pa.Schema:
    """The schema with the added columns: behind the others, or where `columns` has them."""
    fields = {field.name: field for field in schema} | {
        one.name: pa.field(one.name, arrow_type(one.kind)) for one in added
    }
    order = [*columns, *(name for name in fields if name not in columns)] if columns is not None else list(fields)
    return pa.schema([fields[name] for name in order if name in fields])
