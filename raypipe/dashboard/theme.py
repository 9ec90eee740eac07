"""Colours of the page: five themes, each with a light and a dark palette, turned into CSS custom properties.

Text colours reach a contrast of at least 4.5:1 on the surfaces that they stand on; a test holds this.
"""

from __future__ import annotations

from typing import Literal

from raypipe.config import Frozen
from raypipe.errors import ConfigError

Mode = Literal["light", "dark", "auto"]


class Palette(Frozen):
    """One set of colours, as `#rrggbb`."""

    page: str
    surface: str
    sunken: str
    """Table heads, code, tracks of bars."""
    ink: str
    muted: str
    rule: str
    """Borders and grid lines."""
    accent: str
    contrast: str
    """The second series, and the other end of diverging scales."""
    good: str
    warn: str
    bad: str
    side: str
    """Ground of the navigation."""
    side_ink: str
    side_muted: str
    side_active: str

    def sequential(self) -> tuple[str, ...]:
        """Eleven colours from almost the surface to the accent."""
        return tuple(mix(self.surface, self.accent, 0.06 + 0.094 * step) for step in range(11))

    def diverging(self) -> tuple[str, ...]:
        """Twenty-one colours: contrast, surface, accent; the middle one stands for zero."""
        left = [mix(self.surface, self.contrast, step / 10) for step in range(10, 0, -1)]
        return (
            *left,
            mix(self.surface, self.ink, 0.03),
            *(mix(self.surface, self.accent, step / 10) for step in range(1, 11)),
        )


class Theme(Frozen):
    """A palette for each mode, and the mode that the page opens in."""

    name: str
    light: Palette
    dark: Palette
    mode: Mode


def mix(a: str, b: str, share: float) -> str:
    """The colour that lies `share` of the way from `a` to `b`.

    Examples
    --------
    >>> mix("#000000", "#ffffff", 0.5)
    '#808080'
    """
    pairs = zip(bytes.fromhex(a[1:]), bytes.fromhex(b[1:]), strict=True)
    return "#" + "".join(f"{round(x + (y - x) * share):02x}" for x, y in pairs)


_PLAIN_LIGHT = Palette(
    page="#f5f6f8", surface="#ffffff", sunken="#f0f2f5", ink="#14171c", muted="#555e6d", rule="#e1e5ea",
    accent="#2b5fd9", contrast="#b9501a", good="#14713f", warn="#8a5800", bad="#b42318",
    side="#ffffff", side_ink="#14171c", side_muted="#555e6d", side_active="#e9effc",
)  # fmt: skip
_PLAIN_DARK = Palette(
    page="#0e1116", surface="#161a21", sunken="#1e242d", ink="#e7eaef", muted="#a2abb9", rule="#2a313c",
    accent="#82aaff", contrast="#f0a066", good="#5bcf93", warn="#eebd55", bad="#ff8b80",
    side="#12161c", side_ink="#e7eaef", side_muted="#a2abb9", side_active="#1f2a40",
)  # fmt: skip
_CORPORATE_LIGHT = Palette(
    page="#f2f5f8", surface="#ffffff", sunken="#ebf0f5", ink="#0d2137", muted="#4a5b70", rule="#d8e0e8",
    accent="#0b5a9c", contrast="#0d7370", good="#14713f", warn="#855500", bad="#b1251b",
    side="#0c2340", side_ink="#ffffff", side_muted="#b4c4d8", side_active="#1b3d66",
)  # fmt: skip
_CORPORATE_DARK = Palette(
    page="#081321", surface="#0f1d2f", sunken="#172840", ink="#e4ecf5", muted="#a0b2c8", rule="#23364f",
    accent="#6cb8f2", contrast="#56cdc2", good="#5bcf93", warn="#eebd55", bad="#ff8b80",
    side="#0a1a2e", side_ink="#ffffff", side_muted="#a9bcd3", side_active="#1b3d66",
)  # fmt: skip
_ENTERPRISE_LIGHT = Palette(
    page="#f6f4ef", surface="#fffefb", sunken="#f0ece3", ink="#211d18", muted="#5f574c", rule="#e3dccf",
    accent="#6a3d9f", contrast="#a2560a", good="#2a6b2c", warn="#855400", bad="#a8281c",
    side="#2a2430", side_ink="#fbf8f2", side_muted="#c9bfd2", side_active="#45394f",
)  # fmt: skip
_ENTERPRISE_DARK = Palette(
    page="#131015", surface="#1c1820", sunken="#27212c", ink="#efeaf2", muted="#b3a9bb", rule="#352d3c",
    accent="#c6a2f7", contrast="#f0ad5e", good="#7fce82", warn="#edc064", bad="#ff9184",
    side="#18141b", side_ink="#fbf8f2", side_muted="#b9aec2", side_active="#392f42",
)  # fmt: skip

