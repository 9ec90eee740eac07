"""Checks of cluster launcher files: Ray's own, and what Ray does not look at."""

from __future__ import annotations

from collections.abc import Iterator

from raypipe.cluster.lint.aws import check_aws
from raypipe.cluster.lint.commands import check_commands
from raypipe.cluster.lint.context import Context
from raypipe.cluster.lint.documents import Document, Finding, at, items, mapping
from raypipe.cluster.lint.images import check_image
from raypipe.cluster.lint.machines import check_azure, check_gcp
from raypipe.cluster.names import did_you_mean
from raypipe.cluster.spec import MARKET, MIN_IDLE_S
from raypipe.engine.launcher import launcher_problems

PROVIDERS: dict[str, tuple[set[str], set[str]]] = {
    "aws": (
        {"region"},
        {"availability_zone", "cache_stopped_nodes", "cloudwatch", "key_pair", "security_group", "use_internal_ips"},
    ),
    "gcp": (
        {"project_id", "region", "availability_zone"},
        {"cache_stopped_nodes", "gcp_credentials", "use_internal_ips"},
    ),
    "azure": (
        {"location", "resource_group"},
        {
            "availability_zone", "cache_stopped_nodes", "msi_name", "msi_resource_group", "subnet_mask",
            "subscription_id", "tags", "unique_id", "use_external_head_ip", "use_internal_ips",
        },
    ),
    "local": (set(), {"head_ip", "worker_ips", "coordinator_address", "external_head_ip"}),
}  # fmt: skip
"""Provider -> keys of its `provider` block that must be there, and those that may. Ray lets any other pass."""
ANYWHERE = {"type", "module", "disable_node_updaters", "disable_launch_config_check", "foreground_node_launch"}
MOST_CPUS_OF_HEAD = 0


def check_launcher(document: Document, context: Context) -> Iterator[Finding]:
    """All findings about a launcher file."""
    yield from _check_ray(document)
    kind = str(at(document.data, "provider", "type"))
    yield from _check_provider(document, kind)
    yield from _check_docker(document, context)
    yield from check_commands(document, context)
    yield from _check_types(document)
    minutes = at(document.data, "idle_timeout_minutes")
    if isinstance(minutes, (int, float)) and minutes * 60 < MIN_IDLE_S:
        yield _idle(document, ("idle_timeout_minutes",), f"{minutes:g} minutes", f"{MIN_IDLE_S // 60} or more")
    checks = {"aws": check_aws, "gcp": check_gcp, "azure": check_azure, "local": _check_machines}
    if kind in checks:
        yield from checks[kind](document)


def _check_ray(document: Document) -> Iterator[Finding]:
    for problem in launcher_problems(document.data):
        if problem.known:
            advice = did_you_mean(str(problem.path[-1]), problem.known)
            yield document.found("launcher-key", problem.path, problem.message, advice)
        elif not isinstance(at(document.data, *problem.path), float):  # fractions have a rule of their own
            instead = problem.wanted or "what the reference of cluster YAML in Ray's documentation has there"
            yield document.found("launcher-ray", problem.path, f"Ray refuses it: {problem.message}", instead)


def _check_provider(document: Document, kind: str) -> Iterator[Finding]:
    if kind not in PROVIDERS:
        if kind not in ("external", "fake_multinode", "readonly", "spark", "vsphere", "aliyun", "kuberay"):
            advice = did_you_mean(kind, PROVIDERS)
            yield document.found("provider-type", ("provider", "type"), f"there is no provider {kind!r}", advice)
        return
    required, allowed = PROVIDERS[kind]
    given = mapping(document.data, "provider")
    for name in given:
        if name not in required | allowed | ANYWHERE:
            what = f"provider {kind} has no key {name!r}, and Ray would pass over it in silence"
            yield document.found("provider-key", ("provider", name), what, did_you_mean(name, required | allowed))
    for name in sorted(required - set(given)):
        yield document.found("provider-missing", ("provider",), f"provider {kind} needs {name!r}", f"add {name}")


