"""A run and its model in a few words, for those who look at them in MLflow's own pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raypipe.ml.metrics import Score

MOST_WARNINGS = 10
MOST_LABELS = 8


def judged_on(result: Mapping[str, Any]) -> str:
    """Which rows the figures are of."""
    if "test_size" in result:
        return f"{result['test_size']:,} rows held back"
    return f"{len(result['cv_scores'])} folds" if "cv_scores" in result else "no rows"


def headline(result: Mapping[str, Any]) -> str:
    """How good a model is, and what it is, in one line of Markdown."""
    main: Score | None = result["metrics"].get(result["metric"])
    figure = f"**{result['metric']} {_with_interval(main)}** on {judged_on(result)}"
    model = f"{result['model_spec'].algorithm} learnt from {result['data']['rows']:,} rows"
    return f"{figure}; {model}" if main is not None and main.value is not None else f"Not judged; {model}"


def note_of(result: Mapping[str, Any], description: str | None) -> str:
    """What the page of a run says above its tables, as Markdown."""
    parts = [description] if description else []
    parts.append(f"{headline(result)}, {len(result['feature_specs'])} features, {result['settled_strategy']} split.")
    if result["metrics"]:
        parts.append(_table(result))
    if result.get("trials"):
        parts.append(f"{len(result['trials'])} settings were tried, each a run below this one; `trials.csv` has all.")
    warned = [_plain(text) for text in result["warnings"]]
    if warned:
        shown = [f"- {text}" for text in warned[:MOST_WARNINGS]]
        if len(warned) > MOST_WARNINGS:
            shown.append(f"- and {len(warned) - MOST_WARNINGS} more: see `summary.json`")
        parts.append("To be minded:\n\n" + "\n".join(shown))
    return "\n\n".join(parts)


def version_note(result: Mapping[str, Any], description: str | None) -> str:
    """What the page of a registered version says."""
    return "\n\n".join([*([description] if description else []), headline(result) + "."])


def model_note(result: Mapping[str, Any]) -> str:
    """What the page of a registered model says, for all of its versions."""
    labels = result["labels"] or []
    classes = f" ({_plain(', '.join(map(str, labels[:MOST_LABELS])))}{', …' if len(labels) > MOST_LABELS else ''})"
    classes = classes if labels else ""
    return f"Tells {_plain(str(result['target']))}: {result['task']}{classes}. Registered by raypipe."


def _table(result: Mapping[str, Any]) -> str:
    lines = ["| metric | value (95 % interval) | on training rows |", "|---|---|---|"]
    for name, one in result["metrics"].items():
        own = result["train_metrics"].get(name)
        lines.append(f"| {name} | {_with_interval(one)} | {'' if own is None else f'{own:.4g}'} |")
    return "\n".join(lines)


def _with_interval(one: Score | None) -> str:
    if one is None or one.value is None:
        return "not available"
    return f"{one.value:.4g}" + ("" if one.interval is None else f" ({one.interval[0]:.4g} to {one.interval[1]:.4g})")


def _plain(text: str) -> str:
    """Names that come with the data, so that they neither draw nor link."""
    return "".join(f"\\{char}" if char in "\\`*_[]<>|!#~" else " " if char in "\r\n" else char for char in text)
