"""How often something is tried, and how long to wait in between."""

from __future__ import annotations

import random
from typing import Annotated

from pydantic import Field, NonNegativeFloat, PositiveInt

from raypipe.config import Frozen
from raypipe.errors import RaypipeError

ErrorTypes = tuple[type[Exception], ...]
_MAX_DOUBLINGS = 64


class RetryPolicy(Frozen):
    """Finite tries with exponential backoff and full jitter.

    A task whose worker was lost is worth another try under every policy; what a task raises is judged by its class.

    References
    ----------
    Brooker (2015), Exponential Backoff And Jitter: a pause drawn from all of [0, cap] spreads the tries best.

    Examples
    --------
    >>> RetryPolicy().is_worth_it(ConnectionError()), RetryPolicy().is_worth_it(ValueError())
    (True, False)
    >>> RetryPolicy(on=(ValueError,)).is_worth_it(UnicodeError())
    True
    """

    attempts: PositiveInt = 3
    """Tries in all; 1 never tries again."""
    first_pause_s: NonNegativeFloat = 0.5
    """Longest pause before the second try."""
    factor: Annotated[float, Field(ge=1.0, le=100.0)] = 2.0
    """By how much the longest pause grows from try to try."""
    max_pause_s: NonNegativeFloat = 60.0
    """No pause is longer."""
    on: ErrorTypes = (OSError,)
    """Errors that may pass, and their subclasses."""
    not_on: ErrorTypes = (
        FileNotFoundError,
        FileExistsError,
        IsADirectoryError,
        NotADirectoryError,
        PermissionError,
        RaypipeError,
    )
    """Errors that will not pass. Where both fit, the nearer class decides; where both name it, `on` does."""
    on_time_limit: bool = False
    """Whether a task on the cluster that ran past its time limit is tried again. One in a thread never is, since its
    first try would still be running beside the second."""
    seed: int = 42
    """Of the pauses."""

    def is_worth_it(self, error: BaseException) -> bool:
        """Whether another try may end otherwise."""
        for kind in type(error).__mro__:
            if kind in self.on:
                return True
            if kind in self.not_on:
                return False
        return False

    def pause_s(self, name: str, attempt: int) -> float:
        """Seconds to wait after try number `attempt` (from 1) of the task `name`; the same for the same seed."""
        longest = min(self.max_pause_s, self.first_pause_s * self.factor ** min(attempt - 1, _MAX_DOUBLINGS))
        return random.Random(f"{self.seed}/{name}/{attempt}").uniform(0.0, longest)
