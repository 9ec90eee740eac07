"""One thing that `raypipe cluster doctor` looked at."""

from __future__ import annotations

from typing import Literal

from raypipe.config import Frozen

State = Literal["ok", "warning", "broken", "skipped"]


class ClusterCheck(Frozen):
    """What was looked at, what was found, what it means, and what to type next."""

    name: str
    state: State
    found: str
    means: str = ""
    advice: str = ""
