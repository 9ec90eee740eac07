"""The tables of steps in `docs/guide/processing.md` and `docs/guide/steps.md`, made from the code itself.

`python -m tests.docs.steps_reference` writes them into the pages.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from pydantic.fields import FieldInfo

from raypipe.config.steps import STEP_SETTINGS, ColumnSteps, StepSettings
from raypipe.config.texts import field_texts
from raypipe.etl.steps.fitted import FittedStep
from raypipe.etl.steps.learn import _nothing
from raypipe.etl.steps.registry import FITTED, RECIPES
from tests.docs.pages import ROOT
from tests.docs.settings_reference import _cell, _default, _kind

OVERVIEW, REFERENCE = ROOT / "docs" / "guide" / "processing.md", ROOT / "docs" / "guide" / "steps.md"
BEGIN, END = "<!-- steps: written from raypipe.etl.steps -->\n", "<!-- end of steps -->\n"


def overview() -> str:
    """One line a step."""
    lines = ["| Step | Does | Learns from | Undone by `inverse` |", "|---|---|---|---|"]
    for name, kind in STEP_SETTINGS.items():
        undone = "yes" if RECIPES[name].undone else ""
        lines.append(f"| [`{name}`](steps.md#{name}) | {_does(kind)} | {_learns(name)} | {undone} |")
    return "\n".join(lines) + "\n"


def reference() -> str:
    """A section a step."""
    return "\n".join(_section(name, kind) for name, kind in STEP_SETTINGS.items())


def _section(name: str, kind: type[StepSettings]) -> str:
    shared = {"step", "name", "but"} | ({"columns"} if _has_plain_columns(kind) else set())
    fields = [(field, info) for field, info in kind.model_fields.items() if field not in shared]
    told = f"### {name}\n\n{_cell(kind.__doc__ or '')}\n"
    return f"{told}\n{_table(kind, fields)}" if fields else told


def _has_plain_columns(kind: type[StepSettings]) -> bool:
    return issubclass(kind, ColumnSteps) and kind.model_fields["columns"].is_required()


def _table(kind: type[StepSettings], fields: list[tuple[str, FieldInfo]]) -> str:
    texts = field_texts(kind)
    rows = [f"| `{name}` | {_kind(one)} | {_default(one)} | {_cell(texts.get(name, ''))} |" for name, one in fields]
    return "\n".join(["| Setting | Values | Default | Meaning |", "|---|---|---|---|", *rows]) + "\n"


def _does(kind: type[StepSettings]) -> str:
    sentence = _cell(kind.__doc__ or "").partition(". ")[0].rstrip(".")
    return sentence[0].lower() + sentence[1:] if not sentence.startswith("<") else sentence


def _learns(name: str) -> str:
    if name in FITTED and FITTED[name].needs is not FittedStep.needs:
        return "each table anew"
    return "" if RECIPES[name].needs is _nothing else "all rows"


def written(page: Path, tables: Callable[[], str]) -> str:
    """The page with its tables as they are now."""
    text = page.read_text(encoding="utf-8")
    between = re.escape(BEGIN) + ".*" + re.escape(END)
    return re.sub(between, lambda _: f"{BEGIN}\n{tables()}\n{END}", text, flags=re.DOTALL)


PAGES = ((OVERVIEW, overview), (REFERENCE, reference))

if __name__ == "__main__":
    for page, tables in PAGES:
        page.write_text(written(page, tables), encoding="utf-8")
