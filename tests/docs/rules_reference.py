"""The table of rules in `docs/guide/validation.md`, made from the registry itself.

`python -m tests.docs.rules_reference` writes it into the page.
"""

from __future__ import annotations

import itertools

from raypipe.etl.rules.registry import RULES
from raypipe.etl.rules.ruleset import described
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "guide" / "validation.md"
BEGIN, END = "<!-- rules: written from raypipe.etl.rules -->\n", "<!-- end of rules -->\n"


def reference() -> str:
    """One table for each group of rules."""
    told = sorted((described(kind) for kind in RULES.values()), key=lambda one: _order()[one["group"]])
    tables = []
    for group, rules in itertools.groupby(told, key=lambda one: one["group"]):
        rows = [
            f"| `{one['rule']}` | {_fields(one['fields'])} | {one['about']} | {_cell(one['meaning'])} |"
            for one in rules
        ]
        head = ["| Rule | Own fields | About | Holds where |", "|---|---|---|---|"]
        tables.append(f"### {group[0].upper()}{group[1:]}\n\n" + "\n".join([*head, *rows]) + "\n")
    return "\n".join(tables)


def _order() -> dict[str, int]:
    groups = dict.fromkeys(kind.GROUP for kind in RULES.values())
    return {group: place for place, group in enumerate(groups)}


def _fields(names: list[str]) -> str:
    return ", ".join(f"`{name.rstrip('?')}`" + (" (optional)" if name.endswith("?") else "") for name in names)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def write() -> None:
    """Put the tables into the page, between its marks."""
    text = PAGE.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{reference()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    write()
