"""Checks of node types on Google Cloud and Azure, by typed models of the fields that clusters use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from raypipe.cluster.lint.documents import Document, Finding, Path, at, items, mapping
from raypipe.cluster.problems import problems_of


class Api(BaseModel):
    """A body of a cloud's API: keys as the API writes them, and no others."""

    model_config = ConfigDict(extra="forbid", strict=True)


class InitializeParams(Api):
    """What a disk of Compute Engine is made from."""

    diskName: str | None = None  # noqa: N815 - as the API spells it
    diskSizeGb: int | str | None = None  # noqa: N815
    diskType: str | None = None  # noqa: N815
    sourceImage: str | None = None  # noqa: N815
    sourceSnapshot: str | None = None  # noqa: N815
    labels: dict[str, str] | None = None


class Disk(Api):
    """A disk of Compute Engine."""

    boot: bool | None = None
    autoDelete: bool | None = None  # noqa: N815
    type: Literal["PERSISTENT", "SCRATCH"] | None = None
    mode: Literal["READ_WRITE", "READ_ONLY"] | None = None
    interface: Literal["SCSI", "NVME"] | None = None
    source: str | None = None
    deviceName: str | None = None  # noqa: N815
    diskEncryptionKey: dict[str, Any] | None = None  # noqa: N815
    initializeParams: InitializeParams | None = None  # noqa: N815


class Interface(Api):
    """A network interface of Compute Engine."""

    network: str | None = None
    subnetwork: str | None = None
    accessConfigs: list[dict[str, Any]] | None = None  # noqa: N815
    aliasIpRanges: list[dict[str, Any]] | None = None  # noqa: N815
    nicType: str | None = None  # noqa: N815
    stackType: str | None = None  # noqa: N815


class Account(Api):
    """A service account of a machine."""

    email: str
    scopes: list[str]


class Scheduling(Api):
    """When a machine of Compute Engine may be moved or ended."""

    preemptible: bool | None = None
    provisioningModel: Literal["STANDARD", "SPOT"] | None = None  # noqa: N815
    instanceTerminationAction: Literal["DELETE", "STOP"] | None = None  # noqa: N815
    onHostMaintenance: Literal["MIGRATE", "TERMINATE"] | None = None  # noqa: N815
    automaticRestart: bool | None = None  # noqa: N815
    maxRunDuration: dict[str, Any] | None = None  # noqa: N815


class GcpNode(Api):
    """What Compute Engine is asked for."""

    machineType: str = Field(min_length=1)  # noqa: N815
    minCpuPlatform: str | None = None  # noqa: N815
    disks: list[Disk] = Field(min_length=1)
    networkInterfaces: list[Interface] | None = None  # noqa: N815
    serviceAccounts: list[Account] | None = None  # noqa: N815
    scheduling: Scheduling | list[Scheduling] | None = None
    guestAccelerators: list[dict[str, Any]] | None = None  # noqa: N815
    shieldedInstanceConfig: dict[str, bool] | None = None  # noqa: N815
    confidentialInstanceConfig: dict[str, Any] | None = None  # noqa: N815
    reservationAffinity: dict[str, Any] | None = None  # noqa: N815
    sourceInstanceTemplate: str | None = None  # noqa: N815
    metadata: dict[str, Any] | None = None
    labels: dict[str, str] | None = None
    tags: dict[str, Any] | None = None
    canIpForward: bool | None = None  # noqa: N815
    acceleratorType: str | None = None  # noqa: N815
    runtimeVersion: str | None = None  # noqa: N815


class AzureParameters(Api):
    """Parameters of the template from which Ray makes virtual machines, but for those that it sets itself."""

    vmSize: str = Field(pattern=r"^(Standard|Basic)_")  # noqa: N815
    imagePublisher: str | None = None  # noqa: N815
    imageOffer: str | None = None  # noqa: N815
    imageSku: str | None = None  # noqa: N815
    imageVersion: str | None = None  # noqa: N815
    imageId: str | None = None  # noqa: N815
    osDiskSize: int | None = None  # noqa: N815
    priority: Literal["Regular", "Low", "Spot"] | None = None
    evictionPolicy: Literal["Delete", "Deallocate"] | None = None  # noqa: N815
    billingProfile: dict[str, float] | None = None  # noqa: N815
    enableAcceleratedNetworking: bool | None = None  # noqa: N815
    availability_zone: str | None = None
    adminUsername: str | None = None  # noqa: N815
    publicKey: str | None = None  # noqa: N815


class AzureNode(Api):
    """A node type on Azure."""

    azure_arm_parameters: AzureParameters
    tags: dict[str, str] | None = None


def check_gcp(document: Document) -> Iterator[Finding]:
    """All findings about node types on Google Cloud."""
    for name, kind in mapping(document.data, "available_node_types").items():
        path: Path = ("available_node_types", name, "node_config")
        config = mapping(kind, "node_config")
        yield from _check(document, path, config, GcpNode, "gcp-node-config")
        for index, interface in enumerate(items(config, "networkInterfaces")):
            if at(interface, "accessConfigs"):
                place = (*path, "networkInterfaces", index, "accessConfigs")
                instead = "leave accessConfigs out, and use Cloud NAT and a tunnel"
                yield document.found("gcp-public-ip", place, "the machine gets a public address", instead)
        if "networkInterfaces" not in config and "sourceInstanceTemplate" not in config:
            what = "no network is named; Ray takes the first subnetwork, and gives the machine a public address"
            yield document.found("gcp-public-ip", path, what, "networkInterfaces: [{subnetwork: …}]")


def check_azure(document: Document) -> Iterator[Finding]:
    """All findings about node types on Azure."""
    for name, kind in mapping(document.data, "available_node_types").items():
        path: Path = ("available_node_types", name, "node_config")
        yield from _check(document, path, mapping(kind, "node_config"), AzureNode, "azure-node-config")
    provider = mapping(document.data, "provider")
    if provider.get("use_internal_ips") is not True:
        what = "machines get public addresses, and the security group that Ray makes lets the whole world reach port 22"
        yield document.found("azure-public-ip", ("provider", "use_internal_ips"), what, "use_internal_ips: true")
    elif provider.get("use_external_head_ip") is True:
        what = (
            "the head gets a public address, and the security group that Ray makes lets the whole world reach port 22"
        )
        yield document.found("azure-public-ip", ("provider", "use_external_head_ip"), what, "leave it out")


def _check(
    document: Document, path: Path, config: dict[str, Any], model: type[BaseModel], rule: str
) -> Iterator[Finding]:
    try:
        model.model_validate(config)
    except ValidationError as error:
        seen: set[Path] = set()
        for problem in problems_of(model, error):
            place = (*path, *(step for step in problem.place if not str(step)[:1].isupper()))
            if place not in seen:
                seen.add(place)
                yield document.found(rule, place, problem.what, problem.advice or "see the cloud's reference")
