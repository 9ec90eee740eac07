"""HDBSCAN: groups of any shape, and rows that belong to none.

scikit-learn has it too, and the tests hold this one against it; loading scikit-learn takes two seconds, which is more
than a small run takes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from raypipe.insights.patterns.kmeans import adjusted_rand
from raypipe.insights.patterns.matrix import FloatArray, IntArray, Matrix
from raypipe.insights.patterns.models import ClusterReport, DensityReport

MAX_ROWS = 800
MIN_SHARE = 0.05


def find_groups(matrix: Matrix, clusters: ClusterReport, labels: IntArray | None) -> DensityReport | None:
    """Groups by density over the columns of the clusters; None where there are no clusters to compare with."""
    if labels is None or not clusters.columns:
        return None
    places = [matrix.numbers.index(column) for column in clusters.columns]
    x = np.arcsinh(matrix.scaled[:MAX_ROWS][:, places])
    found = hdbscan(x, max(int(MIN_SHARE * len(x)), 5))
    inside = found >= 0
    return DensityReport(
        groups=int(found.max(initial=-1)) + 1,
        noise_share=float(1 - inside.mean()),
        rows=len(x),
        agreement=adjusted_rand(found[inside], labels[: len(x)][inside]) if inside.any() else None,
    )


def hdbscan(x: FloatArray, min_size: int) -> IntArray:
    """Group of each row, -1 for rows in none; the root is no group.

    Parameters
    ----------
    min_size : int
        Rows that a group has at least, and neighbours that define density (the row itself counted).

    References
    ----------
    Campello, Moulavi, Sander (2013), Density-based clustering based on hierarchical density estimates.
    """
    n = len(x)
    if n < 2 * min_size:
        return np.full(n, -1, np.int64)
    squares = (x * x).sum(axis=1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares - 2 * x @ x.T, 0.0))
    np.fill_diagonal(distances, 0.0)
    core = np.partition(distances, min_size - 1, axis=1)[:, min_size - 1]
    reach = np.maximum(distances, np.maximum(core[:, None], core))
    tree = _condensed(_merges(*_spanning_tree(reach), n), n, min_size)
    return _labels(tree, n)


def _spanning_tree(reach: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
    """Edges of a minimum spanning tree (Prim), shortest first."""
    n = len(reach)
    nearest, source = reach[0].copy(), np.zeros(n, np.int64)
    outside = np.ones(n, bool)
    outside[0] = False
    a, b, length = np.empty(n - 1, np.int64), np.empty(n - 1, np.int64), np.empty(n - 1)
    for step in range(n - 1):
        new = int(np.where(outside, nearest, np.inf).argmin())
        a[step], b[step], length[step] = source[new], new, nearest[new]
        outside[new] = False
        closer = outside & (reach[new] < nearest)
        nearest[closer], source[closer] = reach[new][closer], new
    order = np.argsort(length, kind="stable")
    return a[order], b[order], length[order]


def _merges(a: IntArray, b: IntArray, length: FloatArray, n: int) -> list[tuple[int, int, float, int]]:
    """The single-linkage tree: node n + i joins two nodes at a distance, with so many rows."""
    parent, node, size = list(range(n)), list(range(n)), [1] * n

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    out = []
    for i, (left, right, at) in enumerate(zip(a.tolist(), b.tolist(), length.tolist(), strict=True)):
        p, q = root(left), root(right)
        out.append((node[p], node[q], at, size[p] + size[q]))
        parent[q] = p
        size[p] += size[q]
        node[p] = n + i
    return out


@dataclass
class _Group:
    parent: int
    birth: float
    """Density (1 / distance) at which it parts from its parent."""
    stability: float = 0.0
    children: tuple[int, ...] = ()
    rows: tuple[tuple[int, float], ...] = ()


def _condensed(merges: list[tuple[int, int, float, int]], n: int, min_size: int) -> list[_Group]:
    """The tree of groups of at least `min_size` rows; rows leave a group at the density where they fall off."""
    groups = [_Group(-1, 0.0)]
    left: list[list[tuple[int, float]]] = [[]]
    waiting = [(n + len(merges) - 1, 0)]
    while waiting:
        node, group = waiting.pop()
        if node < n:
            continue
        a, b, at, _ = merges[node - n]
        density = 1 / at if at > 0 else 1e12
        large = [child for child in (a, b) if _size(child, merges, n) >= min_size]
        for child in (a, b):
            if len(large) == 2:
                groups.append(_Group(group, density))
                left.append([])
                groups[group].children += (len(groups) - 1,)
                groups[group].stability += _size(child, merges, n) * (density - groups[group].birth)
                waiting.append((child, len(groups) - 1))
            elif child in large:
                waiting.append((child, group))
            else:
                fallen = _rows_below(child, merges, n)
                groups[group].stability += len(fallen) * (density - groups[group].birth)
                left[group] += [(row, density) for row in fallen]
    for one, rows in zip(groups, left, strict=True):
        one.rows = tuple(rows)
    return groups


def _size(node: int, merges: list[tuple[int, int, float, int]], n: int) -> int:
    return 1 if node < n else merges[node - n][3]


def _rows_below(node: int, merges: list[tuple[int, int, float, int]], n: int) -> list[int]:
    out, waiting = [], [node]
    while waiting:
        one = waiting.pop()
        if one < n:
            out.append(one)
        else:
            waiting += merges[one - n][:2]
    return out


def _labels(groups: list[_Group], n: int) -> IntArray:
    """Rows of the most stable groups (excess of mass); what falls off their ancestors is noise."""
    best = [0.0] * len(groups)
    chosen = [False] * len(groups)
    for i in range(len(groups) - 1, 0, -1):
        below = sum(best[child] for child in groups[i].children)
        chosen[i] = not groups[i].children or groups[i].stability >= below
        best[i] = groups[i].stability if chosen[i] else below
    out = np.full(n, -1, np.int64)
    found, waiting = 0, list(groups[0].children)
    while waiting:
        i = waiting.pop(0)
        if not chosen[i]:
            waiting += groups[i].children
            continue
        inside = [i]
        while inside:
            one = inside.pop()
            out[[row for row, _ in groups[one].rows]] = found
            inside += groups[one].children
        found += 1
    return out
