"""Tasks of the analysis: what fails becomes a warning, what asks to stop does stop."""

from __future__ import annotations

import pytest

from raypipe.engine.tasks import Attempts
from raypipe.errors import RunCancelledError
from tests.engine.stages import PanicException


def raising(error: BaseException) -> int:
    raise error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no ink"), "page is not available: ValueError: no ink"),
        (PanicException("index out of bounds"), "page is not available: PanicException: index out of bounds"),
    ],
)
def test_a_task_that_fails_becomes_a_warning(error: BaseException, text: str) -> None:
    attempts = Attempts()
    assert attempts.attempt("page", lambda: raising(error)) is None
    assert attempts.attempt("count", lambda: 3) == 3
    assert attempts.warnings == [text]


@pytest.mark.parametrize("error", [RunCancelledError("cancelled"), KeyboardInterrupt("cancelled")])
def test_a_request_to_stop_is_no_warning(error: BaseException) -> None:
    with pytest.raises(type(error), match="cancelled"):
        Attempts().attempt("page", lambda: raising(error))
