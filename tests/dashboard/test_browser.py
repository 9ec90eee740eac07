"""The page in a real Chromium without a network: what a reader sees and does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from raypipe.dashboard.generator import DashboardGenerator
from raypipe.dashboard.inputs import DashboardInput

pytestmark = pytest.mark.browser

READY_MS = "() => document.documentElement.dataset.interactive"
SHOWN = """() => [...document.querySelectorAll('#t-columns tbody tr[data-place]')]
    .filter(row => !row.hidden).map(row => row.querySelector('.open').dataset.name)"""
CANVAS_RED = """() => {
    const find = node => node.tagName === 'CANVAS' ? node
        : [...(node.shadowRoot ? node.shadowRoot.children : []), ...node.children].map(find).find(found => found);
    return find(document.querySelector('#plot-drivers')).getContext('2d').getImageData(120, 4, 1, 1).data[0];
}"""
RAMP_END = """() => [...Bokeh.documents[0].roots()[0].references()]
    .find(model => (model.tags || []).includes('palette:sequential')).palette[10]"""
TWO_FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
X_LABEL = """() => Bokeh.documents.map(shown => shown.roots()[0])
    .find(root => (root.renderers || []).some(one => one.name === 'points')).below[0].axis_label"""
NAMELESS = """() => [...document.querySelectorAll('button, a, select, input, [role=img], [role=region]')]
    .filter(e => !e.closest('.bk-Figure'))
    .filter(e => !(e.getAttribute('aria-label') || e.textContent.trim() || e.closest('label')?.textContent.trim()))
    .map(e => e.outerHTML.slice(0, 80))"""


@pytest.fixture(scope="module")
def flights_page(few_flights: DashboardInput, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return DashboardGenerator(theme="auto").write(few_flights, tmp_path_factory.mktemp("page") / "dashboard.html")


def draw_all(page: Any) -> None:
    page.evaluate("() => window.raypipeMountAll()")
    page.wait_for_function("() => [...document.querySelectorAll('[data-chart]')].every(e => e.dataset.ready === 'yes')")
    page.wait_for_function("() => Bokeh.documents.every(d => d.is_idle)")


def test_hostile_names_and_values_run_nothing_and_ask_for_nothing(
    hostile: DashboardInput, watch: Any, tmp_path: Path
) -> None:
    path = DashboardGenerator(theme="dark").write(hostile, tmp_path / "dashboard.html")
    page = watch.open(path)
    draw_all(page)
    page.evaluate("() => document.querySelectorAll('.open').forEach(b => b.click())")
    page.evaluate("() => document.querySelectorAll('details').forEach(d => { d.open = true })")
    for place in page.query_selector_all(".canvas")[:4]:
        place.hover()
        page.wait_for_timeout(60)
    assert watch.quiet()
    assert page.evaluate("() => document.querySelectorAll('main img, main iframe, main script').length") == 0


def test_it_is_interactive_within_three_seconds_and_makes_no_request(flights_page: Path, watch: Any) -> None:
    ready_ms = [float(watch.open(flights_page).evaluate(READY_MS)) for _ in range(2)]
    assert min(ready_ms) < 3000
    draw_all(watch.page)
    assert watch.quiet()


def test_charts_are_drawn_when_first_seen(flights_page: Path, watch: Any) -> None:
    page = watch.open(flights_page)
    assert page.evaluate("() => document.querySelectorAll('#target [data-ready]').length") == 0
    page.locator("#fig-drivers").scroll_into_view_if_needed()
    page.wait_for_selector("#plot-drivers[data-ready=yes]")
    assert page.evaluate("() => document.querySelector('#plot-drivers .bk-Figure') !== null")


def test_a_link_to_a_column_opens_its_detail(flights_page: Path, watch: Any) -> None:
    page = watch.open(flights_page, "#col=dep_delay")
    detail = page.locator("tr.detail")
    assert detail.count() == 1
    assert "Standard deviation" in detail.inner_text()
    assert "Most frequent values" in detail.inner_text()
    assert page.evaluate("() => document.activeElement.dataset.name") == "dep_delay"
    page.locator("#findings a.col").first.click()
    assert page.evaluate("() => decodeURIComponent(location.hash)").startswith("#col=")
    assert watch.quiet()


def test_columns_can_be_searched_filtered_and_sorted_and_the_address_remembers(flights_page: Path, watch: Any) -> None:
    page = watch.open(flights_page)
    page.fill('[data-search="t-columns"]', "delay")
    assert page.evaluate(SHOWN) == ["dep_delay", "arr_delay"]
    page.fill('[data-search="t-columns"]', "")
    page.select_option('[data-filter="kind"]', "text")
    page.locator("#t-columns thead button", has_text="Distinct").click()
    page.locator("#t-columns thead button", has_text="Distinct").click()
    assert page.evaluate(SHOWN) == ["tailnum", "dest", "carrier", "origin"]
    address = page.evaluate("() => location.hash")
    again = watch.open(flights_page, address)
    again.reload()
    again.wait_for_function("() => document.documentElement.dataset.interactive")
    assert again.evaluate(SHOWN) == ["tailnum", "dest", "carrier", "origin"]


def test_the_keyboard_alone_opens_a_column(flights_page: Path, watch: Any) -> None:
    page = watch.open(flights_page)
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.className") == "skip"
    page.locator(".open").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("tr.detail").count() == 1
    assert page.evaluate("() => document.activeElement.getAttribute('aria-expanded')") == "true"


def test_the_switch_recolours_page_and_canvas(flights_page: Path, watch: Any) -> None:
    page = watch.open(flights_page)
    draw_all(page)
    ground = "() => getComputedStyle(document.querySelector('.card')).backgroundColor"
    light = page.evaluate(ground), page.evaluate(RAMP_END)
    assert page.evaluate(CANVAS_RED) > 200
    page.click("[data-mode-switch]")
    page.wait_for_timeout(400)
    assert (page.evaluate(ground), page.evaluate(RAMP_END)) != light
    assert page.evaluate(CANVAS_RED) < 80
    assert page.get_attribute("[data-mode-switch]", "aria-pressed") == "true"


def test_the_scatter_changes_its_axis(flights_page: Path, watch: Any) -> None:
    page = watch.open(flights_page)
    draw_all(page)
    choices = page.locator("[data-axis=scatter] option").all_inner_texts()
    page.select_option("[data-axis=scatter]", "1")
    assert page.evaluate(X_LABEL).replace("\u200b", "") == choices[1]
    assert watch.quiet()


@pytest.mark.parametrize("widths", [(320, 375, 768, 1024, 1280), (1280, 1024, 768, 375, 320)])
def test_nothing_sticks_out_at_any_width(flights_page: Path, watch: Any, widths: tuple[int, ...]) -> None:
    """Neither as drawn at the first width, nor after the window was dragged to the others."""
    watch.page.set_viewport_size({"width": widths[0], "height": 800})
    page = watch.open(flights_page)
    draw_all(page)
    page.evaluate("() => document.querySelectorAll('.open').forEach(b => b.click())")
    for width in widths:
        page.set_viewport_size({"width": width, "height": 800})
        page.evaluate(TWO_FRAMES)
        page.wait_for_function("() => Bokeh.documents.every(d => d.is_idle)")
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width


def test_every_chart_and_control_has_a_name_and_a_table(flights_page: Path, watch: Any) -> None:
    page = watch.open(flights_page)
    assert page.evaluate(NAMELESS) == []
    bare = "() => [...document.querySelectorAll('figure.chart')].filter(f => !f.querySelector('.alt tbody tr')).length"
    assert page.evaluate(bare) == 0
    assert page.evaluate("() => document.querySelectorAll('h1').length") == 1


def test_a_finding_leads_to_the_chart_that_shows_it(flights_page: Path, watch: Any) -> None:
    page = watch.open(flights_page)
    draw_all(page)
    link = page.locator('.finding a[href="#seasons"], .finding a[href="#pearson"], .finding a[href="#drivers"]').first
    place = link.get_attribute("href")
    link.focus()
    page.keyboard.press("Enter")
    page.wait_for_function(f"() => location.hash === '{place}'")
    top = page.evaluate(f"() => document.querySelector('{place}').getBoundingClientRect().top")
    assert 0 <= top < 800
    assert page.locator(f"{place} canvas, {place} [role=img]").count()
    assert watch.quiet()


def test_charts_in_closed_parts_are_drawn_when_these_are_opened(flights_page: Path, watch: Any) -> None:
    page = watch.open(flights_page)
    hidden = page.locator("#plot-further")
    assert hidden.get_attribute("data-ready") is None
    page.evaluate("() => { document.querySelector('#fig-further').closest('details').open = true }")
    hidden.scroll_into_view_if_needed()
    page.wait_for_function("() => document.querySelector('#plot-further').dataset.ready === 'yes'")
    assert page.evaluate("() => document.querySelector('#plot-further').getBoundingClientRect().width") > 400


def test_printing_shows_no_controls_and_light_paper(flights_page: Path, watch: Any) -> None:
    watch.page.emulate_media(media="print", color_scheme="dark")
    page = watch.open(flights_page)
    assert page.evaluate("() => getComputedStyle(document.querySelector('.side')).display") == "none"
    assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_a_page_without_charts_works_too(analyse: Callable[..., DashboardInput], watch: Any, tmp_path: Path) -> None:
    given = analyse(pl.DataFrame({"word": ["a", "b", "b"], "nothing": [None, None, None]}))
    page = watch.open(DashboardGenerator().write(given, tmp_path / "dashboard.html"), "#col=nothing")
    assert "Not available" in page.locator("tr.detail").inner_text()
    page.click("[data-mode-switch]")
    assert watch.quiet()
