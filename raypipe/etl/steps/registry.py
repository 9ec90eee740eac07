"""Every step of the list: how it is fitted, and how `processing.json` calls what is fitted."""

from __future__ import annotations

from raypipe.etl.steps import (
    calendar,
    encoding,
    expressions,
    extremes,
    missing,
    numerals,
    onehot,
    powers,
    scaling,
    shape,
    target,
    winners,
    words,
)
from raypipe.etl.steps.fitted import FittedStep
from raypipe.etl.steps.learn import Recipe

_MODULES = (
    missing, extremes, powers, scaling, encoding, onehot, target, words, numerals, calendar, winners, expressions,
    shape,
)  # fmt: skip

RECIPES: dict[str, Recipe] = {step: recipe for module in _MODULES for step, recipe in module.RECIPES.items()}
"""Name of a step in the settings -> how it is fitted."""

FITTED: dict[str, type[FittedStep]] = {
    kind.model_fields["kind"].default: kind for module in _MODULES for kind in module.FITTED
}
"""`kind` of a fitted step -> its class."""
