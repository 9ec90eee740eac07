"""The error tree: every error that raypipe raises on purpose starts at `RaypipeError`.

A text says who speaks, what it got, what it wanted and what to type next. Errors cross process
boundaries, so each keeps its raw values in `args` and builds its text from them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_NAME_CHARS = 60


class RaypipeError(Exception):
    """Root of every error that raypipe raises on purpose."""

    code = "RAYPIPE_ERROR"

    def to_dict(self) -> dict[str, str]:
        """Code, class and text, as they stand in `execution_summary.json`."""
        return {"code": self.code, "type": type(self).__name__, "message": str(self)}


class ConfigError(RaypipeError, ValueError):
    """A setting is wrong, and that was known before any data was read."""

    code = "CONFIG_ERROR"


class ResumeError(ConfigError):
    """A run cannot be gone on with: it is not there, still running, done, or its source or settings have changed."""

    code = "RESUME_ERROR"


class SchemaError(RaypipeError, ValueError):
    """Columns or types do not fit what a stage or a user asked for."""

    code = "SCHEMA_ERROR"


class MissingColumnsError(SchemaError):
    """A stage or a setting asked for columns that its input does not have."""

    def __init__(self, who: str, missing: Iterable[str], available: Iterable[str]) -> None:
        super().__init__(who, tuple(missing), tuple(available))

    def __str__(self) -> str:
        who, missing, available = self.args
        by_lower = {name.lower(): name for name in reversed(available)}
        close = difflib.get_close_matches(missing[0].lower(), by_lower, n=1)
        hint = f" Did you mean {by_lower[close[0]]!r}?" if close else ""
        more = f", … ({len(available)} in all)" if len(available) > 30 else ""
        shown = ", ".join(map(_plain, available[:30]))
        return f"{who}: input has no column {', '.join(map(repr, missing))}. It has: {shown}{more}.{hint}"


def _plain(name: str) -> str:
    """A name as it stands, if it stands on one line: names of columns are hostile."""
    short = name if len(name) <= _NAME_CHARS else name[:_NAME_CHARS] + "…"
    return short if short.isprintable() and short.strip() else repr(short)


class ReadError(RaypipeError, ValueError):
    """A source cannot be read: absent, empty, cut off, or not what its name says."""

    code = "READ_ERROR"


class DataInvalidError(RaypipeError, ValueError):
    """The data was read, and failed validation under `strict_validation`."""

    code = "VALIDATION_ERROR"


class OutputError(RaypipeError, OSError):
    """The output folder cannot be written, or the disk is full."""

    code = "OUTPUT_ERROR"

    # OSError turns two arguments into (errno, strerror) and changes str(); one text keeps it plain.
    def __init__(self, text: str) -> None:
        super().__init__(text)


class MissingDependencyError(RaypipeError, ImportError):
    """A feature needs a package of a pip extra that is not installed."""

    code = "MISSING_DEPENDENCY"


class StageFailedError(RaypipeError, RuntimeError):
    """A stage failed on a part, and retries and bisection could not mend it."""

    code = "STAGE_FAILED"

    def __init__(self, stage: str, part: str, text: str) -> None:
        super().__init__(stage, part, text)

    def __str__(self) -> str:
        stage, part, text = self.args
        return f"stage {stage} failed on part {part}: {text}"


class ConservationError(RaypipeError, RuntimeError):
    """Rows read are not rows kept plus quarantined plus dropped: a defect of raypipe itself."""

    code = "CONSERVATION_ERROR"


class RunCancelledError(RaypipeError):
    """The user cancelled the run: Ctrl-C, `pipeline.cancel()`, or a stopped job."""

    code = "CANCELLED"


class ClusterError(RaypipeError, RuntimeError):
    """A cluster that jobs are sent to cannot be reached, refuses, or answers what makes no sense."""

    code = "CLUSTER_ERROR"


class UnreachableError(ClusterError):
    """Nobody answers at the address of a cluster, or it cannot answer now; it may pass."""


class TokenError(ClusterError):
    """A cluster wants a token, or refuses the one that it got."""


class NoSuchJobError(ClusterError):
    """A cluster knows no job of this name."""


class JobExistsError(ClusterError):
    """A cluster has a job of this name already."""


class JobLostError(ClusterError):
    """A job was lost with the head node of its cluster."""


FAILED, USAGE, INVALID, IN_PART, CANCELLED = 1, 2, 3, 4, 130
"""Exit codes; 0 is done, `IN_PART` that there is a result, but a step that was asked for is not in it."""


def exit_code(error: BaseException) -> int:
    """The exit code that tells of `error`."""
    if isinstance(error, (KeyboardInterrupt, RunCancelledError)):
        return CANCELLED
    if isinstance(error, DataInvalidError):
        return INVALID
    return USAGE if isinstance(error, (ConfigError, MissingColumnsError, MissingDependencyError)) else FAILED


DataSciencePlatformError = RaypipeError
"""The root under the name that users of the older platform know."""
