"""Templates of the pages, compiled once and kept by the rules of Python's own compiled modules."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import marshal
import os
import shutil
import sys
import tempfile
from pathlib import Path

import jinja2
from jinja2.bccache import Bucket, BytecodeCache

from raypipe import __version__

_NO_FILE = (OSError, NotImplementedError)
"""What comes where there is no file, none can be written, or this Python compiles into none."""


class CompiledTemplates(BytecodeCache):
    """Keeps compiled templates in `__pycache__` beside their sources: to compile them takes a tenth of a small run.

    They are as safe as the compiled modules there, since who may write into the package can change its code anyway.
    Where Python is told to write none, or the folder is not ours to write, templates are compiled each time. A file
    of another template, setting, Python or Jinja2, and a damaged one, is made anew.

    Parameters
    ----------
    folder : Path
        Where the sources are.
    settings : str
        Those of the environment that change what is compiled. What a filter makes of a constant, and whether it is
        passed the environment, is worked out when a template is compiled, and outlives a change of the filter within
        one version of raypipe: templates must have no filter of a constant.
    """

    def __init__(self, folder: Path, settings: str) -> None:
        self.folder = folder
        self._made_by = f"{__version__} {jinja2.__version__} {sys.version} {settings}"

    def get_cache_key(self, name: str, filename: str | None = None) -> str:
        """The name itself: there is one environment."""
        return name

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill the bucket from its file, if that is the right one."""
        with contextlib.suppress(*_NO_FILE):
            held = self._path(bucket).read_bytes()
            code = held[64:]
            if held[:64] == self._head(bucket, code):
                bucket.code = marshal.loads(code)  # as Python loads a compiled module

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Write the bucket's file, whole or not at all."""
        if sys.dont_write_bytecode or bucket.code is None:
            return
        code = marshal.dumps(bucket.code)
        with contextlib.suppress(*_NO_FILE):
            path = self._path(bucket)
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
            try:
                with open(handle, "wb") as file:
                    file.write(self._head(bucket, code) + code)
                shutil.copymode(self.folder / bucket.key, name)  # who may read the source may read this
                os.replace(name, path)
            except OSError:
                os.unlink(name)
                raise

    def _head(self, bucket: Bucket, code: bytes) -> bytes:
        made_by = hashlib.sha256(f"{self._made_by} {bucket.checksum}".encode()).digest()
        return made_by + hashlib.sha256(code).digest()

    def _path(self, bucket: Bucket) -> Path:
        """Python's own place for what is compiled, which a setting may have moved."""
        return Path(importlib.util.cache_from_source(str(self.folder / f"{bucket.key}.py"))).with_suffix(".j2c")
