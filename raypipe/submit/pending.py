"""Why a job has not begun: what it waits for, as far as the cluster tells."""

from __future__ import annotations

import contextlib

from raypipe.errors import ClusterError
from raypipe.submit.client import JobsClient
from raypipe.submit.replies import Autoscaling, JobState
from raypipe.submit.resources import fits, nodes_in_words, words


def why_pending(client: JobsClient, job: JobState) -> str:
    """What a job that has not begun waits for: resources, nodes, its runtime environment, or its process."""
    try:
        broken = broken_environment(client, job)
        if broken is not None:
            return f"its runtime environment cannot be made: {broken}"
        nodes, scaling = client.nodes(), client.autoscaling()
    except ClusterError as error:
        return f"why is not known: {error}"
    if job.demand and not any(fits(job.demand, node.resources_total) for node in nodes):
        return (
            f"its driver asks for {words(job.demand)}, and no node has that: {nodes_in_words(nodes)}{_coming(scaling)}"
        )
    busy = _in_use(job, scaling)
    if busy:
        return f"its driver asks for {words(job.demand)}; in use: {busy}{_coming(scaling)}"
    if not job.demand:
        used = ", ".join(f"{used:g} of {total:g} {name}" for name, (used, total) in scaling.usage.items() if used)
        return f"what its driver asks for is not told; in use: {used or 'nothing'}{_coming(scaling)}"
    count = f"{len(nodes)} node" + ("s" if len(nodes) != 1 else "")
    return f"by the last report there is room for its driver ({count}): its files are unpacked, or its process starts"


def broken_environment(client: JobsClient, job: JobState) -> str | None:
    """What a node said when it could not make the runtime environment of this job."""
    wanted = job.runtime_env.get("working_dir"), job.runtime_env.get("pip")
    with contextlib.suppress(ClusterError):  # an older Ray may not list them; the state of the job will tell then
        for made in client.runtime_envs():
            same = (made.runtime_env.get("working_dir"), made.runtime_env.get("pip")) == wanted
            if same and made.success is False and made.error:
                return " ".join(made.error.split())[-800:]
    return None


def _in_use(job: JobState, scaling: Autoscaling) -> str:
    """The resources that the driver asks for and that are not free, in words; empty where all are."""
    said = []
    for name, amount in job.demand.items():
        used, total = scaling.usage.get(name, (0.0, float("inf")))
        if used + amount > total:
            said.append(f"{words({name: used})} of {total:g}")
    return ", ".join(said)


def _coming(scaling: Autoscaling) -> str:
    coming = f"; nodes on their way: {', '.join(scaling.pending)}" if scaling.pending else ""
    failed = f"; nodes that failed to start: {', '.join(scaling.failed)}" if scaling.failed else ""
    return coming + failed + (f"; the autoscaler says: {scaling.error[:300]}" if scaling.error else "")
