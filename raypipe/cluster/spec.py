"""`ClusterSpec`: one description of a cluster, from which the files for every target are rendered."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from raypipe.cluster.places import AwsPlace, AzurePlace, Cidr, ComposePlace, GcpPlace, KubernetesPlace, LocalPlace, Pod
from raypipe.cluster.problems import problems_of
from raypipe.config import Frozen, Labels, Share, read_settings
from raypipe.errors import ConfigError

Target = Literal["aws", "gcp", "azure", "onprem", "kuberay", "docker"]
Cloud = Literal["aws", "gcp", "azure"]
RAY_FLOOR = (2, 56)
"""Below it known holes let data run code: CVE-2026-57516, CVE-2026-41486, CVE-2025-62593."""
MIN_IDLE_S = 300
"""A node that goes before it has booted and pulled its image comes back at once, and so without end."""
HEAD = "head"
"""Name of the head among the types of nodes."""
MARKET, POOL = "ray.io/market-type", "raypipe-pool"
"""Labels of nodes: Ray's own for spot or on-demand, and the pool's name."""
_NAME = re.compile(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?")
_VERSION = re.compile(r"\d+\.\d+\.\d+([a-z]+\d+|\.post\d+)?")


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("wanted small letters, digits and '-', at most 40, from a letter on, such as 'cpu-spot'")
    return value


def _version(value: str) -> str:
    if not _VERSION.fullmatch(value):
        raise ValueError("wanted one exact version, such as '2.60.0'")
    return value


Name = Annotated[str, AfterValidator(_name)]
Version = Annotated[str, AfterValidator(_version)]


class Versions(Frozen):
    """What runs in the cluster; a client must have the same Ray and the same minor version of Python."""

    raypipe: Version
    ray: Version
    python: Annotated[str, Field(pattern=r"^3\.\d+$")]
    """Minor version, such as "3.11"."""

    @field_validator("ray")
    @classmethod
    def _not_below_the_floor(cls, value: str) -> str:
        if tuple(map(int, value.split(".")[:2])) < RAY_FLOOR:
            raise ValueError(f"Ray below {'.'.join(map(str, RAY_FLOOR))} has known holes; wanted that or later")
        return value

    @property
    def tag(self) -> str:
        """Python as image tags name it: py311."""
        return "py" + self.python.replace(".", "")


class Images(Frozen):
    """Which images nodes run: built from `docker/Dockerfile`, pushed where every node can pull them."""

    repository: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.:/_-]*[a-z0-9]$")]
    """Without tag. Where you push what you build."""
    cuda: Annotated[str, Field(pattern=r"^cu\d{3}$")] = "cu128"
    """Which of Ray's CUDA images the GPU image builds on."""
    cpu_digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None
    """Digest of the pushed CPU image; None pins it by its tag."""
    gpu_digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None
    """Digest of the pushed GPU image; None pins it by its tag."""
    login_commands: tuple[str, ...] = ()
    """What a machine runs before it pulls, by its own identity and without a secret, such as
    `aws ecr get-login-password | docker login --username AWS --password-stdin REGISTRY`."""


class Machine(Frozen):
    """Type of virtual machine on each cloud."""

    aws: str | None = None
    gcp: str | None = None
    azure: str | None = None


class Price(Frozen):
    """What a machine costs an hour on each cloud, in US dollars: your own figure in place of the built-in estimate."""

    aws: PositiveFloat | None = None
    gcp: PositiveFloat | None = None
    azure: PositiveFloat | None = None


class Head(Frozen):
    """The node of Ray's own processes and the dashboard. It runs no work."""

    machine: Machine
    cpus: PositiveInt
    memory_gib: PositiveInt
    pod: Pod
    disk_gib: PositiveInt = 100
    price_per_hour: Price = Price()


class Pool(Frozen):
    """Nodes of one kind, that come with the work and go without it."""

    name: Name
    kind: Literal["cpu", "gpu"] = "cpu"
    machine: Machine
    cpus: PositiveInt
    """CPUs of the machine; whole ones, since Ray's autoscaler takes no fractions."""
    memory_gib: PositiveInt
    gpus: NonNegativeInt = 0
    pod: Pod
    min_workers: NonNegativeInt = 0
    max_workers: PositiveInt
    spot: bool = False
    """Machines that the cloud may take back, at a lower price."""
    labels: Labels = ()
    """Further labels of its nodes, which a stage can ask for."""
    idle_timeout_s: Annotated[int, Field(ge=MIN_IDLE_S)] = 600
    """A node without work goes after this long. It must exceed what booting and pulling the image take."""
    priority: int = 0
    """Of two pools that fit, the one with the higher number grows first."""
    disk_gib: PositiveInt = 100
    duty: Share = 0.25
    """Share of the time that its nodes run, as you expect it; for the estimate of cost only."""
    price_per_hour: Price = Price()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.min_workers > self.max_workers:
            raise ValueError(f"min_workers is {self.min_workers}, more than max_workers ({self.max_workers})")
        if (self.kind == "gpu") != (self.gpus > 0):
            raise ValueError(f"kind is {self.kind!r} and gpus is {self.gpus}; a pool of kind 'gpu' has 1 or more")
        if self.pod.cpus > self.cpus or self.pod.memory_gib > self.memory_gib:
            raise ValueError("pod asks for more than the machine has")
        clash = [name for name, _ in self.labels if name in (MARKET, POOL)]
        if clash:
            raise ValueError(f"label {clash[0]!r} is set by raypipe; use `spot` and `name`")
        return self

    @property
    def node_labels(self) -> dict[str, str]:
        """All labels of its nodes."""
        return {MARKET: "spot" if self.spot else "on-demand", POOL: self.name, **dict(self.labels)}


