"""Buckets far off what trend and season let expect, at a stated rate of false ones."""

from __future__ import annotations

import numpy as np

from raypipe.blocks.chance import false_discoveries
from raypipe.insights.series.decompose import MIN_Z, Parts, Tails, robust_z, tail_chance
from raypipe.insights.series.models import Anomalies, Anomaly
from raypipe.insights.series.noise import FloatArray

RATE = 0.05
MAX_SHOWN = 50
MIN_POINTS = 30


def find_anomalies(y: FloatArray, parts: Parts, floor: FloatArray, labels: list[str], of: Tails) -> Anomalies | None:
    """Anomalies at a false discovery rate of 5 %, each at least six robust standard deviations off; None for too few
    points to know their tails.

    Parameters
    ----------
    floor : array
        The least spread that chance makes of each value.
    of : {"values", "means", "counts"}
        What the series is made of, by which its tails go.
    """
    z = robust_z(parts.left, floor)
    tested = int(np.isfinite(z).sum())
    if tested < MIN_POINTS:
        return None
    p = tail_chance(z, of)
    found = np.logical_and(
        false_discoveries(np.where(np.isfinite(z), p, 1.0)) <= RATE, np.abs(np.nan_to_num(z)) >= MIN_Z
    )
    order = sorted(np.flatnonzero(found).tolist(), key=lambda i: (p[i], -abs(z[i])))
    return Anomalies(
        found=tuple(
            Anomaly(
                start=labels[i],
                value=float(y[i]),
                expected=float(parts.trend[i] + parts.season[i]),
                robust_z=float(z[i]),
                p_value=float(p[i]),
            )
            for i in order[:MAX_SHOWN]
        ),
        count=len(order),
        tested=tested,
        expected_false=RATE * len(order),
        false_discovery_rate=RATE,
    )
