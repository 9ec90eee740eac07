"""`SchemaRegistry`: schemas under their names, in versions, in a folder."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from urllib.parse import quote, unquote

from raypipe.config import Frozen
from raypipe.errors import ConfigError
from raypipe.etl.outputs import TEMP_MARK, writing
from raypipe.etl.rules.schema import DataSchema
from raypipe.etl.schemas.diff import diff_schemas
from raypipe.etl.wording import listed, shown

_VERSION = re.compile(r"(\d{1,9})\.(\d{1,9})\.(\d{1,9})\Z")


class Registered(Frozen):
    """A schema of a registry."""

    name: str
    versions: tuple[str, ...]
    """Oldest first."""


class SchemaRegistry:
    """Schemas by name and version, one YAML file each: `FOLDER/NAME/1.2.0.yaml`.

    A version that is there never changes. Versions have three numbers: the first goes up with a change that breaks
    readers or writers, the second with any other change of what is checked, the third with words only.

    Parameters
    ----------
    folder : str or Path
        Made when the first schema is registered.

    Examples
    --------
    >>> import tempfile
    >>> from raypipe.etl.rules import ColumnSchema
    >>> registry = SchemaRegistry(tempfile.mkdtemp())
    >>> people = DataSchema(name="people", columns=(ColumnSchema(name="age", dtype="int8"),))
    >>> registry.register(people), registry.get("people") == people
    ('1.0.0', True)
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def register(self, schema: DataSchema, *, raise_version: bool = False) -> str:
        """Keep a schema under its name and version; returns the version.

        Parameters
        ----------
        raise_version : bool
            Give it the next version by what changed since the newest, instead of its own.

        Raises
        ------
        ConfigError
            If that version is there with other content, or is no version of three numbers.
        """
        known = self._versions(schema.name)
        if raise_version and known:
            newest = self.get(schema.name, known[-1])
            version = _next(newest, schema)
            if version == newest.version:
                return version
            schema = schema.replace(version=version)
        _numbers(schema.version)
        path = self._path(schema.name, schema.version)
        if path.exists():
            if DataSchema.load(path) != schema:
                raise ConfigError(
                    f"registry {self.folder}: {shown(schema.name)} {schema.version} is there with other content, and a "
                    "version never changes; raise its version, or register with raise_version"
                )
            return schema.version
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            temp = path.with_name(f"{TEMP_MARK}{os.getpid()}-{path.name}")
            schema.save(temp)
            os.replace(temp, path)
        return schema.version

    def get(self, name: str, version: str | None = None) -> DataSchema:
        """A schema; the newest version unless one is named.

        Raises
        ------
        ConfigError
            If there is no such schema or version.
        """
        known = self._known(name)
        if version is None:
            version = known[-1]
        if version not in known:
            raise ConfigError(
                f"registry {self.folder}: {shown(name)} has no version {shown(version)}; it has {listed(known)}"
            )
        return DataSchema.load(self._path(name, version))

    def list(self) -> tuple[Registered, ...]:
        """All schemas, by name."""
        if not self.folder.is_dir():
            return ()
        names = sorted(unquote(path.name) for path in self.folder.iterdir() if path.is_dir())
        found = [Registered(name=name, versions=self._versions(name)) for name in names]
        return tuple(one for one in found if one.versions)

    def remove(self, name: str, version: str | None = None) -> None:
        """Remove one version, or all of a schema.

        Raises
        ------
        ConfigError
            If there is no such schema or version.
        """
        known = self._known(name)
        folder = self._path(name, known[0]).parent
        with writing(folder):
            if version is None or known == (version,):
                shutil.rmtree(folder)
            elif version in known:
                self._path(name, version).unlink()
            else:
                raise ConfigError(
                    f"registry {self.folder}: {shown(name)} has no version {shown(version)}; it has {listed(known)}"
                )

    def _known(self, name: str) -> tuple[str, ...]:
        known = self._versions(name)
        if not known:
            names = [one.name for one in self.list()]
            raise ConfigError(f"registry {self.folder}: no schema {shown(name)}; there are: {listed(names) or 'none'}")
        return known

    def _versions(self, name: str) -> tuple[str, ...]:
        folder = self._path(name, "0").parent
        if not folder.is_dir():
            return ()
        found = [path.stem for path in folder.glob("*.yaml") if _VERSION.match(path.stem)]
        return tuple(sorted(found, key=_numbers))

    def _path(self, name: str, version: str) -> Path:
        # A name may be anything, also `..` or one with a slash; quoted it is one plain folder.
        safe = quote(name, safe=" ").replace(".", "%2E")
        if not safe.strip() or len(safe) > 200:
            raise ConfigError(f"registry {self.folder}: {shown(name)} is no name for a schema; it is empty or too long")
        return self.folder / safe / f"{version}.yaml"


def _numbers(version: str) -> tuple[int, int, int]:
    found = _VERSION.match(version)
    if not found:
        raise ConfigError(f"registry: version {shown(version)} wanted as three numbers, e.g. 1.0.0")
    return int(found[1]), int(found[2]), int(found[3])


def _next(old: DataSchema, new: DataSchema) -> str:
    """The version of `new` after `old`: that of `old` where nothing changed."""
    major, minor, patch = _numbers(old.version)
    diff = diff_schemas(old, new)
    if diff.breaking:
        return f"{major + 1}.0.0"
    if diff.changes:
        return f"{major}.{minor + 1}.0"
    same = new.replace(version=old.version) == old
    return old.version if same else f"{major}.{minor}.{patch + 1}"
