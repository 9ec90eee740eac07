"""The launcher file for machines of your own."""

from __future__ import annotations

from typing import Any

from raypipe.cluster.places import LocalPlace
from raypipe.cluster.render.launcher import launcher_config
from raypipe.cluster.spec import ClusterSpec


def render_onprem(spec: ClusterSpec, place: LocalPlace) -> dict[str, Any]:
    """A cluster on machines that are there: all of them are nodes from the start to the end."""
    workers = len(place.worker_ips)
    provider = {"type": "local", "head_ip": place.head_ip, "worker_ips": list(place.worker_ips)}
    auth = {"ssh_user": place.ssh_user, "ssh_private_key": place.ssh_private_key}
    return {
        **launcher_config(spec, provider, auth),
        # Machines that stand there cost the same idle, so that none is ever let go.
        "min_workers": workers,
        "max_workers": workers,
        "idle_timeout_minutes": 60,
    }
