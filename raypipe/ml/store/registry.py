"""Definitions of views: a JSON file each, beside the tables of their project."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from raypipe.errors import ConfigError
from raypipe.ml.specs.views import FeatureView

POLARS: dict[str, pl.DataType] = {
    "int64": pl.Int64(),
    "float64": pl.Float64(),
    "string": pl.String(),
    "bool": pl.Boolean(),
    "date": pl.Date(),
    "timestamp": pl.Datetime("us", "UTC"),
    "timestamp_ntz": pl.Datetime("us"),
}
"""Type of a feature -> the one in which conditions on it are worked out."""


class Registry:
    """The views of one project."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> list[str]:
        """Of all views, sorted."""
        return sorted(path.stem for path in self._folder.glob("*.json"))

    def get(self, name: str) -> FeatureView:
        """A view by its name.

        Raises
        ------
        ConfigError
            If there is none.
        """
        path = self._path(name)
        if not path.is_file():
            raise unknown("feature view", name, self.names(), "register it first: raypipe features register VIEW.yaml")
        return FeatureView.load(path)

    def find(self, name: str) -> FeatureView | None:
        """A view, or None."""
        return self.get(name) if self._path(name).is_file() else None

    def put(self, view: FeatureView) -> None:
        """Keep a view; readers see the old file or the new one, never half of one."""
        self._folder.mkdir(parents=True, exist_ok=True)
        beside = self._folder / f".{view.name}.{os.getpid()}.json"
        view.save(beside)
        os.replace(beside, self._path(view.name))

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"


def unknown(what: str, name: str, known: Iterable[str], otherwise: str) -> ConfigError:
    """The error for a name that nobody knows."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else f"; {otherwise}"
    return ConfigError(f"feature store: there is no {what} {name!r}. There are: {', '.join(names) or 'none'}{hint}")


def check_change(old: FeatureView, new: FeatureView) -> None:
    """Raise ConfigError unless rows of the old definition are rows of the new one."""
    for what in ("entities", "event_time", "known_at"):
        if getattr(old, what) != getattr(new, what):
            raise ConfigError(
                f"feature view {old.name!r}: {what} is {getattr(old, what)!r} and cannot become"
                f" {getattr(new, what)!r}, since its rows are kept by it; register it under another name"
            )
    for name, kind in old.features.items():
        if new.features.get(name) != kind:
            now = f"become {new.features[name]}" if name in new.features else "go"
            raise ConfigError(
                f"feature view {old.name!r}: feature {name!r} is {kind} and cannot {now}, since models may have learnt"
                " it; add a feature of another name, or register the view under another name"
            )


def check_constraints(view: FeatureView) -> None:
    """Raise ConfigError unless each constraint is a condition on features of the view."""
    empty = pl.DataFrame(schema={name: POLARS[kind] for name, kind in view.features.items()})
    for name, text in view.constraints.items():
        who = f"feature view {view.name!r}: constraint {name!r}: {text!r}"
        try:
            found = empty.select(pl.sql_expr(text).alias("it")).schema["it"]
        except pl.exceptions.ColumnNotFoundError as error:
            known = ", ".join(view.features)
            raise ConfigError(f"{who} names a column that is no feature; features are: {known}") from error
        except pl.exceptions.PolarsError as error:
            raise ConfigError(f"{who} cannot be worked out: {error}") from error
        if found != pl.Boolean:
            raise ConfigError(f"{who} gives {found}; wanted a condition, such as total >= 0")
