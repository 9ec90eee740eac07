"""Pieces of SQL: names and values quoted, what is selected, and from which rows."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from raypipe.config import ReadOptions
from raypipe.errors import ConfigError, MissingColumnsError
from raypipe.etl.formats.names import safe_name
from raypipe.etl.formats.sql_source import DAY_US, KeyKind, SqlFile, Window
from raypipe.etl.wording import listed, shown

_EPOCH = date(1970, 1, 1)
_START = datetime(1970, 1, 1)
_NO_LIMIT = 2**63 - 1
"""SQLite knows no OFFSET without a LIMIT."""


def quoted(name: str) -> str:
    """A name as SQL takes it whatever stands in it.

    Examples
    --------
    >>> quoted('a"; drop table x; --')
    '"a""; drop table x; --"'
    """
    if "\0" in name:
        raise ConfigError(f"read_options: {shown(name)} holds a zero character, which no name in a database has.")
    return '"' + name.replace('"', '""') + '"'


def relation_of(table: tuple[str, ...] | None, query: str | None) -> str:
    """What stands behind FROM: a quoted name, or the query in brackets, so that it can be nothing but one query."""
    if table is not None:
        return ".".join(map(quoted, table))
    assert query is not None
    # On lines of its own: a comment at the end of the query would swallow the bracket.
    return f"(\n{query.strip().rstrip(';').rstrip()}\n) AS q"


def check_choice(options: ReadOptions, tables: Sequence[str], address: object) -> str | None:
    """The name of the table to read; None if there is a query.

    Raises
    ------
    ConfigError
        If it is not said what to read, twice, or there is no such table.
    """
    if options.table is not None and options.query is not None:
        raise ConfigError("read_options: table and query exclude each other. Leave one out.")
    if options.query is not None:
        if not options.query.strip():
            raise ConfigError("read_options.query: is empty. Give one SELECT.")
        return None
    if options.table is None:
        if len(tables) == 1:
            return tables[0]
        what = f"it has: {listed(tables, 12)}" if tables else "it has none"
        raise ConfigError(f"{address}: which table? Set read_options.table or read_options.query; {what}.")
    wanted = str(options.table)
    if wanted in tables:
        return wanted
    by_lower = {name.lower(): name for name in reversed(tables)}
    close = difflib.get_close_matches(wanted.lower(), by_lower, n=1)
    hint = f" Did you mean {by_lower[close[0]]!r}?" if close else ""
    have = listed(tables, 12) or "none"
    raise ConfigError(f"read_options.table: {address} has no table {shown(wanted)}. It has: {have}.{hint}")


def check_columns(names: Sequence[str], options: ReadOptions, what: object) -> None:
    """Raise for names that blocks cannot carry, that stand there twice, or that are asked for and missing."""
    twice = next((name for name in names if list(names).count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"{what}: gives several columns named {shown(twice)}. Name them apart with AS in the query.")
    for index, name in enumerate(names, 1):
        why = safe_name(name, index)[1]
        if why:
            raise ConfigError(f"{what}: the name of column {shown(name)} {why}. Give it another with AS in a query.")
    asked = [*(options.columns or ()), *([options.partition_on] if options.partition_on else [])]
    missing = [name for name in asked if name not in names]
    if missing:
        raise MissingColumnsError(f"read_options: {what}", missing, names)


def value_of(key: int, kind: KeyKind) -> str:
    """A key as ISO writes it; days since 1970 for a date, microseconds for a time.

    Examples
    --------
    >>> value_of(19753, "date"), value_of(7, "integer")
    ('2024-01-31', '7')
    """
    if kind == "integer":
        return str(key)
    if kind == "date":
        return (_EPOCH + timedelta(days=key)).isoformat()
    return (_START + timedelta(microseconds=key)).isoformat(" ") + ("+00:00" if kind == "timestamptz" else "")


def key_of(value: object, kind: KeyKind) -> int:
    """The inverse of `value_of`, of values as drivers give them."""
    if kind == "date" and isinstance(value, date):
        return (value - _EPOCH).days
    if isinstance(value, datetime):
        plain = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
        return (plain - _START) // timedelta(microseconds=1)
    return int(value)  # type: ignore[call-overload, no-any-return]


def even_edges(low: int, high: int, pieces: int, kind: KeyKind) -> list[int]:
    """Where to cut [low, high] into so many ranges of equal width; times are cut at midnight where they can be.

    Examples
    --------
    >>> even_edges(0, 99, 4, "integer")
    [25, 50, 75]
    """
    span = high - low + 1
    found = (low + span * index // pieces for index in range(1, pieces))
    if kind in ("timestamp", "timestamptz") and span > pieces * DAY_US:
        found = (edge // DAY_US * DAY_US for edge in found)
    return sorted({edge for edge in found if low < edge <= high})


def where(file: SqlFile, window: Window, literal: str = "{}") -> str:
    """The condition of a window; the first and the last one are open, so that no value falls between them.

    Parameters
    ----------
    literal : str
        How a value is written, with `{}` for it.
    """
    if window.nulls:
        return f"WHERE {file.key} IS NULL"
    found = []
    for sign, bound in ((">=", window.low), ("<", window.high)):
        if bound is not None:
            found.append(f"{file.key} {sign} {literal.format(value_of(bound, file.key_kind))}")
    if not found and file.by == "range":
        found = [f"{file.key} IS NOT NULL"]
    return f"WHERE {' AND '.join(found)}" if found else ""


def select(file: SqlFile, names: list[str], window: Window, literal: str = "{}") -> str:
    """The query of a window."""
    wanted = [f"{column.expression} AS {quoted(column.name)}" for column in file.selected(names)]
    order = f"ORDER BY {file.order}" if file.order else ""
    if file.by == "offset":
        rows = _NO_LIMIT if window.high is None else window.high - (window.low or 0)
        tail = f"{order} LIMIT {rows} OFFSET {window.low or 0}"
        return f"SELECT {', '.join(wanted)} FROM {file.relation} {tail}"
    return f"SELECT {', '.join(wanted)} FROM {file.relation} {where(file, window, literal)} {order}"


def buckets(file: SqlFile, edges: Sequence[int], literal: str = "{}") -> str:
    """The query for the rows of each range: number of the range, rows."""
    cases = [
        f"WHEN {file.key} < {literal.format(value_of(edge, file.key_kind))} THEN {at}" for at, edge in enumerate(edges)
    ]
    chosen = f"CASE {' '.join(cases)} ELSE {len(edges)} END" if cases else "0"
    inner = f"SELECT {chosen} AS b FROM {file.relation} WHERE {file.key} IS NOT NULL"
    return f"SELECT b, count(*) FROM ({inner}) AS t GROUP BY b"