THEMES: dict[str, Theme] = {
    theme.name: theme
    for theme in (
        Theme(name="light", light=_PLAIN_LIGHT, dark=_PLAIN_DARK, mode="light"),
        Theme(name="dark", light=_PLAIN_LIGHT, dark=_PLAIN_DARK, mode="dark"),
        Theme(name="auto", light=_PLAIN_LIGHT, dark=_PLAIN_DARK, mode="auto"),
        Theme(name="corporate", light=_CORPORATE_LIGHT, dark=_CORPORATE_DARK, mode="auto"),
        Theme(name="enterprise", light=_ENTERPRISE_LIGHT, dark=_ENTERPRISE_DARK, mode="auto"),
    )
}


def theme_named(name: str) -> Theme:
    """The theme of this name; ConfigError names those there are."""
    if name not in THEMES:
        raise ConfigError(f"dashboard_theme: no theme {name!r}. Themes: {', '.join(THEMES)}.")
    return THEMES[name]


def theme_css(theme: Theme) -> str:
    """Custom properties for both modes; `data-mode` on the root element decides over the system's wish."""
    light, dark = _properties(theme.light, "light"), _properties(theme.dark, "dark")
    return (
        f":root{{{light}}}\n"
        f"@media screen and (prefers-color-scheme: dark){{:root:not([data-mode]){{{dark}}}}}\n"
        f'@media screen{{:root[data-mode="dark"]{{{dark}}}}}\n'
    )


def chart_colours(theme: Theme) -> dict[str, dict[str, str | list[str]]]:
    """For each mode the colours that charts take up when they are drawn or the mode changes."""
    return {name: _chart_palette(palette) for name, palette in (("light", theme.light), ("dark", theme.dark))}


def _chart_palette(palette: Palette) -> dict[str, str | list[str]]:
    names = ("surface", "ink", "muted", "rule", "accent", "contrast", "good", "warn", "bad")
    ramps = {"sequential": list(palette.sequential()), "diverging": list(palette.diverging())}
    return {**{name: getattr(palette, name) for name in names}, **ramps}


def _properties(palette: Palette, scheme: str) -> str:
    own = {f"--{name.replace('_', '-')}": colour for name, colour in dict(palette).items()}
    # Bokeh 3.9 lets the canvas obey these: a visual's prefix with dashes after --bk-, then its attribute.
    bokeh = {
        **dict.fromkeys(("background-fill-color", "border-fill-color"), palette.surface),
        **{
            f"{part}-line-color": palette.rule
            for part in ("outline", "axis", "major-tick", "minor-tick", "grid", "bar")
        },
        **{f"{part}-text-color": palette.muted for part in ("major-label", "axis-label", "group", "title")},
    }
    pairs = {**own, **{f"--bk-{name}": colour for name, colour in bokeh.items()}}
    return f"color-scheme:{scheme};" + "".join(f"{name}:{colour};" for name, colour in pairs.items())
