"""What must be on this machine before a cluster can be started from it: tools, packages, credentials, a token.

Only whether credentials are there is looked at; their values are never read.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Mapping
from pathlib import Path

from raypipe.cluster.checks import ClusterCheck
from raypipe.cluster.examples import still_examples
from raypipe.cluster.spec import ClusterSpec

TOOLS = {
    "ray": ("starts clusters on virtual machines: ray up", "pip install 'ray[default]'"),
    "kubectl": ("talks to Kubernetes", "see https://kubernetes.io/docs/tasks/tools/"),
    "docker": ("builds the image, and runs the compose file", "see https://docs.docker.com/engine/install/"),
    "ssh": ("reaches machines", "apt-get install openssh-client"),
    "rsync": ("brings files to machines", "apt-get install rsync"),
}
_AZURE = "azure-cli azure-core azure-identity azure-mgmt-compute azure-mgmt-network azure-mgmt-resource"
SDKS = {"aws": ("boto3", "boto3"), "gcp": ("googleapiclient", "google-api-python-client"), "azure": ("azure", _AZURE)}
"""Cloud -> module that Ray's launcher imports for it, and what to install."""
CREDENTIALS: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "aws": (
        ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"),
        (".aws/credentials", ".aws/config"),
        "aws configure sso",
    ),
    "gcp": (
        ("GOOGLE_APPLICATION_CREDENTIALS",),
        (".config/gcloud/application_default_credentials.json",),
        "gcloud auth application-default login",
    ),
    "azure": (("AZURE_CLIENT_ID",), (".azure/azureProfile.json",), "az login"),
    "kubernetes": (("KUBECONFIG",), (".kube/config",), "the command by which your provider writes a kubeconfig"),
}
"""Where the usual chain looks: variables, files below the home folder; and what to type where there are none."""
TOKEN_VARIABLES = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
RAY_TOKEN = ".ray/auth_token"


def check_machine(spec: ClusterSpec | None, environ: Mapping[str, str], home: Path) -> list[ClusterCheck]:
    """Every check that needs no network."""
    checks = [_tool(name) for name in TOOLS]
    clouds = [name for name in SDKS if spec is None or getattr(spec, name) is not None]
    checks += [_sdk(name) for name in clouds]
    checks += [_credentials(name, environ, home) for name in (*clouds, "kubernetes")]
    checks.append(token_check(spec, environ, home))
    return [*checks, _examples(spec)] if spec is not None else checks


def _tool(name: str) -> ClusterCheck:
    means, advice = TOOLS[name]
    path = shutil.which(name)
    if path:
        return ClusterCheck(name=f"tool {name}", state="ok", found=path, means=means)
    return ClusterCheck(name=f"tool {name}", state="warning", found="not found", means=means, advice=advice)


def _sdk(cloud: str) -> ClusterCheck:
    module, packages = SDKS[cloud]
    means = f"ray up needs it for {cloud}"
    if importlib.util.find_spec(module) is not None:
        return ClusterCheck(name=f"package {module}", state="ok", found="installed", means=means)
    advice = f"pip install {packages}"
    return ClusterCheck(name=f"package {module}", state="warning", found="not installed", means=means, advice=advice)


def _credentials(cloud: str, environ: Mapping[str, str], home: Path) -> ClusterCheck:
    variables, files, advice = CREDENTIALS[cloud]
    there = [name for name in variables if environ.get(name)] + [
        f"~/{name}" for name in files if (home / name).is_file()
    ]
    name = f"credentials {cloud}"
    if there:
        return ClusterCheck(name=name, state="ok", found=f"there: {', '.join(there)}", means="not read, and not tried")
    means = f"nothing can be started on {cloud} from here"
    return ClusterCheck(name=name, state="warning", found="none found", means=means, advice=advice)


def token_check(spec: ClusterSpec | None, environ: Mapping[str, str], home: Path) -> ClusterCheck:
    """Whether a token is there, and readable by its owner alone."""
    if environ.get("RAY_AUTH_TOKEN"):
        means = "other processes of yours can read the environment; a file is better"
        return ClusterCheck(name="token", state="ok", found="RAY_AUTH_TOKEN is set", means=means)
    path = token_file(spec, environ, home)
    if path is None or not path.is_file():
        wanted = path or home / ".raypipe/cluster_token"
        advice = f"mkdir -p {wanted.parent} && (umask 077; openssl rand -hex 32 | tr -d '\\n' > {wanted})"
        means = "a cluster that wants a token lets nobody in from here"
        return ClusterCheck(name="token", state="warning", found=f"no file {wanted}", means=means, advice=advice)
    if path.stat().st_mode & 0o077:
        means = "others on this machine can read it, and so use the cluster"
        return ClusterCheck(
            name="token", state="broken", found=f"{path} is open", means=means, advice=f"chmod 600 {path}"
        )
    if not path.read_text(encoding="utf-8").strip():
        return ClusterCheck(
            name="token", state="broken", found=f"{path} is empty", advice=f"openssl rand -hex 32 > {path}"
        )
    return ClusterCheck(name="token", state="ok", found=f"{path}, readable by you alone")


def token_file(spec: ClusterSpec | None, environ: Mapping[str, str], home: Path) -> Path | None:
    """The file in which Ray, or the spec, wants the token; None where neither names one that is there."""
    named = environ.get("RAY_AUTH_TOKEN_PATH")
    if named:
        return Path(named)
    if spec is not None:
        return home / spec.token.file[2:] if spec.token.file.startswith("~/") else Path(spec.token.file)
    usual = home / RAY_TOKEN
    return usual if usual.is_file() else None


def find_token(spec: ClusterSpec | None, environ: Mapping[str, str], home: Path) -> str | None:
    """The token, in the order in which Ray looks for it."""
    if environ.get("RAY_AUTH_TOKEN"):
        return environ["RAY_AUTH_TOKEN"].strip()
    path = token_file(spec, environ, home)
    return (path.read_text(encoding="utf-8").strip() or None) if path is not None and path.is_file() else None


def _examples(spec: ClusterSpec) -> ClusterCheck:
    left = still_examples(spec)
    if not left:
        return ClusterCheck(name="spec", state="ok", found="no value is an example any more")
    means = "what is started there belongs to nobody"
    advice = "put yours into the spec, then: raypipe cluster render"
    return ClusterCheck(
        name="spec", state="warning", found=f"still examples: {', '.join(left)}", means=means, advice=advice
    )