def _check_docker(document: Document, context: Context) -> Iterator[Finding]:
    for name in ("image", "head_image", "worker_image"):
        if name in mapping(document.data, "docker"):
            yield from check_image(document, ("docker", name), at(document.data, "docker", name), context)
    for kind in mapping(document.data, "available_node_types"):
        path = ("available_node_types", kind, "docker", "worker_image")
        if at(document.data, *path) is not None:
            yield from check_image(document, path, at(document.data, *path), context)
    for index, option in enumerate(items(document.data, "docker", "run_options")):
        if "--privileged" in str(option):
            instead = "leave it out; Ray's container needs no such right"
            yield document.found(
                "privileged", ("docker", "run_options", index), "the container may do anything", instead
            )


def _check_types(document: Document) -> Iterator[Finding]:
    head = at(document.data, "head_node_type")
    for name, kind in mapping(document.data, "available_node_types").items():
        path = ("available_node_types", name)
        for resource, amount in mapping(kind, "resources").items():
            if isinstance(amount, float) and not amount.is_integer():
                what = f"{resource} is {amount:g}; Ray's autoscaler takes whole numbers"
                yield document.found(
                    "resource-fraction", (*path, "resources", resource), what, f"write {round(amount) or 1}"
                )
        if name == head:
            yield from _check_head(document, name, kind)
        else:
            yield from _check_pool(document, name, kind)


def _check_head(document: Document, name: str, kind: object) -> Iterator[Finding]:
    cpus = at(kind, "resources", "CPU")
    if cpus is None or (isinstance(cpus, (int, float)) and cpus > MOST_CPUS_OF_HEAD):
        path = ("available_node_types", name, "resources", "CPU")
        what = f"the head offers {'all its' if cpus is None else cpus} CPUs to work, beside Ray's own processes"
        yield document.found("head-cpus", path, what, "resources: {CPU: 0}")


def _check_pool(document: Document, name: str, kind: object) -> Iterator[Finding]:
    path = ("available_node_types", name)
    least, most = at(kind, "min_workers") or 0, at(kind, "max_workers")
    if isinstance(most, int) and isinstance(least, int) and least > most:
        what = f"min_workers is {least}, more than max_workers ({most})"
        yield document.found("min-over-max", (*path, "min_workers"), what, f"min_workers: {most} or fewer")
    idle = at(kind, "idle_timeout_s")
    if isinstance(idle, int) and idle < MIN_IDLE_S:
        yield _idle(document, (*path, "idle_timeout_s"), f"{idle} seconds", f"{MIN_IDLE_S} or more")
    if _is_spot(kind) and at(kind, "labels", MARKET) != "spot":
        what = "machines of this pool may be taken back, and no label says so, so that no stage can avoid them"
        yield document.found("spot-label", (*path, "labels"), what, f"labels: {{{MARKET}: spot}}")


def _idle(document: Document, path: tuple[str | int, ...], got: str, wanted: str) -> Finding:
    what = f"a node goes after {got} without work, perhaps before it has booted, and then comes again without end"
    return document.found("idle-too-short", path, what, wanted)


def _check_machines(document: Document) -> Iterator[Finding]:
    """On machines of one's own Ray cuts the numbers of workers to the number of machines, and only warns."""
    machines = len(items(document.data, "provider", "worker_ips"))
    for name in ("min_workers", "max_workers"):
        workers = at(document.data, name)
        if machines and isinstance(workers, int) and workers > machines:
            what = f"{name} is {workers}, and there are {machines} worker_ips"
            yield document.found("more-workers-than-machines", (name,), what, f"{name}: {machines}")


def _is_spot(kind: object) -> bool:
    scheduling = at(kind, "node_config", "scheduling")
    flags = scheduling[0] if isinstance(scheduling, list) and scheduling else scheduling
    return (
        at(kind, "node_config", "InstanceMarketOptions", "MarketType") == "spot"
        or at(flags, "preemptible") is True
        or at(flags, "provisioningModel") == "SPOT"
        or str(at(kind, "node_config", "azure_arm_parameters", "priority")).lower() == "spot"
    )
