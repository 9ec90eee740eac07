"""Lists of keys that were written by hand are held to what they were written from, so that none is refused wrongly."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from raypipe.cluster.lint.launcher import ANYWHERE, PROVIDERS
from raypipe.cluster.lint.machines import AzureParameters
from raypipe.cluster.lint.pods import CONTAINER, CONTAINER_SECURITY, POD, POD_SECURITY, PROBE
from raypipe.cluster.lint.rayspecs import (
    AuthOptions,
    AutoscalerOptions,
    FaultTolerance,
    HeadGroup,
    RayClusterSpec,
    RayCronJobSpec,
    RayJobSpec,
    Storage,
    WorkerGroup,
)

MODELS: list[tuple[type[BaseModel], str, tuple[str, ...]]] = [
    (RayClusterSpec, "rayclusters", ("spec",)),
    (AuthOptions, "rayclusters", ("spec", "authOptions")),
    (AutoscalerOptions, "rayclusters", ("spec", "autoscalerOptions")),
    (HeadGroup, "rayclusters", ("spec", "headGroupSpec")),
    (WorkerGroup, "rayclusters", ("spec", "workerGroupSpecs", "[]")),
    (FaultTolerance, "rayclusters", ("spec", "gcsFaultToleranceOptions")),
    (Storage, "rayclusters", ("spec", "gcsFaultToleranceOptions", "storage")),
    (RayJobSpec, "rayjobs", ("spec",)),
    (RayCronJobSpec, "raycronjobs", ("spec",)),
]
SET_BY_RAY = {"vmName", "vmTags", "vmCount", "provisionPublicIp", "msi", "nsg", "subnet", "zones"}
"""Parameters of the template of Azure that Ray fills in itself."""
INTERNAL = {"msi", "nsg", "subnet", "_config_cache_path", "list_of_node_ips", "aws_credentials", "_has_tpus"}
"""Keys of providers that Ray puts there itself, or that would hold credentials in the file."""


@pytest.mark.parametrize(("model", "schema", "place"), MODELS, ids=lambda value: getattr(value, "__name__", None))
def test_a_model_of_kuberay_has_the_keys_of_its_definition(
    model: type[BaseModel], schema: str, place: tuple[str, ...], shared_data: Path
) -> None:
    path = shared_data / "kuberay" / f"{schema}-v1.schema.json"
    if not path.is_file():
        pytest.skip(f"no schema at {path}")
    node: Any = json.loads(path.read_text())
    for step in place:
        node = node["items"] if step == "[]" else node["properties"][step]
    assert {field.alias or name for name, field in model.model_fields.items()} == set(node["properties"])


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        ("podspec", POD),
        ("container", CONTAINER),
        ("securitycontext", CONTAINER_SECURITY),
        ("podsecuritycontext", POD_SECURITY),
        ("probe", PROBE),
    ],
)
def test_keys_of_pods_are_those_of_kubernetes(kind: str, known: frozenset[str]) -> None:
    package = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    folders = sorted((Path(package.__file__).parent / "kubernetes-json-schema").glob("v1.37*-strict"))
    schema = json.loads((folders[-1] / f"{kind}-v1.json").read_text())
    assert known == set(schema["properties"])


def test_parameters_of_azure_are_those_of_the_template_that_ray_fills() -> None:
    ray = pytest.importorskip("ray.autoscaler", reason="Ray is not installed")
    template = Path(ray.__file__).parent / "_private/_azure/azure-vm-template.json"
    wanted = set(json.loads(template.read_text())["parameters"]) - SET_BY_RAY
    assert set(AzureParameters.model_fields) - {"availability_zone"} == wanted


FOLDERS = {"aws": "aws", "gcp": "gcp", "azure": "_azure", "local": "local"}


@pytest.mark.parametrize(("provider", "folder"), FOLDERS.items())
def test_no_key_that_a_provider_of_ray_reads_is_refused(provider: str, folder: str) -> None:
    ray = pytest.importorskip("ray.autoscaler", reason="Ray is not installed")
    read: set[str] = set()
    for path in (Path(ray.__file__).parent / "_private" / folder).rglob("*.py"):
        found = re.findall(r"(?:\[\"provider\"\]|provider_config)(?:\.get\(|\[)\s*\"(\w+)\"", path.read_text())
        read |= set(found)
    required, allowed = PROVIDERS[provider]
    assert read - INTERNAL <= required | allowed | ANYWHERE