class Token(Frozen):
    """Where the token of the cluster lies. The token itself stands in no file of a cluster."""

    file: Annotated[str, Field(pattern=r"^(~|/|\.\.?/)")] = "~/.raypipe/cluster_token"
    """On the machine from which you start the cluster, readable by you alone."""
    secret: Name = "raypipe-token"
    """Name of the Secret in Kubernetes; its key is `auth_token`, which KubeRay expects."""


class Ports(Frozen):
    """Ports of the head and of every node."""

    gcs: PositiveInt = 6379
    object_manager: PositiveInt = 8076
    dashboard: PositiveInt = 8265
    agent: PositiveInt = 52365
    """Health of a node: /api/healthz."""
    metrics: PositiveInt = 8080

    @model_validator(mode="after")
    def _all_different(self) -> Self:
        if len(set(dict(self).values())) < len(dict(self)):
            raise ValueError("two services have the same port")
        return self


class ClusterSpec(Frozen):
    """A cluster, whatever it runs on. Secrets are named, never held."""

    name: Name
    versions: Versions
    image: Images
    head: Head
    pools: tuple[Pool, ...] = Field(min_length=1)
    token: Token = Token()
    ssh_cidrs: tuple[Cidr, ...] = Field(min_length=1)
    """Networks from which machines may be reached by SSH; never the whole world."""
    ports: Ports = Ports()
    boot_s: PositiveInt = 240
    """What booting a machine and pulling the image take, as you expect it; idle timeouts must be longer."""
    aws: AwsPlace | None = None
    gcp: GcpPlace | None = None
    azure: AzurePlace | None = None
    onprem: LocalPlace | None = None
    kubernetes: KubernetesPlace = KubernetesPlace()
    compose: ComposePlace = ComposePlace()

    @model_validator(mode="after")
    def _pools_fit(self) -> Self:
        names = [pool.name for pool in self.pools]
        if len(set(names)) < len(names):
            raise ValueError(f"pools: two have the same name, of {', '.join(names)}")
        if HEAD in names:
            raise ValueError(f"pools: {HEAD!r} is the name of the head; give the pool another one")
        for pool in self.pools:
            if pool.idle_timeout_s <= self.boot_s:
                raise ValueError(
                    f"pools: {pool.name}: idle_timeout_s is {pool.idle_timeout_s}, not more than boot_s "
                    f"({self.boot_s}): its nodes would go before they are up, and come again without end"
                )
        return self

    def image_for(self, kind: Literal["cpu", "gpu"]) -> str:
        """The pinned image of nodes of a kind: by digest if the spec holds one, else by tag."""
        digest = self.image.cpu_digest if kind == "cpu" else self.image.gpu_digest
        return f"{self.image.repository}@{digest}" if digest else f"{self.image.repository}:{self.tag_for(kind)}"

    def tag_for(self, kind: Literal["cpu", "gpu"]) -> str:
        """Tag under which the image of a kind is built."""
        versions = self.versions
        return f"{versions.raypipe}-ray{versions.ray}-{versions.tag}-{'cpu' if kind == 'cpu' else self.image.cuda}"

    def base_for(self, kind: Literal["cpu", "gpu"]) -> str:
        """Ray's own image that the image of a kind builds on."""
        return f"rayproject/ray:{self.versions.ray}-{self.versions.tag}-{'cpu' if kind == 'cpu' else self.image.cuda}"

    def pools_on(self, cloud: Cloud) -> tuple[Pool, ...]:
        """Pools whose machine on `cloud` is named."""
        return tuple(pool for pool in self.pools if getattr(pool.machine, cloud) is not None)

    @classmethod
    def of(cls, values: Mapping[str, Any], origin: str = "cluster spec") -> Self:
        """From plain values; all that is wrong with them is told at once.

        Raises
        ------
        ConfigError
            Names `origin`, each key at fault, what it got, and the nearest name for one that does not exist.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            told = [
                f"{'.'.join(map(str, found.place)) or 'spec'}: {found.what}{f'; {found.advice}' * found.is_key}"
                for found in problems_of(cls, error)
            ]
            raise ConfigError(f"{origin}: " + ". ".join(told)) from error

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """From a YAML or TOML file.

        Raises
        ------
        ConfigError
            If the file cannot be read, or what it says is wrong.
        """
        return cls.of(read_settings(path, "keys of a cluster"), origin=str(path))
