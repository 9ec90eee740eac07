"""Values as bytes, for another process: plain pickle where it can, cloudpickle for what a user's script defines."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any


def packed(value: Any) -> bytes:
    """The value pickled; classes of a user's script or notebook, which pickle cannot name, are sent whole."""
    try:
        return pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    except Exception:
        from ray import cloudpickle

        dumps: Callable[[Any], bytes] = cloudpickle.dumps
        return dumps(value)
