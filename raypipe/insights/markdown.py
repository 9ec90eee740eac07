"""Text of the data as Markdown that shows just it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from raypipe.insights.words import plain

MAX_TEXT_CHARS = 2_000

_SPECIAL = re.compile(r"[\\`*_\[\]|~$@]|:(?=//)|(?<=[wW]{3})\.|^[-+#=](?=[-+#=\s]|$)|(?<=^\d)[.)](?=\s|$)")
"""Characters that begin mark-up anywhere, links without mark-up, and what begins a list, a heading or a rule."""


def escape(text: str) -> str:
    """`text` as Markdown that shows just it: one line, no mark-up, no HTML, no link.

    Examples
    --------
    >>> print(escape("a|b *c* <img src=x>"))
    a\\|b \\*c\\* &lt;img src=x&gt;
    """
    one_line = plain(text, MAX_TEXT_CHARS)
    html = one_line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(lambda match: "\\" + match.group(), html)


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """A table, line by line; heads and cells are escaped."""
    cells = [escape(head) for head in heads]
    yield f"| {' | '.join(cells)} |"
    yield f"|{'---|' * len(cells)}"
    for row in rows:
        yield f"| {' | '.join(escape(cell) for cell in row)} |"
