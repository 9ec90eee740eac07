"""Settings of the steps of `processing.steps`, one class a step."""

from __future__ import annotations

from typing import Annotated, get_args

from pydantic import Field

from raypipe.config.steps.base import ColumnSteps, Misfit, Plain, StepSettings
from raypipe.config.steps.categories import (
    EncodeFrequencySettings,
    EncodeHashSettings,
    EncodeLabelSettings,
    EncodeOneHotSettings,
    EncodeOrdinalSettings,
    EncodeTargetSettings,
    Encoding,
    MergeRareSettings,
    Unseen,
)
from raypipe.config.steps.dates import (
    ConvertTimeZoneSettings,
    ConvertUnitsSettings,
    DateDifferenceSettings,
    DatePart,
    DatePartsSettings,
)
from raypipe.config.steps.numbers import (
    BinSettings,
    DropMissingSettings,
    FillMissingSettings,
    FlagMissingSettings,
    OutlierSettings,
    ScaleSettings,
    TransformSettings,
)
from raypipe.config.steps.table import (
    CastSettings,
    DeriveSettings,
    DowncastSettings,
    DropColumnsSettings,
    DropDuplicatesSettings,
    FilterRowsSettings,
    RenameSettings,
    SelectColumnsSettings,
)
from raypipe.config.steps.words import (
    CleanTextSettings,
    MapValuesSettings,
    ParseDatesSettings,
    ParseNumbersSettings,
    ReplaceTextSettings,
)

_Any = (
    DropMissingSettings
    | FillMissingSettings
    | FlagMissingSettings
    | OutlierSettings
    | TransformSettings
    | ScaleSettings
    | BinSettings
    | EncodeLabelSettings
    | EncodeOrdinalSettings
    | EncodeOneHotSettings
    | EncodeFrequencySettings
    | EncodeTargetSettings
    | EncodeHashSettings
    | MergeRareSettings
    | CleanTextSettings
    | ReplaceTextSettings
    | MapValuesSettings
    | ParseNumbersSettings
    | ParseDatesSettings
    | DatePartsSettings
    | DateDifferenceSettings
    | ConvertTimeZoneSettings
    | ConvertUnitsSettings
    | DropDuplicatesSettings
    | FilterRowsSettings
    | DeriveSettings
    | RenameSettings
    | DropColumnsSettings
    | SelectColumnsSettings
    | CastSettings
    | DowncastSettings
)
AnyStep = Annotated[_Any, Field(discriminator="step")]
"""The settings of one step; `step` says of which."""

STEP_SETTINGS: dict[str, type[StepSettings]] = {kind.model_fields["step"].default: kind for kind in get_args(_Any)}
"""Name of a step -> its settings, in the order of the documentation."""

__all__ = [
    "STEP_SETTINGS",
    "AnyStep",
    "BinSettings",
    "CastSettings",
    "CleanTextSettings",
    "ColumnSteps",
    "ConvertTimeZoneSettings",
    "ConvertUnitsSettings",
    "DateDifferenceSettings",
    "DatePart",
    "DatePartsSettings",
    "DeriveSettings",
    "DowncastSettings",
    "DropColumnsSettings",
    "DropDuplicatesSettings",
    "DropMissingSettings",
    "EncodeFrequencySettings",
    "EncodeHashSettings",
    "EncodeLabelSettings",
    "EncodeOneHotSettings",
    "EncodeOrdinalSettings",
    "EncodeTargetSettings",
    "Encoding",
    "FillMissingSettings",
    "FilterRowsSettings",
    "FlagMissingSettings",
    "MapValuesSettings",
    "MergeRareSettings",
    "Misfit",
    "OutlierSettings",
    "ParseDatesSettings",
    "ParseNumbersSettings",
    "Plain",
    "RenameSettings",
    "ReplaceTextSettings",
    "ScaleSettings",
    "SelectColumnsSettings",
    "StepSettings",
    "TransformSettings",
    "Unseen",
]
