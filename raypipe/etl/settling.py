"""Reading a source until every column has a type that holds for all of it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from raypipe.engine.report import PartReport
from raypipe.errors import SchemaError
from raypipe.etl.source import MISCUT, TableSource, cut_exactly, settle_types
from raypipe.etl.types import Misfits, Promotion, gather_misfits

logger = logging.getLogger(__name__)

MAX_ROUNDS = 5
"""Types only ever widen (integer, float, text), so that more rounds than four mean a defect; one more may be needed for
cuts that were guessed wrongly."""
Made = TypeVar("Made")


@dataclass
class PartNotes:
    """What parts say beside their rows, added up in the order of parts: it does not grow with them."""

    counts: Counter[str] = field(default_factory=Counter)
    _values: Counter[str] = field(default_factory=Counter)
    _wide: Counter[str] = field(default_factory=Counter)
    _misfits: Misfits = field(default_factory=dict)

    def on_read(self, report: PartReport) -> None:
        """Add the notes of one part."""
        note = report.notes
        self.counts.update({key: value for key, value in note.items() if isinstance(value, int)})
        self._values.update(note.get("values", {}))
        self._wide.update(note.get("wide", {}))
        if note.get("misfits"):
            self._misfits = gather_misfits([{"misfits": self._misfits}, {"misfits": note["misfits"]}])

    def misfits(self) -> Misfits:
        """Of all parts so far."""
        return gather_misfits([{"values": self._values, "wide": self._wide, "misfits": self._misfits}])


@dataclass(frozen=True)
class Settled(Generic[Made]):
    """The last reading, under types that stand."""

    source: TableSource
    made: Made
    notes: PartNotes
    promotions: list[Promotion]
    """Types that were widened on the way."""


def until_settled(
    source: TableSource,
    read: Callable[[TableSource, PartNotes], Made],
    drop: Callable[[Made], None],
    max_bad_cell_share: float,
) -> Settled[Made]:
    """Read, and read again where a part widened a type or was cut in the middle of a row.

    Parameters
    ----------
    read : callable
        Reads the source as it is planned, and tells the notes of every part.
    drop : callable
        Lets go of what a reading made that does not stand.

    Raises
    ------
    SchemaError
        If types do not settle, which is a defect of raypipe.
    """
    promotions: list[Promotion] = []
    for _ in range(MAX_ROUNDS):
        notes = PartNotes()
        made = read(source, notes)
        settled, found = settle_types(source, notes.misfits(), max_bad_cell_share)
        miscut = notes.counts[MISCUT] > 0
        if not found and not miscut:
            return Settled(source, made, notes, promotions)
        drop(made)
        for promotion in [] if miscut else found:
            logger.warning("%s; reading again", promotion.reason)
        promotions += [] if miscut else found
        source = cut_exactly(source) if miscut else settled
    last = promotions[-1].reason if promotions else "parts that begin in the middle of a row"
    raise SchemaError(f"read: types did not settle after {MAX_ROUNDS} rounds, the last for {last}")
