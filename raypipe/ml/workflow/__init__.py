"""From specs and rows to a judged model, step by step."""

from raypipe.ml.workflow.plan import explain_plan
from raypipe.ml.workflow.result import WorkflowResult, get_workflow_summary
from raypipe.ml.workflow.run import build_ml_pipeline, run_ml_workflow

__all__ = ["WorkflowResult", "build_ml_pipeline", "explain_plan", "get_workflow_summary", "run_ml_workflow"]
