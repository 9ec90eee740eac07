"""Pictures of a finished page, taken with the Chromium of this machine; nothing is downloaded."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

from raypipe._optional import require_extra
from raypipe.dashboard.files import write_whole
from raypipe.errors import MissingDependencyError, ReadError

Mode = Literal["light", "dark"]
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
_TIMEOUT_MS = 60_000
_MAX_HEIGHT = 16_000
"""Chromium paints no surface higher than this."""


def chromium_path() -> str:
    """Where Chromium is.

    Raises
    ------
    MissingDependencyError
        If none is on the PATH.
    """
    for name in _NAMES:
        if found := shutil.which(name):
            return found
    raise MissingDependencyError(
        f"screenshot needs Chromium, and none of {', '.join(_NAMES)} is on the PATH. "
        "Install it (Debian: apt-get install chromium); the HTML page needs none."
    )


def screenshot(
    html_path: Path | str,
    png_path: Path | str,
    theme: Mode = "light",
    *,
    width: int = 1280,
    height: int = 800,
    full_page: bool = False,
) -> Path:
    """Open the page without a network, draw every chart, and write a PNG.

    Parameters
    ----------
    width, height : int
        Of the window in CSS pixels; the picture has twice as many.
    full_page : bool
        The whole page instead of the first screen.

    Raises
    ------
    MissingDependencyError
        If playwright or Chromium is absent.
    ReadError
        If there is no such page.
    OutputError
        If the picture cannot be written.
    """
    source, target = Path(html_path).resolve(), Path(png_path)
    if not source.is_file():
        raise ReadError(f"screenshot: no file {source}. Make a dashboard first, e.g. raypipe run data.csv.")
    require_extra("export", by="screenshot")
    chromium = chromium_path()
    # Playwright refuses a thread with a running event loop, as notebooks and Ray actors have; ours has none.
    with ThreadPoolExecutor(max_workers=1) as thread:
        picture = thread.submit(_take, chromium, source, theme, (width, height), full_page).result()
    return write_whole(target, picture)


def _take(chromium: str, source: Path, theme: Mode, size: tuple[int, int], full_page: bool) -> bytes:
    from playwright.sync_api import sync_playwright

    width, height = size
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=launch_flags())
        try:
            context = browser.new_context(
                offline=True,
                color_scheme=theme,
                device_scale_factor=2,
                viewport={"width": width, "height": height},
                reduced_motion="reduce",
            )
            page = context.new_page()
            page.set_default_timeout(_TIMEOUT_MS)
            page.goto(source.as_uri())
            _settle(page, theme)
            stretched = full_page and _stretch(page, width)
            return bytes(page.screenshot(full_page=full_page and not stretched, animations="disabled"))
        finally:
            browser.close()


def launch_flags() -> list[str]:
    """Flags for a browser that stays offline; root has no sandbox to use, and opens only a page of ours."""
    return [*_FLAGS, *(["--no-sandbox"] if getattr(os, "geteuid", lambda: 1)() == 0 else [])]


def _settle(page: Any, theme: str) -> None:
    """Choose the mode, draw what is not yet in view, and wait until all is drawn."""
    page.wait_for_function("() => document.documentElement.dataset.interactive")
    page.evaluate(
        """async (mode) => {
            const button = document.querySelector('[data-mode-switch]');
            if ((button.getAttribute('aria-pressed') === 'true') !== (mode === 'dark')) button.click();
            await window.raypipeMountAll();
        }""",
        theme,
    )
    page.wait_for_function(
        "() => !window.Bokeh || ([...document.querySelectorAll('[data-chart]')].every(e => e.dataset.ready)"
        " && Bokeh.documents.every(d => d.is_idle))"
    )
    page.wait_for_timeout(300)


def _stretch(page: Any, width: int) -> bool:
    """Make the window as high as the page, if it can be: a resize while the picture is taken leaves torn canvases."""
    height = int(page.evaluate("() => document.documentElement.scrollHeight"))
    if height > _MAX_HEIGHT:
        return False
    page.set_viewport_size({"width": width, "height": height})
    page.wait_for_timeout(500)
    return True
