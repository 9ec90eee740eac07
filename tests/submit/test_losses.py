"""What is lost on the way: connections, drivers, heads, patience. The results are those of a run that lost nothing."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from jobs.local_head import local_head
from raypipe.submit.client import JobsClient
from tests.faults.command import print_of_file
from tests.submit.conftest import (
    SLOW_ENGINE,
    Cli,
    Ended,
    Running,
    Wire,
    await_end,
    await_that,
    has_committed,
    records,
)

Job = Callable[..., Path]
ROWS = 150_000


def prints(folder: Path) -> dict[str, str]:
    """Hashes of what a run says about the data."""
    rows = json.loads((folder / "execution_summary.json").read_text())["rows"]
    return {name: print_of_file(folder / name) for name in ("profile.json", "quarantine.parquet")} | {"rows": str(rows)}


@pytest.fixture
def slow(job: Job) -> Path:
    """A config that takes a while, and commits often."""
    return job(rows=ROWS, engine=SLOW_ENGINE)


def quiet_prints(cli: Cli, config: Path) -> dict[str, str]:
    """What a job that nothing happens to makes."""
    cli.submit(config, "--run-id", "quiet", "--quiet")
    return prints(cli.folder / "runs" / "quiet")


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["inline", "ray"])
def test_a_job_that_is_stopped_commits_what_is_done_and_is_gone_on_with_to_the_same_results(
    cli: Cli, job: Job, engine: str
) -> None:
    runs = cli.folder / "runs"
    slow = job(rows=ROWS, engine={**SLOW_ENGINE, "engine": engine, "block_mib": 0.05 if engine == "inline" else 0.2})
    cli.submit(slow, "--submission-id", f"stopped-{engine}", "--run-id", "stopped", "--detach")
    await_that(lambda: has_committed(runs / "stopped"))
    done = cli("stop", f"stopped-{engine}", "--json")
    (ended,) = records(done, "ended")
    assert (ended["status"], ended["exit_code"]) == ("STOPPED", 130)
    assert sum(ended["committed"].values()) > 0
    assert "committed  " in cli("stop", f"stopped-{engine}").out
    assert "raypipe submit CONFIG --resume stopped" in cli("stop", f"stopped-{engine}").out
    cli.submit(slow, "--resume", "stopped")
    events = [json.loads(line) for line in (runs / "stopped" / "events.jsonl").read_text().splitlines()]
    assert next(one["parts_done"] for one in events if one["event"] == "resumed") > 0
    assert prints(runs / "stopped") == quiet_prints(cli, slow)


@pytest.mark.slow
def test_ctrl_c_lets_go_of_a_job_and_a_second_one_stops_it(cli: Cli, job: Job, client: JobsClient) -> None:
    slow = job(rows=20 * ROWS, engine=SLOW_ENGINE)  # far from over when it is stopped, on a quick machine too
    with cli.begin_submit(slow, "--submission-id", "let-go") as first:
        await_that(lambda: has_committed(cli.folder / "runs" / "let-go"))
        first.send(signal.SIGINT)
        assert first.code() == 130
    assert "Ctrl-C again within 2 s stops the job" in first.err
    assert "job let-go goes on. Come back with raypipe logs let-go --follow" in first.err
    assert client.job("let-go").status == "RUNNING"
    with cli.begin("logs", "let-go", "--follow") as second:
        await_that(lambda: "data_loading: reading" in second.err)
        second.send(signal.SIGINT)
        await_that(lambda: "Ctrl-C again" in second.err)
        second.send(signal.SIGINT)
        assert second.code() == 130
    assert "let-go: stopped" in second.out
    assert "committed" in second.out
    assert client.job("let-go").status == "STOPPED"


def name_in(done: Running | Ended) -> str:
    """The submission id that was told."""
    return done.err.split("sent: job ")[1].split(",")[0]


def talkative(lines: int, pause: float) -> str:
    """A job that says a numbered line now and then."""
    code = f"import time\nfor n in range({lines}):\n print('line', n, flush=True)\n time.sleep({pause})"
    return f'python3 -c "{code}"'


def test_a_job_is_sent_once_though_the_answer_to_it_is_lost(cli: Cli, job: Job, wire: Wire, client: JobsClient) -> None:
    wire.cut_after = b"POST /api/jobs/"
    done = cli.submit(job(), "--run-id", "sent-once", "--address", wire.url)
    assert "Trying again" in done.err
    assert [one.submission_id for one in client.jobs() if one.metadata.get("run_id") == "sent-once"] == [name_in(done)]


def test_no_line_is_lost_or_repeated_when_the_connection_drops(cli: Cli, wire: Wire, client: JobsClient) -> None:
    client.submit({"submission_id": "talkative", "entrypoint": talkative(60, 0.2)})
    with cli.begin("logs", "talkative", "--follow", "--json", "--address", wire.url) as running:
        for seen, down_s in ((8, 0.0), (20, 2.0), (35, 0.0)):
            await_that(lambda seen=seen: f"line {seen}" in running.out)
            wire.cut(down_s)
        assert running.code() == 0
    assert wire.cuts >= 3
    lines = [one["line"] for one in records(running, "log") if one["line"].startswith("line ")]
    assert lines == [f"line {number}" for number in range(60)]
    assert "the cluster answers again" in running.out


def signal_driver(run_id: str, number: signal.Signals) -> None:
    """A signal for the driver of a job alone."""
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if "raypipe_job.py" in words and run_id in words and "-c" not in words:
            os.kill(process.pid, number)


@pytest.mark.slow
def test_a_driver_that_is_killed_is_tried_again_and_goes_on_where_it_was(
    cli: Cli, slow: Path, client: JobsClient
) -> None:
    runs = cli.folder / "runs"
    with cli.begin_submit(slow, "--submission-id", "killed", "--retries", 2, "--json") as running:
        await_that(lambda: has_committed(runs / "killed"))
        signal_driver("killed", signal.SIGKILL)
        assert running.code() == 0, running.err
    assert [one.status for one in client.jobs() if one.metadata.get("run_id") == "killed"] == ["SUCCEEDED", "FAILED"]
    events = [json.loads(line) for line in (runs / "killed" / "events.jsonl").read_text().splitlines()]
    assert [one for one in events if one["event"] == "resumed"]
    assert prints(runs / "killed") == quiet_prints(cli, slow)


@pytest.mark.slow
def test_a_driver_that_gets_a_sigterm_from_its_node_commits_and_is_tried_again(
    cli: Cli, slow: Path, client: JobsClient
) -> None:
    runs = cli.folder / "runs"
    with cli.begin_submit(slow, "--submission-id", "preempted", "--retries", 1, "--json") as running:
        await_that(lambda: has_committed(runs / "preempted"))
        signal_driver("preempted", signal.SIGTERM)
        assert running.code() == 0, running.err
    first = client.job("preempted")
    assert (first.status, first.driver_exit_code) == ("FAILED", 130)
    assert prints(runs / "preempted") == quiet_prints(cli, slow)


def test_an_attempt_that_comes_after_the_end_says_so_and_does_nothing(cli: Cli, job: Job, client: JobsClient) -> None:
    config = job()
    cli.submit(config, "--submission-id", "done")
    request = dict(client.job("done").model_dump(include={"entrypoint", "runtime_env"}))
    words = request["entrypoint"] + " --again"
    client.submit({"submission_id": "done-r1", "entrypoint": words, "runtime_env": request["runtime_env"]})
    assert await_end(client, "done-r1").driver_exit_code == 0
    assert "is completed" in client.logs("done-r1")


@pytest.mark.slow
def test_a_head_that_dies_is_noticed_and_what_is_kept_is_told(job: Job, tmp_path: Path) -> None:
    config = job(rows=ROWS, engine=SLOW_ENGINE)
    with local_head(cpus=2, env={"PYTHONPATH": os.getcwd()}) as head:
        cli = Cli(head, tmp_path)
        with cli.begin_submit(config, "--submission-id", "doomed", "--lost-after", 5) as running:
            await_that(lambda: has_committed(tmp_path / "runs" / "doomed"))
            head.kill()
            assert running.code(60) == 1
        said = said_by(running)
    assert "job doomed is lost with the head node" in said
    assert "it has not answered for" in said
    assert "--resume doomed" in said
    assert str(tmp_path / "runs" / "doomed") in said


def said_by(running: Running | Ended) -> str:
    return " ".join(running.err.split())
