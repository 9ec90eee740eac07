"""How the cells of a column are written, found from a sample of it; and such cells as plain texts.

A format is taken only where one reading of the sample is left: where two would give different values, the column
stays text, and a note says what to set.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from raypipe.config import CellFormat, ReadOptions
from raypipe.config.read import DateOrder
from raypipe.etl.formats.cells import PLAN_SHARE, Found, count_codes, parse, trimmed
from raypipe.etl.formats.date_cells import iso_texts
from raypipe.etl.formats.number_cells import DASH, GROUPS, SPACE, number_formats, plain_numbers

PLAIN = CellFormat()
_COMMA = CellFormat(decimal=",")
_GLANCE = 200
_LOOKED_AT = 1000
"""Cells of a column that tell whether it is worth a closer look."""
_LOOKED_AT_ALL, _FEWEST = 200_000, 20
"""Cells of all columns of a wide table, and of each of them at the least."""
_MOST_OF_THEM = 0.5
_LIKELY = 0.8
"""Share of the first values that must look like numbers or dates; more will be asked of all."""
_LONGEST = 64
"""Characters of a cell that are glanced at."""
_GROUPED = r"^[-+]?[1-9]\d{0,2}(\.\d{3})+$"
_SIGN = r"(?:[^\w\s.,()]|[A-Za-zčłK.$]{1,3})?"
_MAY_BE_NUMBER = (
    rf"^[(]?[-+\u2212]?\s?{_SIGN}[{SPACE}]?[-+\u2212]?[.,]?\d[^A-Za-z:]*(?:[eE][-+]?\d+)?[A-Za-zčł.]{{0,3}}\s?[%‰]?\)?$"
)
_MAY_BE_DATE = r"^\d{1,4}[./-]\d{1,2}[./-]\d{1,4}|\d.{0,6}[^\W\d_]{3,}.{0,5}\d|^[^\W\d_]{3,}\.? \d{1,2},? "
_ONE_GROUP = r"^\D*\d{1,3}[.,]\d{3}\D*$"
_DECIMALS = rf"^\D*(?:\d{{1,3}}(?:[GROUP'\u2019{SPACE}]\d{{3}})+|\d+)MARK(?:\d{{1,2}}|\d{{4,}})\D*$|^\D*0MARK\d+\D*$"
"""A number whose decimals are no group of three."""
_DECIMAL_COMMA = _DECIMALS.replace("MARK", ",").replace("GROUP", ".")
_DECIMAL_POINT = _DECIMALS.replace("MARK", r"\.").replace("GROUP", ",")
_PATTERNS = (
    rf"{_MAY_BE_NUMBER}|{DASH}|{_MAY_BE_DATE}",
    _MAY_BE_NUMBER,
    _DECIMAL_COMMA,
    _DECIMAL_POINT,
    _GROUPED,
    r"\.",
)
"""Looked for in the first cells of every column of text or fractions."""
_TWO_DIGIT_YEAR = r"^\d{1,2}[./-](?:\d{1,2}|[^\W\d_]+)[./-]\d{2}(?:\D|$)"
_EXAMPLES = 3


@dataclass(frozen=True)
class Marks:
    """What the columns of a file say of decimals: a file is written in one place."""

    comma: str | None = None
    """A column with decimal commas."""
    point: str | None = None
    """A column with decimal points."""


@dataclass(frozen=True)
class Glances:
    """For each column: whether it is worth a closer look, and whether its numbers have decimal commas, or points."""

    worth: NDArray[np.bool_]
    comma: NDArray[np.bool_]
    point: NDArray[np.bool_]


def plain_texts(texts: pl.Series, kind: str, how: CellFormat) -> pl.Series:
    """Trimmed texts in the plain way of their kind, as `cells.parse` reads them; null where one does not fit `how`."""
    if kind in ("int64", "float64") or kind.startswith("decimal"):
        return texts if _is_plain_number(how) else _by_value(texts, lambda cells: plain_numbers(cells, how))
    if kind in ("date", "datetime"):
        return texts if how.date_order == "iso" else _by_value(texts, lambda cells: iso_texts(cells, how.date_order))
    if kind == "boolean":
        return _plain_words(texts, how)
    return texts


def _is_plain_number(how: CellFormat) -> bool:
    return how.decimal == "." and not (how.thousands or how.unit or how.accounting)


def without_dashes(texts: pl.Series, how: CellFormat) -> tuple[pl.Series, int]:
    """The texts with null for each dash, where dashes stand for no value; and how many there were."""
    if not how.dash:
        return texts, 0
    hit = texts.str.contains(DASH).fill_null(value=False)
    return pl.select(pl.when(~hit).then(texts)).to_series().alias(texts.name), int(hit.sum())


def grouped_by_points(texts: pl.Series) -> int:
    """Texts in which points group digits, so that the points of others like 1.234 may do so too."""
    return int(texts.str.contains(r"^[-+]?\d{1,3}(?:\.\d{3}){2,}$|^[-+]?\d{1,3}(?:\.\d{3})+,\d+$").sum())


def _by_value(texts: pl.Series, change: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """`change` of every text, done once for each distinct one where many repeat."""
    if texts.len() > _GLANCE and (distinct := texts.unique()).len() * 4 < texts.len():
        return texts.replace_strict(distinct, change(distinct), return_dtype=pl.String)
    return change(texts)


def _plain_words(texts: pl.Series, how: CellFormat) -> pl.Series:
    lower = texts.str.to_lowercase()
    yes, no = ([word.lower() for word in words] for words in (how.true_values, how.false_values))
    word = pl.when(lower.is_in([*yes, "true", "t"])).then(pl.lit("true"))
    return pl.select(word.when(lower.is_in([*no, "false", "f"])).then(pl.lit("false"))).to_series().alias(texts.name)


def find_formats(
    texts: pl.DataFrame, names: Sequence[str], found: Sequence[Found], options: ReadOptions
) -> list[Found]:
    """The types of a sample's columns again, with formats where cells are not written plainly."""
    seen = _look(texts, found, options)
    marks = _marks(seen, names)
    told = list(found)
    worth = seen.worth | np.array([name in options.formats for name in names], bool)
    for at in np.flatnonzero(worth).tolist():
        told[at] = _of_column(texts.to_series(at), names[at], found[at], options, marks)
    if options.decimal is not None or not marks.comma or marks.point:
        return told
    # Where decimals stand behind commas, a point between digits of a later row is none of a fraction.
    free = [
        one.kind == "int64" and one.format is None and name not in options.dtypes
        for one, name in zip(told, names, strict=True)
    ]
    return [one.replace(format=_COMMA) if hit else one for one, hit in zip(told, free, strict=True)]


