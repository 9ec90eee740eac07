"""What a search did, as files: a table of its trials for machines, and a page with charts for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from raypipe.ml.tuning.charts import tuning_charts
from raypipe.ml.tuning.importance import importance, told
from raypipe.ml.tuning.outcome import Trial, trials_table

PAGE, TABLE, LISTED = "tuning.html", "trials.parquet", "trials.json"
MOST_ROWS = 500
"""Trials in the page, the best ones; the table beside it has all."""
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1e293b;background:#f8fafc;margin:0 auto;max-width:1480px;padding:24px}
h1{font-size:24px;margin:0 0 4px} h2{font-size:18px;margin:32px 0 8px} p{margin:4px 0}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(560px,100%),1fr));gap:16px;align-items:start}
.charts svg{width:100%;height:auto;border:1px solid #e2e8f0;
border-radius:8px} .scroll{overflow:auto;max-height:70vh;border:1px solid #e2e8f0;border-radius:8px;background:#fff}
table{border-collapse:collapse;font-size:13px;width:100%} th,td{padding:6px 10px;text-align:right;white-space:nowrap;
border-bottom:1px solid #e2e8f0} th{position:sticky;top:0;background:#f1f5f9} td.words,th.words{text-align:left}
td.words{max-width:420px;overflow:hidden;text-overflow:ellipsis} tr.best td{background:#fef2f2;font-weight:600}
"""


def write_tuning(summary: Mapping[str, Any], trials: Sequence[Trial], folder: Path) -> None:
    """Write `tuning.html`, `trials.parquet`, `trials.json` and the charts into a folder that is there."""
    shares = importance(trials)
    charts = tuning_charts(trials, shares, summary["metric"], summary["greater_is_better"])
    (folder / PAGE).write_text(page(summary, trials, charts), encoding="utf-8")
    listed = {"summary": dict(summary), "importance": told(shares), "trials": [_plain(one) for one in trials]}
    text = json.dumps(listed, indent=1, default=str, ensure_ascii=False)
    (folder / LISTED).write_text(text + "\n", encoding="utf-8")
    _write_table(trials, folder / TABLE)
    (folder / "charts").mkdir(exist_ok=True)
    for name, drawing in charts.items():
        (folder / "charts" / name).write_text(drawing, encoding="utf-8")


def _plain(trial: Trial) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(trial).items()}


def _write_table(trials: Sequence[Trial], place: Path) -> None:
    """A parameter whose values are of several types is text there."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = trials_table(trials)
    for name in table.columns:
        if table[name].map(type).nunique() > 1 and not all(_is_number(value) for value in table[name]):
            table[name] = [None if _is_gone(value) else _words(value) for value in table[name]]
        elif any(isinstance(value, list | dict | tuple) for value in table[name]):
            table[name] = [_words(value) for value in table[name]]
    pq.write_table(pa.Table.from_pandas(table, preserve_index=False), place)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_gone(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def _words(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def page(summary: Mapping[str, Any], trials: Sequence[Trial], charts: Mapping[str, str]) -> str:
    """The page, whole in itself: no script, nothing that is fetched."""
    title = f"Search {summary['tuning_name']}: {summary['metric']} {_figure(summary['best_score'])}"
    drawn = "".join(charts.values()) or "<p>Too few trials ended for charts.</p>"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<h1>{escape(title)}</h1>{_told(summary)}<h2>Charts</h2><div class=charts>{drawn}</div>"
        f"<h2>Trials</h2>{_table(summary, trials)}</html>\n"
    )


_KINDS = {
    "grid_search": "a grid search",
    "random_search": "a random search",
    "optuna": "an Optuna search",
    "population_based_training": "a population",
}
_WHERE = {"inline": "one trial after another", "processes": "in processes", "ray tune": "on Ray Tune"}
_ENDS = {"trials": "all were tried", "time": "the time was up", "exhausted": "the space had nothing new"}


def _told(summary: Mapping[str, Any]) -> str:
    """What there is to say, in sentences."""
    kind = _KINDS.get(summary["tuning_type"], summary["tuning_type"])
    end = _ENDS.get(summary["stopped_by"], summary["stopped_by"])
    better = "higher" if summary["greater_is_better"] else "lower"
    counts = [f"{summary[name]} {name}" for name in ("failed", "pruned", "stopped") if summary.get(name)]
    lines = [
        f"{summary['trials']} trials of {kind} in {summary['seconds']:.1f} s,"
        f" on {summary['n_splits']} folds ({summary['cv_strategy']}){': ' if counts else ''}{', '.join(counts)}."
        f" For {summary['metric']}, {better} is better.",
        f"Best: trial {summary['best_trial']} with {_figure(summary['best_score'])}, by"
        f" {_shown(summary['best_params']) or 'the parameters of the model spec as they stand'}."
        f" The model spec as it stands: {_figure(summary['default_score'])}.",
        f"It ended when {end}; it ran {_WHERE.get(summary['engine'], summary['engine'])} ({summary['engine_reason']})."
        f" {summary['folds_remembered']} folds were known from before.",
    ]
    return "".join(f"<p>{escape(line)}</p>" for line in lines)


def _table(summary: Mapping[str, Any], trials: Sequence[Trial]) -> str:
    sign = -1.0 if summary["greater_is_better"] else 1.0
    order = sorted(trials, key=lambda one: (one.score is None, sign * (one.score or 0.0), one.number))[:MOST_ROWS]
    copied = any(one.copied for one in trials)
    heads = ["trial", "status", summary["metric"], "fit s", "ended s", "parameters", "note"]
    row = "".join(f"<th{' class=words' if name in _WORDS else ''}>{escape(name)}</th>" for name in heads)
    body = "".join(_row(one, one.number == summary["best_trial"]) for one in order)
    more = f"<p>The best {MOST_ROWS} of {len(trials)}; {TABLE} has all.</p>" if len(trials) > MOST_ROWS else ""
    if copied:
        more += "<p>A member of a population: its best turn, and its settings in the last one.</p>"
    return f"{more}<div class=scroll><table><thead><tr>{row}</tr></thead><tbody>{body}</tbody></table></div>"


_WORDS = frozenset({"status", "parameters", "note"})


def _row(trial: Trial, best: bool) -> str:
    went = ", ".join(f"after turn {one['turn']} from {one['from']}" for one in trial.copied)
    note = "; ".join(one for one in (went and f"copied {went}", trial.error, trial.warned) if one)
    cells = [
        ("", str(trial.number)), ("words", trial.status), ("", _figure(trial.score)), ("", f"{trial.fit_s:.2f}"),
        ("", "" if trial.ended_s is None else f"{trial.ended_s:.1f}"),
        ("words", _shown(trial.params) or "the model spec's own"), ("words", note),
    ]  # fmt: skip
    told = "".join(
        f'<td{f" class={kind}" if kind else ""} title="{escape(text)}">{escape(text)}</td>' for kind, text in cells
    )
    return f"<tr{' class=best' if best else ''}>{told}</tr>"


def _shown(params: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {_words(value)}"
        for name, value in params.items()
    )


def _figure(value: float | None) -> str:
    return "none" if value is None else f"{value:.5g}"
