"""Themes are real, and their text can be read."""

import re

import pytest

from raypipe.dashboard.theme import THEMES, Palette, chart_colours, theme_css, theme_named
from raypipe.errors import ConfigError

PALETTES = {f"{name}-{mode}": getattr(theme, mode) for name, theme in THEMES.items() for mode in ("light", "dark")}


def luminance(colour: str) -> float:
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (b / 255 for b in bytes.fromhex(colour[1:]))
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", PALETTES)
def test_text_has_a_contrast_of_four_and_a_half_on_every_ground(name: str) -> None:
    p: Palette = PALETTES[name]
    for text in (p.ink, p.muted, p.accent, p.good, p.warn, p.bad):
        for ground in (p.page, p.surface, p.sunken):
            assert contrast(text, ground) >= 4.5, (text, ground)
    assert contrast(p.side_ink, p.side) >= 4.5
    assert contrast(p.side_muted, p.side) >= 4.5
    assert contrast(p.side_ink, p.side_active) >= 4.5
    assert contrast(p.surface, p.accent) >= 4.5, "writing on a coloured tag"


@pytest.mark.parametrize("name", PALETTES)
def test_marks_of_charts_stand_out_from_their_ground(name: str) -> None:
    p: Palette = PALETTES[name]
    for mark in (p.accent, p.contrast, p.good, p.warn, p.bad, p.muted):
        assert contrast(mark, p.surface) >= 3.0


def test_the_five_themes_differ() -> None:
    assert set(THEMES) == {"light", "dark", "auto", "corporate", "enterprise"}
    assert len({theme_css(theme) for theme in THEMES.values() if theme.mode == "auto"}) == 3
    assert {theme.mode for theme in THEMES.values()} == {"light", "dark", "auto"}


def test_a_misspelt_theme_names_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"no theme 'drak'. Themes: light, dark, auto, corporate, enterprise"):
        theme_named("drak")


def test_chart_colours_are_plain_hex_and_ramps_begin_and_end_at_their_colours() -> None:
    colours = chart_colours(THEMES["auto"])
    for mode in ("light", "dark"):
        diverging = colours[mode]["diverging"]
        assert len(diverging) == 21
        assert (diverging[0], diverging[-1]) == (colours[mode]["contrast"], colours[mode]["accent"])
        assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in (*diverging, *colours[mode]["sequential"]))
