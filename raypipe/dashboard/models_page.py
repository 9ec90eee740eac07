"""The section about models: the leaderboard, the best on rows that stayed untouched, and what it leans on."""

from __future__ import annotations

from typing import Any

from raypipe.dashboard import numbers
from raypipe.dashboard.inputs import DashboardInput
from raypipe.ml.report import Candidate, Figure, ModelsReport

IMPORTANCE_SHOWN = 15
SIDE = 200
"""Of the square that the reliability curve is drawn in."""
METRIC_NAMES = {
    "log_loss": "Log loss", "roc_auc": "ROC AUC", "f1_score": "F1 score", "mcc": "MCC",
    "brier": "Brier score", "ece": "Calibration error (ECE)", "lift": "Lift in the top tenth", "rmse": "RMSE",
    "mae": "MAE", "median_ae": "Median absolute error", "r2": "R²", "mape": "MAPE", "smape": "sMAPE",
}  # fmt: skip
OF_THE_SECOND = frozenset({"f1_score", "precision", "recall", "average_precision", "lift"})
"""Metrics that are of one class, where there are two."""
SPLITS = {
    "train_test": "at random",
    "kfold": "at random",
    "repeated": "at random",
    "stratified": "at random, within each class",
    "group": "by group",
    "stratified_group": "by group, within each class",
    "time": "in the order of time",
    "purged": "in the order of time, with a gap",
    "predefined": "as given",
}
"""How rows were split, in words."""
LEAST_SHOWN = 0.001
"""Importances below this share of the largest are shown as 0."""


def models_section(given: DashboardInput) -> dict[str, Any]:
    """What the template prints; without models, why there are none: empty where nobody could have asked for them."""
    report = given.models
    if report is None:
        return {"report": None, "why_not": given.why_not("models", "")}
    return {
        "report": report,
        "of": f"a sample of {report.rows:,} of {report.of_rows:,}"
        if report.rows < report.of_rows
        else f"{report.rows:,}",
        "split": SPLITS.get(report.strategy, report.strategy.replace("_", " ")),
        "metric": _in_text(_named(report.metric)),
        "board_metrics": [_named(name) for name in _board_metrics(report)],
        "board": [_line(one, _board_metrics(report)) for one in report.leaderboard],
        "figures": [(_named(name), *_told(one)) for name, one in report.figures.items() if one.value is not None],
        "one_class": _one_class(report),
        "reliability": _reliability(report),
        "confusion": _confusion(report),
        "residuals": _residuals(report),
        "importance": _importance(report),
        "card": _card(report),
        "calibration": _calibration(report),
    }


def _named(metric: str) -> str:
    return METRIC_NAMES.get(metric, metric.replace("_", " ").capitalize())


def _in_text(name: str) -> str:
    """A name within a sentence: capitals stay where it is an abbreviation."""
    is_word = name[1:2].islower() and not name.startswith(("Brier", "sMAPE"))
    return name[:1].lower() + name[1:] if is_word else name


def _one_class(report: ModelsReport) -> str:
    """Which metrics look at one class alone, and at which."""
    shown = [
        _in_text(_named(name))
        for name, one in report.figures.items()
        if name in OF_THE_SECOND and one.value is not None
    ]
    if not shown or report.labels is None or len(report.labels) != 2:
        return ""
    listed = f"{', '.join(shown[:-1])} and {shown[-1]} are" if len(shown) > 1 else f"{shown[0]} is"
    return f"{listed[:1].upper()}{listed[1:]} of the class {numbers.clip(str(report.labels[1]), 60)}."


def _board_metrics(report: ModelsReport) -> list[str]:
    return list(next((one.figures for one in report.leaderboard if one.figures), {}))


def _line(one: Candidate, metrics: list[str]) -> dict[str, Any]:
    figures = [one.figures.get(name) for name in metrics]
    return {
        "name": one.algorithm,
        "cells": ["–" if figure is None else numbers.number(figure.value, 4) for figure in figures],
        "spread": "" if not figures or figures[0] is None else _spread(figures[0]),
        "folds": "" if not figures or figures[0] is None else _folds(figures[0]),
        "seconds": numbers.seconds(one.seconds),
        "status": one.status,
        "reason": one.reason,
    }


def _spread(figure: Figure) -> str:
    return "" if figure.spread is None else f"± {numbers.number(figure.spread, 2)}"


def _folds(figure: Figure) -> str:
    return ", ".join("–" if value is None else numbers.number(value, 3) for value in figure.folds[:20])


