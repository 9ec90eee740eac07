"""Rows in which the target differs: subgroups of one or two conditions, found on one half, confirmed on the other."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np

from raypipe.blocks.chance import NORMAL_95, false_discoveries, normal_above
from raypipe.config.insights.target import TargetConfig
from raypipe.insights.patterns.matrix import FloatArray, normal_scores
from raypipe.insights.patterns.profiles import Mask, rank_biserial, rank_biserial_interval
from raypipe.insights.target.design import Design
from raypipe.insights.target.models import Segment

MIN_ROWS = 200
MIN_HALF_ROWS = 20
BEAM = 20
"""Conditions that are refined by a second one."""
CANDIDATES = 20
"""Subgroups that the second half is asked about."""
MAX_OVERLAP = 0.8
"""Jaccard index of rows from which two subgroups are one."""
MAX_CLASSES = 5
MAX_ALIKE = 2
"""Subgroups of the same columns: usually where the target is high, and where it is low."""
MIN_RANK_EFFECT = 0.2
MIN_SHARE_EFFECT = 0.1
ADDS_SCORE = 3.0
"""Normal score by which a second condition must set its rows apart within those of the first."""
Half = tuple[FloatArray, FloatArray]
"""Conditions and outputs."""


@dataclass(frozen=True)
class _Candidate:
    places: tuple[int, ...]
    output: int
    quality: float


def find_segments(data: Design, settings: TargetConfig) -> tuple[Segment, ...]:
    """Subgroups confirmed at the false discovery rate `settings.alpha`, strongest effect first.

    The quality of a subgroup is its normal score: how far the mean of its target (ranks for a number target, shares of
    a class) lies from that of all rows, times the root of its size. With a time, the earlier half finds and the later
    one confirms.

    References
    ----------
    Lavrač, Kavšek, Flach, Todorovski (2004), Subgroup discovery with CN2-SD.
    """
    if data.rows < MIN_ROWS or not data.conditions:
        return ()
    outputs = normal_scores(data.y) if data.task == "regression" else data.y[:, :MAX_CLASSES].copy()
    if data.y.shape[1] == 2:
        outputs[:, 0] = 0.0  # Of two classes each is the mirror of the other: the rarer one is looked at.
    half = data.rows // 2
    finding, confirming = (data.holds[:half], outputs[:half]), (data.holds[half:], outputs[half:])
    least = max(MIN_HALF_ROWS, int(settings.min_support * half))
    candidates = _candidates(data, finding, least)
    judged = [(c, score) for c in candidates if (score := _confirmed(confirming, c, least)) is not None]
    q = false_discoveries([normal_above(score) for _, score in judged], tests=len(candidates)).tolist()
    found = [
        segment
        for (candidate, _), one in zip(judged, q, strict=True)
        if one <= settings.alpha and (segment := _segment(data, candidate, confirming, half, one)) is not None
    ]
    found.sort(key=lambda segment: (-abs(segment.effect), segment.conditions))
    return tuple(found[: settings.max_segments])


def _scores(holds: FloatArray, outputs: FloatArray, least: int) -> FloatArray:
    """Normal score of every condition for every output, of shape (conditions, outputs); 0 below `least` rows."""
    n = len(outputs)
    inside = holds.sum(axis=0, dtype=np.float64)[:, None]
    centred = outputs - outputs.mean(axis=0)
    spread = centred.std(axis=0)
    sums = holds.T.astype(np.float64) @ centred
    with np.errstate(divide="ignore", invalid="ignore"):
        score = sums / (np.sqrt(inside * (1 - inside / n)) * np.where(spread > 0, spread, np.inf))
    fits = (inside >= least) & (inside <= n - least)
    return np.asarray(np.where(fits, np.nan_to_num(score), 0.0))


def _candidates(data: Design, half: Half, least: int) -> list[_Candidate]:
    holds, outputs = half
    single = _scores(holds, outputs, least)
    ranked = _ranked(single)
    pool = [_Candidate((i,), k, abs(float(single[i, k]))) for i, k in ranked[:CANDIDATES]]
    columns = np.array([condition.column for condition in data.conditions])
    for i in dict.fromkeys(i for i, _ in ranked[:BEAM]):
        inside = holds[:, i] > 0
        joint = holds * inside[:, None]
        score = _scores(joint, outputs, least)
        score[columns == columns[i]] = 0.0
        pool += [
            _Candidate(tuple(sorted((i, j))), k, abs(float(score[j, k])))
            for j, k in _ranked(score)[:CANDIDATES]
            if abs(score[j, k]) > abs(single[i, k]) and abs(score[j, k]) > abs(single[j, k])
        ]
    ordered = sorted(set(pool), key=lambda c: (-round(c.quality, 9), c.places, c.output))
    return _different(ordered, holds, columns)


def _ranked(score: FloatArray) -> list[tuple[int, int]]:
    order = np.argsort(-np.round(np.abs(score), 9), axis=None, kind="stable")
    places = [divmod(int(place), score.shape[1]) for place in order[: 4 * CANDIDATES]]
    return [(i, k) for i, k in places if score[i, k] != 0]


def _different(pool: list[_Candidate], holds: FloatArray, columns: np.ndarray) -> list[_Candidate]:
    """The best that neither share most of their rows with a better one nor ask the same columns once more."""
    kept: list[_Candidate] = []
    asked: Counter[tuple[str, ...]] = Counter()
    masks: list[Mask] = []
    for candidate in pool:
        mask = _mask(holds, candidate)
        about = tuple(columns[list(candidate.places)].tolist())
        if asked[about] == MAX_ALIKE:
            continue
        if any(_jaccard(mask, other) > MAX_OVERLAP or _jaccard(~mask, other) > MAX_OVERLAP for other in masks):
            continue
        kept.append(candidate)
        masks.append(mask)
        asked[about] += 1
        if len(kept) == CANDIDATES:
            break
    return kept


def _mask(holds: FloatArray, candidate: _Candidate) -> Mask:
    return np.asarray(holds[:, list(candidate.places)].all(axis=1))


def _jaccard(a: Mask, b: Mask) -> float:
    return float((a & b).sum() / max((a | b).sum(), 1))


def _confirmed(half: Half, candidate: _Candidate, least: int) -> float | None:
    """Absolute normal score on the half that had no part in finding; None with too few rows there."""
    holds, outputs = half
    mask = _mask(holds, candidate)
    score = _scores(mask[:, None].astype(float), outputs[:, [candidate.output]], max(least // 2, 10))[0, 0]
    return abs(float(score)) if score != 0 else None


def _segment(data: Design, candidate: _Candidate, half: Half, start: int, p: float) -> Segment | None:
    holds, outputs = half
    mask = _mask(holds, candidate)
    y = data.y[start:, candidate.output]
    inside, outside = y[mask], y[~mask]
    if data.task == "regression":
        effect, least = rank_biserial(inside, outside), MIN_RANK_EFFECT
        middle = (float(np.median(inside)), float(np.median(outside)))
        interval = rank_biserial_interval(inside, outside)
    else:
        middle, least = (float(inside.mean()), float(outside.mean())), MIN_SHARE_EFFECT
        effect = middle[0] - middle[1]
        variance = sum(share * (1 - share) / len(rows) for share, rows in zip(middle, (inside, outside), strict=True))
        interval = (effect - NORMAL_95 * math.sqrt(variance), effect + NORMAL_95 * math.sqrt(variance))
    adds = len(candidate.places) == 2 and _both_needed(holds, outputs[:, candidate.output], candidate.places)
    if abs(effect) < least or (len(candidate.places) == 2 and not adds):
        return None
    return Segment(
        conditions=tuple(data.conditions[i].words for i in candidate.places),
        columns=tuple(data.conditions[i].column for i in candidate.places),
        rows=int(mask.sum()),
        support=float(mask.mean()),
        label=data.classes[candidate.output] if data.classes else None,
        inside=middle[0],
        outside=middle[1],
        effect=effect,
        interval=interval,
        p_value=p,
        adds=adds,
    )


def _both_needed(holds: FloatArray, output: FloatArray, places: tuple[int, ...]) -> bool:
    """Whether each condition sets its rows apart within those of the other."""
    for given, other in (places, places[::-1]):
        rows = holds[:, given] > 0
        score = _scores(holds[rows][:, [other]], output[rows][:, None], 10)
        if abs(float(score[0, 0])) < ADDS_SCORE:
            return False
    return True
