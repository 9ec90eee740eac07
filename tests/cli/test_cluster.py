"""`raypipe cluster …` as a stranger uses it: its text, its JSON, its exit codes."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.warm import run_raypipe

ROOT = Path(__file__).resolve().parents[2]


def cluster(*arguments: str | Path, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run `raypipe cluster` in a process of its own."""
    return run_raypipe("cluster", *arguments, cwd=cwd, check=code)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder with the spec where the commands look for it."""
    (tmp_path / "cluster").mkdir()
    shutil.copy(ROOT / "cluster/cluster.yaml", tmp_path / "cluster")
    return tmp_path


def test_without_arguments_the_spec_of_the_folder_cluster_is_rendered_checked_and_priced(folder: Path) -> None:
    written = json.loads(cluster("render", "--json", cwd=folder).stdout)["written"]
    assert "cluster/aws.yaml" in written
    assert all((folder / path).is_file() for path in written)
    assert json.loads(cluster("render", "--check", "--json", cwd=folder).stdout) == {"drift": []}
    assert json.loads(cluster("cost", "--json", cwd=folder).stdout)["target"] == "aws"
    assert json.loads(cluster("lint", "cluster", "--json", cwd=folder).stdout) == {"findings": []}


def test_files_can_be_written_to_another_folder(folder: Path) -> None:
    cluster("render", "--output", "elsewhere", cwd=folder)
    assert (folder / "elsewhere/kuberay/raycluster.yaml").is_file()
    assert not (folder / "cluster/aws.yaml").exists()


def test_a_drifted_file_is_exit_code_1_and_json_says_where(folder: Path) -> None:
    cluster("render", cwd=folder)
    path = folder / "cluster/aws.yaml"
    path.write_text(path.read_text().replace("max_workers: 26", "max_workers: 27"))
    (found,) = json.loads(cluster("render", "--check", "--json", cwd=folder, code=1).stdout)["drift"]
    assert (found["path"], found["found"], found["wanted"]) == ("aws.yaml", "max_workers: 27", "max_workers: 26")


@pytest.mark.parametrize("command", [("render",), ("cost",), ("doctor", "--spec"), ("lint", "x.yaml", "--spec")])
def test_a_spec_that_is_not_there_is_exit_code_2(command: tuple[str, ...], tmp_path: Path) -> None:
    assert "absent.yaml: cannot be read" in cluster(*command, "absent.yaml", cwd=tmp_path, code=2).stderr


def test_an_unknown_target_is_exit_code_2(folder: Path) -> None:
    assert "oracle" in cluster("cost", "--target", "oracle", cwd=folder, code=2).stderr


def test_an_address_over_plain_http_to_another_machine_is_exit_code_2(folder: Path) -> None:
    done = cluster("doctor", "--address", "http://192.0.2.1:8265", cwd=folder, code=2)
    assert "open a tunnel" in done.stderr


def test_warnings_fail_only_where_that_is_asked_for(folder: Path) -> None:
    cluster("render", cwd=folder)
    path = folder / "cluster/kuberay/serviceaccount.yaml"
    path.write_text(
        path.read_text().replace("automountServiceAccountToken: false", "automountServiceAccountToken: true")
    )
    assert "0 errors, 1 warnings" in cluster("lint", path, cwd=folder).stdout
    assert "1 errors, 0 warnings" in cluster("lint", path, "--strict", cwd=folder, code=1).stdout


def test_nothing_that_ray_prints_gets_into_json(folder: Path) -> None:
    """Ray warns on standard output of a launcher file with more workers than machines."""
    cluster("render", cwd=folder)
    path = folder / "cluster/onprem.yaml"
    config = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**config, "min_workers": 9, "max_workers": 9}))
    done = cluster("lint", path, "--json", cwd=folder, code=1)
    assert [one["rule"] for one in json.loads(done.stdout)["findings"]] == ["more-workers-than-machines"] * 2
    assert "WARN" not in done.stderr


def test_a_file_that_ray_gives_up_on_is_told_in_its_words(folder: Path) -> None:
    cluster("render", cwd=folder)
    path = folder / "cluster/onprem.yaml"
    config = yaml.safe_load(path.read_text())
    del config["provider"]["worker_ips"]
    path.write_text(yaml.safe_dump(config))
    done = cluster("lint", path, "--json", cwd=folder, code=1)
    assert "Please supply a `head_ip` and list of `worker_ips`" in json.loads(done.stdout)["findings"][0]["what"]
