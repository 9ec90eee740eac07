"""raypipe's sixty rules on one file, with its profile or without, on a Ray that is up, with workers that are warm."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.lineitem_rules import LineitemRule, lineitem_rules
from raypipe.blocks.profile import Profile
from raypipe.config import EngineConfig, PipelineConfig, ValidationConfig
from raypipe.engine.choose import choose_engine
from raypipe.engine.run import Pass
from raypipe.engine.session import close_session
from raypipe.etl.rules.judging import rule_outcomes
from raypipe.etl.validate import DataValidator
from raypipe.pipeline.check import check_source
from raypipe.pipeline.ingest import open_source
from raypipe.results import RuleOutcome
from raypipe.stage import Plan

WARM_BLOCK_MIB = 0.25
"""So that the small file has parts for every worker."""
ALWAYS = "l_orderkey > 0"
"""A condition that holds for every row: a rule that has one is measured by itself, and not read off the profile."""
FROM_PROFILE = ("mean_between", "min_between", "max_between", "stddev_between", "sum_between", "distinct_count")


def prepare(task: dict[str, Any]) -> dict[str, Any]:
    """Start Ray and its workers on a small file."""
    return _check(task["small"], task, block_mib=WARM_BLOCK_MIB)


def run(task: dict[str, Any]) -> dict[str, Any]:
    """The whole file."""
    return _check(task["path"], task)


def finish() -> None:
    """End Ray."""
    close_session()


def _check(path: str, task: dict[str, Any], **engine: Any) -> dict[str, Any]:
    profiled = task.get("profile", True)
    specs = [_spec(rule, profiled) for rule in lineitem_rules(task.get("all_fail", False))]
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder) / "rules.json"
        rules.write_text(json.dumps({"rules": specs}), encoding="utf-8")
        config = PipelineConfig(
            data_source=path,
            engine=EngineConfig(engine="ray", **engine),
            validation=ValidationConfig(rules_path=rules),
        )
        rows, outcomes = _profiled(config) if profiled else _rules_only(config)
    failed = sum(not outcome.passed for outcome in outcomes)
    return {"rows": rows, "rules": len(outcomes), "failed": failed}


def _spec(rule: LineitemRule, profiled: bool) -> dict[str, Any]:
    spec = {name: value for name, value in rule.spec().items() if value != []}
    return spec if profiled or rule.rule not in FROM_PROFILE else {**spec, "where": ALWAYS}


def _profiled(config: PipelineConfig) -> tuple[int, list[RuleOutcome]]:
    checked = check_source(config)
    assert checked.validation is not None
    return checked.rows_read, [outcome for outcome in checked.validation.outcomes if outcome.id]


def _rules_only(config: PipelineConfig) -> tuple[int, list[RuleOutcome]]:
    source, validator = open_source(config), DataValidator.of(config.validation)
    engine, _ = choose_engine(config.engine, source.size_bytes)
    schema = source.schema()
    outcome = engine.run(Pass(Plan(source=source, stages=validator.stages(schema))))
    nothing = Profile(rows=outcome.rows_in, columns=())
    return outcome.rows_in, list(rule_outcomes(validator.checks, schema, nothing, outcome.results))
