"""A job before it is sent: what its config may name, its secrets, its names and its request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from raypipe.errors import ConfigError
from raypipe.submit.secrets import plain_variables, secret_references
from raypipe.submit.submission import JobOptions, Submission, prepare

KEY = "AKIA" + "ABCDEFGHIJKLMNOP"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "project" / "run.yaml"
    path.parent.mkdir()
    path.write_text("data_source: /mnt/share/sales.csv\noutput_dir: /mnt/share/runs\n")
    return path


def prepared(config: Path, **options: Any) -> tuple[Submission | None, tuple[str, ...]]:
    return prepare(JobOptions(config=config, **{"shared": ("/mnt/share",), **options}))


def made(config: Path, **options: Any) -> Submission:
    submission, wrong = prepared(config, **options)
    assert submission is not None, wrong
    return submission


def complaint(config: Path, **options: Any) -> str:
    submission, wrong = prepared(config, **options)
    assert submission is None
    return "\n".join(wrong)


def test_a_request_runs_the_entry_point_with_a_fixed_run_id(config: Path) -> None:
    one = made(config)
    request = one.request()
    assert request["entrypoint"] == f"python3 raypipe_job.py run.yaml --run-id {one.run_id}"
    assert request["runtime_env"]["working_dir"] == f"gcs://{one.package}"
    assert request["entrypoint_num_cpus"] == 1.0
    assert one.submission_id.startswith("rp-run-")


def test_further_attempts_have_names_of_their_own_and_go_on_with_the_same_run(config: Path) -> None:
    one = made(config, submission_id="nightly")
    again = one.request(attempt=2)
    assert again["submission_id"] == "nightly-r2"
    assert again["entrypoint"].endswith("--run-id nightly --again")


def test_a_run_that_was_cut_off_is_resumed_under_its_name(config: Path) -> None:
    assert made(config, resume="first").request()["entrypoint"].endswith("run.yaml --resume first")


def test_two_submissions_never_get_the_same_name(config: Path) -> None:
    assert made(config).submission_id != made(config).submission_id


def test_what_is_typed_cannot_break_out_of_the_command(config: Path) -> None:
    words = made(config, assignments=("dashboard_title='; rm -rf /'",)).request()["entrypoint"]
    assert "'dashboard_title='\"'\"'; rm -rf /'\"'\"''" in words


def test_metadata_says_what_was_sent(config: Path) -> None:
    facts = made(config, run_id="mine").metadata
    assert facts["run_id"] == "mine"
    assert facts["output_dir"] == "/mnt/share/runs"
    assert all(isinstance(value, str) for value in facts.values())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("data_source: /home/me/sales.csv\noutput_dir: /mnt/share/runs\n", "lies outside of .*--shared FOLDER"),
        ("data_source: sales.csv\noutput_dir: /mnt/share/runs\n", "on this machine.*--with-data"),
        ("data_source: absent.csv\noutput_dir: /mnt/share/runs\n", "nothing of this name is in"),
        ("data_source: /mnt/share/a.csv\n", "output_dir is output: results would stay .*goes away with it"),
        ("data_source: /mnt/share/a.csv\noutput_dir: /mnt/share/x\nvalidation: {schema_path: ../s.yaml}\n",
         "schema_path is ../s.yaml, which is not below"),
    ],
)  # fmt: skip
def test_a_path_that_leads_nowhere_on_the_cluster_is_refused_with_what_to_do(
    config: Path, text: str, said: str
) -> None:
    config.write_text(text)
    (config.parent / "sales.csv").write_text("a\n1\n")
    with pytest.raises(AssertionError, match=f"(?s){said}"):
        raise AssertionError(complaint(config))


def test_a_shared_folder_is_one_only_by_whole_names(config: Path) -> None:
    assert "data_source" in complaint(config, shared=("/mnt/sha",))
    assert "data_source" in complaint(config, shared=("/mnt/share/../other",))


def test_a_bucket_is_on_every_node(config: Path) -> None:
    config.write_text("data_source: s3://bucket/sales.csv\noutput_dir: s3://bucket/runs\n")
    made(config, shared=())


def test_small_data_may_travel_and_a_schema_file_always_does(config: Path) -> None:
    (config.parent / "d").mkdir()
    for name in ("d/one.csv", "d/two.csv", "other.csv", "schema.json"):
        (config.parent / name).write_text("{}\n")
    config.write_text("data_source: d/*.csv\noutput_dir: /mnt/share/x\nvalidation: {schema_path: schema.json}\n")
    got = [file.name for file in made(config, with_data=True).manifest.files]
    assert got == ["d/one.csv", "d/two.csv", "run.yaml", "schema.json"]


def test_a_config_that_is_wrong_is_told_before_anything_is_packed(config: Path) -> None:
    config.write_text("data_source: /mnt/share/a.csv\ntarget_colum: x\n")
    assert "Did you mean 'target_column'" in complaint(config)


def test_a_config_outside_of_the_working_folder_is_refused(config: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    assert "does not lie in the working folder" in complaint(config, working_dir=tmp_path / "other")


@pytest.mark.parametrize(
    "line",
    [
        "business_context: " + KEY,
        "data_source: https://me:hunter2@host/sales.csv",
        "data_source: https://host/sales.csv?sv=1&sig=abcdefghijk",
    ],
)
def test_a_secret_in_a_config_is_refused_and_never_repeated(config: Path, line: str) -> None:
    config.write_text(f"data_source: /mnt/share/sales.csv\noutput_dir: /mnt/share/runs\n{line}\n")
    said = complaint(config)
    assert "run.yaml, line 3, holds" in said
    assert "hunter2" not in said
    assert KEY not in said


def test_a_secret_typed_as_a_setting_is_refused(config: Path) -> None:
    said = complaint(config, assignments=("data_source=s3://key:word@bucket/x",), overrides={})
    assert "--set, line 1, holds a password in an address" in said


def test_secrets_travel_as_references_only(config: Path) -> None:
    one = made(config, secrets=("DB_PASSWORD=env:PROD_DB", "TOKEN=file:/run/secrets/token"), env=("REGION=eu",))
    variables = one.request()["runtime_env"]["env_vars"]
    assert json.loads(variables["RAYPIPE_SECRETS"]) == {
        "DB_PASSWORD": "env:PROD_DB",
        "TOKEN": "file:/run/secrets/token",
    }
    assert variables["REGION"] == "eu"


@pytest.mark.parametrize("given", ["DB=hunter2", "DB=env:", "DB=aws:x", "DB=env:not a name", "DB=file:relative/path"])
def test_a_secret_that_is_no_reference_is_refused_and_never_repeated(given: str) -> None:
    with pytest.raises(
        ConfigError, match=r"--secret DB: (this is no reference|file:relative/path is relative)"
    ) as caught:
        secret_references([given])
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("given", ["DB_PASSWORD=x", "API_TOKEN=x", "AWS_SECRET_ACCESS_KEY=x", "SETTING=" + KEY])
def test_a_variable_that_looks_like_a_secret_is_refused(given: str) -> None:
    with pytest.raises(ConfigError, match="looks like a secret.*--secret .*--allow-plaintext"):
        plain_variables([given], allow_plaintext=False)
    assert plain_variables([given], allow_plaintext=True)


@pytest.mark.parametrize("given", ["RAY_ADDRESS=x", "OMP_NUM_THREADS=4", "RAYPIPE_SECRETS=x"])
def test_a_variable_that_raypipe_or_ray_sets_is_refused(given: str) -> None:
    with pytest.raises(ConfigError, match="is set by raypipe or Ray itself"):
        plain_variables([given], allow_plaintext=False)


@pytest.mark.parametrize("name", ["a/b", "../x", "", "x" * 101, "a b", "-x"])
def test_a_name_that_is_no_plain_word_is_refused(config: Path, name: str) -> None:
    assert "wanted at most 100 letters" in complaint(config, submission_id=name)


def test_all_that_is_wrong_is_told_at_once(config: Path) -> None:
    config.write_text("data_source: /home/x.csv\n")
    said = complaint(config, env=("MY_TOKEN=x",), secrets=("A=b",), submission_id="a/b")
    for word in ("data_source", "output_dir", "--env MY_TOKEN", "--secret A", "--submission-id"):
        assert word in said