def _told(one: Figure) -> tuple[str, str, str]:
    between = "" if one.low is None else f"{numbers.number(one.low, 4)} to {numbers.number(one.high, 4)}"
    return numbers.number(one.value, 4), between, "" if one.own is None else numbers.number(one.own, 4)


def _reliability(report: ModelsReport) -> dict[str, Any] | None:
    """Places in a square of `SIDE`, and the same as text."""
    if not report.reliability:
        return None
    rows: list[dict[str, Any]] = [dict(one) for one in report.reliability]

    def at(said: float, true: float) -> tuple[float, float]:
        return round(SIDE * said, 1), round(SIDE * (1 - true), 1)

    dots = [at(row["said"], row["true"]) for row in rows]
    ends = [(at(row["said"], row["true_low"]), at(row["said"], row["true_high"])) for row in rows]
    labels = report.labels or ()
    return {
        "side": SIDE,
        "line": " ".join(f"{x},{y}" for x, y in dots),
        "dots": dots,
        "whiskers": [(low[0], low[1], high[1]) for low, high in ends],
        "what": f"of {labels[1]}" if len(labels) == 2 else "of the class that was said",
        "rows": [
            (numbers.share(row["said"]), numbers.share(row["true"]),
             f"{numbers.share(row['true_low'])} to {numbers.share(row['true_high'])}", numbers.count(row["rows"]))
            for row in rows
        ],
    }  # fmt: skip


def _confusion(report: ModelsReport) -> dict[str, Any] | None:
    if report.confusion is None or report.labels is None:
        return None
    rows = []
    for label, counts in zip(report.labels, report.confusion, strict=True):
        total = max(1, sum(counts))
        cells = [(numbers.count(count), numbers.share(count / total), round(count / total, 3)) for count in counts]
        rows.append((str(label), cells))
    return {"labels": [str(label) for label in report.labels], "rows": rows}


def _residuals(report: ModelsReport) -> dict[str, Any] | None:
    found = report.residuals
    if found is None:
        return None
    most = max(1, *found.counts)
    bars = [
        (f"{numbers.number(low, 3)} to {numbers.number(high, 3)}", numbers.count(count), round(100 * count / most, 2))
        for low, high, count in zip(found.edges, found.edges[1:], found.counts, strict=False)
    ]
    ends = [numbers.number(value, 4) for value in (found.low, found.median, found.high)]
    return {"bars": bars, "low": ends[0], "median": ends[1], "high": ends[2]}


def _importance(report: ModelsReport) -> dict[str, Any]:
    shown = report.importance[:IMPORTANCE_SHOWN]
    most = max((one.loss for one in shown), default=0.0)

    def told(value: float) -> str:
        return numbers.number(value if abs(value) >= LEAST_SHOWN * most else 0.0, 3)

    rows = [
        (one.column, round(100 * max(one.loss, 0.0) / most, 2) if most > 0 else 0.0, told(one.loss),
         f"± {numbers.number(one.spread, 2)}")
        for one in shown
    ]  # fmt: skip
    return {"rows": rows, "hidden": len(report.importance) - len(shown)}


def _card(report: ModelsReport) -> list[tuple[str, str]]:
    """Facts of the model that was kept."""
    if report.card is None:
        return []
    card: dict[str, Any] = dict(report.card)
    packages = ", ".join(f"{name} {version}" for name, version in card["packages"].items())
    return [
        ("Folder", report.folder or ""),
        ("File", f"{card['format']}, SHA-256 {card['sha256'][:16]}…"),
        ("Learnt from", f"{card['data']['rows']:,} rows, SHA-256 {card['data']['sha256'][:16]}…"),
        ("Looks at", ", ".join(card["inputs"])),
        ("Made with", packages),
    ]


def _calibration(report: ModelsReport) -> str:
    if report.calibration is None:
        return ""
    told: dict[str, Any] = dict(report.calibration)
    if told["method"] == "none":
        return "Its probabilities were right as they are: no way of calibrating was better by more than noise."
    before, after = (told[side] or {} for side in ("before", "after"))
    if before.get("log_loss") is None or after.get("log_loss") is None:
        return f"Its probabilities are calibrated ({told['method']})."
    change = f"{numbers.number(before['log_loss'], 4)} to {numbers.number(after['log_loss'], 4)}"
    return f"Its probabilities are calibrated ({told['method']}), on rows held back: log loss from {change}."
