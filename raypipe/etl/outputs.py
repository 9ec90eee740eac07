"""The folder of a run: made once, each file written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from raypipe.errors import ConfigError, OutputError
from raypipe.storage.objects import RemoteFolder

TEMP_MARK = ".tmp-"
"""Files that begin so are half-written, and removed when a run ends without finishing them."""
OTHER_FOLDER = "another folder with --output"


class RunFolder:
    """`output/<run id>/`; with `resume`, the folder of a run to go on with.

    Raises
    ------
    ConfigError
        If the run id is no plain name, or its folder is there already with something in it.
    OutputError
        If the folder cannot be made or written.
    """

    def __init__(self, output_dir: Path, run_id: str, *, resume: bool = False) -> None:
        check_run_id(run_id)
        self.path = output_dir / run_id
        if not resume:
            self._make(run_id)
        with writing(self.path):
            probe = self.path / f"{TEMP_MARK}probe"
            probe.write_bytes(b"raypipe")
            probe.unlink()

    def _make(self, run_id: str) -> None:
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        if any(self.path.iterdir()):
            raise ConfigError(f"run {run_id}: {self.path} is not empty; choose another run id, or remove the folder")

    def file(self, name: str) -> Path:
        """Where the file of this name goes."""
        return self.path / name

    @property
    def location(self) -> str:
        """Where its user finds it."""
        return str(self.path)

    @property
    def parent(self) -> str:
        """Where its user finds all runs."""
        return str(self.path.parent)

    def shown(self, name: str) -> str:
        """Where its user finds the file of this name."""
        return str(self.path / name)

    def parts(self, name: str) -> Path | RemoteFolder:
        """Where workers write the parts of an output."""
        return self.path / name

    def bring(self) -> dict[str, tuple[int, str]]:
        """Bring what was written to where it belongs; on a disk it is there. Returns bytes and SHA-256 of what went."""
        return {}

    def unseal(self, name: str) -> None:
        """Remove that file: a run that goes on is not over."""
        self.file(name).unlink(missing_ok=True)

    def seal(self, name: str, content: Mapping[str, Any], then: Callable[[], None] | None = None) -> None:
        """Write the file that says that the run is over, after everything else; `then` forgets how to go on with it."""
        self.write_json(name, content)
        if then is not None:
            then()

    def write_text(self, name: str, text: str) -> Path:
        """Write a text file by way of a temporary name."""
        target, temp = self.path / name, self.path / f"{TEMP_MARK}{name}"
        with writing(target):
            temp.write_text(text, encoding="utf-8")
            os.replace(temp, target)
        return target

    def write_json(self, name: str, content: Mapping[str, Any]) -> Path:
        """Write a JSON file; a value that JSON does not know is an error, NaN included."""
        return self.write_text(
            name, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False, default=_plain) + "\n"
        )

    def files(self) -> list[str]:
        """Finished files, relative to the folder."""
        found = (path for path in self.path.rglob("*") if path.is_file() and not path.name.startswith(TEMP_MARK))
        return sorted(path.relative_to(self.path).as_posix() for path in found)

    def sweep(self) -> None:
        """Remove what was left half-written."""
        for path in list(self.path.rglob(f"{TEMP_MARK}*")):
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def check_run_id(run_id: str) -> None:
    """Raise ConfigError if this is no plain name."""
    if not run_id or Path(run_id).name != run_id or run_id.startswith("."):
        raise ConfigError(f"run_id: got {run_id!r}; it takes a plain name, with no slash and no leading dot")


@contextlib.contextmanager
def writing(path: Path, instead: str = OTHER_FOLDER) -> Iterator[None]:
    """Turn an OSError while writing `path` into an OutputError that says what to do: choose `instead`.

    Examples
    --------
    >>> with writing(Path("/proc/nowhere")):
    ...     raise PermissionError(13, "Permission denied")
    Traceback (most recent call last):
    raypipe.errors.OutputError: cannot write /proc/nowhere: Permission denied. Choose another folder with --output
    """
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        number = error.errno or _number_of(error)
        if number in (errno.ENOSPC, errno.EDQUOT):
            free = shutil.disk_usage(_existing(path)).free
            text = f"cannot write {path}: the disk is full ({free:,} bytes free, which is too little)"
            raise OutputError(f"{text}. Free some space, or choose {instead}") from error
        why = error.strerror or (os.strerror(number) if number else str(error))
        raise OutputError(f"cannot write {path}: {why}. Choose {instead}") from error


def _number_of(error: OSError) -> int | None:
    """The number of an error that Polars raised, which has it in its text only."""
    found = re.search(r"\(os error (\d+)\)", str(error))
    return int(found[1]) if found else None


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")
