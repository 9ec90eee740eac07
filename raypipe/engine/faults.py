"""What counts as the fault of a stage, and how it is put into words."""

from __future__ import annotations

MAX_CHARS = 2_000
"""A message is cut after this many characters: some libraries print the whole block into theirs."""


def is_fault(error: BaseException) -> bool:
    """Whether `error` is something that went wrong, and not a request to stop.

    A panic of a Rust library (Polars, tokenizers) is a `BaseException` that no `except Exception` catches; each
    library has a class of its own for it, all under one name.

    Examples
    --------
    >>> is_fault(ValueError()), is_fault(KeyboardInterrupt())
    (True, False)
    """
    return isinstance(error, Exception) or any(kind.__name__ == "PanicException" for kind in type(error).__mro__)


def say(error: BaseException) -> str:
    """Class and text of an error: never raises, never endless, always valid Unicode.

    Examples
    --------
    >>> say(KeyError("city")), say(ValueError())
    ("KeyError: 'city'", 'ValueError')
    """
    kind = type(error).__name__
    try:
        text = str(error)
    except Exception as worse:
        text = f"(its text cannot be made: {type(worse).__name__})"
    text = text if len(text) <= MAX_CHARS else f"{text[:MAX_CHARS]}… ({len(text):,} characters)"
    # A lone surrogate, as in the name of a file that is no UTF-8, would not go into a table or a file.
    return f"{kind}: {text}".encode("utf-8", "backslashreplace").decode() if text else kind


def last_of(error: BaseException) -> str:
    """The last line of what `say` says; for errors of Ray that print a whole report, the line that matters.

    Examples
    --------
    >>> last_of(RuntimeError("a report\\nof two lines"))
    'of two lines'
    """
    return say(error).strip().splitlines()[-1].strip()
