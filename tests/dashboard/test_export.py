"""Pictures of the page."""

import struct
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from raypipe.dashboard import export
from raypipe.dashboard.generator import DashboardGenerator
from raypipe.dashboard.inputs import DashboardInput
from raypipe.errors import MissingDependencyError, OutputError, ReadError


def test_a_missing_page_is_a_read_error(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"no file .*absent\.html\. Make a dashboard first"):
        export.screenshot(tmp_path / "absent.html", tmp_path / "x.png")


def test_a_missing_browser_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingDependencyError, match="screenshot needs Chromium.*apt-get install chromium"):
        export.chromium_path()


@pytest.mark.slow
@pytest.mark.browser
def test_a_picture_is_twice_the_window_and_differs_by_mode(
    analyse: Callable[..., DashboardInput], tmp_path: Path
) -> None:
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install 'raypipe[export]'")
    try:
        export.chromium_path()
    except MissingDependencyError as error:
        pytest.skip(str(error))
    page = DashboardGenerator(theme="auto").write(
        analyse(pl.DataFrame({"a": range(50), "b": range(50)})), tmp_path / "d.html"
    )
    pictures = {
        mode: export.screenshot(page, tmp_path / "pictures" / f"{mode}.png", mode, width=640, height=480).read_bytes()
        for mode in ("light", "dark")
    }
    assert struct.unpack(">II", pictures["light"][16:24]) == (1280, 960)
    assert pictures["light"] != pictures["dark"]
    whole = export.screenshot(page, tmp_path / "whole.png", width=640, full_page=True).read_bytes()
    assert struct.unpack(">II", whole[16:24])[1] > 2000
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot write"):
        export.screenshot(page, tmp_path / "file" / "x.png")
