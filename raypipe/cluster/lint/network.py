"""Checks of network policies, services and other plain objects of Kubernetes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from raypipe.cluster.lint.context import Context
from raypipe.cluster.lint.documents import Document, Finding, Path, at, items, mapping
from raypipe.cluster.names import did_you_mean

POLICY = {"podSelector", "policyTypes", "ingress", "egress"}
RULES = {"ingress": {"from", "ports"}, "egress": {"to", "ports"}}
WHOLE_WORLD = ("0.0.0.0/0", "::/0")


def has_policy(document: Document, root: Path, cluster: dict[str, Any], context: Context) -> bool:
    """Whether a policy, of KubeRay or beside it, covers the head and every group of a cluster."""
    if "networkPolicy" in cluster:
        return True
    templates = [at(cluster, "headGroupSpec", "template")]
    templates += [at(group, "template") for group in items(cluster, "workerGroupSpecs")]
    return all(any(_selects(policy, template) for policy in context.policies) for template in templates if template)


def _selects(policy: Document, template: object) -> bool:
    wanted = mapping(policy.data, "spec", "podSelector", "matchLabels")
    if at(policy.data, "spec", "podSelector", "matchExpressions"):
        return False
    labels = mapping(template, "metadata", "labels")
    return all(labels.get(name) == value for name, value in wanted.items())


def check_policy(document: Document) -> Iterator[Finding]:
    """All findings about a NetworkPolicy."""
    spec = mapping(document.data, "spec")
    for name in spec:
        if name not in POLICY:
            yield document.found(
                "network-policy-key", ("spec", name), f"there is no key {name!r}", did_you_mean(name, POLICY)
            )
    for way, known in RULES.items():
        for index, rule in enumerate(items(spec, way)):
            for name in mapping(rule):
                if name not in known:
                    place = ("spec", way, index, name)
                    yield document.found(
                        "network-policy-key", place, f"there is no key {name!r}", did_you_mean(name, known)
                    )
    if "Ingress" not in items(spec, "policyTypes"):
        what = "the policy says nothing about who may come in"
        yield document.found("network-policy-open", ("spec", "policyTypes"), what, "policyTypes: [Ingress, Egress]")
    yield from _check_ingress(document, items(spec, "ingress"))


def _check_ingress(document: Document, rules: list[Any]) -> Iterator[Finding]:
    for index, rule in enumerate(rules):
        path: Path = ("spec", "ingress", index)
        if not at(rule, "from"):
            yield document.found("network-policy-open", path, "everybody may come in", "from: [{podSelector: …}]")
        for number, peer in enumerate(items(rule, "from")):
            if at(peer, "ipBlock", "cidr") in WHOLE_WORLD:
                place = (*path, "from", number, "ipBlock", "cidr")
                yield document.found(
                    "open-cidr", place, "the whole world may come in", "your own network, or a podSelector"
                )
            elif peer == {} or at(peer, "namespaceSelector") == {}:
                what = "pods of every namespace may come in"
                yield document.found("network-policy-open", (*path, "from", number), what, "name the namespace")


def check_service(document: Document) -> Iterator[Finding]:
    """All findings about a Service."""
    kind = at(document.data, "spec", "type")
    if kind in ("LoadBalancer", "NodePort"):
        what = f"a service of type {kind} lets the network outside reach Ray"
        yield document.found("service-public", ("spec", "type"), what, "type: ClusterIP, and kubectl port-forward")


def check_account(document: Document) -> Iterator[Finding]:
    """All findings about a ServiceAccount."""
    if document.data.get("automountServiceAccountToken") is not False:
        what = "every pod of it can talk to the API server, and so can the work that it runs"
        instead = "automountServiceAccountToken: false"
        yield document.found("account-token", ("automountServiceAccountToken",), what, instead, "warning")
