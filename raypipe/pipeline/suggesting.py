"""`raypipe validate --suggest`: learn rules from a part of the rows, and score each on the others."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from raypipe.config import Frozen, PipelineConfig
from raypipe.engine.choose import choose_engine
from raypipe.engine.run import Pass, PassProgress
from raypipe.errors import ConfigError
from raypipe.etl.processing.process import DataProcessor
from raypipe.etl.rules.ruleset import RuleSet, written
from raypipe.etl.source import TableSource
from raypipe.etl.suggest.bounds import alpha_of
from raypipe.etl.suggest.learn import LearnRows
from raypipe.etl.suggest.propose import LEAST_ROWS, Known, Suggestion, as_percent, propose
from raypipe.etl.suggest.split import LEARN_SHARE, Side, TakeSide
from raypipe.etl.validate import DataValidator
from raypipe.etl.wording import percent
from raypipe.pipeline.check import NO_STEPS
from raypipe.pipeline.ingest import Ingest, Ingested, open_source
from raypipe.results import RuleOutcome
from raypipe.stage import Stage

WIDER = 2.0
"""By how much the bound of a rule that fails on the rows held out is widened at most, of what it failed by."""
MOST_WIDENED = 0.05
"""A rule that would have to allow a larger share than this is dropped."""


class Suggested(Frozen):
    """A rule file, and how it came about."""

    text: str
    """YAML, with the evidence of each rule in a comment above it."""
    rules: RuleSet
    learned_rows: int
    held_out_rows: int
    widened: int
    dropped: tuple[str, ...]
    """Rules that failed on the rows held out, and why, in words."""


@dataclass(frozen=True)
class _OneSide(DataValidator):
    """The stages of a validator, behind one that keeps a side of the rows."""

    side: Side = "learn"
    seed: int = 0

    def stages(self, schema: pa.Schema | None = None) -> tuple[Stage, ...]:
        first = TakeSide(side=self.side, seed=self.seed)
        return (first, *((LearnRows(seed=self.seed),) if self.side == "learn" else super().stages(schema)))


def suggest_rules(
    config: PipelineConfig,
    max_false_alarms: float = 0.01,
    on_progress: Callable[[PassProgress], None] | None = None,
) -> Suggested:
    """Rules that the rows of a source suggest.

    Parameters
    ----------
    max_false_alarms : float
        Share of the rules that may fail on another table of the same kind.

    Raises
    ------
    ConfigError
        If the share is none, or there are too few rows to learn from.
    """
    if not 0 < max_false_alarms < 1:
        raise ConfigError(f"--max-false-alarms: got {max_false_alarms:g}; wanted a share between 0 and 1, such as 1%")
    source = open_source(config)
    learner = _OneSide(config.validation, side="learn", seed=config.seed)
    done = _pass(config, source, learner, on_progress)
    schema, learned = done.source.schema(), done.outcome.results[LearnRows.__name__]
    known = Known(done.profile, learned, schema, alpha_of(max_false_alarms))
    found = propose(known)
    if not found:
        raise ConfigError(
            f"--suggest: {done.profile.rows:,} rows to learn from, of which {LEAST_ROWS:,} are needed at the least "
            f"(two thirds of the rows are; the others are held out)"
        )
    kept, widened, dropped, rows = _score(config, done.source, found, on_progress)
    head = _head(config, known, rows, max_false_alarms, dropped)
    text = head + "rules:\n" + "".join(_entry(one) for one in kept)
    rules = RuleSet.parse(text, source="--suggest")
    return Suggested(
        text=text, rules=rules, learned_rows=known.rows, held_out_rows=rows, widened=widened, dropped=tuple(dropped)
    )


def _pass(
    config: PipelineConfig,
    source: TableSource,
    validator: DataValidator,
    on_progress: Callable[[PassProgress], None] | None,
) -> Ingested:
    engine, _ = choose_engine(config.engine, source.size_bytes)

    def new_pass(plan: Any, **options: Any) -> Pass:
        return Pass(plan, on_progress=on_progress, **{**options, "keep": False})

    with tempfile.TemporaryDirectory(prefix="raypipe-") as folder:
        path = Path(folder) / "quarantine.parquet"
        done = Ingest(config, engine, validator, DataProcessor(NO_STEPS, None, None), path, new_pass).run(source)
        done.quarantine.close()
    return done


def _score(
    config: PipelineConfig,
    source: TableSource,
    found: list[Suggestion],
    on_progress: Callable[[PassProgress], None] | None,
) -> tuple[list[Suggestion], int, list[str], int]:
    """The suggestions that hold on the rows held out, some of them widened, and what was dropped."""
    rules = RuleSet.model_validate({"rules": [one.rule for one in found]})
    judge = _OneSide(config.validation, rules=rules, side="held_out", seed=config.seed)
    done = _pass(config, source, judge, on_progress)
    verdict = judge.verdict(done.profile, {}, {}, done.source.schema(), done.outcome.results)
    outcomes = [outcome for outcome in verdict.outcomes if outcome.id]
    kept, widened, dropped = [], 0, []
    for one, outcome in zip(found, outcomes, strict=True):
        if outcome.passed or one.rule["rule"] == "row_count":  # the rows held out are fewer by design
            one.notes.append(_held(outcome, done.profile.rows))
        elif _widen(one, outcome):
            widened += 1
        else:
            dropped.append(outcome.message)
            continue
        kept.append(one)
    return kept, widened, dropped, done.profile.rows


def _held(outcome: RuleOutcome, rows: int) -> str:
    if outcome.failing_rows is not None and outcome.rows:
        return f"held out: {outcome.failing_rows:,} of {outcome.rows:,} rows at fault"
    return f"held out: kept to in {rows:,} rows"


def _widen(one: Suggestion, outcome: RuleOutcome) -> bool:
    """Allow more rows at fault, if that makes sense; what failed by much says nothing of the next table."""
    share = outcome.share
    if "error" not in one.rule or share is None or WIDER * share > MOST_WIDENED:
        return False
    one.rule["error"] = as_percent(WIDER * share)
    one.notes.append(f"held out: {outcome.failing_rows:,} of {outcome.rows:,} rows at fault, so its bound was widened")
    return True


def _head(config: PipelineConfig, known: Known, held_out: int, budget: float, dropped: list[str]) -> str:
    lines = [
        f"Rules suggested by {Path(str(config.data_source)).name}: look through them, and keep those that you mean.",
        f"Learned from {known.rows:,} rows drawn with seed {config.seed} (a share of {LEARN_SHARE:.0%}), and scored on "
        f"the {held_out:,} others.",
        f"On another table of the same kind at most {percent(budget)} of the rules should fail by chance. `error` is",
        "how many rows may break a rule; where you know that none may, write error: 0.",
        *(f"Dropped, since it failed on the rows held out: {text}" for text in dropped),
    ]
    return "".join(f"# {_one_line(line)}\n" for line in lines) + f"name: {_scalar(_name_of(config))}\n"


def _entry(one: Suggestion) -> str:
    rule = RuleSet.model_validate({"rules": [one.rule]}).rules[0]
    text = yaml.safe_dump([written(rule)], sort_keys=False, allow_unicode=True, width=100)
    if yaml.safe_load(text) != [written(rule)]:  # U+0085 and its like are line breaks to YAML
        text = yaml.safe_dump([written(rule)], sort_keys=False, width=100)
    told = "; ".join((one.evidence, *one.notes))
    return f"\n# {_one_line(told)}\n{text}"


def _one_line(text: str) -> str:
    """A comment on one line: values of the data are hostile, and could end it."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _scalar(text: str) -> str:
    return yaml.safe_dump(text, allow_unicode=True, width=10_000).removesuffix("\n").removesuffix("\n...")


def _name_of(config: PipelineConfig) -> str:
    return Path(str(config.data_source)).stem.strip("*") or "table"
