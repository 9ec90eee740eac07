"""What is to be done, as frozen values that can be written down and read again."""

from raypipe.ml.specs.base import Spec
from raypipe.ml.specs.builders import FeatureSpecBuilder, ModelSpecBuilder
from raypipe.ml.specs.calibration import CalibrationSpec, CalibrationSpecBuilder, ClassifierCalibrationSpec, Costs
from raypipe.ml.specs.features import (
    CategoricalFeatureSpec,
    DatetimeFeatureSpec,
    FeatureSelectionSpec,
    FeatureSpec,
    InteractionFeatureSpec,
    NumericFeatureSpec,
    TextFeatureSpec,
)
from raypipe.ml.specs.models import ClassifierModelSpec, ModelSpec, RegressorModelSpec
from raypipe.ml.specs.validation import ValidationSpec

__all__ = [
    "CalibrationSpec",
    "CalibrationSpecBuilder",
    "CategoricalFeatureSpec",
    "ClassifierCalibrationSpec",
    "ClassifierModelSpec",
    "Costs",
    "DatetimeFeatureSpec",
    "FeatureSelectionSpec",
    "FeatureSpec",
    "FeatureSpecBuilder",
    "InteractionFeatureSpec",
    "ModelSpec",
    "ModelSpecBuilder",
    "NumericFeatureSpec",
    "RegressorModelSpec",
    "Spec",
    "TextFeatureSpec",
    "ValidationSpec",
]
