"""raypipe turns a table into checked data, findings and a dashboard, on one machine or on a Ray cluster.

Importing this package is light: names below are loaded when first used, Ray only when a run needs it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from raypipe.config import PipelineConfig as PipelineConfig
    from raypipe.dashboard.generator import DashboardGenerator as DashboardGenerator
    from raypipe.engine.frame import Frame as Frame
    from raypipe.engine.retry import RetryPolicy as RetryPolicy
    from raypipe.engine.scheduler import SchedulerConfig as SchedulerConfig
    from raypipe.engine.scheduler import TaskScheduler as TaskScheduler
    from raypipe.errors import DataSciencePlatformError as DataSciencePlatformError
    from raypipe.errors import RaypipeError as RaypipeError
    from raypipe.etl.infer import SchemaInferrer as SchemaInferrer
    from raypipe.etl.processing.process import DataProcessor as DataProcessor
    from raypipe.etl.processing.processor import FittedProcessor as FittedProcessor
    from raypipe.etl.reader import DataReader as DataReader
    from raypipe.etl.schemas.registry import SchemaRegistry as SchemaRegistry
    from raypipe.etl.validate import DataValidator as DataValidator
    from raypipe.insights.generator import InsightGenerator as InsightGenerator
    from raypipe.insights.patterns.detector import PatternDetector as PatternDetector
    from raypipe.insights.statistics.engine import StatisticsEngine as StatisticsEngine
    from raypipe.monitor.logs import setup_logging as setup_logging
    from raypipe.pipeline import AnalyticsPipeline as AnalyticsPipeline
    from raypipe.pipeline.convert import write as write
    from raypipe.results import PipelineProgress as PipelineProgress
    from raypipe.results import PipelineResult as PipelineResult
    from raypipe.results import PipelineStage as PipelineStage
    from raypipe.results import PipelineStatus as PipelineStatus

_HOME = {
    "AnalyticsPipeline": "raypipe.pipeline",
    "DashboardGenerator": "raypipe.dashboard.generator",
    "DataProcessor": "raypipe.etl.processing.process",
    "DataReader": "raypipe.etl.reader",
    "DataSciencePlatformError": "raypipe.errors",
    "DataValidator": "raypipe.etl.validate",
    "FittedProcessor": "raypipe.etl.processing.processor",
    "Frame": "raypipe.engine.frame",
    "InsightGenerator": "raypipe.insights.generator",
    "PatternDetector": "raypipe.insights.patterns.detector",
    "PipelineConfig": "raypipe.config",
    "PipelineProgress": "raypipe.results",
    "PipelineResult": "raypipe.results",
    "PipelineStage": "raypipe.results",
    "PipelineStatus": "raypipe.results",
    "RaypipeError": "raypipe.errors",
    "RetryPolicy": "raypipe.engine.retry",
    "SchedulerConfig": "raypipe.engine.scheduler",
    "SchemaInferrer": "raypipe.etl.infer",
    "SchemaRegistry": "raypipe.etl.schemas.registry",
    "StatisticsEngine": "raypipe.insights.statistics.engine",
    "TaskScheduler": "raypipe.engine.scheduler",
    "setup_logging": "raypipe.monitor.logs",
    "write": "raypipe.pipeline.convert",
}

__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'raypipe' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
