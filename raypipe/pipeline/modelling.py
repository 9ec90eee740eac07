"""The task of the analysis that learns models of the target: rows in, a report, files and findings out."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raypipe._optional import has_extra
from raypipe.config import PipelineConfig
from raypipe.engine.tasks import not_available
from raypipe.errors import ConfigError, RaypipeError
from raypipe.results import Insight

if TYPE_CHECKING:
    from raypipe.ml.report import Figure, ModelsReport
    from raypipe.pipeline.looks import Looks
    from raypipe.pipeline.state import Analysis, RunState

MODELS = "models"
FOLDER = "models"
"""In the folder of the run."""
_log = logging.getLogger(__name__)


def why_no_models(config: PipelineConfig) -> str | None:
    """Why none are learnt; None where they are."""
    if config.target_column is None:
        return "no target column was named (--target)"
    if not config.ml_enabled:
        return "they are switched off; --set ml_enabled=true learns them"
    if not has_extra("ml"):
        return "scikit-learn, LightGBM or another package for models is not installed: pip install 'raypipe[ml]'"
    return None


def learn_models(looks: Looks | None, config: PipelineConfig, run: RunState) -> ModelsReport:
    """Models of the target, learnt from the sample of rows, within `ml_time_limit`.

    Raises
    ------
    ConfigError
        The target cannot be learnt from these rows; the task becomes a warning.
    """
    from raypipe.ml.leaderboard import Question, compare_models

    if looks is None or looks.sample is None:
        raise ConfigError("models: there is no sample of rows to learn from")
    assert config.target_column is not None
    question = Question(
        config.target_column, config.models, config.time_column, config.seed, float(config.ml_time_limit),
        len(run.data[0]),
    )  # fmt: skip
    answer = compare_models(looks.sample, question)
    report = answer.report
    run.attempts.warnings += [f"models: {step}: {why}" for step, why in report.skipped.items()]
    if not config.models.keep:
        return report
    try:
        return _kept(answer.result, report, run.folder.file(FOLDER))
    except RaypipeError as error:  # A model that cannot be written is one whose figures can be told all the same.
        text = not_available("the file of the model", str(error))
        _log.warning(text)
        run.attempts.warnings.append(text)
        return report.replace(skipped={**report.skipped, "file": str(error)})


def _kept(result: Any, report: ModelsReport, folder: Path) -> ModelsReport:
    """The model in files, as `raypipe train` keeps it."""
    from raypipe.ml.saving import read_card, save_model
    from raypipe.ml.tracking.evidence import write_evidence

    kept = save_model(result, folder / "model", overwrite=True)
    write_evidence(result, folder)
    card = read_card(kept).model_dump(mode="json")
    shown = {name: card[name] for name in ("name", "task", "target", "format", "sha256", "packages", "data")}
    return report.replace(card={**shown, "inputs": [one["name"] for one in card["inputs"]]}, folder=FOLDER)


def models_told(found: Analysis, config: PipelineConfig) -> dict[str, Any]:
    """`results["models"]`: whether there are any, and the report or the reason."""
    if found.models is not None:
        return {"available": True, "best": found.models.best, "report": found.models}
    return {"available": False, "reason": why_no_models(config) or "learning them failed; see the warnings"}


def model_insights(report: ModelsReport | None) -> tuple[Insight, ...]:
    """What is to be known first of the models."""
    if report is None or report.best is None:
        return ()
    main = report.figures.get(report.metric)
    found = [_performance(report, main)] if main is not None and main.value is not None else []
    if report.leaks:
        found.append(
            Insight(
                type="model_leak", category="model_performance", title="The model may know the answer",
                description=" ".join(report.leaks[:3]), impact="Its figures are too good to be true of new rows.",
                priority_score=9, evidence={"leaks": list(report.leaks)}, chart="models",
                recommendation="Leave out what is not known before the target is, and learn again.",
            )
        )  # fmt: skip
    return tuple(found)


def _performance(report: ModelsReport, main: Figure) -> Insight:
    worth = report.beats_baseline is not False
    between = "" if main.low is None else f" (95 %: {main.low:.4g} to {main.high:.4g})"
    told = (
        f"{report.metric.replace('_', ' ')} {main.value:.4g}{between} on {report.test_rows:,} rows that it had not seen"
    )
    part = f", learnt from a sample of {report.rows:,} rows" if report.rows < report.of_rows else ""
    tops = ", ".join(one.column for one in report.importance[:3] if one.loss > 2 * one.spread)
    title = (
        f"{report.best} predicts {report.target}" if worth else f"No model predicts {report.target} better than chance"
    )
    described = f"{report.best}: {told}{part}." + (f" It leans most on {tops}." if tops and worth else "")
    return Insight(
        type="model" if worth else "model_no_better",
        category="model_performance",
        title=title,
        description=described,
        impact="New rows can be scored with it." if worth else "The columns at hand do not tell the target.",
        columns_affected=(report.target,),
        priority_score=6,
        evidence={"metric": report.metric, "value": main.value, "rows": report.test_rows, "best": report.best},
        interval=None if main.low is None or main.high is None else (main.low, main.high),
        chart="models",
        recommendation=f"raypipe predict {FOLDER} NEW_ROWS, in the folder of the run"
        if worth and report.folder
        else None,
    )
