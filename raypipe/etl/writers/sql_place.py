"""Databases: addresses without secrets, connections, and what is in them."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from raypipe.config.write import SqlOutput
from raypipe.errors import ConfigError, OutputError

_SECRETS = ("password", "sslpassword", "passfile")
_PASSWORD = re.compile(r"(?<=password=)\S+|(?<=:)[^:@/\s]+(?=@)")


def parse_url(url: str) -> tuple[str, str]:
    """Dialect and address of a database.

    Raises
    ------
    ConfigError
        If the address holds a password, or names no database.

    Examples
    --------
    >>> parse_url("postgres://ann@db.example.com/sales")
    ('postgresql', 'postgresql://ann@db.example.com/sales')
    """
    scheme, _, rest = url.partition("://")
    if scheme.partition("+")[0] == "sqlite":
        if not rest.lstrip("/"):
            raise ConfigError("sqlite:///: names no file; wanted sqlite:///data/sales.db")
        return "sqlite", f"sqlite:///{rest.removeprefix('/')}"
    parts = urlsplit(f"postgresql://{rest}")
    if parts.password is not None or any(name.lower() in _SECRETS for name, _ in parse_qsl(parts.query)):
        raise ConfigError(
            f"postgresql://{parts.hostname or ''}{parts.path}: an address holds no password, since it ends up in logs "
            "and records. Leave it out, and give it by PGPASSWORD, PGPASSFILE, or --set sql.password=env:NAME"
        )
    if len(parts.path) < 2:
        raise ConfigError(f"postgresql://{parts.netloc}: names no database; wanted postgresql://user@host/database")
    return "postgresql", parts.geturl()


@contextlib.contextmanager
def connected(url: str, how: SqlOutput) -> Iterator[Any]:
    """A connection to the database of an address that `parse_url` gave; what is not committed on it is undone."""
    with told(url):
        if url.startswith("sqlite:"):
            from adbc_driver_sqlite import dbapi as sqlite

            path = Path(url.removeprefix("sqlite:///")).expanduser()
            if not path.parent.is_dir():
                raise ConfigError(f"{url}: there is no folder {path.parent}. Make it first")
            if path.is_dir():
                raise ConfigError(f"{url}: is a folder, and a file of SQLite is wanted. Choose another name")
            connection = sqlite.connect(str(path))
        else:
            from adbc_driver_postgresql import dbapi as postgres

            connection = postgres.connect(_with_password(url, how))
    try:
        yield connection
    finally:
        connection.close()


@contextlib.contextmanager
def told(url: str) -> Iterator[None]:
    """Turn errors of the database into OutputError, without what may be a password in them."""
    import adbc_driver_manager

    try:
        yield
    except adbc_driver_manager.Error as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        said = _PASSWORD.sub("***", " ".join(lines[:3]))
        raise OutputError(f"{url}: the database says: {said}. Nothing was written") from None  # it may hold a secret


def _with_password(url: str, how: SqlOutput) -> str:
    if how.password is None:
        return url
    kind, _, name = how.password.partition(":")
    try:
        secret = os.environ[name] if kind == "env" else Path(name).expanduser().read_text(encoding="utf-8").strip()
    except (KeyError, OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"sql.password: {how.password} is not there or cannot be read. Set or mend it") from error
    parts = urlsplit(url)
    user = quote(unquote(parts.username or ""), safe="")
    return parts._replace(netloc=f"{user}:{quote(secret, safe='')}@{parts.netloc.rpartition('@')[2]}").geturl()


def columns_of(cursor: Any, dialect: str, table: str, db_schema: str | None) -> dict[str, str]:
    """Columns of a table with their types as the database calls them; none where it is not there."""
    if dialect == "sqlite":
        cursor.execute(f"SELECT name, type FROM pragma_table_info({text(table)})")
    else:
        place = f"to_regclass({text(full_name(table, db_schema))})"
        cursor.execute(
            f"SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute "
            f"WHERE attrelid = {place} AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
        )
    return {str(name): str(kind) for name, kind in cursor.fetchall()}


def full_name(table: str, db_schema: str | None) -> str:
    """A table as SQL quotes it."""
    return f"{name(db_schema)}.{name(table)}" if db_schema else name(table)


def name(plain: str) -> str:
    """A name as SQL quotes it.

    Examples
    --------
    >>> name('a"b')
    '"a""b"'
    """
    return '"' + plain.replace('"', '""') + '"'


def text(plain: str) -> str:
    """A text as SQL quotes it."""
    return "'" + plain.replace("'", "''") + "'"
