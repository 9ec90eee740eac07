"""The timeline in a real Chromium without a network: what a reader sees and does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raypipe.dashboard.timeline import TimelineGenerator
from raypipe.monitor.eventlog import read_events
from tests.monitor.simulated import ATTACKS, SimLog, SimPool, simulate_pass, simulate_run

pytestmark = pytest.mark.browser

SPANS = """() => Bokeh.documents.flatMap(shown => shown.roots()).flatMap(root => [...root.references()])
    .filter(part => part.type === 'Range1d' && part.name === 'time')
    .map(part => [Math.round(part.start * 1000) / 1000, Math.round(part.end * 1000) / 1000].join())"""


@pytest.fixture(scope="module")
def page_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    log = simulate_run(tmp_path_factory.mktemp("timeline") / "events.jsonl", trouble=True)
    return TimelineGenerator().write(read_events(log))


def draw_all(page: Any) -> None:
    page.evaluate("() => window.raypipeMountAll()")
    page.wait_for_function("() => [...document.querySelectorAll('[data-chart]')].every(e => e.dataset.ready === 'yes')")
    page.wait_for_function("() => Bokeh.documents.every(d => d.is_idle)")


def test_all_is_drawn_without_a_word_on_the_console_or_a_request(page_path: Path, watch: Any) -> None:
    page = watch.open(page_path)
    draw_all(page)
    assert page.evaluate("() => document.querySelectorAll('[data-chart]').length") == 6
    for place in page.query_selector_all(".canvas"):
        place.hover()
        page.wait_for_timeout(60)
    page.click("[data-mode-switch]")
    page.wait_for_timeout(300)
    assert watch.quiet()


def test_looking_closer_in_one_figure_moves_all_and_show_all_brings_them_back(page_path: Path, watch: Any) -> None:
    page = watch.open(page_path)
    draw_all(page)
    whole = page.evaluate(SPANS)
    assert len(set(whole)) == 1
    box = page.locator("#plot-lanes").bounding_box()
    page.locator("#plot-lanes").scroll_into_view_if_needed()
    box = page.locator("#plot-lanes").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 60, steps=6)
    page.mouse.up()
    page.wait_for_function("() => Bokeh.documents.every(d => d.is_idle)")
    closer = page.evaluate(SPANS)
    assert len(set(closer)) == 1
    assert closer != whole
    page.click('[data-whole="memory"]')
    assert page.evaluate(SPANS) == whole


def test_a_figure_that_is_drawn_later_takes_the_span_of_the_others(page_path: Path, watch: Any) -> None:
    page = watch.open(page_path)
    page.locator("#plot-course").scroll_into_view_if_needed()
    page.wait_for_selector("#plot-course[data-ready=yes]")
    page.evaluate(
        """() => [...Bokeh.documents[0].roots()[0].references()]
            .find(part => part.type === 'Range1d' && part.name === 'time').setv({start: 10, end: 20})"""
    )
    draw_all(page)
    assert set(page.evaluate(SPANS)) == {"10,20"}


def test_events_can_be_searched_and_sorted(page_path: Path, watch: Any) -> None:
    page = watch.open(page_path)
    page.fill('[data-search="t-events"]', "grew")
    shown = "() => [...document.querySelectorAll('#t-events tbody tr')].filter(row => !row.hidden).length"
    assert page.evaluate(shown) == 1
    page.fill('[data-search="t-events"]', "")
    page.locator("#t-events thead button", has_text="At").first.click()
    page.locator("#t-events thead button", has_text="At").first.click()
    assert "shrank" in page.locator("#t-events tbody tr").first.inner_text()
    assert watch.quiet()


@pytest.mark.parametrize("width", [320, 768, 1280])
def test_nothing_sticks_out_at_any_width(page_path: Path, watch: Any, width: int) -> None:
    watch.page.set_viewport_size({"width": width, "height": 800})
    page = watch.open(page_path)
    draw_all(page)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width


def test_hostile_names_run_nothing_and_ask_for_nothing(watch: Any, tmp_path: Path) -> None:
    log = SimLog(tmp_path / "events.jsonl")
    log.at(0.0, "run_started", run_id=ATTACKS[0], source=ATTACKS[1], engine="ray", why=ATTACKS[2])
    end = 0.5
    for text in ATTACKS:
        log.at(end, "pipeline_stage_started", stage=text)
        end = simulate_pass(log, end + 0.1, text, [SimPool((text,), 1, 0.05, 0.1)], bundles=3, every_s=0.1)
        log.at(end, "pipeline_stage_done", stage=text, seconds=0.1, message=text)
        log.at(end, "stall", seconds=0.1, text=text)
        log.at(end, "task_started", task=text)
        log.at(end, "rows_blamed", part=text, stage=text, rows=1, why=text)
    page = watch.open(TimelineGenerator().write(read_events(log.write())))
    draw_all(page)
    for place in page.query_selector_all(".canvas"):
        box = place.bounding_box()
        for share in (0.3, 0.5, 0.7, 0.9):
            page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] * 0.3)
            page.wait_for_timeout(30)
    assert watch.quiet()
    assert page.evaluate("() => document.querySelectorAll('main img, main iframe, main script').length") == 0
