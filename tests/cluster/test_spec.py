"""The spec of a cluster: what it refuses, and in which words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from raypipe.cluster.spec import ClusterSpec
from raypipe.errors import ConfigError
from tests.cluster.shipped import SPEC, shipped


@pytest.fixture
def values() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(SPEC.read_text(encoding="utf-8"))
    return loaded


def refused(values: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        ClusterSpec.of(values)


def test_a_typo_names_the_key_and_the_one_that_was_meant(values: dict[str, Any]) -> None:
    values["pools"][1]["max_wokers"] = values["pools"][1].pop("max_workers")
    refused(values, r"pools\.1\.max_wokers: there is no key 'max_wokers'; did you mean 'max_workers'\?")


def test_everything_that_is_wrong_is_told_at_once(values: dict[str, Any]) -> None:
    values["nmae"] = values.pop("name")
    values["aws"]["region"] = "the west"
    with pytest.raises(ConfigError) as told:
        ClusterSpec.of(values)
    assert all(text in str(told.value) for text in ("'name' is missing", "did you mean 'name'?", "aws.region"))


@pytest.mark.parametrize("cidr", ["0.0.0.0/0", "::/0", "16.0.0.0/4"])
def test_ssh_from_the_whole_world_is_refused(values: dict[str, Any], cidr: str) -> None:
    values["ssh_cidrs"] = [cidr]
    refused(values, r"ssh_cidrs\.0: got '.+'; is open to the world or close to it; wanted your own network")


def test_a_network_with_host_bits_is_refused(values: dict[str, Any]) -> None:
    values["ssh_cidrs"] = ["203.0.113.7/24"]
    refused(values, "has host bits set; wanted a network such as")


@pytest.mark.parametrize("seconds", [0, 60, 299])
def test_nodes_that_would_go_before_they_are_up_are_refused(values: dict[str, Any], seconds: int) -> None:
    values["pools"][0]["idle_timeout_s"] = seconds
    refused(values, r"pools\.0\.idle_timeout_s: got \d+; input should be greater than or equal to 300")


def test_an_idle_timeout_must_exceed_what_booting_takes(values: dict[str, Any]) -> None:
    values["boot_s"] = 900
    refused(values, r"idle_timeout_s is 600, not more than boot_s \(900\)")


def test_ray_below_the_floor_is_refused(values: dict[str, Any]) -> None:
    values["versions"]["ray"] = "2.55.1"
    refused(values, r"versions\.ray: got '2\.55\.1'; ray below 2\.56 has known holes")


@pytest.mark.parametrize("version", ["latest", "2.60", "nightly", ">=2.60.0"])
def test_versions_that_move_are_refused(values: dict[str, Any], version: str) -> None:
    values["versions"]["ray"] = version
    refused(values, "wanted one exact version, such as '2.60.0'")


def test_a_token_in_the_spec_is_refused(values: dict[str, Any]) -> None:
    values["token"] = {"file": "c2VjcmV0LXRva2Vu"}
    refused(values, r"token\.file: got 'c2VjcmV0LXRva2Vu'; string should match pattern")
    values["token"] = {"value": "c2VjcmV0LXRva2Vu"}
    refused(values, r"token\.value: there is no key 'value'")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"min_workers": 9}, r"min_workers is 9, more than max_workers \(4\)"),
        ({"gpus": 1}, "kind is 'cpu' and gpus is 1"),
        ({"kind": "gpu"}, "kind is 'gpu' and gpus is 0"),
        ({"cpus": 0.5}, r"pools\.0\.cpus: got 0\.5"),
        ({"name": "Big Pool"}, "wanted small letters, digits and '-'"),
        ({"name": "gpu"}, "two have the same name"),
        ({"name": "head"}, "'head' is the name of the head; give the pool another one"),
        ({"pod": {"cpus": 64, "memory_gib": 8}}, "pod asks for more than the machine has"),
        ({"labels": {"ray.io/market-type": "spot"}}, "is set by raypipe; use `spot` and `name`"),
    ],
)
def test_pools_that_cannot_be_are_refused(values: dict[str, Any], change: dict[str, Any], match: str) -> None:
    values["pools"][0] |= change
    refused(values, match)


def test_two_services_on_one_port_are_refused(values: dict[str, Any]) -> None:
    values["ports"] = {"gcs": 8265}
    refused(values, "two services have the same port")


def test_toml_and_yaml_give_the_same_spec(tmp_path: Path) -> None:
    path = tmp_path / "cluster.toml"
    path.write_text(
        """
name = "small"
ssh_cidrs = ["203.0.113.0/24"]
versions = {raypipe = "0.1.0", ray = "2.60.0", python = "3.11"}
image = {repository = "registry.example.com/raypipe"}
head = {machine = {}, cpus = 4, memory_gib = 16, pod = {cpus = 2, memory_gib = 8}}
[[pools]]
name = "cpu"
machine = {aws = "m7i.2xlarge"}
cpus = 8
memory_gib = 32
pod = {cpus = 7, memory_gib = 24}
max_workers = 4
"""
    )
    spec = ClusterSpec.load(path)
    assert spec.pools[0] == shipped().pools[0].replace(machine={"aws": "m7i.2xlarge"})


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("name: [", r"cluster\.yaml: not valid YAML"),
        ("- 1", r"cluster\.yaml: holds list; wanted keys of a cluster"),
        ("", r"cluster\.yaml: holds NoneType"),
    ],
)
def test_a_file_that_is_no_spec_is_told(tmp_path: Path, text: str, match: str) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=match):
        ClusterSpec.load(path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cluster\.yaml: cannot be read: No such file"):
        ClusterSpec.load(tmp_path / "cluster.yaml")


def test_a_digest_pins_an_image_in_place_of_its_tag(values: dict[str, Any]) -> None:
    digest = "sha256:" + "a" * 64
    values["image"]["gpu_digest"] = digest
    spec = ClusterSpec.of(values)
    assert spec.image_for("gpu") == f"registry.example.com/raypipe@{digest}"
    assert spec.image_for("cpu") == "registry.example.com/raypipe:0.1.0-ray2.60.0-py311-cpu"
