"""Which columns a step works on: by name, by pattern, or by kind."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.types as pt

from raypipe.errors import ConfigError, MissingColumnsError
from raypipe.etl.rules.dtypes import dtype_of, is_text
from raypipe.etl.wording import shown

KIND = "kind:"


def is_number(kind: pa.DataType) -> bool:
    """Integers, floats and decimals."""
    return bool(pt.is_integer(kind) or pt.is_floating(kind) or pt.is_decimal(kind))


def is_date(kind: pa.DataType) -> bool:
    """Dates and timestamps."""
    return bool(pt.is_date(kind) or pt.is_timestamp(kind))


def is_category(kind: pa.DataType) -> bool:
    """What can be counted by value: text, whole numbers, booleans, dates."""
    return is_text(kind) or bool(pt.is_integer(kind) or pt.is_boolean(kind)) or is_date(kind) or pt.is_null(kind)


def anything(kind: pa.DataType) -> bool:
    """Any type."""
    return True


@dataclass(frozen=True)
class Accepts:
    """Which types a step takes."""

    fits: Callable[[pa.DataType], bool]
    words: str
    """What it wants, after `wanted`."""
    hint: str = ""
    """What to type for other columns."""


NUMBERS = Accepts(is_number, "numbers", "text that holds numbers becomes one by the step parse_numbers")
TEXT = Accepts(is_text, "text", "other types become text by the step cast")
DATES = Accepts(is_date, "dates or times", "text becomes dates by the step parse_dates")
CATEGORIES = Accepts(
    is_category, "text, whole numbers, booleans or dates", "numbers become categories by the step bin or cast"
)
ANY = Accepts(anything, "anything")

_KINDS: dict[str, Callable[[pa.DataType], bool]] = {
    "numbers": is_number,
    "text": is_text,
    "dates": is_date,
    "booleans": lambda kind: bool(pt.is_boolean(kind)),
    "all": anything,
}


def by_name_only(columns: Sequence[str], schema: pa.Schema) -> bool:
    """Whether the choice holds only names, so that it does not depend on what other columns there are."""
    return all(not word.startswith(KIND) and (word in schema.names or not _is_pattern(word)) for word in columns)


def pick(
    columns: Sequence[str], but: Sequence[str], schema: pa.Schema, accepts: Accepts, kept: Iterable[str], by: str
) -> tuple[str, ...]:
    """The columns that a choice means, in the order in which it names them.

    Parameters
    ----------
    columns, but : sequence of str
        See `ColumnSteps`.
    kept : iterable of str
        Target and time column, which patterns and kinds leave out.
    by : str
        The step, for messages.

    Raises
    ------
    MissingColumnsError
        If a name is not there, or nothing that a pattern could mean.
    ConfigError
        If a kind is unknown, or a named column has a type that the step does not take.
    """
    names = list(schema.names)
    out = {name for word in but for name in _matching(word, names)}
    kept = set(kept)
    chosen: dict[str, None] = {}
    for word in columns:
        if word in names:
            _check_type(schema.field(word), accepts, by)
            found = [word]
        else:
            found = [
                name for name in _meant(word, schema, by) if name not in kept and accepts.fits(schema.field(name).type)
            ]
        chosen.update(dict.fromkeys(name for name in found if name not in out))
    return tuple(chosen)


def _meant(word: str, schema: pa.Schema, by: str) -> list[str]:
    if word.startswith(KIND):
        kind = word.removeprefix(KIND)
        if kind not in _KINDS:
            close = difflib.get_close_matches(kind, _KINDS, n=1)
            hint = f" Did you mean {KIND + close[0]!r}?" if close else ""
            known = ", ".join(KIND + name for name in _KINDS)
            raise ConfigError(f"{by}: there is no {word!r}; there are: {known}.{hint}")
        return [field.name for field in schema if _KINDS[kind](field.type)]
    if not _is_pattern(word):
        raise MissingColumnsError(by, [word], schema.names)
    found = _matching(word, schema.names)
    if not found:
        raise MissingColumnsError(by, [word], schema.names)
    return found


def _matching(word: str, names: Sequence[str]) -> list[str]:
    return [word] if word in names else [name for name in names if fnmatch.fnmatchcase(name, word)]


def _is_pattern(word: str) -> bool:
    return any(char in word for char in "*?")


def _check_type(field: pa.Field, accepts: Accepts, by: str) -> None:
    if not accepts.fits(field.type) and not pt.is_null(field.type):
        hint = f"; {accepts.hint}" if accepts.hint else ""
        called = dtype_of(field.type) or field.type
        raise ConfigError(f"{by}: column {shown(field.name)} holds {called}; wanted {accepts.words}{hint}")


def check_type(schema: pa.Schema, column: str, accepts: Accepts, by: str) -> None:
    """Raise unless the column is there and of a type that the step takes."""
    if column not in schema.names:
        raise MissingColumnsError(by, [column], schema.names)
    _check_type(schema.field(column), accepts, by)