def _of_column(texts: pl.Series, name: str, found: Found, options: ReadOptions, marks: Marks) -> Found:
    given, kind = options.formats.get(name), options.dtypes.get(name)
    if kind == "text" or not found.values:
        return found
    if given is not None:
        return found if kind else _as_given(texts, found, given, options)
    values = trimmed(texts, options.null_values).drop_nulls()
    return (
        _words(values, found, options)
        or _numbers(values, found, options, (name, marks))
        or _dates(values, found, options, kind)
        or found
    )


def _look(texts: pl.DataFrame, found: Sequence[Found], options: ReadOptions) -> Glances:
    """A look at the first cells of all columns together, so that width costs little."""
    kinds = np.array([one.kind if one.values else "" for one in found])
    looked = np.flatnonzero((kinds == "text") | (kinds == "float64"))
    flags = np.zeros((3, texts.width), bool)
    told = options.decimal == "," or bool(options.thousands) or bool(options.true_values and options.false_values)
    flags[0] = (kinds != "") & told
    if looked.size:
        rows = texts.head(min(_LOOKED_AT, max(_FEWEST, _LOOKED_AT_ALL // looked.size)))
        cells = trimmed(pl.concat([rows.to_series(at).alias("") for at in looked.tolist()]), options.null_values)
        column = np.flatnonzero(cells.is_not_null().to_numpy()) // rows.height
        values = cells.drop_nulls().str.slice(0, _LONGEST)
        shares = [_share(values, pattern, column, looked.size) for pattern in _PATTERNS]
        shaped, number, comma, point, grouped, pointed = shares
        is_float = kinds[looked] == "float64"
        unseen = np.bincount(column, minlength=looked.size) == 0
        flags[0, looked] |= unseen | np.where(is_float, (pointed > 0) & (grouped >= pointed), shaped >= _LIKELY)
        flags[1, looked] = (number >= _MOST_OF_THEM) & (comma > 0) & (point == 0)
        flags[2, looked] = (number >= _MOST_OF_THEM) & (point > 0) & (comma == 0)
    return Glances(flags[0], flags[1], flags[2])


def _share(values: pl.Series, pattern: str, column: NDArray[np.int64], columns: int) -> NDArray[np.float64]:
    """For each column, which share of its values has the pattern."""
    hit = values.str.contains(pattern).to_numpy()
    every = np.bincount(column, minlength=columns)
    return np.bincount(column[hit], minlength=columns) / np.maximum(every, 1)


def _as_given(texts: pl.Series, found: Found, how: CellFormat, options: ReadOptions) -> Found:
    """The type of a column whose format is known."""
    values = without_dashes(trimmed(texts, options.null_values).drop_nulls(), how)[0].drop_nulls()
    for kinds in (("int64", "float64"), ("date", "datetime"), ("boolean",)):
        plain = plain_texts(values, kinds[-1], how)
        share = parse(plain, kinds[-1]).is_not_null().mean() if plain.len() else 0.0
        if plain.len() and float(str(share)) >= PLAN_SHARE and how != PLAIN:
            return found.replace(kind=_narrow(plain, kinds), format=how, note=None)
    return found


def _narrow(plain: pl.Series, kinds: tuple[str, ...]) -> str:
    """The first kind that takes as many of the texts as the last does."""
    most = parse(plain, kinds[-1]).is_not_null().sum()
    return next(kind for kind in kinds if parse(plain, kind).is_not_null().sum() == most)


def _words(values: pl.Series, found: Found, options: ReadOptions) -> Found | None:
    """Booleans in the user's words."""
    if not (options.true_values and options.false_values) or found.kind not in ("text", "boolean", "int64"):
        return None
    how = CellFormat(true_values=options.true_values, false_values=options.false_values)
    fits = plain_texts(values, "boolean", how).is_not_null()
    if not values.len() or float(str(fits.mean())) < PLAN_SHARE:
        return None
    return found.replace(kind="boolean", format=how, note=None)


def _marks(seen: Glances, names: Sequence[str]) -> Marks:
    """The first column with decimal commas, and the first with points."""
    comma, point = (next((names[int(at)] for at in np.flatnonzero(hit)), None) for hit in (seen.comma, seen.point))
    return Marks(comma, point)


def _numbers(values: pl.Series, found: Found, options: ReadOptions, context: tuple[str, Marks]) -> Found | None:
    """Numbers that are not written plainly; None: leave the column as it was found."""
    if found.kind not in ("text", "int64", "float64"):
        return None
    told = options.decimal == "," or bool(options.thousands)
    if found.kind != "text" and not told:
        return _doubtful_point(values, found, options, context[1])
    if options.decimal == "." and options.thousands == "":
        return None
    glance = values.head(_GLANCE)
    if not glance.len() or float(str(glance.str.contains(rf"{_MAY_BE_NUMBER}|{DASH}").mean())) < _LIKELY:
        return None
    tried = []
    for how in number_formats(values, options.decimal, options.thousands):
        numbers = parse(plain_numbers(values, how), "float64")
        dashes = int(values.str.contains(DASH).sum()) if how.dash else 0
        fits = values.len() - numbers.null_count()
        if fits and fits + dashes >= PLAN_SHARE * values.len():
            tried.append((fits, how, numbers))
    if not tried:
        unlike = "has numbers that are not written as read_options.decimal and thousands say, so it stays text"
        return found.replace(kind="text", note=unlike) if found.kind == "float64" else None
    most = max(fits for fits, _, _ in tried)
    best = [(how, numbers) for fits, how, numbers in tried if fits == most]
    if len(best) > 1 and not best[0][1].equals(best[1][1], null_equal=True):
        return _two_readings(values, found, best, context[1])
    return _settled(values, found, best[0][0] if len(best) == 1 else _simpler(values, best))


def _simpler(values: pl.Series, best: Sequence[tuple[CellFormat, pl.Series]]) -> CellFormat:
    """Of two formats that read the sample alike: a decimal point, and nothing that groups."""
    how = best[0][0]
    grouped = any(bool(values.str.contains(rf"\d[{char}]\d{{3}}").any()) for char in (SPACE, "'\u2019"))
    return how if grouped else how.replace(thousands="")


def _settled(values: pl.Series, found: Found, how: CellFormat) -> Found | None:
    kept = without_dashes(values, how)[0].drop_nulls()
    plain = plain_numbers(kept, how)
    if how == PLAIN or count_codes(plain.drop_nulls()) or _same_shape(kept, how):
        return None
    kind = _narrow(plain, ("int64", "float64"))
    return found.replace(kind=kind, format=how, note=_told(kept, plain, how))


def _same_shape(values: pl.Series, how: CellFormat) -> bool:
    """Digits in groups apart by spaces, all of one length, are codes rather than numbers."""
    spaced = values.str.contains(rf"^\d+[{SPACE}]\d+([{SPACE}]\d+)*$")
    return bool(spaced.all()) and values.str.len_chars().n_unique() == 1 and not how.unit and values.len() > 1


def _told(values: pl.Series, plain: pl.Series, how: CellFormat) -> str:
    changed = values.filter((values != plain).fill_null(value=False))
    read = plain.filter((values != plain).fill_null(value=False))
    example = f", e.g. {changed[0]!r} as {read[0]}" if changed.len() else ""
    parts = ["with decimal commas"] if how.decimal == "," else []
    parts += [f"without its sign {how.unit!r}"] if how.unit else []
    parts += ["with (5) and 5- as negative"] if how.accounting else []
    parts += ["with dashes as no value"] if how.dash else []
    said = ", ".join(parts) or "without what groups its digits"
    return f"is read as numbers {said}{example}"


def _two_readings(
    values: pl.Series, found: Found, best: Sequence[tuple[CellFormat, pl.Series]], marks: Marks
) -> Found | None:
    """A column that could be read in two ways, e.g. 1,234: the other columns decide, or it stays text."""
    if marks.point and not marks.comma:
        settled = _settled(values, found, best[0][0])
        why = f"; column {marks.point!r} has decimal points"
        return settled.replace(note=f"{settled.note}{why}") if settled else None
    example = values.filter(values.str.contains(_ONE_GROUP)).head(1).to_list() or values.head(1).to_list()
    return found.replace(
        kind="text",
        note=f"could be decimals or whole thousands, e.g. {example[0]!r}, so it stays text; set read_options.decimal,"
        " or read_options.formats for this column",
    )


def _doubtful_point(values: pl.Series, found: Found, options: ReadOptions, marks: Marks) -> Found | None:
    """Floats that may be whole thousands: every one has three decimals, in a file with decimal commas elsewhere."""
    if found.kind != "float64" or options.decimal == "." or not values.str.contains(r"\d\.\d{3}").any():
        return None
    points = values.filter(values.str.contains(".", literal=True))
    grouped = bool(points.str.contains(_GROUPED).all())
    many = bool(points.str.contains(r"^[-+]?\d{1,3}(\.\d{3}){2,}").any())
    if not grouped or not (many or (marks.comma and not marks.point)):
        return None
    if many:
        return _settled(values, found, CellFormat(decimal=",", thousands=GROUPS[","]))
    return found.replace(
        kind="text",
        note=f"could be decimals or whole thousands, e.g. {points[0]!r}, since column {marks.comma!r} has decimal"
        " commas; it stays text; set read_options.formats for this column",
    )


def _dates(values: pl.Series, found: Found, options: ReadOptions, kind: str | None) -> Found | None:
    """Dates in an order that the whole sample allows, and no other does."""
    glance = values.head(_GLANCE)
    if found.kind != "text" or options.date_order == "iso" or not glance.len():
        return None
    if float(str(glance.str.contains(_MAY_BE_DATE).mean())) < _LIKELY:
        return None
    orders: tuple[DateOrder, ...] = (options.date_order,) if options.date_order else ("dmy", "mdy", "ymd")
    tried = []
    for order in orders:
        plain = iso_texts(values, order)
        times = parse(plain, "datetime")
        tried.append((values.len() - times.null_count(), order, plain, times))
    most = max(fits for fits, *_ in tried)
    if most < PLAN_SHARE * values.len():
        return None
    best = [one for one in tried if one[0] == most]
    if any(not one[3].equals(best[0][3], null_equal=True) for one in best[1:]):
        return found.replace(note=_undecided(values, [one[1] for one in best]))
    _, order, plain, _ = best[0]
    note = f"has dates written {_ORDERS[order]}, e.g. {values[0]!r} for {plain[0]}"
    if values.str.contains(_TWO_DIGIT_YEAR).any():
        note += "; years of two digits are taken as 1969 to 2068"
    return found.replace(kind=_narrow(plain, ("date", "datetime")), format=CellFormat(date_order=order), note=note)


_ORDERS = {"dmy": "day first", "mdy": "month first", "ymd": "year first"}


def _undecided(values: pl.Series, orders: Sequence[str]) -> str:
    said = " or ".join(_ORDERS[order] for order in orders)
    examples = ", ".join(repr(value) for value in values.unique(maintain_order=True).head(_EXAMPLES).to_list())
    return (
        f"has dates that could be written {said} ({examples}), so it stays text; set read_options.date_order, or"
        " read_options.formats for this column"
    )
