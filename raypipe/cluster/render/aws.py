"""The launcher file for AWS."""

from __future__ import annotations

from typing import Any

from raypipe.cluster.places import AwsPlace
from raypipe.cluster.render.launcher import launcher_config, with_pools
from raypipe.cluster.spec import ClusterSpec, Head, Pool


def render_aws(spec: ClusterSpec, place: AwsPlace) -> dict[str, Any]:
    """A cluster on EC2.

    Every node type names its security group: Ray opens port 22 to the whole world in any group that it makes itself.
    """
    provider = {
        "type": "aws",
        "region": place.region,
        "availability_zone": ",".join(place.zones),
        "cache_stopped_nodes": False,
        "use_internal_ips": place.internal_ips,
    }
    config = launcher_config(spec, provider, {"ssh_user": "ubuntu"})
    return with_pools(spec, "aws", config, lambda node: _node_config(place, node))


def _node_config(place: AwsPlace, node: Head | Pool) -> dict[str, Any]:
    profile = place.head_profile if isinstance(node, Head) else place.worker_profile
    made: dict[str, Any] = {"InstanceType": node.machine.aws}
    if place.image_id is not None:
        made["ImageId"] = place.image_id
    made |= {
        "SubnetIds": list(place.subnet_ids),
        "SecurityGroupIds": list(place.security_group_ids),
        "IamInstanceProfile": {"Name": profile},
        "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": _disk(node.disk_gib)}],
        # Version 2 of the metadata service only: a page that a worker is made to fetch cannot read its credentials.
        "MetadataOptions": {"HttpEndpoint": "enabled", "HttpTokens": "required", "HttpPutResponseHopLimit": 1},
    }
    if isinstance(node, Pool) and node.spot:
        made["InstanceMarketOptions"] = {"MarketType": "spot"}
    return made


def _disk(gib: int) -> dict[str, Any]:
    return {"VolumeSize": gib, "VolumeType": "gp3", "Encrypted": True, "DeleteOnTermination": True}
