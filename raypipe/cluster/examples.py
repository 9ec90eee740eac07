"""Values of the shipped spec that are examples: no cluster starts until they are yours."""

from __future__ import annotations

from raypipe.cluster.spec import ClusterSpec

_EXAMPLES: dict[str, tuple[str, ...]] = {
    "image.repository": ("registry.example.com/",),
    "ssh_cidrs": ("203.0.113.", "192.0.2.", "198.51.100."),
    "aws.subnet_ids": ("subnet-0123456789abcdef0",),
    "aws.security_group_ids": ("sg-0123456789abcdef0",),
    "aws.bucket": ("raypipe-example",),
    "gcp.project_id": ("example-project",),
    "gcp.bucket": ("raypipe-example",),
    "azure.storage_account": ("raypipeexample",),
    "onprem.head_ip": ("192.0.2.", "198.51.100.", "203.0.113."),
    "onprem.worker_ips": ("192.0.2.", "198.51.100.", "203.0.113."),
}
"""Key -> how a value of it begins that nobody can own: names and networks kept for documentation."""


def still_examples(spec: ClusterSpec) -> list[str]:
    """Keys of the spec whose value is still that of the shipped example."""
    return [
        key for key, beginnings in _EXAMPLES.items() if any(one.startswith(beginnings) for one in _values(spec, key))
    ]


def _values(spec: ClusterSpec, key: str) -> tuple[str, ...]:
    value: object = spec
    for name in key.split("."):
        value = getattr(value, name, None)
    return value if isinstance(value, tuple) else (str(value),) if value is not None else ()
