"""Addresses of databases: `sqlite:///file.db`, `postgresql://user@host/db`, and what SQLAlchemy knows.

A password never stands in an address: addresses end up in logs, records and the settings of jobs. It comes from where
the database's own tools take it, or from a variable that the address refers to as `${NAME}`, which is looked up by
whoever connects, at the last moment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from raypipe.config import Frozen
from raypipe.errors import ConfigError

SCHEMES = frozenset({
    "sqlite", "postgresql", "postgres", "mysql", "mariadb", "oracle", "mssql", "cockroachdb", "redshift", "snowflake",
    "bigquery", "duckdb", "trino", "clickhouse", "databricks", "teradatasql", "hana", "ibm_db_sa", "firebird",
})  # fmt: skip
_ADDRESS = re.compile(r"([a-zA-Z][a-zA-Z0-9_]*)(\+[a-zA-Z0-9_]+)?://(.*)", re.DOTALL)
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SECRET = re.compile(r"pass|pwd|secret|token|credential|private_?key|api_?key", re.IGNORECASE)


class SqlAddress(Frozen):
    """A database, without any secret: references to variables stand as they were written."""

    text: str
    dialect: str
    """As "postgresql"."""
    driver: str | None = None
    """What stands behind a plus sign: SQLAlchemy is to use it."""

    def __str__(self) -> str:
        return self.text

    @property
    def database(self) -> str:
        """SQLite: the path of the file."""
        return unquote(self.text.partition("://")[2].partition("?")[0].removeprefix("/"))

    @property
    def name(self) -> str:
        """The last part of the address, without what follows a question mark."""
        return self.text.partition("?")[0].rstrip("/").rpartition("/")[2]

    def resolved(self, environ: Mapping[str, str] | None = None) -> tuple[str, tuple[str, ...]]:
        """The address to connect to, and the secrets that are in it; for the one call that connects.

        Raises
        ------
        ConfigError
            If a variable is not set here.
        """
        env = os.environ if environ is None else environ
        secrets: list[str] = []

        def value(hit: re.Match[str]) -> str:
            if hit[1] not in env:
                raise ConfigError(
                    f"{self.text}: the variable {hit[1]} is not set on this machine. Set it where the run is started;"
                    f" for a job on a cluster: raypipe submit --secret {hit[1]}=env:{hit[1]}"
                )
            secrets.append(env[hit[1]])
            return quote(env[hit[1]], safe="")

        return _REFERENCE.sub(value, self.text), tuple(secrets)


def is_database(text: str) -> bool:
    """Whether a text is the address of a database.

    Examples
    --------
    >>> is_database("sqlite:///x.db"), is_database("postgresql+psycopg://host/db"), is_database("s3://bucket/x.csv")
    (True, True, False)
    """
    found = _ADDRESS.match(text)
    return found is not None and (found[1].lower() in SCHEMES or found[2] is not None)


def parse_database(text: str) -> SqlAddress:
    """Take an address apart.

    Raises
    ------
    ConfigError
        If it holds a password; the text says where to put it, and does not repeat it.

    Examples
    --------
    >>> parse_database("postgresql://ann@db.example.com/shop").dialect
    'postgresql'
    """
    found = _ADDRESS.match(text)
    if found is None:
        raise ConfigError(f"{text!r} is no address of a database; wanted one such as sqlite:///file.db")
    dialect = found[1].lower()
    dialect = "postgresql" if dialect == "postgres" else dialect
    _refuse_secrets(text, dialect)
    scheme = dialect + (found[2] or "")
    return SqlAddress(text=f"{scheme}://{found[3]}", dialect=dialect, driver=(found[2] or "")[1:] or None)


def _refuse_secrets(text: str, dialect: str) -> None:
    head, _, rest = text.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0] if dialect != "sqlite" else ""
    if "@" in rest.partition("?")[0] and dialect != "sqlite":  # a password may hold a slash that nobody encoded
        authority = rest.partition("?")[0].rpartition("@")[0] + "@"
    user, at, _ = authority.rpartition("@")
    name, colon, password = user.partition(":")
    if at and colon and not _REFERENCE.fullmatch(password):
        host = rest.partition("?")[0].rpartition("@")[2]
        raise ConfigError(_how(f"{head}://{name}:***@{host}", f"{head}://{name}:${{DB_PASSWORD}}@{host}", dialect))
    for key, value in parse_qsl(urlsplit(f"x://{rest}").query, keep_blank_values=True):
        if _SECRET.search(key) and not _REFERENCE.fullmatch(value):
            shown = f"{head}://{rest.partition('?')[0]}?{key}=***"
            raise ConfigError(_how(shown, shown.replace("***", "${DB_PASSWORD}"), dialect))


def _how(shown: str, wanted: str, dialect: str) -> str:
    own = " in PGPASSWORD or ~/.pgpass with no password in the address at all, or" if dialect == "postgresql" else ""
    return (
        f"{shown}: an address holds no password, since it ends up in logs and records. Give it{own} in a variable that"
        f" the address refers to: export DB_PASSWORD=… and {wanted!r} (in single quotes on the command line)"
    )


def without(text: str, secrets: tuple[str, ...]) -> str:
    """A text without secrets, as they stand and as they stand in addresses."""
    for secret in secrets:
        for form in {secret, quote(secret, safe="")}:
            text = text.replace(form, "***") if form else text
    return text
