"""Which rows of a bundle kill, or never let go of, the worker that runs them.

A worker that was killed cannot say what it died of. So the bundle is run alone; if it kills again, in smaller blocks,
since what kills as a whole and in no piece of it needed too much at once. If that kills too, spans of its rows are
tried in calls whose result nobody needs, cutting each span that killed, until single rows stand alone. A death costs
the start of a process and a probe that is survived next to nothing, so that spans are cut into many pieces.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field

from raypipe.errors import RaypipeError

PIECES = 16
"""Spans that one that killed is cut into; and blocks that a part is cut into before its rows are searched."""
TRIALS = 6
"""Runs of a bundle whose rows at fault are known; each has blocks half as large as the one before."""
MAX_DEATHS = 200
"""Workers that one bundle may cost."""


@dataclass(frozen=True)
class Care:
    """How a part is to be run so that it harms no worker."""

    block_rows: int | None = None
    """Rows that a stage may get at once; None: as many as otherwise."""
    skip: Mapping[int, frozenset[int]] = field(default_factory=dict)
    """Index of a stage of the chain -> numbers of the rows to set aside before it."""
    why: str = ""
    """What stands as the reason of the rows that are set aside."""


@dataclass(frozen=True)
class Probe:
    """Run rows `first` to `stop` (exclusive; row numbers within the part) of one part through the first stages."""

    part: int
    """Index within the bundle."""
    stages: int
    """Stages of the chain to run; 0 only reads."""
    first: int | None = None
    stop: int | None = None


@dataclass(frozen=True)
class Trial:
    """Run the bundle, part by part with care (index of the part within the bundle -> how)."""

    care: Mapping[int, Care] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What became of a probe or a trial."""

    died: bool
    first: int = 0
    """Number of the first row that the probe ran."""
    stop: int = 0
    """One more than the number of the last one; `first` where there was none."""


class CannotSurviveError(RaypipeError):
    """No way was found to run the bundle without losing its worker."""


Steps = Generator[Probe | Trial, Answer, None]


def inquest(parts: int, stages: int, why: str) -> Steps:
    """Ask for one probe or trial after the other; ends after the trial that its worker survived.

    Parameters
    ----------
    parts : int
        Parts of the bundle.
    stages : int
        Stages of the chain.
    why : str
        What happened to the worker, for the reason of rows set aside.

    Raises
    ------
    CannotSurviveError
        If reading alone kills, or nothing helps; after finitely many deaths in any case.
    """
    if not (yield Trial()).died:
        return
    spans: list[Answer] = []
    for part in range(parts):
        read = yield Probe(part, 0)
        if read.died and (read := (yield Probe(part, 0))).died:
            raise CannotSurviveError(f"{why}, by reading alone, so that no row can be told from another")
        spans.append(read)
    care = {part: Care(-(-(span.stop - span.first) // PIECES) or None) for part, span in enumerate(spans)}
    if not (yield Trial(care)).died:
        return
    for part, span in enumerate(spans):
        care[part] = yield from _examined(part, span, stages, why, known_dead=parts == 1)
    for _ in range(TRIALS):
        if not (yield Trial(care)).died:
            return
        care = {part: _smaller(one) for part, one in care.items()}
    raise CannotSurviveError(f"{why}, however few rows at a time it was given")


@dataclass
class _Search:
    """Rows at fault in one part, and the shortest span that killed without one."""

    part: int
    stages: int
    at_fault: list[int] = field(default_factory=list)
    too_long: int | None = None

    def look(self, first: int, stop: int) -> Generator[Probe | Trial, Answer, None]:
        """Search a span that killed its worker."""
        if stop - first == 1:
            # A worker may be lost for reasons of its own: one row is blamed only if it kills twice.
            if (yield Probe(self.part, self.stages, first, stop)).died:
                self.at_fault.append(first)
            return
        known = len(self.at_fault)
        step = -(-(stop - first) // PIECES)
        for start in range(first, stop, step):
            end = min(stop, start + step)
            if (yield Probe(self.part, self.stages, start, end)).died:
                yield from self.look(start, end)
        if len(self.at_fault) == known:
            self.too_long = min(stop - first, self.too_long or stop)

    def stage_of(self, row: int) -> Generator[Probe | Trial, Answer, int]:
        """Index of the first stage that the row kills."""
        for stages in range(1, self.stages):
            if (yield Probe(self.part, stages, row, row + 1)).died:
                return stages - 1
        return self.stages - 1


def _examined(
    part: int, read: Answer, stages: int, why: str, *, known_dead: bool
) -> Generator[Probe | Trial, Answer, Care]:
    if read.first == read.stop:
        return Care()
    if not known_dead and not (yield Probe(part, stages, read.first, read.stop)).died:
        return Care()
    search = _Search(part, stages)
    yield from search.look(read.first, read.stop)
    skip: dict[int, set[int]] = {}
    for row in search.at_fault:
        index = yield from search.stage_of(row)
        skip.setdefault(index, set()).add(row)
    rows = max(1, search.too_long // PIECES) if search.too_long else None
    return Care(rows, {index: frozenset(found) for index, found in skip.items()}, why)


def _smaller(care: Care) -> Care:
    rows = max(1, care.block_rows // 4) if care.block_rows else 1 << 14
    return Care(rows, care.skip, care.why)
