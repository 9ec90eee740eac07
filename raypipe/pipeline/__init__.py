"""The seven stages, wired."""

from raypipe.pipeline.analytics import AnalyticsPipeline

__all__ = ["AnalyticsPipeline"]
