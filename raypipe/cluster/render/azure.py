"""The launcher file for Azure."""

from __future__ import annotations

from typing import Any

from raypipe.cluster.places import AzurePlace
from raypipe.cluster.render.launcher import launcher_config, with_pools
from raypipe.cluster.spec import ClusterSpec, Head, Pool


def render_azure(spec: ClusterSpec, place: AzurePlace) -> dict[str, Any]:
    """A cluster on Azure's virtual machines.

    Nodes have no public address: the network security group that Ray makes lets everybody reach port 22.
    """
    provider = {
        "type": "azure",
        "location": place.location,
        "resource_group": place.resource_group,
        "unique_id": place.unique_id,
        "msi_name": place.identity,
        "msi_resource_group": place.identity_resource_group,
        "cache_stopped_nodes": False,
        "use_internal_ips": True,
    }
    auth = {
        "ssh_user": "ubuntu",
        "ssh_private_key": place.ssh_private_key,
        "ssh_public_key": place.ssh_public_key,
    }
    config = launcher_config(spec, provider, auth)
    return with_pools(spec, "azure", config, lambda node: {"azure_arm_parameters": _parameters(place, node)})


def _parameters(place: AzurePlace, node: Head | Pool) -> dict[str, Any]:
    made: dict[str, Any] = {
        "vmSize": node.machine.azure,
        "imagePublisher": place.image_publisher,
        "imageOffer": place.image_offer,
        "imageSku": place.image_sku,
        "imageVersion": place.image_version,
        "osDiskSize": node.disk_gib,
    }
    if isinstance(node, Pool) and node.spot:
        # -1: never dearer than the ordinary price, and not ended for its price.
        made |= {"priority": "Spot", "evictionPolicy": "Delete", "billingProfile": {"maxPrice": -1}}
    return made
