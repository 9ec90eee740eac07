"""Mistakes in `processing.steps`, told by step."""

from __future__ import annotations

import difflib
from typing import Any

from raypipe.config.steps import STEP_SETTINGS


def say_step(problem: dict[str, Any]) -> str | None:
    """What is wrong with a step, in words; None where the mistake is not in one.

    Parameters
    ----------
    problem : dict
        One of the errors of a pydantic ValidationError.
    """
    place = tuple(problem["loc"])
    at = next((n for n in range(len(place) - 2) if place[n : n + 2] == ("processing", "steps")), None)
    at = 0 if at is None and place[:1] == ("steps",) and len(place) > 1 else None if at is None else at + 1
    if at is None or not isinstance(place[at + 1], int):
        return None
    rest = place[at + 2 :]
    step = str(rest[0]) if rest else None
    who = f"processing.steps, step {place[at + 1] + 1}" + (f" ({step})" if step else "")
    return f"{who}: {_said(problem, step, rest[1:])}"


def _said(problem: dict[str, Any], step: str | None, inner: tuple[Any, ...]) -> str:
    kind, given = problem["type"], problem.get("input")
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        name = given.get("step") if isinstance(given, dict) else given
        wanted = f"`step:` must name one of {', '.join(STEP_SETTINGS)}"
        if kind == "union_tag_not_found":
            return f"got {given!r}, which names no step; {wanted}"
        close = difflib.get_close_matches(str(name), STEP_SETTINGS, n=1)
        return f"there is no step {name!r}." + (f" Did you mean {close[0]!r}?" if close else f" {wanted}")
    field = ".".join(map(str, inner))
    if kind == "extra_forbidden" and step in STEP_SETTINGS:
        names = list(STEP_SETTINGS[step].model_fields)
        close = difflib.get_close_matches(field, names, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        return f"there is no setting {field!r}; there are: {', '.join(names)}.{hint}"
    if kind == "missing":
        return f"the setting {field!r} is missing"
    text = str(problem["msg"]).removeprefix("Value error, ")
    if kind == "value_error":
        return f"{field}: {text}" if field else text
    return f"{field}: got {given!r}; {text[0].lower()}{text[1:]}".removeprefix(": ")
