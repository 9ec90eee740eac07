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
from raypipe.ml.specs.space import Choice, Float, Int
from raypipe.ml.specs.store import FeatureStoreSpec, FeatureStoreSpecBuilder, FeatureView
from raypipe.ml.specs.tracking import (
    MLflowSpec,
    MLflowSpecBuilder,
    create_default_mlflow_spec,
    create_production_mlflow_spec,
)
from raypipe.ml.specs.training import TrainingSpec
from raypipe.ml.specs.tuning import (
    GridSearchSpec,
    OptunaSearchSpec,
    ParamTuningSpec,
    ParamTuningSpecBuilder,
    PopulationSearchSpec,
    RandomSearchSpec,
    TuningSpec,
)
from raypipe.ml.specs.validation import ValidationSpec

__all__ = [
    "CalibrationSpec",
    "CalibrationSpecBuilder",
    "CategoricalFeatureSpec",
    "Choice",
    "ClassifierCalibrationSpec",
    "ClassifierModelSpec",
    "Costs",
    "DatetimeFeatureSpec",
    "FeatureSelectionSpec",
    "FeatureSpec",
    "FeatureSpecBuilder",
    "FeatureStoreSpec",
    "FeatureStoreSpecBuilder",
    "FeatureView",
    "Float",
    "GridSearchSpec",
    "Int",
    "InteractionFeatureSpec",
    "MLflowSpec",
    "MLflowSpecBuilder",
    "ModelSpec",
    "ModelSpecBuilder",
    "NumericFeatureSpec",
    "OptunaSearchSpec",
    "ParamTuningSpec",
    "ParamTuningSpecBuilder",
    "PopulationSearchSpec",
    "RandomSearchSpec",
    "RegressorModelSpec",
    "Spec",
    "TextFeatureSpec",
    "TrainingSpec",
    "TuningSpec",
    "ValidationSpec",
    "create_default_mlflow_spec",
    "create_production_mlflow_spec",
]
