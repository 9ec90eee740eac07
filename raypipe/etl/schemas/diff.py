"""What changed between two schemas, and for whom it breaks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from raypipe.config import Frozen
from raypipe.etl.rules.schema import ColumnSchema, DataSchema
from raypipe.etl.schemas.lattice import holds
from raypipe.etl.wording import listed, shown


class Change(Frozen):
    """One difference from an old schema to a new one."""

    kind: str
    """added, removed, retyped, required, nullability, unique, range, values, pattern, semantic, unit, pii, key."""
    column: str | None
    """None for the table."""
    before: str | None
    after: str | None
    breaks_readers: bool
    """Whether data under the new schema may be what a reader of the old one does not take."""
    breaks_writers: bool
    """Whether data that fit the old schema may not fit the new one."""
    reason: str

    @property
    def breaking(self) -> bool:
        """Whether it breaks anyone."""
        return self.breaks_readers or self.breaks_writers


class SchemaDiff(Frozen):
    """All differences, in the order of columns."""

    changes: tuple[Change, ...] = ()

    @property
    def breaks_readers(self) -> bool:
        """Whether a reader of the old schema may fail on data under the new one."""
        return any(change.breaks_readers for change in self.changes)

    @property
    def breaks_writers(self) -> bool:
        """Whether data that fit the old schema may fail under the new one."""
        return any(change.breaks_writers for change in self.changes)

    @property
    def breaking(self) -> bool:
        """Whether it breaks anyone."""
        return self.breaks_readers or self.breaks_writers


def diff_schemas(old: DataSchema, new: DataSchema) -> SchemaDiff:
    """The differences from `old` to `new`; names, versions and descriptions do not count.

    Examples
    --------
    >>> a = DataSchema(name="t", columns=(ColumnSchema(name="n", dtype="int32"),))
    >>> b = DataSchema(name="t", columns=(ColumnSchema(name="n", dtype="int64"),))
    >>> (change,) = diff_schemas(a, b).changes
    >>> change.kind, change.breaks_readers, change.breaks_writers
    ('retyped', True, False)
    """
    changes: list[Change] = []
    before = {column.name: column for column in old.columns}
    after = {column.name: column for column in new.columns}
    for name, column in before.items():
        if name not in after:
            changes.append(_removed(column))
        else:
            changes += _column_changes(_held(column, old), _held(after[name], new))
    changes += [_added(column) for name, column in after.items() if name not in before]
    if set(old.primary_key) != set(new.primary_key):
        changes.append(_key(old.primary_key, new.primary_key))
    return SchemaDiff(changes=tuple(changes))


def _held(column: ColumnSchema, schema: DataSchema) -> ColumnSchema:
    """The column with what the primary key asks of it, too."""
    return column.replace(nullable=False) if column.name in schema.primary_key else column


def _change(
    kind: str, column: ColumnSchema | None, values: tuple[Any, Any], breaks: tuple[bool, bool], reason: str
) -> Change:
    before, after = (None if value is None else str(value) for value in values)
    name = None if column is None else column.name
    where = "" if name is None else f"{shown(name)}: "
    return Change(
        kind=kind, column=name, before=before, after=after, breaks_readers=breaks[0], breaks_writers=breaks[1],
        reason=where + reason,
    )  # fmt: skip


def _added(column: ColumnSchema) -> Change:
    must = column.required
    reason = "is new" + (", and must be there: data of the old schema lacks it" if must else ", and may be absent")
    return _change("added", column, (None, column.dtype or "any type"), (False, must), reason)


def _removed(column: ColumnSchema) -> Change:
    reason = "is gone" + (": who reads it finds nothing" if column.required else "; it might have been absent before")
    return _change("removed", column, (column.dtype or "any type", None), (column.required, False), reason)


def _column_changes(a: ColumnSchema, b: ColumnSchema) -> Iterator[Change]:
    if a.dtype != b.dtype:
        breaks = (not holds(a.dtype, b.dtype), not holds(b.dtype, a.dtype))
        words = {(True, True): "neither holds the other", (True, False): "wider", (False, True): "narrower"}
        reason = f"was {a.dtype or 'any type'}, is {b.dtype or 'any type'}: {words.get(breaks, 'the same values')}"
        yield _change("retyped", b, (a.dtype, b.dtype), breaks, reason)
    for kind, was, now, said in (
        ("required", not a.required, not b.required, "may be absent"),
        ("nullability", a.nullable, b.nullable, "may be null"),
        ("unique", not a.unique, not b.unique, "may repeat values"),
    ):
        if was != now:
            reason = f"{'now ' if now else 'no longer '}{said}"
            yield _change(kind, b, (was, now), (now, was), reason)
    yield from _limits(a, b)
    if a.semantic != b.semantic:
        yield _change("semantic", b, (a.semantic, b.semantic), (False, False), f"was {a.semantic}, is {b.semantic}")
    if a.unit != b.unit:
        known = a.unit is not None and b.unit is not None
        reason = f"unit was {a.unit}, is {b.unit}" + (": the same numbers mean something else" if known else "")
        yield _change("unit", b, (a.unit, b.unit), (known, known), reason)
    if set(a.pii) != set(b.pii):
        said = f"personal data was {listed(a.pii) or 'none'}, is {listed(b.pii) or 'none'}"
        yield _change("pii", b, (listed(a.pii), listed(b.pii)), (False, False), said)


def _limits(a: ColumnSchema, b: ColumnSchema) -> Iterator[Change]:
    for field, sign in (("min_value", -1), ("max_value", 1)):
        was, now = getattr(a, field), getattr(b, field)
        if was != now:
            breaks = _bound_breaks(was, now, sign)
            yield _change("range", b, (was, now), breaks, f"{field} was {shown(was)}, is {shown(now)}")
    if a.allowed_values != b.allowed_values:
        was, now = _kinds(a.allowed_values), _kinds(b.allowed_values)
        more = now is None or (was is not None and bool(now - was))
        less = was is None or (now is not None and bool(was - now))
        if more or less:
            words = [word for word, yes in (("takes more", more), ("takes fewer", less)) if yes]
            reason = f"{' and '.join(words)} values"
            yield _change(
                "values",
                b,
                (a.allowed_values, b.allowed_values),
                (more and was is not None, less and now is not None),
                reason,
            )
    if a.regex_pattern != b.regex_pattern:
        reason = f"pattern was {shown(a.regex_pattern)}, is {shown(b.regex_pattern)}"
        breaks = (a.regex_pattern is not None, b.regex_pattern is not None)
        yield _change("pattern", b, (a.regex_pattern, b.regex_pattern), breaks, reason)


def _bound_breaks(was: Any, now: Any, sign: int) -> tuple[bool, bool]:
    """Whether a bound went outwards (readers may meet more) and inwards (writers may meet a fault)."""
    if was is None or now is None:
        return was is not None, now is not None
    if isinstance(was, str) is not isinstance(now, str):
        return True, True
    return sign * _sign(now, was) > 0, sign * _sign(now, was) < 0


def _sign(a: Any, b: Any) -> int:
    return int(a > b) - int(a < b)


def _kinds(values: tuple[Any, ...] | None) -> set[tuple[bool, Any]] | None:
    """Values that can be told apart: true is not 1."""
    return None if values is None else {(isinstance(value, bool), value) for value in values}


def _key(was: tuple[str, ...], now: tuple[str, ...]) -> Change:
    reason = f"primary key was {listed(was) or 'none'}, is {listed(now) or 'none'}"
    # A key of fewer columns is the stricter one: what is distinct in those is distinct in more.
    readers = bool(was) and not (now and set(now) <= set(was))
    writers = bool(now) and not (was and set(was) <= set(now))
    return _change("key", None, (listed(was), listed(now)), (readers, writers), reason)
