"""Checks of node types on AWS, by the model of RunInstances that botocore carries, and by rules of security."""

from __future__ import annotations

import functools
import importlib.util
import re
from collections.abc import Iterator
from typing import Any

from raypipe.cluster.lint.documents import Document, Finding, Path, at, items, mapping
from raypipe.cluster.names import did_you_mean

OURS = {"SubnetIds", "SecurityGroupIds"}
"""Keys that Ray itself takes a list of, whatever the API calls them."""
_WHOLE_WORLD = ("0.0.0.0/0", "::/0")
_PLACE = re.compile(r"[.\[\]]+")


def check_aws(document: Document) -> Iterator[Finding]:
    """All findings about node types on AWS."""
    yield from _check_groups(document)
    known = importlib.util.find_spec("botocore") is not None
    if not known:
        what = "node_config was not checked: botocore is not installed"
        yield document.found("aws-unchecked", ("available_node_types",), what, "pip install botocore", "warning")
    for name, kind in mapping(document.data, "available_node_types").items():
        path: Path = ("available_node_types", name, "node_config")
        config = mapping(kind, "node_config")
        if known:
            yield from _check_shape(document, path, config)
        yield from _check_security(document, path, config)


def _check_groups(document: Document) -> Iterator[Finding]:
    path: Path = ("provider", "security_group", "IpPermissions")
    for index, rule in enumerate(items(document.data, *path)):
        ranges = [(key, at(one, key)) for one in items(rule, "IpRanges") for key in ("CidrIp",)]
        ranges += [(key, at(one, key)) for one in items(rule, "Ipv6Ranges") for key in ("CidrIpv6",)]
        if any(value in _WHOLE_WORLD for _, value in ranges):
            what = f"the whole world may reach port {at(rule, 'FromPort')}"
            yield document.found("open-cidr", (*path, index), what, "name your own network, such as 203.0.113.0/24")


def _check_security(document: Document, path: Path, config: dict[str, Any]) -> Iterator[Finding]:
    if "SecurityGroupIds" not in config and "NetworkInterfaces" not in config:
        what = "no security group is named; in one that Ray makes, the whole world may reach port 22"
        yield document.found("aws-security-group", path, what, "SecurityGroupIds: [sg-…], a group of your own")
    if at(config, "MetadataOptions", "HttpTokens") != "required":
        what = "version 1 of the metadata service answers, so that a fetched URL can read the machine's credentials"
        yield document.found(
            "aws-imds", (*path, "MetadataOptions", "HttpTokens"), what, "MetadataOptions: {HttpTokens: required}"
        )
    if "IamInstanceProfile" not in config:
        what = "no instance profile is named; Ray gives the head one with full access to EC2 and S3"
        yield document.found("aws-profile", path, what, "IamInstanceProfile: {Name: …}, with the least rights")
    for index, disk in enumerate(items(config, "BlockDeviceMappings")):
        if "Ebs" in mapping(disk) and at(disk, "Ebs", "Encrypted") is not True:
            place = (*path, "BlockDeviceMappings", index, "Ebs")
            yield document.found("aws-disk", place, "the disk is not encrypted", "Encrypted: true", "warning")


@functools.cache
def _run_instances() -> Any:
    """Shape of what RunInstances takes."""
    import botocore.session

    return botocore.session.Session().get_service_model("ec2").operation_model("RunInstances").input_shape


def _check_shape(document: Document, path: Path, config: dict[str, Any]) -> Iterator[Finding]:
    shape = _run_instances()
    known = set(shape.members) | OURS
    for name in config:
        if name not in known:
            yield _unknown(document, (*path, name), known)
    asked = {name: value for name, value in config.items() if name in shape.members}
    for name, value in asked.items():
        yield from _walk(document, (*path, name), value, shape.members[name])


def _walk(document: Document, path: Path, value: Any, shape: Any) -> Iterator[Finding]:
    """Hold a value to its shape; each fault is found at its own place, which botocore's own report does not give."""
    from botocore.validate import ParamValidator

    if shape.type_name == "structure" and isinstance(value, dict):
        for name, inner in value.items():
            if name in shape.members:
                yield from _walk(document, (*path, name), inner, shape.members[name])
            else:
                yield _unknown(document, (*path, name), set(shape.members))
    elif shape.type_name == "list" and isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _walk(document, (*path, index), inner, shape.member)
    else:
        report = ParamValidator().validate(value, shape)
        if report.has_errors():
            said = " ".join(report.generate_report().split())
            yield document.found("aws-node-config", path, said, f"a value of type {shape.type_name}")
        elif (values := getattr(shape, "enum", None)) and value not in values:
            what = f"botocore does not know {value!r}; it may be newer than botocore, or a typo"
            yield document.found("aws-enum", path, what, did_you_mean(str(value), values), "warning")


def _unknown(document: Document, path: Path, known: set[str]) -> Finding:
    what = f"RunInstances has no parameter {path[-1]!r}"
    return document.found("aws-node-config", path, what, did_you_mean(str(path[-1]), known))
