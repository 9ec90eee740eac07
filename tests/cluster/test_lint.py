"""`raypipe cluster lint`: every planted fault is found at its line, and none in the files that ship."""

from __future__ import annotations

import copy
import importlib.util
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from raypipe.cluster.lint.check import lint
from raypipe.errors import ConfigError
from tests.cluster.faults import AWS, FAULTS
from tests.cluster.shipped import FOLDER, ROOT, Fault
from tests.warm import run_raypipe


def test_no_fault_is_found_in_the_files_that_ship() -> None:
    assert lint([FOLDER]) == []


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_planted_fault_is_found_at_its_line_and_no_other(fault: Fault, tmp_path: Path) -> None:
    if fault.rule.startswith("aws-") and importlib.util.find_spec("botocore") is None:
        pytest.skip("botocore is not installed")
    path, line = fault.plant(tmp_path)
    found = fault.found(path)
    told = [(one.rule, one.line) for one in found]
    assert (fault.rule, line) in told, [f"{one.rule}:{one.line}: {one.what}" for one in found]
    assert {one.rule for one in found} <= {fault.rule, *fault.also}, told
    assert all(one.what and one.instead for one in found)


def test_faults_of_every_kind_are_planted() -> None:
    assert len(FAULTS) >= 100
    assert len({fault.rule for fault in FAULTS}) >= 55


@pytest.mark.parametrize(
    ("old", "new", "advice"),
    [
        ("region:", "regoin:", "did you mean 'region'?"),
        ("InstanceType: m7i.xlarge", "InstanceTyp: m7i.xlarge", "did you mean 'InstanceType'?"),
        ("max_workers: 26", "max_worker: 26", "did you mean 'max_workers'?"),
        ("m7i.2xlarge", "m7i.2xlarg", "did you mean 'm7i.2xlarge'?"),
        ("upscaling_speed: 2.0", "upscaling_speed: fast", "a value of type number"),
    ],
)
def test_a_typo_comes_with_the_name_that_was_meant(old: str, new: str, advice: str, tmp_path: Path) -> None:
    path, line = Fault("any", AWS, old, new).plant(tmp_path)
    assert advice in [one.instead for one in lint([path]) if one.line == line]


def test_a_secret_that_is_found_is_not_repeated(tmp_path: Path) -> None:
    for fault in (one for one in FAULTS if one.rule == "secret-value"):
        path, _ = fault.plant(tmp_path / fault.file.replace("/", "-") / str(abs(hash(fault.new))))
        for secret in ("s3cr3tvalue", "hunter2", "AKIAIOSFODNN7EXAMPLE", "abcdef123456"):
            assert secret not in str(lint([path]))


def test_files_that_no_cluster_has_and_files_that_are_not_there_are_told(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("colour: red\n")
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert [one.rule for one in lint([tmp_path])] == ["file-unknown", "file-unknown"]
    with pytest.raises(ConfigError, match=r"absent\.yaml: there is no such file"):
        lint([tmp_path / "absent.yaml"])
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        lint([tmp_path / "binary.yaml"])


def test_faults_of_a_spec_are_found_at_their_lines(tmp_path: Path) -> None:
    path, line = Fault("spec", "cluster.yaml", "max_workers: 20", "max_wrokers: 20").plant(tmp_path)
    assert [(one.rule, one.line) for one in lint([path]) if "max_wrokers" in one.what] == [("spec", line)]


def test_a_spec_that_cannot_be_read_is_told_beside_the_file(tmp_path: Path) -> None:
    Fault("spec", "cluster.yaml", "boot_s: 240", "bot_s: 240").plant(tmp_path)
    (found,) = lint([tmp_path / "cluster" / AWS])
    assert (found.rule, found.severity) == ("spec", "warning")
    assert "did you mean 'boot_s'?" in found.what


ODD = (None, [], {}, "x", 1.5, -1, True, [None], {"x": None}, [[]], "", [{"x": 1}], {1: 2}, "0.5x")
MANIFESTS = sorted(path for path in FOLDER.rglob("*.yaml"))


def places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document, but for the document itself."""
    for step in data if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ():
        yield (*path, step)
        yield from places(data[step], (*path, step))


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.name)
def test_a_value_of_any_kind_at_any_place_is_told_and_never_breaks_the_command(manifest: Path, tmp_path: Path) -> None:
    draw = random.Random(manifest.name)
    data = yaml.safe_load(manifest.read_text(encoding="utf-8"))
    everywhere = list(places(data))
    for path in draw.sample(everywhere, min(len(everywhere), 8)):
        wrong = copy.deepcopy(data)
        around = wrong
        for step in path[:-1]:
            around = around[step]
        around[path[-1]] = draw.choice(ODD)
        (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(wrong))
        assert all(one.what and one.instead and one.line for one in lint([tmp_path / "wrong.yaml"])), path


def test_a_key_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text("services: {}\n1: x\n")
    assert [(one.rule, one.line) for one in lint([tmp_path])] == [("compose-key", 2)]


def test_the_command_prints_findings_as_json_and_exits_with_1(tmp_path: Path) -> None:
    path, line = Fault("head-cpus", AWS, "CPU: 0", "CPU: 4").plant(tmp_path)
    done = run_raypipe("cluster", "lint", "--json", path, cwd=ROOT, check=1)
    (found,) = json.loads(done.stdout)["findings"]
    assert (found["rule"], found["line"], found["file"]) == ("head-cpus", line, str(path))
