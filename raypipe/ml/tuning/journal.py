"""Folds that are done, in a file that outlives the process: a search that was killed goes on where it was.

One JSON line a fold, written with one call and synced. A line that was cut off does not count. What a line is about is
in the file's name: a hash of the recipe, the rows, the folds and the metrics, so that another table, or another
version of a library, finds nothing.

Nothing is locked, so a process that was killed leaves no lock behind. Two processes may write one journal: each appends
whole lines, and sees those of the other before it runs a fold; what a fold gives does not depend on who runs it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd

from raypipe import __version__
from raypipe.errors import OutputError
from raypipe.ml.tuning.work import FoldResult, Task

LIBRARIES = ("scikit-learn", "lightgbm", "numpy", "xgboost", "catboost", "torch")
_KEY_CHARS = 20


class Journal:
    """Results of folds by parameters, remembered and written down.

    Parameters
    ----------
    folder : Path
        Made where it is not there.
    task : Task
        What the folds belong to.
    search : str
        Key of the search, so that the trials of one are not taken for the next ones of another.
    """

    def __init__(self, folder: Path, task: Task, search: str) -> None:
        self.path = folder / f"{task_key(task)[:_KEY_CHARS]}.jsonl"
        self._search = search
        self._known: dict[tuple[str, int], FoldResult] = {}
        self.proposed: dict[int, dict[str, Any]] = {}
        """Number -> parameters of the trials of an earlier run of this search."""
        self._file = -1
        self._read_to = 0
        """Bytes of the file that are known."""

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            _sync_folder(self.path.parent)
            size = os.fstat(self._file).st_size
            if size and os.pread(self._file, 1, size - 1) != b"\n":
                self._write(b"\n")  # behind a line that was cut off, so that the next one is whole
            self._read_on()
        except OSError as error:
            raise _unwritable(self.path, error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    def _read_on(self) -> None:
        """Take in what was written since, by whomever; a line that has not ended yet is left for the next time."""
        size = os.fstat(self._file).st_size
        if size <= self._read_to:
            return
        content = os.pread(self._file, size - self._read_to, self._read_to)
        whole = content.rfind(b"\n") + 1
        self._read_to += whole
        for line in content[:whole].splitlines():
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            told = json.loads(line)
            result = FoldResult(**told["result"])
            number, params, fold, search = told["number"], told["params"], told["fold"], told["search"]
            self._known[_config_key(params), int(fold)] = result
            if search == self._search and isinstance(params, dict):
                self.proposed.setdefault(int(number), params)
        except (ValueError, TypeError, KeyError):
            return  # cut off when the process was killed, or of another version: the fold runs again

    def known(self, params: Mapping[str, Any], fold: int) -> FoldResult | None:
        """What this fold gave before, for these parameters, here or in another process."""
        key = (_config_key(params), fold)
        if key not in self._known:
            self._read_on()
        return self._known.get(key)

    def add(self, number: int, params: Mapping[str, Any], fold: int, result: FoldResult) -> None:
        """Remember a fold, also after a SIGKILL that comes right behind.

        Raises
        ------
        OutputError
            The disk is full, or the folder cannot be written.
        """
        self._known[_config_key(params), fold] = result
        line = {
            "search": self._search, "number": number, "params": params, "fold": fold, "result": result.to_dict(),
        }  # fmt: skip
        try:
            self._write(json.dumps(line).encode() + b"\n")
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def _write(self, line: bytes) -> None:
        """All of it: a disk that is nearly full takes a part, and says why only when asked for the rest."""
        while line:
            line = line[os.write(self._file, line) :]
        os.fsync(self._file)


def _sync_folder(folder: Path) -> None:
    """Make the name of a new file last, too."""
    place = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(place)
    finally:
        os.close(place)


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(f"tuning: cannot write the journal {path}: {error.strerror or error}; give another output_dir")


def _config_key(params: Mapping[str, Any]) -> str:
    return json.dumps(params, sort_keys=True)


def task_key(task: Task) -> str:
    """Hash of all that a fold's result depends on, but its parameters."""
    seen = hashlib.sha256()
    recipe = task.recipe
    told = {
        "features": [spec.to_dict() for spec in recipe.features],
        "model": recipe.model.to_dict(),
        "task": recipe.task,
        "seed": recipe.seed,
        "metrics": task.metrics,
        "train_scores": task.train_scores,
        "columns": [[str(name), str(kind)] for name, kind in task.data.X.dtypes.items()],
        "versions": {"raypipe": __version__, **_versions()},
    }
    seen.update(json.dumps(told, sort_keys=True, default=str).encode())
    for column in (*(task.data.X[name] for name in task.data.X.columns), pd.Series(task.data.y)):
        seen.update(_hashed(column))
    for train, test in task.folds:
        seen.update(np.ascontiguousarray(train, dtype=np.int64).tobytes() + b"|")
        seen.update(np.ascontiguousarray(test, dtype=np.int64).tobytes() + b"/")
    return seen.hexdigest()


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _hashed(column: pd.Series) -> bytes:
    """Hash of the values in their order; cells that pandas cannot hash, such as lists, count as their text."""
    try:
        values = pd.util.hash_pandas_object(column, index=False)
    except TypeError:
        values = pd.util.hash_pandas_object(column.map(repr), index=False)
    return hashlib.sha256(values.to_numpy().tobytes()).digest()
