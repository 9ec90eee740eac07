"""Ray Data as raypipe uses it: quiet, in order, and with what it has set for the user left alone."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pyarrow as pa

from raypipe._optional import require_extra
from raypipe.blocks.frames import no_rows
from raypipe.engine.faults import is_fault, last_of, say
from raypipe.engine.sides import Side, read_bundle
from raypipe.errors import RaypipeError, StageFailedError

logger = logging.getLogger(__name__)

Stored = tuple[Any, int, int]
"""A block that was made: reference, rows, bytes."""
CAUSES = 8
"""How deep an error may be wrapped up in others."""
_one_at_a_time = threading.RLock()
"""The context and the log of Ray Data are those of the process."""


@dataclass(frozen=True)
class Piece:
    """One task of a dataset: what it yields, in a worker, and what is known of it before."""

    read: Callable[[], Iterable[pa.Table]]
    bytes: int
    """Estimated."""


def load(by: str) -> ModuleType:
    """The module `ray.data`; MissingDependencyError with the pip line where it cannot be imported."""
    require_extra("exchange", by=by)
    os.environ.setdefault("RAY_DATA_USAGE_DISABLED", "1")  # it would ask a server on port 9090 for figures all the time
    import ray.data

    return ray.data


def dataset(pieces: Sequence[Piece], schema: pa.Schema, by: str, cpus: float, retries: int) -> Any:
    """A dataset of one task a piece, not yet run."""
    data = load(by)
    pieces = [Piece(bounded(piece.read, retries, by), piece.bytes) for piece in pieces]
    source = _source_class()(pieces, schema)
    return data.read_datasource(source, num_cpus=cpus, override_num_blocks=max(1, len(pieces)))


def bounded(task: Callable[..., Iterable[pa.Table]], retries: int, who: str) -> Callable[..., Iterator[pa.Table]]:
    """The task, which gives up when it has lost its worker too often: Ray Data itself tries for ever."""

    def run(*args: Any) -> Iterator[pa.Table]:
        from ray._private import worker

        core = getattr(worker.global_worker, "core_worker", None)  # private, so it may go; then Ray Data tries for ever
        tries = getattr(core, "get_current_task_attempt_number", lambda: 0)()
        try:
            if tries > retries:
                text = f"a task lost its worker {tries} times; is there memory enough for it?"
                raise StageFailedError(who, "(all)", text)
            yield from task(*args)
        except BaseException as error:
            if not is_fault(error):
                raise
            own = error if isinstance(error, RaypipeError) else StageFailedError(who, "(all)", say(error))
            raise Carried(own) from None

    return run


class Carried(Exception):  # noqa: N818  # it is no error, it holds one
    """Brings an error of ours home: Ray Data writes advice of its own into the texts of those that it sees."""


def dataset_of(side: Side, by: str, retries: int) -> Any:
    """The frame as a dataset: a task reads a bundle where it is needed, and nothing is copied before."""

    def reader(number: int) -> Callable[[], Iterable[pa.Table]]:
        spec, bundle = side.spec, side.bundles[number]
        return lambda: read_bundle(spec, bundle)

    pieces = [Piece(reader(number), bundle.bytes) for number, bundle in enumerate(side.bundles)]
    if not pieces:
        return load(by).from_arrow(no_rows(side.schema))
    return dataset(pieces, side.schema, by, 1.0, retries)


@functools.cache
def _source_class() -> Any:
    """The class is made when Ray is there: importing Ray early would decide about tokens too early."""
    from ray.data import Datasource, ReadTask
    from ray.data.block import BlockMetadata

    class RaypipeFrame(Datasource):
        """Blocks of a frame."""

        def __init__(self, pieces: Sequence[Piece], schema: pa.Schema) -> None:
            super().__init__()  # type: ignore[no-untyped-call]  # of Ray
            self._pieces, self._schema = pieces, schema

        def estimate_inmemory_data_size(self) -> int:
            return sum(piece.bytes for piece in self._pieces)

        def get_read_tasks(self, parallelism: int, per_task_row_limit: int | None = None, *_: Any, **__: Any) -> Any:
            return [
                ReadTask(
                    piece.read,
                    BlockMetadata(num_rows=None, size_bytes=piece.bytes, input_files=None, exec_stats=None),
                    schema=self._schema,
                    per_task_row_limit=per_task_row_limit,
                )
                for piece in self._pieces
            ]

    return RaypipeFrame


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Run Ray Data without a bar, without a line on the terminal, and with results in order.

    The user's own context and log are as before when this ends.
    """
    from ray.data import DataContext

    with _one_at_a_time:
        context = DataContext.get_current().copy()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        context.raise_original_map_exception = True
        context.execution_options.preserve_order = True
        # Tasks only: the other ways of shuffling start actors, or processes with an environment of their own.
        context.shuffle_strategy = "sort_shuffle_pull_based"
        context.eager_free = False  # what was freed by hand cannot be rebuilt when a node is lost
        with DataContext.current(context), _log_instead_of_terminal():
            yield


@contextlib.contextmanager
def _log_instead_of_terminal() -> Iterator[None]:
    """Keep Ray Data's lines off the terminal; warnings go to our log."""

    def divert(record: logging.LogRecord) -> bool:
        if record.levelno >= logging.WARNING:
            logger.info("ray data: %s", record.getMessage())
        return False

    log = logging.getLogger("ray.data")
    terminals = [one for one in log.handlers if isinstance(one, logging.StreamHandler)]
    for one in terminals:
        one.addFilter(divert)
    try:
        yield
    finally:
        for one in terminals:
            one.removeFilter(divert)


def run(made: Any, who: str) -> list[Stored]:
    """Run a dataset; its blocks stay in the object store.

    Raises
    ------
    RaypipeError
        What a task raised, or StageFailedError in its words.
    """
    try:
        bundles = list(made.iter_internal_ref_bundles())
    except Exception as error:
        raise told(error, who) from error
    found: list[Stored] = []
    for bundle in bundles:
        for ref, known in zip(bundle.block_refs, bundle.metadata, strict=True):
            found.append((ref, int(known.num_rows or 0), int(known.size_bytes or 0)))
    return found


def told(error: BaseException, who: str) -> RaypipeError:
    """What a task raised: our own error as it was, anything else in words."""
    seen = error
    for _ in range(CAUSES):
        if isinstance(seen, Carried) and isinstance(seen.args[0], RaypipeError):
            return seen.args[0]
        if isinstance(seen, RaypipeError) and type(seen).__module__.startswith("raypipe."):
            return seen
        cause = getattr(seen, "cause", None) or seen.__cause__
        if not isinstance(cause, BaseException) or isinstance(cause, SystemExit):
            break
        seen = cause
    text = last_of(seen) if type(seen).__module__.startswith("ray.") else say(seen)
    return StageFailedError(who, "(all)", text)
