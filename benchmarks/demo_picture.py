"""Take the pictures of the README from the page that `make demo` drew last: one light, one dark.

`python -m benchmarks.demo_picture demo/output docs/images`
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Literal

from PIL import Image

from raypipe.dashboard.export import screenshot
from raypipe.errors import OutputError, ReadError

WIDTH, HEIGHT = 1440, 1580
"""Of the window, in CSS pixels."""
LEFT_OUT = ("findings", "quality", "columns", "correlations")
"""Sections that the picture passes over, so that charts stand below the overview."""
MAX_BYTES = 400_000
"""A picture that is larger is not committed."""
SHRINK = (1.0, 0.75, 0.6, 0.5)
"""Scales of the twofold picture, tried in turn until it is small enough."""


def newest_page(output: Path) -> Path:
    """The `dashboard.html` of the run that finished last; runs have a folder each in `output`."""
    pages = sorted(output.glob("*/dashboard.html"), key=lambda page: page.stat().st_mtime_ns)
    if not pages:
        raise ReadError(f"demo_picture: no run in {output} has a dashboard.html. Make one first: make demo")
    return pages[-1]


def small_png(picture: Path, target: Path) -> Path:
    """Write the picture with 256 colours, as large as `MAX_BYTES` allows."""
    with Image.open(picture) as opened:
        whole = opened.convert("RGB")
    for scale in SHRINK:
        size = (round(whole.width * scale), round(whole.height * scale))
        shown = whole.resize(size, Image.Resampling.LANCZOS) if scale < 1 else whole
        shown.quantize(256, dither=Image.Dither.NONE).save(target, optimize=True)
        if target.stat().st_size <= MAX_BYTES:
            return target
    bytes_left = target.stat().st_size
    target.unlink()
    raise OutputError(f"demo_picture: {target} has {bytes_left:,} bytes at its smallest, more than {MAX_BYTES:,}")


def shortened(page: Path, target: Path) -> Path:
    """A copy of the page with the sections of `LEFT_OUT` far below."""
    moved = ", ".join(f"#{name}" for name in LEFT_OUT)
    html = page.read_text(encoding="utf-8")
    target.write_text(
        html.replace("</head>", f"<style>{moved} {{ position: absolute; top: 20000px }}</style></head>", 1),
        encoding="utf-8",
    )
    return target


def take_pictures(output: Path, images: Path) -> list[Path]:
    """`dashboard-light.png` and `dashboard-dark.png` in `images`."""
    images.mkdir(parents=True, exist_ok=True)
    modes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    taken = []
    with tempfile.TemporaryDirectory(prefix="raypipe-picture-") as folder:
        page = shortened(newest_page(output), Path(folder) / "page.html")
        for mode in modes:
            raw = screenshot(page, Path(folder) / f"{mode}.png", mode, width=WIDTH, height=HEIGHT)
            taken.append(small_png(raw, images / f"dashboard-{mode}.png"))
    return taken


if __name__ == "__main__":
    for path in take_pictures(Path(sys.argv[1]), Path(sys.argv[2])):
        print(f"{path}: {path.stat().st_size:,} bytes")
