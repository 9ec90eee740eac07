"""Settings that several modules share: frozen values with units in their names.

Validators touch no disk and no hardware; what needs those is checked when a run starts.
"""

from raypipe.config.base import Frozen, Labels, Resources, Share
from raypipe.config.engine import EngineConfig
from raypipe.config.files import merge_settings, read_settings
from raypipe.config.insights.analysis import AnalysisConfig
from raypipe.config.models import ModelsConfig
from raypipe.config.pipeline import DashboardConfig, OutputDir, PipelineConfig
from raypipe.config.processing import ProcessingConfig
from raypipe.config.quality import ValidationConfig
from raypipe.config.read import CellFormat, ReadOptions
from raypipe.config.storage import AzureConfig, GcsConfig, S3Config, StorageConfig
from raypipe.config.write import WriteOptions

__all__ = [
    "AnalysisConfig",
    "AzureConfig",
    "CellFormat",
    "DashboardConfig",
    "EngineConfig",
    "Frozen",
    "GcsConfig",
    "Labels",
    "ModelsConfig",
    "OutputDir",
    "PipelineConfig",
    "ProcessingConfig",
    "ReadOptions",
    "Resources",
    "S3Config",
    "Share",
    "StorageConfig",
    "ValidationConfig",
    "WriteOptions",
    "merge_settings",
    "read_settings",
]
