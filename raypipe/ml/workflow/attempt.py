"""Steps that a workflow can do without: one that fails is told, and the others go on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from raypipe.errors import RaypipeError

T = TypeVar("T")
_log = logging.getLogger(__name__)


@dataclass
class Attempts:
    """What was tried and failed, and why."""

    warnings: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    """Step -> why it is not in the result."""

    def warn(self, text: str) -> None:
        """Tell, and keep for the result."""
        self.warnings.append(text)
        _log.warning(text)

    def optional(self, step: str, work: Callable[[], T]) -> T | None:
        """What `work` gives; None, with the reason kept, where it fails."""
        try:
            return work()
        except RaypipeError as error:
            self._failed(step, str(error))
        except Exception as error:  # noqa: BLE001 - libraries raise what they like, and a model is better than none
            self._failed(step, f"{type(error).__name__}: {error}")
        return None

    def lacks(self, step: str, why: str) -> None:
        """Tell of a step that was not done whole."""
        self.skipped[step] = why
        self.warn(f"{step}: {why}")

    def _failed(self, step: str, why: str) -> None:
        self.skipped[step] = why
        self.warn(f"{step} failed, and the workflow went on without it: {why}")
