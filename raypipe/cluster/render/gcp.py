"""The launcher file for Google Cloud."""

from __future__ import annotations

from typing import Any

from raypipe.cluster.places import GcpPlace
from raypipe.cluster.render.launcher import launcher_config, with_pools
from raypipe.cluster.spec import ClusterSpec, Head, Pool

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
"""What a machine may do is decided by the roles of its service account; the scope does not narrow it further."""


def render_gcp(spec: ClusterSpec, place: GcpPlace) -> dict[str, Any]:
    """A cluster on Compute Engine. Nodes have no public address; SSH goes through Identity-Aware Proxy."""
    provider = {
        "type": "gcp",
        "project_id": place.project_id,
        "region": place.region,
        "availability_zone": place.zone,
        "cache_stopped_nodes": False,
        "use_internal_ips": True,
    }
    tunnel = f"gcloud compute start-iap-tunnel %h %p --listen-on-stdin --project={place.project_id} --zone={place.zone}"
    auth = {"ssh_user": "ubuntu", "ssh_proxy_command": tunnel, "ssh_proxy_use_node_id": True}
    config = launcher_config(spec, provider, auth)
    return with_pools(spec, "gcp", config, lambda node: _node_config(place, node))


def _node_config(place: GcpPlace, node: Head | Pool) -> dict[str, Any]:
    gpu = isinstance(node, Pool) and node.kind == "gpu"
    account = place.head_account if isinstance(node, Head) else place.worker_account
    disk = {"diskSizeGb": node.disk_gib, "sourceImage": place.gpu_image if gpu else place.cpu_image}
    network = f"projects/{place.project_id}/regions/{place.region}/subnetworks/{place.subnetwork}"
    made: dict[str, Any] = {
        "machineType": node.machine.gcp,
        "disks": [{"boot": True, "autoDelete": True, "type": "PERSISTENT", "initializeParams": disk}],
        # No accessConfigs: without one a machine has no public address.
        "networkInterfaces": [{"subnetwork": network}],
        "serviceAccounts": [{"email": account, "scopes": [SCOPE]}],
        "shieldedInstanceConfig": {"enableVtpm": True, "enableIntegrityMonitoring": True},
    }
    scheduling = _scheduling(gpu, isinstance(node, Pool) and node.spot)
    return {**made, "scheduling": scheduling} if scheduling else made


def _scheduling(gpu: bool, spot: bool) -> dict[str, Any]:
    """Machines with GPUs and spot machines cannot move to another host."""
    made: dict[str, Any] = {"onHostMaintenance": "TERMINATE", "automaticRestart": False} if gpu or spot else {}
    if spot:
        made |= {"provisioningModel": "SPOT", "instanceTerminationAction": "DELETE"}
    return made
