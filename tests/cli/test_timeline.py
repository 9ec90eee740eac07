"""`raypipe timeline`, `raypipe plan --explain` and `raypipe run --resume` as a stranger uses them."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from raypipe.cli.exits import tidy_exit
from raypipe.cli.show import show_plan
from raypipe.errors import RunCancelledError
from tests.monitor.simulated import ATTACKS, SimLog, SimPool, simulate_pass, simulate_run
from tests.warm import run_raypipe as raypipe


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.csv"
    rows = [f"{number},{'red' if number % 3 else 'blue'},{number * 1.5}" for number in range(200)]
    path.write_text("\n".join(["id,colour,weight", *rows]) + "\n")
    return path


@pytest.fixture
def simulated(tmp_path: Path) -> Path:
    folder = tmp_path / "output" / "simulated"
    folder.mkdir(parents=True)
    simulate_run(folder / "events.jsonl", trouble=True)
    return folder


def test_a_run_that_was_just_made_has_its_timeline(tiny: Path, tmp_path: Path) -> None:
    raypipe("run", tiny, "--run-id", "one", "--quiet", cwd=tmp_path)
    done = raypipe("timeline", "one", cwd=tmp_path)
    page = tmp_path / "output" / "one" / "timeline.html"
    assert page.as_uri() in done.stdout
    assert "run one completed after" in done.stdout
    assert "pass 1    load:" in done.stdout
    assert re.search(r"load: .*, 200 rows; busy \d+%", done.stdout)
    assert page.stat().st_size > 100_000


def test_the_summary_says_what_limited_the_run_and_what_went_wrong(simulated: Path, tmp_path: Path) -> None:
    done = raypipe("timeline", "simulated", cwd=tmp_path)
    limited, trouble = done.stdout.split("trouble\n")
    assert "pool 2 (Embed) was busy 9" in limited.split("what limited it\n")[1]
    assert "Blocks of 3 bundles were lost and made again." in trouble


@pytest.mark.parametrize("given", ["output/simulated", "output/simulated/events.jsonl", "simulated"])
def test_a_run_is_named_by_its_folder_its_log_or_its_name(given: str, simulated: Path, tmp_path: Path) -> None:
    done = raypipe("timeline", given, "--json", cwd=tmp_path)
    facts = json.loads(done.stdout)
    assert facts["page"] == os.path.relpath(simulated / "timeline.html", tmp_path)
    assert facts["trouble"]["blocks_lost"] == 1
    assert [work["name"] for work in facts["passes"]] == ["load", "process"]


def test_the_page_goes_where_it_is_told_to(simulated: Path, tmp_path: Path) -> None:
    raypipe("timeline", "simulated", "--page", "here.html", "--theme", "dark", cwd=tmp_path)
    assert 'data-mode="dark"' in (tmp_path / "here.html").read_text(encoding="utf-8")
    assert not (simulated / "timeline.html").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["simulatd"], "there is no run 'simulatd' under output. The last ones there: simulated. Did you mean"),
        (["x", "--output", "nowhere"], "there is no run 'x', and none under nowhere; name its folder, or --output"),
        (["output"], "output holds no events.jsonl; wanted the folder of a run"),
        (["simulated", "--theme", "drak"], "no theme 'drak'"),
    ],
)
def test_a_run_that_is_not_there_is_refused_with_what_is(
    arguments: list[str], said: str, simulated: Path, tmp_path: Path
) -> None:
    done = raypipe("timeline", *arguments, cwd=tmp_path, check=2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_log_that_is_none_is_refused(simulated: Path, tmp_path: Path) -> None:
    (simulated / "events.jsonl").write_text("id,price\n1,2\n")
    done = raypipe("timeline", "simulated", cwd=tmp_path, check=1)
    assert "2 lines, and none of them is an event" in done.stderr


def test_nothing_of_a_hostile_log_reaches_the_terminal_as_an_order(tmp_path: Path) -> None:
    log = SimLog(tmp_path / "events.jsonl", run_id=ATTACKS[8])
    log.at(0.0, "run_started", run_id=ATTACKS[8], source=ATTACKS[8], engine="ray")
    end = 0.1
    for text in ATTACKS:
        end = simulate_pass(log, end, text, [SimPool((text,), 1, 3.0, 0.1)], bundles=2)
        log.at(end, "stall", seconds=1.0, text=text)
    log.at(end, "run_done", status="failed", error=ATTACKS[8])
    done = raypipe("timeline", log.write(), cwd=tmp_path)
    assert "\x1b" not in done.stdout
    assert "\x00" not in done.stdout
    assert "[bold]markup[/]" in done.stdout


def test_plan_explain_goes_stage_by_stage(tiny: Path, tmp_path: Path) -> None:
    done = raypipe("plan", tiny, "--explain", cwd=tmp_path)
    for word in ("engine   inline", "source   read: 1 part", "Summarise", "memory   pool 1", "resume", "limits   1."):
        assert word in done.stdout
    assert not (tmp_path / "output").exists()


def test_plan_prints_itself_as_json(tiny: Path, tmp_path: Path) -> None:
    plan = json.loads(raypipe("plan", tiny, "--json", cwd=tmp_path).stdout)
    assert plan["engine"] == "inline"
    assert plan["pools"][0]["stages"][0]["kind"] == "source"
    assert plan["pools"][0]["lack"] is None


def test_a_plan_is_shown_line_by_line_without_orders_to_the_terminal() -> None:
    shown = io.StringIO()
    show_plan(Console(file=shown, width=80, force_terminal=True), "adds \x1b[31mred, [bold]b[/]\n  next")
    assert shown.getvalue().splitlines() == ["adds \N{SYMBOL FOR SUBSTITUTE FORM TWO}[31mred, [bold]b[/]", "  next"]


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_with_its_own_settings(tmp_path: Path) -> None:
    path = tmp_path / "many.csv"
    path.write_text("id,weight\n" + "".join(f"{number},{number * 0.5}\n" for number in range(400_000)))
    options = ["--engine", "inline", "--run-id", "cut", "--quiet", "--no-dashboard", "--set", "engine.block_mib=0.05"]
    command = [sys.executable, "-m", "raypipe", "run", str(path), *options, "--set", "engine.checkpoint_s=0.01"]
    running = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    log = tmp_path / "output" / "cut" / "events.jsonl"
    until = time.monotonic() + 60
    while not (log.exists() and '"committed"' in log.read_text(encoding="utf-8")):
        assert running.poll() is None, "it was done before it could be killed"
        assert time.monotonic() < until
        time.sleep(0.005)
    running.send_signal(signal.SIGKILL)
    running.wait()
    done = raypipe("run", "--resume", "cut", cwd=tmp_path)
    assert "400,000 read = 400,000 kept" in done.stdout
    told = raypipe("timeline", "cut", cwd=tmp_path).stdout
    assert "in 2 sessions" in told
    assert "taken up again once" in told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--resume", "nobody"], "there is no run nobody in"),
        (["--resume", "nobody", "--run-id", "other"], "a run that is resumed keeps its name"),
    ],
)
def test_resuming_what_is_not_there_is_a_mistake_of_usage(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = raypipe("run", *arguments, cwd=tmp_path, check=2)
    assert said in done.stderr


def test_what_was_noted_on_an_error_is_printed_also_where_it_came_from_another(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(SystemExit, match="130"):
            cancelled_within(Console(stderr=True, force_terminal=False, width=200))
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])
    told = capsys.readouterr().err
    assert "cancelled" in told
    assert "note: what was done is kept; go on with: raypipe run --resume cut" in told


def cancelled_within(console: Console) -> None:
    """End as the command-line library ends on Ctrl-C: with an exit that came from another error."""
    with tidy_exit(console):
        try:
            error = RunCancelledError("the run was cancelled")
            error.add_note("what was done is kept; go on with: raypipe run --resume cut")
            raise error
        except RunCancelledError as cause:
            raise SystemExit(130) from cause
