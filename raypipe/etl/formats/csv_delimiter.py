"""How a text file is written, found from samples of its head, middle and tail: delimiter, quote, escape, line ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from raypipe.config import ReadOptions
from raypipe.errors import ConfigError
from raypipe.etl.formats.csv_dialect import MIXED, Dialect, sample_codes, seen, skip_lines
from raypipe.etl.formats.csv_encoding import Pieces, find_encoding
from raypipe.etl.formats.csv_parts import resync
from raypipe.etl.formats.csv_quotes import Codes, Rows, find_runs, is_clean, scan_rows, states_after, states_before
from raypipe.etl.formats.number_cells import LOOKS_TYPED

_COMMON = ("\t", ";", "|", ",")
_RARE = ("^", "~", "\x01", "\x1f", "\xa6", "\xa7", ":", "#", "&", " ")
_MIN_SHARE = 0.5
_SURE_SHARE = 0.9
_BACKSLASH = "\\"
_ENDS = {"lf": "\n", "cr": "\r", "mixed": MIXED}
_TYPED_ROWS = 50
_LONGEST = 64


@dataclass(frozen=True)
class Shape:
    """What a dialect makes of a sample."""

    share: float
    """Rows with the most frequent number of fields, from the first such row on."""
    width: int
    begin: int
    """Rows before the first one with so many fields."""
    split: float
    """Rows with more than one field."""


def find_dialect(pieces: Pieces, options: ReadOptions) -> Dialect:
    """How the file is written; what `options` say is taken as it is.

    Raises
    ------
    ConfigError
        If a character of structure in `options` cannot be one.
    """
    encoding, start = find_encoding(pieces, options.encoding)
    plain = Dialect(delimiter=",", quote=options.quote, eol="\n", encoding=encoding, start=start)
    mark = plain.replace(comment=options.comment).comment_codes
    head = sample_codes(pieces.head[start:], plain)
    others = [_without_comments(sample_codes(piece, plain), mark) for piece in pieces.others]
    eol = "\n" if (head == ord("\n")).any() or not (head == ord("\r")).any() else "\r"
    eol = _ENDS[options.line_end] if options.line_end else eol
    _check_options(options, encoding)
    base = plain.replace(
        eol=eol, quote=_find_quote(_without_comments(head, mark), options.quote), escape=options.escape or None
    )
    body = _without_comments(head[skip_lines(head, eol, options.skip_rows or 0) :], mark)
    if options.delimiter:
        found = base.replace(delimiter=options.delimiter)
    else:
        found = _doubled(base.replace(delimiter=_find_delimiter(body, others, base)), body)
    if options.escape is None:
        found = _with_escape(found, body)
    return found if options.line_end else _with_mixed_ends(found, body)


def _without_comments(codes: Codes, mark: Sequence[int]) -> Codes:
    """The sample without the lines that begin with the comment mark: their words and signs say nothing of the table."""
    if not mark or codes.size < len(mark):
        return codes
    ends = (codes == ord("\n")) | (codes == ord("\r"))
    line = np.concatenate((np.zeros(1, np.int64), np.cumsum(ends[:-1])))
    first = np.flatnonzero(np.concatenate((np.ones(1, np.bool_), ends[:-1])))
    first = first[first + len(mark) <= codes.size]
    marked = first[np.all([codes[first + at] == code for at, code in enumerate(mark)], axis=0)]
    is_comment = np.zeros(int(line[-1]) + 1, np.bool_)
    is_comment[line[marked]] = True
    kept: Codes = codes[~is_comment[line]]
    return kept


def _check_options(options: ReadOptions, encoding: str) -> None:
    """ConfigError for characters of structure that cannot be."""
    for name, value in (("quote", options.quote), ("escape", options.escape or None)):
        if value is not None and (len(value) != 1 or not value.isascii() or value in "\r\n"):
            raise ConfigError(f"{name}: wants one ASCII character, such as '\"' or \"'\"; got {value!r}.")
    text = options.delimiter
    if text is not None and (not text or set(text) & {"\n", "\r", options.quote, options.escape or None}):
        raise ConfigError(
            f"delimiter: wants text such as ',' ';' '|' '\\t' or '||', without line ends, quotes and escapes;"
            f" got {text!r}."
        )
    if text is not None:
        try:
            text.encode(encoding)
        except UnicodeEncodeError as error:
            raise ConfigError(f"delimiter: {text!r} does not exist in {encoding}, which the file is in.") from error
    if options.escape and options.escape == options.quote:
        raise ConfigError("escape: is the quote; doubled quotes are read without it. Set escape to ''.")


def _find_quote(head: Codes, wanted: str | None) -> str | None:
    """A single quote where fields are wrapped in those, and none in double quotes."""
    doubles = _wraps(head, '"')
    if wanted != '"' or doubles[0] or doubles[1]:
        return wanted
    opening, closing, every = _wraps(head, "'")
    return "'" if opening >= 3 and closing >= 3 and opening + closing >= _SURE_SHARE * every else wanted


def _wraps(head: Codes, quote: str) -> tuple[int, int, int]:
    """How many of these characters stand where a field opens, where one closes, and anywhere.

    One that is a field by itself does neither.
    """
    at = np.flatnonzero(head == ord(quote))
    code = np.append(head, 10)
    edges = np.array([ord(char) for char in ",;|\t\n\r"], code.dtype)
    opens, closes = np.isin(code[at - 1], edges), np.isin(code[at + 1], edges)
    return int((opens & ~closes).sum()), int((closes & ~opens).sum()), at.size


def _find_delimiter(head: Codes, others: Sequence[Codes], base: Dialect) -> str:
    """The character that cuts most rows into the same number of fields; a comma where none does."""
    for group in (_COMMON, _RARE):
        tried = [
            (rank, delimiter, _shape(head, others, base.replace(delimiter=delimiter)))
            for rank, delimiter in _of(group, head, base)
        ]
        bar = _SURE_SHARE if group is _RARE else _MIN_SHARE
        good = [
            one
            for one in tried
            if one[2].width > 1 and one[2].share >= bar and (not one[2].begin or one[2].share >= _SURE_SHARE)
        ]
        if not good and group is _COMMON:
            good = [
                one
                for one in tried
                if one[2].width > 1 and one[2].split >= _SURE_SHARE / 2 and _has_blank_lines(head, base)
            ]
        if good:
            return max((_score(head, base, one, len(good) > 1), one[1]) for one in good)[1]
    return ","


def _of(group: Sequence[str], head: Codes, base: Dialect) -> Iterator[tuple[int, str]]:
    """Delimiters that stand in the sample, with their rank."""
    for rank, delimiter in enumerate(group):
        try:
            first = base.replace(delimiter=delimiter)
            code = first.marks.delimiter[0] if first.marks else first.grammar.delimiter
        except UnicodeEncodeError:
            continue
        if delimiter != base.quote and (head == code).any():
            yield rank, delimiter


def _score(head: Codes, base: Dialect, one: tuple[int, str, Shape], several: bool) -> tuple[float, float, bool, int]:
    """Most rows alike, then most cells that mean something, then no line before the table."""
    rank, delimiter, shape = one
    typed = _typed_share(head, base.replace(delimiter=delimiter), shape.width) if several else 0.0
    return round(shape.share, 1), round(typed, 1), not shape.begin, -rank


def _typed_share(head: Codes, dialect: Dialect, width: int) -> float:
    """Share of cells in rows of this width that look like numbers or dates."""
    from raypipe.etl.formats.csv_sample import sample_rows  # it needs dialects itself

    cells = sample_rows(head, dialect, width, _TYPED_ROWS)
    cells = cells.slice(1) if cells.height > 1 else cells  # the first may be the header
    texts = (
        pl.concat([column.alias("") for column in cells]).drop_nulls()
        if cells.width
        else pl.Series([], dtype=pl.String)
    )
    return float(str(texts.str.slice(0, _LONGEST).str.contains(LOOKS_TYPED).mean())) if texts.len() else 0.0


def _has_blank_lines(head: Codes, base: Dialect) -> bool:
    rows = scan_rows(seen(head, base), base.grammar)
    return bool((rows.ends == rows.starts).any())


def _shape(head: Codes, others: Sequence[Codes], dialect: Dialect) -> Shape:
    codes, grammar = seen(head, dialect), dialect.grammar
    counts = whole_rows(scan_rows(codes, grammar), codes, dialect)
    if not counts.size:
        return Shape(0.0, 0, 0, 0.0)
    width = max(Counter(counts.tolist()).items(), key=lambda item: (item[1], item[0]))[0]
    begin = int(np.flatnonzero(counts == width)[0])
    all_counts = [counts[begin:]]
    for piece in others:
        codes = seen(piece, dialect)
        start = resync(codes, grammar, width)
        if start is not None:
            all_counts.append(whole_rows(scan_rows(codes[start:], grammar), codes[start:], dialect))
    joined = np.concatenate(all_counts)
    return Shape(float((joined == width).mean()), int(width), begin, float((counts > 1).mean()))


def whole_rows(rows: Rows, codes: Codes, dialect: Dialect) -> Codes:
    """Field counts of the rows that are not blank; the last row is left out if a sample cut it off."""
    data = np.flatnonzero(rows.ends > rows.starts)
    if data.size > 1 and codes[-1] != dialect.grammar.eol:
        data = data[:-1]
    return rows.fields[data]


def _doubled(found: Dialect, body: Codes) -> Dialect:
    """The delimiter twice, where it never stands alone: no header has every second name empty."""
    twice = found.replace(delimiter=found.delimiter * 2)
    if found.delimiter in ("\t", " "):
        return found
    one, two = _shape(body, (), found), _shape(body, (), twice)
    wide = one.width == 2 * two.width - 1 and two.width > 1
    return twice if wide and two.share >= max(one.share, _SURE_SHARE) else found


def _with_escape(found: Dialect, body: Codes) -> Dialect:
    """Backslashes as escapes, where the sample makes sense with them only."""
    code = ord(_BACKSLASH)
    behind = body[1:][body[:-1] == code]
    targets = [ord(char) for char in (found.quote, found.delimiter[0]) if char]
    if not np.isin(behind, targets).any():
        return found
    escaped = found.replace(escape=_BACKSLASH)
    plain, other = _order(body, found), _order(body, escaped)
    return escaped if other > plain else found


def _with_mixed_ends(found: Dialect, body: Codes) -> Dialect:
    """All kinds of line ends, where rows come out right with them only."""
    if found.eol != "\n" or not body.size:
        return found
    returns = np.flatnonzero(body[:-1] == ord("\r"))
    if not (body[returns + 1] != ord("\n")).any():
        return found
    mixed = found.replace(eol=MIXED)
    before, after = _shape(body, (), found), _shape(body, (), mixed)
    better = after.share > before.share
    as_good = before.share <= after.share >= _SURE_SHARE and after.begin <= before.begin
    return mixed if after.width > 1 and (better or as_good) else found


def _order(body: Codes, dialect: Dialect) -> tuple[float, bool]:
    """Share of rows alike, and whether every quote is where it should be."""
    codes, grammar = seen(body, dialect), dialect.grammar
    if grammar.quote is None:
        return _shape(body, (), dialect).share, True
    runs = find_runs(codes, grammar)
    inside = states_before(states_after(runs.opens, runs.stays, False), False)
    return round(_shape(body, (), dialect).share, 3), is_clean(runs, inside)
