"""Tasks of the analysis: one that fails becomes a warning, and the others go on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from raypipe.engine.faults import is_fault, say
from raypipe.errors import RunCancelledError

logger = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass
class Attempts:
    """Runs tasks one after the other, and keeps what failed."""

    warnings: list[str] = field(default_factory=list)

    def attempt(self, name: str, task: Callable[[], T]) -> T | None:
        """The task's result; None if it raised, with a warning that says why."""
        try:
            return task()
        except RunCancelledError:
            raise
        except BaseException as error:
            if not is_fault(error):
                raise
            logger.warning("%s failed", name, exc_info=True)
            self.warnings.append(f"{name} is not available: {say(error)}")
            return None
