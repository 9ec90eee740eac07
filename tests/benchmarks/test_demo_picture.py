"""The pictures of the README: of the newest run, and small."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import demo_picture
from benchmarks.demo_picture import LEFT_OUT, newest_page, shortened
from raypipe.errors import OutputError, ReadError


def test_the_page_of_the_run_that_finished_last_is_taken(tmp_path: Path) -> None:
    for age, name in enumerate(("new", "old", "oldest")):
        page = tmp_path / name / "dashboard.html"
        page.parent.mkdir()
        page.write_text(name)
        os.utime(page, (1000 - age, 1000 - age))
    assert newest_page(tmp_path).read_text() == "new"


def test_without_a_run_the_text_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="no run in .* make demo"):
        newest_page(tmp_path)


def test_sections_in_the_way_are_moved_and_the_rest_stays(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<html><head></head><body>text</body></html>")
    html = shortened(tmp_path / "page.html", tmp_path / "short.html").read_text()
    assert all(f"#{name}" in html for name in LEFT_OUT)
    assert "<body>text</body>" in html


@pytest.fixture
def noise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A picture that hardly compresses, under a limit of its own size."""
    monkeypatch.setattr(demo_picture, "MAX_BYTES", 20_000)
    pixels = np.random.default_rng(1).integers(0, 256, (180, 180, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "noise.png")
    return tmp_path / "noise.png"


def test_a_picture_is_shrunk_until_it_is_small_enough(noise: Path, tmp_path: Path) -> None:
    small = demo_picture.small_png(noise, tmp_path / "small.png")
    assert small.stat().st_size <= 20_000
    with Image.open(small) as opened:
        assert opened.width < 180


def test_a_picture_that_cannot_be_small_is_refused_and_not_left_behind(
    noise: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_picture, "MAX_BYTES", 1_000)
    with pytest.raises(OutputError, match="more than 1,000"):
        demo_picture.small_png(noise, tmp_path / "small.png")
    assert not (tmp_path / "small.png").exists()
