"""Decision trees of a file that others can write: held to their bounds before they are walked.

scikit-learn walks the nodes of a tree by the numbers in it and looks at no bounds, so that a file with other numbers
would read memory that is not its own, or never end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raypipe.errors import ReadError

Numbers = NDArray[np.int64]


def check_trees(model: Any, where: str) -> None:
    """Raise ReadError where a tree of the model points out of its nodes, back, or at a feature that there is not."""
    for tree, features in _trees(model, None, set()):
        if hasattr(tree, "get_arrays"):
            _check_neighbours(tree, where)
            continue
        inner, left, right, feature = _nodes(tree)
        count = len(inner)
        places = np.flatnonzero(inner)
        for child in (left[places], right[places]):
            # A child always stands behind its parent: so no walk comes back to where it was.
            if not ((child > places) & (child < count)).all():
                raise ReadError(f"{where}: a tree points out of its nodes; the file is damaged or was made to do harm")
        if not _sets_are_there(tree) or not ((feature[places] >= 0) & (feature[places] < features)).all():
            raise ReadError(f"{where}: a tree asks for a feature that there is not; the file is damaged")


def _check_neighbours(tree: Any, where: str) -> None:
    """A tree of near neighbours: nodes span places of rows, and children of a node follow from its number."""
    data, index, nodes, _ = (np.asarray(one) for one in tree.get_arrays())
    inner = np.flatnonzero(nodes["is_leaf"] == 0)
    sound = (
        (not len(index) or (index.min() >= 0 and index.max() < len(data)))
        and (nodes["idx_start"] >= 0).all()
        and (nodes["idx_end"] <= len(index)).all()
        and (2 * inner + 2 < len(nodes)).all()
    )
    if not sound:
        raise ReadError(f"{where}: a tree of neighbours points out of its rows; the file is damaged")


def _nodes(tree: Any) -> tuple[NDArray[np.bool_], Numbers, Numbers, Numbers]:
    """Of each node: whether it has children, both of them, and the feature that it asks for."""
    if hasattr(tree, "children_left"):
        left, right = (np.asarray(side, np.int64) for side in (tree.children_left, tree.children_right))
        return left != -1, left, right, np.asarray(tree.feature, np.int64)
    nodes = tree.nodes
    left, right, feature = (nodes[name].astype(np.int64) for name in ("left", "right", "feature_idx"))
    return ~nodes["is_leaf"].astype(bool), left, right, feature


def _sets_are_there(tree: Any) -> bool:
    """Whether nodes that ask for categories point at a set of them."""
    if hasattr(tree, "children_left"):
        return True
    asks = tree.nodes["bitset_idx"][tree.nodes["is_categorical"].astype(bool)]
    return not len(asks) or int(asks.max()) < min(len(tree.binned_left_cat_bitsets), len(tree.raw_left_cat_bitsets))


def _trees(value: Any, features: int | None, seen: set[int]) -> Iterator[tuple[Any, int]]:
    """Every tree in an object, with the number of features that rows have where it stands."""
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
    from sklearn.neighbors import BallTree, KDTree
    from sklearn.tree._tree import Tree

    if id(value) in seen or isinstance(value, str | bytes | int | float | type(None)):
        return
    seen.add(id(value))
    if isinstance(value, Tree):
        yield value, value.n_features
    elif isinstance(value, TreePredictor | BallTree | KDTree):
        yield value, features or 0
    elif isinstance(value, dict):
        for one in value.values():
            yield from _trees(one, features, seen)
    elif isinstance(value, list | tuple | set) or (isinstance(value, np.ndarray) and value.dtype == object):
        for one in value.ravel() if isinstance(value, np.ndarray) else value:
            yield from _trees(one, features, seen)
    elif hasattr(value, "__dict__"):
        own = vars(value)
        inside = own.get("_n_features", own.get("n_features_in_", features))
        yield from _trees(own, inside if isinstance(inside, int) else features, seen)
