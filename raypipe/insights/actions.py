"""What to do about findings: recommendations, each once, with the command to type, and the next steps of a run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from raypipe.config import Frozen
from raypipe.insights.facts import InsightContext
from raypipe.insights.wording.catalogue import Catalogue
from raypipe.insights.words import plain
from raypipe.results import Insight

HEADINGS = {
    "data_quality": "Mend the data",
    "data_distribution": "Mind the shape of columns",
    "correlation": "Mind columns that tell the same",
    "outliers": "Look at what stands out",
    "anomalies": "Look at what stands out",
    "trends": "Mind the time",
    "seasonality": "Mind the time",
    "change_points": "Mind the time",
    "clustering": "Look at groups of rows",
    "feature_relationships": "Build on what goes with the target",
    "feature_importance": "Build on what goes with the target",
    "model_performance": "Build on what goes with the target",
}
"""Category of finding -> title of what to do about it."""
SEE_ASIDE = "In the folder of this run: see why rows were set aside, mend them and read them again."
ASK_CHANGE = "After the next run, in the folder of this one: ask what changed since."
_SIMPLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""Columns that `--set` can name; others are told in words."""


class Recommendation(Frozen):
    """One thing to do, and for which columns."""

    category: str
    title: str
    description: str
    actions: tuple[str, ...] = ()
    """Commands to type; none where no command does it."""
    priority: int
    """Of the most important finding behind it."""
    columns: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    """Types of the findings behind it."""


class NextStep(Frozen):
    """What to do after reading the report."""

    text: str
    command: str | None = None


@dataclass(frozen=True)
class Run:
    """How the command that made the report goes on."""

    source: str | None = None
    run_id: str | None = None
    output: str | None = None
    target: str | None = None
    time: str | None = None

    def again(self, *settings: str) -> str | None:
        """The same run with other settings; None where the source is not known or cannot be typed."""
        if self.source is None or not self.source.isprintable():
            return None
        words = ["raypipe", "run", self.source]
        for flag, column in (("--target", self.target), ("--time", self.time)):
            words += [flag, column] if column is not None and column.isprintable() else []
        words += [word for setting in settings for word in ("--set", setting)]
        return shlex.join(words)


Setting = Callable[[Insight, str], str | None]


def _impute(insight: Insight, column: str) -> str | None:
    fill = insight.evidence.get("fill")
    return f"processing.impute.{column}={fill}" if fill else None


SETTINGS: dict[str, Setting] = {
    "missing_values": _impute,
    "empty_column": lambda _, __: "processing.drop_empty_columns=true",
    "duplicate_rows": lambda _, __: "processing.drop_duplicates=true",
    "padded_text": lambda _, __: "processing.trim_text=true",
    "numbers_as_text": lambda _, column: f"read_options.dtypes.{column}=float64",
    "coded_category": lambda _, column: f"read_options.dtypes.{column}=text",
    "outliers": lambda _, column: f"processing.cap_outliers=[{column}]",
}
"""Type of finding -> the setting that does what it recommends, for its column."""


def recommendations(
    insights: tuple[Insight, ...], run: Run, words: Catalogue | None = None
) -> tuple[Recommendation, ...]:
    """What the findings recommend, each once, most important first.

    Findings with the same recommendation share one.
    """
    told: dict[str, list[Insight]] = {}
    for insight in insights:
        if insight.recommendation:
            told.setdefault(insight.recommendation, []).append(insight)
    say = (words or Catalogue()).say
    return tuple(_recommendation(text, same, run, say) for text, same in told.items())


def _recommendation(text: str, insights: list[Insight], run: Run, say: Callable[[str], str]) -> Recommendation:
    first = insights[0]
    columns = tuple(dict.fromkeys(column for insight in insights for column in insight.columns_affected))
    return Recommendation(
        category=first.category,
        title=say(HEADINGS.get(first.category, "Look closer")),
        description=text,
        actions=tuple(_commands(insights, run)),
        priority=max(insight.priority_score for insight in insights),
        columns=columns,
        findings=tuple(dict.fromkeys(insight.type for insight in insights)),
    )


def _commands(insights: list[Insight], run: Run) -> Iterator[str]:
    """One command for all of them, and those that look at rows set aside."""
    settings = [
        setting
        for insight in insights
        if insight.type in SETTINGS
        and (not insight.columns_affected or _SIMPLE.fullmatch(insight.columns_affected[0]))
        and (
            setting := SETTINGS[insight.type](insight, insight.columns_affected[0] if insight.columns_affected else "")
        )
    ]
    if settings and (command := run.again(*dict.fromkeys(settings))):
        yield command
    if any(insight.type == "quarantined_rows" for insight in insights) and (command := _about(run, "quarantine show")):
        yield command


def next_steps(
    insights: tuple[Insight, ...], run: Run, context: InsightContext, words: Catalogue | None = None
) -> tuple[NextStep, ...]:
    """What follows from this run: first what stands in the way, then what was not asked for, then what comes later."""
    say = (words or Catalogue()).say
    steps = _steps({insight.type for insight in insights}, run, context)
    return tuple(step.replace(text=say(step.text)) for step in steps)


def _steps(types: set[str], run: Run, context: InsightContext) -> Iterator[NextStep]:
    if context.rows_quarantined:
        yield NextStep(text=SEE_ASIDE, command=_about(run, "quarantine show"))
    if "broken_rule" in types:
        yield NextStep(text="Look at the rules that are broken, in validation.json.")
    mends = {"duplicate_rows": "processing.drop_duplicates=true", "padded_text": "processing.trim_text=true"}
    settings = [setting for kind, setting in mends.items() if kind in types]
    if settings:
        yield NextStep(text="Run again with what mends the data without a question.", command=run.again(*settings))
    if context.target is None:
        yield NextStep(
            text="Name the column that you want to explain, and what goes with it is measured.",
            command=_placed(run.again(), "--target COLUMN"),
        )
    if run.time is None:
        yield NextStep(
            text="Name a column with dates, and the course over time is looked at.",
            command=_placed(run.again(), "--time COLUMN"),
        )
    yield NextStep(
        text="Have rules drafted from this data, so that the next delivery is held to them.",
        command=_typed("raypipe", "validate", run.source, "--suggest", "--output", "rules.yaml"),
    )
    if run.run_id is not None:
        yield NextStep(
            text=ASK_CHANGE,
            command=_about(run, "compare", "latest"),
        )


def _about(run: Run, command: str, *more: str) -> str | None:
    """A command about this run: in a bucket by its name, else typed in its folder.

    Reports of equal runs are equal, wherever they lie.
    """
    if run.run_id is None:
        return None
    if run.output is not None and "://" in run.output:
        return _typed("raypipe", *command.split(), run.run_id, *more, "--output", run.output)
    return _typed("raypipe", *command.split(), ".", *more, *(("--output", "..") if more else ()))


def _typed(*words: str | None) -> str | None:
    if any(word is None or not word.isprintable() for word in words):
        return None
    return shlex.join(plain(word, 500) for word in words if word is not None)


def _placed(command: str | None, more: str) -> str | None:
    return None if command is None else f"{command} {more}"
