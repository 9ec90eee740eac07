def test_what_many_columns_share_is_said_once_among_the_figures() -> None:
    from raypipe.dashboard.overview import evidence_text

    assert evidence_text("kinds", ["future"] * 4) == "future"
    assert evidence_text("how", ["filled_with_target", "copy"]) == "filled with target, copy"
    assert evidence_text("columns", ["a_b", "c"]) == "a_b, c"
    assert evidence_text("columns", list("abcdef")) == "a, b, c, d, e …"
