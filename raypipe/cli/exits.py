"""From errors to exit codes: 0 done, 1 failed, 2 usage or config, 3 data failed validation, 130 cancelled."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Iterator

from rich.console import Console

from raypipe.errors import CANCELLED, FAILED, INVALID, USAGE, RaypipeError, exit_code

__all__ = ["CANCELLED", "FAILED", "INVALID", "USAGE", "exit_code", "tidy_exit"]


@contextlib.contextmanager
def tidy_exit(console: Console) -> Iterator[None]:
    """Turn errors into one readable line and an exit code, and end what runs, whatever happened.

    A traceback is shown for defects only, and for everything when RAYPIPE_TRACEBACK is set.
    """
    code, notes = 0, []
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    except SystemExit as error:  # usage errors, and Ctrl-C, which the command-line library turns into this
        code = error.code if isinstance(error.code, int) else FAILED
        notes = _notes(error)
    except BaseException as error:
        code = exit_code(error)
        if os.environ.get("RAYPIPE_TRACEBACK") or not isinstance(error, (RaypipeError, KeyboardInterrupt)):
            traceback.print_exc()
        if code != CANCELLED:
            text = str(error) or type(error).__name__
            console.print(f"error: {text}", style="red", markup=False, highlight=False, soft_wrap=True)
        notes = _notes(error)
    # What follows cleans up; another Ctrl-C must not leave it half-done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if code == CANCELLED:
        console.print("cancelled", style="red")
    for note in notes:
        console.print(f"note: {note}", markup=False, highlight=False, soft_wrap=True)
    _close()
    if code:
        sys.exit(code)


def _notes(error: BaseException | None) -> list[str]:
    """What was noted on an error, or on the one that it came from, as on Ctrl-C inside of the command-line library."""
    found: list[str] = []
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        found += getattr(error, "__notes__", [])
        error = error.__cause__ or error.__context__
    return list(dict.fromkeys(found))


def _terminate(signum: int, frame: object) -> None:
    """SIGTERM ends a run as Ctrl-C does."""
    raise KeyboardInterrupt


def _close() -> None:
    """End a private Ray, if one was started; Ray is not imported for it."""
    session = sys.modules.get("raypipe.engine.session")
    if session is not None:
        session.close_session()
