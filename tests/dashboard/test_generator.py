"""The page as text: complete, small, escaped, honest about what is absent."""

import dataclasses
import html.parser
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from raypipe.blocks.profile import Profile
from raypipe.config import DashboardConfig
from raypipe.dashboard.generator import _SECTIONS, MAX_PAGE_BYTES, DashboardGenerator
from raypipe.dashboard.inputs import DashboardInput, Provenance
from raypipe.dashboard.overview import findings_of, first_look, verdict_of
from raypipe.errors import OutputError
from raypipe.results import FaultyRow, Insight, RuleOutcome, SegmentOutcome, ValidationResult

Analyse = Callable[..., DashboardInput]


class Outline(html.parser.HTMLParser):
    """Tags, ids, attributes and the content of scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.handlers: list[str] = []
        self.links: list[str] = []
        self.scripts: dict[str, str] = {}
        self._script: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.handlers += [name for name in given if name.startswith("on")]
        self.links += [given[name] or "" for name in ("href", "src") if name in given]
        if given.get("id"):
            self.ids.append(given["id"] or "")
        self._script = (given.get("id") or "code") if tag == "script" else None

    def handle_data(self, data: str) -> None:
        if self._script:
            self.scripts[self._script] = self.scripts.get(self._script, "") + data


def size(page: str) -> int:
    return len(page.encode())


def test_the_page_has_every_section_and_its_numbers(few_flights: DashboardInput) -> None:
    page = DashboardGenerator(title="Flights").render(few_flights)
    outline = Outline(page)
    wanted = {
        "overview",
        "findings",
        "quality",
        "columns",
        "correlations",
        "patterns",
        "target",
        "time",
        "data-rows",
        "steps",
        "about",
    }
    assert wanted <= set(outline.ids)
    assert len(outline.ids) == len(set(outline.ids))
    assert "5,012 read = 5,000 kept + 12 quarantined + 0 dropped" in page
    assert "<title>Flights</title>" in page
    numbers = json.loads(outline.scripts["data"])
    assert numbers["rows"] == 5000
    assert [column["name"] for column in numbers["columns"]] == [c.name for c in few_flights.profile.columns]
    assert numbers["columns"][5]["number"]["mean"] == pytest.approx(few_flights.profile.columns[5].number.mean)
    assert numbers["timeline"]["points"]
    assert numbers["target"]["relations"]


def test_the_menu_leads_to_sections_that_are_there(few_flights: DashboardInput) -> None:
    """There is nothing about models where none were asked for; where there might have been, why there are none."""
    for given, shown in (
        (few_flights, False),
        (dataclasses.replace(few_flights, reasons={"models": "switched off (ml_enabled: false)"}), True),
    ):
        outline = Outline(DashboardGenerator().render(given))
        menu = {link[1:] for link in outline.links if link[1:] in {key for key, _ in _SECTIONS}}
        assert menu == {key for key, _ in _SECTIONS} & set(outline.ids)
        assert ("models" in menu) is shown


def test_the_page_asks_for_nothing_from_outside(few_flights: DashboardInput) -> None:
    page = DashboardGenerator().render(few_flights)
    outline = Outline(page)
    assert all(link.startswith("#") for link in outline.links)
    assert outline.handlers == []
    assert not set(outline.tags) & {"iframe", "object", "embed", "form", "img", "base", "link"}
    policy = re.search('Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    assert "default-src &#39;none&#39;" in policy[1]
    assert "unsafe-eval" not in policy[1]
    assert policy[1].count("sha256-") == 2


def test_the_number_of_live_figures_is_bounded(few_flights: DashboardInput) -> None:
    from raypipe.dashboard.charts import ChartEngine
    from raypipe.dashboard.page import fixed_sections

    charts = fixed_sections(few_flights, ChartEngine())["charts"]
    assert len(charts) >= 9
    assert sum(chart.figures for chart in charts) <= 32, "they are drawn only when they come into view"


def test_hostile_texts_stay_texts(hostile: DashboardInput) -> None:
    page = DashboardGenerator(title=hostile.profile.columns[0].name).render(hostile)
    outline = Outline(page)
    assert outline.handlers == []
    assert outline.tags.count("script") == page.count("<script")
    assert not set(outline.tags) & {"img", "b onmouseover", "iframe"}
    assert all(link.startswith("#") for link in outline.links)
    assert "\u2028" not in outline.scripts["data"]
    names = [column["name"] for column in json.loads(outline.scripts["data"])["columns"]]
    assert names[0] == "</script><script>window.hit=1</script>"
    assert "49" not in re.sub(r"\s", "", page[page.index("<h1") : page.index("</h1>")])


def big_profile(analyse: Analyse, rows: int, columns: int) -> Profile:
    """The profile of a table of `columns` columns; counts scaled up to `rows` rows."""
    rng = np.random.default_rng(1)
    seen = 3000
    half = columns // 2
    frame = pl.DataFrame({f"measured value {i:03d}": rng.lognormal(i % 7, 1.3, seen) for i in range(half)}).hstack(
        pl.DataFrame({f"categories {i:03d}": rng.integers(0, 400, seen).astype(str) for i in range(columns - half)})
    )
    frame = frame.with_columns(pl.when(pl.col("measured value 000") > 1).then(pl.col("measured value 000")))
    return analyse(frame).profile.replace(rows=rows)


def test_a_million_rows_of_fifty_columns_fit_in_five_megabytes(analyse: Analyse) -> None:
    profile = big_profile(analyse, 1_000_000, 50)
    head = pa.table({column.name: [f"{'x' * 500}{i}" for i in range(100)] for column in profile.columns})
    page = DashboardGenerator().render(DashboardInput(profile=profile, head=head))
    assert size(page) <= MAX_PAGE_BYTES


def test_six_hundred_columns_fit_and_the_page_says_what_is_left_out(analyse: Analyse) -> None:
    profile = big_profile(analyse, 20_000, 600)
    head = pa.table({column.name: ["y" * 300] * 100 for column in profile.columns})
    page = DashboardGenerator().render(DashboardInput(profile=profile, head=head))
    assert size(page) <= MAX_PAGE_BYTES
    assert "60 of 600 columns have charts" in page
    assert "the first 60 of 600 columns; texts cut to" in page
    assert page.count('aria-controls="detail-') == 600


def test_a_table_far_too_wide_gets_less_detail_instead_of_a_page_too_big(analyse: Analyse) -> None:
    narrow = big_profile(analyse, 900, 40)
    wide = narrow.replace(
        columns=tuple(
            column.replace(name=f"{column.name} {copy} {'n' * 200}") for copy in range(75) for column in narrow.columns
        )
    )
    page = DashboardGenerator().render(DashboardInput(profile=wide))
    assert size(page) <= MAX_PAGE_BYTES
    assert re.search(r"the first [\d,]+ of 3,000 columns are listed", page)


EMPTIES: dict[str, Any] = {
    "no column": pl.DataFrame(),
    "no row": pl.DataFrame({"a": [], "b": []}, schema={"a": pl.Int64, "b": pl.String}),
    "one cell": pl.DataFrame({"a": [1]}),
    "all null": pl.DataFrame({"a": [None] * 40, "b": [None] * 40}, schema={"a": pl.Null, "b": pl.Float64}),
    "one constant column": pl.DataFrame({"a": ["same"] * 50}),
    "nothing finite": pl.DataFrame({"a": [float("nan"), float("inf"), None] * 9, "b": [True, None, False] * 9}),
}


@pytest.mark.parametrize("name", EMPTIES)
def test_a_poor_table_still_makes_a_page_that_says_why_parts_are_absent(name: str, analyse: Analyse) -> None:
    page = DashboardGenerator().render(analyse(EMPTIES[name]))
    for part in (
        "Target: not available, because",
        "Time: not available, because",
        "Correlations: not available, because",
    ):
        assert part in page
    assert "Drawing…" not in page or "together" in page
    assert "None" not in re.sub(r"<(script|style)[\s\S]*?</\1>", "", page)


def test_reasons_given_by_the_run_are_shown(analyse: Analyse) -> None:
    given = analyse(pl.DataFrame({"a": [1, 2]}), reasons={"target": "the column <b> was dropped", "validation": "off"})
    page = DashboardGenerator().render(given)
    assert "Target: not available, because the column &lt;b&gt; was dropped." in page
    assert "Validation: not available, because off." in page


def test_every_estimate_is_listed_with_its_bound(analyse: Analyse) -> None:
    rng = np.random.default_rng(3)
    page = DashboardGenerator().render(
        analyse(pl.DataFrame({"id": rng.permutation(60_000), "x": rng.normal(size=60_000)}))
    )
    assert "Distinct values of 2 of 2 columns" in page
    assert "at 99 % confidence" in page
    assert re.search(r"≈ [\d,]+ ± [\d.]+ %", page)


def test_what_decided_the_verdict_stands_on_the_first_screen(few_flights: DashboardInput) -> None:
    findings = findings_of(few_flights)
    doubts = [finding for finding in findings if finding.doubt]
    assert verdict_of(few_flights, findings).word == "Usable, with care"
    assert doubts
    shown = first_look(findings)
    assert [finding for _, finding in shown][: len(doubts)] == doubts[:4]
    assert all(findings[place - 1] is finding for place, finding in shown)


def test_a_failed_error_rule_is_not_ok_and_is_told_once(few_flights: DashboardInput) -> None:
    rule = RuleOutcome(rule="min_value", column="hour", severity="error", passed=False, message="hour is below 5.")
    repeat = Insight(
        type="broken_rule", category="data_quality", title="min_value", description="hour", impact="x", priority_score=9
    )
    validation = ValidationResult(is_valid=False, errors=("hour is below 5.",), outcomes=(rule,))
    given = DashboardInput(profile=few_flights.profile, validation=validation, insights=(repeat,))
    findings = findings_of(given)
    assert [finding.level for finding in findings] == ["critical"]
    assert verdict_of(given, findings).word == "Not OK yet"


def test_rows_that_do_not_add_up_are_called_out() -> None:
    origin = Provenance(rows_read=10, rows_kept=7, rows_quarantined=1, rows_dropped=1)
    page = DashboardGenerator().render(DashboardInput(profile=Profile(rows=7, columns=()), provenance=origin))
    assert "does not add up" in page


def test_provenance_keeps_what_it_does_not_know() -> None:
    origin = Provenance.of({"run_id": "r1", "cluster": "blue", "approximations": {"distinct": "± 1 %"}, "seed": None})
    assert origin.further == {"cluster": "blue"}
    assert origin.approximations[0].bound == "± 1 %"


def test_more_columns_than_max_columns_are_tabled_without_charts(analyse: Analyse) -> None:
    given = analyse(pl.DataFrame({f"c{i}": range(30) for i in range(9)}))
    page = DashboardGenerator(DashboardConfig(max_columns=3, max_table_rows=5)).render(given)
    columns = json.loads(Outline(page).scripts["data"])["columns"]
    assert sum("histogram" in column["number"] for column in columns) == 3
    assert "First 5 rows" in page


@pytest.mark.parametrize("theme", ["light", "dark", "auto", "corporate", "enterprise"])
def test_a_theme_opens_in_its_mode(theme: str, analyse: Analyse) -> None:
    page = DashboardGenerator(theme=theme).render(analyse(pl.DataFrame({"a": [1, 2, 3]})))
    mode = f'data-theme="{theme}" data-mode="{theme}"' if theme in ("light", "dark") else f'data-theme="{theme}">'
    assert mode in page


def test_write_replaces_the_file_at_once_and_leaves_nothing_behind(tmp_path: Path, analyse: Analyse) -> None:
    target = tmp_path / "deep" / "dashboard.html"
    given = analyse(pl.DataFrame({"a": [1, 2, 3]}))
    assert DashboardGenerator().write(given, target) == target
    first = target.stat().st_ino
    DashboardGenerator().write(given, target)
    assert target.stat().st_ino != first
    assert [path.name for path in target.parent.iterdir()] == ["dashboard.html"]


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"cannot write .*dashboard\.html: .*Choose another folder"):
        DashboardGenerator().write(
            DashboardInput(profile=Profile(rows=0, columns=())), tmp_path / "file" / "dashboard.html"
        )


def test_three_thousand_outcomes_of_every_severity_do_not_break_the_page(few_flights: DashboardInput) -> None:
    outcomes = tuple(
        RuleOutcome(
            rule="between",
            column="hour",
            severity=("info", "warning", "error", "critical")[number % 4],
            passed=number % 5 == 0,
            failing_rows=number,
            message=f"hour: rule {number} found rows at fault" * 4,
            id=f"between:{number}",
            columns=("hour",),
            certain=number % 7 != 0,
            first=tuple(FaultyRow(part="p", row=row, value="x" * 200) for row in range(5)),
            segments=(SegmentOutcome(values=("<b>", None), rows=3, failing_rows=1, passed=False),) * 20,
        )
        for number in range(3000)
    )
    validation = ValidationResult(is_valid=False, errors=("bad",), outcomes=outcomes)
    page = DashboardGenerator().render(DashboardInput(profile=few_flights.profile, validation=validation))
    assert len(page.encode()) < 5_000_000
    assert "2000 further outcomes" in page
    assert page.count("uncertain") > 50
    assert "Critical" in page
