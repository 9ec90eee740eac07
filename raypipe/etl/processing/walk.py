"""Takes a table through a list of steps, pass by pass: each pass applies what is fitted, and fits what follows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from raypipe.engine.frame import Frame
from raypipe.engine.report import StageTally
from raypipe.engine.run import Outcome
from raypipe.etl.processing.course import Course
from raypipe.etl.processing.figures import with_ends, with_figures
from raypipe.etl.steps.step import Step
from raypipe.results import StepReport
from raypipe.stage import MapStage, Stage

RunStages = Callable[[Frame, tuple[Stage, ...]], Outcome]
"""Runs stages over a frame, and keeps the blocks that they leave."""


@dataclass
class Walked:
    """What came of it."""

    frame: Frame
    """The rows that are left."""
    reports: list[StepReport] = field(default_factory=list)
    tallies: dict[str, StageTally] = field(default_factory=dict)
    """Of each step that ran."""
    last: Outcome | None = None
    """Of the last pass; None where there was nothing to run."""


def walk(
    course: Course,
    frame: Frame,
    run: RunStages,
    first: Sequence[MapStage] = (),
    ends: Callable[[pa.Schema], tuple[Stage, ...]] = lambda schema: (),
) -> Walked:
    """Apply the stages `first`, then all steps of the course, in as few passes as it takes.

    Parameters
    ----------
    first : sequence of MapStage
        Stages, some of which may be steps, that come before the course; its schema is what they leave.
    ends : callable
        From the schema after the last step: stages that stand behind it, in the same pass.
    """
    done = Walked(frame)
    waiting: list[MapStage] = list(first)
    while True:
        seen: tuple[Stage, ...] = course.gather()
        steps = [*waiting, *course.applied()]
        waiting = []
        behind = seen or ends(course.schema)
        _pass(done, steps, behind, run)
        if not seen:
            return done
        assert done.last is not None
        course.learn(done.last.results)


def _pass(done: Walked, steps: Sequence[MapStage], behind: tuple[Stage, ...], run: RunStages) -> None:
    busy = [step for step in steps if not (isinstance(step, Step) and step.idle)]
    if not busy and not behind:
        done.reports += [step.describe({}, 0) for step in steps if isinstance(step, Step)]
        return
    stages = with_figures(busy, done.frame.schema)
    outcome = run(done.frame, (*stages, *behind))
    assert outcome.frame is not None
    done.frame, done.last = outcome.frame, outcome
    done.tallies.update({step.name: outcome.tallies[step.name] for step in busy})
    done.reports += with_ends(_described(steps, outcome), stages, outcome.results)


def _described(steps: Sequence[Any], outcome: Outcome) -> list[StepReport]:
    found = []
    for step in steps:
        if isinstance(step, Step):
            tally = outcome.tallies.get(step.name, StageTally())
            found.append(step.describe(tally.counts, tally.rows_dropped))
    return found
