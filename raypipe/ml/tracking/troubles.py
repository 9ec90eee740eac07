"""What can be wrong with a store, found out before MLflow is asked, or said in words that tell what to do."""

from __future__ import annotations

import fcntl
import sqlite3
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import IO

from raypipe.errors import ConfigError, OutputError, RaypipeError, UnreachableError

WAIT_S = 20.0
"""Seconds that another process may hold a SQLite file; as long as MLflow waits between its own statements."""
REACH_S = 10.0
"""Seconds that a server has to answer; MLflow itself would try for minutes."""
MAKING_S = 120.0
"""Seconds that another process may take to make a store; some three on a machine that has nothing else to do."""
VERSION = "alembic_version"
"""Table in which MLflow keeps the version of its schema."""
SAID = {
    "SQLITE_NOTADB": "is no SQLite database; choose another file",
    "SQLITE_CORRUPT": "is damaged; put a copy of it back, or choose another file",
    "SQLITE_CANTOPEN": "cannot be opened; its folder has to be there, and to be yours to write",
    "SQLITE_READONLY": "may not be written to; ask for the right to, or choose another file",
    "SQLITE_FULL": "cannot grow: there is no room left on its disk; make some, or choose another file",
    "SQLITE_IOERR": "could not be read or written, as happens on a full disk or a lost one; choose another file",
    "SQLITE_BUSY": "is held by another process for too long; try again when that has ended",
    "SQLITE_LOCKED": "is held by another process for too long; try again when that has ended",
}
"""Error of SQLite -> what it means for who wants to track a run."""

_MEND = "Start mlflow server, or mend tracking_uri"


def check_sqlite(path: Path, make: bool) -> None:
    """Refuse a file that MLflow could not use, or would spoil.

    MLflow itself tries for a minute and a half to open what cannot be opened, and writes its two hundred tables into a
    database of something else.

    Parameters
    ----------
    make : bool
        Whether a file that is not there is to be made, or is an error.

    Raises
    ------
    ConfigError
        Says what is wrong with it.
    """
    if path.name == ":memory:":
        raise ConfigError("MLflow: runs in memory are gone with the process; name a file: sqlite:///FILE.db")
    try:
        if not path.parent.is_dir():
            raise ConfigError(f"MLflow: {path.parent}, where {path.name} is to lie, is no folder; make it first")
        if path.is_dir():
            raise ConfigError(f"MLflow: {path} is a folder; name a file in it: sqlite:///{path}/mlflow.db")
        if not make and not path.exists():
            raise ConfigError(f"MLflow: there is no {path}; say where runs are: --tracking-uri sqlite:///FILE.db")
    except PermissionError as error:
        raise ConfigError(f"MLflow: {path} {SAID['SQLITE_CANTOPEN']}") from error
    with worded(str(path)), closing(sqlite3.connect(path, timeout=WAIT_S)) as database:
        names = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not names:
            return
        found = database.execute("SELECT version_num FROM alembic_version").fetchone() if VERSION in names else None
    if "experiments" not in names:
        raise ConfigError(
            f"MLflow: {path} is a database of something else (it has a table {min(names)!r}); choose another file"
        )
    if found is None:
        raise ConfigError(f"MLflow: {path} was left half made; remove it, or choose another file")
    _check_version(path, str(found[0]))


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Hold a SQLite store while it is opened, and made where it is not there.

    Two runs that begin together would else see each other's tables half made. A folder that cannot be written to, and
    somebody who holds it for minutes, are left to what follows, which says what is wrong.
    """
    try:
        file = path.with_name(f".{path.name}.lock").open("w")
    except OSError:
        yield
        return
    with file:
        until = time.monotonic() + MAKING_S
        while not _held(file) and time.monotonic() < until:
            time.sleep(0.1)
        yield  # closing the file lets go of it


def _held(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a disk of the network that knows no locks
        return True
    return True


def _check_version(path: Path, found: str) -> None:
    """MLflow says "out of date" of newer schemas, too, and the way out is another for these."""
    import mlflow.store.db_migrations
    from mlflow.store.db.utils import _get_latest_schema_revision

    newest = _get_latest_schema_revision()  # type: ignore[no-untyped-call]  # MLflow's own has no types
    if found == newest:
        return
    known = Path(mlflow.store.db_migrations.__path__[0], "versions")
    if any(known.glob(f"{found}_*.py")):
        raise ConfigError(
            f"MLflow: {path} was written by an older MLflow (schema {found}, this one wants {newest}); copy the file,"
            f" then: mlflow db upgrade sqlite:///{path}"
        )
    raise ConfigError(
        f"MLflow: {path} was written by a newer MLflow (schema {found}, this one knows {newest} at most); install"
        " that one: pip install --upgrade mlflow"
    )


def check_server(uri: str) -> None:
    """Ask a server whether it is there; any answer of HTTP will do, since one may stand before it that wants a name.

    Raises
    ------
    UnreachableError
        Nobody answers in time, or something that is no web server.
    """
    try:
        urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=REACH_S).close()
    except urllib.error.HTTPError:
        return
    except urllib.error.URLError as error:
        if "CERTIFICATE" in str(error.reason):  # MLflow has certificates and exceptions of its own
            return
        why = getattr(error.reason, "strerror", None) or error.reason
        raise UnreachableError(f"MLflow: nobody answers at {uri}: {why}. {_MEND}") from error
    except TimeoutError as error:
        raise UnreachableError(f"MLflow: nobody answers at {uri} within {REACH_S:g} s. {_MEND}") from error
    except (HTTPException, OSError, ValueError) as error:
        raise UnreachableError(f"MLflow: what answers at {uri} is no web server ({error}). {_MEND}") from error


@contextmanager
def worded(store: str) -> Iterator[None]:
    """Errors of a database or a disk in words; whatever else goes wrong says so itself.

    Parameters
    ----------
    store : str
        What the user calls it: the file of SQLite, or an address.
    """
    try:
        yield
    except RaypipeError:
        raise
    except Exception as error:
        cause = _root(error)
        if isinstance(cause, sqlite3.Error):
            name = getattr(cause, "sqlite_errorname", None) or ""
            said = next((text for start, text in SAID.items() if name.startswith(start)), None)
            raise OutputError(f"MLflow: {store} {said or f'gives an error: {cause}'}") from error
        if isinstance(cause, OSError) and cause.filename is not None:
            raise OutputError(
                f"MLflow: {cause.filename}: {cause.strerror or cause}. Mend that, or choose another artifact_location"
            ) from error
        raise


def _root(error: BaseException) -> BaseException:
    """The error of the database or the disk, below what libraries made of it."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, sqlite3.Error | OSError):
        seen = seen.__cause__ or seen.__context__
    return seen or error
