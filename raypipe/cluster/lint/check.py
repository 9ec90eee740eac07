"""Checking files: what kind each is, which checks it gets, and what they found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml

from raypipe.cluster.lint.compose import check_compose
from raypipe.cluster.lint.context import Context
from raypipe.cluster.lint.dockerfile import check_dockerfile
from raypipe.cluster.lint.documents import Document, Finding, read_yaml
from raypipe.cluster.lint.kuberay import check_kuberay
from raypipe.cluster.lint.launcher import check_launcher
from raypipe.cluster.lint.network import check_account, check_policy, check_service
from raypipe.cluster.lint.secrets import check_secrets
from raypipe.cluster.spec import ClusterSpec
from raypipe.errors import ConfigError

YAML = (".yaml", ".yml")
PLAIN = ("Namespace", "Kustomization", "PodMonitor", "ConfigMap", "Secret", "Role", "RoleBinding", "ServiceMonitor")
"""Kinds about which nothing is checked but that they hold no secret."""
SPEC_NAME = "cluster.yaml"
KINDS = "a launcher file, a KubeRay manifest, another object of Kubernetes, a compose file, a spec, or a Dockerfile"


def lint(paths: Iterable[Path], spec: ClusterSpec | None = None) -> list[Finding]:
    """Everything that is wrong with files, or with all such files below a folder, by file and line.

    Parameters
    ----------
    spec : ClusterSpec, optional
        Whose versions the files must have; None looks for `cluster.yaml` beside a file and in the folder above.

    Raises
    ------
    ConfigError
        If a path is not there, or cannot be read.
    """
    found = [finding for path in paths for file in _files(path) for finding in _lint_file(file, spec)]
    return sorted(found, key=lambda one: (one.file, one.line, one.rule))


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(one for one in path.rglob("*") if one.is_file() and (one.suffix in YAML or _is_dockerfile(one)))
    if not path.is_file():
        raise ConfigError(f"{path}: there is no such file or folder; name {KINDS}")
    return [path]


def _is_dockerfile(path: Path) -> bool:
    named = path.name.startswith("Dockerfile") and path.suffix != ".dockerignore"
    return named or path.suffix == ".Dockerfile"


def _lint_file(path: Path, spec: ClusterSpec | None) -> Iterator[Finding]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if spec is None:
        spec, unread = _spec_near(path)
        if unread:
            what = f"versions were not compared, since the spec cannot be read: {unread}"
            yield Document(str(path), None).found("spec", (), what, "mend it, or name another one by --spec", "warning")
    context = Context(spec.versions if spec else None, _policies_near(path))
    if _is_dockerfile(path):
        yield from check_dockerfile(str(path), text, context)
        return
    documents, wrong = read_yaml(str(path), text)
    yield from wrong
    if not documents and not wrong:
        empty = Document(str(path), None)
        yield empty.found("file-unknown", (), "the file is empty", f"write {KINDS}")
    for document in documents:
        yield from _check(document, context)


def _check(document: Document, context: Context) -> Iterator[Finding]:
    data = document.data
    if not isinstance(data, dict):
        yield document.found("file-unknown", (), f"holds {type(data).__name__}, not keys with values", f"write {KINDS}")
        return
    yield from check_secrets(document)
    if str(data.get("apiVersion", "")).startswith("ray.io/"):
        yield from check_kuberay(document, context)
    elif "kind" in data:
        yield from _check_object(document)
    elif "services" in data:
        yield from check_compose(document, context)
    elif "provider" in data or "available_node_types" in data or "cluster_name" in data:
        yield from check_launcher(document, context)
    elif "pools" in data or "versions" in data:
        yield from _check_spec(document)
    else:
        yield document.found(
            "file-unknown", (), f"is none of the files of a cluster that are known: {KINDS}", "see above"
        )


def _check_object(document: Document) -> Iterator[Finding]:
    checks = {"NetworkPolicy": check_policy, "Service": check_service, "ServiceAccount": check_account}
    kind = str(document.data["kind"])
    if kind in checks:
        yield from checks[kind](document)
    elif kind not in PLAIN:
        yield document.found(
            "kind-unchecked", ("kind",), f"objects of kind {kind} are not checked", "read it", "warning"
        )


def _check_spec(document: Document) -> Iterator[Finding]:
    from pydantic import ValidationError

    from raypipe.cluster.problems import problems_of

    try:
        ClusterSpec.model_validate(document.data)
    except ValidationError as error:
        for problem in problems_of(ClusterSpec, error):
            yield document.found("spec", problem.place, problem.what, problem.advice or "see docs/guide/clusters.md")


def _spec_near(path: Path) -> tuple[ClusterSpec | None, str]:
    """The spec beside a file or in the folder above, and why it cannot be read if it is there."""
    for folder in (path.parent, path.parent.parent):
        candidate = folder / SPEC_NAME
        if candidate.is_file() and candidate != path:
            try:
                return ClusterSpec.load(candidate), ""
            except ConfigError as error:
                return None, str(error)
    return None, ""


def _policies_near(path: Path) -> tuple[Document, ...]:
    """Network policies in the folder of a file."""
    found: list[Document] = []
    for one in sorted(path.parent.iterdir()):
        if one.suffix in YAML and one.is_file():
            try:
                documents, _ = read_yaml(str(one), one.read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError, yaml.YAMLError):
                continue
            found += [
                doc for doc in documents if isinstance(doc.data, dict) and doc.data.get("kind") == "NetworkPolicy"
            ]
    return tuple(found)
