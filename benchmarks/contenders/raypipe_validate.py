"""raypipe's profile and sixty rules on one file, on a Ray that is up, with workers that are warm."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.lineitem_rules import lineitem_rules
from raypipe.config import EngineConfig, PipelineConfig, ValidationConfig
from raypipe.engine.session import close_session
from raypipe.pipeline.check import check_source

WARM_BLOCK_MIB = 0.25
"""So that the small file has parts for every worker."""


def _check(path: str, all_fail: bool, **engine: Any) -> dict[str, Any]:
    specs = [{name: value for name, value in rule.spec().items() if value != []} for rule in lineitem_rules(all_fail)]
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder) / "rules.json"
        rules.write_text(json.dumps({"rules": specs}), encoding="utf-8")
        config = PipelineConfig(
            data_source=path,
            engine=EngineConfig(engine="ray", **engine),
            validation=ValidationConfig(rules_path=rules),
        )
        checked = check_source(config)
    assert checked.validation is not None
    outcomes = [outcome for outcome in checked.validation.outcomes if outcome.id]
    failed = sum(not outcome.passed for outcome in outcomes)
    return {"rows": checked.rows_read, "rules": len(outcomes), "failed": failed, "pass_s": round(checked.seconds, 3)}


def prepare(task: dict[str, Any]) -> dict[str, Any]:
    """Start Ray and its workers on a small file."""
    return _check(task["small"], False, block_mib=WARM_BLOCK_MIB)


def run(task: dict[str, Any]) -> dict[str, Any]:
    """The whole file."""
    return _check(task["path"], task.get("all_fail", False))


def finish() -> None:
    """End Ray."""
    close_session()
