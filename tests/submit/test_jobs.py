"""Jobs on a real head: what they say, how they end, and what is known of them afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.local_head import LocalHead
from raypipe.submit.client import JobsClient
from raypipe.submit.follow import Follower, Pace
from tests.submit.conftest import SLOW_ENGINE, Cli, await_end, await_that, records

Job = Callable[..., Path]


def test_a_job_runs_to_its_end_as_if_it_ran_here(cli: Cli, job: Job, tmp_path: Path) -> None:
    done = cli.submit(job(), "--run-id", "first", "--target", "amount", code=2)
    assert "No such option" in done.err
    done = cli.submit(job(target_column="amount"), "--run-id", "first")
    assert "data_loading: 200 rows read, 0 set aside" in done.err
    assert "200 read = 200 kept + 0 quarantined + 0 dropped" in done.out
    assert "RAYPIPE_EVENT" not in done.err + done.out
    assert (tmp_path / "runs" / "first" / "profile.json").exists()
    cli("run", "--config", tmp_path / "project" / "job.yaml", "--run-id", "here", "--quiet")
    here, there = (json.loads((tmp_path / "runs" / name / "profile.json").read_text()) for name in ("here", "first"))
    assert here == there


def test_a_job_runs_on_the_workers_of_the_cluster(cli: Cli, job: Job) -> None:
    done = cli.submit(job(engine={"engine": "ray"}))
    assert "initialization: engine ray: engine: ray was asked for" in done.err
    assert "200 read = 200 kept" in done.out


def test_every_event_is_an_object_on_a_line_of_its_own(cli: Cli, job: Job) -> None:
    done = cli.submit(job(), "--json")
    assert [one["status"] for one in records(done, "status")][-1] == "SUCCEEDED"
    assert records(done, "progress")[-1]["progress"]["overall_progress"] == 100.0
    (ended,) = records(done, "ended")
    assert (ended["exit_code"], ended["rows"]["read"]) == (0, 200)


@pytest.mark.parametrize(
    ("settings", "code", "said"),
    [
        ({"target_column": "amuont"}, 2, "Did you mean 'amount'"),
        ({"strict_validation": True, "validation": {"schema_path": "schema.json"}}, 3, "validation failed"),
        ({"data_source": "/nowhere/at/all.csv"}, 1, "/nowhere/at/all.csv"),
    ],
)
def test_the_exit_code_is_that_of_the_job_and_so_are_its_words(
    cli: Cli, job: Job, settings: dict[str, object], code: int, said: str
) -> None:
    config = job(**settings)
    schema = {"name": "s", "columns": [{"name": "id", "dtype": "int64", "max_value": 10}]}
    (config.parent / "schema.json").write_text(json.dumps(schema))
    done = cli.submit(config, "--shared", "/nowhere", "--json", "--retries", 1 if code != 1 else 0, code=code)
    assert said in done.out
    (ended,) = records(done, "ended")
    assert (ended["status"], ended["exit_code"]) == ("FAILED", code)


def test_submitting_twice_with_one_key_runs_once(cli: Cli, job: Job, client: JobsClient) -> None:
    config = job()
    cli.submit(config, "--idempotency-key", "nightly-1")
    again = cli.submit(config, "--idempotency-key", "nightly-1", "--json")
    assert "is there already (succeeded): attached to it" in again.out
    assert records(again, "ended")[0]["exit_code"] == 0
    assert [one.submission_id for one in client.jobs()].count("nightly-1") == 1
    config.write_text(config.read_text() + "seed: 7\n")
    other = cli.submit(config, "--idempotency-key", "nightly-1", code=2)
    assert "with another config or other files" in other.err


def test_a_job_that_is_let_go_of_can_be_listed_asked_after_and_followed(cli: Cli, job: Job) -> None:
    cli.submit(job(), "--submission-id", "apart", "--detach")
    assert "200 read = 200 kept" in cli("logs", "apart", "--follow").out
    listed = {one["submission_id"]: one for one in map(json.loads, cli("jobs", "--json").out.splitlines())}
    assert (listed["apart"]["status"], listed["apart"]["exit_code"]) == ("SUCCEEDED", 0)
    assert "apart" in cli("jobs").out
    asked = json.loads(cli("status", "apart", "--json").out)
    assert (asked["status"], asked["metadata"]["run_id"]) == ("SUCCEEDED", "apart")
    assert "succeeded" in cli("status", "apart").out
    log = cli("logs", "apart").out
    assert "Running entrypoint for job apart" in log
    assert "RAYPIPE_EVENT" not in log
    assert any(json.loads(line)["event"] == "started" for line in cli("logs", "apart", "--json").out.splitlines())


@pytest.mark.parametrize("command", ["status", "logs", "stop"])
def test_a_job_that_is_not_there_is_named(cli: Cli, command: str) -> None:
    assert "knows no job never-there; `raypipe jobs` lists" in cli(command, "never-there", code=1).err


def test_secrets_are_resolved_on_the_cluster_and_their_values_are_nowhere(
    cli: Cli, job: Job, head: LocalHead, tmp_path: Path
) -> None:
    (tmp_path / "secret.txt").write_text("another-hidden-value\n")
    config = job(engine={"engine": "ray"})
    done = cli.submit(
        config, "--secret", "MY_KEY=env:DEMO_SECRET", "--secret", f"OTHER=file:{tmp_path / 'secret.txt'}", "--json"
    )
    (ended,) = records(done, "ended")
    assert ended["exit_code"] == 0
    log = cli("logs", ended["submission_id"], "--json").out
    assert '"secrets": ["MY_KEY", "OTHER"]' in log
    told = done.out + log + cli("status", ended["submission_id"], "--json").out + cli("jobs", "--json").out
    kept = b"".join(path.read_bytes() for path in (head.folder / "ray").rglob("*") if path.is_file() and is_log(path))
    for value in ("the-value-of-a-secret", "another-hidden-value"):
        assert value not in told
        assert value.encode() not in kept


def is_log(path: Path) -> bool:
    return path.suffix in (".log", ".out", ".err", ".txt", ".json", ".jsonl") and "runtime_resources" not in path.parts


def test_a_secret_that_is_not_on_the_cluster_is_named_at_once(cli: Cli, job: Job) -> None:
    done = cli.submit(job(), "--secret", "MY_KEY=env:NOT_SET_THERE", code=2)
    assert "secret MY_KEY: the variable NOT_SET_THERE is not set on this node" in done.err


def test_a_job_of_another_version_fails_in_its_first_line_with_clear_words(
    cli: Cli, job: Job, client: JobsClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from raypipe.submit import submission

    others = {"python": "3.99", "ray": "9.9.9", "raypipe": "99.0"}
    monkeypatch.setattr(submission, "versions_here", lambda: others)
    options = submission.JobOptions(config=job(), shared=(str(tmp_path),), submission_id="of-the-future")
    made, wrong = submission.prepare(options)
    assert made is not None, wrong
    client.upload(made.package, made.content)
    client.submit(made.request())
    ended = await_end(client, "of-the-future", 60)
    assert ended.driver_exit_code == 2
    said = client.logs("of-the-future")
    for text in ("python 3.11 on the cluster, 3.99 where the job comes from", "raypipe 0.1.0 on the cluster, 99.0",
                 "or submit with --with-raypipe"):  # fmt: skip
        assert text in said


def test_packages_to_install_are_refused_with_what_to_do(cli: Cli, job: Job) -> None:
    assert "Bake them into the image" in cli.submit(job(), "--pip", "somepackage", code=2).err
    assert "Bake them into the image" in cli.submit(job(), "--runtime-env-json", "{}", code=2).err


def test_a_runtime_environment_that_cannot_be_made_is_told_at_once(cli: Cli, client: JobsClient) -> None:
    missing = "gcs://raypipe_pkg_00000000000000000000000000000000.zip"
    client.submit({"submission_id": "broken-env", "entrypoint": "true", "runtime_env": {"working_dir": missing}})
    done = cli("logs", "broken-env", "--follow", code=1, timeout_s=60)
    assert "RUNTIME_ENV_SETUP_FAILURE" in done.out
    assert "raypipe_pkg_00000" in done.out + done.err


def test_a_job_for_which_no_node_is_large_enough_is_refused_before_it_is_sent(
    cli: Cli, job: Job, client: JobsClient
) -> None:
    for flags, said in (
        (("--gpus", 4), r"the driver asks for 1 CPU, 4 GPU, and no node has that"),
        (("--resource", "tpu=1"), "tpu"),
        (("--cpus", 2), "together they do not fit"),
    ):
        done = cli.submit(job(), "--submission-id", "too-large", *flags, code=2)
        assert said in done.err
        assert "Ask for less with --cpus" in done.err
    assert "too-large" not in {one.submission_id for one in client.jobs()}


def test_a_job_that_waits_says_for_what(cli: Cli, job: Job, client: JobsClient) -> None:
    client.submit({"submission_id": "in-the-way", "entrypoint": "sleep 600", "entrypoint_num_cpus": 2})
    try:
        cli.submit(job(), "--submission-id", "behind", "--detach")
        # Use is told by the nodes every few seconds.
        said = "its driver asks for 1 CPU; in use: 2 CPU of 2"
        await_that(lambda: said in json.loads(cli("status", "behind", "--json").out)["waits_for"])
        view = Waiting(said, lambda: client.stop("in-the-way"))
        outcome = Follower(client, "behind", view, Pace(explain_s=0.5)).to_the_end()
    finally:
        client.stop("in-the-way")
    assert (view.explained, outcome.status, outcome.exit_code) == (True, "SUCCEEDED", 0)


class Waiting:
    """Clears the way once it is told what is in it."""

    def __init__(self, said: str, then: Callable[[], None]) -> None:
        self._said, self._then, self.explained = said, then, False

    def note(self, kind: str, text: str) -> None:
        if kind == "pending" and self._said in text and not self.explained:
            self.explained = True
            self._then()

    def status(self, *_: object) -> None: ...

    def progress(self, *_: object) -> None: ...

    def line(self, *_: object) -> None: ...


@pytest.mark.slow
def test_a_job_that_is_not_over_in_its_time_is_stopped(cli: Cli, job: Job) -> None:
    done = cli.submit(job(rows=3_000_000, engine=SLOW_ENGINE), "--timeout", 12, "--json", code=130)
    assert records(done, "ended")[0]["status"] == "STOPPED"
    assert "is not over in its time" in done.out
