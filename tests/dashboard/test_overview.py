"""Figures of evidence as the page tells them."""

from __future__ import annotations

from raypipe.dashboard.overview import evidence_text


def test_what_many_columns_share_is_said_once() -> None:
    assert evidence_text("kinds", ["future"] * 4) == "future"
    assert evidence_text("how", ["filled_with_target", "copy"]) == "filled with target, copy"
    assert evidence_text("columns", ["a_b", "c"]) == "a_b, c"
    assert evidence_text("columns", list("abcdef")) == "a, b, c, d, e …"
