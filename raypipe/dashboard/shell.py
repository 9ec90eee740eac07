"""What every page of raypipe shares: one offline HTML file, its policy, its assets, its templates.

A page asks nothing of the network: its policy allows only the scripts that it holds, named by their hashes, so that
no text of the data can ever run.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from bokeh.resources import INLINE
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from raypipe.dashboard import numbers
from raypipe.dashboard.columns import short_name
from raypipe.dashboard.compiled import CompiledTemplates
from raypipe.dashboard.payload import script_json
from raypipe.dashboard.theme import Theme, chart_colours, theme_css

MAX_PAGE_BYTES = 5_000_000


def fill(
    template: str, theme: Theme, *, live: bool, styles: Sequence[str], scripts: Sequence[str], **values: Any
) -> str:
    """A page from one of our templates.

    Parameters
    ----------
    live : bool
        Whether there are charts, which take Bokeh.
    styles, scripts : sequence of str
        Names of assets.
    """
    code = [asset(name) for name in scripts]
    bokeh = bokeh_script() if live else ""
    return (
        environment()
        .get_template(template)
        .render(
            **values,
            theme=theme,
            css=safe(theme_css(theme) + "".join(asset(name) for name in styles)),
            colours=script_json(chart_colours(theme)),
            bokeh=safe(bokeh),
            scripts=[safe(text) for text in code],
            policy=policy([text for text in (bokeh, *code) if text]),
        )
    )


def policy(scripts: Sequence[str]) -> str:
    """No network, no frames, no forms, and only these scripts; Bokeh sets styles, hence the leave for those."""
    digests = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in scripts
    )
    rest = "style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'"
    return f"default-src 'none'; script-src {digests}; {rest}"


def safe(text: str) -> Markup:
    """Text that may stand in a page as it is: our own asset or Bokeh's, without any text of the data."""
    return Markup(text)


@cache
def asset(name: str) -> str:
    """One of the files that belong to the pages."""
    return (resources.files("raypipe.dashboard") / "assets" / name).read_text(encoding="utf-8")


@cache
def bokeh_script() -> str:
    """Bokeh's core bundle alone: no widgets, tables or WebGL."""
    core = INLINE.clone(components=["bokeh"]) if hasattr(INLINE, "clone") else INLINE
    return "\n".join(core.js_raw).replace("\r\n", "\n")


@cache
def environment() -> Environment:
    """Templates that escape whatever they print, and fail on a name that they do not know."""
    settings: dict[str, Any] = {"autoescape": True, "trim_blocks": True, "lstrip_blocks": True}
    assets = Path(str(resources.files("raypipe.dashboard"))) / "assets"
    made = Environment(
        loader=FunctionLoader(asset),
        undefined=StrictUndefined,
        bytecode_cache=CompiledTemplates(assets, repr(settings)),
        **settings,
    )
    made.filters.update(
        clip=_clip,
        count=numbers.count,
        share=numbers.share,
        number=numbers.number,
        clock=numbers.clock,
        script_json=script_json,
        short_name=short_name,
        capitalize_first=lambda text: text[:1].upper() + text[1:],
    )
    return made


def _clip(value: Any, limit: int) -> str:
    return numbers.clip(str(value), limit)
