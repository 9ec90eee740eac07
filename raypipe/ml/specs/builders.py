"""Builders under the names that users of the older system know."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from raypipe.errors import ConfigError
from raypipe.ml.specs.features import CategoricalFeatureSpec, DatetimeFeatureSpec, NumericFeatureSpec, TextFeatureSpec
from raypipe.ml.specs.models import ClassifierModelSpec, ModelSpec, RegressorModelSpec

ColumnSpec = NumericFeatureSpec | CategoricalFeatureSpec | DatetimeFeatureSpec | TextFeatureSpec


class FeatureSpecBuilder:
    """Specs of many columns that are treated alike."""

    def __init__(self) -> None:
        self._specs: list[ColumnSpec] = []

    def add_numeric_group(self, names: Iterable[str], **settings: Any) -> Self:
        """Number columns."""
        return self._add(NumericFeatureSpec, names, settings)

    def add_categorical_group(self, names: Iterable[str], **settings: Any) -> Self:
        """Category columns."""
        return self._add(CategoricalFeatureSpec, names, settings)

    def add_datetime_group(self, names: Iterable[str], **settings: Any) -> Self:
        """Columns of dates and times."""
        return self._add(DatetimeFeatureSpec, names, settings)

    def add_text_group(self, names: Iterable[str], **settings: Any) -> Self:
        """Columns of free text."""
        return self._add(TextFeatureSpec, names, settings)

    def _add(self, kind: type[ColumnSpec], names: Iterable[str], settings: dict[str, Any]) -> Self:
        if isinstance(names, str):
            raise ConfigError(f"feature builder: got the name {names!r}; wanted a list of names: [{names!r}]")
        for name in names:
            if any(spec.feature_name == name for spec in self._specs):
                raise ConfigError(f"feature builder: {name!r} was added already")
            self._specs.append(kind.from_dict({"feature_name": name, **settings}, f"feature {name!r}"))
        return self

    def build(self) -> list[ColumnSpec]:
        """The specs, in the order of adding."""
        return list(self._specs)


class ModelSpecBuilder:
    """Specs of several models."""

    def __init__(self) -> None:
        self._specs: list[ModelSpec] = []

    def add_classifier(self, name: str, **settings: Any) -> Self:
        """A model of classes."""
        self._specs.append(ClassifierModelSpec.from_dict({"model_name": name, **settings}, f"model {name!r}"))
        return self

    def add_regressor(self, name: str, **settings: Any) -> Self:
        """A model of numbers."""
        self._specs.append(RegressorModelSpec.from_dict({"model_name": name, **settings}, f"model {name!r}"))
        return self

    def build(self) -> list[ModelSpec]:
        """The specs, in the order of adding."""
        return list(self._specs)
