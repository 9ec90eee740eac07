"""What would be done, said without doing it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from raypipe.errors import ConfigError
from raypipe.ml.data import TrainingData
from raypipe.ml.estimators import takes_missing
from raypipe.ml.model import Recipe
from raypipe.ml.preprocess.columns import specs_for
from raypipe.ml.specs.features import FeatureSelectionSpec, FeatureSpec, InteractionFeatureSpec
from raypipe.ml.specs.models import ModelSpec
from raypipe.ml.specs.validation import ValidationSpec
from raypipe.ml.splits import Fold, folds, hold_out, settled


def settle_features(
    specs: Sequence[FeatureSpec] | None,
    selection: FeatureSelectionSpec | None,
    table: pd.DataFrame,
    leave: Sequence[str],
) -> tuple[tuple[FeatureSpec, ...], dict[str, str]]:
    """The specs that take part, each with the column that it names, and why columns are left out.

    Raises
    ------
    ConfigError
        A spec names a column that there is not, or none takes part.
    """
    left: dict[str, str] = {}
    if specs is None:
        made, left = specs_for(table, leave)
        wanted: list[FeatureSpec] = list(made)
    else:
        wanted = [_placed(spec, table) for spec in specs if spec.enabled]
    if selection is not None and selection.enabled:
        kept = selection.get_selected_features([spec.feature_name for spec in wanted])
        left.update(
            {spec.feature_name: "left out by the selection" for spec in wanted if spec.feature_name not in kept}
        )
        wanted = [spec for spec in wanted if spec.feature_name in kept]
    if not wanted:
        raise ConfigError(f"features: none takes part; {left or 'enable one'}")
    used = {str(name) for spec in wanted for name in _columns(spec)}
    unnamed = {name: "no feature spec names it" for name in table.columns if name not in used and name not in left}
    return tuple(wanted), {**{name: why for name, why in unnamed.items() if name not in leave}, **left}


def _columns(spec: FeatureSpec) -> tuple[str | int, ...]:
    return spec.columns if isinstance(spec, InteractionFeatureSpec) else (spec.place,)


def _placed(spec: FeatureSpec, table: pd.DataFrame) -> FeatureSpec:
    """The spec with names instead of positions: positions change when a column is taken away."""
    names = []
    for place in _columns(spec):
        if isinstance(place, int):
            if place >= table.shape[1]:
                raise ConfigError(
                    f"feature {spec.feature_name!r}: got column {place}; there are {table.shape[1]}, counted from 0"
                )
            names.append(str(table.columns[place]))
        elif place not in table.columns:
            raise ConfigError(
                f"feature {spec.feature_name!r}: there is no column {place!r}; there are {', '.join(table.columns)}"
            )
        else:
            names.append(place)
    if isinstance(spec, InteractionFeatureSpec):
        return spec.replace(columns=tuple(names))
    return spec.replace(column=names[0])


def explain_plan(
    feature_specs: Sequence[FeatureSpec] | None,
    model_spec: ModelSpec,
    data: TrainingData,
    validation: ValidationSpec,
    seed: int = 42,
) -> dict[str, Any]:
    """What a workflow would do with these rows: features, splits, settings. Nothing is fitted."""
    leave = [name for name in (validation.time_column,) if name]
    features, left = settle_features(feature_specs, None, data.X, leave)
    recipe = Recipe(features, model_spec, data.task, seed)
    pipeline = recipe.make()
    split: Fold | None = hold_out(validation, data, seed) if validation.strategy == "train_test" else None
    parts = [] if validation.strategy in ("none", "train_test") else folds(validation, data, seed)
    return {
        "task": data.task,
        "target": data.target,
        "rows": data.rows,
        "rows_without_target": data.dropped,
        "features": [spec.to_dict() for spec in features],
        "left_out": left,
        "model": {
            "name": model_spec.model_name,
            "class": type(pipeline[-1]).__name__,
            "settings": {k: v for k, v in pipeline[-1].get_params(deep=False).items() if v is not None},
            "learns_from_missing": takes_missing(model_spec),
        },
        "validation": settled(validation, data),
        "folds": [(len(train), len(test)) for train, test in parts],
        "test_rows": len(split[1]) if split else None,
        "notes": list(data.notes),
    }
