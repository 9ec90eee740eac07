"""Where a cluster stands: what each cloud, a set of machines, or Kubernetes has to be told."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import AfterValidator, Field, PositiveInt

from raypipe.config import Frozen, Labels


def _cidr(value: str) -> str:
    try:
        network = ipaddress.ip_network(value, strict=True)
    except ValueError as error:
        raise ValueError(f"{error}; wanted a network such as '203.0.113.0/24'") from error
    if network.prefixlen < 8:
        raise ValueError("is open to the world or close to it; wanted your own network, /8 or smaller")
    return value


Cidr = Annotated[str, AfterValidator(_cidr)]
BucketName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$")]


class Pod(Frozen):
    """What a pod of Kubernetes or a container asks for: less than the machine has, since the system needs some."""

    cpus: PositiveInt
    memory_gib: PositiveInt


class AwsPlace(Frozen):
    """An AWS region, and what must be there before: subnets, a security group, two instance profiles."""

    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")]
    zones: tuple[Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d[a-z]$")], ...] = Field(min_length=1)
    image_id: Annotated[str, Field(pattern=r"^ami-[0-9a-f]{8,17}$")] | None = None
    """Machine image with Docker, and NVIDIA's driver for GPU pools; None takes the one that this Ray names for the
    region."""
    subnet_ids: tuple[Annotated[str, Field(pattern=r"^subnet-[0-9a-f]{8,17}$")], ...] = Field(min_length=1)
    security_group_ids: tuple[Annotated[str, Field(pattern=r"^sg-[0-9a-f]{8,17}$")], ...] = Field(min_length=1)
    """Your own group. One that Ray makes is always open to the world on port 22."""
    bucket: BucketName
    head_profile: Annotated[str, Field(pattern=r"^[\w+=,.@-]{1,128}$")]
    """Instance profile that may start and end machines, and use the bucket."""
    worker_profile: Annotated[str, Field(pattern=r"^[\w+=,.@-]{1,128}$")]
    """Instance profile that may use the bucket, and nothing else."""
    internal_ips: bool = False
    """You reach the head by its private address, through a VPN or a peered network."""


class GcpPlace(Frozen):
    """A project and zone of Google Cloud, and the subnetwork and service account that must be there before."""

    project_id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$")]
    region: Annotated[str, Field(pattern=r"^[a-z]+-[a-z]+\d+$")]
    zone: Annotated[str, Field(pattern=r"^[a-z]+-[a-z]+\d+-[a-z]$")]
    subnetwork: Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$")]
    """With Cloud NAT, since nodes have no public address."""
    cpu_image: Annotated[str, Field(pattern=r"^projects/[^/]+/global/images/")]
    """Boot image of the head and of CPU pools; it must bring Docker."""
    gpu_image: Annotated[str, Field(pattern=r"^projects/[^/]+/global/images/")]
    """Boot image of GPU pools; it must bring Docker and NVIDIA's driver."""
    bucket: BucketName
    head_account: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]+@[a-z0-9-]+\.iam\.gserviceaccount\.com$")]
    """Service account that may start and end machines, and use the bucket."""
    worker_account: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]+@[a-z0-9-]+\.iam\.gserviceaccount\.com$")]
    """Service account that may use the bucket, and nothing else."""


class AzurePlace(Frozen):
    """A location and resource group of Azure, and the managed identity that must be there before."""

    location: Annotated[str, Field(pattern=r"^[a-z]+[0-9]*$")]
    resource_group: Annotated[str, Field(pattern=r"^[\w.()-]{1,89}[\w()-]$")]
    unique_id: Annotated[str, Field(pattern=r"^[a-z0-9]{4}$")]
    """Ends the names of the network that Ray makes, so that they are known beforehand."""
    identity: Annotated[str, Field(pattern=r"^[\w-]{3,128}$")]
    """User-assigned: Contributor of the resource group, Storage Blob Data Contributor of the account."""
    identity_resource_group: Annotated[str, Field(pattern=r"^[\w.()-]{1,89}[\w()-]$")]
    """Another group than that of the cluster, so that the identity outlives it."""
    storage_account: Annotated[str, Field(pattern=r"^[a-z0-9]{3,24}$")]
    container: BucketName
    image_publisher: str = "microsoft-dsvm"
    image_offer: str = "ubuntu-2204"
    image_sku: str = "2204-gen2"
    image_version: str = "latest"
    """Machine image; it must bring Docker, and NVIDIA's driver for GPU pools. Work runs in the pinned container."""
    ssh_private_key: str = "~/.ssh/raypipe"
    ssh_public_key: str = "~/.ssh/raypipe.pub"


class LocalPlace(Frozen):
    """Machines of your own, reached by SSH without a password; each has Docker."""

    head_ip: str
    worker_ips: tuple[str, ...] = Field(min_length=1)
    ssh_user: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_-]*$")]
    ssh_private_key: str = "~/.ssh/raypipe"


class KubernetesPlace(Frozen):
    """A namespace of a Kubernetes cluster that runs the KubeRay operator, 1.7 or later."""

    namespace: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")] = "raypipe"
    operator_namespace: str = "kuberay-system"
    """Where the operator runs: it asks the dashboard for the state of jobs."""
    monitoring_namespace: str | None = "monitoring"
    """Where Prometheus runs: it may reach the metrics ports. None lets nobody."""
    pod_monitor: bool = True
    """Render a PodMonitor, which the Prometheus operator understands."""
    service_account_annotations: Labels = ()
    """Bind the identity of worker pods to one of the cloud, such as
    eks.amazonaws.com/role-arn: arn:aws:iam::111122223333:role/raypipe-workers."""
    pull_secrets: tuple[str, ...] = ()
    """Names of the Secrets with which pods pull their image; none where it is public or the node may pull it."""
    spot_node_selector: Labels = (("karpenter.sh/capacity-type", "spot"),)
    """How the cluster marks machines that it may lose."""
    gpu_node_selector: Labels = ()
    """How the cluster marks machines with GPUs, beside the resource itself."""
    gcs_fault_tolerance: bool = False
    """Keep the state of the head on a volume, so that a new head pod takes over."""
    job_config_map: str = "raypipe-job"
    """ConfigMap whose key `raypipe.yaml` holds the settings of the run that RayJob and RayCronJob start."""
    cron_schedule: str = "0 3 * * *"
    cron_time_zone: str = "Etc/UTC"


class ComposePlace(Frozen):
    """One machine with Docker: what each container of the small cluster there may take."""

    head: Pod = Pod(cpus=1, memory_gib=3)
    worker: Pod = Pod(cpus=2, memory_gib=4)
